"""Starting, stopping and restarting the Databricks job that reads the change feed, so that there is never more than one that sends it.

A continuous job is kept running by the service: it is stopped by pausing it and cancelling its run, and started by ending the pause. A new run is
asked for with a token of the operation, so that a lost answer never makes two. Before a start the checkpoint is held against the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.inputs import COMMON
from lpmops.control import guard
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.errors import BadAnswerError, NotFoundError, RefusedError
from lpmops.model import FeedState, Receipt, StreamJob, StreamProgress, to_data
from lpmops.store.journal import StepRow

_PAUSE, _CONTINUE, _CANCEL, RUN = "stream.pause", "stream.continue", "stream.cancel", "stream.run"
_AT_WORK = ("running", "starting")


def job_of(bench: Bench) -> StreamJob:
    """The streaming job. Raises NotFoundError."""
    found: StreamJob | None = bench.services.databricks.stream_job()
    if found is None:
        raise NotFoundError(
            f"There is no job {bench.environment.databricks.job!r} in the workspace of {bench.environment.name}.",
            hint="Check databricks.job in lpmops.toml.",
        )
    return found


def fails(job: StreamJob) -> bool:
    """Whether the service starts run after run of a continuous job, and none has worked so far."""
    run = job.run
    begins = run.state == "starting" and run.before is not None and run.before.state == "failed"
    return job.continuous and not job.paused and (run.state == "failed" or begins)


def doubts(feed: FeedState, progress: StreamProgress | None) -> list[str]:
    """What speaks against letting the stream go on from its checkpoint: each would fail it, or send what was sent before."""
    if progress is None:
        return ["the stream has left no checkpoint: a start may send the whole table again"]
    found = []
    following = progress.version + 1
    if _of_another(feed, progress):
        found.append(
            "the table was made anew since the checkpoint was written, and the stream can't go on in another table"
        )
    if feed.kind == "off":
        found.append("the table's change feed is off")
    if feed.oldest_version is not None and following < feed.oldest_version and following <= feed.latest_version:
        found.append(
            f"the stream goes on with version {following}, and the table's history begins with {feed.oldest_version}"
        )
    if feed.kind == "delta" and feed.first_version is not None and following < feed.first_version:
        found.append(
            f"the stream goes on with version {following}, and changes are recorded since {feed.first_version} only"
        )
    return found


def _of_another(feed: FeedState, progress: StreamProgress) -> bool:
    """Whether a progress is that in another table, whose versions are not these."""
    return bool(feed.table_id and progress.table_id and feed.table_id != progress.table_id)


def outside(feed: FeedState, version: int) -> list[str]:
    """What speaks against a version to begin with: that the feed does not have it."""
    first = feed.first_version if feed.first_version is not None else feed.oldest_version
    if (first is None or version >= first) and version <= feed.latest_version + 1:
        return []
    return [f"version {version} is not in the feed, which has {first} to {feed.latest_version}"]


def _told_first(bench: Bench, job: StreamJob) -> int | None:
    """The version that the job is told to begin with, with the checkpoint of the configuration; None where it is not."""
    tasks: list[Mapping[str, Any]] = list(bench.services.databricks.job_settings(job.job_id).get("tasks") or ())
    words = list((tasks[0].get("spark_python_task") or {}).get("parameters") or ())[1:] if tasks else []
    # The app loads the actions at its start and the services when they are needed.
    from lpmops.services import replayruns

    told = dict(replayruns.options([str(word) for word in words]))
    version = told.get("--starting-version", "")
    if told.get("--checkpoint") != bench.environment.databricks.checkpoint or not version.isdecimal():
        return None
    return int(version)


def show(bench: Bench) -> dict[str, Any]:
    """The job, its newest run, how far it is and what speaks against a restart, as plain values.

    What the stream wrote and cannot be read is None and a sentence under `unreadable`.
    """
    job, feed = job_of(bench), bench.services.databricks.feed()
    try:
        progress = bench.services.databricks.progress()
        unreadable = list(progress.unreadable) if progress is not None else []
        against = _doubts(bench, job, feed, progress)
    except BadAnswerError as error:
        progress, unreadable = None, [error.message]
        against = ["how far the stream is can't be read, so that nobody knows where a start would begin"]
    return {
        "job_id": job.job_id,
        "name": job.name,
        "state": job.run.state,
        "continuous": job.continuous,
        "paused": job.paused,
        "run_id": job.run.run_id,
        "message": job.run.message,
        "started_at": to_data(job.run.started_at),
        "ended_at": to_data(job.run.ended_at),
        "url": job.run.url,
        "version": progress.version if progress is not None else None,
        "latest_version": feed.latest_version,
        "versions_behind": None
        if progress is None or _of_another(feed, progress)
        else max(0, feed.latest_version - progress.version),
        "reported_at": to_data(progress.at) if progress is not None else None,
        "input_rate": progress.input_rate if progress is not None else None,
        "processed_rate": progress.processed_rate if progress is not None else None,
        "batch_seconds": progress.batch_seconds if progress is not None else None,
        "backlog_bytes": progress.backlog_bytes if progress is not None else None,
        "unreadable": unreadable,
        "doubts": against,
    }


# Plans ---------------------------------------------------------------------------------------------------------------------------------------------


def plan_stop(bench: Bench, wish: Wish) -> Plan:
    """Stop the stream. `wish`: reason, ticket."""
    job = job_of(bench)
    steps: list[Step] = []
    if job.continuous and not job.paused:
        steps.append(_step(f"pause {job.name}", _PAUSE, job, Change("job.paused", False, True), "job.paused"))
    if job.run.state in (*_AT_WORK, "stopping") and job.run.run_id is not None:
        change = Change("job.state", job.run.state, "stopped")
        steps.append(_step(f"cancel run {job.run.run_id}", _CANCEL, job, change, "job.state", "job.run_id"))
    summary = (
        f"Stop the stream {job.name} in {bench.environment.name}: changes wait in the table until it is started again."
    )
    return _plan(bench, wish, "stream.stop", summary, tuple(steps), job, undo="start")


def plan_start(bench: Bench, wish: Wish) -> Plan:
    """Start the stream where its checkpoint is. `wish`: reason, ticket."""
    job = job_of(bench)
    against = _against(bench, job)
    steps: list[Step] = []
    if job.continuous and job.paused:
        steps.append(
            _step(
                f"end the pause of {job.name}",
                _CONTINUE,
                job,
                Change("job.paused", True, False),
                "job.paused",
                *_RUN_FIELDS,
            )
        )
    elif job.run.state not in _AT_WORK:
        steps.append(_new_run(job))
    summary = f"Start the stream {job.name} in {bench.environment.name} where its checkpoint is."
    return _plan(
        bench, wish, "stream.start", summary, tuple(steps), job, undo="stop", refusals=against if steps else []
    )


def plan_restart(bench: Bench, wish: Wish) -> Plan:
    """Replace the stream's run by a new one. `wish`: reason, ticket."""
    job = job_of(bench)
    against = _against(bench, job)
    if job.paused:
        against.append(f"{job.name} is paused: start it instead")
    summary = f"Restart the stream {job.name} in {bench.environment.name}: changes wait for some minutes."
    return _plan(bench, wish, "stream.restart", summary, tuple(renewal(job)), job, undo="", refusals=against)


