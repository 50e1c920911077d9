"""The scalar functions as DuckDB SQL. Source: one page of asa-query for each, named like the function; what a page leaves open is marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lpmops.sandbox.asa.conversion import Typed, cast, failure, literal, null, number, text
from lpmops.sandbox.asa.kinds import Kind, common

Compare = Callable[[str, Typed, Typed], Typed]

_ADD = {
    "year": "to_years", "month": "to_months", "week": "to_weeks", "day": "to_days", "dayofyear": "to_days", "weekday": "to_days", "hour": "to_hours",
    "minute": "to_minutes", "second": "to_seconds", "millisecond": "to_milliseconds", "microsecond": "to_microseconds",
}  # fmt: skip
_PARTS = {
    "week": "((dayofyear({0}) - 1 + dayofweek(date_trunc('year', {0}))) // 7 + 1)",
    "weekday": "(dayofweek({0}) + 1)",
    "millisecond": "(millisecond({0}) % 1000)",
    "microsecond": "(microsecond({0}) % 1000000)",
}
# Everything but the characters that take two UTF-16 units.
_NO_PAIR = r"[^\x{10000}-\x{10FFFF}]"
_SAME_KIND = {"ABS": "abs", "CEILING": "ceil", "FLOOR": "floor", "SIGN": "sign"}
_FLOAT = {"SQRT": "sqrt({0})", "SQUARE": "({0} * {0})", "EXP": "exp({0})", "POWER": "pow({0}, {1})"}
_TEXT = {"LOWER": "lower", "UPPER": "upper", "LTRIM": "ltrim", "RTRIM": "rtrim", "TRIM": "trim", "REVERSE": "reverse"}


def call(name: str, arguments: Sequence[Typed], compare: Compare) -> Typed:
    """SQL for a function with these arguments."""
    first = arguments[0]
    if name == "COALESCE":
        return _coalesce(arguments)
    if name == "NULLIF":
        return Typed(f"(CASE WHEN {compare('=', first, arguments[1]).sql} THEN NULL ELSE {first.sql} END)", first.kind)
    if name == "GETTYPE":
        name_of_kind = f"CASE WHEN {first.sql} IS NOT NULL THEN {literal(first.kind.value)} END"
        return null(Kind.NVARCHAR) if first.kind is Kind.NULL else Typed(name_of_kind, Kind.NVARCHAR)
    if name.startswith("DATE") or name in ("YEAR", "MONTH", "DAY"):
        return _date(name, arguments)
    if name in _SAME_KIND or name in _FLOAT or name == "ROUND":
        return _arithmetic(name, arguments)
    return _text(name, arguments)


def _coalesce(arguments: Sequence[Typed]) -> Typed:
    # Assumed where kinds differ: the page gives each row the type of its first value, and a column here has one.
    kind = common({argument.kind for argument in arguments})
    if kind is Kind.NULL:
        return null()
    values = [cast(argument, kind, lenient=False) if argument.kind is not kind else argument for argument in arguments]
    return Typed(f"COALESCE({', '.join(value.sql for value in values)})", kind)


def _arithmetic(name: str, arguments: Sequence[Typed]) -> Typed:
    values = [number(argument) for argument in arguments]
    first = values[0]
    if name == "ROUND":
        places = f"CAST(greatest(-400, least(400, {values[1].sql})) AS INTEGER)"
        kind = "BIGINT" if first.kind is Kind.BIGINT else "DOUBLE"
        return Typed(f"CAST(round({first.sql}, {places}) AS {kind})", first.kind)
    if name in _SAME_KIND:
        kind = "BIGINT" if first.kind is Kind.BIGINT else "DOUBLE"
        return Typed(f"CAST({_SAME_KIND[name]}({first.sql}) AS {kind})", first.kind)
    return Typed(_FLOAT[name].format(*(f"CAST({value.sql} AS DOUBLE)" for value in values)), Kind.FLOAT)


def _text(name: str, arguments: Sequence[Typed]) -> Typed:
    if name == "CONCAT":
        # "CONCAT implicitly converts null values to empty strings."
        return Typed(
            "(" + " || ".join(f"COALESCE({text(argument).sql}, '')" for argument in arguments) + ")", Kind.NVARCHAR
        )
    if name == "CHARINDEX":
        return _charindex(arguments)
    first = text(arguments[0]).sql
    if name == "LEN":
        # Assumed: characters are UTF-16 units, as .NET and NVARCHAR(n) count them; the page says "number of characters, excluding trailing blanks".
        counted = f"rtrim({first})"
        pairs = f"CASE WHEN strlen({counted}) = length({counted}) THEN 0 ELSE length(regexp_replace({counted}, '{_NO_PAIR}', '', 'g')) END"
        return Typed(f"CAST(length({counted}) + {pairs} AS BIGINT)", Kind.BIGINT)
    if name == "REPLACE":
        pattern, replacement = text(arguments[1]).sql, text(arguments[2]).sql
        return Typed(f"replace({first}, {pattern}, {replacement})", Kind.NVARCHAR)
    if name in ("LEFT", "RIGHT"):
        return Typed(f"{name.lower()}({first}, greatest({_whole(arguments[1])}, 0))", Kind.NVARCHAR)
    if name == "SUBSTRING":
        start, length = _whole(arguments[1]), _whole(arguments[2])
        negative = f"CAST({failure('SUBSTRING with a negative length.', length)} AS BIGINT)"
        count = f"CASE WHEN {length} < 0 THEN {negative} WHEN {start} < 1 THEN {start} + {length} - 1 ELSE {length} END"
        return Typed(f"substring({first}, greatest({start}, 1), greatest({count}, 0))", Kind.NVARCHAR)
    return Typed(f"{_TEXT[name]}({first})", Kind.NVARCHAR)


def _charindex(arguments: Sequence[Typed]) -> Typed:
    wanted, searched = text(arguments[0]).sql, text(arguments[1]).sql
    if len(arguments) == 2:
        return Typed(f"CAST(instr({searched}, {wanted}) AS BIGINT)", Kind.BIGINT)
    start = f"greatest({_whole(arguments[2])}, 1)"
    found = f"instr(substring({searched}, {start}), {wanted})"
    return Typed(f"CAST(CASE WHEN {found} = 0 THEN 0 ELSE {found} + {start} - 1 END AS BIGINT)", Kind.BIGINT)


def _whole(value: Typed) -> str:
    return cast(value, Kind.BIGINT, lenient=False).sql


def _date(name: str, arguments: Sequence[Typed]) -> Typed:
    if name in ("YEAR", "MONTH", "DAY"):
        return Typed(f"CAST({name.lower()}({_moment(arguments[0])}) AS BIGINT)", Kind.BIGINT)
    unit = arguments[0].sql.strip("'")
    if name == "DATEPART":
        return Typed(f"CAST({_PARTS.get(unit, unit + '({0})').format(_moment(arguments[1]))} AS BIGINT)", Kind.BIGINT)
    if name == "DATEADD":
        amount = _whole(arguments[1])
        interval = (
            f"to_months(CAST(3 * {amount} AS INTEGER))"
            if unit == "quarter"
            else f"{_ADD[unit]}({_narrow(unit, amount)})"
        )
        return Typed(f"({_moment(arguments[2])} + {interval})", Kind.DATETIME)
    start, end = _moment(arguments[1]), _moment(arguments[2])
    if unit == "week":
        # Weeks begin on Sunday; DuckDB's begin on Monday.
        start, end = (f"date_trunc('week', {moment} + to_days(1))" for moment in (start, end))
        return Typed(f"(date_diff('day', {start}, {end}) // 7)", Kind.BIGINT)
    unit = "day" if unit in ("dayofyear", "weekday") else unit
    return Typed(f"date_diff('{unit}', {start}, {end})", Kind.BIGINT)


def _narrow(unit: str, amount: str) -> str:
    return f"CAST({amount} AS INTEGER)" if unit in ("year", "month", "week", "day", "dayofyear", "weekday") else amount


def _moment(value: Typed) -> str:
    return cast(value, Kind.DATETIME, lenient=False).sql
