"""How each stage and the environment are: every rule of health in one place, pure, from the facts of one look.

Unknown is an answer of its own: a stage that could not be read, or was read too long ago, is never called healthy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lpmops.config import Thresholds
from lpmops.control import signs
from lpmops.control.facts import Facts
from lpmops.control.probes import Problem
from lpmops.model import STAGES, Health, Reading, Stage, to_data

_BEATS_MISSED_SECONDS = 15.0
_WORST_FIRST = (Health.DOWN, Health.DEGRADED, Health.UNKNOWN, Health.HEALTHY)


def stages(facts: Facts, thresholds: Thresholds) -> dict[str, Stage]:
    """All stages, in the order that a record passes them."""
    found = (_cdf(facts, thresholds), _eventhub(facts, thresholds), _asa(facts, thresholds), _sql(facts))
    assert tuple(stage.name for stage in found) == STAGES
    return {stage.name: stage for stage in found}


def overall(facts: Facts, by_stage: Mapping[str, Stage], thresholds: Thresholds) -> Health:
    """The environment: as its worst stage; degraded at best where records come late, heartbeats fail to arrive, no route takes a record, or one is
    known to be lost that can be sent again.
    """
    worst = worst_of(stage.health for stage in by_stage.values())
    late = facts.recent_hops.get("total")
    if late is not None and late.p95 is not None and late.p95 > thresholds.latency:
        worst = worst_of((worst, Health.DEGRADED))
    beat = facts.heartbeat.age if facts.heartbeat is not None else None
    if (beat is not None and beat > thresholds.heartbeat_age) or (
        facts.unrouted is not None and facts.unrouted.events > 0
    ):
        worst = worst_of((worst, Health.DEGRADED))
    # What nothing brings back is no reason to call anybody again.
    if any(gap.repairable for gap in facts.gaps):
        worst = worst_of((worst, Health.DEGRADED))
    return worst


def worst_of(healths: Iterable[Health]) -> Health:
    """The worst of several; unknown where there is none."""
    found = set(healths)
    return next((health for health in _WORST_FIRST if health in found), Health.UNKNOWN)


def _because(problems: Iterable[Problem | None], otherwise: str) -> str:
    return next((problem.message for problem in problems if problem is not None), otherwise)


def _cdf(facts: Facts, thresholds: Thresholds) -> Stage:
    table, run, progress = facts.table, facts.run, facts.progress
    behind = facts.versions_behind()
    readings: list[Reading] = []
    if table is not None:
        readings.append(Reading("latest_version", table.latest_version, "version", facts.taken_at, "databricks"))
        readings.append(Reading("commit_age", facts.age(table.latest_commit_at), "s", facts.taken_at, "databricks"))
        readings.append(Reading("change_feed", table.change_feed, "", facts.taken_at, "databricks"))
    if progress is not None:
        readings.append(Reading("stream_version", progress.version, "version", progress.at, "databricks"))
        readings.append(Reading("batch_seconds", progress.batch_seconds, "s", progress.at, "databricks"))
        readings.append(Reading("backlog", progress.backlog_bytes, "bytes", progress.at, "databricks"))
    if run is not None:
        readings.append(Reading("job", run.state, "", facts.taken_at, "databricks"))
    state = run.state if run is not None else "unknown"
    rate = progress.input_rate if progress is not None else None

    def stage(health: Health, state: str, reason: str = "") -> Stage:
        lag = None if behind is None else float(behind)
        return Stage("cdf", health, state, reason, lag, "versions", rate, tuple(readings))

    if off := signs.change_feed_off(facts):
        return stage(Health.DOWN, "disabled", off[0])
    if failing := signs.job_failing(facts):
        return stage(Health.DOWN, "failed", failing[0])
    if stopped := signs.job_stopped(facts):
        return stage(Health.DOWN, state, stopped[0])
    if run is None or table is None:
        sources = ("databricks.run", "databricks.table", "credential")
        return stage(Health.UNKNOWN, state, _because(map(facts.problems.get, sources), "it could not be read yet"))
    if late := signs.lagging(facts, thresholds):
        return stage(Health.DEGRADED, "lagging", late[0])
    if state != "running":
        return stage(Health.DEGRADED if state == "starting" else Health.UNKNOWN, state, run.message)
    return stage(Health.HEALTHY, state)


def _eventhub(facts: Facts, thresholds: Thresholds) -> Stage:
    lag = facts.hub_lag()
    readings: list[Reading] = []
    if facts.namespace is not None:
        readings.append(
            Reading("throughput_units", facts.namespace.throughput_units, "units", facts.taken_at, "resource manager")
        )
    if facts.hub is not None:
        readings.append(Reading("retention", facts.hub.retention, "s", facts.taken_at, "resource manager"))
    if facts.partitions is not None:
        readings.append(Reading("partitions", len(facts.partitions), "partitions", facts.taken_at, "eventhub"))
        readings.append(Reading("event_age", facts.age(facts.newest_enqueued_at()), "s", facts.taken_at, "eventhub"))
    for name, metric in (("throttled_requests", facts.throttled_requests), ("quota_errors", facts.quota_errors)):
        if metric is not None:
            readings.append(Reading(name, metric.value, "per minute", metric.at, "monitor"))

    def stage(health: Health, state: str, reason: str = "") -> Stage:
        return Stage(
            "eventhub",
            health,
            state,
            reason,
            None if lag is None else float(lag),
            "events",
            facts.hub_rate,
            tuple(readings),
        )

    if gone := signs.lost(facts):
        return stage(Health.DOWN, "losing events", gone[0])
    if busy := signs.throttled(facts):
        return stage(Health.DEGRADED, "throttled", busy[0])
    if facts.partitions is None:
        sources = ("eventhub.partitions", "eventhub.hub", "credential")
        return stage(Health.UNKNOWN, "unknown", _because(map(facts.problems.get, sources), "it could not be read yet"))
    if silence := signs.silent_hub(facts, thresholds):
        return stage(Health.DEGRADED, "silent", silence[0])
    if lag is not None and lag > thresholds.hub_events_behind:
        return stage(Health.DEGRADED, "filling", f"{lag:,} events have not landed")
    return stage(Health.HEALTHY, "active")


def _asa(facts: Facts, thresholds: Thresholds) -> Stage:
    readings: list[Reading] = []
    for job in facts.jobs or ():
        readings.append(Reading(f"{job.name}.state", job.state, "", facts.jobs_at, "resource manager"))
        readings.append(
            Reading(f"{job.name}.streaming_units", job.streaming_units, "units", facts.jobs_at, "resource manager")
        )
        if job.state.lower() in signs.STOPPED_STATES:
            kept = signs.seconds_kept(facts, job)
            readings.append(Reading(f"{job.name}.events_kept", kept, "s", facts.jobs_at, "resource manager"))
    for name, why in signs.paused(facts).items():
        readings.append(Reading(f"{name}.pause", why, "", facts.taken_at, "azuresql"))
    rate: float | None = None
    for name, load in facts.loads.items():
        values = [
            ("watermark_delay", load.watermark_delay, "s"),
            ("units_percent", load.units_percent, "%"),
            ("backlog", load.backlog, "events"),
            ("errors", load.errors, "per minute"),
            ("conversion_errors", load.conversion_errors, "per minute"),
        ]
        readings += [
            Reading(f"{name}.{what}", metric.value, unit, metric.at, "monitor")
            for what, metric, unit in values
            if metric is not None
        ]
        if (events := signs.recent(facts, load.output_events)) is not None:
            rate = (rate or 0.0) + events.value / 60
    lag = _asa_lag(facts)

    def stage(health: Health, state: str, reason: str = "") -> Stage:
        return Stage("asa", health, state, reason, lag, "s", rate, tuple(readings))

    if facts.jobs is None:
        return stage(
            Health.UNKNOWN,
            "unknown",
            _because(map(facts.problems.get, ("asa.jobs", "credential")), "it could not be read yet"),
        )
    if not facts.jobs:
        return stage(Health.DOWN, "absent", "there is no job with the configured prefix")
    paused, stopped = signs.paused(facts), signs.jobs_in(facts, signs.STOPPED_STATES)
    if stopped and len(paused) == len(stopped) and not signs.jobs_in(facts, signs.FAILED_STATES):
        # Somebody meant it so: nothing is broken, and nothing flows.
        return stage(Health.DEGRADED, "paused", "; ".join(f"{name} is {why}" for name, why in paused.items()))
    if left := signs.left_stopped(facts):
        why = "; ".join(f"{name} was {signs.left_words(facts, pause)}" for name, pause in left.items())
        first = next(iter(left.values()))
        return stage(Health.DOWN, "stopped", f"{why}: lpmops op resume {first.operation}")
    for states, health in (
        (signs.FAILED_STATES, Health.DOWN),
        (signs.STOPPED_STATES, Health.DOWN),
        (signs.PASSING_STATES, Health.DEGRADED),
    ):
        if found := signs.jobs_in(facts, states):
            return stage(
                health,
                found[0].state.lower(),
                f"{_names(job.name for job in found)} {'is' if len(found) == 1 else 'are'} {found[0].state.lower()}",
            )
    if strange := [job for job in facts.jobs if job.state.lower() not in signs.WORKING_STATES]:
        return stage(
            Health.UNKNOWN, strange[0].state.lower(), f"{strange[0].name} is in the unknown state {strange[0].state}"
        )
    if late := signs.waiting(facts, thresholds):
        return stage(Health.DEGRADED, "behind", late[0])
    if full := signs.saturated(facts, thresholds):
        return stage(Health.DEGRADED, "saturated", full[0])
    return stage(Health.HEALTHY, "running")


def _asa_lag(facts: Facts) -> float | None:
    """Seconds from hub to database: as measured on what landed, unless so long has nothing landed that more than a heartbeat is missing."""
    stall, hop = facts.stall(), facts.recent_hops.get("enqueued_to_landed")
    if stall is not None and (stall > _BEATS_MISSED_SECONDS or hop is None or hop.p50 is None):
        return stall
    return hop.p50 if hop is not None and hop.p50 is not None else facts.worst_watermark()


def _sql(facts: Facts) -> Stage:
    total, unreachable = len(facts.databases), facts.unreachable()
    reachable = sum(item.reachable is True for item in facts.databases)
    rows = [item.rows for item in facts.databases if item.rows is not None]
    readings = [
        Reading("databases", total, "databases", facts.taken_at, "configuration"),
        Reading("reachable", reachable, "databases", facts.taken_at, "azuresql"),
    ]
    if rows:
        readings.append(Reading("rows", sum(rows), "rows", facts.taken_at, "azuresql"))
    if facts.clock_skew is not None:
        readings.append(Reading("clock_skew", facts.clock_skew, "s", facts.taken_at, "azuresql"))
    if facts.heartbeat is not None:
        readings.append(Reading("heartbeat_age", facts.heartbeat.age, "s", facts.taken_at, "azuresql"))

    readings += _proven(facts)

    def stage(health: Health, reason: str = "") -> Stage:
        lag = facts.age(facts.newest_landed_at())
        return Stage("sql", health, f"{reachable} of {total}", reason, lag, "s", facts.landed_rate, tuple(readings))

    if unreachable:
        who = _names(item.name for item in unreachable)
        return stage(Health.DOWN if len(unreachable) == total else Health.DEGRADED, f"{who} can't be reached")
    refusing = [item for item in facts.databases if item.reachable is True and item.problem is not None]
    if refusing:
        return stage(
            Health.DEGRADED, f"{refusing[0].name}: {refusing[0].problem.message}" if refusing[0].problem else ""
        )
    if reachable < total or not total:
        problems = [item.problem for item in facts.databases]
        return stage(
            Health.UNKNOWN, _because([*problems, facts.problems.get("credential")], "they could not be read yet")
        )
    control = facts.problems.get("control.heartbeat") or facts.problems.get("control.routes")
    if control is not None:
        return stage(Health.DEGRADED, f"the control database: {control.message}")
    return stage(Health.HEALTHY)


def _proven(facts: Facts) -> Iterator[Reading]:
    """How far what landed is proven to be what was committed, as the last turn of reconciling found it."""
    standing = facts.standing
    if standing is None:
        return
    at = standing.at
    if standing.proven is not None:
        yield Reading("proven_from", standing.proven.first, "version", at, "reconcile")
        yield Reading("proven_to", standing.proven.last, "version", at, "reconcile")
        yield Reading("missing", standing.missing, "changes", at, "reconcile")
        yield Reading("missing_companies", standing.companies, "companies", at, "reconcile")
    if standing.next_at is not None:
        yield Reading("next_reconcile_at", to_data(standing.next_at), "", at, "reconcile")
    yield Reading("reconcile_statements", standing.statements, "statements", at, "reconcile")
    yield Reading("reconcile_seconds", standing.seconds, "s", at, "reconcile")
    yield Reading("reconcile", standing.words, "", at, "reconcile")


def _names(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
