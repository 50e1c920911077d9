"""Pausing, resuming and removing companies' routes: rows of the route table, which Stream Analytics reads again each minute. No job stops for it.

While a company has no active route its records are not lost: each leaves its key and version in `lpmops.unrouted`, and its content stays in the
source table, from whose change feed it can be replayed as long as that lasts. Rows that have landed stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lpmops.actions import asa, inputs
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.inputs import Choice, Input
from lpmops.control import guard, routes
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Impact, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.control.routes import ACTIVE, PAUSED, REMOVED, RouteEntry, Unrouted
from lpmops.errors import NotFoundError, RefusedError, UsageError
from lpmops.model import Receipt, to_data
from lpmops.store.journal import StepRow

# How often Stream Analytics asks for the route table: the shortest that it can.
REFRESH_SECONDS = 60.0
STATE = "route.state"
_LIVE = f"Stream Analytics reads the route table once in {REFRESH_SECONDS:.0f} s: until then it goes on as before."


def chosen(bench: Bench, company_ids: Sequence[str]) -> list[RouteEntry]:
    """The routes of these companies. Raises UsageError where none is named, NotFoundError with the nearest id."""
    if not company_ids:
        raise UsageError("Name a company.", hint="--company-id ID; see them: lpmops route list -e ENV")
    found = []
    for company_id in dict.fromkeys(company_ids):
        inputs.check_text(company_id)
        entry = routes.entry(bench.control, company_id)
        if entry is None or entry.company_id != company_id:
            raise _no_route(bench, company_id, entry)
        found.append(entry)
    return found


def _no_route(bench: Bench, company_id: str, near: RouteEntry | None) -> NotFoundError:
    import difflib

    close = [near.company_id] if near else difflib.get_close_matches(company_id, routes.entries(bench.control), n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return NotFoundError(
        f"There is no route for the company {company_id!r} in {bench.environment.name}.{meant}",
        hint=command("lpmops", "route", "list", "-e", bench.environment.name),
    )


def seen_of_place(entry: RouteEntry) -> dict[str, Any]:
    """What a plan rests on of a route, by dotted name."""
    name = f"route.{entry.company_id}"
    return {f"{name}.state": entry.state, f"{name}.database": entry.database, f"{name}.also": entry.also}


def unrouted_data(found: Unrouted | None) -> dict[str, Any]:
    """What no route took, as plain values: it can be brought back from the source table's versions as long as its change feed keeps them."""
    if found is None:
        return {"events": 0, "from_version": None, "to_version": None, "since": None}
    return {
        "events": found.events,
        "from_version": found.first_version,
        "to_version": found.last_version,
        "since": to_data(found.since),
    }


def unrouted_words(company_id: str, found: Unrouted | None) -> str:
    """The same as a sentence; empty where there is nothing."""
    if found is None or not found.events:
        return ""
    if found.first_version is None:
        return f"{found.events:,} records of {company_id} found no route and have no version: see lpmops.unrouted."
    return (
        f"{found.events:,} changes of {company_id} found no route (versions {found.first_version} to {found.last_version} of the source table): "
        f"they have not landed, and a replay from version {found.first_version} brings them."
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
    warnings = []
    for entry in found:
        if entry.state == PAUSED:
            left = routes.unrouted(bench.control, [entry.company_id], entry.since).get(entry.company_id)
            warnings.append(unrouted_words(entry.company_id, left))
    return _plan(bench, wish, "resume", found, ACTIVE, (PAUSED,), [words for words in warnings if words])


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
    environment = bench.environment
    steps, refusals, seen = list[Step](), list[str](), dict[str, Any]()
    for entry in found:
        seen |= seen_of_place(entry)
        if entry.also is not None:
            refusals.append(
                f"{entry.company_id} is on its way from {entry.database} to {entry.also}: finish that move first (lpmops op list)."
            )
        elif entry.state == after:
            continue
        elif entry.state not in before:
            refusals.append(f"{entry.company_id} is {entry.state}: that is no state to {verb} it in.")
        else:
            steps.append(_state_step(verb, entry, after, wish["by"]))
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
        summary=f"{verb.capitalize()} the route of {names}{more} in {environment.name}: {ends[verb]}.",
        danger=guard.danger_of(environment.kind, hard=verb == "remove"),
        steps=tuple(steps),
        seen=seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command("lpmops", "route", verb, "-e", environment.name, *companies, *why_words(wish)),
        undo=command("lpmops", "route", opposite, "-e", environment.name, *companies) if opposite else "",
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=Impact(companies=len(steps)),
        warnings=(*warnings, _LIVE) if steps else (),
        refusals=tuple(refusals),
    )


def _state_step(verb: str, entry: RouteEntry, after: str, by: str) -> Step:
    changes = (Change(f"route.{entry.company_id}.state", entry.state, after),)
    arguments = {"before": entry.state, "after": after, "database": entry.database, "by": by}
    name = f"route.{entry.company_id}.state"
    return Step(f"{verb} {entry.company_id} in {entry.database}", STATE, entry.company_id, arguments, changes, (name,))


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
    wanted = {step.target: step.arguments["after"] for step in plan.steps}
    shown = []
    for entry in chosen(bench, list(wanted)):
        if entry.state != wanted[entry.company_id]:
            raise RefusedError(
                f"The route of {entry.company_id} is {entry.state} after all: somebody else is changing it."
            )
        since = entry.asked_at if entry.state == ACTIVE else entry.since
        left = routes.unrouted(bench.control, [entry.company_id], since).get(entry.company_id)
        shown.append(
            {
                "company_id": entry.company_id,
                "database": entry.database,
                "state": entry.state,
                "since": to_data(entry.since),
                "unrouted": unrouted_data(left),
            }
        )
    return {"changed": True, "routes": shown, "live_within_seconds": REFRESH_SECONDS, "undo": plan.undo_of(operation)}


# The actions ---------------------------------------------------------------------------------------------------------------------------------------


def company_choices(states: Sequence[str]) -> Any:
    """Offers the companies whose routes are in one of these states."""

    def offer(bench: Bench) -> list[Choice]:
        found = routes.entries(bench.control).values()
        return [
            Choice(entry.company_id, f"{entry.company}, in {entry.database}, {entry.state}")
            for entry in found
            if entry.state in states
        ]

    return offer


def one_company(text: str, now: datetime) -> list[str]:
    """Reads one company id as the list that a wish holds. Raises UsageError."""
    del now
    if not text.strip():
        raise UsageError("Name a company.", hint="Its id, as in the source.")
    return [text.strip()]


def company_input(states: Sequence[str]) -> Input:
    """The field that asks for one company."""
    return Input(
        "companies",
        "company",
        "the company's id; ↑ ↓ choose",
        one_company,
        company_choices(states),
        of_company=lambda company_id: [company_id],
    )


HANDLERS = {STATE: Handler(_observe_state, _act_state)}


def _fill(bench: Bench) -> Wish:
    return {"by": bench.who}


PAUSE = Action(
    name="route.pause",
    title="Pause a company",
    help="Let nothing of a company land for a while. No job stops; its records can be replayed afterwards.",
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
