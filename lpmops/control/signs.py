"""What each kind of trouble looks like: one predicate a cause, which the health of a stage and the diagnosis both read.

Each takes the facts of one look and gives its evidence as sentences, empty where there is none. Live evidence (stamps, partition ends, states) comes
before metrics, which are one to three minutes late and always say how old they are.
"""

from __future__ import annotations

from lpmops.config import Thresholds
from lpmops.control.facts import Facts, Metric
from lpmops.control.lock import Pause
from lpmops.control.probes import SIGN_IN
from lpmops.model import StreamingJob, StreamRun

STOPPED_STATES = frozenset({"stopped", "stopping", "created", "deleting"})
FAILED_STATES = frozenset({"failed"})
WORKING_STATES = frozenset({"running"})
PASSING_STATES = frozenset({"starting", "restarting", "scaling", "degraded"})
ARM_SOURCES = ("asa.jobs", "eventhub.namespace", "eventhub.hub", "monitor.asa", "monitor.hub")
SLOW_SEND_SECONDS = 3.0
# Commits that a job may be about to read without being behind.
_VERSIONS_UNDER_WAY = 2
METRIC_LIMIT = 300.0
# A run that has stood for so long is no more taken for one that fails as the run before it did.
_SETTLED_RUN_SECONDS = 30.0
_EVENTS_PER_UNIT = (
    1_000  # a throughput unit takes 1,000 events or 1 MB a second: azure-docs/event-hubs/event-hubs-quotas
)
_THROTTLE_WORDS = ("serverbusy", "server busy", "50002", "throttl", "quotaexceeded")


def recent(facts: Facts, metric: Metric | None) -> Metric | None:
    """The metric if it is young enough to say something about now."""
    return metric if metric is not None and (facts.age(metric.at) or 0.0) <= METRIC_LIMIT else None


