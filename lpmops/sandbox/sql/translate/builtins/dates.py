"""Functions of dates and times: the clock, dateparts, differences, truncation."""

from __future__ import annotations

from lpmops.sandbox.sql import errors, moments
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import Call, Column, Expression
from lpmops.sandbox.sql.translate import expressions
from lpmops.sandbox.sql.translate.builtins.given import Functions, Handler, as_whole
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import BIGINT, DATE, DATETIME, INT, SqlType, datetime2, nvarchar


def _now(kind: SqlType) -> Handler:
    def handler(t: Translation, _scope: Scope, _node: Call) -> Fragment:
        return Fragment(t.bind("context", f"NOW {kind.name}"), kind, nullable=False)

    return handler


def _datepart(node: Expression) -> str:
    if not isinstance(node, Column) or len(node.parts) != 1:
        raise SqlError(1023, "Invalid parameter 1 specified for datepart.", 15, 1)
    return moments.part_name(node.parts[0])


def _moment(t: Translation, fragment: Fragment, legacy: bool = False) -> Fragment:
    """An argument that must be a date or time; text is read as one."""
    fragment = t.infer(fragment, datetime2())
    if fragment.type is None:
        return coerce(t, fragment, datetime2())
    if fragment.type.is_character:
        return coerce(t, fragment, DATETIME if legacy else datetime2())
    if not fragment.type.is_temporal:
        raise SqlError(
            8116, f"Argument data type {fragment.type.name} is invalid for argument 2 of a date function.", 16, 1
        )
    return fragment


def _date_add(t: Translation, scope: Scope, node: Call) -> Fragment:
    part = _datepart(node.arguments[0])
    number, moment = (expressions.value(t, scope, argument) for argument in node.arguments[1:])
    moment = _moment(t, moment, legacy=True)
    kind = moment.known_type
    if kind.name == "datetime" and part in ("microsecond", "nanosecond"):
        raise SqlError(
            9810, f"The datepart {part} is not supported by date function dateadd for data type datetime.", 16, 1
        )
    if kind.name == "datetime2" and part in ("microsecond", "nanosecond", "millisecond"):
        kind = datetime2(max(kind.scale, {"millisecond": 3, "microsecond": 6, "nanosecond": 7}[part]))
    # DATEADD cuts a fraction off its number.
    count = coerce(t, number, INT, explicit=True).sql if number.known_type.name != "bigint" else number.sql
    sql = f"ts_date_add('{part}', {count}, {moment.sql}, '{kind.name}')"
    return Fragment(sql, kind, number.nullable or moment.nullable)


_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "dayofyear": 86400, "weekday": 86400}
_FRACTION_DIGITS = {"millisecond": 3, "microsecond": 6}


def _date_difference(big: bool) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        part = _datepart(node.arguments[0])
        start, end = (_moment(t, expressions.value(t, scope, argument)) for argument in node.arguments[1:])
        nullable = start.nullable or end.nullable
        kind = BIGINT if big else INT
        fast = _counted(part, start, end)
        if fast and big:
            return Fragment(fast, kind, nullable)
        if fast and part in _SECONDS and _SECONDS[part] > 1:
            return Fragment(fast, kind, nullable)
        return Fragment(f"ts_date_difference('{part}', {start.sql}, {end.sql}, {int(not big)})", kind, nullable)

    return handler


def _counted(part: str, start: Fragment, end: Fragment) -> str:
    """DATEDIFF by SQLite's own functions, which is many times faster than by ours; empty where they cannot."""
    if not (start.known_type.is_timestamp and end.known_type.is_timestamp):
        return ""
    if part in _SECONDS:
        size = _SECONDS[part]
        units = [
            f"(CAST(strftime('%s', substr({side.sql}, 1, 19)) AS INTEGER) + 62135596800) / {size}"
            for side in (start, end)
        ]
        return f"({units[1]} - {units[0]})"
    digits = _FRACTION_DIGITS.get(part)
    if digits is None:
        return ""
    scale = 10**digits
    units = [
        f"(CAST(strftime('%s', substr({side.sql}, 1, 19)) AS INTEGER) * {scale} + CAST(substr({side.sql}, 21, {digits}) AS INTEGER))"
        for side in (start, end)
    ]
    return f"({units[1]} - {units[0]})"


def _date_part(name: str | None = None) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        part = name or _datepart(node.arguments[0])
        moment = _moment(t, expressions.value(t, scope, node.arguments[-1]))
        return Fragment(f"ts_date_part('{part}', {moment.sql})", INT, moment.nullable)

    return handler


def _date_name(t: Translation, scope: Scope, node: Call) -> Fragment:
    moment = _moment(t, expressions.value(t, scope, node.arguments[1]))
    return Fragment(f"ts_date_name('{_datepart(node.arguments[0])}', {moment.sql})", nvarchar(30), moment.nullable)


def _date_truncate(t: Translation, scope: Scope, node: Call) -> Fragment:
    moment = _moment(t, expressions.value(t, scope, node.arguments[1]))
    if moment.known_type.name not in ("date", "datetime2", "datetime"):
        raise errors.unsupported_feature(f"DATETRUNC of {moment.known_type.name}")
    return Fragment(
        f"ts_date_truncate('{_datepart(node.arguments[0])}', {moment.sql}, '{moment.known_type.name}')",
        moment.known_type,
        moment.nullable,
    )


def _end_of_month(t: Translation, scope: Scope, node: Call) -> Fragment:
    moment = coerce(t, _moment(t, expressions.value(t, scope, node.arguments[0])), DATE)
    months = as_whole(t, expressions.value(t, scope, node.arguments[1])) if len(node.arguments) > 1 else "0"
    return Fragment(f"ts_end_of_month({moment.sql}, {months})", DATE, True)


FUNCTIONS: Functions = {
    "SYSUTCDATETIME": (0, 0, _now(datetime2())),
    "SYSDATETIME": (0, 0, _now(datetime2())),
    "GETUTCDATE": (0, 0, _now(DATETIME)),
    "GETDATE": (0, 0, _now(DATETIME)),
    "CURRENT_TIMESTAMP": (0, 0, _now(DATETIME)),
    "SYSDATETIMEOFFSET": (0, 0, _now(SqlType("datetimeoffset", scale=7))),
    "DATEADD": (3, 3, _date_add),
    "DATEDIFF": (3, 3, _date_difference(False)),
    "DATEDIFF_BIG": (3, 3, _date_difference(True)),
    "DATEPART": (2, 2, _date_part()),
    "DATENAME": (2, 2, _date_name),
    "YEAR": (1, 1, _date_part("year")),
    "MONTH": (1, 1, _date_part("month")),
    "DAY": (1, 1, _date_part("day")),
    "EOMONTH": (1, 2, _end_of_month),
    "DATETRUNC": (2, 2, _date_truncate),
}
