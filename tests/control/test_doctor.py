"""The assessment: each thing that is not as it should be is found, with what it threatens; what can't be asked is unknown; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from lpmops.config import Config, Monitor
from lpmops.control import doctor
from lpmops.control.findings import AREAS, Finding, Level
from lpmops.model import NamespaceState
from lpmops.services.sqlservers import DatabaseSettings
from tests.control.rights_world import NOW, PLACE, World, away, hanging, refused


def examine(world: World, patience: float = 30.0) -> dict[str, Finding]:
    found = doctor.examine(cast(Any, world), Config({PLACE.name: PLACE}), lambda: NOW, patience)
    assert len({finding.id for finding in found}) == len(found)
    assert all(finding.area in AREAS for finding in found)
    return {finding.id: finding for finding in found}


def test_where_everything_is_well_everything_says_so() -> None:
    found = examine(World())
    assert [finding.id for finding in found.values() if finding.level is not Level.OK] == []
    assert {finding.area for finding in found.values()} == set(AREAS) - {"machine"}


def _spot(world: World) -> None:
    world.settings["job_clusters"][0]["new_cluster"]["azure_attributes"] = {"availability": "SPOT_AZURE"}


def _trigger(world: World, seconds: int) -> None:
    world.settings["tasks"][0]["spark_python_task"]["parameters"] += ["--trigger-seconds", str(seconds)]


def _windows(world: World, late: int, order: int = 0, query: str = "") -> None:
    settings = {"eventsLateArrivalMaxDelayInSeconds": late, "eventsOutOfOrderMaxDelayInSeconds": order}
    world.job = replace(world.job, settings=settings, query=query)


def _database(world: World, **changes: Any) -> None:
    world.databases["lpm-01"] = replace(world.databases["lpm-01"], **changes)


def _no_cluster(world: World) -> None:
    world.settings = {"tasks": [{"spark_python_task": {"parameters": ["stream", "--table", "t"]}}]}


WINDOWS = "latency.windows.asa-lpm-tdr-prod-01"
# What is done to the world, which finding it must make, how bad that is, and which promise it threatens.
TROUBLES: list[tuple[Callable[[World], object], str, Level, str]] = [
    (lambda w: _trigger(w, 10), "latency.trigger", Level.WARN, "15 s"),
    (lambda w: _trigger(w, 30), "latency.trigger", Level.BAD, "60 s"),
    (lambda w: setattr(w, "stream", replace(w.stream, continuous=False)), "latency.continuous", Level.BAD, "60 s"),
    (lambda w: setattr(w, "stream", replace(w.stream, paused=True)), "latency.continuous", Level.BAD, "60 s"),
    (lambda w: setattr(w, "stream", None), "latency.job", Level.BAD, "60 s"),
    (_no_cluster, "latency.compute", Level.BAD, "60 s"),
    (_spot, "latency.compute", Level.WARN, "60 s"),
    (lambda w: setattr(w, "batch_seconds", 9.0), "latency.batch", Level.WARN, "15 s"),
    (lambda w: setattr(w, "batch_seconds", 40.0), "latency.batch", Level.BAD, "60 s"),
    (lambda w: setattr(w, "hub", replace(w.hub, partitions=32)), "latency.partitions", Level.WARN, "15 s"),
    (lambda w: _windows(w, 10), WINDOWS, Level.WARN, "15 s"),
    (lambda w: _windows(w, 40), WINDOWS, Level.BAD, "60 s"),
    (lambda w: _windows(w, -1), WINDOWS, Level.BAD, "60 s"),
    (lambda w: _windows(w, 5, 30, "SELECT * FROM hub TIMESTAMP BY at"), WINDOWS, Level.BAD, "60 s"),
    (lambda w: _database(w, status="Paused"), "latency.paused", Level.BAD, "60 s"),
    (lambda w: _database(w, auto_pause=60), "latency.auto_pause", Level.WARN, "60 s"),
    (lambda w: _database(w, tier="Standard", objective="S0"), "latency.tier", Level.WARN, "15 s"),
    (lambda w: setattr(w, "feed", replace(w.feed, kind="off")), "features.change_feed", Level.BAD, "60 s"),
    (lambda w: setattr(w, "namespace", NamespaceState("ns", "x", "Basic", 1, "Active")), "features.tier", Level.BAD, ""),
    (lambda w: setattr(w, "job", replace(w.job, output_error_policy="Drop")), "features.job.asa-lpm-tdr-prod-01", Level.WARN, ""),
    (lambda w: setattr(w, "logged", ["Execution"]), "features.diagnostics.asa-lpm-tdr-prod-01", Level.WARN, ""),
    (lambda w: setattr(w, "hub", replace(w.hub, retention=86_400.0)), "limits.hub_retention", Level.WARN, ""),
    (lambda w: setattr(w, "feed", replace(w.feed, retention=3_600.0)), "limits.feed_retention", Level.WARN, ""),
    (lambda w: setattr(w, "groups", [str(n) for n in range(19)]), "limits.consumer_groups", Level.WARN, ""),
    (lambda w: setattr(w, "groups", [str(n) for n in range(20)]), "limits.consumer_groups", Level.BAD, ""),
    (lambda w: setattr(w, "job", replace(w.job, outputs=w.job.outputs * 41)), "limits.outputs.asa-lpm-tdr-prod-01", Level.WARN, ""),
    (lambda w: setattr(w, "job", replace(w.job, outputs=w.job.outputs * 60)), "limits.outputs.asa-lpm-tdr-prod-01", Level.BAD, ""),
    (lambda w: setattr(w, "ahead", 95.0), "sign-in.clock", Level.WARN, ""),
    (lambda w: w.roles.update(job=()), "rights.asa.eventhub.receive", Level.BAD, ""),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(TROUBLES)))
def test_each_trouble_is_found_with_what_it_threatens(number: int) -> None:
    make, identifier, level, threatens = TROUBLES[number]
    world = World()
    make(world)
    found = examine(world)
    assert (found[identifier].level, found[identifier].threatens) == (level, threatens)
    assert found[identifier].evidence or found[identifier].todo or identifier == "latency.job"


def test_out_of_order_windows_cost_nothing_where_the_time_is_that_of_arrival() -> None:
    world = World()
    _windows(world, 5, 300)
    assert examine(world)[WINDOWS].level is Level.OK


def test_logs_that_nobody_can_read_are_named() -> None:
    world = World()
    world.environment = replace(PLACE, monitor=Monitor())
    assert examine(world)["reach.logs"].level is Level.WARN


def test_a_stream_that_others_deployed_is_unknown_and_not_good() -> None:
    world = World()
    world.settings["tasks"][0]["spark_python_task"]["parameters"] = []
    assert examine(world)["latency.trigger"].level is Level.UNKNOWN


@pytest.mark.parametrize("broken", ["azure", "unity", "databricks", "asa", "hub", "monitor", "servers", "sql"])
@pytest.mark.parametrize("how", [refused, away])
def test_a_service_that_is_away_leaves_the_others_judged_and_nothing_good_of_itself(
    broken: str, how: Callable[[], None]
) -> None:
    world = World()
    world.broken[broken] = how
    found = examine(world)
    unknown = {finding.area for finding in found.values() if finding.level is Level.UNKNOWN}
    assert unknown or broken in ("monitor", "hub")
    assert any(finding.level is Level.OK for finding in found.values())
    said = [finding for finding in found.values() if finding.level in (Level.UNKNOWN, Level.BAD, Level.WARN)]
    assert any("no right to ask" in text or "nobody answers" in text for finding in said for text in finding.evidence)


def test_a_rule_that_fails_leaves_the_others_judged_and_is_told_as_a_fault_to_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> Iterator[Finding]:
        answers: dict[str, Finding] = {}
        yield answers["of another shape"]

    monkeypatch.setattr(doctor, "features", fails)
    found = examine(World())
    assert found["features.judged"].level is Level.UNKNOWN
    assert "KeyError" in found["features.judged"].summary
    assert {finding.area for finding in found.values()} >= set(AREAS) - {"machine"}


def test_a_service_that_hangs_holds_nobody_up() -> None:
    world = World()
    with hanging() as hang:
        world.broken["databricks"] = hang
        found = examine(world, patience=2.0)
    assert found["reach.databricks"].level is Level.BAD
    assert found["reach.sql"].level is Level.OK
    assert found["latency.auto_pause"].level is Level.OK


def test_a_database_that_is_paused_is_told_by_its_server_and_not_woken() -> None:
    world = World()
    world.databases["lpm-01"] = DatabaseSettings("lpm-01", "Paused", "GeneralPurpose", "GP_S_Gen5_2", 60)
    found = examine(world)
    assert found["latency.paused"].threatens == "60 s"
    assert not [call for call in world.calls if call[0] == "lpm-01"]
    assert [call for call in world.calls if call[0] == "lpm-control"]


def test_an_id_that_is_not_the_pinned_one_is_bad() -> None:
    world = World()
    world.environment = replace(PLACE, tenant_id="00000000-0000-4000-8000-00000000beef")
    assert examine(world)["configuration.tenant"].level is Level.BAD