def seconds(value: float) -> str:
    """A span for people: 4.2 s, 38 s, 12 min, 3 h, 2 d."""
    for limit, unit, size in ((10, "s", 0), (120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if value < limit:
            return f"{value:.1f} {unit}" if size == 0 else f"{value / size:.0f} {unit}"
    return f"{value / 86_400:.0f} d"


# Delta and the streaming job -------------------------------------------------------------------------------------------


def failed_run(facts: Facts) -> StreamRun | None:
    """The run that shows that the streaming job fails: its newest, or the one before while the newest does not stand yet."""
    run = facts.run
    if run is None or run.state == "failed":
        return run
    if run.before is None or run.before.state != "failed":
        return None
    started, batch = facts.age(run.started_at), facts.age(facts.progress.at) if facts.progress is not None else None
    stands = started is None or started >= _SETTLED_RUN_SECONDS or (batch is not None and batch < started)
    begins = run.state == "starting" or (run.state == "running" and not stands)
    return run.before if begins else None


def job_failing(facts: Facts) -> list[str]:
    """The streaming job's newest run failed, or the one before did and the newest has not stood yet."""
    failed = failed_run(facts)
    if failed is None:
        return []
    when = _when(facts.age(failed.ended_at))
    said = [failed.message] if failed.message else []
    if failed is facts.run:
        return [f"the newest run of {failed.name} failed{when}", *said]
    return [f"a run of {failed.name} failed{when}, and it is being started again", *said]


def job_stopped(facts: Facts) -> list[str]:
    """The streaming job is not meant to run, or is not there."""
    run = facts.run
    words = {"stopped": "is stopped", "paused": "is paused", "absent": "does not exist", "stopping": "is stopping"}
    if run is None or run.state not in words:
        return []
    return [f"the job {run.name} {words[run.state]}{_when(facts.age(run.ended_at))}"]


def change_feed_off(facts: Facts) -> list[str]:
    """The source table records no changes."""
    if facts.table is None or facts.table.change_feed != "off":
        return []
    return [f"{facts.table.full_name} has neither delta.enableChangeDataFeed nor row tracking"]


def lagging(facts: Facts, thresholds: Thresholds) -> list[str]:
    """The streaming job runs and falls behind the table."""
    found: list[str] = []
    behind = facts.versions_behind()
    if behind is not None and behind > thresholds.versions_behind:
        found.append(f"the stream is {behind:,} versions behind the table")
    planned = facts.age(facts.progress.at) if facts.progress is not None else None
    if behind and planned is not None and planned > thresholds.latency:
        found.append(f"its newest batch is {seconds(planned)} old while {behind:,} versions wait")
    hop = facts.recent_hops.get("commit_to_sent")
    if hop is not None and hop.p95 is not None and hop.p95 > thresholds.latency / 2:
        found.append(f"records take {seconds(hop.p95)} (p95) from commit to send")
    return found


# The hub ---------------------------------------------------------------------------------------------------------------


def _takes_all(facts: Facts) -> bool:
    """Whether the hub takes at once what is sent now: then what metrics say of minutes ago is history."""
    hop, behind = facts.recent_hops.get("sent_to_enqueued"), facts.versions_behind()
    if hop is None or hop.p95 is None or behind is None:
        return False
    return hop.p95 < SLOW_SEND_SECONDS and behind <= _VERSIONS_UNDER_WAY


def throttled(facts: Facts) -> list[str]:
    """The hub takes less than what is sent."""
    found: list[str] = []
    hop = facts.recent_hops.get("sent_to_enqueued")
    if hop is not None and hop.p95 is not None and hop.p95 >= SLOW_SEND_SECONDS:
        found.append(f"events take {seconds(hop.p95)} (p95) from send to hub")
    problem = facts.problems.get("eventhub.partitions")
    if problem is not None and problem.code == "service.throttled":
        found.append(f"the hub says it is busy: {problem.message}")
    for name, metric in (("requests throttled", facts.throttled_requests), ("quota errors", facts.quota_errors)):
        young = recent(facts, metric)
        if young is not None and young.value > 0 and not _takes_all(facts):
            found.append(f"{young.value:,.0f} {name} in the minute of {young.at:%H:%M}Z")
    run = facts.run
    if (
        run is not None
        and run.message
        and any(word in run.message.lower().replace("_", "") for word in _THROTTLE_WORDS)
    ):
        found.append(f"the streaming job says: {run.message}")
    units = facts.namespace.throughput_units if facts.namespace is not None else 0
    if found and facts.hub_rate is not None and units:
        found.append(
            f"{facts.hub_rate:,.0f} events/s come in; {units} throughput units take {units * _EVENTS_PER_UNIT:,}"
        )
    return found


def lost(facts: Facts) -> list[str]:
    """Events left the hub by age before they landed."""
    gone = [lag for lag in facts.lags if lag.lost > 0]
    return [f"partition {lag.partition}: {lag.lost:,} events expired before they landed" for lag in gone]


def silent_hub(facts: Facts, thresholds: Thresholds) -> list[str]:
    """Nothing at all came into the hub, not even a heartbeat."""
    age = facts.age(facts.newest_enqueued_at())
    if age is None or age <= thresholds.heartbeat_age:
        return []
    return [f"the hub took its last event {seconds(age)} ago, though a heartbeat is due every 10 s"]


# Stream Analytics ------------------------------------------------------------------------------------------------------


def jobs_in(facts: Facts, states: frozenset[str]) -> list[StreamingJob]:
    """The routing jobs in one of those states, whatever case the service writes them in."""
    return [job for job in facts.jobs or () if job.state.lower() in states]


def paused(facts: Facts) -> dict[str, str]:
    """The stopped jobs that an operator paused for a time that is not over, with who, until when and why."""
    found: dict[str, str] = {}
    for job in jobs_in(facts, STOPPED_STATES):
        pause = facts.pauses.get(job.name)
        if pause is not None and not pause.on_the_way and (pause.until is None or pause.until > facts.taken_at):
            until = f" until {pause.until:%Y-%m-%d %H:%MZ}" if pause.until is not None else ""
            found[job.name] = f"paused by {pause.by}{until}: {pause.reason or 'no reason given'}"
    return found


def left_stopped(facts: Facts) -> dict[str, Pause]:
    """The stopped jobs that an operation stopped on its way and has not started again."""
    found: dict[str, Pause] = {}
    for job in jobs_in(facts, STOPPED_STATES):
        pause = facts.pauses.get(job.name)
        if pause is not None and pause.on_the_way:
            found[job.name] = pause
    return found


def left_words(facts: Facts, pause: Pause) -> str:
    """Who stopped a job, when, and in the course of which operation."""
    return f"stopped by {pause.by}{_when(facts.age(pause.at))} in operation {pause.operation} ({pause.action}), which has not started it again"


def seconds_kept(facts: Facts, job: StreamingJob) -> float | None:
    """Seconds until the hub begins to drop events that a stopped job has not read; negative once it does."""
    since = facts.age(job.last_output_at)
    return None if since is None or facts.hub is None else facts.hub.retention - since


def _caught_up(facts: Facts, thresholds: Thresholds) -> bool:
    """Whether what arrives now lands at once: then the long way of earlier events is history."""
    stall, lag = facts.stall(), facts.hub_lag()
    if stall is None or lag is None:
        return False
    return stall <= thresholds.latency_stretch and lag <= thresholds.hub_events_behind / 10


def waiting(facts: Facts, thresholds: Thresholds) -> list[str]:
    """Events wait between hub and databases; what metrics of minutes ago say is history once the stream has caught up."""
    if _caught_up(facts, thresholds):
        return []
    found: list[str] = []
    stall = facts.stall()
    if stall is not None and stall > thresholds.watermark_delay:
        found.append(f"the newest landed event is {seconds(stall)} older than the newest in the hub")
    hop = facts.recent_hops.get("enqueued_to_landed")
    if hop is not None and hop.p95 is not None and hop.p95 > thresholds.watermark_delay:
        found.append(f"events take {seconds(hop.p95)} (p95) from hub to database")
    lag = facts.hub_lag()
    if lag is not None and lag > thresholds.hub_events_behind:
        found.append(f"{lag:,} events in the hub have not landed")
    for name, load in facts.loads.items():
        delay = recent(facts, load.watermark_delay)
        if delay is not None and delay.value > thresholds.watermark_delay:
            found.append(f"{name}: watermark delay {seconds(delay.value)} in the minute of {delay.at:%H:%M}Z")
    return found


def saturated(facts: Facts, thresholds: Thresholds) -> list[str]:
    """The streaming units of a job are used up."""
    found: list[str] = []
    for name, load in facts.loads.items():
        units = recent(facts, load.units_percent)
        if units is not None and units.value >= thresholds.streaming_unit_percent:
            found.append(f"{name}: streaming units at {units.value:.0f} % in the minute of {units.at:%H:%M}Z")
    return found


def blocked_by_data(facts: Facts) -> list[str]:
    """A job tries a record again and again that its output can't take."""
    found: list[str] = []
    policies = {job.name: (job.output_error_policy or "Stop") for job in facts.jobs or ()}
    for name, load in facts.loads.items():
        errors = recent(facts, load.conversion_errors)
        if errors is not None and errors.value > 0 and policies.get(name, "Stop").lower() == "stop":
            found.append(
                f"{name}: {errors.value:,.0f} records could not be converted in the minute of {errors.at:%H:%M}Z, and its policy is to retry"
            )
    return found


# SQL, and seeing at all ------------------------------------------------------------------------------------------------


def databases_with(facts: Facts, *codes: str) -> list[str]:
    """The company databases whose problem is one of those."""
    problems = ((item.name, item.problem) for item in facts.databases)
    return [name for name, problem in problems if problem and problem.code in codes and problem.service != SIGN_IN]


def sources_with(facts: Facts, *codes: str) -> list[str]:
    """The sources whose problem is one of those."""
    return sorted(name for name, problem in facts.problems.items() if problem.code in codes)


def quiet(facts: Facts, thresholds: Thresholds) -> list[str]:
    """The source table itself has had no commit for a while."""
    age = facts.age(facts.table.latest_commit_at) if facts.table is not None else None
    if facts.table is None or age is None or age <= thresholds.quiet_after:
        return []
    return [f"the last commit to {facts.table.full_name} was {seconds(age)} ago"]


def _when(age: float | None) -> str:
    return "" if age is None else f" {seconds(age)} ago"
