"""The judge itself: an answer that departs from the specification is found, and every deviation that is let through has its reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.azure_specs import KNOWN_DEVIATIONS, CheckedTraffic

from .conftest import JOB_ID, Azure

ADDRESS = f"https://management.azure.com{JOB_ID}?api-version=2020-03-01"
GOOD: dict[str, Any] = {
    "id": JOB_ID,
    "name": "job",
    "type": "t",
    "location": "West Europe",
    "properties": {"jobState": "Running"},
}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({**GOOD, "properties": {"jobState": 5}}, "expected string"),
        ({**GOOD, "properties": {"compatibilityLevel": "9.9"}}, "not in enum"),
        ({**GOOD, "properties": {"createdDate": "yesterday"}}, "bad date-time"),
        ({**GOOD, "properties": {"colour": "red"}}, "undocumented property colour"),
    ],
)
def test_an_answer_that_departs_from_the_specification_is_found(answer: dict[str, Any], said: str) -> None:
    traffic = CheckedTraffic()
    traffic.check("GET", ADDRESS, None, 200, GOOD, {})
    assert traffic.issues == []
    traffic.check("GET", ADDRESS, None, 200, answer, {})
    assert said in traffic.issues[0]


def test_traffic_of_the_fixture_really_is_judged(checked_azure: Azure) -> None:
    assert checked_azure.traffic is not None
    list(checked_azure.stream_analytics().streaming_jobs.list())
    assert checked_azure.traffic.operations == {"StreamingJobs_List"}


def test_every_known_deviation_says_why() -> None:
    assert all(deviation.reason for deviation in KNOWN_DEVIATIONS)
