"""The calls that Stream Analytics counted, company by company and minute by minute, with what can't be known left unknown.

They stand in the control database or, with `kpi.output = "company"`, in each company database; `read` asks wherever they are. A minute that nobody
counted is a gap and no zero: whether nobody called or nothing was counted can't be told from it. Percentiles do not add up, so over more than one
minute the highest is given. Cost: two rows sets a database, of one row a company and one row a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lpmops.config import Config
from lpmops.control import routes
from lpmops.control.landing import timestamp
from lpmops.control.side_by_side import ask_each
from lpmops.control.sources import SqlSource
from lpmops.errors import BadAnswerError
from lpmops.model import CallMinute, CompanyCalls

MINUTE = timedelta(minutes=1)
# A window lands some seconds after its end; before that its minute is not missing.
PENDING = timedelta(minutes=2)
MINUTES_AT_MOST = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of an environment, or of one company, in the minutes up to `end`.

    `minutes` are those that were counted, oldest first; `gaps` spans (first and last minute's end) that were not; `unread` why a database is missing.
    """

    environment: str
    start: datetime
    end: datetime
    companies: tuple[CompanyCalls, ...]
    minutes: tuple[CallMinute, ...]
    gaps: tuple[tuple[datetime, datetime], ...]
    total: CompanyCalls
    unread: Mapping[str, str]


def answered_share(answered: int, failed: int) -> float | None:
    """The share of the calls that ended which were answered; None where none ended."""
    return answered / (answered + failed) if answered + failed else None


def read(
    sql: SqlSource, config: Config, environment: str, span: int, until: datetime, database: str = "", company: str = ""
) -> Calls:
    """The calls of the `span` minutes before `until`: of all companies, or of one that lands in `database`. Raises lpmops.errors types.

    A company database that can't be read is named in `unread`; only where none answers is its error raised.
    """
    settings = config.environment(environment)
    own = config.kpi.output == "company"
    control = settings.sql.control_database
    databases: Sequence[str] = [database] if company and own else [control]
    if own and not company:
        databases = routes.read_databases(sql, control, settings.sql.databases)
    start = until - timedelta(minutes=span)
    if company:
        minutes = minutes_of(sql, databases[0], company, span, until, own=own)
        totals = [_of_minutes(company, minutes)] if minutes else []
        return _calls(environment, start, until, totals, minutes, {})
    prefix = "landing_" if own else ""
    asked = (span, until, until)

    def of(name: str) -> tuple[list[CompanyCalls], list[_Minute]]:
        rows = sql.rows(name, f"{prefix}calls_by_company", asked)
        by_minute = sql.rows(name, f"{prefix}calls_by_minute", asked)
        return [_total(row) for row in rows], [_minute_of_all(row) for row in by_minute]

    answers, unread = _side_by_side(databases, of)
    totals = [total for found, _ in answers for total in found]
    return _calls(
        environment, start, until, totals, _joined(minute for _, found in answers for minute in found), unread
    )


def minutes_of(
    sql: SqlSource, database: str, company: str, span: int, until: datetime | None, *, own: bool
) -> tuple[CallMinute, ...]:
    """The counted minutes of one company, oldest first; `until` None is now by the server's clock. Raises lpmops.errors types."""
    name = "landing_calls_of_company" if own else "calls_of_company"
    return tuple(_call_minute(row) for row in sql.rows(database, name, (company, span, until, until)))