def renewal(job: StreamJob) -> list[Step]:
    """Replace a job's run by a new one, so that there is never a second."""
    steps: list[Step] = []
    if not job.continuous and job.run.state in (*_AT_WORK, "stopping"):
        # Without the service's own replacement two runs would send everything twice.
        change = Change("job.state", job.run.state, "stopped")
        steps.append(_step(f"cancel run {job.run.run_id}", _CANCEL, job, change, *_RUN_FIELDS))
    return [*steps, _new_run(job)]


_RUN_FIELDS = ("job.state", "job.run_id")


def _kept(job: StreamJob) -> dict[str, Any]:
    """What stands beside the pause in the settings that are replaced with it."""
    return {name: value for name, value in job.continuity.items() if name != "pause_status"}


def _against(bench: Bench, job: StreamJob) -> list[str]:
    services = bench.services.databricks
    return _doubts(bench, job, services.feed(), services.progress())


def _doubts(bench: Bench, job: StreamJob, feed: FeedState, progress: StreamProgress | None) -> list[str]:
    """What speaks against a run: of a checkpoint that has not begun, that the job is not told where to begin."""
    if progress is None and feed.kind != "off" and (version := _told_first(bench, job)) is not None:
        return outside(feed, version)
    return doubts(feed, progress)


def _new_run(job: StreamJob) -> Step:
    return _step(f"run {job.name}", RUN, job, Change("job.run_id", job.run.run_id, "a new one"), *_RUN_FIELDS)


def _step(name: str, kind: str, job: StreamJob, change: Change, *touches: str) -> Step:
    arguments = {"job_id": job.job_id, "run_id": job.run.run_id, "continuity": dict(job.continuity)}
    return Step(name, kind, job.name, arguments, (change,), touches)


