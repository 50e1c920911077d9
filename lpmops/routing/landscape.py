"""What an environment is made of in Azure, as values: each resource that is wanted, and how it is held against what is there.

Everything follows from the configuration and from which consumer group each job reads with. Bodies are as Resource Manager takes them (Event Hubs
2024-01-01, Stream Analytics 2020-03-01, Insights 2021-05-01-preview, Authorization 2022-04-01). What a job reads, writes and asks is not said here:
that is its deployment (`job`). Nothing here is ever deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lpmops.config import Environment
from lpmops.routing.fields import Rules
from lpmops.routing.job import jobs_needed

RECEIVER = ("a638d3c7-ab3a-418d-83e6-5f17a39d4fde", "Azure Event Hubs Data Receiver")
SENDER = ("2b629674-e913-4c01-ae53-ef4638d8f975", "Azure Event Hubs Data Sender")
SETTING = "lpmops"
# Beside a job's key, which the service never shows, stands the fingerprint of what was written last.
KEY_TAG = "lpmops-storage-key"
# The most consumer groups of a hub and throughput (or processing) units of a namespace, by tier (azure-docs/event-hubs/event-hubs-quotas).
GROUPS_AT_MOST = {"Standard": 20, "Premium": 100}
UNITS_AT_MOST = {"Standard": 40, "Premium": 16}
PARTITIONS_AT_MOST = {"Standard": 32, "Premium": 100}
DAYS_AT_MOST = {"Standard": 7, "Premium": 90}
_PRINCIPALS = {"user": "User", "group": "Group", "service": "ServicePrincipal"}
# What the specifications say of names; a namespace's may be 6 to 50 long.
_NAMES = {
    "eventhub.namespace": (r"[a-zA-Z][a-zA-Z0-9-]{4,48}[a-zA-Z0-9]", "6 to 50 letters, digits and dashes, a letter first"),
    "eventhub.hub": (r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,254}[a-zA-Z0-9])?", "1 to 256 letters, digits, dots, dashes, underscores"),
    "eventhub.consumer_group": (r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,48}[a-zA-Z0-9])?", "1 to 50 letters, digits, dots, dashes"),
    "streamanalytics.job_prefix": (r"[a-zA-Z0-9_-]{1,61}", "1 to 61 letters, digits, dashes and underscores"),
}  # fmt: skip
_NAMESPACE_RULES = Rules(
    defaults={"minimumTlsVersion": "1.2", "isAutoInflateEnabled": False, "maximumThroughputUnits": 0},
    regions=frozenset({"location"}),
    fixed={
        "location": "a namespace stays in the region it was made in: another one takes a new namespace",
        "sku.name": "a namespace of one tier can't become one of another: that takes a new namespace",
        "sku.tier": "a namespace of one tier can't become one of another: that takes a new namespace",
    },
)
_HUB_RULES = Rules(
    fixed={
        "partitionCount": "the number of a hub's partitions is for life, as keys would move: another one takes a new hub",
        "retentionDescription.cleanupPolicy": "a hub that keeps the newest of each key can't become one that keeps all for a while",
    },
)
_JOB_RULES = Rules(
    names=frozenset({"accountName"}),
    regions=frozenset({"location"}),
    write_only=frozenset({"accountKey"}),
    fixed={"location": "a job stays in the region it was made in: another one takes a new job"},
)
_SETTING_RULES = Rules(names=frozenset({"workspaceId"}), contains=frozenset({"logs"}))
# The logs without which nobody can say what went wrong.
_NAMESPACE_LOGS, _JOB_LOGS = ("DiagnosticErrorLogs",), ("Authoring", "Execution")


class Kind(StrEnum):
    """The kinds of resources."""

    NAMESPACE = "namespace"
    HUB = "hub"
    GROUP = "consumer group"
    JOB = "job"
    ROLE = "role"
    SETTING = "diagnostic setting"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One resource as it should be.

    `key` begins the dotted names of its fields, `names` are those along its path. `scope` is the key of what a role or a diagnostic setting is of,
    `holder` the key of the job whose identity a role is for; a role of a known principal has it in its body. `jobs` is the job that it is for, with
    its consumer group, where it is for one.
    """

    key: str
    kind: Kind
    names: tuple[str, ...]
    title: str
    body: Mapping[str, Any]
    rules: Rules = field(default_factory=Rules)
    scope: str = ""
    holder: str = ""
    jobs: Mapping[str, str] = field(default_factory=dict)


def region(environment: Environment) -> str:
    """Where the namespace is to be."""
    return environment.eventhub.region or environment.streamanalytics.region


