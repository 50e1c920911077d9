"""Deploying the Stream Analytics jobs' definition.

A deployment is the difference of the whole job: nothing different, nothing to do. A job that runs is stopped once, changed part by part, each write
held to what was seen by its ETag, and started again in a mode that is said. That it stands still on the way is noted in the control database first,
so that a crash in between is loud everywhere. Each step keeps what was there before it, from which `--back-to` brings it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lpmops.actions import asa, asa_ground, asa_parts, asa_scale, hub_flow, inputs, jobs, route_databases
from lpmops.actions.action import Action, Bench, Wish, why_words
from lpmops.actions.asa_definition import NAME, back, former, routes_words, targets
from lpmops.actions.inputs import Choice, Input
from lpmops.control import guard
from lpmops.control.lock import Pause
from lpmops.control.plan import Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.errors import RefusedError, UsageError
from lpmops.model import StreamingJob, parse_time, to_data
from lpmops.plain_text import counted
from lpmops.routing import job as definitions
from lpmops.routing.job import Definition, Difference
from lpmops.routing.shards import OUTPUTS_AT_MOST, OUTPUTS_PLANNED

# Stopping, writing and starting takes two to three minutes, sometimes more than five (MicrosoftDocs/azure-docs#12767).
CYCLE_SECONDS = 180.0
_EARLIER_SHOWN = 5


@dataclass(slots=True)
class Draft:
    """What is being gathered for one plan. `skipped` is None where it is unknown.

    `first` and `last` are what is done to every job before any is changed, and after all are; `begin` is where all of them start then.
    """

    first: list[Step] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    last: list[Step] = field(default_factory=list)
    begin: str | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: int | None = 0
    stopped: list[str] = field(default_factory=list)


def plan_deploy(bench: Bench, wish: Wish) -> Plan:
    """Make the jobs what they should be.

    `wish`: jobs (names, none for all), mode and begin (as for a start), back_to (an operation) with definitions (what stood before it; read from the
    journal where they are not given), by, reason, ticket.
    """
    asa.check_note(wish)
    if wish["back_to"] and not wish["definitions"]:
        # The plan holds what it leads back to, so that it needs no journal when it is made again.
        wish = {**wish, "definitions": former(bench.past.plan_of(wish["back_to"]))}
    begin = parse_time(wish["begin"]) if wish["begin"] else None
    if wish["mode"] not in jobs.MODES or (wish["mode"] == "custom") != (begin is not None):
        raise UsageError("A start says where it begins.", hint="One of: --mode last-output, --mode custom --from TIME")
    every, chosen = jobs.chosen(bench, []), jobs.chosen(bench, wish["jobs"])
    live = {job.name: definitions.deployed(job) for job in every}
    pauses, draft = bench.control.pauses(), Draft(seen={"jobs": [job.name for job in chosen]})
    if wish["back_to"]:
        wanted = {name: back(live[name], before) for name, before in wish["definitions"].items() if name in live}
    else:
        flow = hub_flow.measure(bench)
        wanted, plan = targets(bench, every, flow=flow)
        draft.refusals += plan.refusals
        draft.warnings += [*plan.warnings, *flow.notes]
        if bench.environment.streamanalytics.strategy == "query":
            draft.seen["routes"] = routes_words(plan)
            draft.warnings += asa_ground.moved(bench, plan, every)
    _hold_together(bench, wish, chosen, {name: (wanted.get(name, item), item) for name, item in live.items()}, draft)
    for job in chosen:
        _deploy_one(bench, wish, job, pauses.get(job.name), wanted.get(job.name, live[job.name]), draft)
    written = {
        database.lower()
        for job in every
        for database in definitions.landing_databases(
            wanted.get(job.name, live[job.name]) if job in chosen else live[job.name]
        )
    }
    changed = {step.target for step in draft.steps if step.kind == asa_parts.PART}
    if changed and not wish["back_to"]:
        named = (name for job in changed for name in definitions.landing_databases(wanted[job]))
        there = {name for item in live.values() for name in definitions.landing_databases(item)}
        ground = asa_ground.look(bench, named, there)
        # Once a part is written its job may need no change any more, and then its landing tables are not looked at again.
        draft.steps = [
            replace(step, touches=(*step.touches, *ground.seen)) if step.kind == asa_parts.PART else step
            for step in draft.steps
        ]
        draft.first[:0] = ground.steps
        draft.seen |= ground.seen
        draft.refusals += ground.refusals
        draft.warnings += ground.warnings
    # A way back leads where things were, also where that was no good place.
    (draft.warnings if wish["back_to"] else draft.refusals).extend(_unwritten(bench, written))
    return _plan_of(bench, wish, NAME, chosen, draft)


def _deploy_one(
    bench: Bench, wish: Wish, job: StreamingJob, pause: Pause | None, target: Definition, draft: Draft
) -> None:
    live = definitions.deployed(job)
    draft.seen |= seen_of(job, pause)
    found = definitions.differences(target, live)
    if not found:
        return
    limits(job, target, draft)
    _try(bench, wish, job, target, draft)
    if {item.title for item in found} == {"streaming_units"}:
        draft.steps.append(asa_scale.scale_step(job, target.streaming_units))
        return
    state = jobs.standing(job)
    if state not in ("running", "stopped", "failed"):
        draft.refusals.append(f"{job.name} is {job.state}: wait until it stands still or runs.")
    runs = state == "running"
    together = draft.begin is not None
    if runs:
        (draft.first if together else draft.steps).extend([note_step(job, wish), asa.stop_step(job)])
    draft.steps += changes_of(job, target, live, found, draft)
    if runs:
        again = {**wish, "mode": "custom", "begin": draft.begin} if together else wish
        (draft.last if together else draft.steps).extend([start_again(bench, job, again, draft), forget_step(job)])
        draft.stopped.append(job.name)
    else:
        draft.warnings.append(f"{job.name} is {job.state} and stays so: lpmops asa start starts it.")


def _hold_together(
    bench: Bench,
    wish: Wish,
    chosen: Sequence[StreamingJob],
    definitions_of: Mapping[str, tuple[Definition, Definition]],
    draft: Draft,
) -> None:
    """Texts that hold companies change in all jobs at one moment: a company that leaves one text and is not yet in another would go nowhere.

    So all stop before the first changes, and all begin again where the first of them ended; what comes twice lands once.
    """
    if bench.environment.streamanalytics.strategy != "query":
        return
    moved = {name for name, (target, live) in definitions_of.items() if target.query != live.query}
    names = {job.name for job in chosen}
    if moved & names and moved - names:
        others = ", ".join(sorted(moved - names))
        draft.refusals.append(
            f"{others} must change with it: a company that moves would go nowhere in between. Name no job, and all change."
        )
    running = [job for job in chosen if job.name in moved and jobs.standing(job) == "running"]
    ends = [job.last_output_at for job in running if job.last_output_at is not None]
    if len(running) > 1 and wish["mode"] == "last-output" and len(ends) == len(running):
        draft.begin = to_data(min(ends))


def _try(bench: Bench, wish: Wish, job: StreamingJob, target: Definition, draft: Draft) -> None:
    """Run the new text over events of the hub first. A way back leads where things were, also where that was no good place."""
    faults, notes = bench.trial(bench, job, target)
    (draft.warnings if wish["back_to"] else draft.refusals).extend(faults)
    draft.warnings.extend(notes)


def limits(job: StreamingJob, target: Definition, draft: Draft) -> None:
    """What a job's outputs will be too many for is refused or told in the draft."""
    count = len(target.outputs)
    if count > OUTPUTS_AT_MOST:
        draft.refusals.append(
            f"{job.name} would have {count} outputs; Stream Analytics takes {OUTPUTS_AT_MOST}: "
            "another job of the prefix takes some of the databases."
        )
    elif count > OUTPUTS_PLANNED:
        draft.warnings.append(
            f"{job.name} will have {count} outputs; from {OUTPUTS_PLANNED} on a small job may not start."
        )


