"""Which job writes to which database: what stays, what comes where, how much room is left, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.config import Kpi
from lpmops.routing import shards
from lpmops.routing.job import jobs_needed
from lpmops.routing.routes import PAUSED, Route
from lpmops.routing.shards import Present, Settings, ShardPlan

SETTINGS = Settings("asa-lpm-")
BY_QUERY = replace(SETTINGS, strategy="query")


def names(count: int, start: int = 1) -> list[str]:
    return [f"lpm-{number:03}" for number in range(start, start + count)]


def as_present(plan: ShardPlan) -> dict[str, Present]:
    return {one.job: Present(one.share.databases, one.share.control, one.consumer_group) for one in plan.shards}


def homes(plan: ShardPlan) -> dict[str, str]:
    return {name: one.job for one in plan.shards for name in one.share.databases}


def test_one_job_takes_thirty_seven_databases_beside_what_only_one_job_has() -> None:
    plan = shards.plan(names(37), SETTINGS)
    [only] = plan.shards
    assert (only.job, only.consumer_group, len(only.outputs), only.room) == ("asa-lpm-01", "asa-01", 40, 0)
    assert plan.head_room()["asa-lpm-01"] == "40 of 40 outputs planned"


def test_the_thirty_eighth_makes_a_second_job_with_a_consumer_group_of_its_own() -> None:
    plan = shards.plan(names(38), SETTINGS)
    assert [(one.job, one.consumer_group, one.share.databases) for one in plan.shards[1:]] == [
        ("asa-lpm-02", "asa-02", ("lpm-038",))
    ]
    assert [one.share.control for one in plan.shards] == [True, False]
    assert plan.room == 39 + 16 * 40


@given(
    st.integers(0, 120), st.integers(0, 60), st.sampled_from([SETTINGS, replace(SETTINGS, kpi=Kpi(output="company"))])
)
def test_no_database_moves_and_no_job_changes_its_part_because_others_came(
    before: int, more: int, settings: Settings
) -> None:
    first = shards.plan(names(before), settings)
    later = shards.plan(names(before + more), settings, present=as_present(first))
    assert homes(first).items() <= homes(later).items()
    assert [one.job for one in later.shards if one.share.control] == [
        one.job for one in first.shards if one.share.control
    ]
    assert all(len(one.outputs) <= shards.OUTPUTS_PLANNED for one in later.shards)


@given(st.permutations(names(45)))
def test_the_order_in_which_databases_are_named_changes_nothing(order: list[str]) -> None:
    assert shards.plan(order, SETTINGS) == shards.plan(names(45), SETTINGS)


def test_a_database_that_is_gone_leaves_the_others_where_they_are() -> None:
    first = shards.plan(names(45), SETTINGS)
    later = shards.plan(names(45)[5:], SETTINGS, present=as_present(first))
    assert homes(later) == {name: job for name, job in homes(first).items() if name in names(45)[5:]}


def test_the_job_that_has_the_unrouted_output_keeps_it() -> None:
    present = {"asa-lpm-01": Present(("lpm-001",)), "asa-lpm-02": Present(("lpm-002",), control=True)}
    plan = shards.plan(names(2), SETTINGS, present=present)
    assert [one.share.control for one in plan.shards] == [False, True]


def test_counts_in_each_company_database_cost_an_output_more_for_each() -> None:
    plan = shards.plan(names(2), replace(SETTINGS, kpi=Kpi(output="company")))
    assert plan.shards[0].outputs == ("lpm-001", "lpm-002", "kpi-lpm-001", "kpi-lpm-002", "unrouted", "heartbeat")
    assert plan.room == 17 + 17 * 20


def test_jobs_that_exist_are_filled_to_the_hard_cap_where_none_may_come_and_then_it_is_refused() -> None:
    there = {"asa-lpm-01": Present(tuple(names(37)), True, "asa-01")}
    fixed = replace(SETTINGS, jobs_may_come=False)
    crowded = shards.plan(names(57), fixed, present=there)
    assert crowded.refusals == ()
    assert crowded.warnings == ("asa-lpm-01 will have 60 outputs; from 40 on a small job may not start.",)
    [refusal] = shards.plan(names(58), fixed, present=there).refusals
    assert "would have 61 outputs; Stream Analytics takes 60" in refusal
    assert "no job asa-lpm-01" in shards.plan(names(1), fixed).refusals[0]


def test_more_jobs_than_the_hub_has_consumer_groups_are_refused() -> None:
    jobs = {f"asa-lpm-{number:02}": Present((f"lpm-{number:03}",), number == 1) for number in range(1, 20)}
    [refusal] = shards.plan(names(19), SETTINGS, present=jobs).refusals
    assert "19 jobs read the hub" in refusal
    assert "room for 18" in refusal


def test_jobs_that_read_more_than_the_namespace_lets_out_are_refused() -> None:
    tight = replace(SETTINGS, ingress=1_500_000.0, throughput_units=1.0)
    plan = shards.plan(names(38), tight)
    assert plan.head_room()["egress"] == "3.0 of 2.0 MB/s"
    assert "2 jobs read 3.0 MB/s between them, and 1 throughput units let out 2.0 MB/s" in plan.refusals[0]
    assert shards.plan(names(37), tight).refusals == ()


def test_a_text_longer_than_stream_analytics_takes_is_refused() -> None:
    routes = [Route(f"company-{number:055}", "", "lpm-001") for number in range(8_000)]
    [refusal] = shards.plan(["lpm-001"], BY_QUERY, routes=routes).refusals
    assert "Stream Analytics takes 512,000" in refusal


@pytest.mark.parametrize("name", ["unrouted", "Heartbeat", "KPI", "tdr-hub", "", " lpm", "lpm\0", "x" * 129])
def test_a_database_that_could_not_be_an_output_is_refused_with_the_reason(name: str) -> None:
    assert "can't be written to" in shards.plan([name, "lpm-001"], SETTINGS).refusals[0]


def test_two_outputs_of_one_name_are_refused() -> None:
    plan = shards.plan(["lpm-001", "kpi-lpm-001"], replace(SETTINGS, kpi=Kpi(output="company")))
    assert "two outputs named 'kpi-lpm-001'" in plan.refusals[0]


def test_a_company_that_is_routed_twice_or_by_an_impossible_id_is_refused() -> None:
    routes = [Route("1001", "A", "lpm-001"), Route("1001", "B", "lpm-002"), Route(" 7", "C", "lpm-001")]
    refusals = shards.plan(names(2), SETTINGS, routes=routes).refusals
    assert "' 7' can't be routed: it begins or ends with a blank" in refusals[0]
    assert "'1001' is routed twice" in refusals[1]


def test_ids_that_look_alike_are_pointed_out() -> None:
    plan = shards.plan(names(1), SETTINGS, routes=[Route("ACME", "", "lpm-001"), Route("АСМЕ", "", "lpm-001")])
    assert "look alike" in plan.warnings[0]


def test_companies_whose_database_nobody_writes_are_counted_and_paused_ones_are_not() -> None:
    routes = [Route("1", "", "lpm-009"), Route("2", "", "lpm-009"), Route("3", "", "lpm-008", PAUSED)]
    assert shards.plan(names(1), SETTINGS, routes=routes).lost == {"lpm-009": 2}


@pytest.mark.parametrize("databases", [0, 1, 37, 38, 77, 78, 200])
def test_as_many_jobs_are_made_as_are_planned(databases: int) -> None:
    assert jobs_needed(databases) == len(shards.plan(names(databases), SETTINGS).shards)
