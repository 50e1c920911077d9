"""Changing what a job is by one stop of it, and bringing it back to what it was where it does not start with that.

The plan holds both ways: what is written, the start, and the way back, whose steps find nothing to do where the job has started. So a crash at any of
them is resumed like any other, and no job is left standing because of a text or an output that it can't start with.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

from lpmops.actions import asa, asa_parts, jobs
from lpmops.actions.action import Bench, Handler, Wish
from lpmops.actions.asa_deploy import Draft, changes_of, forget_step, limits, note_step, seen_of
from lpmops.actions.asa_parts import PART, compared
from lpmops.control.hands import Observation, Sight
from lpmops.control.lock import Pause
from lpmops.control.plan import Step
from lpmops.errors import RolledBackError
from lpmops.model import Receipt, StreamingJob, parse_time, to_data
from lpmops.routing import job as definitions
from lpmops.routing.job import Definition
from lpmops.store.journal import OUT_STEPS, StepRow

_TRY, _BACK, _JUDGE = "asa.try", "asa.back", "asa.judge"


def steps(
    bench: Bench,
    wish: Wish,
    action: str,
    job: StreamingJob,
    pause: Pause | None,
    target: Definition,
    since: datetime | None = None,
) -> Draft:
    """The steps that make a job what `target` says, with what they rest on and what speaks against them.

    `since` is where it begins again at the latest, None for where its output ended. `wish`: reason, ticket, by.
    """
    draft, live = Draft(seen=seen_of(job, pause)), definitions.deployed(job)
    found = definitions.differences(target, live)
    if not found:
        return draft
    limits(job, target, draft)
    writes = changes_of(job, target, live, found, draft)
    state = jobs.standing(job)
    if state != "running":
        draft.refusals.append(f"{job.name} is {job.state}: start it first, or wait until it stands still.")
        return draft
    start = _start(bench, job, draft, since)
    stopped = replace(job, state="Stopped")
    again = asa.start_step(stopped, start)
    draft.steps = [
        note_step(job, wish, action),
        asa.stop_step(job),
        *writes,
        replace(again, kind=_TRY),
        *(_back(step) for step in reversed(writes) if step.kind == PART),
        replace(again, name=f"start {job.name} as it was, if it did not start", changes=()),
        forget_step(job),
        _judge(job, target),
    ]
    draft.stopped.append(job.name)
    return draft


def end_of(job: StreamingJob) -> datetime | None:
    """Where a job's output ended, as far as it is known; one that never wrote anything has read nothing from before its start."""
    return job.last_output_at or job.started_at


def _start(bench: Bench, job: StreamingJob, draft: Draft, since: datetime | None) -> Wish:
    """How the job begins again: where its output ended, or earlier where that is asked for, so that nothing is skipped."""
    end = end_of(job)
    if end is not None and since is not None and since < end:
        return {"mode": "custom", "begin": to_data(since)}
    if job.last_output_at is None and end is not None:
        return {"mode": "custom", "begin": to_data(end)}
    mode = jobs.start_modes(bench, job)["last-output"]
    if mode.refusal:
        draft.refusals.append(f"{job.name} can't be started again without a gap: {mode.refusal}.")
    return {"mode": "last-output", "begin": None}


def _back(step: Step) -> Step:
    """The same write the other way round."""
    given = {**step.arguments, "after": step.arguments["former"], "former": step.arguments["after"]}
    name = f"bring back {given['name']} of {step.target}, if it did not start"
    return Step(name, _BACK, step.target, given, (), step.touches)


def _judge(job: StreamingJob, target: Definition) -> Step:
    return Step(f"see that {job.name} runs so", _JUDGE, job.name, {"query": _fingerprint(target.query)})


def _fingerprint(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n"))
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()[:16]


# Steps ---------------------------------------------------------------------------------------------------------------------------------------------


def _observe_try(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    """As a start; but one that led nowhere is an end too, as the steps behind it bring the job back."""
    service, job = bench.services.streamanalytics, bench.services.streamanalytics.job(step.target)
    said, state = f"{job.name} is {job.state}", jobs.standing(job)
    if state in ("starting", "restarting", "stopping"):
        return Observation(Sight.MOVING, said)
    if state == "running":
        wished = (job.start_mode or "").lower() == step.arguments["mode"].lower()
        who = "" if wished else f", and somebody started it with {job.start_mode}"
        return Observation(Sight.SO if wished else Sight.OTHERWISE, f"{said}{who}")
    why = service.failure(receipt.location) if receipt is not None and receipt.location else None
    went_out = row.attempt > 0 and row.state in OUT_STEPS
    tried = went_out and (why or (state == "failed" and to_data(job.started_at) != step.arguments["started_before"]))
    if tried:
        return Observation(Sight.SO, f"{job.name} did not start{f': {why}' if why else ''}")
    return Observation(Sight.ABSENT if state in ("stopped", "failed") else Sight.OTHERWISE, said)


def _act_try(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    begin = step.arguments["begin"]
    return bench.services.streamanalytics.start(
        step.target, step.arguments["mode"], parse_time(begin) if begin else None
    )


def _observe_back(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    given, job = step.arguments, bench.services.streamanalytics.job(step.target)
    state = jobs.standing(job)
    if state == "running":
        return Observation(Sight.SO, f"{job.name} runs, so nothing is brought back")
    if state in ("starting", "restarting", "stopping"):
        return Observation(Sight.MOVING, f"{job.name} is {job.state}")
    live = definitions.deployed(job).part(given["collection"], given["name"])
    return compared(job, f"{given['collection']} {given['name']}", given, live)


def _act_back(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    service, given = bench.services.streamanalytics, step.arguments
    if given["after"] is None:
        return service.delete_part(step.target, given["collection"], given["name"])
    etag = service.part_etag(step.target, given["collection"], given["name"])
    return service.put_part(step.target, given["collection"], given["name"], given["after"], etag)


def _observe_judge(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    job = bench.services.streamanalytics.job(step.target)
    if jobs.standing(job) != "running":
        return Observation(Sight.OTHERWISE, f"{job.name} is {job.state}")
    if _fingerprint(job.query) == step.arguments["query"]:
        return Observation(Sight.SO, f"{job.name} runs with it")
    return Observation(Sight.ABSENT, f"{job.name} runs as it did before")


def _act_judge(bench: Bench, step: Step, operation: str) -> Receipt:
    """Nothing is left to do: the job was brought back, and that is said."""
    del bench
    raise RolledBackError(
        f"{step.target} did not start with the change, so it was brought back to what it was and runs again. What was to follow is not done.",
        hint=f"What its start said: lpmops op show {operation}   and the job's log: lpmops status",
    )


HANDLERS = {
    **asa.HANDLERS,
    **asa_parts.HANDLERS,
    _TRY: Handler(_observe_try, _act_try),
    _BACK: Handler(_observe_back, _act_back),
    _JUDGE: Handler(_observe_judge, _act_judge),
}
