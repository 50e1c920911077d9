"""Bringing companies on: from a request to the first row in the company's database, one company or thousands at once.

On a database that a job writes already nothing stops: the route is a row that Stream Analytics reads within a minute. A database that is new is a new
output, for which its job is stopped once for all of them, and brought back to what it was where it does not start with it; only then are the routes
written, all of them in one statement or none. At the end it is waited for the first rows, and how long that took is kept with the route.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lpmops.actions import asa, route, route_prepare
from lpmops.actions.action import Action, Bench, Handler, Stage, Wish, why_words
from lpmops.actions.route_fields import FIELDS, check_field
from lpmops.actions.route_prepare import Draft, prepare, stop_words
from lpmops.control import guard, routes
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import WAITS, Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.control.routes import ACTIVE, REMOVED, RouteEntry
from lpmops.errors import LpmopsError, RefusedError, UsageError
from lpmops.model import Receipt, parse_time, to_data
from lpmops.routing.routes import Route, alike
from lpmops.store.journal import StepRow

_NAME = "route.onboard"
_ADD, _FIRST, _NOTE = "route.add", f"{WAITS}first-row", f"{WAITS}note-first-row"
# How long the first rows are waited for where nothing else is said: a few minutes more than the route table takes to be read.
WAIT_SECONDS = 600.0
_SHOWN = 5
_LINE = re.compile(r"line (\d+)\b")


# What is wished ------------------------------------------------------------------------------------------------------------------------------------


def wished_routes(wish: Wish) -> list[dict[str, Any]]:
    """The wished routes: company_id, company, database, and the line of the file where they come from one."""
    if wish.get("routes"):
        return [dict(item) for item in wish["routes"]]
    return [{name: wish[name] for name in ("company_id", "company", "database")}]


def _check(bench: Bench, wished: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The routes that can be asked about, and what is wrong with the others, line by line."""
    good, found = list[dict[str, Any]](), list[str]()
    seen: set[str] = set()
    for item in wished:
        faults = []
        for name in ("company_id", "company", "database"):
            try:
                check_field(name, str(item[name]), bench.config.routing.key_type)
            except UsageError as error:
                faults.append(_at(item, error.message))
        if item["company_id"] in seen:
            faults.append(_at(item, f"The company {item['company_id']!r} is there twice."))
        seen.add(item["company_id"])
        found += faults
        good += [] if faults else [item]
    if len(wished) > routes.LARGEST_BATCH:
        found.append(f"These are {len(wished):,} companies; at most {routes.LARGEST_BATCH:,} are brought on at once.")
        good = []
    return good, found


def _at(item: Mapping[str, Any], sentence: str) -> str:
    return f"line {item['line']}: {sentence}" if item.get("line") else sentence


# The plan ------------------------------------------------------------------------------------------------------------------------------------------


def plan_onboard(bench: Bench, wish: Wish) -> Plan:
    """Bring companies on.

    `wish`: routes (company_id, company, database, line) or one of them flat, file (where they are from), unread (its lines that are no routes,
    in words), columns (that must land), wait (seconds for the first rows, 0 not to wait), unknown (whether an id may come that the source has not),
    asked_at, reason, ticket, by.
    """
    asa.check_note(wish)
    wished, draft = wished_routes(wish), Draft()
    good, faults = _check(bench, wished)
    draft.refusals += [*wish.get("unread", ()), *faults]
    draft.refusals += _missing_columns(bench, wish.get("columns") or [])
    new: list[dict[str, Any]] = []
    try:
        new = _ask(bench, wish, good, draft)
    except LpmopsError as error:
        if not draft.refusals:
            raise
        draft.refusals.append(f"What else speaks against it was not seen: {error.message}")
    draft.refusals = _by_line(draft.refusals)
    if new:
        draft.steps.append(_add_step(wish, new))
        if wish["wait"]:
            draft.steps += _wait_steps(wish, new)
    return _plan_of(bench, wish, wished, new, draft)


def _ask(bench: Bench, wish: Wish, good: Sequence[dict[str, Any]], draft: Draft) -> list[dict[str, Any]]:
    """What the services say of routes that can be asked about; gives those that are not there yet."""
    if not good:
        return []
    new = _not_there_yet(bench, good, draft)
    _ask_source(bench, wish, new, draft)
    added = [Route(item["company_id"], item["company"], item["database"]) for item in new]
    databases = {item["database"].casefold(): item["database"] for item in good}
    draft.where = {name: _where([item for item in good if item["database"].casefold() == name]) for name in databases}
    prepare(bench, wish, _NAME, list(databases.values()), added, draft, wanted=bool(new))
    return new


