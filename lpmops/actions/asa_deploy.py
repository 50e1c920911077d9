"""Deploying the Stream Analytics jobs' definition, and giving them other streaming units.

A deployment is the difference of the whole job: nothing different, nothing to do. A job that runs is stopped once, changed part by part, each write
held to what was seen by its ETag, and started again in a mode that is said. That it stands still on the way is noted in the control database first,
so that a crash in between is loud everywhere. Each step keeps what was there before it, from which `--back-to` brings it back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lpmops.actions import asa, jobs
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.control import guard
from lpmops.control.hands import Observation, Sight
from lpmops.control.lock import Pause
from lpmops.control.plan import Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.errors import NotFoundError, PreconditionError, RefusedError, ServiceError, UsageError
from lpmops.model import Receipt, StreamingJob, parse_time, to_data
from lpmops.routing import job as definitions
from lpmops.routing.fields import bare_name, flat
from lpmops.routing.job import UNITS, Definition, Difference
from lpmops.store.journal import StepRow

_PART, _SETTINGS, _SCALE = "asa.part", "asa.settings", "asa.scale"
_NAME = "asa.deploy"
# Stopping, writing and starting takes two to three minutes, sometimes more than five (MicrosoftDocs/azure-docs#12767).
_CYCLE_SECONDS = 180.0
_NOUNS = {"inputs": "input", "outputs": "output", "transformations": "the query and streaming units"}


@dataclass(slots=True)
class _Draft:
    """What is being gathered for one plan. `skipped` is None where it is unknown."""

    steps: list[Step] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: int | None = 0
    stopped: list[str] = field(default_factory=list)


# What should be -----------------------------------------------------------------------------------------------------------------------------------


def targets(bench: Bench, found: Sequence[StreamingJob]) -> dict[str, Definition]:
    """What the configuration asks of each of the environment's jobs. Raises UsageError for what no text can be made of."""
    environment = bench.environment
    if environment.streamanalytics.strategy != "reference":
        raise UsageError(
            f"The routing strategy {environment.streamanalytics.strategy!r} can't be deployed by this lpmops.",
            hint='Set streamanalytics.strategy = "reference" in lpmops.toml.',
        )
    live = {job.name: definitions.deployed(job) for job in found}
    shares = definitions.spread(
        environment.sql.databases, {name: definitions.landing_databases(item) for name, item in live.items()}
    )
    made = {}
    for name, item in live.items():
        group = definitions.consumer_group(item, name[-2:], environment.eventhub.consumer_group)
        try:
            made[name] = definitions.wished(bench.config, environment, shares[name], group, _server(bench, item))
        except ValueError as error:
            raise UsageError(
                f"No query can be made for {name}: {error}.", hint="Check [columns] and sql.databases in lpmops.toml."
            ) from error
    return made


def _server(bench: Bench, live: Definition) -> str:
    """How the job names the SQL server, where that is a known name of the configured one."""
    sql = bench.environment.sql
    known = {bare_name(name) for name in (sql.server, sql.server_name) if name}
    for properties in live.outputs.values():
        name = str(properties.get("datasource", {}).get("properties", {}).get("server") or "")
        if bare_name(name) in known:
            return name
    return sql.server


def former(plan: Plan) -> dict[str, dict[str, Any]]:
    """What stood before a deployment, by job: its changed settings, and each changed part, None for one that was new. Raises UsageError."""
    if plan.action != _NAME:
        raise UsageError(f"That operation was {plan.action}, not a deployment.", hint="See which were: lpmops op list")
    found: dict[str, dict[str, Any]] = {}
    for step in plan.steps:
        given = step.arguments
        here = found.setdefault(step.target, {"settings": {}, "parts": []}) if step.kind in (_PART, _SETTINGS) else {}
        if step.kind == _SETTINGS:
            here["settings"] = given["former"]
        elif step.kind == _PART:
            here["parts"].append([given["collection"], given["name"], given["former"]])
        elif step.kind == _SCALE:
            found.setdefault(step.target, {"settings": {}, "parts": []})["units"] = given["former"]
    return found


