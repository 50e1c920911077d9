"""Giving the Stream Analytics jobs other streaming units, while they run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lpmops.actions import asa, inputs, jobs
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.inputs import Choice, Input
from lpmops.control import guard
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.errors import RefusedError, UsageError
from lpmops.model import Receipt, StreamingJob
from lpmops.routing.job import UNITS
from lpmops.store.journal import StepRow

RESCALE = "asa.scale"
_USUAL = ("1/3", "2/3", "1", "2", "3", "6")


def plan_scale(bench: Bench, wish: Wish) -> Plan:
    """Give the jobs other streaming units. `wish`: jobs, units (as configured: 1/3, 2/3, 1, 2 ...), reason, ticket."""
    wish = {**wish, "units": _units(wish["units"], bench.now())}
    units, environment = UNITS[wish["units"]], bench.environment
    chosen, pauses = jobs.chosen(bench, wish["jobs"]), bench.control.pauses()
    seen: dict[str, Any] = {"jobs": [job.name for job in chosen]}
    steps, refusals, warnings = list[Step](), list[str](), list[str]()
    for job in chosen:
        seen |= jobs.managed(job, pauses.get(job.name))
        if job.streaming_units != units:
            steps.append(scale_step(job, units))
        if jobs.standing(job) not in ("running", "stopped"):
            refusals.append(f"{job.name} is {job.state}: that is no state to scale it in.")
    if wish["units"] != environment.streamanalytics.streaming_units:
        warnings.append(
            f"lpmops.toml says {environment.streamanalytics.streaming_units} streaming units: "
            "change it there too, or the next deployment brings that back."
        )
    names = ", ".join(job.name for job in chosen)
    former_units = next((name for name, value in UNITS.items() if chosen[0].streaming_units == value), None)
    words = ["lpmops", "asa", "scale", "-e", environment.name, "--units"]
    return Plan(
        action="asa.scale",
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"Give {names} in {environment.name} {wish['units']} streaming units each; they go on meanwhile.",
        danger=guard.danger_of(environment.kind),
        steps=tuple(steps),
        seen=seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command(*words, wish["units"], *why_words(wish), *asa.job_words(wish)),
        undo=command(*words, former_units, *asa.job_words(wish)) if former_units else "",
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=jobs.impact(bench),
        warnings=tuple(warnings),
        refusals=tuple(refusals),
    )


def scale_step(job: StreamingJob, units: int) -> Step:
    """Give a job that many streaming units, as the service counts them (3, 7, 10, 20 ...)."""
    change = Change(f"{job.name}.streaming_units", job.streaming_units, units)
    arguments = {"units": units, "former": int(job.streaming_units or 0)}
    return Step(f"scale {job.name}", RESCALE, job.name, arguments, (change,), (f"{job.name}.streaming_units",))


def _observe_scale(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row
    service = bench.services.streamanalytics
    job = service.job(step.target)
    said = f"{job.name} is {job.state} with {job.streaming_units:g} streaming units"
    if job.state.lower() == "scaling":
        return Observation(Sight.MOVING, said)
    if job.streaming_units == step.arguments["units"]:
        return Observation(Sight.SO, said)
    if receipt is not None and receipt.location and (why := service.failure(receipt.location)):
        return Observation(Sight.OTHERWISE, f"{said}, and scaling failed: {why}")
    if job.streaming_units != step.arguments["former"]:
        return Observation(Sight.OTHERWISE, f"{said}: somebody else scaled it")
    return Observation(Sight.ABSENT, said)


def _act_scale(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    return bench.services.streamanalytics.scale(step.target, step.arguments["units"])


def _verify_scale(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    shown = []
    for job in jobs.chosen(bench, plan.wish["jobs"]):
        if job.streaming_units != UNITS[plan.wish["units"]]:
            raise RefusedError(
                f"{job.name} has {job.streaming_units:g} streaming units after all: somebody else scaled it."
            )
        shown.append({"name": job.name, "state": job.state, "streaming_units": job.streaming_units})
    return {"changed": True, "jobs": shown, "undo": plan.undo_of(operation)}


def _units(text: str, now: datetime) -> str:
    del now
    if text.strip() not in UNITS:
        raise UsageError(
            f"{text.strip()!r} is no number of streaming units that Stream Analytics has.",
            hint="There are: 1/3, 2/3, and 1 to 66.",
        )
    return text.strip()


def _to_choose(bench: Bench) -> list[Choice]:
    """The usual numbers, and those that are there or asked for; any other can be typed."""
    there: dict[str, list[str]] = {}
    for job in jobs.chosen(bench, []):
        name = next((name for name, value in UNITS.items() if value == job.streaming_units), None)
        if name is not None:
            there.setdefault(name, []).append(job.name)
    wanted = bench.environment.streamanalytics.streaming_units
    return [
        Choice(
            name,
            ", ".join(
                (
                    *([f"{', '.join(there[name])} now"] if name in there else []),
                    *(["what lpmops.toml asks for"] if name == wanted else []),
                )
            ),
        )
        for name in UNITS
        if name in _USUAL or name in there or name == wanted
    ]


_UNITS = Input("units", "units", "streaming units each: 1/3, 2/3, 1, 2 and so on to 66; ↑ ↓ choose", _units, _to_choose)
HANDLERS = {RESCALE: Handler(_observe_scale, _act_scale)}
SCALE = Action(
    name="asa.scale",
    title="Scale Stream Analytics",
    help="Give the routing jobs other streaming units, while they run.",
    plan=plan_scale,
    handlers=HANDLERS,
    verify=_verify_scale,
    pins=("tenant", "server"),
    inputs=(jobs.JOBS, _UNITS, *inputs.COMMON),
    fill=lambda _: {"jobs": []},
)