def job_groups(environment: Environment, present: Mapping[str, str]) -> dict[str, str]:
    """The jobs there should be, each with its consumer group: those that are present, and as many more as the databases are planned to take."""
    found = dict(present)
    taken = {name.lower() for name in present}
    number = 1
    while len(found) < jobs_needed(len(environment.sql.databases)):
        name = f"{environment.streamanalytics.job_prefix}{number:02}"
        if name.lower() not in taken:
            found[name] = f"asa-{number:02}"
        number += 1
    return dict(sorted(found.items()))


def wanted(environment: Environment, jobs: Mapping[str, str], workspace: str, key: str = "") -> tuple[Wanted, ...]:
    """Every resource in the order in which they are made; `jobs` by name with their consumer groups, `workspace` is an id, empty for no logs.

    `key` is the fingerprint of the storage account's key, where the jobs reach it by one.
    """
    hub = _hub(environment)
    people = environment.eventhub.consumer_group
    of_jobs = {group: name for name, group in jobs.items()}
    found = [_namespace(environment), hub]
    found += [_group(hub, group, {name: group}) for group, name in of_jobs.items()]
    found += [] if people in of_jobs else [_group(hub, people, {})]
    found += [_job(environment, name, key, {name: group}) for name, group in jobs.items()]
    found += [_role(hub, name, RECEIVER, {name: group}) for name, group in jobs.items()]
    for role, principals in ((SENDER, environment.eventhub.senders), (RECEIVER, environment.eventhub.receivers)):
        found += [_role(hub, who, role, {}) for who in dict.fromkeys(who.lower() for who in principals)]
    if workspace:
        found.append(
            _setting("namespace", environment.eventhub.namespace_name, workspace, _NAMESPACE_LOGS, {}, dedicated=True)
        )
        found += [_setting(f"jobs.{name}", name, workspace, _JOB_LOGS, {name: group}) for name, group in jobs.items()]
    return tuple(found)


def _namespace(environment: Environment) -> Wanted:
    wish, name = environment.eventhub, environment.eventhub.namespace_name
    properties: dict[str, Any] = {"minimumTlsVersion": "1.2"}
    inflates = wish.maximum_throughput_units > 0
    if wish.tier == "Standard":
        properties |= {"isAutoInflateEnabled": inflates, "maximumThroughputUnits": wish.maximum_throughput_units}
    body = {
        "location": region(environment),
        "sku": {"name": wish.tier, "tier": wish.tier, "capacity": wish.throughput_units},
        "properties": properties,
    }
    rules = _NAMESPACE_RULES
    if inflates:
        # The service has raised it where it is more, and never lowers it by itself.
        rules = Rules(rules.defaults, rules.names, rules.regions, frozenset({"sku.capacity"}), fixed=rules.fixed)
    return Wanted("namespace", Kind.NAMESPACE, (name,), f"namespace {name}", body, rules)


def _hub(environment: Environment) -> Wanted:
    wish = environment.eventhub
    body = {
        "properties": {
            "partitionCount": wish.partitions,
            "retentionDescription": {"cleanupPolicy": "Delete", "retentionTimeInHours": wish.retention_days * 24},
        }
    }
    return Wanted("hub", Kind.HUB, (environment.eventhub.namespace_name, wish.hub), f"hub {wish.hub}", body, _HUB_RULES)


def _group(hub: Wanted, name: str, jobs: Mapping[str, str]) -> Wanted:
    return Wanted(
        f"consumer_groups.{name}",
        Kind.GROUP,
        (*hub.names, name),
        f"consumer group {name}",
        {"properties": {}},
        jobs=jobs,
    )


def _job(environment: Environment, name: str, key: str, jobs: Mapping[str, str]) -> Wanted:
    properties: dict[str, Any] = {"sku": {"name": "Standard"}}
    body: dict[str, Any] = {
        "location": environment.streamanalytics.region,
        "identity": {"type": "SystemAssigned"},
        "properties": properties,
    }
    if key:
        account = environment.streamanalytics.storage_account
        properties["jobStorageAccount"] = {"accountName": account, "authenticationMode": "ConnectionString"}
        body["tags"] = {KEY_TAG: key}
    return Wanted(f"jobs.{name}", Kind.JOB, (name,), f"job {name}", body, _JOB_RULES, jobs=jobs)


def _role(hub: Wanted, who: str, role: tuple[str, str], jobs: Mapping[str, str]) -> Wanted:
    identifier, title = role
    body: dict[str, Any] = {"roleDefinitionId": identifier, "principalType": "ServicePrincipal"}
    holder = f"jobs.{who}" if jobs else ""
    if not holder:
        kind, _, principal = who.partition(":")
        body |= {"principalType": _PRINCIPALS[kind], "principalId": principal.lower()}
    verb = title.rpartition(" ")[2].lower()
    key, said = f"roles.{who}.{verb}", f"{title} for {who} on the hub"
    return Wanted(key, Kind.ROLE, (), said, body, scope=hub.key, holder=holder, jobs=jobs)