def _back(live: Definition, before: Mapping[str, Any]) -> Definition:
    """The job as it is, with what a deployment changed as it was."""
    settings = {name: value for name, value in before["settings"].items() if value is not None}
    made = replace(live, settings={**live.settings, **settings})
    if "units" in before:
        made = replace(made, streaming_units=before["units"])
    for collection, name, properties in before["parts"]:
        if collection == "transformations":
            made = replace(made, query=properties["query"], streaming_units=properties["streamingUnits"])
            continue
        parts = {key: value for key, value in getattr(made, collection).items() if key.lower() != name.lower()}
        parts |= {} if properties is None else {name: properties}
        made = replace(made, inputs=parts) if collection == "inputs" else replace(made, outputs=parts)
    return made


# Deploy -------------------------------------------------------------------------------------------------------------------------------------------


def plan_deploy(bench: Bench, wish: Wish) -> Plan:
    """Make the jobs what they should be.

    `wish`: jobs (names, none for all), mode and begin (as for a start), back_to (an operation) with definitions (what stood before it), by, reason,
    ticket.
    """
    asa.check_note(wish)
    begin = parse_time(wish["begin"]) if wish["begin"] else None
    if wish["mode"] not in jobs.MODES or (wish["mode"] == "custom") != (begin is not None):
        raise UsageError("A start says where it begins.", hint="One of: --mode last-output, --mode custom --from TIME")
    every, chosen = jobs.chosen(bench, []), jobs.chosen(bench, wish["jobs"])
    live = {job.name: definitions.deployed(job) for job in every}
    wanted = (
        {name: _back(live[name], before) for name, before in wish["definitions"].items() if name in live}
        if wish["back_to"]
        else targets(bench, every)
    )
    pauses, draft = bench.control.pauses(), _Draft(seen={"jobs": [job.name for job in chosen]})
    for job in chosen:
        _deploy_one(bench, wish, job, pauses.get(job.name), wanted.get(job.name, live[job.name]), draft)
    written = {
        database.lower()
        for job in every
        for database in definitions.landing_databases(
            wanted.get(job.name, live[job.name]) if job in chosen else live[job.name]
        )
    }
    # A way back leads where things were, also where that was no good place.
    (draft.warnings if wish["back_to"] else draft.refusals).extend(_unwritten(bench, written))
    return _plan_of(bench, wish, _NAME, chosen, draft)


def _deploy_one(
    bench: Bench, wish: Wish, job: StreamingJob, pause: Pause | None, target: Definition, draft: _Draft
) -> None:
    live = definitions.deployed(job)
    draft.seen |= _seen(job, pause)
    found = definitions.differences(target, live)
    if not found:
        return
    _limits(job, target, draft)
    if {item.title for item in found} == {"streaming_units"}:
        draft.steps.append(_scale_step(job, target.streaming_units))
        return
    state = jobs.standing(job)
    if state not in ("running", "stopped", "failed"):
        draft.refusals.append(f"{job.name} is {job.state}: wait until it stands still or runs.")
    runs = state == "running"
    if runs:
        draft.steps += [_note_step(job, wish), asa.stop_step(job)]
    draft.steps += _changes(job, target, live, found, draft)
    if runs:
        draft.steps += [_start_again(bench, job, wish, draft), _forget_step(job)]
        draft.stopped.append(job.name)
    else:
        draft.warnings.append(f"{job.name} is {job.state} and stays so: lpmops asa start starts it.")


def _limits(job: StreamingJob, target: Definition, draft: _Draft) -> None:
    count = len(target.outputs)
    if count > definitions.OUTPUTS_AT_MOST:
        draft.refusals.append(
            f"{job.name} would have {count} outputs; Stream Analytics takes {definitions.OUTPUTS_AT_MOST}: "
            "another job of the prefix takes some of the databases."
        )
    elif count > definitions.OUTPUTS_PLANNED:
        draft.warnings.append(
            f"{job.name} will have {count} outputs; from {definitions.OUTPUTS_PLANNED} on a small job may not start."
        )


