"""Which versions can be replayed: recorded, and certainly still there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lpmops.actions import cdf
from lpmops.cli.cdf import _version_lines
from lpmops.model import Commit, FeedState

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
# One commit a day, the newest an hour old.
COMMITS = [Commit(20 - age, NOW - DAY * age - timedelta(hours=1), "WRITE", age) for age in range(15)]
FEED = FeedState(
    kind="delta",
    latest_version=20,
    latest_commit_at=COMMITS[0].at,
    table_id="t",
    first_version=8,
    first_commit_at=NOW - DAY * 12 - timedelta(hours=1),
    retention=7 * 86_400.0,
)


def test_a_version_is_certain_while_its_files_are_kept_then_may_be_gone_and_before_the_feed_is_not_recorded() -> None:
    found = cdf.versions(FEED, COMMITS, "a.b.c", NOW)
    states = {item["version"]: item["replay"] for item in found["versions"]}
    assert [states[version] for version in (20, 14, 13, 8, 7)] == [
        *("certain", "certain", "may be gone", "may be gone", "not recorded"),
    ]
    assert (found["from_version"], found["to_version"]) == (14, 20)
    assert found["from_at"] == "2026-11-16T12:00:00.000Z"
    assert found["versions"][0]["lasts_until"] == "2026-11-30T11:00:00.000Z"
    assert "from version 14 to version 20" in _version_lines(found)[0]


def test_a_young_feed_can_be_replayed_from_its_first_version_however_few_are_listed() -> None:
    young = replace(FEED, first_version=17, first_commit_at=COMMITS[3].at)
    assert cdf.versions(young, COMMITS[:2], "a.b.c", NOW)["from_version"] == 17


def test_what_is_older_than_the_list_is_not_guessed() -> None:
    found = cdf.versions(FEED, COMMITS[:3], "a.b.c", NOW)
    assert (found["from_version"], found["from_at"]) == (None, "2026-11-16T12:00:00.000Z")
    assert "a version older than these" in _version_lines(found)[0]


@pytest.mark.parametrize("kind", ["off", "automatic"])
def test_a_table_without_a_feed_has_nothing_to_replay(kind: str) -> None:
    found = cdf.versions(replace(FEED, kind=kind, first_version=None, first_commit_at=None), COMMITS, "a.b.c", NOW)
    assert {item["replay"] for item in found["versions"]} == (
        {"not recorded"} if kind == "off" else {"certain", "may be gone"}
    )
    assert (found["to_version"] is None) == (kind == "off")
    assert ("lpmops cdf enable" in _version_lines(found)[0]) == (kind == "off")


def test_an_unknown_retention_makes_nothing_certain() -> None:
    found = cdf.versions(replace(FEED, retention=None), COMMITS, "a.b.c", NOW)
    assert {item["replay"] for item in found["versions"]} == {"unknown", "not recorded"}
    assert (found["from_version"], found["versions"][0]["lasts_until"]) == (None, None)