def _setting(
    scope: str, name: str, workspace: str, logs: Sequence[str], jobs: Mapping[str, str], *, dedicated: bool = False
) -> Wanted:
    properties: dict[str, Any] = {
        "workspaceId": workspace,
        "logs": [{"category": category, "enabled": True} for category in logs],
    }
    if dedicated:
        properties["logAnalyticsDestinationType"] = "Dedicated"
    key, said = f"diagnostics.{name if jobs else scope}", f"logs of {name} to Log Analytics"
    return Wanted(key, Kind.SETTING, (SETTING,), said, {"properties": properties}, _SETTING_RULES, scope, jobs=jobs)


def fields(kind: Kind, document: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared of a resource, as asked for or as shown: of a diagnostic setting the logs that are on, of a job where it is and as whom."""
    if kind in (Kind.ROLE, Kind.GROUP):
        return {}
    if kind is Kind.JOB:
        # Its other settings, its query and its size are the matter of its deployment.
        described = {name: document.get(name) for name in ("location", "identity")}
        account = (document.get("properties") or {}).get("jobStorageAccount")
        key = (document.get("tags") or {}).get(KEY_TAG)
        return {**described, "jobStorageAccount": {**account, "accountKey": key}} if account else described
    if kind is not Kind.SETTING:
        return dict(document)
    properties = document.get("properties") or {}
    on = [log for log in properties.get("logs") or [] if log.get("enabled")]
    logs = {str(log["category"]) for log in on if log.get("category")}
    if any(str(log.get("categoryGroup")).lower() == "alllogs" for log in on):
        logs |= {*_NAMESPACE_LOGS, *_JOB_LOGS}
    shown: dict[str, Any] = {"workspaceId": properties.get("workspaceId"), "logs": sorted(logs)}
    # What the service keeps only for some tables it shows as null for the others.
    if properties.get("logAnalyticsDestinationType"):
        shown["logAnalyticsDestinationType"] = properties["logAnalyticsDestinationType"]
    return shown


def merged(item: Wanted, live: Mapping[str, Any] | None) -> dict[str, Any]:
    """The body of a write that makes `live` as wanted and leaves all else as it is; of what is not there, the whole."""
    if item.kind is Kind.JOB and live is not None and "tags" in item.body:
        return {**_copy(item.body), "tags": {**(live.get("tags") or {}), **item.body["tags"]}}
    if live is None or item.kind not in (Kind.HUB, Kind.SETTING):
        return _copy(item.body)
    properties, there = _copy(item.body["properties"]), live.get("properties") or {}
    if item.kind is Kind.HUB:
        kept = {name: there[name] for name in ("captureDescription", "userMetadata") if there.get(name) is not None}
        return {"properties": {**kept, **properties}}
    names = (
        "storageAccountId",
        "eventHubAuthorizationRuleId",
        "eventHubName",
        "metrics",
        "logAnalyticsDestinationType",
    )
    kept = {name: there[name] for name in names if there.get(name) is not None}
    wished = {log["category"] for log in properties["logs"]}
    others = [log for log in there.get("logs") or [] if log.get("category") not in wished]
    return {"properties": {**kept, **properties, "logs": [*properties["logs"], *others]}}


def complaints(environment: Environment, groups: int) -> list[str]:
    """What Azure would refuse of the configuration: names, numbers beyond the tier's; `groups` is how many consumer groups the hub would have."""
    wish, found = environment.eventhub, list[str]()
    tier = wish.tier
    values = {
        "eventhub.namespace": environment.eventhub.namespace_name,
        "eventhub.hub": wish.hub,
        "eventhub.consumer_group": wish.consumer_group,
        "streamanalytics.job_prefix": environment.streamanalytics.job_prefix,
    }
    for key, (pattern, words) in _NAMES.items():
        if not re.fullmatch(pattern, values[key]):
            found.append(f"{key} is no name that Azure takes: {words}.")
    limits = (
        ("throughput_units", wish.throughput_units, UNITS_AT_MOST[tier]),
        ("maximum_throughput_units", wish.maximum_throughput_units, UNITS_AT_MOST[tier]),
        ("partitions", wish.partitions, PARTITIONS_AT_MOST[tier]),
        ("retention_days", wish.retention_days, DAYS_AT_MOST[tier]),
    )
    found += [
        f"eventhub.{name} is {value}; the tier {tier} takes {most} at most."
        for name, value, most in limits
        if value > most
    ]
    if groups > GROUPS_AT_MOST[tier]:
        found.append(
            f"The hub would have {groups} consumer groups; the tier {tier} takes {GROUPS_AT_MOST[tier]}: fewer jobs, or another hub."
        )
    return found


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _copy(value) if isinstance(value, Mapping) else list(value) if isinstance(value, list) else value
        for name, value in values.items()
    }
