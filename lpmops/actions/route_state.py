"""Pausing, resuming and removing companies' routes: rows of the route table, which Stream Analytics reads again each minute. No job stops for it.
Where several jobs read it, a pause ends what lands two minutes after it, for all jobs by the same moment of the hub's clock.

Where the texts of the jobs hold the companies, the texts change first, each job by one stop, and the row of the route table follows once they run so.
While a company has no active route its records are not lost: each leaves its key and version in `lpmops.unrouted`, and its content stays in the
source table, from whose change feed it can be replayed as long as that lasts. Rows that have landed stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from lpmops.actions import asa, inputs, route_prepare
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.route import (
    backfill,
    chosen,
    company_input,
    seen_of_place,
    unrouted_data,
    unrouted_words,
)
from lpmops.actions.route_prepare import Draft
from lpmops.control import guard, routes
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Impact, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.control.routes import ACTIVE, PAUSED, REMOVED, RouteEntry, Unrouted
from lpmops.errors import RefusedError
from lpmops.model import Receipt, to_data
from lpmops.routing.routes import REFRESH_SECONDS, SETTLING_SECONDS, Route
from lpmops.store.journal import StepRow

_STATE = "route.state"
# Where a job stopped for a pause, its row was written once the job ran again: what found no route until then is missing all the same.
_UNTIL_NOTED = timedelta(minutes=30)
_LIVE = (
    f"Stream Analytics reads the route table once in {REFRESH_SECONDS:.0f} s: until then it goes on as before. Where several jobs read it, what "
    f"reaches the hub in the first {SETTLING_SECONDS:.0f} s may both land and leave its key in lpmops.unrouted; none of it is lost."
)


# Plans ---------------------------------------------------------------------------------------------------------------------------------------------


def plan_pause(bench: Bench, wish: Wish) -> Plan:
    """Let companies' records land nowhere for a while. `wish`: companies (ids), reason, ticket, by."""
    found = chosen(bench, wish["companies"])
    warnings = [
        "While it is paused nothing of it lands. Each record leaves its key and version in lpmops.unrouted, and its content stays in the "
        "source table, from which it can be replayed as long as the change feed lasts."
    ]
    return _plan(bench, wish, "pause", found, PAUSED, (ACTIVE,), warnings)


def plan_resume(bench: Bench, wish: Wish) -> Plan:
    """Let them land again. `wish`: as for a pause."""
    found = chosen(bench, wish["companies"])
    left = {entry.company_id: _left(bench, entry) for entry in found if entry.state == PAUSED}
    warnings = [unrouted_words(company_id, one) for company_id, one in left.items()]
    if later := backfill(bench, {company_id: one for company_id, one in left.items() if one is not None}):
        warnings.append(f"What came meanwhile is brought, once that is done, by: {later}")
    return _plan(bench, wish, "resume", found, ACTIVE, (PAUSED,), [words for words in warnings if words])


def _left(bench: Bench, entry: RouteEntry) -> Unrouted | None:
    """What no route took of a company since it was paused."""
    since = entry.since - _UNTIL_NOTED if route_prepare.by_text(bench) else entry.since
    return routes.unrouted(bench.control, bench.services.sql, [entry.company_id], since).get(entry.company_id)


def plan_remove(bench: Bench, wish: Wish) -> Plan:
    """End companies' routes for good; what has landed stays. `wish`: as for a pause."""
    found = chosen(bench, wish["companies"])
    kept = ", ".join(sorted({entry.database for entry in found}))
    warnings = [
        f"What has landed stays in {kept}: lpmops deletes no customer's rows. What comes from now on lands nowhere."
    ]
    return _plan(bench, wish, "remove", found, REMOVED, (ACTIVE, PAUSED), warnings)


