"""Each fault alone and in pairs, seen through the collector: the first suspect is right within two looks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from lpmops.config import Thresholds
from lpmops.control.collect import Collector
from lpmops.control.diagnose import diagnose
from lpmops.control.facts import Facts
from lpmops.control.remedies import new_checkpoint
from lpmops.control.streamfailures import failure_of
from lpmops.errors import ForbiddenError, StatementError, ThrottledError
from lpmops.model import Health, HubState, Kind, Snapshot, StreamProgress, StreamRun, Suspect
from lpmops.store.proofs import OpenGap, Unreadable
from lpmops.versions import Versions
from tests.control.pretend import FAULTS, World, environment

# What comes first when two are broken: a sign-in that is over hides all, then the hops in their order, then what only blinds.
ORDER = (
    "auth.expired",
    "cdf.job_failed",
    "hub.throttled",
    "asa.stopped",
    "sql.unreachable",
    "arm.throttled",
    "arm.slow",
)


def looks(world: World, faults: Iterable[str], rounds: int = 2) -> list[Snapshot]:
    """One look on a good day, then the faults, then `rounds` looks ten seconds apart."""
    collector = Collector(world.environment, world, now=lambda: world.now)
    try:
        collector.refresh(2.0)
        world.faults |= set(faults)
        seen: list[Snapshot] = []
        for _ in range(rounds):
            world.step(10)
            seen.append(collector.refresh(0.3))
        return seen
    finally:
        collector.close()
        world.release.set()


def first(snapshot: Snapshot) -> Suspect:
    assert snapshot.suspects, f"nobody is suspected while {snapshot.health}"
    return snapshot.suspects[0]


def test_nobody_is_suspected_on_a_good_day() -> None:
    snapshot = looks(World(), ())[-1]
    assert snapshot.suspects == ()
    assert snapshot.health is Health.HEALTHY, {name: stage.reason for name, stage in snapshot.stages.items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_named_first_within_two_looks(fault: str) -> None:
    suspect = first(looks(World(), [fault])[-1])
    assert suspect.id == fault
    assert suspect.evidence
    assert suspect.next


@pytest.mark.parametrize("pair", list(itertools.combinations(FAULTS, 2)), ids="+".join)
def test_of_two_faults_the_first_hop_is_named_first(pair: tuple[str, str]) -> None:
    suspect = first(looks(World(), pair)[-1])
    # A stopped job lets no stamp land, a blind API shows no state, one that hangs does not say 429: then the one that can be seen is right.
    hidden = {"asa.stopped", "arm.slow"} & set(pair) and set(pair) <= {
        "asa.stopped",
        "hub.throttled",
        "arm.slow",
        "arm.throttled",
    }
    expected = set(pair) if hidden and pair != ("hub.throttled", "arm.slow") else {min(pair, key=ORDER.index)}
    assert suspect.id in expected, suspect


def test_a_stopped_job_comes_with_the_command_that_loses_nothing() -> None:
    suspect = first(looks(World(), ["asa.stopped"])[-1])
    assert any("--mode last-output" in step and "asa-lpm-tdr-test-01" in step for step in suspect.next)
    assert any("events wait in the hub" in evidence for evidence in suspect.evidence)


def _pause(world: World, until: timedelta | None) -> None:
    world.pauses.append(
        {
            "target": "asa-lpm-tdr-test-01",
            "reason": "database move",
            "ticket": None,
            "paused_by": "ops@lpm.example",
            "paused_at": world.now,
            "until_at": None if until is None else world.now + until,
            "operation": "op-1",
        }
    )


@pytest.mark.parametrize("until", [None, timedelta(hours=2)])
def test_a_job_that_an_operator_stopped_on_purpose_is_paused_and_nobody_is_suspected(until: timedelta | None) -> None:
    world = World()
    _pause(world, until)
    snapshot = looks(world, ["asa.stopped"])[-1]
    assert not [found for found in snapshot.suspects if found.id.startswith("asa.")]
    stage = snapshot.stages["asa"]
    assert (stage.state, stage.health) == ("paused", Health.DEGRADED)
    assert "ops@lpm.example" in stage.reason
    assert "database move" in stage.reason


def test_a_pause_that_is_over_is_a_stopped_job_again_and_says_whose_pause_it_was() -> None:
    world = World()
    _pause(world, timedelta(seconds=-1))
    snapshot = looks(world, ["asa.stopped"])[-1]
    suspect = first(snapshot)
    assert (suspect.id, snapshot.stages["asa"].state) == ("asa.stopped", "stopped")
    assert any("ops@lpm.example paused it" in said and "which is over" in said for said in suspect.evidence)


def test_a_job_that_an_operation_stopped_on_its_way_is_loud_and_says_how_to_finish_it() -> None:
    world = World()
    _pause(world, None)
    world.pauses[0] = {**world.pauses[0], "action": "asa.deploy"}
    snapshot = looks(world, ["asa.stopped"])[-1]
    suspect, stage = first(snapshot), snapshot.stages["asa"]
    assert (suspect.id, suspect.next[0]) == ("asa.stopped", "lpmops op resume op-1")
    assert any("--back-to op-1" in step for step in suspect.next)
    assert (stage.state, stage.health) == ("stopped", Health.DOWN)
    for words in (suspect.summary, stage.reason):
        assert "stopped by ops@lpm.example" in words
        assert "in operation op-1 (asa.deploy)" in words


def test_a_pause_says_nothing_of_a_job_that_runs() -> None:
    world = World()
    _pause(world, None)
    snapshot = looks(world, ())[-1]
    assert (snapshot.stages["asa"].state, snapshot.suspects) == ("running", ())


def test_a_pause_near_the_end_of_what_the_hub_keeps_is_no_quiet_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    _pause(world, None)
    monkeypatch.setattr(world, "hub", lambda: HubState("tdr", 1, 7_200.0, "Active"))
    suspect = first(looks(world, ["asa.stopped"])[-1])
    assert suspect.id == "asa.stopped"
    assert "begins to drop them in" in suspect.summary


def test_an_unreachable_database_is_named_with_its_companies_and_stream_analytics_is_not_blamed() -> None:
    snapshot = looks(World(), ["sql.unreachable"], rounds=6)[-1]
    suspect = first(snapshot)
    assert "lpm-01" in suspect.summary
    assert "County 0 (1001)" in suspect.summary
    assert "Stream Analytics itself is not the cause" in suspect.summary
    assert not [found for found in snapshot.suspects if found.id.startswith("asa.")]
    states = {route.database: route.state for route in snapshot.routes}
    assert states == {"lpm-01": "unreachable", "lpm-02": "flowing"}
    assert snapshot.health is Health.DEGRADED
    assert snapshot.stages["sql"].state == "1 of 2"


def test_companies_that_the_stream_holds_back_are_late_and_not_flowing() -> None:
    snapshot = looks(World(), ["asa.stopped"], rounds=20)[-1]
    assert {route.state for route in snapshot.routes} == {"late"}


def test_requests_throttled_minutes_ago_are_history_once_everything_is_sent_at_once() -> None:
    assert not looks(World(throttled_requests=8.0), ())[-1].suspects


def test_a_watermark_delay_of_minutes_ago_is_history_once_everything_lands() -> None:
    assert not looks(World(watermark_delay=180.0), ())[-1].suspects


def test_all_databases_gone_points_at_the_server() -> None:
    world = World()
    world.dead = {"lpm-01", "lpm-02", "lpm-control"}
    snapshot = looks(world, ())[-1]
    assert "No database of sql-lpm.example can be reached" in first(snapshot).summary
    assert snapshot.stages["sql"].health is Health.DOWN


def test_an_expired_sign_in_makes_everything_unknown_and_says_the_command() -> None:
    snapshot = looks(World(), ["auth.expired"], rounds=8)[-1]
    assert first(snapshot).next[0] == "az login --tenant T"
    assert snapshot.health is Health.UNKNOWN
    assert {stage.health for stage in snapshot.stages.values()} == {Health.UNKNOWN}


def test_a_missing_right_comes_after_trouble_with_the_stream() -> None:
    world = World()
    world.broken["jobs"] = ForbiddenError("may not read jobs", service="streamanalytics", hint="It needs Reader.")
    snapshot = looks(world, ["cdf.job_failed"])[-1]
    assert [suspect.id for suspect in snapshot.suspects] == ["cdf.job_failed", "auth.forbidden"]


def test_records_that_can_not_be_converted_block_a_job() -> None:
    world = World(conversion_errors=3.0)
    assert first(looks(world, ())[-1]).id == "asa.blocked_by_data"


def test_records_that_no_route_takes_are_counted_by_company() -> None:
    world = World()
    world.unrouted = [("9999", 12), ("8888", 1)]
    suspect = first(looks(world, ())[-1])
    assert suspect.id == "route.missing"
    assert suspect.evidence[0] == "company 9999: 12 records"


def test_a_quiet_source_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    collector = Collector(world.environment, world, now=lambda: world.now)
    quiet_table = world.table()
    monkeypatch.setattr(world, "table", lambda: quiet_table)
    world.now += timedelta(minutes=30)
    world.beat = world.enqueued_at = world.now
    snapshot = collector.refresh(2.0)
    collector.close()
    assert [suspect.id for suspect in snapshot.suspects] == ["upstream.quiet"]


@pytest.mark.parametrize(
    ("error", "suspect"),
    [
        (ThrottledError("busy (40501)", service="azuresql", status=40501), "sql.throttled"),
        (StatementError("Invalid object name 'lpm.tdr' (208)", service="azuresql", status=208), "sql.rejected"),
    ],
)
def test_a_database_that_answers_badly_is_told_from_one_that_is_gone(error: ThrottledError, suspect: str) -> None:
    world = World()
    world.broken["landed_since"] = error
    assert first(looks(world, ())[-1]).id == suspect


def test_a_busy_hub_is_known_from_its_own_words_before_any_metric_comes() -> None:
    world = World()
    world.broken["partitions"] = ThrottledError("50002", service="eventhub", status=50002)
    assert first(looks(world, ())[-1]).id == "hub.throttled"


@pytest.mark.parametrize(
    ("state", "seconds", "batch", "before", "fails"),
    [
        ("starting", 1, 20, "failed", True),
        # A cluster takes minutes to start.
        ("starting", 300, 310, "failed", True),
        ("running", 5, 20, "failed", True),
        ("running", 5, 2, "failed", False),
        ("running", 40, 45, "failed", False),
        ("stopping", 5, 20, "failed", False),
        ("starting", 1, 20, "stopped", False),
        ("running", 5, 20, "stopped", False),
        ("starting", 1, 20, None, False),
    ],
)
def test_one_look_knows_a_job_that_fails_again_and_again_while_its_next_run_begins(
    state: str, seconds: int, batch: int, before: str | None, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()

    def run() -> StreamRun:
        began = world.now - timedelta(seconds=seconds)
        former = StreamRun("77", "lpm-tdr-stream", before or "", "Task failed", "9", ended_at=began) if before else None
        return StreamRun("77", "lpm-tdr-stream", state, run_id="10", started_at=began, before=former)

    def progress() -> StreamProgress:
        return StreamProgress(world.sent_version, at=world.now - timedelta(seconds=batch))

    monkeypatch.setattr(world, "stream_run", run)
    monkeypatch.setattr(world, "progress", progress)
    snapshot = looks(world, (), 1)[-1]
    assert ("cdf.job_failed" in [suspect.id for suspect in snapshot.suspects]) is fails
    if fails:
        assert snapshot.stages["cdf"].health is Health.DOWN
        assert "Task failed" in first(snapshot).evidence


DEPLOY = "lpmops stream deploy -e test --from-version"


@pytest.mark.parametrize(
    ("error_class", "told", "steps"),
    [
        (
            "DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE",
            "gone with it, unless that is brought back",
            ("in lpmops.toml", f"{DEPLOY} 0"),
        ),
        (
            "DELTA_CHANGE_DATA_FILE_NOT_FOUND",
            "lost to the stream",
            ("lpmops cdf versions", "in lpmops.toml", f"{DEPLOY} VERSION", "lpmops reconcile"),
        ),
        ("DELTA_VERSION_NOT_FOUND", "lost to the stream", ("in lpmops.toml", "lpmops reconcile")),
        ("DELTA_LOG_FILE_NOT_FOUND_FOR_STREAMING_SOURCE", "lost to the stream", ("in lpmops.toml",)),
        ("DELTA_MISSING_CHANGE_DATA", "never recorded", ("lpmops cdf enable", f"{DEPLOY} VERSION")),
        ("DELTA_CDC_START_VERSION_AFTER_LATEST", "Nothing is lost", (f"{DEPLOY} VERSION",)),
        (
            "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE",
            "by a replay",
            (f"{DEPLOY} VERSION", "lpmops replay plan -e test --missing"),
        ),
        ("DELTA_STREAMING_INCOMPATIBLE_SCHEMA_CHANGE_USE_SCHEMA_LOG", "by a replay", (f"{DEPLOY} VERSION",)),
        ("CHECKPOINT_DAMAGED", "bring the folder offsets back", (f"{DEPLOY} 101",)),
    ],
)
def test_a_failure_that_no_restart_helps_comes_with_what_does(
    error_class: str, told: str, steps: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    message = f"[{error_class}] What it says. SQLSTATE: 55019"
    monkeypatch.setattr(world, "stream_run", lambda: StreamRun("77", "lpm-tdr-stream", "failed", message, "9"))
    monkeypatch.setattr(world, "progress", lambda: StreamProgress(100, at=world.now))
    suspect = first(looks(world, (), 1)[-1])
    assert suspect.id == "cdf.job_failed"
    assert told in suspect.summary
    assert message in suspect.evidence
    assert not any("restart" in step for step in suspect.next)
    for step in steps:
        assert any(each.startswith(step) for each in suspect.next), suspect.next


@pytest.mark.parametrize(
    "message",
    [
        "[STREAM_FAILED] Query terminated: [DELTA_CHANGE_DATA_FILE_NOT_FOUND] File x not found.",
        "[DELTA_CHANGE_DATA_FILE_NOT_FOUND.WITH_HINT] x. [STREAM_FAILED] Query terminated.",
        "[INFO_LINE] Retried. [DELTA_NEW_CLASS] ? [DELTA_CHANGE_DATA_FILE_NOT_FOUND] x [HUB_REFUSED_SIZE] y",
    ],
)
def test_of_the_classes_that_a_message_names_the_first_that_is_known_counts(message: str) -> None:
    assert failure_of(StreamRun("77", "lpm-tdr-stream", "failed", message, "9")).meaning.startswith("VACUUM")


@pytest.mark.parametrize("message", ["", "Task failed", "[STREAM_JOB_FAILED] OSError: no space", "[DELTA_NEW_CLASS] ?"])
def test_a_failure_that_nobody_knows_is_worth_a_restart(message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(world, "stream_run", lambda: StreamRun("77", "lpm-tdr-stream", "failed", message, "9"))
    suspect = first(looks(world, (), 1)[-1])
    assert "lpmops stream restart -e test" in suspect.next
    assert "none is lost" in suspect.summary


@pytest.mark.parametrize(
    ("now", "following"), [("/V/a/tdr-stream", "/V/a/tdr-stream-2"), ("/V/a/s-9/", "/V/a/s-10"), ("/V/a/s", "/V/a/s-2")]
)
def test_a_new_checkpoint_gets_the_next_name(now: str, following: str) -> None:
    world = environment()
    step = new_checkpoint(replace(world, databricks=replace(world.databricks, checkpoint=now)))
    assert step.endswith(f" {following}")


def test_hostile_names_stay_one_word_of_a_command() -> None:
    hostile = "lpm-01; rm -rf $HOME 'x"
    world = World(environment=environment(databases=(hostile,)))
    world.dead = {hostile}
    steps = first(looks(world, ())[-1]).next
    import shlex

    assert all(hostile in shlex.split(step) or hostile not in step for step in steps)
    assert any(hostile in shlex.split(step) for step in steps)


def suspects_of(*gaps: OpenGap, unreadable: tuple[Unreadable, ...]) -> dict[str, Suspect]:
    facts = Facts("test", Kind.TEST, World().now, gaps=gaps, unreadable=unreadable)
    return {each.id: each for each in diagnose(facts, environment(), Thresholds())}


def test_what_a_landing_table_keeps_once_is_not_blamed_on_versions_that_are_gone() -> None:
    gaps = (
        OpenGap("1001", Versions(3, 4), 2, 0, missing=2),
        OpenGap("1002", Versions(90, 90), 3, 1, missing=2, repairable=1),
    )
    gone = Unreadable(Versions(0, 9), "VACUUM was there.", "What remains is a load.")
    suspect = suspects_of(*gaps, unreadable=(gone,))["hub.loss"]
    assert suspect.evidence[2:] == (
        "2 of them can't be sent again",
        "versions 0:9: VACUUM was there. What remains is a load.",
        "1 of them can't be sent again: it has the key of another change, of which a landing table keeps one",
    )


def test_many_ranges_that_are_gone_are_told_by_the_first_few() -> None:
    gaps = tuple(OpenGap("1001", Versions(at, at), 1, 0, missing=1) for at in range(0, 80, 10))
    gone = tuple(Unreadable(Versions(at, at + 3), "Gone.", "A load.") for at in range(0, 80, 10))
    evidence = suspects_of(*gaps, unreadable=gone)["hub.loss"].evidence
    assert evidence[-2:] == (
        "8 of them can't be sent again",
        "versions 0:3, 10:13, 20:23, 30:33, 40:43 and 3 more: Gone. A load.",
    )
    told = tuple(replace(each, remains=f"From {each.versions.first}.") for each in gone)
    evidence = suspects_of(*gaps, unreadable=told)["hub.loss"].evidence
    assert evidence[-2:] == ("versions 40:43: Gone. From 40.", "and 3 further ranges of versions that can't be read")
