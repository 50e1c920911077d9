"""One look at an environment: what it costs, what it survives, and that every row is counted once."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmops.config import Refresh
from lpmops.control.collect import Collector
from lpmops.errors import BadAnswerError, UnreachableError
from lpmops.model import Health, PartitionState, Snapshot
from lpmops.routing.routes import SETTLING_SECONDS
from lpmops.store.connection import Store
from tests.control.pretend import World, environment


def look(world: World, store: Store | None = None, patience: float = 2.0) -> Snapshot:
    """One look by a process of its own."""
    collector = Collector(world.environment, world, store=store, now=lambda: world.now)
    try:
        return collector.refresh(patience)
    finally:
        collector.close()


def rows_in(snapshot: Snapshot) -> dict[str, int | None]:
    return {route.company_id: route.rows for route in snapshot.routes}


def truth(world: World) -> dict[str, int]:
    """Rows that are older than what the databases call settled."""
    return dict(Counter(row.company for row in world.landed if row.landed < world.now - timedelta(seconds=5)))


def test_a_look_costs_as_many_calls_for_two_thousand_companies_as_for_ten() -> None:
    few, many = (
        World(environment=environment(databases=("lpm-01",)), companies=10),
        World(environment=environment(databases=("lpm-01",)), companies=2_000, per_second=40),
    )
    first = (look(few), look(many))
    assert first[0].calls == first[1].calls
    assert (len(first[0].routes), len(first[1].routes)) == (10, 2_000)


def test_the_counts_of_a_first_look_are_whole_and_grow_by_what_lands() -> None:
    world = World()
    world.step(900)
    collector = Collector(world.environment, world, now=lambda: world.now)
    assert rows_in(collector.refresh(2.0)) == truth(world)
    for seconds in (3, 7, 61, 400):
        world.step(seconds)
        assert rows_in(collector.refresh(2.0)) == truth(world), f"after {seconds} s"
    collector.close()


def test_a_night_off_is_counted_by_the_next_process(store: Store) -> None:
    world = World()
    look(world, store)
    world.step(3_000)
    assert rows_in(look(world, store)) == truth(world)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=8))
def test_every_row_is_counted_once_whatever_the_pauses(pauses: list[int]) -> None:
    world = World()
    collector = Collector(world.environment, world, now=lambda: world.now)
    for seconds in pauses:
        world.step(seconds)
        snapshot = collector.refresh(2.0)
    collector.close()
    assert rows_in(snapshot) == {str(1001 + n): truth(world).get(str(1001 + n), 0) for n in range(world.companies)}


def test_two_processes_that_look_in_turn_count_every_row_once(store: Store) -> None:
    world = World()
    one = Collector(world.environment, world, store=store, now=lambda: world.now)
    two = Collector(world.environment, world, store=store, now=lambda: world.now)
    for turn in range(6):
        world.step(10)
        (one, two)[turn % 2].refresh(2.0)
    one.refresh(2.0)
    assert rows_in(one.refresh(2.0)) == truth(world)
    one.close()
    two.close()


def test_deleted_rows_lead_to_a_new_count() -> None:
    world = World()
    world.step(600)
    collector = Collector(world.environment, world, refresh=Refresh(slow_interval=0.0), now=lambda: world.now)
    collector.refresh(2.0)
    world.landed = world.landed[-100:]
    collector.refresh(2.0)
    assert {company: rows for company, rows in rows_in(collector.refresh(2.0)).items() if rows} == truth(world)
    collector.close()


def test_a_database_that_a_colleague_brought_on_is_looked_at_by_everybody(store: Store) -> None:
    world = World(environment=environment(databases=("lpm-01",)), added_databases=["lpm-09"])
    world.step(60)
    look(world, store)
    collector = Collector(world.environment, world, store=store, now=lambda: world.now)
    # The next process knows of it from its first look on.
    snapshot = collector.refresh(2.0)
    assert {route.database for route in snapshot.routes if route.state == "flowing"} == {"lpm-01", "lpm-09"}
    assert rows_in(snapshot) == truth(world)
    assert snapshot.stages["sql"].state == "2 of 2"
    collector.close()


def test_a_control_database_from_before_there_were_such_databases_is_fine() -> None:
    world = World(missing={"company_databases"})
    world.step(60)
    assert look(world).health is Health.HEALTHY


def test_records_of_a_company_that_is_paused_are_not_missed() -> None:
    world = World(states={"1002": "paused"}, unrouted=[("1002", 40)])
    world.step(60)
    snapshot = look(world)
    assert (snapshot.health, [suspect.id for suspect in snapshot.suspects]) == (Health.HEALTHY, [])
    world.unrouted.append(("7777", 1))
    assert [suspect.id for suspect in look(world).suspects] == ["route.missing"]


def test_a_company_whose_route_has_just_changed_is_not_missed_until_every_job_must_know_of_it() -> None:
    world = World(unrouted=[("1002", 40)])
    world.step(60)
    world.changed["1002"] = world.now - timedelta(seconds=SETTLING_SECONDS - 1)
    snapshot = look(world)
    assert (snapshot.health, [suspect.id for suspect in snapshot.suspects]) == (Health.HEALTHY, [])
    world.changed["1002"] = world.now - timedelta(seconds=SETTLING_SECONDS)
    assert [suspect.id for suspect in look(world).suspects] == ["route.missing"]


def test_latency_is_measured_by_hop_and_company() -> None:
    snapshot = look(World())
    assert snapshot.latency.p50 == pytest.approx(4.1, abs=0.1)
    assert snapshot.latency.hops["commit_to_sent"].p50 == pytest.approx(3.0, abs=0.1)
    assert snapshot.latency.hops["sent_to_enqueued"].p95 == pytest.approx(0.3, abs=0.02)
    assert snapshot.latency.hops["enqueued_to_landed"].p99 == pytest.approx(0.8, abs=0.02)
    assert all(route.latency_p95 == pytest.approx(4.1, abs=0.1) for route in snapshot.routes)
    # Companies that share a database share its window, which the first look fills with the last five minutes.
    assert sum(route.rows_per_minute or 0.0 for route in snapshot.routes) == pytest.approx(230 / 295 * 60, rel=0.01)


def test_replays_and_clocks_that_disagree_are_unknown_latencies_not_good_ones() -> None:
    world = World()
    world.landed = [
        replace(row, replay=index % 2 == 0, committed=row.landed + timedelta(seconds=9))
        for index, row in enumerate(world.landed)
    ]
    snapshot = look(world)
    assert snapshot.latency.p50 is None
    assert snapshot.latency.events > 0


def test_what_could_not_be_read_is_unknown_and_never_zero() -> None:
    world = World()
    for source in (
        "table",
        "run",
        "progress",
        "partitions",
        "namespace",
        "hub",
        "jobs",
        "metrics",
        "routes",
        "heartbeat",
        "landed_since",
    ):
        world.broken[source] = UnreachableError(f"{source} is away", service="x")
    snapshot = look(world)
    for stage in snapshot.stages.values():
        assert stage.lag is None, stage
        assert stage.rate is None, stage
        assert stage.health in (Health.UNKNOWN, Health.DOWN), stage
    assert snapshot.heartbeat_age is None
    assert snapshot.latency.p50 is None
    assert snapshot.routes == ()


def test_an_answer_of_another_shape_or_a_bug_in_a_service_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(world, "table", lambda: 1 / 0)
    world.broken["jobs"] = BadAnswerError("the answer is HTML", service="streamanalytics")
    snapshot = look(world)
    assert snapshot.stages["cdf"].health is Health.UNKNOWN
    assert "ZeroDivisionError" in snapshot.stages["cdf"].reason
    assert snapshot.stages["asa"].reason == "the answer is HTML"
    assert snapshot.stages["sql"].health is Health.HEALTHY


def test_a_database_that_hangs_delays_no_other() -> None:
    databases = tuple(f"lpm-{number:02d}" for number in range(1, 21))
    world = World(environment=environment(databases=databases), companies=20)
    world.hanging = {"landed_since:lpm-03"}
    began = time.monotonic()
    snapshot = look(world, patience=0.5)
    assert time.monotonic() - began < 2.0
    assert snapshot.stages["sql"].state == "19 of 20"
    assert {route.database for route in snapshot.routes if route.state == "unreachable"} == {"lpm-03"}
    world.release.set()


def test_a_source_that_hangs_is_not_asked_again_until_it_ends() -> None:
    world = World()
    world.faults = {"arm.slow"}
    collector = Collector(world.environment, world, now=lambda: world.now)
    for _ in range(4):
        collector.refresh(0.05)
    assert world.asked["jobs"] == 1
    world.faults = set()
    world.release.set()
    deadline = time.monotonic() + 5
    while collector.refresh(0.2).stages["asa"].health is not Health.HEALTHY:
        assert time.monotonic() < deadline
    collector.close()


def test_retry_after_is_honoured() -> None:
    world = World()
    world.faults = {"arm.throttled"}
    collector = Collector(world.environment, world, now=lambda: world.now)
    for _ in range(3):
        collector.refresh(0.5)
    collector.close()
    assert world.asked["jobs"] == 1


def test_the_routes_of_the_last_look_stand_in_when_the_control_database_is_away(store: Store) -> None:
    world = World()
    look(world, store)
    world.dead = {"lpm-control"}
    snapshot = look(world, store)
    assert [route.company for route in snapshot.routes] == ["County 0", "County 1", "County 2", "County 3"]
    assert snapshot.health is Health.DEGRADED
    assert "control database" in snapshot.stages["sql"].reason


def test_events_that_expired_before_they_landed_are_called_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.faults = {"asa.stopped"}
    world.beat = None
    world.step(30)
    monkeypatch.setattr(
        world, "partitions", lambda: (PartitionState("0", world.sequence - 10, world.sequence, world.now, False),)
    )
    monkeypatch.setattr(
        world, "_heartbeat", lambda *_: [{"server_time": world.now, "hub_partition": None, "hub_sequence": None}]
    )
    snapshot = look(world)
    assert snapshot.suspects[0].id == "hub.loss"
    assert snapshot.suspects[0].next == ("lpmops reconcile -e test",)
    assert snapshot.stages["eventhub"].health is Health.DOWN


def test_an_unknown_job_state_is_shown_and_called_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    jobs = world.jobs()
    monkeypatch.setattr(world, "jobs", lambda: (replace(jobs[0], state="Hibernating"),))
    snapshot = look(world)
    assert snapshot.stages["asa"].health is Health.UNKNOWN
    assert "Hibernating" in snapshot.stages["asa"].reason


def test_a_server_clock_that_differs_is_shown_and_counts_nothing_twice() -> None:
    world = World()
    ahead = timedelta(minutes=8)
    collector = Collector(world.environment, world, now=lambda: world.now + ahead)
    for _ in range(4):
        world.step(20)
        snapshot = collector.refresh(2.0)
    collector.close()
    skew = next(reading for reading in snapshot.stages["sql"].readings if reading.name == "clock_skew")
    assert skew.value == pytest.approx(-480.0, abs=1)
    assert rows_in(snapshot) == truth(world)


def test_closing_does_not_wait_for_calls_that_hang() -> None:
    world = World()
    world.hanging = {"table", "partitions", "heartbeat", "routes"}
    collector = Collector(world.environment, world, now=lambda: world.now)
    collector.refresh(0.05)
    began = time.monotonic()
    collector.close()
    assert time.monotonic() - began < 0.5
    world.release.set()
