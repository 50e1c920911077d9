"""`lpmops reconcile`: the source's changes against what landed, company by company, with the versions in which something differs.

What was shown once is remembered and not read again without `--again`. Exit 0 where every change landed once, 11 where something is missing, doubled
or extra or could not be read, 3 for a company that nobody knows, 2 for versions that are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Env, Look
from lpmops.cli.context import world
from lpmops.cli.options import spread
from lpmops.cli.output import Answer
from lpmops.errors import ExitCode, UsageError
from lpmops.plain_text import counted, plain

if TYPE_CHECKING:
    from lpmops.control.reconciled import Asked, CompanyResult, Reconciliation
    from lpmops.store.proofs import OpenGap

SCHEMA = "reconcile"
_HEAD = ("company", "database", "source", "landed", "missing", "doubled", "extra", "result")
# How many ranges of one company the table names.
_RANGES_SHOWN = 4
_STOPPING = "Stopping after this span; once more leaves at once. What was looked at is remembered."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile")(reconcile)


@spread
def reconcile(
    environment: Env,
    look: Look,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only what was committed since then: 2h, or a moment.")
    ] = None,
    versions: Annotated[
        str | None, typer.Option("--versions", metavar="A:B", help="Only these versions of the table.")
    ] = None,
    companies: Annotated[
        list[str] | None, typer.Option("--company", metavar="ID", help="Only this company; may be repeated.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Look also at what was proven before.")] = False,
) -> None:
    """Hold the source's changes against what landed: what is missing, and for whom.

    Exit 0 where every change landed once, 11 where something is missing, doubled or extra or could not be read.

    Example: lpmops reconcile -e prod --since 2h
    """
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        from lpmops.control.hands import StopRequest
        from lpmops.control.reconcile import reconcile as run

        asked = _asked(since, versions, companies or [], again=again)
        stop = StopRequest()
        with changing.stopping(stop, _STOPPING):
            found = run(
                desk.config,
                desk.environment,
                desk.services,
                desk.store,
                asked,
                now=world().now,
                tell=output.narrate,
                stop=stop,
            )
        answer = Answer(SCHEMA, data_of(found), list(_lines(found)), rows_of(found), list(found.warnings))
        output.emit(answer, look.form)
        output.leave(ExitCode.OK if found.complete else ExitCode.UNHEALTHY)


def _asked(since: str | None, versions: str | None, companies: list[str], *, again: bool) -> Asked:
    from lpmops import versions as ranges
    from lpmops.control.reconciled import Asked

    if since is not None and versions is not None:
        raise UsageError("--since and --versions exclude each other.", hint="Both say where to begin.")
    if any(not each.strip() for each in companies):
        raise UsageError("--company has no id.", hint="Name one, or leave the option out for all.")
    return Asked(
        None if versions is None else ranges.parse(versions),
        None if since is None else _moment(since),
        tuple(dict.fromkeys(companies)),
        again,
    )


def _moment(text: str) -> datetime:
    """A moment, or a span back from now."""
    from datetime import timedelta

    from lpmops import moments

    now = world().now()
    try:
        seconds = moments.span(text.strip().removesuffix(" ago").removeprefix("-"))
    except UsageError:
        return moments.moment(text, now)
    return now - timedelta(seconds=seconds)


# The document --------------------------------------------------------------------------------------------------------------------------------------


def data_of(found: Reconciliation) -> dict[str, Any]:
    """A reconciliation as the document shows it."""
    from lpmops.control.reconcile_next import next_steps
    from lpmops.model import to_data

    return {
        "environment": found.environment,
        "table_id": found.table_id,
        "at": to_data(found.at),
        "complete": found.complete,
        "from_version": None if found.versions is None else found.versions.first,
        "to_version": None if found.versions is None else found.versions.last,
        "waiting_from": found.waiting_from,
        "statements": found.statements,
        "looked_at": [{"from_version": each.first, "to_version": each.last} for each in found.looked_at],
        "companies": [_company_data(each) for each in found.companies],
        "unreadable": [
            {
                "from_version": each.versions.first,
                "to_version": each.versions.last,
                "why": each.why,
                "remains": each.remains,
            }
            for each in found.unreadable
        ],
        "next": [to_data(step) for step in next_steps(found)],
    }


def _company_data(each: CompanyResult) -> dict[str, Any]:
    return {
        "company_id": each.company_id,
        "company": each.company,
        "database": each.database,
        "complete": each.complete,
        "source": each.source,
        "landed": each.landed,
        "missing": each.missing,
        "doubled": each.doubled,
        "extra": each.extra,
        "repairable": each.repairable,
        "quarantined": each.quarantined,
        "before": each.before,
        "gaps": [_gap_data(gap) for gap in each.gaps],
        "note": each.note,
        "unread": each.unread,
    }


def _gap_data(gap: OpenGap) -> dict[str, Any]:
    return {
        "from_version": gap.versions.first,
        "to_version": gap.versions.last,
        "source": gap.source,
        "landed": gap.landed,
        "missing": gap.missing,
        "doubled": gap.doubled,
        "extra": gap.extra,
        "repairable": gap.repairable,
        "why": gap.why,
    }


def rows_of(found: Reconciliation) -> list[dict[str, Any]]:
    """A row a company, its gaps as ranges in one cell."""
    return [
        {**_company_data(each), "gaps": " ".join(str(gap.versions) for gap in each.gaps)} for each in found.companies
    ]


# The table -----------------------------------------------------------------------------------------------------------------------------------------


def _lines(found: Reconciliation) -> Iterator[str]:
    from lpmops.control.reconcile_next import next_steps

    name = plain(found.environment)
    if found.versions is None:
        yield f"{name}: nothing can be judged yet"
    else:
        looked_at = sum(len(each) for each in found.looked_at)
        before = len(found.versions) - looked_at
        yield (
            f"{name}: versions {found.versions.first} to {found.versions.last}, {looked_at:,} looked at now"
            + (f", {before:,} not looked at again" if before > 0 else "")
            + f"; {counted(found.statements, 'statement', 'statements')} and {found.warehouse_seconds:.1f} s on the warehouse"
        )
    rows = [_row(each) for each in found.companies] if found.versions is not None else []
    if rows:
        yield ""
        yield from output.table(_HEAD, rows, right=frozenset({2, 3, 4, 5, 6}))
    for each in found.unreadable:
        yield ""
        yield f"versions {each.versions}: {plain(each.why)}"
        yield f"  {plain(each.remains)}"
    yield ""
    yield _verdict(found)
    for step in next_steps(found):
        yield f"  {plain(step.why)}"
        yield f"    {plain(step.command)}"


def _row(each: CompanyResult) -> tuple[str, ...]:
    if each.unread:
        result = "unknown"
    elif each.complete:
        result = "complete"
    else:
        ranges = [str(gap.versions) for gap in each.gaps]
        more = f" and {len(ranges) - _RANGES_SHOWN} more" if len(ranges) > _RANGES_SHOWN else ""
        result = "versions " + ", ".join(ranges[:_RANGES_SHOWN]) + more
    aside = [f"{each.quarantined:,} quarantined"] if each.quarantined else []
    aside += [f"{each.before:,} from before the route"] if each.before else []
    words = "; ".join([result, *aside, *([plain(each.note)] if each.note else [])])
    counts = [f"{number:,}" for number in (each.source, each.landed, each.missing, each.doubled, each.extra)]
    named = f"{plain(each.company_id) or '-'} {plain(each.company)}".strip()
    return (named, plain(each.database) or "-", *counts, words)


def _verdict(found: Reconciliation) -> str:
    if found.complete:
        return "complete: every change that was looked at landed once" if found.versions else "nothing was judged"
    differing = [
        counted(sum(getattr(each, name) for each in found.companies), one, many)
        for name, one, many in (
            ("missing", "change did not land", "changes did not land"),
            ("doubled", "row is there more than once", "rows are there more than once"),
            ("extra", "row is not in the source", "rows are not in the source"),
        )
        if any(getattr(each, name) for each in found.companies)
    ]
    return "not complete: " + (", ".join(differing) or "not everything could be looked at")
