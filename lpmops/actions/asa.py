"""Pausing and starting the Stream Analytics jobs.

A pause says why, by whom and until when; a start says where it begins, and what that skips or repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lpmops.actions import inputs, jobs
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.inputs import Choice, Input
from lpmops.control import guard
from lpmops.control.hands import Observation, Sight
from lpmops.control.lock import PAUSE as PAUSED
from lpmops.control.lock import Pause
from lpmops.control.plan import Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.errors import RefusedError, UsageError
from lpmops.model import Receipt, StreamingJob, parse_time, to_data
from lpmops.store.journal import OUT_STEPS, StepRow

# As long as their columns in lpmops.pause.
_LONGEST_REASON, _LONGEST_TICKET = 1_000, 200
RECORD, CLEAR, STOP_JOB, START_JOB = "pause.record", "pause.clear", "asa.stop", "asa.start"


def check_note(wish: Wish) -> None:
    """Raises UsageError for a reason or ticket that is longer than its place in the control database."""
    if len(wish["reason"]) > _LONGEST_REASON or len(wish["ticket"]) > _LONGEST_TICKET:
        raise UsageError(f"A reason has at most {_LONGEST_REASON} characters, a ticket {_LONGEST_TICKET}.")


# Pause ---------------------------------------------------------------------------------------------------------------------------------------------


def plan_pause(bench: Bench, wish: Wish) -> Plan:
    """Stop jobs and note why. `wish`: jobs (names, none for all), reason, ticket, until (RFC 3339 or None), by."""
    check_note(wish)
    until = parse_time(wish["until"]) if wish["until"] else None
    found, pauses, hub = jobs.chosen(bench, wish["jobs"]), bench.control.pauses(), bench.services.eventhubs.hub()
    seen: dict[str, Any] = {"jobs": [job.name for job in found], "hub.retention": hub.retention}
    steps: list[Step] = []
    refusals = [
        f"{job.name} is {job.state}: that is no state to pause it in."
        for job in found
        if jobs.standing(job) not in ("running", "stopped")
    ]
    for job in found:
        pause = pauses.get(job.name)
        seen |= jobs.managed(job, pause)
        steps += _pause_steps(job, pause, wish)
    ends = bench.now() + timedelta(seconds=hub.retention)
    if until is not None and until <= bench.now():
        refusals.append(f"The pause would be over before it begins: {to_data(until)} is past.")
    if until is not None and until >= ends:
        refusals.append(
            f"The hub keeps events for {hub.retention / 86_400:.1f} d: a pause until {to_data(until)} loses some."
        )
    seconds = (until - bench.now()) / timedelta(seconds=1) if until is not None else None
    names = ", ".join(job.name for job in found)
    return Plan(
        action="asa.pause",
        environment=bench.environment.name,
        kind=bench.environment.kind,
        pins=pins_of(bench.environment),
        target=bench.environment.name,
        summary=f"Pause {names} in {bench.environment.name}: nothing reaches any company until it is started again.",
        danger=guard.danger_of(bench.environment.kind),
        steps=tuple(steps),
        seen=seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=_pause_command(bench, wish),
        undo=command("lpmops", "asa", "start", "-e", bench.environment.name, "--mode", "last-output"),
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=jobs.impact(bench, pause_seconds=seconds),
        warnings=(
            f"Events wait in the hub and are lost from {to_data(ends)} on.",
            *(
                ()
                if wish["reason"]
                else ("No reason is given: whoever is called at night will not know why. --reason WHY",)
            ),
        ),
        refusals=tuple(refusals),
    )


def _pause_steps(job: StreamingJob, pause: Pause | None, wish: Wish) -> list[Step]:
    steps: list[Step] = []
    if not _is_noted(pause, wish):
        after = {name: wish[name] for name in ("reason", "ticket", "until", "by")}
        changes = (Change(f"{job.name}.pause", jobs.pause_data(pause), after),)
        steps.append(Step(f"note the pause of {job.name}", RECORD, job.name, after, changes, (f"{job.name}.pause",)))
    if jobs.standing(job) == "running":
        steps.append(stop_step(job))
    return steps


def stop_step(job: StreamingJob) -> Step:
    """Stop a job that runs."""
    changes = (Change(f"{job.name}.state", "running", "stopped"),)
    return Step(f"stop {job.name}", STOP_JOB, job.name, {}, changes, (f"{job.name}.state",))


def _is_noted(pause: Pause | None, wish: Mapping[str, Any]) -> bool:
    return pause is not None and (pause.reason, pause.ticket, pause.by, to_data(pause.until), pause.action) == (
        wish["reason"],
        wish["ticket"],
        wish["by"],
        wish["until"],
        wish.get("action", PAUSED),
    )


def _pause_command(bench: Bench, wish: Wish) -> str:
    words = ["lpmops", "asa", "pause", "-e", bench.environment.name]
    until = ["--until", wish["until"]] if wish["until"] else []
    return command(*words, *why_words(wish), *until, *job_words(wish))


def _verify_pause(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    pauses, hub = bench.control.pauses(), bench.services.eventhubs.hub()
    shown = []
    for job in jobs.chosen(bench, plan.wish["jobs"]):
        if jobs.standing(job) != "stopped" or not _is_noted(pauses.get(job.name), plan.wish):
            raise RefusedError(f"{job.name} is {job.state} after all: somebody else is changing it.")
        ends = jobs.keeps_until(job, hub)
        shown.append(
            {
                "name": job.name,
                "state": job.state,
                "last_output_at": to_data(job.last_output_at),
                "paused_until": plan.wish["until"],
                "events_kept_until": to_data(ends),
            }
        )
    return {"changed": True, "jobs": shown, "undo": plan.undo_of(operation)}


def _observe_record(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    noted = _is_noted(bench.control.pauses().get(step.target), step.arguments)
    return Observation(Sight.SO if noted else Sight.ABSENT, "the pause is noted" if noted else "the pause is not noted")


def _act_record(bench: Bench, step: Step, operation: str) -> Receipt:
    given = step.arguments
    until = parse_time(given["until"]) if given["until"] else None
    action = given.get("action", PAUSED)
    bench.control.put_pause(step.target, given["reason"], given["ticket"], given["by"], until, operation, action)
    return Receipt()


def _observe_stop(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row
    job = bench.services.streamanalytics.job(step.target)
    said, state = f"{job.name} is {job.state}", jobs.standing(job)
    if state in ("stopped", "failed"):
        return Observation(Sight.SO, said)
    if state in ("stopping", "starting"):
        return Observation(Sight.MOVING, said)
    if state != "running":
        return Observation(Sight.OTHERWISE, said)
    if receipt is not None and receipt.location and (why := bench.services.streamanalytics.failure(receipt.location)):
        return Observation(Sight.OTHERWISE, f"{said}, and the stop failed: {why}")
    return Observation(Sight.ABSENT, said)


# Start ---------------------------------------------------------------------------------------------------------------------------------------------


def plan_start(bench: Bench, wish: Wish) -> Plan:
    """Start jobs. `wish`: jobs (names, none for all), mode (last-output, now, custom), begin (RFC 3339 for custom), reason, ticket."""
    begin = parse_time(wish["begin"]) if wish["begin"] else None
    if wish["mode"] not in jobs.MODES or (wish["mode"] == "custom") != (begin is not None):
        raise UsageError(
            "A start says where it begins.", hint="One of: --mode last-output, --mode now, --mode custom --from TIME"
        )
    found, pauses, hub = jobs.chosen(bench, wish["jobs"]), bench.control.pauses(), bench.services.eventhubs.hub()
    seen: dict[str, Any] = {"jobs": [job.name for job in found], "hub.retention": hub.retention}
    steps: list[Step] = []
    refusals: list[str] = []
    warnings: list[str] = []
    skipped: int | None = 0
    for job in found:
        pause, state = pauses.get(job.name), jobs.standing(job)
        seen |= jobs.managed(job, pause)
        if state in ("stopped", "failed"):
            seen |= _start_fields(job)
            mode = jobs.start_modes(bench, job, begin)[wish["mode"]]
            if mode.refusal:
                refusals.append(f"{job.name} can't be started so: {mode.refusal}.")
            skipped = None if skipped is None or mode.skips is None else skipped + mode.skips
            warnings += start_warnings(bench, job, mode, jobs.keeps_until(job, hub))
            steps.append(start_step(job, wish))
        elif state != "running":
            refusals.append(f"{job.name} is {job.state}: wait until it stands still.")
        if pause is not None:
            steps.append(clear_step(job, pause))
    name, danger = bench.environment.name, guard.danger_of(bench.environment.kind, hard=skipped != 0)
    lost = (
        f" {skipped:,} events are skipped and reach nobody."
        if skipped
        else " How many events are skipped is unknown."
        if skipped is None
        else ""
    )
    words = [
        "lpmops",
        "asa",
        "start",
        "-e",
        name,
        "--mode",
        wish["mode"],
        *(["--from", wish["begin"]] if wish["begin"] else []),
    ]
    return Plan(
        action="asa.start",
        environment=name,
        kind=bench.environment.kind,
        pins=pins_of(bench.environment),
        target=name,
        summary=f"Start {', '.join(job.name for job in found)} in {name} from {_words(wish)}.{lost}",
        danger=danger,
        steps=tuple(steps),
        seen=seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command(*words, *why_words(wish), *job_words(wish)),
        undo=command("lpmops", "asa", "pause", "-e", name, "--reason", "WHY"),
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=jobs.impact(bench, events=skipped),
        warnings=tuple(warnings),
        refusals=tuple(refusals),
    )


def _words(wish: Wish) -> str:
    return {"last-output": "its last output", "now": "now", "custom": str(wish["begin"])}[wish["mode"]]


def _start_fields(job: StreamingJob) -> dict[str, Any]:
    """What else a start rests on: where the job ended, and that nobody started it in between."""
    return {
        f"{job.name}.last_output_at": to_data(job.last_output_at),
        f"{job.name}.started_at": to_data(job.started_at),
        f"{job.name}.start_mode": job.start_mode,
    }


def clear_step(job: StreamingJob, pause: Pause | None) -> Step:
    """Take the note of a pause away."""
    changes = (Change(f"{job.name}.pause", jobs.pause_data(pause), None),)
    return Step(f"end the pause of {job.name}", CLEAR, job.name, {}, changes, (f"{job.name}.pause",))


def start_step(job: StreamingJob, wish: Wish) -> Step:
    """Start a job that stands. `wish`: mode, begin."""
    arguments = {
        "mode": jobs.MODES[wish["mode"]],
        "begin": wish["begin"],
        "from_state": jobs.standing(job),
        "started_before": to_data(job.started_at),
    }
    fields = ("state", "last_output_at", "started_at", "start_mode")
    changes = (
        Change(f"{job.name}.state", jobs.standing(job), "running"),
        Change(f"{job.name}.start_mode", job.start_mode, arguments["mode"]),
    )
    return Step(
        f"start {job.name}", START_JOB, job.name, arguments, changes, tuple(f"{job.name}.{field}" for field in fields)
    )


def start_warnings(bench: Bench, job: StreamingJob, mode: jobs.StartMode, ends: datetime | None) -> list[str]:
    """What a start in that mode skips and repeats, in words."""
    found = []
    if mode.skips:
        found.append(f"{job.name}: {mode.skips:,} events are skipped.")
    if mode.repeats:
        found.append(f"{job.name}: {mode.repeats:,} events come again; the landing tables keep each once.")
    if ends is not None and ends <= bench.now():
        found.append(
            f"{job.name} has stood still longer than the hub keeps events: what it dropped must be replayed from the table."
        )
    return found


def _observe_start(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    job = bench.services.streamanalytics.job(step.target)
    said, state = f"{job.name} is {job.state}", jobs.standing(job)
    if state in ("starting", "restarting", "stopping"):
        return Observation(Sight.MOVING, said)
    if state == "running":
        if (job.start_mode or "").lower() == step.arguments["mode"].lower():
            return Observation(Sight.SO, said)
        return Observation(Sight.OTHERWISE, f"{said}, and somebody started it with {job.start_mode}")
    went_out = row.attempt > 0 and row.state in OUT_STEPS
    if state == "failed" and went_out and to_data(job.started_at) != step.arguments["started_before"]:
        return Observation(Sight.OTHERWISE, f"{said} after it was started{_because(bench, receipt)}")
    if state not in ("stopped", "failed"):
        return Observation(Sight.OTHERWISE, said)
    if why := _because(bench, receipt):
        return Observation(Sight.OTHERWISE, f"{said}, and the start failed{why}")
    return Observation(Sight.ABSENT, said)


def _because(bench: Bench, receipt: Receipt | None) -> str:
    why = bench.services.streamanalytics.failure(receipt.location) if receipt is not None and receipt.location else None
    return f": {why}" if why else ""


def _act_start(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    begin = step.arguments["begin"]
    return bench.services.streamanalytics.start(
        step.target, step.arguments["mode"], parse_time(begin) if begin else None
    )


def _act_stop(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    return bench.services.streamanalytics.stop(step.target)


def _observe_clear(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    noted = step.target in bench.control.pauses()
    return Observation(Sight.ABSENT if noted else Sight.SO, "the pause is noted" if noted else "no pause is noted")


def _act_clear(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    bench.control.delete_pause(step.target)
    return Receipt()


def _verify_start(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    pauses, shown = bench.control.pauses(), []
    for job in jobs.chosen(bench, plan.wish["jobs"]):
        if jobs.standing(job) != "running" or job.name in pauses:
            raise RefusedError(f"{job.name} is {job.state} after all: somebody else is changing it.")
        shown.append(
            {"name": job.name, "state": job.state, "start_mode": job.start_mode, "started_at": to_data(job.started_at)}
        )
    return {"changed": True, "jobs": shown, "skipped_events": plan.impact.events, "undo": plan.undo_of(operation)}


def job_words(wish: Wish) -> list[str]:
    """The chosen jobs as they stand on a command line."""
    return [word for name in wish["jobs"] for word in ("--job", name)]


# How the steps are looked at and done that any action takes which stops or starts a job.
HANDLERS = {
    RECORD: Handler(_observe_record, _act_record),
    STOP_JOB: Handler(_observe_stop, _act_stop),
    # A second start from now on would begin later than the first and skip more.
    START_JOB: Handler(_observe_start, _act_start, lambda step: step.arguments["mode"] != jobs.MODES["now"]),
    CLEAR: Handler(_observe_clear, _act_clear),
}


def _modes(bench: Bench) -> list[Choice]:
    """What each way to start would do to the jobs that stand still."""
    found: dict[str, dict[str, jobs.StartMode]] = {}
    for job in jobs.chosen(bench, []):
        if jobs.standing(job) in ("stopped", "failed"):
            for name, mode in jobs.start_modes(bench, job).items():
                found.setdefault(name, {})[job.name] = mode
    known = [
        # A job that can't be started so refuses it for all only where it is alone; else the plan says so of the job that is chosen.
        Choice(name, _counts(by_job), next(iter(by_job.values())).refusal if len(by_job) == 1 else "")
        for name, by_job in found.items()
    ]
    return [*known, Choice("custom", "begins with what came in at the time of “from”")]


def _counts(by_job: Mapping[str, jobs.StartMode]) -> str:
    """What a way to start skips and repeats, by job where there are several to choose from."""

    def told(value: int | None) -> str:
        return "an unknown number" if value is None else f"{value:,}"

    lines = {name: f"skips {told(each.skips)}, repeats {told(each.repeats)}" for name, each in by_job.items()}
    return (
        next(iter(lines.values())) if len(lines) == 1 else "; ".join(f"{name} {line}" for name, line in lines.items())
    )


def read_mode(text: str, now: datetime) -> str:
    """Reads where a start begins."""
    del now
    if text.strip().lower() not in jobs.MODES:
        raise UsageError("A start says where it begins.", hint=f"One of: {', '.join(jobs.MODES)}")
    return text.strip().lower()


_UNTIL = Input("until", "until", "when it should be over: 2h, 90m, or 2026-11-23T04:00:00Z", inputs.to_come)
_MODE = Input("mode", "mode", "where to begin; ↑ ↓ choose", read_mode, _modes)
BEGIN = Input("begin", "from", "for custom only: 03:10, 20 min ago, or a whole time", inputs.gone)

PAUSE = Action(
    name="asa.pause",
    title="Pause Stream Analytics",
    help="Stop the routing jobs on purpose, with a reason and an end. Events wait in the hub.",
    plan=plan_pause,
    handlers=HANDLERS,
    verify=_verify_pause,
    pins=("tenant", "server"),
    key="P",
    inputs=(jobs.JOBS, inputs.REASON, _UNTIL, inputs.TICKET),
    fill=lambda bench: {"jobs": [], "by": bench.who},
)
START = Action(
    name="asa.start",
    title="Start Stream Analytics",
    help="Start the routing jobs where their output ended, now, or at a time, and say what that skips or repeats.",
    plan=plan_start,
    handlers=HANDLERS,
    verify=_verify_start,
    pins=("tenant", "server"),
    key="S",
    inputs=(jobs.JOBS, _MODE, BEGIN, *inputs.COMMON),
    fill=lambda _: {"jobs": []},
)