def _unwritten(bench: Bench, written: set[str]) -> list[str]:
    """Companies that are routed to a database which no job writes: their records would go nowhere."""
    rows = bench.services.sql.rows(bench.environment.sql.control_database, "routes")
    lost: dict[str, int] = {}
    for row in rows:
        if str(row["state"]) == "active" and str(row["database_name"]).lower() not in written:
            lost[str(row["database_name"])] = lost.get(str(row["database_name"]), 0) + 1
    return [
        f"{count} companies are routed to {name}, which no job would write to: their records would go nowhere. Add it to sql.databases."
        for name, count in sorted(lost.items())
    ]


def _seen(job: StreamingJob, pause: Pause | None) -> dict[str, Any]:
    """What a deployment rests on: the job's state and every field of its definition, the text as its hash."""
    values = definitions.fields(definitions.deployed(job))
    values["query"] = _text_words(job.query)
    return {
        f"{job.name}.state": jobs.standing(job),
        f"{job.name}.resource": job.resource_id.lower(),
        f"{job.name}.pause": jobs.pause_data(pause),
        **{f"{job.name}.{name}": value for name, value in values.items()},
    }


def _text_words(text: str) -> str:
    return f"{hashlib.sha256(text.encode('utf-8')).hexdigest()[:16]} ({len(text.splitlines())} lines)"


def _changes(
    job: StreamingJob, target: Definition, live: Definition, found: Sequence[Difference], draft: _Draft
) -> list[Step]:
    """The writes, in the order in which the job is whole at the end of each: what is new first, then the text, then what nothing names any more."""
    parts: dict[tuple[str, str], list[Difference]] = {}
    for item in found:
        parts.setdefault((item.collection, item.name), []).append(item)
    steps, last = list[Step](), list[Step]()
    for (collection, name), items in parts.items():
        if collection == "settings":
            steps.insert(0, _settings_step(job, target, live, items))
            continue
        step = _part_step(job, target, live, collection, name, items)
        source = (step.arguments["after"] or {}).get("datasource", {}).get("properties", {})
        if source.get("authenticationMode") == "ConnectionString":
            draft.refusals.append(
                f"{collection}.{name} of {job.name} signs in with a secret that the service does not show: bring it back by hand."
            )
        (last if step.arguments["after"] is None else steps).append(step)
    return [*steps, *last]


def _settings_step(job: StreamingJob, target: Definition, live: Definition, items: Sequence[Difference]) -> Step:
    names = {item.field.partition(".")[0] for item in items}
    arguments = {
        "after": {name: target.settings[name] for name in sorted(names)},
        "former": {name: live.settings.get(name) for name in sorted(names)},
    }
    fields = {*flat(arguments["after"]), *flat(arguments["former"])}
    touches = tuple(sorted(f"{job.name}.{name}" for name in fields))
    return Step(
        f"set {', '.join(sorted(names))} of {job.name}", _SETTINGS, job.name, arguments, _shown(job, items), touches
    )


def _part_step(
    job: StreamingJob,
    target: Definition,
    live: Definition,
    collection: str,
    name: str,
    items: Sequence[Difference],
) -> Step:
    after, before = target.part(collection, name), live.part(collection, name)
    where = f"{job.name}.{collection}.{name}."
    if collection == "transformations":
        name = job.transformation
        touches: tuple[str, ...] = (f"{job.name}.query", f"{job.name}.streaming_units")
        title = f"put {_NOUNS[collection]} of {job.name}"
    else:
        touches = tuple(sorted({where + path for path in (*flat(after or {}), *flat(before or {}))}))
        title = f"{'delete' if after is None else 'put'} {_NOUNS[collection]} {name} of {job.name}"
    arguments = {"collection": collection, "name": name, "after": after, "former": before}
    return Step(title, _PART, job.name, arguments, _shown(job, items), touches)


