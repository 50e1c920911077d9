"""Moving a company to another database, with all that has landed of it, so that no record is lost and none is in two places in the end.

Stream Analytics reads the route table once a minute, each job at its own moment, and delivers at least once: a route that simply changed would lose
what one job gives up before another takes it. So a company is first written to both databases, until every job is seen to have read that; its rows
are copied; then it is written to the new one alone, until every job is seen to have read that too; and what is in the old one is taken out, each row
only once it is seen in the new one. Where the texts of the jobs hold the companies, the job that it comes to is changed first, and begins where the
output of the one that it leaves has ended: again both write for a while. The landing tables ignore what comes twice, so each part can be done again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lpmops.actions import asa, inputs, jobs, route, route_prepare
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.route_fields import check_field, database_field
from lpmops.actions.route_prepare import Draft, Moving, by_text, prepare, sent_by_texts, stop_words
from lpmops.control import guard, routes
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.control.routes import ACTIVE, RouteEntry
from lpmops.errors import RefusedError, ServiceError, SignInError
from lpmops.model import Receipt, to_data
from lpmops.routing import landing
from lpmops.routing.job import LANDING_TABLE
from lpmops.routing.landing import FoundColumn
from lpmops.routing.moving import insert_statement, unmovable
from lpmops.routing.routes import SETTLING_SECONDS, Route
from lpmops.store.journal import StepRow

_NAME = "route.move"
_BOTH, _ONE, _LIVE, _COPY, _TAKE = "route.both", "route.one", "route.live", "route.copy", "route.take"
# A job that writes nothing tells nothing by its last output: it is believed to have read the table after as long again.
_QUIET_SECONDS = 2 * SETTLING_SECONDS
_LIVE_LIMIT = 1_800.0


def plan_move(bench: Bench, wish: Wish) -> Plan:
    """Move a company.

    `wish`: companies (one id), database, old (where a move that was given up left rows of it, "" for where it is), keep (whether its rows stay in the
    old one too), reason, ticket, by.
    """
    asa.check_note(wish)
    (entry,) = route.chosen(bench, wish["companies"])
    target, draft = check_field("database", wish["database"]), Draft(seen=route.seen_of_place(entry))
    old = _old(entry, target, wish["old"])
    rows = 0
    texts = by_text(bench)
    comes = [Route(entry.company_id, entry.company, target)] if texts and entry.state == ACTIVE else []
    moving = Moving(old, _mark(entry, old, target, wish)) if texts and old is not None else None
    drifted = prepare(bench, wish, _NAME, [target], comes, draft, wanted=old is not None, moving=moving)
    if entry.state != ACTIVE:
        draft.refusals.append(
            f"{entry.company_id} is {entry.state}: resume it first, or its records of meanwhile are missed."
        )
    elif entry.also is not None and target.casefold() not in (entry.also.casefold(), entry.database.casefold()):
        draft.refusals.append(
            f"{entry.company_id} is on its way from {entry.database} to {entry.also} already: finish that first."
        )
    elif old is not None:
        draft.refusals += (
            [
                f"{'; '.join(drifted)} differ from lpmops.toml: deploy that first: lpmops asa deploy -e {bench.environment.name}"
            ]
            if drifted and not texts
            else []
        )
        rows = _look_at_old(bench, entry.company_id, old, target, draft)
        draft.steps += _steps_by_text(entry, old, target, wish) if texts else _steps(entry, old, target, wish)
    return _plan_of(bench, wish, entry, old, target, draft, rows)


def _old(entry: RouteEntry, target: str, left: str) -> str | None:
    """The database that is left; None where the company is in the wished one alone."""
    if entry.database.casefold() != target.casefold():
        return entry.database
    return entry.also or (left if left and left.casefold() != target.casefold() else None)


def _steps(entry: RouteEntry, old: str, target: str, wish: Wish) -> list[Step]:
    company, given = entry.company_id, {"old": old, "new": target, "by": wish["by"]}
    steps = [*_mark(entry, old, target, wish)]
    if entry.database == old:
        steps.append(Step(f"see that every job writes {company} to both", _LIVE, company, {**given, "alone": False}))
        steps.append(Step(f"copy what landed of {company} from {old} to {target}", _COPY, company, given))
    steps.append(_alone(entry, old, target, wish))
    steps.append(
        Step(f"see that every job writes {company} to {target} alone", _LIVE, company, {**given, "alone": True})
    )
    return steps if wish["keep"] else [*steps, _take(entry, old, target, wish)]


def _steps_by_text(entry: RouteEntry, old: str, target: str, wish: Wish) -> list[Step]:
    """What follows once the texts of all jobs send the company to the new database alone."""
    given = {"old": old, "new": target, "by": wish["by"]}
    copy = Step(f"copy what landed of {entry.company_id} from {old} to {target}", _COPY, entry.company_id, given)
    return [_alone(entry, old, target, wish), copy if wish["keep"] else _take(entry, old, target, wish)]


def _mark(entry: RouteEntry, old: str, target: str, wish: Wish) -> tuple[Step, ...]:
    """Writing it to both; where the texts hold the companies, so that everybody sees that it is on its way."""
    if entry.state != ACTIVE or entry.database != old or entry.also is not None:
        return ()
    company, name = entry.company_id, f"route.{entry.company_id}.also"
    given = {"old": old, "new": target, "by": wish["by"]}
    return (
        Step(f"write {company} to {target} as well", _BOTH, company, given, (Change(name, None, target),), (name,)),
    )


def _alone(entry: RouteEntry, old: str, target: str, wish: Wish) -> Step:
    company, name = entry.company_id, f"route.{entry.company_id}"
    given = {"old": old, "new": target, "by": wish["by"]}
    changes = (
        Change(f"{name}.database", entry.database, target),
        Change(f"{name}.also", target if entry.database == old else old, None),
    )
    touches = (f"{name}.database", f"{name}.also")
    return Step(f"write {company} to {target} alone", _ONE, company, given, changes, touches)


def _take(entry: RouteEntry, old: str, target: str, wish: Wish) -> Step:
    given = {"old": old, "new": target, "by": wish["by"]}
    return Step(f"take its rows out of {old}, each that is seen in {target}", _TAKE, entry.company_id, given)


def _look_at_old(bench: Bench, company: str, old: str, target: str, draft: Draft) -> int:
    """How many rows there are to carry; a column that would be lost, or a database that can't be read, is refused."""
    try:
        if not draft.refusals:
            _check_columns(bench, old, target, draft)
        return _count(bench, old, company)
    except SignInError:
        raise
    except ServiceError as error:
        draft.refusals.append(f"{old} can't be read, and it has the rows that are to move: {error.message}")
        return 0


