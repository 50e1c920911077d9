"""The rendered texts, run: each event ends in exactly one place over all jobs, whatever the routes, the ids and the values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmops.config import Column, Kpi, Routing
from lpmops.routing import shards
from lpmops.routing.routes import ACTIVE, PAUSED, SETTLING_SECONDS, Route
from lpmops.routing.shards import Present, Settings
from tests.routing.hostile import ids
from tests.routing.world_of_jobs import reading, run
from tests.sandbox.asa.kit import NOON, event, events, record

COLUMNS = (
    Column("disposition", "NVARCHAR(8)"),
    Column("tries", "SMALLINT"),
    Column("count", "INT"),
    Column("price", "DECIMAL(5, 2)"),
    Column("method", "NVARCHAR(20)", "sipreq.method"),
)
SETTINGS = {
    strategy: Settings("asa-", strategy=strategy, columns=COLUMNS, kpi=Kpi(output=kpi))
    for strategy, kpi in (("reference", "control"), ("query", "company"))
}
THREE_JOBS = {
    "asa-01": Present(("lpm-01",), control=True),
    "asa-02": Present(("lpm-02",)),
    "asa-03": Present(("lpm-03",)),
}
DATABASES = ["lpm-01", "lpm-02", "lpm-03"]


def placed(found: dict[str, list[dict[str, Any]]]) -> Counter[tuple[str, str]]:
    return Counter((output, row["record_id"]) for output, rows in found.items() for row in rows if "record_id" in row)


@pytest.mark.parametrize("strategy", SETTINGS)
def test_over_three_jobs_each_record_lands_once_and_what_no_job_takes_is_unrouted_once(strategy: str) -> None:
    routes = [
        Route("1001", "", "lpm-01"), Route("1002", "", "lpm-02"), Route("1003", "", "lpm-03"), Route("1004", "", "lpm-99"),
        Route("1005", "", "lpm-02", PAUSED),
    ]  # fmt: skip
    plan = shards.plan(DATABASES, SETTINGS[strategy], routes=routes, present=THREE_JOBS)
    beat = {
        "_change_type": "heartbeat",
        "beat_id": "b",
        "_sent_at": "2026-03-02T12:00:00Z",
        "_commit_timestamp": "2026-03-02T12:00:00Z",
    }
    companies = ["1001", "1002", "1003", "1004", "1005", "1006", 1001, None]
    found = run(plan, routes, events(*(record(number, company) for number, company in enumerate(companies)), beat))

    assert placed(found) == {
        ("lpm-01", "tdr-0"): 1, ("lpm-02", "tdr-1"): 1, ("lpm-03", "tdr-2"): 1, ("unrouted", "tdr-3"): 1, ("unrouted", "tdr-4"): 1,
        ("unrouted", "tdr-5"): 1, ("lpm-01", "tdr-6"): 1, ("unrouted", "tdr-7"): 1,
    }  # fmt: skip
    assert [row["beat_id"] for row in found["heartbeat"]] == ["b"]


@settings(max_examples=5)
@given(
    st.dictionaries(ids, st.sampled_from(DATABASES), max_size=20),
    st.lists(ids, max_size=6),
    st.sampled_from(sorted(SETTINGS)),
)
def test_whatever_the_ids_each_record_lands_with_its_company_and_no_other(
    routes: dict[str, str], strangers: list[str], strategy: str
) -> None:
    given_routes = [Route(company, "", database) for company, database in routes.items()]
    bare = replace(SETTINGS[strategy], columns=(), kpi=Kpi())
    plan = shards.plan(DATABASES, bare, routes=given_routes, present=THREE_JOBS)
    companies = [*routes, *strangers]
    found = run(plan, given_routes, events(*(record(number, company) for number, company in enumerate(companies))))
    expected = {(routes.get(company, "unrouted"), f"tdr-{number}"): 1 for number, company in enumerate(companies)}
    assert placed(found) == expected


def test_a_company_on_its_way_to_another_database_lands_in_both_and_is_not_unrouted() -> None:
    routes = [Route("1001", "", "lpm-01"), Route("1002", "", "lpm-02")]
    plan = shards.plan(DATABASES, SETTINGS["reference"], routes=routes, present=THREE_JOBS)
    found = run(plan, routes, events(record(1), record(2, "1002"), record(3, tdr_id="x" * 65)), also={"1001": "lpm-03"})
    assert placed(found) == {
        ("lpm-01", "tdr-1"): 1,
        ("lpm-03", "tdr-1"): 1,
        ("lpm-02", "tdr-2"): 1,
        ("unrouted", "x" * 65): 1,
    }


TWO_JOBS = {"asa-01": Present(("lpm-01",), control=True), "asa-02": Present(("lpm-02",))}
# What happens to a company's route: at which seconds, and what it is from then on. It begins as one that nobody knows.
histories = st.lists(
    st.tuples(st.integers(-600, 600), st.sampled_from([ACTIVE, PAUSED, "removed"])), max_size=5, unique_by=itemgetter(0)
).map(sorted)


def read_at(histories: Sequence[Sequence[tuple[int, str]]], second: int) -> list[dict[str, Any]]:
    """What a job reads at a second of routes to lpm-02."""
    found = []
    for number, history in enumerate(histories):
        before = [change for change in history if change[0] <= second]
        if before:
            at, state = before[-1]
            found.append(reading(Route(str(number), "", "lpm-02", state), NOON + timedelta(seconds=at)))
    return found


@settings(max_examples=8)
@given(
    st.lists(histories, min_size=40, max_size=40),
    st.tuples(st.integers(-500, 500), st.integers(-500, 500)),
    st.lists(st.integers(0, 1_000), min_size=8, max_size=8),
)
def test_whenever_two_jobs_read_the_route_table_no_event_is_in_neither_place(
    changes: list[list[tuple[int, str]]], reads: tuple[int, int], ages: list[int]
) -> None:
    plan = shards.plan(["lpm-01", "lpm-02"], replace(SETTINGS["reference"], columns=(), kpi=Kpi()), present=TWO_JOBS)
    # No job works at an event with what it read more than two minutes before the event, but maybe long after it.
    latest = min(reads) + SETTLING_SECONDS
    moments = [latest - age for age in ages]
    sent = [
        event(record(len(moments) * number + at, str(number)), second, len(moments) * number + at)
        for number in range(len(changes))
        for at, second in enumerate(moments)
    ]
    readings = {job: read_at(changes, second) for job, second in zip(TWO_JOBS, reads, strict=True)}
    found = placed(run(plan, [], sent, readings=readings))

    assert set(found) <= {(place, f"tdr-{number}") for place in ("lpm-02", "unrouted") for number in range(len(sent))}
    assert {name for _, name in found} == {f"tdr-{number}" for number in range(len(sent))}
    for number, history in enumerate(changes):
        known = [at for at, _ in history if at <= max(reads)]
        for at, second in enumerate(moments):
            # Once a change has settled, an event is in one place alone.
            if not known or second >= known[-1] + SETTLING_SECONDS:
                assert (
                    sum((place, f"tdr-{len(moments) * number + at}") in found for place in ("lpm-02", "unrouted")) == 1
                )


def test_one_job_alone_decides_from_one_reading_and_puts_nothing_in_two_places() -> None:
    routes = [Route("1001", "", "lpm-01"), Route("1002", "", "lpm-01", PAUSED)]
    plan = shards.plan(["lpm-01"], SETTINGS["reference"], routes=routes)
    readings = {plan.shards[0].job: [reading(route, NOON) for route in routes]}
    found = run(plan, routes, events(record(1), record(2, "1002")), readings=readings)
    assert placed(found) == {("lpm-01", "tdr-1"): 1, ("unrouted", "tdr-2"): 1}


@pytest.mark.parametrize(
    ("output", "place"), [("control", ["kpi", "kpi", "kpi"]), ("company", ["kpi-lpm-01", "kpi-lpm-02", "kpi-lpm-02"])]
)
@pytest.mark.parametrize("strategy", SETTINGS)
def test_each_routed_company_is_counted_once_a_minute_over_all_jobs(
    strategy: str, output: str, place: list[str]
) -> None:
    routes = [Route("1001", "", "lpm-01"), Route("1002", "", "lpm-02"), Route("1003", "", "lpm-02")]
    plan = shards.plan(
        DATABASES, replace(SETTINGS[strategy], kpi=Kpi(output=output)), routes=routes, present=THREE_JOBS
    )
    sent = [record(1), record(2), record(3, "1002", disposition="failed"), record(4, "1003"), record(5, "9999")]
    found = run(plan, routes, events(*sent))
    counted = sorted(
        (row["company_id"], name, row["calls"], row["answered"], row["failed"])
        for name, rows in found.items()
        if name.startswith("kpi")
        for row in rows
    )
    companies = [("1001", 2, 2, 0), ("1002", 1, 0, 1), ("1003", 1, 1, 0)]
    assert counted == [(company, name, *numbers) for (company, *numbers), name in zip(companies, place, strict=True)]


UNFIT: list[dict[str, Any]] = [
    {"tdr_id": "x" * 65},
    {"tdr_id": "x" + " " * 64},
    {"tdr_id": None},
    {"_change_type": "y" * 21},
    {"_replay_id": "z" * 65},
    {"_commit_version": "v"},
    {"_commit_timestamp": "yesterday"},
    {"_sent_at": None},
]


def test_an_event_whose_keys_do_not_fit_the_landing_table_is_unrouted_and_stops_nobody() -> None:
    routes = [Route("1001", "", "lpm-01")]
    plan = shards.plan(DATABASES, SETTINGS["reference"], routes=routes, present=THREE_JOBS)
    found = run(plan, routes, events(*({**record(1), **change} for change in UNFIT), record(2)))
    assert [row["record_id"] for row in found["lpm-01"]] == ["tdr-2"]
    assert [row["record_id"] for row in found["unrouted"]] == [change.get("tdr_id", "tdr-1") for change in UNFIT]


VALUES: list[tuple[str, Any, Any]] = [
    ("disposition", "answered", "answered"), ("disposition", "answered.", None), ("disposition", "a" + " " * 9, None), ("disposition", 12, "12"),
    ("disposition", "🚑" * 4, "🚑" * 4), ("disposition", "🚑" * 5, None), ("tries", 32_767, 32_767), ("tries", 32_768, None), ("tries", "7", 7),
    ("tries", "x", None), ("count", -(2**31), -(2**31)), ("count", 2**31, None), ("price", 999.99, 999.99), ("price", 999.996, None),
    ("price", 1.256, 1.26), ("price", -1e30, None), ("method", "M" * 20, "M" * 20), ("method", "M" * 21, None), ("method", {"a": 1}, '{"a":1}'),
]  # fmt: skip


def test_a_value_that_does_not_fit_its_column_lands_as_nothing() -> None:
    routes = [Route("1001", "", "lpm-01")]
    plan = shards.plan(DATABASES, SETTINGS["reference"], routes=routes, present=THREE_JOBS)
    sent = (
        record(at, **({"sipreq": {"method": value}} if field == "method" else {field: value}))
        for at, (field, value, _) in enumerate(VALUES)
    )
    rows = run(plan, routes, events(*sent))["lpm-01"]
    assert [row[field] for row, (field, _, _) in zip(rows, VALUES, strict=True)] == [landed for *_, landed in VALUES]


def test_nested_records_and_lists_land_as_json() -> None:
    routes = [Route("1001", "", "lpm-01")]
    plan = shards.plan(DATABASES, SETTINGS["reference"], routes=routes, present=THREE_JOBS)
    [row] = run(plan, routes, events(record(1, sipreq={"via": ["a", {"b": [1, None]}], "quote": 'it\'s "so"'})))[
        "lpm-01"
    ]
    assert row["sipreq"] == '{"via":["a",{"b":[1,null]}],"quote":"it\'s \\"so\\""}'


def test_where_ids_are_numbers_one_company_is_one_however_it_is_written() -> None:
    routes = [Route("7", "", "lpm-01")]
    sent = [7, "7", "007", 7.0, " 7 ", "7x", {"a": 1}]
    for strategy in SETTINGS.values():
        numbers = replace(strategy, routing=Routing(key_type="number"))
        plan = shards.plan(DATABASES, numbers, routes=routes, present=THREE_JOBS)
        found = run(plan, routes, events(*(record(at, company) for at, company in enumerate(sent))))
        assert [(row["record_id"], row["company_id"]) for row in found["lpm-01"]] == [
            (f"tdr-{at}", "7") for at in range(5)
        ]
        assert [(row["record_id"], row["company_id"]) for row in found["unrouted"]] == [
            ("tdr-5", None),
            ("tdr-6", None),
        ]


def test_a_job_that_writes_to_no_company_database_still_takes_what_is_unrouted() -> None:
    for strategy in SETTINGS.values():
        found = run(shards.plan([], strategy), [], events(record(1)))
        assert [row["record_id"] for row in found["unrouted"]] == ["tdr-1"]
