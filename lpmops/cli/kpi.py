"""`lpmops kpi`: the calls that Stream Analytics counts by company and minute: how many, answered, failed, how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Env, Look
from lpmops.cli.context import world
from lpmops.cli.options import spread
from lpmops.cli.output import Answer
from lpmops.errors import UsageError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.actions.desk import Desk
    from lpmops.control.kpi import Calls
    from lpmops.model import CallMinute, CompanyCalls

SCHEMA = "kpi"
_HEAD = ("company", "calls", "answered", "failed", "answered of ended", "mean", "p95 up to", "minutes")
_MINUTE_HEAD = ("minute until", "calls", "answered", "failed", "mean", "p95")
_SIGNS = " ▁▂▃▄▅▆▇█"
_SPARK_MINUTES = 120
group = typer.Typer(help="The calls by company and minute: how many, answered, failed, how long.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="kpi")


@group.command()
@spread
def show(
    environment: Env,
    look: Look,
    company: Annotated[
        str | None, typer.Option("--company", metavar="ID", help="Only this company, minute by minute.")
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="SPAN", help="How far back: 1h, 90m, 24h; at most 7 days.")
    ] = "1h",
) -> None:
    """Show calls, answered and failed ones, and how long they took, by company; a minute that nobody counted is a gap and no zero.

    Example: lpmops kpi show -e prod --company 1002 --since 2h
    """
    with output.guarded(SCHEMA, look.form):
        span = _minutes(since)
        if company is not None and not company.strip():
            raise UsageError(
                "--company names no company.", hint="Leave it out for all of them, or give an id: --company 1002"
            )
        with changing.desk(environment) as desk:
            calls = _read(desk, span, company)
            names = _names(desk)
        data = _data(calls, names)
        lines = list(_company_lines(calls) if company else _lines(calls, names))
        rows = data["minutes"] if company else data["companies"]
        warnings = [
            f"The calls in {name} can't be read and are not among these: {why}" for name, why in calls.unread.items()
        ]
        output.emit(Answer(SCHEMA, data, lines, rows, warnings), look.form)


def _minutes(text: str) -> int:
    from lpmops import moments
    from lpmops.control.kpi import MINUTES_AT_MOST

    seconds = moments.span(text.strip().removesuffix(" ago").removeprefix("-"))
    minutes = round(seconds / 60)
    if not 1 <= minutes <= MINUTES_AT_MOST:
        raise UsageError(f"--since {text!r} is no span from a minute to 7 days.", hint="Write it as 1h, 90m or 24h.")
    return minutes


def _read(desk: Desk, span: int, company: str | None) -> Calls:
    from lpmops.control import kpi

    now, database = world().now(), ""
    sql, control = desk.services.sql, desk.environment.sql.control_database
    if company is not None and desk.config.kpi.output == "company":
        rows = sql.rows(control, "route_of_company", (company,))
        if not rows:
            raise _unrouted(company, desk.environment.name)
        database = str(rows[0]["database_name"])
    calls = kpi.read(sql, desk.config, desk.environment.name, span, now, database, company or "")
    if company is not None and not calls.minutes and not sql.rows(control, "route_of_company", (company,)):
        raise _unrouted(company, desk.environment.name)
    return calls


def _unrouted(company: str, environment: str) -> Exception:
    from lpmops.errors import NotFoundError

    return NotFoundError(
        f"No route leads company {plain(company)} anywhere in {environment}, so nothing is counted for it.",
        hint=f"The companies that have one: lpmops status -e {environment}",
    )


def _names(desk: Desk) -> Mapping[str, str]:
    rows = desk.services.sql.rows(desk.environment.sql.control_database, "routes")
    return {str(row["company_id"]): str(row["company"]) for row in rows}


def _data(calls: Calls, names: Mapping[str, str]) -> dict[str, Any]:
    """Everything as plain values; minutes without a count are not among `minutes` but in `gaps`."""
    from lpmops.model import to_data

    def total(item: CompanyCalls) -> dict[str, Any]:
        from lpmops.control.kpi import answered_share

        return {**to_data(item), "answered_share": answered_share(item.answered, item.failed)}

    summed = total(calls.total)
    summed.pop("company_id")
    return {
        "environment": calls.environment,
        "from": to_data(calls.start),
        "to": to_data(calls.end),
        "total": summed,
        "companies": [{"company": names.get(item.company_id), **total(item)} for item in calls.companies],
        "minutes": [to_data(minute) for minute in calls.minutes],
        "gaps": [{"from": to_data(first), "to": to_data(last)} for first, last in calls.gaps],
        "unread": dict(calls.unread),
    }


def _lines(calls: Calls, names: Mapping[str, str]) -> Iterable[str]:
    span = round((calls.end - calls.start).total_seconds() / 60)
    yield from _head(calls)
    rows = [
        _row(f"{plain(item.company_id)} {plain(names.get(item.company_id, ''))}".strip(), item)
        for item in calls.companies
    ]
    if rows:
        yield from output.table(_HEAD, [*rows, _row("all", calls.total)], frozenset(range(1, 8)))
    else:
        yield "no call was counted"
    yield f"minutes: how many of {span} were counted for a company; in the others nobody called, or nothing was counted"
    yield "p95 up to: the highest of any minute, because percentiles of minutes do not add up; means count by answered calls"


def _company_lines(calls: Calls) -> Iterable[str]:
    yield from _head(calls)
    yield from output.table(
        _HEAD, [_row(plain(item.company_id), item) for item in calls.companies], frozenset(range(1, 8))
    )
    rows = [row for _, row in sorted([*_minute_rows(calls.minutes), *_gap_rows(calls.gaps)], key=lambda pair: pair[0])]
    yield from output.table(_MINUTE_HEAD, rows, frozenset(range(1, 6)))


def _head(calls: Calls) -> Iterable[str]:
    from lpmops.model import to_data

    yield f"{plain(calls.environment)}  calls counted from {to_data(calls.start)} to {to_data(calls.end)}"
    if calls.minutes and (calls.end - calls.start).total_seconds() <= _SPARK_MINUTES * 60:
        yield f"  {spark(calls)}  ({'· is a minute that was not counted; ' if calls.gaps else ''}the newest on the right)"


def spark(calls: Calls) -> str:
    """The calls minute by minute as bars: · where nothing was counted; a minute that may still be counted is not there yet."""
    from lpmops.control.kpi import course

    numbers = [None if minute is None else minute.calls for minute in course(calls.minutes, calls.start, calls.end)]
    most = max((number for number in numbers if number is not None), default=0)
    return "".join(
        "·" if number is None else _SIGNS[max(1, round(8 * number / most))] if number else "_" for number in numbers
    )


def _row(name: str, item: CompanyCalls) -> list[str]:
    from lpmops.control.kpi import answered_share

    share = answered_share(item.answered, item.failed)
    return [
        name,
        f"{item.calls:,}",
        f"{item.answered:,}",
        f"{item.failed:,}",
        "-" if share is None else f"{100 * share:.1f} %",
        _duration(item.mean_duration),
        _duration(item.highest_p95),
        f"{item.windows:,}",
    ]


def _minute_rows(minutes: Sequence[CallMinute]) -> list[tuple[datetime, list[str]]]:
    return [
        (
            item.at,
            [
                f"{item.at:%Y-%m-%d %H:%M}Z",
                f"{item.calls:,}",
                f"{item.answered:,}",
                f"{item.failed:,}",
                _duration(item.mean_duration),
                _duration(item.p95_duration),
            ],
        )
        for item in minutes
    ]


def _gap_rows(gaps: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, list[str]]]:
    rows = []
    for first, last in gaps:
        span = f"{first:%Y-%m-%d %H:%M}Z" if first == last else f"{first:%Y-%m-%d %H:%M} to {last:%H:%M}Z"
        rows.append((first, [f"{span}  not counted", "", "", "", "", ""]))
    return rows


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:,.1f} s"