def _check_columns(bench: Bench, old: str, target: str, draft: Draft) -> None:
    if f"{target}.landing" in draft.seen and draft.seen[f"{target}.landing"] != "ready":
        # It is being made: with the configured columns, which are those that Stream Analytics writes.
        there = [column.name for column in landing.wanted(bench.config.columns, bench.config.routing).columns]
        lost = [column.name for column in _columns(bench, old) if column.name not in there]
    else:
        lost = list(unmovable(_columns(bench, old), _columns(bench, target)))
    if lost:
        draft.refusals.append(
            f"{old} has columns that {target} has not ({', '.join(lost)}): add them there first, or their values are lost."
        )


def _columns(bench: Bench, database: str) -> tuple[FoundColumn, ...]:
    # The app loads the actions at its start and the services when they are needed.
    from lpmops.services import tables

    found: tuple[FoundColumn, ...] = tables.read(bench.services.sql, database, LANDING_TABLE).columns
    return found


def _plan_of(
    bench: Bench, wish: Wish, entry: RouteEntry, old: str | None, target: str, draft: Draft, rows: int
) -> Plan:
    environment, company = bench.environment, entry.company_id
    words = ("lpmops", "route", "move", "-e", environment.name, "--company-id", company, "--database")
    if draft.steps and old is not None:
        kept = (
            f" They stay in {old} too." if wish["keep"] else f" Each is taken out of {old} once it is seen in {target}."
        )
        draft.warnings.append(f"{rows:,} rows are carried through this machine, and stay nowhere on it.{kept}")
        draft.warnings.append(_lasts(bench, draft))
        if bench.config.kpi.output == "company":
            draft.warnings.append(f"Its counts by the minute that are in {old} stay there.")
    return Plan(
        action=_NAME,
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"Move {entry.company} ({company}) from {old or target} to {target} in {environment.name}, with all that has landed of it.",
        danger=guard.danger_of(environment.kind, hard=bool(draft.stopped) and draft.skipped != 0),
        steps=tuple(draft.steps),
        seen=draft.seen,
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command(
            *words,
            target,
            *(["--from", wish["old"]] if wish["old"] else []),
            *(["--keep"] if wish["keep"] else []),
            *why_words(wish),
        ),
        undo=command(*words, old) if old else "",
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=route_prepare.impact(bench, draft, [company]),
        warnings=tuple(dict.fromkeys(draft.warnings)) if draft.steps else (),
        refusals=tuple(dict.fromkeys(draft.refusals)),
    )