def _plan(
    bench: Bench,
    wish: Wish,
    verb: str,
    found: Sequence[RouteEntry],
    after: str,
    before: Sequence[str],
    warnings: list[str],
) -> Plan:
    asa.check_note(wish)
    environment, draft = bench.environment, Draft()
    steps, changed = list[Step](), list[Route]()
    for entry in found:
        draft.seen |= seen_of_place(entry)
        if entry.also is not None:
            draft.refusals.append(
                f"{entry.company_id} is on its way from {entry.database} to {entry.also}: finish that move first (lpmops op list)."
            )
        elif entry.state == after:
            continue
        elif entry.state not in before:
            draft.refusals.append(f"{entry.company_id} is {entry.state}: that is no state to {verb} it in.")
        else:
            steps.append(_state_step(verb, entry, after, wish["by"]))
            changed.append(Route(entry.company_id, entry.company, entry.database, after))
    route_prepare.retext(bench, wish, f"route.{verb}", changed, draft)
    stop = f" {', '.join(draft.stopped)} stops once and starts again where its output ended." if draft.stopped else ""
    live = route_prepare.stop_words(bench, draft) if route_prepare.by_text(bench) else _LIVE
    companies = [word for entry in found for word in ("--company-id", entry.company_id)]
    names = ", ".join(f"{entry.company} ({entry.company_id})" for entry in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    ends = {
        "pause": "nothing of it lands until it is resumed",
        "resume": "what comes lands again",
        "remove": "for good",
    }
    opposite = {"pause": "resume", "resume": "pause"}.get(verb)
    return Plan(
        action=f"route.{verb}",
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"{verb.capitalize()} the route of {names}{more} in {environment.name}: {ends[verb]}.{stop}",
        danger=guard.danger_of(environment.kind, hard=verb == "remove" or (bool(draft.stopped) and draft.skipped != 0)),
        steps=(*draft.steps, *steps),
        seen=draft.seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command("lpmops", "route", verb, "-e", environment.name, *companies, *why_words(wish)),
        undo=command("lpmops", "route", opposite, "-e", environment.name, *companies) if opposite else "",
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=_impact(bench, draft, [step.target for step in steps]),
        warnings=tuple(filter(None, (*warnings, *draft.warnings, live))) if steps else (),
        refusals=tuple(dict.fromkeys(draft.refusals)),
    )


def _impact(bench: Bench, draft: Draft, companies: Sequence[str]) -> Impact:
    """Where no job stops nobody waits, and nothing is said of a pause."""
    return route_prepare.impact(bench, draft, companies) if draft.stopped else Impact(companies=len(companies))


def _state_step(verb: str, entry: RouteEntry, after: str, by: str) -> Step:
    changes = (Change(f"route.{entry.company_id}.state", entry.state, after),)
    arguments = {"before": entry.state, "after": after, "database": entry.database, "by": by}
    name = f"route.{entry.company_id}.state"
    return Step(f"{verb} {entry.company_id} in {entry.database}", _STATE, entry.company_id, arguments, changes, (name,))


# Steps ---------------------------------------------------------------------------------------------------------------------------------------------


def _observe_state(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    entry, given = routes.entry(bench.control, step.target), step.arguments
    if entry is None:
        return Observation(Sight.OTHERWISE, "its route is gone")
    said = f"its route to {entry.database} is {entry.state}"
    if entry.database != given["database"] or entry.also is not None:
        return Observation(Sight.OTHERWISE, f"{said}: somebody moves it")
    if entry.state == given["after"]:
        return Observation(Sight.SO, said)
    return Observation(Sight.ABSENT if entry.state == given["before"] else Sight.OTHERWISE, said)


def _act_state(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    given = step.arguments
    routes.put_state(bench.control, step.target, given["before"], given["after"], given["by"])
    return Receipt()


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    wanted = {step.target: step.arguments["after"] for step in plan.steps if step.kind == _STATE}
    texts = route_prepare.by_text(bench)
    shown = []
    for entry in chosen(bench, list(wanted)):
        if entry.state != wanted[entry.company_id]:
            raise RefusedError(
                f"The route of {entry.company_id} is {entry.state} after all: somebody else is changing it."
            )
        if texts and bool(route_prepare.sent_by_texts(bench, entry.company_id)) != (entry.state == ACTIVE):
            raise RefusedError(
                f"The route of {entry.company_id} is {entry.state}, and the texts of the jobs say otherwise.",
                hint=command("lpmops", "asa", "deploy", "-e", plan.environment),
            )
        since = entry.asked_at if entry.state == ACTIVE else entry.since
        left = routes.unrouted(bench.control, bench.services.sql, [entry.company_id], since).get(entry.company_id)
        shown.append(
            {
                "company_id": entry.company_id,
                "database": entry.database,
                "state": entry.state,
                "since": to_data(entry.since),
                "unrouted": unrouted_data(left),
            }
        )
    stopped = sorted({step.target for step in plan.steps if step.kind == asa.STOP_JOB})
    return {
        "changed": True,
        "routes": shown,
        "live_within_seconds": 0.0 if texts else SETTLING_SECONDS,
        "stopped_jobs": stopped,
        "undo": plan.undo_of(operation),
    }


# The actions ---------------------------------------------------------------------------------------------------------------------------------------


HANDLERS = {**route_prepare.HANDLERS, _STATE: Handler(_observe_state, _act_state)}


def _fill(bench: Bench) -> Wish:
    return {"by": bench.who}


PAUSE = Action(
    name="route.pause",
    title="Pause a company",
    help="Let nothing of a company land for a while. Its records can be replayed afterwards.",
    plan=plan_pause,
    handlers=HANDLERS,
    verify=_verify,
    pins=("tenant", "server"),
    inputs=(company_input((ACTIVE,)), *inputs.COMMON),
    fill=_fill,
)
RESUME = Action(
    name="route.resume",
    title="Resume a company",
    help="Let the records of a paused company land again, and say what came meanwhile.",
    plan=plan_resume,
    handlers=HANDLERS,
    verify=_verify,
    pins=("tenant", "server"),
    inputs=(company_input((PAUSED,)), *inputs.COMMON),
    fill=_fill,
)
REMOVE = Action(
    name="route.remove",
    title="Remove a company",
    help="End a company's route for good. What has landed stays in its database.",
    plan=plan_remove,
    handlers=HANDLERS,
    verify=_verify,
    pins=("tenant", "server"),
    hard=True,
    inputs=(company_input((ACTIVE, PAUSED)), *inputs.COMMON),
    fill=_fill,
)