def _unwritten(bench: Bench, written: set[str]) -> list[str]:
    """Companies that are routed to a database which no job writes: their records would go nowhere."""
    rows = bench.services.sql.rows(bench.environment.sql.control_database, "routes")
    lost: dict[str, int] = {}
    for row in rows:
        if str(row["state"]) == "active" and str(row["database_name"]).lower() not in written:
            lost[str(row["database_name"])] = lost.get(str(row["database_name"]), 0) + 1
    return [
        f"{counted(count, 'company is', 'companies are')} routed to {name}, which no job would write to: their records would go nowhere. "
        "Add it to sql.databases."
        for name, count in sorted(lost.items())
    ]


def seen_of(job: StreamingJob, pause: Pause | None) -> dict[str, Any]:
    """What a deployment rests on: the job's state and every field of its definition, the text as its hash."""
    values = definitions.fields(definitions.deployed(job))
    values["query"] = asa_parts.text_words(job.query)
    return {
        f"{job.name}.state": jobs.standing(job),
        f"{job.name}.resource": job.resource_id.lower(),
        f"{job.name}.pause": jobs.pause_data(pause),
        **{f"{job.name}.{name}": value for name, value in values.items()},
    }


def changes_of(
    job: StreamingJob, target: Definition, live: Definition, found: Sequence[Difference], draft: Draft
) -> list[Step]:
    """The writes, in the order in which the job is whole at the end of each: what is new first, then the text, then what nothing names any more."""
    parts: dict[tuple[str, str], list[Difference]] = {}
    for item in found:
        parts.setdefault((item.collection, item.name), []).append(item)
    steps, last = list[Step](), list[Step]()
    for (collection, name), items in parts.items():
        if collection == "settings":
            steps.insert(0, asa_parts.settings_step(job, target, live, items))
            continue
        step = asa_parts.part_step(job, target, live, collection, name, items)
        source = (step.arguments["after"] or {}).get("datasource", {}).get("properties", {})
        if source.get("authenticationMode") == "ConnectionString":
            draft.refusals.append(
                f"{collection}.{name} of {job.name} signs in with a secret that the service does not show: bring it back by hand."
            )
        (last if step.arguments["after"] is None else steps).append(step)
    return [*steps, *last]


