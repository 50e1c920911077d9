"""Calls that look real, belong to nobody, and come the same way again."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.lake.records import CallRecords, ChangeBatch, Company, companies_of, day_curve

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def lived(records: CallRecords, count: int, seconds: int) -> list[ChangeBatch]:
    return [records.next_changes(count, START + timedelta(seconds=second)) for second in range(seconds)]


def test_the_same_seed_gives_the_same_records() -> None:
    one, other, different = (lived(CallRecords(seed, companies_of(5)), 40, 30) for seed in (1, 1, 2))
    assert [batch.inserts for batch in one] == [batch.inserts for batch in other]
    assert [batch.updates for batch in one] == [batch.updates for batch in other]
    assert one[0].inserts != different[0].inserts


@given(counts=st.lists(st.integers(0, 60), max_size=30), gap=st.floats(0.1, 100))
def test_a_batch_has_as_many_changes_as_asked_and_no_record_twice(counts: list[int], gap: float) -> None:
    records = CallRecords(3, companies_of(3), mean_call_seconds=10)
    now, alive = START, set[str]()
    for count in counts:
        now += timedelta(seconds=gap)
        batch = records.next_changes(count, now)
        parts = [part["tdr_id"].to_pylist() for part in (batch.inserts, batch.updates, batch.deletes)]
        assert len(batch) == count
        assert len({one for part in parts for one in part}) == count
        assert alive.isdisjoint(parts[0])
        alive |= set(parts[0])
        assert set(parts[1]) | set(parts[2]) <= alive
        alive -= set(parts[2])


def test_a_call_starts_is_answered_and_ends_in_that_order() -> None:
    states: dict[str, list[dict[str, Any]]] = {}
    records = CallRecords(5, companies_of(4), mean_call_seconds=20)
    for batch in lived(records, 60, 150):
        for row in [*batch.inserts.to_pylist(), *batch.updates.to_pylist()]:
            states.setdefault(row["tdr_id"], []).append(row)
    ended = [life for life in states.values() if life[-1]["call_ended_at"] is not None]
    assert len(ended) > 500
    for life in ended:
        last = life[-1]
        assert life[0]["disposition"] == "in_progress"
        assert last["call_started_at"] <= (last["call_answered_at"] or last["call_started_at"]) <= last["call_ended_at"]
        assert (last["disposition"] == "answered") == (last["call_answered_at"] is not None)
        assert (last["duration_seconds"] is None) == (last["call_answered_at"] is None)
        assert len(life) <= 4
    dispositions = Counter(life[-1]["disposition"] for life in ended)
    assert dispositions["answered"] > 5 * dispositions["abandoned"] > 0
    assert records.in_progress == len(states) - len(ended)


def test_nothing_in_a_record_belongs_to_anyone() -> None:
    for row in lived(CallRecords(1, companies_of(20)), 300, 1)[0].inserts.to_pylist():
        assert re.fullmatch(r"\+1-[2-9]\d\d-555-01\d\d", row["caller_number"])
        text = str(row["sipreq"])
        assert re.findall(r"\d+\.\d+\.\d+\.\d+", text)
        assert all(address.startswith("192.0.2.") for address in re.findall(r"\d+\.\d+\.\d+\.\d+", text))
        assert all(host.endswith(".example") for host in re.findall(r"@(?!192)([a-z0-9.]+)", text))
        assert row["sipreq"]["request_uri"] == "urn:service:sos"
        assert re.search(r"urn:emergency:uid:callid:[0-9a-z]{10,36}:", row["sipreq"]["call_info"][0])


def test_companies_are_uneven_and_follow_their_weights() -> None:
    counts = Counter(
        lived(CallRecords(1, [Company("big", "Big", 9.0), Company("small", "Small", 1.0)]), 4000, 1)[0]
        .inserts["info_companyid"]
        .to_pylist()
    )
    assert 6 < counts["big"] / counts["small"] < 13
    known = companies_of(300, seed=4)
    assert len({company.id for company in known}) == len({company.name for company in known}) == 300
    assert known[0].name == "Acme County 911"


def test_calls_left_over_from_an_earlier_life_end() -> None:
    records = CallRecords(1, companies_of(2))
    left = lived(records, 30, 1)[0].inserts
    closed = CallRecords(2, companies_of(2)).close(left, START + timedelta(minutes=5))
    assert closed["tdr_id"] == left["tdr_id"]
    assert "in_progress" not in closed["disposition"].to_pylist()
    assert None not in closed["call_ended_at"].to_pylist()


def test_a_day_has_the_mean_rate_and_a_quiet_night() -> None:
    minutes = [day_curve(START + timedelta(minutes=minute)) for minute in range(1440)]
    assert sum(minutes) / len(minutes) == pytest.approx(1.0, abs=0.01)
    assert min(minutes) > 0.3
    assert max(minutes) > 2 * min(minutes)


@pytest.mark.parametrize(
    "companies", [[], [Company("1", "A", -1.0)], [Company("1", "A", 0.0)], [Company("1", "A", float("nan"))]]
)
def test_companies_that_cannot_be_are_refused(companies: list[Company]) -> None:
    with pytest.raises(ValueError, match="compan"):
        CallRecords(1, companies)