def gaps(minutes: Sequence[CallMinute], start: datetime, end: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """The spans of whole minutes between two moments of which none was counted, as the ends of their first and last minute."""
    counted = {_floor(minute.at) for minute in minutes}
    found: list[tuple[datetime, datetime]] = []
    at = _floor(start) + MINUTE
    while at <= end - PENDING:
        if at not in counted:
            if found and found[-1][1] == at - MINUTE:
                found[-1] = (found[-1][0], at)
            else:
                found.append((at, at))
        at += MINUTE
    return tuple(found)


def course(minutes: Sequence[CallMinute], start: datetime, end: datetime) -> tuple[CallMinute | None, ...]:
    """Every whole minute between two moments, oldest first; None where it was not counted. The newest that may still come are left out."""
    counted = {_floor(minute.at): minute for minute in minutes}
    found: list[CallMinute | None] = []
    at = _floor(start) + MINUTE
    while at <= end:
        if at in counted or at <= end - PENDING:
            found.append(counted.get(at))
        at += MINUTE
    return tuple(found)


def mean(minutes: Iterable[CallMinute]) -> float | None:
    """The mean duration over minutes, each by its answered calls: those are the ones that have a duration."""
    known = [(minute.mean_duration, minute.answered) for minute in minutes if minute.mean_duration is not None]
    number = sum(count for _, count in known)
    return sum(value * count for value, count in known) / number if number else None


def highest_p95(minutes: Iterable[CallMinute]) -> float | None:
    """The p95 of the worst minute; over an hour a percentile can't be had from those of its minutes."""
    return max((minute.p95_duration for minute in minutes if minute.p95_duration is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Minute:
    """A minute of all companies of a database, with what its mean is made of."""

    counted: CallMinute
    seconds: float
    timed: int


def _calls(
    environment: str,
    start: datetime,
    end: datetime,
    totals: Sequence[CompanyCalls],
    minutes: Sequence[CallMinute],
    unread: Mapping[str, str],
) -> Calls:
    timed = [(item.mean_duration, item.answered) for item in totals if item.mean_duration is not None]
    number = sum(count for _, count in timed)
    total = CompanyCalls(
        "",
        sum(item.calls for item in totals),
        sum(item.answered for item in totals),
        sum(item.failed for item in totals),
        sum(value * count for value, count in timed) / number if number else None,
        max((item.highest_p95 for item in totals if item.highest_p95 is not None), default=None),
        len(minutes),
    )
    ranked = tuple(sorted(totals, key=lambda item: (-item.calls, item.company_id)))
    return Calls(environment, start, end, ranked, tuple(minutes), gaps(minutes, start, end), total, unread)


def _of_minutes(company: str, minutes: Sequence[CallMinute]) -> CompanyCalls:
    return CompanyCalls(
        company,
        sum(minute.calls for minute in minutes),
        sum(minute.answered for minute in minutes),
        sum(minute.failed for minute in minutes),
        mean(minutes),
        highest_p95(minutes),
        len(minutes),
    )


def _joined(minutes: Iterable[_Minute]) -> list[CallMinute]:
    """The same minute of several databases as one, oldest first."""
    by_end: dict[datetime, list[_Minute]] = {}
    for minute in minutes:
        by_end.setdefault(minute.counted.at, []).append(minute)
    return [_one(at, by_end[at]) for at in sorted(by_end)]


def _one(at: datetime, parts: Sequence[_Minute]) -> CallMinute:
    counted, timed = [part.counted for part in parts], sum(part.timed for part in parts)
    return CallMinute(
        at,
        sum(item.calls for item in counted),
        sum(item.answered for item in counted),
        sum(item.failed for item in counted),
        sum(part.seconds for part in parts) / timed if timed else None,
        highest_p95(counted),
    )


def _side_by_side(
    databases: Sequence[str], ask: Callable[[str], tuple[list[CompanyCalls], list[_Minute]]]
) -> tuple[list[tuple[list[CompanyCalls], list[_Minute]]], dict[str, str]]:
    """The answers of several databases; those that fail by their name. Raises the error where all do."""
    answers, errors = ask_each(databases, ask)
    if errors and not answers:
        raise next(iter(errors.values()))
    return list(answers.values()), {name: str(error) for name, error in errors.items()}


def _total(row: Mapping[str, Any]) -> CompanyCalls:
    try:
        seconds, timed = _made_of(row)
        return CompanyCalls(
            str(row["company_id"]),
            int(row["calls"]),
            int(row["answered"]),
            int(row["failed"]),
            seconds / timed if timed else None,
            _seconds(row["highest_p95_seconds"]),
            int(row["windows"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _unlike(error) from error


def _minute_of_all(row: Mapping[str, Any]) -> _Minute:
    try:
        seconds, timed = _made_of(row)
        at = timestamp(row["window_end"])
        if at is None:
            raise ValueError("no end of the minute")
        counted = CallMinute(
            at,
            int(row["calls"]),
            int(row["answered"]),
            int(row["failed"]),
            seconds / timed if timed else None,
            _seconds(row["highest_p95_seconds"]),
        )
        return _Minute(counted, seconds, timed)
    except (KeyError, ValueError, TypeError) as error:
        raise _unlike(error) from error


def _made_of(row: Mapping[str, Any]) -> tuple[float, int]:
    return float(row["answered_seconds"] or 0.0), int(row["answered_timed"] or 0)


def _call_minute(row: Mapping[str, Any]) -> CallMinute:
    try:
        at = timestamp(row["window_end"])
        if at is None:
            raise ValueError("no end of the minute")
        return CallMinute(
            at=at,
            calls=int(row["calls"]),
            answered=int(row["answered"]),
            failed=int(row["failed"]),
            mean_duration=_seconds(row["mean_duration_seconds"]),
            p95_duration=_seconds(row["p95_duration_seconds"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _unlike(error) from error


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


def _unlike(error: Exception) -> BadAnswerError:
    # Only what kind of error it was: its own text may hold the value.
    return BadAnswerError(
        f"The table kpi_minute is not as lpmops makes it ({type(error).__name__}).",
        service="azuresql",
        hint="Compare its columns with those that lpmops makes.",
    )