def _where(items: Sequence[Mapping[str, Any]]) -> str:
    """The lines that ask for one database, before what is said of it; empty where they come from no file."""
    lines = [item["line"] for item in items if item.get("line")]
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f"line {lines[0]}{more}: " if lines else ""


def _by_line(refusals: Sequence[str]) -> list[str]:
    """One report, whoever found it: what is of a line in the order of the lines, then the rest."""
    found = [(_LINE.match(refusal), refusal) for refusal in refusals]
    of_lines = sorted((int(line[1]), place, said) for place, (line, said) in enumerate(found) if line)
    return [*(said for _, _, said in of_lines), *(said for line, said in found if not line)]


def _missing_columns(bench: Bench, names: Sequence[str]) -> list[str]:
    there = {column.name for column in bench.config.columns} | {bench.config.routing.sip_request}
    return [
        f"The column {name!r} does not land: add it to [columns] in lpmops.toml and deploy it for all companies (lpmops asa deploy)."
        for name in names
        if name not in there
    ]


def _not_there_yet(bench: Bench, wished: Sequence[dict[str, Any]], draft: Draft) -> list[dict[str, Any]]:
    """Those that have no route; one that has it as wished is done, any other is refused."""
    every = routes.entries(bench.control)
    new = []
    for item in wished:
        company_id, database = item["company_id"], item["database"]
        entry: RouteEntry | None = every.get(company_id)
        present = entry if entry is not None and entry.state != REMOVED else None
        draft.seen[f"route.{company_id}"] = None if present is None else [present.state, present.database, present.also]
        if present is None:
            new.append(item)
            close = alike(company_id, every)
            if close:
                draft.warnings.append(
                    _at(item, f"{company_id!r} looks like {', '.join(map(ascii, close))}: are they two companies?")
                )
            if entry is not None:
                draft.warnings.append(
                    _at(
                        item,
                        f"{company_id} was removed at {to_data(entry.since)}; what landed of it then is in {entry.database}.",
                    )
                )
        elif present.also is not None or present.state != ACTIVE or present.database.casefold() != database.casefold():
            draft.refusals.append(_at(item, _taken(bench, present)))
    return new


def _taken(bench: Bench, entry: RouteEntry) -> str:
    said = f"{entry.company_id} has a route already: {entry.state} in {entry.database}."
    words = ("-e", bench.environment.name, "--company-id", entry.company_id)
    if entry.state != ACTIVE:
        return f"{said} To let it land again: {command('lpmops', 'route', 'resume', *words)}"
    return f"{said} To another database: {command('lpmops', 'route', 'move', *words, '--database', 'NAME')}"


def _ask_source(bench: Bench, wish: Wish, new: Sequence[Mapping[str, Any]], draft: Draft) -> None:
    """Whether the source has these companies, and how many records a day come of each."""
    if not new:
        return
    routing, ids = bench.config.routing, [item["company_id"] for item in new]
    databricks = bench.services.databricks
    try:
        arrivals = databricks.company_arrivals(routing.key)
        quiet = [company_id for company_id in ids if company_id not in arrivals]
        records = databricks.company_records(routing.key, quiet, routing.key_type) if quiet else {}
    except LpmopsError as error:
        if not wish["unknown"]:
            raise
        draft.warnings.append(f"Whether the source has them was not seen: {error.message}")
        return
    unknown = [item for item in new if item["company_id"] not in arrivals and item["company_id"] not in records]
    for item in unknown:
        close = alike(item["company_id"], arrivals)
        meant = f" It has {', '.join(map(ascii, close))}, which looks like it." if close else ""
        said = f"The source has no record with {routing.key} = {item['company_id']!r}.{meant}"
        (draft.warnings if wish["unknown"] else draft.refusals).append(
            _at(item, said if wish["unknown"] else f"{said} Bring it on all the same with --unknown-ok.")
        )
    left = routes.unrouted(bench.control, bench.services.sql, ids)
    for item in new[:_SHOWN]:
        company_id = item["company_id"]
        if company_id in arrivals:
            draft.warnings.append(f"{company_id}: about {arrivals[company_id]:,.0f} new records a day.")
        elif company_id in records:
            draft.warnings.append(
                f"{company_id}: {records[company_id]:,} records in the source, none of the last day: its first row may be long in coming."
            )
        if words := route.unrouted_words(company_id, left.get(company_id)):
            draft.warnings.append(words)
    total = sum(found.events for found in left.values())
    if len(new) > _SHOWN and total:
        draft.warnings.append(f"{total:,} changes of these companies found no route so far; a replay brings them.")
    if later := route.backfill(bench, left):
        draft.warnings.append(f"What came before is brought, once that is done, by: {later}")