def _plan(
    bench: Bench,
    wish: Wish,
    action: str,
    summary: str,
    steps: tuple[Step, ...],
    job: StreamJob,
    *,
    undo: str,
    refusals: list[str] | None = None,
) -> Plan:
    environment, verb = bench.environment, action.partition(".")[2]
    # A run that is being made ready and one that works are the same to a plan.
    state = "running" if job.run.state in _AT_WORK else job.run.state
    return Plan(
        action=action,
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=summary,
        danger=guard.danger_of(environment.kind),
        steps=steps,
        seen={
            "job.id": job.job_id,
            "job.continuous": _kept(job) if job.continuous else None,
            "job.paused": job.paused,
            "job.state": state,
            "job.run_id": job.run.run_id,
        },
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command("lpmops", "stream", verb, "-e", environment.name, *why_words(wish)),
        undo=command("lpmops", "stream", undo, "-e", environment.name) if undo else "",
        reason=wish["reason"],
        ticket=wish["ticket"],
        refusals=tuple(f"The stream can't go on: {text}." for text in refusals or ()),
    )


# Steps ---------------------------------------------------------------------------------------------------------------------------------------------


def _said(job: StreamJob) -> str:
    return f"{job.name} is {job.run.state}" + (f" (run {job.run.run_id})" if job.run.run_id else "")


def _observe_pause(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del step, row, receipt
    job = job_of(bench)
    return Observation(Sight.SO if job.paused else Sight.ABSENT, "it is paused" if job.paused else "it is not paused")


def _act_pause(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    return bench.services.databricks.set_paused(step.arguments["job_id"], step.arguments["continuity"], True)


def _observe_continue(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    job = job_of(bench)
    if job.paused:
        return Observation(Sight.ABSENT, "it is paused")
    if job.run.run_id == step.arguments["run_id"] and job.run.state not in _AT_WORK:
        # The run of before: the service has not begun its own yet.
        return Observation(Sight.MOVING, _said(job))
    return working(job, Sight.MOVING)


def _act_continue(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    return bench.services.databricks.set_paused(step.arguments["job_id"], step.arguments["continuity"], False)


def _observe_cancel(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    job = job_of(bench)
    if job.run.state == "stopping":
        return Observation(Sight.MOVING, _said(job))
    if job.run.state not in _AT_WORK:
        return Observation(Sight.SO, _said(job))
    if job.run.run_id != step.arguments["run_id"]:
        return Observation(Sight.OTHERWISE, f"{_said(job)}: somebody started another run")
    return Observation(Sight.ABSENT, _said(job))


def _act_cancel(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    return bench.services.databricks.cancel_run(step.arguments["run_id"])


def _observe_run(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    job = job_of(bench)
    if job.run.run_id == step.arguments["run_id"]:
        return Observation(Sight.MOVING if job.run.state == "stopping" else Sight.ABSENT, _said(job))
    return working(job, Sight.OTHERWISE)


def working(job: StreamJob, otherwise: Sight) -> Observation:
    """How far the job's newest run is; `otherwise` is what a run that has ended means."""
    if job.run.state == "running":
        return Observation(Sight.SO, _said(job))
    if job.run.state == "failed":
        return Observation(Sight.OTHERWISE, f"{_said(job)}: {job.run.message}")
    return Observation(Sight.MOVING if job.run.state in ("starting", "stopping") else otherwise, _said(job))


def _act_run(bench: Bench, step: Step, operation: str) -> Receipt:
    # The token is the operation's: asked again after a lost answer, the service gives the run it made.
    return bench.services.databricks.run_job(step.arguments["job_id"], f"lpmops-{operation}")


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    job = job_of(bench)
    wanted = ("stopped", "paused", "failed") if plan.action == "stream.stop" else _AT_WORK
    if job.run.state not in wanted:
        raise RefusedError(f"{_said(job)} after all: somebody else is changing it.")
    return {
        "changed": True,
        "job": job.name,
        "state": job.run.state,
        "run_id": job.run.run_id,
        "undo": plan.undo_of(operation),
    }


HANDLERS = {
    _PAUSE: Handler(_observe_pause, _act_pause),
    _CONTINUE: Handler(_observe_continue, _act_continue),
    _CANCEL: Handler(_observe_cancel, _act_cancel),
    RUN: Handler(_observe_run, _act_run),
}
_PINS = ("tenant", "server", "workspace")

STOP = Action(
    name="stream.stop",
    title="Stop the stream",
    help="Stop the Databricks job on purpose. Changes wait in the table.",
    plan=plan_stop,
    handlers=HANDLERS,
    verify=_verify,
    pins=_PINS,
    inputs=COMMON,
)
START = Action(
    name="stream.start",
    title="Start the stream",
    help="Start the Databricks job where its checkpoint is.",
    plan=plan_start,
    handlers=HANDLERS,
    verify=_verify,
    pins=_PINS,
    inputs=COMMON,
)
RESTART = Action(
    name="stream.restart",
    title="Restart the stream",
    help="Replace the run of the Databricks job by a new one, where its checkpoint can go on.",
    plan=plan_restart,
    handlers=HANDLERS,
    verify=_verify,
    pins=_PINS,
    inputs=COMMON,
)
