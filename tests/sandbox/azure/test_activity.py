"""The activity log: what passed Resource Manager, read back through the official client."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from lpmops.sandbox.azure.activity import Happening

from .conftest import GROUP, JOB_ID, NAMESPACE_ID, OTHER_SUBSCRIPTION, Azure
from .test_stream_analytics import make_job


def since(azure: Azure, **ago: float) -> str:
    return f"eventTimestamp ge '{(azure.clock.now() - timedelta(**ago)).isoformat()}'"


def listed(azure: Azure, filter_text: str, **options: Any) -> list[Any]:
    return list(azure.monitor().activity_logs.list(filter=filter_text, **options))


def test_a_write_is_an_entry_once_it_has_arrived_and_a_read_is_none(checked_azure: Azure) -> None:
    make_job(checked_azure)
    assert checked_azure.call("GET", f"{JOB_ID}?api-version=2020-03-01").status_code == 200
    checked_azure.clock.advance(61)
    entries = listed(checked_azure, f"{since(checked_azure, hours=1)} and resourceGroupName eq '{GROUP}'")
    newest, *_, first = entries
    assert first.operation_name.value == "Microsoft.StreamAnalytics/streamingjobs/Write"
    assert first.operation_name.localized_value == "Write Stream Analytics Job"
    assert (first.status.value, first.level, first.caller) == ("Succeeded", "Informational", "operator")
    assert first.resource_id.lower() == JOB_ID.lower()
    assert first.event_timestamp < first.submission_timestamp
    assert newest.event_timestamp >= first.event_timestamp
    assert not [entry for entry in entries if entry.operation_name.value.lower().endswith("/read")]


def test_a_refused_write_is_an_entry_that_failed(checked_azure: Azure) -> None:
    make_job(checked_azure)
    checked_azure.stream_analytics().streaming_jobs.begin_start(GROUP, JOB_ID.rpartition("/")[2], polling=False)
    assert checked_azure.call("POST", f"{JOB_ID}/start?api-version=2020-03-01").status_code == 409
    assert checked_azure.call("DELETE", f"{NAMESPACE_ID}?api-version=2024-01-01").status_code == 404
    checked_azure.clock.advance(61)
    failed = listed(checked_azure, f"{since(checked_azure, hours=1)} and status eq 'Failed'")
    assert [(entry.sub_status.value, entry.resource_id.lower()) for entry in failed] == [
        ("NotFound", NAMESPACE_ID.lower()),
        ("Conflict", JOB_ID.lower()),
    ]
    (only,) = listed(checked_azure, f"{since(checked_azure, hours=1)} and resourceUri eq '{NAMESPACE_ID}'")
    assert only.event_data_id == failed[0].event_data_id


def test_a_long_log_comes_in_pages_and_only_of_its_subscription(checked_azure: Azure) -> None:
    for number in range(450):
        checked_azure.account.activity.write(
            Happening(JOB_ID, "Send Events", "Failed", "Error", properties={"Message": str(number)})
        )
    elsewhere = (
        f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/rg-lpm-tdr-prod/providers/Microsoft.EventHub/namespaces/x"
    )
    checked_azure.account.activity.write(Happening(elsewhere, "Send Events", "Failed"))
    checked_azure.clock.advance(61)
    entries = listed(checked_azure, since(checked_azure, hours=1), select="eventTimestamp,properties")
    assert [entry.properties["Message"] for entry in entries] == [str(number) for number in reversed(range(450))]
    assert entries[0].caller is None
    assert isinstance(entries[0].event_timestamp, datetime)


@pytest.mark.parametrize(
    "filter_text",
    [
        "",
        "resourceGroupName eq 'x'",
        "eventTimestamp ge 'soon'",
        "eventTimestamp eq '2026-11-02'",
        "colour eq 'red'",
        "eventTimestamp ge '2026-11-02' or 1",
    ],
)
def test_a_filter_without_its_time_or_with_unknown_parts_is_refused(azure: Azure, filter_text: str) -> None:
    with pytest.raises(HttpResponseError) as refused:
        listed(azure, filter_text)
    assert refused.value.status_code == 400
