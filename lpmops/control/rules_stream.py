"""The rules for what carries the records: the streaming job, the hub, Stream Analytics and its routes."""

from __future__ import annotations

from lpmops.control import remedies, signs
from lpmops.control.case import BEHIND, CAUSE, NAMED, Case, Found, behind, database_trouble, unique
from lpmops.control.streamfailures import failure_of, place_of
from lpmops.model import Confidence, StreamingJob, Suspect

# A pause that comes this near to the hub's retention is no quiet matter any more, in seconds.
_LAST_HOURS = 24 * 3_600.0


def streaming_job(case: Case) -> Found:
    """The change feed, and the job that reads it."""
    facts, environment = case.facts, case.environment
    job_id = facts.run.job_id if facts.run is not None else None
    if evidence := signs.change_feed_off(facts):
        summary = "The source table records no changes, so nothing can be sent. What changed while it was off is not in the feed."
        yield (
            CAUSE,
            Suspect(
                "cdf.disabled",
                "cdf",
                Confidence.SURE,
                summary,
                tuple(evidence),
                (remedies.enable_feed(environment), remedies.look(environment)),
            ),
        )
    if (failed := signs.failed_run(facts)) is not None:
        failure, evidence = failure_of(failed), signs.job_failing(facts)
        summary = f"The streaming job {environment.databricks.job} fails: {failure.meaning} {failure.fate}"
        steps = failure.steps(place_of(environment, failed, facts.progress))
        yield CAUSE, Suspect("cdf.job_failed", "cdf", Confidence.SURE, summary, (*evidence, *behind(facts)), steps)
    elif evidence := signs.job_stopped(facts):
        summary = f"The streaming job {environment.databricks.job} does not run: changes wait in the table."
        steps = (remedies.start_stream(environment), remedies.list_runs(job_id), remedies.watch(environment))
        yield CAUSE, Suspect("cdf.job_stopped", "cdf", Confidence.SURE, summary, (*evidence, *behind(facts)), steps)
    elif (
        (evidence := signs.lagging(facts, case.thresholds))
        and not signs.throttled(facts)
        and not signs.change_feed_off(facts)
    ):
        summary = f"The streaming job {environment.databricks.job} runs and falls behind the table."
        look = (remedies.list_runs(job_id), remedies.watch(environment))
        yield BEHIND, Suspect("cdf.lagging", "cdf", Confidence.LIKELY, summary, tuple(evidence), look)
    elif (silence := signs.silent_hub(facts, case.thresholds)) and facts.run is not None and not signs.throttled(facts):
        summary = (
            f"The streaming job {environment.databricks.job} is said to run, and sends nothing, not even heartbeats."
        )
        yield (
            BEHIND,
            Suspect(
                "cdf.lagging",
                "cdf",
                Confidence.POSSIBLE,
                summary,
                tuple(silence),
                (remedies.list_runs(job_id), remedies.restart_stream(environment)),
            ),
        )


def hub(case: Case) -> Found:
    """What the hub lost, and whether it takes what is sent."""
    facts, environment = case.facts, case.environment
    if evidence := signs.lost(facts):
        old = facts.hub is not None and (facts.age(facts.landed_enqueued_at) or 0.0) > facts.hub.retention
        summary = "The hub dropped events by age before they landed: they must be replayed from the table."
        known = any(gap.repairable for gap in facts.gaps)
        steps = (*((remedies.plan_replay(environment),) if known else ()), remedies.reconcile(environment))
        yield (
            CAUSE,
            Suspect(
                "hub.loss",
                "eventhub",
                Confidence.SURE if old else Confidence.LIKELY,
                summary,
                tuple(evidence),
                steps,
            ),
        )
    if evidence := signs.throttled(facts):
        summary = (
            "The hub throttles its senders: its throughput units are used up, so the streaming job is told to wait."
        )
        steps = (remedies.add_throughput(environment, facts.namespace), remedies.watch(environment))
        confidence = Confidence.SURE if len(evidence) > 1 else Confidence.LIKELY
        yield CAUSE, Suspect("hub.throttled", "eventhub", confidence, summary, (*evidence, *behind(facts)), steps)


