"""The query that routes records to company databases, whole: routes, strangers, heartbeats, counts, and ids that mean harm."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.asa import Executor, compile_query
from tests.sandbox.asa.kit import NOON, OUTPUTS, ROUTES, ROUTING, compiled, event, events, record, rows

BEAT = {
    "_change_type": "heartbeat",
    "beat_id": "b-1",
    "_sent_at": "2026-03-02T11:59:59Z",
    "_commit_version": 7,
    "_commit_timestamp": "2026-03-02T11:59:58Z",
}


@pytest.fixture
def routing() -> Executor:
    executor = Executor(compile_query(ROUTING, {"tdr-hub": "stream", "route": "reference"}, OUTPUTS))
    executor.set_reference("route", ROUTES)
    return executor


def test_each_record_goes_to_its_company_and_nowhere_else(routing: Executor) -> None:
    made = routing.process(events(record(1), record(2, "1002"), record(3, "9999"), BEAT, record(4)))

    assert [row["record_id"] for row in rows(made, "lpm-01")] == ["tdr-1", "tdr-4"]
    assert [row["record_id"] for row in rows(made, "lpm-02")] == ["tdr-2"]
    assert [row["record_id"] for row in rows(made, "unrouted")] == ["tdr-3"]
    assert [row["beat_id"] for row in rows(made, "heartbeat")] == ["b-1"]


def test_a_landed_row_carries_its_stamps_and_its_sip_request_as_json(routing: Executor) -> None:
    [row] = rows(routing.process([event(record(1), sequence=77, partition=3)]), "lpm-01")

    assert (row["hub_partition"], row["hub_sequence"], row["commit_version"]) == (3, 77, 1)
    assert (
        row["sipreq"] == '{"method":"INVITE","call_id":"sip-1","via":["SIP/2.0/TLS 192.0.2.1","SIP/2.0/TLS 192.0.2.2"]}'
    )
    assert (row["sip_call_id"], row["sip_method"], row["first_via"]) == ("sip-1", "INVITE", "SIP/2.0/TLS 192.0.2.1")


def test_a_route_added_to_the_reference_data_is_followed_by_the_next_batch(routing: Executor) -> None:
    before = routing.process(events(record(1, "1003")))
    routing.set_reference("route", [*ROUTES, {"company_id": "1003", "database_name": "lpm-02"}])
    after = routing.process(events(record(2, "1003")))

    assert list(before) == ["unrouted"]
    assert list(after) == ["lpm-02"]


def test_a_number_for_a_company_id_is_the_same_company(routing: Executor) -> None:
    assert list(routing.process(events(record(1, 1001)))) == ["lpm-01"]


def test_a_record_without_a_company_is_unrouted(routing: Executor) -> None:
    missing = record(2)
    del missing["info_companyid"]

    made = routing.process(events(record(1, None), missing))

    assert [row["company_id"] for row in rows(made, "unrouted")] == [None, None]


def test_without_routes_nothing_is_lost() -> None:
    executor = Executor(compile_query(ROUTING, {"tdr-hub": "stream", "route": "reference"}, OUTPUTS))

    assert [row["record_id"] for row in rows(executor.process(events(record(1))), "unrouted")] == ["tdr-1"]


def test_counts_are_per_company_and_minute(routing: Executor) -> None:
    long = record(2, duration_seconds=22.5)
    open_ = record(3, disposition="in_progress", duration_seconds=None)
    routing.process(
        [event(record(1), 1), event(long, 2), event(open_, 3), event(record(4, "1002"), 59), event(BEAT, 30)]
    )

    found = rows(routing.advance(NOON + timedelta(minutes=1)), "kpi")

    assert [
        (row["company_id"], row["calls"], row["answered"], row["mean_duration_seconds"], row["p95_duration_seconds"])
        for row in found
    ] == [
        ("1001", 3, 2, 17.5, 22.0),
        ("1002", 1, 1, 12.5, 12.5),
    ]


def test_a_join_may_stand_in_any_statement_and_types_must_agree() -> None:
    query = """SELECT h.a, r.* INTO out FROM hub h JOIN route r ON h.a = r.[key]
        SELECT h.a, r.name INTO other FROM hub h LEFT JOIN route r ON h.a = r.[key] AND r.name <> 'two'"""
    executor = Executor(compiled(query, references=["route"]))
    executor.set_reference(
        "route",
        [
            {"key": 1, "name": "one"},
            {"key": 1, "name": "uno"},
            {"key": 2, "name": "two"},
            {"key": None, "name": "none"},
        ],
    )

    made = executor.process(events({"a": 1}, {"a": "1"}, {"a": 2}, {"a": None}))

    assert [(row["a"], row["key"], row["name"]) for row in rows(made)] == [(1, 1, "one"), (1, 1, "uno"), (2, 2, "two")]
    assert [(row["a"], row["name"]) for row in rows(made, "other")] == [
        (1, "one"),
        (1, "uno"),
        ("1", None),
        (2, None),
        (None, None),
    ]


_HOSTILE = ("1001", "'; DROP TABLE route --", "%", "1001 ", "１００１", "\x00", "]]", "null")


@given(st.lists(st.one_of(st.text(), st.sampled_from(_HOSTILE)), min_size=1, max_size=12))
def test_no_company_id_lands_with_another_company(ids: list[str]) -> None:
    executor = Executor(compile_query(ROUTING, {"tdr-hub": "stream", "route": "reference"}, OUTPUTS))
    executor.set_reference("route", ROUTES)

    made = executor.process(events(*(record(number, one) for number, one in enumerate(ids))))

    landed: list[Any] = [row["record_id"] for row in rows(made, "lpm-01")]
    assert landed == [f"tdr-{number}" for number, one in enumerate(ids) if one == "1001"]
    assert sum(len(batch.rows) for batch in made.values()) == len(ids)
    executor.close()