def note_step(job: StreamingJob, wish: Wish, action: str = NAME) -> Step:
    """Note beside the lock that a job stands still on the way of an action."""
    note = {"reason": wish["reason"], "ticket": wish["ticket"], "until": None, "by": wish["by"], "action": action}
    change = Change(f"{job.name}.pause", None, "stopped on the way of this")
    return Step(
        f"note that {job.name} is stopped by this", asa.RECORD, job.name, note, (change,), (f"{job.name}.pause",)
    )


def forget_step(job: StreamingJob) -> Step:
    """Take that note away."""
    change = Change(f"{job.name}.pause", "stopped on the way of this", None)
    return Step(f"end the note about {job.name}", asa.CLEAR, job.name, {}, (change,), (f"{job.name}.pause",))


def start_again(bench: Bench, job: StreamingJob, wish: Wish, draft: Draft) -> Step:
    """Start a job that was stopped on the way; what that skips is added to the draft. `wish`: mode, begin."""
    begin = parse_time(wish["begin"]) if wish["begin"] else None
    mode = jobs.start_modes(bench, job, begin)[wish["mode"]]
    if mode.refusal:
        draft.refusals.append(
            f"{job.name} can't be started again so: {mode.refusal}. Say: --mode custom --from {to_data(job.started_at) or 'TIME'}"
        )
    # What comes in while it stands still is skipped too, and nobody knows how much that will be.
    skips = None if wish["mode"] == "now" else mode.skips
    draft.skipped = None if draft.skipped is None or skips is None else draft.skipped + skips
    return asa.start_step(replace(job, state="Stopped"), wish)