def _lasts(bench: Bench, draft: Draft) -> str:
    """How long it lasts, and who waits meanwhile."""
    if not by_text(bench):
        return f"Twice it is waited until every job has read the route table: {SETTLING_SECONDS / 60:.0f} to {_QUIET_SECONDS / 60:.0f} minutes each."
    return stop_words(bench, draft) or "The texts of the jobs send it there already: no job stops."


# Steps ---------------------------------------------------------------------------------------------------------------------------------------------


def _observe_route(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    entry, given = routes.entry(bench.control, step.target), step.arguments
    if entry is None or entry.state != ACTIVE:
        return Observation(Sight.OTHERWISE, "its route is gone" if entry is None else f"its route is {entry.state}")
    here, said = (
        (entry.database, entry.also),
        f"it is written to {' and '.join(filter(None, (entry.database, entry.also)))}",
    )
    old, new = given["old"], given["new"]
    wished = (old, new) if step.kind == _BOTH else (new, None)
    before = ((old, None),) if step.kind == _BOTH else ((old, new), (new, old))
    if here == wished:
        return Observation(Sight.SO, said)
    return Observation(Sight.ABSENT if here in before else Sight.OTHERWISE, said)


def _act_route(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    given = step.arguments
    if step.kind == _BOTH:
        routes.put_both(bench.control, step.target, given["old"], given["new"], given["by"])
    else:
        routes.put_alone(bench.control, step.target, given["new"], given["by"])
    return Receipt()


def _observe_live(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    """Whether every job has read the route table since the route last changed, and written all that came before."""
    del receipt
    entry, given = routes.entry(bench.control, step.target), step.arguments
    wished = (given["new"], None) if given["alone"] else (given["old"], given["new"])
    if entry is None or entry.state != ACTIVE or (entry.database, entry.also) != wished:
        return Observation(Sight.OTHERWISE, "somebody else changed its route")
    read_by, now = entry.since + timedelta(seconds=SETTLING_SECONDS), bench.control.state().server_time
    quiet_by = entry.since + timedelta(seconds=_QUIET_SECONDS)
    late = []
    for job in jobs.chosen(bench, []):
        if jobs.standing(job) != "running":
            late.append(f"{job.name} is {job.state}")
        elif not ((job.last_output_at is not None and job.last_output_at >= read_by) or now >= quiet_by):
            late.append(job.name)
    if not late:
        return Observation(Sight.SO, "every job has read it")
    # In quarters of a minute, so that a person who watches is not told every second.
    left = 15 * math.ceil(max(0.0, (read_by - now) / timedelta(seconds=15)))
    said = f"{', '.join(late)} may not have read it yet" + (f"; {left} s to go at least" if left else "")
    # Waiting begins like an act, so that it is in the journal; what it waits for is on its way from then on.
    return Observation(Sight.MOVING if row.attempt else Sight.ABSENT, said)


def _act_nothing(bench: Bench, step: Step, operation: str) -> Receipt:
    del bench, step, operation
    return Receipt()


def _observe_rows(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    """Copying and taking out end with their act, which looks itself at every row; before it there is something to do where the old one has rows."""
    left = _count(bench, step.arguments["old"], step.target)
    done = receipt is not None or row.state == "accepted" or not left
    return Observation(Sight.SO if done else Sight.ABSENT, f"{left:,} of its rows are in {step.arguments['old']}")


def _act_copy(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    _carry(bench, step, take=False)
    return Receipt()


def _act_take(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    _carry(bench, step, take=True)
    return Receipt()


def _carry(bench: Bench, step: Step, *, take: bool) -> None:
    """Row by row from the old database to the new one; with `take` out of the old one, once all of a batch are seen in the new one.

    Each batch can be carried again without harm. Raises RefusedError where rows that were written are not there.
    """
    sql, company = bench.services.sql, step.target
    old, new = step.arguments["old"], step.arguments["new"]
    columns = _carried(_columns(bench, old), _columns(bench, new))
    insert, key = insert_statement(columns), ("", -1, "")
    while True:
        rows = sql.rows(old, "rows_to_move", (company, key[0], key[0], key[1], key[1], key[2]))
        if not rows:
            return
        sql.run(
            new, "rows_copy", insert, (json.dumps([[_plain(row[column.name]) for column in columns] for row in rows]),)
        )
        keys = [(str(row["record_id"]), int(row["commit_version"]), str(row["change_type"])) for row in rows]
        if take:
            listed = json.dumps(keys)
            present = len(sql.rows(new, "rows_present", (json.dumps([(company, *each) for each in keys]),)))
            if present != len(keys):
                raise RefusedError(
                    f"{len(keys) - present} of {len(keys)} rows of {company} are not in {new} though they were written; none was taken out of {old}.",
                    hint=f"Look at lpm.tdr in {new}: an index or a trigger keeps rows out.",
                )
            sql.rows(old, "rows_delete", (listed, company))
        key = keys[-1]


def _carried(source: Sequence[FoundColumn], target: Sequence[FoundColumn]) -> list[FoundColumn]:
    """The target's columns that the source has, under the source's names as its rows give them."""
    names = {column.name.casefold(): column.name for column in source}
    return [
        FoundColumn(names[column.name.casefold()], column.type, column.nullable)
        for column in target
        if column.name.casefold() in names and not column.generated
    ]


def _plain(value: Any) -> Any:
    """A value as JSON that T-SQL reads back as it was."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _count(bench: Bench, database: str, company: str) -> int:
    return int(bench.services.sql.rows(database, "rows_of_company", (company,))[0]["row_count"])


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    (entry,) = route.chosen(bench, plan.wish["companies"])
    given = next(step.arguments for step in plan.steps if step.kind == _ONE)
    if (entry.database, entry.also, entry.state) != (given["new"], None, ACTIVE):
        raise RefusedError(
            f"The route of {entry.company_id} is not as planned after all: somebody else is changing it."
        )
    if by_text(bench):
        _check_texts(bench, entry.company_id, given["new"])
    left = _count(bench, given["old"], entry.company_id)
    if left and not plan.wish["keep"]:
        # A job that hung wrote late: what it wrote is in the new one too, or is brought there.
        raise RefusedError(
            f"{left} rows of {entry.company_id} came to {given['old']} after the others were taken out.",
            hint="A job wrote late. Give this operation up and take them out too:\n"
            + _again(plan.environment, entry.company_id, given),
        )
    return {
        "changed": True,
        "company_id": entry.company_id,
        "from": given["old"],
        "to": given["new"],
        "rows": _count(bench, given["new"], entry.company_id),
        "rows_left_behind": left,
        "since": to_data(entry.since),
        "stopped_jobs": sorted({step.target for step in plan.steps if step.kind == asa.STOP_JOB}),
        "undo": plan.undo_of(operation),
    }


def _check_texts(bench: Bench, company: str, target: str) -> None:
    """Somebody may have deployed in between, where the move stood still: then a text sends the company elsewhere."""
    sent = sent_by_texts(bench, company)
    wrong = [name for name, database in sent.items() if database != target]
    if wrong or not sent:
        raise RefusedError(
            f"{', '.join(wrong) or 'No job'} sends {company} {'elsewhere' if wrong else f'to {target}'} though its route is there.",
            hint=command("lpmops", "asa", "deploy", "-e", bench.environment.name),
        )


def _again(environment: str, company: str, given: Mapping[str, Any]) -> str:
    words = ("lpmops", "route", "move", "-e", environment, "--company-id", company, "--database", given["new"])
    return command(*words, "--from", given["old"])


# The action ----------------------------------------------------------------------------------------------------------------------------------------


def _fill(bench: Bench) -> Wish:
    return {"by": bench.who, "keep": False, "old": ""}


HANDLERS = {
    **route_prepare.HANDLERS,
    _BOTH: Handler(_observe_route, _act_route),
    _ONE: Handler(_observe_route, _act_route),
    _LIVE: Handler(_observe_live, _act_nothing, limit=lambda _: _LIVE_LIMIT),
    _COPY: Handler(_observe_rows, _act_copy),
    _TAKE: Handler(_observe_rows, _act_take),
}
MOVE = Action(
    name=_NAME,
    title="Move a company",
    help="Land a company in another database, with all that has landed of it: nothing is lost, and nothing is in two places in the end.",
    plan=plan_move,
    handlers=HANDLERS,
    verify=_verify,
    pins=("tenant", "server"),
    inputs=(
        route.company_input((ACTIVE,)),
        database_field("where it lands from now on; ↑ ↓ choose"),
        *inputs.COMMON,
    ),
    fill=_fill,
)