def _shown(job: StreamingJob, items: Sequence[Difference]) -> tuple[Change, ...]:
    def value(item: Difference, given: Any) -> Any:
        return _text_words(given) if item.field == "query" and given is not None else given

    return tuple(
        Change(f"{job.name}.{item.title}", value(item, item.before), value(item, item.after)) for item in items
    )


def _note_step(job: StreamingJob, wish: Wish) -> Step:
    note = {"reason": wish["reason"], "ticket": wish["ticket"], "until": None, "by": wish["by"], "action": _NAME}
    change = Change(f"{job.name}.pause", None, "stopped on the way of this")
    return Step(
        f"note that {job.name} is stopped by this", asa.RECORD, job.name, note, (change,), (f"{job.name}.pause",)
    )


def _forget_step(job: StreamingJob) -> Step:
    change = Change(f"{job.name}.pause", "stopped on the way of this", None)
    return Step(f"end the note about {job.name}", asa.CLEAR, job.name, {}, (change,), (f"{job.name}.pause",))


def _start_again(bench: Bench, job: StreamingJob, wish: Wish, draft: _Draft) -> Step:
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


def _plan_of(bench: Bench, wish: Wish, action: str, chosen: Sequence[StreamingJob], draft: _Draft) -> Plan:
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
        steps=tuple(draft.steps),
        seen=draft.seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command(*words, *why_words(wish), *asa.job_words(wish)),
        undo=f"lpmops asa deploy -e {environment.name} --back-to OPERATION",
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=jobs.impact(bench, events=draft.skipped, pause_seconds=_CYCLE_SECONDS if draft.stopped else None),
        warnings=tuple(draft.warnings),
        refusals=tuple(draft.refusals),
    )


def _verify_deploy(bench: Bench, plan: Plan) -> Mapping[str, Any]:
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
        change.field for step in plan.steps if step.kind in (_PART, _SETTINGS, _SCALE) for change in step.changes
    ]
    return {"changed": True, "jobs": shown, "fields": changed, "undo": plan.undo}


# Steps --------------------------------------------------------------------------------------------------------------------------------------------