def _add_step(wish: Wish, new: Sequence[Mapping[str, Any]]) -> Step:
    given = [{name: item[name] for name in ("company_id", "company", "database")} for item in new]
    names = tuple(f"route.{item['company_id']}" for item in given)
    changes = tuple(Change(f"route.{item['company_id']}", None, item["database"]) for item in given)
    what = given[0]["company_id"] if len(given) == 1 else f"{len(given)} companies"
    arguments = {"routes": given, "asked_at": wish["asked_at"], "by": wish["by"]}
    return Step(f"bring {what} on", _ADD, what, arguments, changes, names)


def _wait_steps(wish: Wish, new: Sequence[Mapping[str, Any]]) -> list[Step]:
    companies = {item["company_id"]: item["database"] for item in new}
    what = next(iter(companies)) if len(companies) == 1 else f"{len(companies)} companies"
    arguments = {"companies": companies, "since": wish["asked_at"], "seconds": wish["wait"]}
    return [
        Step(f"wait for the first row of {what}", _FIRST, what, arguments),
        Step(f"note how long the first row of {what} took", _NOTE, what, arguments),
    ]


def _plan_of(
    bench: Bench, wish: Wish, wished: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], draft: Draft
) -> Plan:
    environment = bench.environment
    who = ", ".join(f"{item['company']} ({item['company_id']})" for item in wished[:3])
    more = f" and {len(wished) - 3} more" if len(wished) > 3 else ""
    where = sorted({item["database"] for item in wished})
    what = where[0] if len(where) == 1 else f"{len(where)} databases"
    if draft.stopped:
        draft.warnings.append(stop_words(bench, draft))
        stop = f" {', '.join(draft.stopped)} stops once and starts again where its output ended."
    else:
        stop = " No job stops." if new else ""
    return Plan(
        action=_NAME,
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"Bring {who}{more} on in {what} of {environment.name}.{stop}",
        danger=guard.danger_of(environment.kind, hard=bool(draft.stopped) and draft.skipped != 0),
        steps=tuple(draft.steps) if new else (),
        seen=draft.seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=_command(bench, wish, wished),
        undo=_undo(bench, new),
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=route_prepare.impact(bench, draft, [item["company_id"] for item in new]),
        warnings=tuple(dict.fromkeys(draft.warnings)) if new else (),
        refusals=tuple(dict.fromkeys(draft.refusals)),
    )


def _command(bench: Bench, wish: Wish, wished: Sequence[Mapping[str, Any]]) -> str:
    words = ["lpmops", "route"]
    if wish.get("file"):
        words += ["import", wish["file"], "-e", bench.environment.name]
    else:
        words += ["onboard", "-e", bench.environment.name]
        for item in wished:
            words += ["--company-id", item["company_id"], "--name", item["company"], "--database", item["database"]]
    columns = ["--columns", ",".join(wish["columns"])] if wish["columns"] else []
    wait = [] if wish["wait"] == WAIT_SECONDS else ["--wait", f"{wish['wait']:g}s" if wish["wait"] else "0"]
    asked = ["--asked-at", wish["asked_at"]]
    return command(*words, *columns, *wait, *asked, *(["--unknown-ok"] if wish["unknown"] else []), *why_words(wish))


def _undo(bench: Bench, new: Sequence[Mapping[str, Any]]) -> str:
    if not 0 < len(new) <= 20:
        return ""
    companies = [word for item in new for word in ("--company-id", item["company_id"])]
    return command("lpmops", "route", "remove", "-e", bench.environment.name, *companies)


# Steps ---------------------------------------------------------------------------------------------------------------------------------------------