def _plan_of(bench: Bench, wish: Wish, action: str, chosen: Sequence[StreamingJob], draft: Draft) -> Plan:
    environment, names = bench.environment, ", ".join(job.name for job in chosen)
    verb = f"Bring {names} back to before {wish['back_to']}" if wish["back_to"] else f"Deploy {names}"
    stops = f" {', '.join(draft.stopped)} {'is' if len(draft.stopped) == 1 else 'are'} stopped once and started again."
    lost = " Events are skipped and reach nobody." if draft.stopped and draft.skipped != 0 else ""
    mode = [] if wish["mode"] == "last-output" else ["--mode", wish["mode"]]
    begin = ["--from", wish["begin"]] if wish["begin"] else []
    back = ["--back-to", wish["back_to"]] if wish["back_to"] else []
    words = ["lpmops", "asa", "deploy", "-e", environment.name, *mode, *begin, *back]
    if draft.stopped:
        draft.warnings.append(
            "Stopping, changing and starting takes 2 to 3 minutes, sometimes more than 5: until then events wait in the hub."
        )
    return Plan(
        action=action,
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"{verb} in {environment.name}.{stops if draft.stopped else ''}{lost}",
        danger=guard.danger_of(environment.kind, hard=draft.skipped != 0),
        steps=(*draft.first, *draft.steps, *draft.last),
        seen=draft.seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command(*words, *why_words(wish), *asa.job_words(wish)),
        undo=f"lpmops asa deploy -e {environment.name} --back-to OPERATION",
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=jobs.impact(bench, events=draft.skipped, pause_seconds=CYCLE_SECONDS if draft.stopped else None),
        warnings=tuple(dict.fromkeys(draft.warnings)),
        refusals=tuple(dict.fromkeys(draft.refusals)),
    )


def _verify_deploy(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    again = plan_deploy(bench, plan.wish)
    if again.steps:
        names = ", ".join(change.field for step in again.steps for change in step.changes)
        raise RefusedError(f"It is not as planned after all: {names}. Somebody else is changing it.")
    ran = {step.target for step in plan.steps if step.kind == asa.START_JOB}
    shown = []
    for job in jobs.chosen(bench, plan.wish["jobs"]):
        if job.name in ran and jobs.standing(job) != "running":
            raise RefusedError(f"{job.name} is {job.state} after all: somebody else is changing it.")
        shown.append({"name": job.name, "state": job.state, "start_mode": job.start_mode, "outputs": len(job.outputs)})
    changed = [
        change.field
        for step in plan.steps
        if step.kind in (asa_parts.PART, asa_parts.SETTINGS, asa_scale.RESCALE)
        for change in step.changes
    ]
    return {"changed": True, "jobs": shown, "fields": changed, "undo": plan.undo_of(operation)}


def _again(bench: Bench) -> list[Choice]:
    """Where the jobs that are stopped on the way begin again; the plan counts what that skips."""
    del bench
    return [
        Choice("last-output", "where the output ended: nothing is skipped, a little comes again"),
        Choice("now", "when it is started again: what comes in meanwhile is skipped"),
        Choice("custom", "with what came in at the time of “from”"),
    ]


def _earlier(bench: Bench) -> list[Choice]:
    """The deployments that can be taken back."""
    found = bench.past.done(NAME)[:_EARLIER_SHOWN]
    return [
        Choice("", "what lpmops.toml asks for"),
        *(Choice(each.id, f"what stood before {to_data(each.started_at)}, {each.who}") for each in found),
    ]


def _mode(text: str, now: datetime) -> str:
    return asa.read_mode(text, now) if text.strip() else "last-output"


_MODE = Input("mode", "begin", "where to begin again, last-output where it is empty; ↑ ↓ choose", _mode, _again)
_BACK = Input("back_to", "back to", "an earlier deployment to take back; ↑ ↓ choose", inputs.words(100), _earlier)


DEPLOY = Action(
    name=NAME,
    title="Deploy Stream Analytics",
    help="Make the routing jobs what the configuration asks for: query, inputs, outputs and settings. Stops each that must change once.",
    plan=plan_deploy,
    handlers={**asa.HANDLERS, **asa_parts.HANDLERS, **asa_scale.HANDLERS, **route_databases.HANDLERS},
    verify=_verify_deploy,
    pins=("tenant", "server"),
    inputs=(jobs.JOBS, _MODE, asa.BEGIN, _BACK, *inputs.COMMON),
    fill=lambda bench: {"jobs": [], "definitions": {}, "by": bench.who},
)