def _observe_part(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    given, job = step.arguments, bench.services.streamanalytics.job(step.target)
    live = definitions.deployed(job).part(given["collection"], given["name"])
    return _compared(job, f"{given['collection']} {given['name']}", given, live)


def _observe_settings(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    job = bench.services.streamanalytics.job(step.target)
    there = definitions.deployed(job).settings
    live = {name: there.get(name) for name in step.arguments["after"]}
    return _compared(job, "its settings", step.arguments, live)


def _compared(job: StreamingJob, what: str, given: Mapping[str, Any], live: Mapping[str, Any] | None) -> Observation:
    """As wished; as it was planned on; or as somebody else made it, which no write may go over."""
    after, before = given["after"], given["former"]
    if (after is None and live is None) or (
        after is not None and live is not None and not definitions.unlike(after, live)
    ):
        return Observation(Sight.SO, f"{what}: as wished")
    if (before is None) == (live is None) and flat(before or {}) == flat(live or {}):
        return Observation(Sight.ABSENT, f"{what}: as before, and {job.name} is {job.state}")
    return Observation(Sight.OTHERWISE, f"somebody else changed {what} meanwhile; {job.name} is {job.state}")


def _act_part(bench: Bench, step: Step, operation: str) -> Receipt:
    """One write, held by ETag to what was planned on: the ETag is read first and the part after it, so none can slip in between."""
    del operation
    service, given = bench.services.streamanalytics, step.arguments
    collection, name = given["collection"], given["name"]
    etag = service.part_etag(step.target, collection, name)
    _refuse_moved(bench, step, _observe_part)
    try:
        if given["after"] is None:
            return service.delete_part(step.target, collection, name)
        return service.put_part(step.target, collection, name, given["after"], etag)
    except ServiceError as error:
        raise _standing_still(error, step) from error


def _act_settings(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    service = bench.services.streamanalytics
    etag = service.job(step.target).etag
    _refuse_moved(bench, step, _observe_settings)
    try:
        return service.change(step.target, step.arguments["after"], etag)
    except ServiceError as error:
        raise _standing_still(error, step) from error


def _refuse_moved(bench: Bench, step: Step, observe: Any) -> None:
    seen: Observation = observe(bench, step, None, None)
    if seen.sight is not Sight.ABSENT:
        error = PreconditionError(f"{seen.said}.", service="streamanalytics")
        error.settled = True
        raise error


def _standing_still(error: ServiceError, step: Step) -> ServiceError:
    """The same error, saying that the job stands still."""
    error.message = f"{error.message} {step.target} stands still until this is finished or taken back."
    return error


# Scale --------------------------------------------------------------------------------------------------------------------------------------------


def plan_scale(bench: Bench, wish: Wish) -> Plan:
    """Give the jobs other streaming units. `wish`: jobs, units (as configured: 1/3, 2/3, 1, 2 ...), reason, ticket."""
    if wish["units"] not in UNITS:
        raise UsageError(
            f"{wish['units']!r} is no number of streaming units that Stream Analytics has.",
            hint="There are: 1/3, 2/3, and 1 to 66.",
        )
    units, environment = UNITS[wish["units"]], bench.environment
    chosen, pauses = jobs.chosen(bench, wish["jobs"]), bench.control.pauses()
    seen: dict[str, Any] = {"jobs": [job.name for job in chosen]}
    steps, refusals, warnings = list[Step](), list[str](), list[str]()
    for job in chosen:
        seen |= jobs.managed(job, pauses.get(job.name))
        if job.streaming_units != units:
            steps.append(_scale_step(job, units))
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


def _scale_step(job: StreamingJob, units: int) -> Step:
    change = Change(f"{job.name}.streaming_units", job.streaming_units, units)
    arguments = {"units": units, "former": int(job.streaming_units or 0)}
    return Step(f"scale {job.name}", _SCALE, job.name, arguments, (change,), (f"{job.name}.streaming_units",))


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


def _verify_scale(bench: Bench, plan: Plan) -> Mapping[str, Any]:
    shown = []
    for job in jobs.chosen(bench, plan.wish["jobs"]):
        if job.streaming_units != UNITS[plan.wish["units"]]:
            raise RefusedError(
                f"{job.name} has {job.streaming_units:g} streaming units after all: somebody else scaled it."
            )
        shown.append({"name": job.name, "state": job.state, "streaming_units": job.streaming_units})
    return {"changed": True, "jobs": shown, "undo": plan.undo}


# The text ----------------------------------------------------------------------------------------------------------------------------------------


def texts(bench: Bench, names: Sequence[str]) -> list[dict[str, Any]]:
    """Each job's text as it would be deployed and as it runs, with every difference of the whole job by name. Raises NotFoundError, UsageError."""
    every = jobs.chosen(bench, [])
    wanted = targets(bench, every)
    found = []
    for job in jobs.chosen(bench, names):
        target = wanted.get(job.name)
        if target is None:
            raise NotFoundError(f"There is no job {job.name!r}.")
        items = definitions.differences(target, definitions.deployed(job))
        found.append(
            {
                "job": job.name,
                "query": target.query,
                "deployed": job.query,
                "differences": [item.title for item in items],
            }
        )
    return found


_STEPS = {
    **asa.HANDLERS,
    _PART: Handler(_observe_part, _act_part),
    _SETTINGS: Handler(_observe_settings, _act_settings),
    _SCALE: Handler(_observe_scale, _act_scale),
}
DEPLOY = Action(
    name=_NAME,
    title="Deploy Stream Analytics",
    help="Make the routing jobs what the configuration asks for: query, inputs, outputs and settings. Stops each that must change once.",
    plan=plan_deploy,
    handlers=_STEPS,
    verify=_verify_deploy,
    pins=("tenant", "server"),
)
SCALE = Action(
    name="asa.scale",
    title="Scale Stream Analytics",
    help="Give the routing jobs other streaming units, while they run.",
    plan=plan_scale,
    handlers=_STEPS,
    verify=_verify_scale,
    pins=("tenant", "server"),
)
