"""Namespaces, hubs, consumer groups and access rules, through the official SDK as it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.eventhub import models as m

from .conftest import (
    GROUP,
    GROUP_ID,
    NAMESPACE,
    NAMESPACE_ID,
    OTHER_SUBSCRIPTION,
    SUBSCRIPTION,
    Azure,
    StandInHubs,
    build_account,
    wait_until,
)


def make_namespace(azure: Azure) -> Any:
    client = azure.event_hubs()
    sku = m.Sku(name="Standard", tier="Standard", capacity=2)
    client.namespaces.begin_create_or_update(GROUP, NAMESPACE, m.EHNamespace(location="westeurope", sku=sku)).result()
    client.event_hubs.create_or_update(
        GROUP,
        NAMESPACE,
        "tdr",
        m.Eventhub(properties=m.EventhubProperties(partition_count=4, message_retention_in_days=7)),
    )
    return client


def settle(azure: Azure) -> None:
    wait_until(
        lambda: (
            azure.call("GET", f"{NAMESPACE_ID}?api-version=2024-01-01").json()["properties"]["provisioningState"]
            == "Succeeded"
        )
    )


def test_a_namespace_is_creating_until_it_is_active(checked_azure: Azure) -> None:
    client = checked_azure.event_hubs()
    body = m.EHNamespace(location="westeurope", sku=m.Sku(name="Standard", tier="Standard", capacity=2))
    poller = client.namespaces.begin_create_or_update(GROUP, NAMESPACE, body)
    assert client.namespaces.get(GROUP, NAMESPACE).provisioning_state == "Creating"
    made = poller.result()
    assert (made.provisioning_state, made.status, made.sku and made.sku.capacity) == ("Succeeded", "Active", 2)
    assert [each.name for each in client.namespaces.list()] == [NAMESPACE]


def test_a_hub_shows_its_partitions_and_forgets_the_zone_of_its_dates(checked_azure: Azure) -> None:
    client = make_namespace(checked_azure)
    hub = client.event_hubs.get(GROUP, NAMESPACE, "tdr")
    assert (hub.partition_count, hub.partition_ids, hub.message_retention_in_days) == (4, ["0", "1", "2", "3"], 7)
    raw = checked_azure.call("GET", f"{NAMESPACE_ID}/eventhubs/tdr?api-version=2024-01-01").json()
    assert not raw["properties"]["createdAt"].endswith("Z")
    assert [each.name for each in client.event_hubs.list_by_namespace(GROUP, NAMESPACE)] == ["tdr"]


def test_scaling_a_namespace_scales_its_hubs_at_once(checked_azure: Azure) -> None:
    client = make_namespace(checked_azure)
    changed = client.namespaces.update(
        GROUP, NAMESPACE, m.EHNamespace(sku=m.Sku(name="Standard", tier="Standard", capacity=5))
    )
    assert changed.sku.capacity == 5
    assert checked_azure.hubs.held[NAMESPACE]["tdr"].throughput_units == 5
    with pytest.raises(HttpResponseError):
        client.namespaces.update(
            GROUP, NAMESPACE, m.EHNamespace(sku=m.Sku(name="Standard", tier="Standard", capacity=41))
        )


def test_retention_can_change_and_partitions_can_not(checked_azure: Azure) -> None:
    client = make_namespace(checked_azure)
    client.event_hubs.create_or_update(
        GROUP, NAMESPACE, "tdr", m.Eventhub(properties=m.EventhubProperties(message_retention_in_days=3))
    )
    assert checked_azure.hubs.held[NAMESPACE]["tdr"].retention == timedelta(days=3)
    for wrong in (
        m.Eventhub(properties=m.EventhubProperties(partition_count=8)),
        m.Eventhub(properties=m.EventhubProperties(message_retention_in_days=8)),
    ):
        with pytest.raises(HttpResponseError) as refused:
            client.event_hubs.create_or_update(GROUP, NAMESPACE, "tdr", wrong)
        assert refused.value.status_code == 400


def test_consumer_groups_come_and_go_and_twenty_is_the_end(checked_azure: Azure) -> None:
    client = make_namespace(checked_azure)
    made = client.consumer_groups.create_or_update(
        GROUP,
        NAMESPACE,
        "tdr",
        "asa-01",
        m.ConsumerGroup(properties=m.ConsumerGroupProperties(user_metadata="shard 1")),
    )
    assert made.user_metadata == "shard 1"
    assert "asa-01" in checked_azure.hubs.held[NAMESPACE]["tdr"].consumer_groups
    names = [each.name for each in client.consumer_groups.list_by_event_hub(GROUP, NAMESPACE, "tdr")]
    assert names == ["$Default", "asa-01"]
    for number in range(18):
        client.consumer_groups.create_or_update(GROUP, NAMESPACE, "tdr", f"more-{number}", m.ConsumerGroup())
    with pytest.raises(HttpResponseError, match="20 consumer groups"):
        client.consumer_groups.create_or_update(GROUP, NAMESPACE, "tdr", "one-too-many", m.ConsumerGroup())
    client.consumer_groups.delete(GROUP, NAMESPACE, "tdr", "asa-01")
    with pytest.raises(ResourceNotFoundError):
        client.consumer_groups.get(GROUP, NAMESPACE, "tdr", "asa-01")


def test_keys_are_listed_renewed_and_known_to_the_data_plane(checked_azure: Azure) -> None:
    client = make_namespace(checked_azure)
    client.namespaces.create_or_update_authorization_rule(
        GROUP, NAMESPACE, "send", m.AuthorizationRule(properties=m.AuthorizationRuleProperties(rights=["Send"]))
    )
    keys = client.namespaces.list_keys(GROUP, NAMESPACE, "send")
    assert keys.primary_connection_string.startswith(
        f"Endpoint=sb://{NAMESPACE}.servicebus.windows.net/;SharedAccessKeyName=send;"
    )
    assert checked_azure.account.event_hubs.accepts_key(NAMESPACE, "send", "tdr") == [
        keys.primary_key,
        keys.secondary_key,
    ]
    renewed = client.namespaces.regenerate_keys(
        GROUP, NAMESPACE, "send", m.RegenerateAccessKeyParameters(key_type="PrimaryKey")
    )
    assert renewed.primary_key != keys.primary_key
    assert renewed.secondary_key == keys.secondary_key
    names = {rule.name for rule in client.namespaces.list_authorization_rules(GROUP, NAMESPACE)}
    assert names == {"RootManageSharedAccessKey", "send"}


def test_a_namespace_in_transition_is_not_deleted(checked_azure: Azure) -> None:
    client = make_namespace(checked_azure)
    client.namespaces.update(GROUP, NAMESPACE, m.EHNamespace(tags={"why": "test"}))
    with pytest.raises(HttpResponseError, match="NamespaceInTransition") as refused:
        client.namespaces.begin_delete(GROUP, NAMESPACE)
    assert refused.value.status_code == 429
    settle(checked_azure)
    client.namespaces.begin_delete(GROUP, NAMESPACE).result()
    with pytest.raises(ResourceNotFoundError):
        client.namespaces.get(GROUP, NAMESPACE)
    assert checked_azure.hubs.held[NAMESPACE] == {}


def test_the_newest_api_version_is_answered_too(azure: Azure) -> None:
    make_namespace(azure)
    assert azure.event_hubs(api_version="2026-01-01").event_hubs.get(GROUP, NAMESPACE, "tdr").partition_count == 4


def test_a_restart_keeps_namespaces_groups_and_keys(azure: Azure) -> None:
    client = make_namespace(azure)
    client.consumer_groups.create_or_update(
        GROUP,
        NAMESPACE,
        "tdr",
        "asa-01",
        m.ConsumerGroup(properties=m.ConsumerGroupProperties(user_metadata="shard 1")),
    )
    keys = client.namespaces.list_keys(GROUP, NAMESPACE, "RootManageSharedAccessKey")
    again = build_account(azure.folder, azure.clock, azure.hubs, {}, azure.account.authority)
    groups = again.event_hubs.groups(SUBSCRIPTION, GROUP, NAMESPACE, "tdr")
    assert [(each["name"], each["metadata"]) for each in groups] == [("$Default", None), ("asa-01", "shard 1")]
    assert again.event_hubs.accepts_key(NAMESPACE, "RootManageSharedAccessKey") == [
        keys.primary_key,
        keys.secondary_key,
    ]


@pytest.mark.parametrize("name", ["short", "1evhns-lpm", "evhns-lpm-", "evhns.lpm", "e" * 51])
def test_a_name_that_is_none_makes_no_namespace(name: str, checked_azure: Azure) -> None:
    client = checked_azure.event_hubs()
    asked = client.namespaces.check_name_availability(m.CheckNameAvailabilityParameter(name=name))
    assert (asked.name_available, asked.reason) == (False, "InvalidName")
    path = f"{GROUP_ID}/providers/Microsoft.EventHub/namespaces/{name}?api-version=2024-01-01"
    assert checked_azure.call("PUT", path, {"location": "westeurope"}).status_code == 400
    assert list(client.namespaces.list()) == []


def test_a_name_is_taken_in_the_whole_cloud(checked_azure: Azure) -> None:
    client = make_namespace(checked_azure)
    asked = client.namespaces.check_name_availability(m.CheckNameAvailabilityParameter(name=NAMESPACE.upper()))
    assert (asked.name_available, asked.reason) == (False, "NameInUse")
    free = client.namespaces.check_name_availability(m.CheckNameAvailabilityParameter(name="evhns-lpm-tdr-another"))
    assert free.name_available
    there = f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/rg-lpm-tdr-prod/providers/Microsoft.EventHub/namespaces/{NAMESPACE}"
    answer = checked_azure.call("PUT", f"{there}?api-version=2024-01-01", {"location": "westeurope"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "Conflict")


def test_hubs_and_consumer_groups_of_odd_names_are_refused(checked_azure: Azure) -> None:
    client = make_namespace(checked_azure)
    for name in ("-tdr", "tdr!", "t" * 257):
        with pytest.raises((HttpResponseError, ValueError)):
            client.event_hubs.create_or_update(
                GROUP, NAMESPACE, name, m.Eventhub(properties=m.EventhubProperties(partition_count=1))
            )
    for name in ("asa 01", ".asa", "a" * 51):
        with pytest.raises((HttpResponseError, ValueError)):
            client.consumer_groups.create_or_update(GROUP, NAMESPACE, "tdr", name, m.ConsumerGroup())
    assert list(checked_azure.hubs.held[NAMESPACE]) == ["tdr"]
    assert checked_azure.hubs.held[NAMESPACE]["tdr"].consumer_groups == ["$Default"]


def test_a_restart_finds_every_hub_that_was_made_with_its_size_and_its_groups(azure: Azure) -> None:
    client = make_namespace(azure)
    retention = m.RetentionDescription(cleanup_policy="Delete", retention_time_in_hours=12)
    client.event_hubs.create_or_update(
        GROUP,
        NAMESPACE,
        "second",
        m.Eventhub(properties=m.EventhubProperties(partition_count=7, retention_description=retention)),
    )
    client.consumer_groups.create_or_update(GROUP, NAMESPACE, "second", "asa-02", m.ConsumerGroup())
    client.event_hubs.delete(GROUP, NAMESPACE, "tdr")
    hubs = StandInHubs(azure.clock)
    build_account(azure.folder, azure.clock, hubs, {}, azure.account.authority)
    (hub,) = hubs.held[NAMESPACE].values()
    assert (hub.partition_count, hub.retention, hub.throughput_units) == (7, timedelta(hours=12), 2)
    assert hub.consumer_groups == ["$Default", "asa-02"]


def test_a_role_is_named_by_a_guid_and_never_becomes_another_one(checked_azure: Azure) -> None:
    make_namespace(checked_azure)
    name = "00000000-0000-4000-8000-0000000000f1"
    roles = f"{NAMESPACE_ID}/eventhubs/tdr/providers/Microsoft.Authorization/roleAssignments"
    body = {"roleDefinitionId": "/x/a638d3c7-ab3a-418d-83e6-5f17a39d4fde", "principalId": "p-1"}

    def put(called: str, **properties: str) -> tuple[int, str]:
        answer = checked_azure.call(
            "PUT", f"{roles}/{called}?api-version=2022-04-01", {"properties": {**body, **properties}}
        )
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    assert put("receiver") == (400, "InvalidRoleAssignmentId")
    assert put(name) == (201, "")
    assert put(name) == (201, "")
    assert put(name, principalId="p-2") == (400, "RoleAssignmentUpdateNotPermitted")
    assert put("00000000-0000-4000-8000-0000000000f2") == (409, "RoleAssignmentExists")


def test_a_category_goes_to_a_workspace_by_one_setting(checked_azure: Azure) -> None:
    make_namespace(checked_azure)
    settings = f"{NAMESPACE_ID}/providers/Microsoft.Insights/diagnosticSettings"

    def put(name: str, workspace: str, *categories: str) -> tuple[int, str]:
        logs = [{"category": category, "enabled": True} for category in categories]
        body = {"properties": {"workspaceId": f"{GROUP_ID}/x/{workspace}", "logs": logs}}
        answer = checked_azure.call("PUT", f"{settings}/{name}?api-version=2021-05-01-preview", body)
        return answer.status_code, answer.json().get("error", {}).get("message", "")

    assert put("one", "a", "DiagnosticErrorLogs")[0] == 200
    status, said = put("two", "A", "OperationalLogs", "DiagnosticErrorLogs")
    assert (status, "already used in diagnostic setting 'one' for category 'DiagnosticErrorLogs'" in said) == (
        409,
        True,
    )
    assert put("two", "a", "OperationalLogs")[0] == 200
    assert put("three", "b", "DiagnosticErrorLogs")[0] == 200
    assert put("one", "a", "DiagnosticErrorLogs", "RuntimeAuditLogs")[0] == 200