def _observe_add(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    wished = {item["company_id"]: item for item in step.arguments["routes"]}
    there = routes.of_companies(bench.control, wished)
    present = {name: entry for name, entry in there.items() if entry.state != REMOVED}
    other = [
        name for name, entry in present.items() if entry.database.casefold() != wished[name]["database"].casefold()
    ]
    if other:
        return Observation(Sight.OTHERWISE, f"somebody else routes {', '.join(sorted(other)[:_SHOWN])} elsewhere")
    said = f"{len(present)} of {len(wished)} have their route"
    return Observation(Sight.SO if len(present) == len(wished) else Sight.ABSENT, said)


def _act_add(bench: Bench, step: Step, operation: str) -> Receipt:
    """All of them in one transaction, so that a part is never there."""
    del operation
    given = step.arguments
    asked = parse_time(given["asked_at"]) if given["asked_at"] else None
    routes.add(bench.control, given["routes"], asked, given["by"])
    return Receipt()


def _first_rows(bench: Bench, step: Step) -> dict[str, datetime]:
    """Those of the step's companies whose first row has landed, with when."""
    since, found = parse_time(step.arguments["since"]), dict[str, datetime]()
    by_database: dict[str, list[str]] = {}
    for company_id, database in step.arguments["companies"].items():
        by_database.setdefault(database, []).append(company_id)
    for database, company_ids in by_database.items():
        found |= routes.first_rows(bench.services.sql, database, company_ids, since)
    return found


def _observe_first(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del receipt
    companies = step.arguments["companies"]
    found = _first_rows(bench, step)
    if len(found) == len(companies):
        return Observation(
            Sight.SO,
            "its first row has landed" if len(companies) == 1 else f"all {len(companies)} have their first row",
        )
    missing = [company_id for company_id in companies if company_id not in found]
    which = (
        f": {', '.join(missing[:_SHOWN])}{' ...' if len(missing) > _SHOWN else ''} not yet"
        if len(companies) > 1
        else ""
    )
    said = f"{len(found)} of {len(companies)} have their first row{which}"
    # Waiting begins like an act, so that it is in the journal; what it waits for is on its way from then on.
    return Observation(Sight.MOVING if row.attempt else Sight.ABSENT, said)


def _act_nothing(bench: Bench, step: Step, operation: str) -> Receipt:
    del bench, step, operation
    return Receipt()


def _observe_note(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    there = routes.of_companies(bench.control, step.arguments["companies"])
    noted = sum(entry.first_row_at is not None for entry in there.values())
    said = f"{noted} of {len(step.arguments['companies'])} are noted"
    return Observation(Sight.SO if noted == len(step.arguments["companies"]) else Sight.ABSENT, said)


def _act_note(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    routes.put_first_rows(bench.control, _first_rows(bench, step))
    return Receipt()


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    wished = {item["company_id"]: item for item in wished_routes(plan.wish)}
    there = routes.of_companies(bench.control, wished)
    left = routes.unrouted(bench.control, bench.services.sql, wished)
    shown = []
    for company_id, item in wished.items():
        entry = there.get(company_id)
        if entry is None or entry.state != ACTIVE or entry.database.casefold() != item["database"].casefold():
            raise RefusedError(f"The route of {company_id} is not as planned after all: somebody else is changing it.")
        shown.append(
            {
                "company_id": company_id,
                "company": entry.company,
                "database": entry.database,
                **({"line": item["line"]} if item.get("line") else {}),
                "first_row_at": to_data(entry.first_row_at),
                "seconds_to_first_row": entry.seconds_to_first_row,
                "unrouted": route.unrouted_data(left.get(company_id)),
            }
        )
    stopped = sorted({step.target for step in plan.steps if step.kind == asa.STOP_JOB})
    backfill = route.backfill(bench, left)
    return {
        "changed": True,
        "routes": shown,
        "stopped_jobs": stopped,
        "backfill": backfill,
        "undo": plan.undo_of(operation),
    }


# The action ----------------------------------------------------------------------------------------------------------------------------------------


def fill(bench: Bench) -> Wish:
    """What nobody is asked for: the request counts from now, by the control database's clock."""
    asked = bench.control.state().server_time
    return {
        "routes": [],
        "columns": [],
        "wait": WAIT_SECONDS,
        "unknown": False,
        "file": "",
        "asked_at": to_data(asked - timedelta(microseconds=asked.microsecond % 1000)),
        "by": bench.who,
    }


HANDLERS = {
    **route_prepare.HANDLERS,
    _ADD: Handler(_observe_add, _act_add),
    _FIRST: Handler(_observe_first, _act_nothing, limit=lambda step: float(step.arguments["seconds"])),
    _NOTE: Handler(_observe_note, _act_note),
}
ONBOARD = Action(
    name=_NAME,
    title="Bring a company on",
    help="Route a company to a database, make what it lacks there, and wait for the first row. A database that a job writes already stops nothing.",
    plan=plan_onboard,
    handlers=HANDLERS,
    verify=_verify,
    pins=("tenant", "server", "workspace"),
    inputs=tuple(FIELDS),
    fill=fill,
    stages=(Stage("company"), Stage("plan"), Stage("under way"), Stage("first row", (_FIRST, _NOTE))),
)