def stream_analytics(case: Case) -> Found:
    """Jobs that do not run, and jobs that run and fall behind for a reason of their own."""
    facts, environment = case.facts, case.environment
    lag = facts.hub_lag()
    waits = (f"{lag:,} events wait in the hub",) if lag else ()
    stopped, failed = signs.jobs_in(facts, signs.STOPPED_STATES), signs.jobs_in(facts, signs.FAILED_STATES)
    for job in failed:
        summary = f"The Stream Analytics job {job.name} failed: it reads nothing until somebody starts it again."
        steps = (
            remedies.show_job(environment, job.name),
            remedies.activity(environment, job.name),
            remedies.start_job(environment, job.name),
        )
        yield (
            CAUSE,
            Suspect("asa.failed", "asa", Confidence.SURE, summary, (f"its state is {job.state}", *waits), steps),
        )
    paused, left = signs.paused(facts), signs.left_stopped(facts)
    for job in stopped:
        since, kept = facts.age(job.last_output_at), signs.seconds_kept(facts, job)
        if job.name in paused and (kept is None or kept > _LAST_HOURS):
            continue
        evidence = (
            f"its state is {job.state}",
            *_pause_words(case, job),
            *((f"its last output was {signs.seconds(since)} ago",) if since is not None else ()),
            *waits,
        )
        keeps = f" The hub keeps them for {signs.seconds(facts.hub.retention)}." if facts.hub is not None else ""
        summary = f"The Stream Analytics job {job.name} is stopped: events wait in the hub.{keeps}"
        if kept is not None and kept <= _LAST_HOURS:
            gone = "has begun to drop them" if kept <= 0 else f"begins to drop them in {signs.seconds(kept)}"
            summary = f"The Stream Analytics job {job.name} is stopped: events wait in the hub, which {gone}."
        first: tuple[str, ...] = (remedies.start_job(environment, job.name),)
        if (pause := left.get(job.name)) is not None:
            summary = f"The Stream Analytics job {job.name} was {signs.left_words(facts, pause)}: finish it or go back. Events wait in the hub."
            first = remedies.finish(environment, pause.operation)
        following = (*first, remedies.activity(environment, job.name), remedies.watch(environment))
        yield CAUSE, Suspect("asa.stopped", "asa", Confidence.SURE, summary, evidence, following)
    if facts.jobs is not None and not facts.jobs:
        summary = f"There is no Stream Analytics job whose name begins with {environment.streamanalytics.job_prefix}."
        ways = (remedies.provision(environment), remedies.look(environment))
        yield CAUSE, Suspect("asa.stopped", "asa", Confidence.SURE, summary, waits, ways)
    if not failed and not stopped and (facts.jobs is None or facts.jobs):
        yield from _asa_behind(case, waits)


def _pause_words(case: Case, job: StreamingJob) -> tuple[str, ...]:
    pause = case.facts.pauses.get(job.name)
    if pause is None:
        return ()
    if pause.on_the_way:
        return (signs.left_words(case.facts, pause),)
    until = f" until {pause.until:%Y-%m-%d %H:%MZ}" if pause.until is not None else ""
    over = ", which is over" if pause.until is not None and pause.until <= case.facts.taken_at else ""
    return (f"{pause.by} paused it{until}{over}: {pause.reason or 'no reason given'}",)


def _asa_behind(case: Case, waits: tuple[str, ...]) -> Found:
    facts, environment = case.facts, case.environment
    late = signs.waiting(facts, case.thresholds)
    if data := signs.blocked_by_data(facts):
        summary = "Records that their output can't take block a Stream Analytics job: it tries them again and again, and all others wait."
        steps = tuple(remedies.show_job(environment, job.name) for job in (facts.jobs or ())[:2])
        yield (
            CAUSE if late else BEHIND,
            Suspect("asa.blocked_by_data", "asa", Confidence.LIKELY, summary, (*data, *late), steps),
        )
        return
    if database_trouble(facts):
        return
    jobs = facts.jobs
    if jobs is None:
        if late and "asa.jobs" in facts.problems and not facts.pauses:
            summary = "Events wait in the hub and all databases answer, so Stream Analytics is stopped or behind; its state can't be read now."
            yield (
                BEHIND,
                Suspect(
                    "asa.stopped",
                    "asa",
                    Confidence.POSSIBLE,
                    summary,
                    tuple(late),
                    (remedies.list_jobs(environment),),
                ),
            )
        return
    full = signs.saturated(facts, case.thresholds)
    if full or late:
        running = [job for job in jobs if job.state.lower() in signs.WORKING_STATES]
        summary = "Stream Analytics runs and falls behind" + (
            ": its streaming units are used up." if full else ", though databases answer."
        )
        steps = (*(remedies.scale_job(environment, job) for job in running[:2]), remedies.watch(environment))
        confidence = Confidence.SURE if full and late else Confidence.LIKELY if full else Confidence.POSSIBLE
        yield BEHIND, Suspect("asa.saturated", "asa", confidence, summary, unique([*full, *late, *waits]), steps)


def routes(case: Case) -> Found:
    """Records that no route takes."""
    unrouted = case.facts.unrouted
    if unrouted is None or not unrouted.events:
        return
    known = [f"company {company}: {events:,} records" for company, events in unrouted.companies[:NAMED]]
    summary = f"{unrouted.events:,} records of the last minutes have a company id that no route takes; they are kept in lpmops.unrouted."
    step = remedies.command("lpmops", "route", "candidates", "-e", case.environment.name)
    yield (
        BEHIND,
        Suspect(
            "route.missing", "asa", Confidence.SURE, summary, tuple(known), (step, remedies.look(case.environment))
        ),
    )
