"""The functions that translated SQL calls: T-SQL's own, where SQLite has no equal.

`register` gives a connection all of them under names that begin with `ts_`, and the collation TS_DECIMAL. A function raises SqlError;
SQLite forgets what an exception said, so the error is kept in the connection's Trouble for the caller. All take and give stored values
(conversion.py); NULL in is NULL out unless said. Functions that ask about the session (object_id, permissions) are the session's business:
it is asked through Trouble.session.
"""

from __future__ import annotations

import hashlib
import math
import re
import sqlite3
import statistics
import uuid
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, Protocol

from lpmops.sandbox.sql import errors, json_text, moments
from lpmops.sandbox.sql.conversion import CONTEXT, check_range, converter, decimal_text, declared
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.types import decimal, utf16_length


class Asked(Protocol):
    """Whoever answers questions about the session."""

    def ask(self, question: str, arguments: tuple[Any, ...]) -> Any:
        """The answer to a metadata or permission function."""


class Trouble:
    """What a connection's functions share: the error that was raised last, and the session that holds the connection."""

    def __init__(self) -> None:
        self.error: SqlError | None = None
        self.session: Asked | None = None


Function = Callable[..., Any]


def register(connection: sqlite3.Connection) -> Trouble:
    """Give a connection every function, aggregate and collation of this module."""
    trouble = Trouble()
    for name, function in _STRICT.items():
        connection.create_function(name, -1, _keeping(trouble, _null_in_null_out(function)), deterministic=True)
    for name, function in _OPEN.items():
        connection.create_function(name, -1, _keeping(trouble, function), deterministic=True)
    connection.create_function("ts_newid", 0, lambda: str(uuid.uuid4()).upper())

    def ask(question: str, *arguments: Any) -> Any:
        return trouble.session.ask(question, arguments) if trouble.session is not None else None

    connection.create_function("ts_ask", -1, _keeping(trouble, ask))
    connection.create_collation("TS_DECIMAL", _compare_decimals)
    for name, aggregate in _AGGREGATES.items():
        connection.create_aggregate(name, -1, aggregate)
    for name, window in _WINDOWS.items():
        connection.create_window_function(name, -1, window)
    return trouble


def _keeping(trouble: Trouble, function: Function) -> Function:
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except SqlError as error:
            trouble.error = error
            raise

    return call


def _null_in_null_out(function: Function) -> Function:
    def call(*arguments: Any) -> Any:
        return None if None in arguments else function(*arguments)

    return call


@lru_cache(maxsize=4096)
def _cast_between(source: str, target: str, style: int | None) -> Callable[[Any], Any]:
    return converter(declared(source), declared(target), style)


def _cast(value: Any, source: str, target: str, style: int | None, forgiving: int) -> Any:
    """A value to another type; `forgiving` gives NULL where it does not convert."""
    if value is None:
        return None
    try:
        return _cast_between(source, target, style)(value)
    except SqlError as error:
        if forgiving and error.number not in (529, 206):
            return None
        raise


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise errors.divide_by_zero()
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: int, right: int) -> int:
    if right == 0:
        raise errors.divide_by_zero()
    return (
        int(math.fmod(left, right)) if abs(left) < 2**53 and abs(right) < 2**53 else left - right * _divide(left, right)
    )


def _divide_floats(left: float, right: float) -> float:
    if right == 0:
        raise errors.divide_by_zero()
    return float(left) / float(right)


def _decimal(operator: str, left: Any, right: Any, precision: int, scale: int) -> str:
    a, b = Decimal(left), Decimal(right)
    kind = decimal(precision, scale)
    if operator in "/%" and b == 0:
        raise errors.divide_by_zero()
    if operator == "/":
        return decimal_text(CONTEXT.divide(a, b), kind, truncate=True)
    result = {"+": CONTEXT.add, "-": CONTEXT.subtract, "*": CONTEXT.multiply, "%": CONTEXT.remainder}[operator](a, b)
    return decimal_text(result, kind)


def _compare_decimals(left: str, right: str) -> int:
    a, b = Decimal(left), Decimal(right)
    return (a > b) - (a < b)


def _range(value: int | float, name: str) -> int:
    """A whole number that must fit a type; SQLite turns an overflowing sum into a float."""
    if isinstance(value, float):
        raise errors.overflow(name)
    return check_range(value, name)


def _as_timestamp(stored: str) -> str:
    """Any stored date or time as a timestamp to count with."""
    if len(stored) == 10:
        return f"{stored} 00:00:00.0000000"
    return f"1900-01-01 {stored}" if len(stored) == 16 else stored[:27]


def _date_add(part: str, number: int, stored: str, kind: str) -> str:
    if kind == "date" and part not in ("year", "quarter", "month", "day", "dayofyear", "weekday", "week"):
        raise SqlError(
            9810, f"The datepart {part} is not supported by date function dateadd for data type date.", 16, 1
        )
    if kind == "datetimeoffset":
        local = moments.add(part, number, moments.local_of(stored))
        minutes = moments.offset_minutes(stored)
        return moments.offset_stored(moments.ticks_of(local) - minutes * 60 * moments.SECOND, minutes)
    added = moments.add(part, number, _as_timestamp(stored))
    if kind == "date":
        return added[:10]
    if kind == "time":
        return added[11:]
    return moments.timestamp_text(moments.legacy_rounded(moments.ticks_of(added))) if kind == "datetime" else added


def _date_difference(part: str, start: str, end: str, limited: int) -> int:
    difference = moments.difference(part, _as_timestamp(start), _as_timestamp(end))
    if limited and not -(2**31) <= difference < 2**31:
        text = ("The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. "
                "Try to use datediff with a less precise datepart.")  # fmt: skip
        raise SqlError(535, text, 16, 0)
    return difference


_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def _date_part(name: str, stored: str) -> int:
    if name == "tzoffset":
        return moments.offset_minutes(stored) if len(stored) == 33 else 0
    return moments.part(name, moments.local_of(stored) if len(stored) == 33 else _as_timestamp(stored))


def _date_name(name: str, stored: str) -> str:
    number = _date_part(name, stored)
    if name == "month":
        return _MONTHS[number - 1]
    return _WEEKDAYS[number - 1] if name == "weekday" else str(number)


def _date_truncate(name: str, stored: str, kind: str) -> str:
    truncated = moments.truncate(name, _as_timestamp(stored))
    return truncated[:10] if kind == "date" else truncated


def _end_of_month(stored: str, months: int) -> str:
    first = moments.add("month", months + 1, f"{stored[:8]}01 00:00:00.0000000")
    return moments.add("day", -1, first)[:10]


def _units(text: str) -> bytes | None:
    """UTF-16 units of a text, where they are not its characters."""
    return None if text.isascii() or utf16_length(text) == len(text) else text.encode("utf-16-le")


def _length(text: str) -> int:
    return utf16_length(text.rstrip(" "))


def _substring(value: str | bytes, start: int, length: int) -> str | bytes:
    if length < 0:
        raise SqlError(537, "Invalid length parameter passed to the LEFT or SUBSTRING function.", 16, 2)
    first, last = max(start - 1, 0), max(start - 1 + length, 0)
    if isinstance(value, bytes):
        return value[first:last]
    units = _units(value)
    return value[first:last] if units is None else units[first * 2 : last * 2].decode("utf-16-le", "replace")


def _left(text: str, length: int) -> str | bytes:
    return _substring(text, 1, length)


def _right(text: str, length: int) -> str | bytes:
    if length < 0:
        raise SqlError(537, "Invalid length parameter passed to the RIGHT function.", 16, 2)
    return _substring(text, max(utf16_length(text) - length, 0) + 1, length)


def _folded(text: str, sensitive: int) -> str:
    return text if sensitive else text.translate(_LOWER)


_LOWER = {code: code + 32 for code in range(65, 91)}


def _char_index(wanted: str, text: str, start: int, sensitive: int) -> int:
    if not wanted:
        return 0
    return _folded(text, sensitive).find(_folded(wanted, sensitive), max(start - 1, 0)) + 1


def _replace(text: str, old: str, new: str, sensitive: int) -> str:
    if not old:
        return text
    if sensitive:
        return text.replace(old, new)
    return re.sub(re.escape(old), lambda _: new, text, flags=re.IGNORECASE | re.ASCII)


def _stuff(text: str, start: int, length: int, new: str | None) -> str | None:
    if start < 1 or start > len(text) or length < 0:
        return None
    return text[: start - 1] + (new or "") + text[start - 1 + length :]


def _quote_name(text: str, mark: str) -> str | None:
    if len(text) > 128:
        return None
    pair = {"[": "[]", "]": "[]", '"': '""', "'": "''", "(": "()", ")": "()"}.get(mark)
    return None if pair is None else pair[0] + text.replace(pair[1], pair[1] * 2) + pair[1]


@lru_cache(maxsize=1024)
def _pattern(pattern: str, escape: str, sensitive: int) -> re.Pattern[str]:
    out: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if escape and character == escape and position < len(pattern):
            out.append(re.escape(pattern[position]))
            position += 1
        elif character == "%":
            out.append(".*")
        elif character == "_":
            out.append(".")
        elif character == "[" and "]" in pattern[position + 1 :]:
            end = pattern.index("]", position + 1)
            inner = pattern[position:end]
            negated = inner.startswith("^")
            members = "".join(_member(part) for part in re.findall(r".-.|.", inner[negated:], re.DOTALL))
            out.append(f"[{'^' if negated else ''}{members}]")
            position = end + 1
        else:
            out.append(re.escape(character))
    return re.compile("".join(out), re.DOTALL | (0 if sensitive else re.IGNORECASE))


def _member(part: str) -> str:
    return f"{re.escape(part[0])}-{re.escape(part[2])}" if len(part) == 3 else re.escape(part)


def _like(value: str, pattern: str, escape: str, sensitive: int) -> int:
    return int(_pattern(pattern, escape, sensitive).fullmatch(value) is not None)


def _hash_bytes(algorithm: str, data: bytes) -> bytes | None:
    name = {"MD5": "md5", "SHA": "sha1", "SHA1": "sha1", "SHA2_256": "sha256", "SHA2_512": "sha512"}.get(
        algorithm.upper()
    )
    return None if name is None else hashlib.new(name, data, usedforsecurity=False).digest()


def _replicate(text: str, count: int) -> str | None:
    if count < 0:
        return None
    if len(text) * count > 50_000_000:
        raise errors.unsupported_feature("REPLICATE beyond 50,000,000 characters")
    return text * count


def _character(code: int, limit: int) -> str | None:
    if not 0 <= code <= limit:
        return None
    return bytes([code]).decode("cp1252", "replace") if limit == 255 else chr(code)


def _round(value: Any, digits: int, truncate: int, precision: int, scale: int) -> Any:
    rounding = ROUND_DOWN if truncate else ROUND_HALF_UP
    exact = Decimal(repr(value) if isinstance(value, float) else value)
    result = exact.quantize(Decimal(1).scaleb(-digits), rounding=rounding, context=CONTEXT) if digits < 30 else exact
    if precision:
        return decimal_text(result, decimal(precision, scale))
    return float(result) if isinstance(value, float) else int(result)


def _power(base: float, exponent: float) -> float:
    try:
        result = math.pow(base, exponent)
    except (OverflowError, ValueError):
        raise _invalid_float() from None
    return result


def _of_float(function: Callable[[float], float]) -> Function:
    def call(value: float) -> float:
        try:
            return function(value)
        except (ValueError, OverflowError):
            raise _invalid_float() from None

    return call


def _invalid_float() -> SqlError:
    return SqlError(3623, "An invalid floating point operation occurred.", 16, 1)


def _sign_decimal(value: str, kind: str) -> str:
    fixed = Decimal(value)
    whole = {"floor": "ROUND_FLOOR", "ceiling": "ROUND_CEILING"}
    if kind == "abs":
        return format(abs(fixed), "f")
    if kind == "negate":
        return format(-fixed if fixed else fixed.copy_abs(), "f")
    return format(fixed.to_integral_value(rounding=whole[kind]), "f")


def _concatenated(separator: str, *values: Any) -> str:
    return separator.join(value for value in values if value is not None)


def _concat(*values: Any) -> str:
    return "".join(value for value in values if value is not None)


_STRICT: dict[str, Function] = {
    "ts_divide": _divide, "ts_remainder": _remainder, "ts_divide_floats": _divide_floats, "ts_decimal": _decimal, "ts_range": _range,
    "ts_date_add": _date_add, "ts_date_difference": _date_difference, "ts_date_part": _date_part, "ts_date_name": _date_name,
    "ts_date_truncate": _date_truncate, "ts_end_of_month": _end_of_month, "ts_local": moments.local_of,
    "ts_length": _length, "ts_substring": _substring, "ts_left": _left, "ts_right": _right, "ts_char_index": _char_index,
    "ts_replace": _replace, "ts_quote_name": _quote_name, "ts_like": _like, "ts_hash_bytes": _hash_bytes, "ts_replicate": _replicate,
    "ts_upper": str.upper, "ts_lower": str.lower, "ts_reverse": lambda text: text[::-1], "ts_character": _character,
    "ts_unicode": lambda text: ord(text[0]) if text else None, "ts_round": _round, "ts_power": _power, "ts_sqrt": _of_float(math.sqrt),
    "ts_log": _of_float(math.log), "ts_log10": _of_float(math.log10), "ts_exp": _of_float(math.exp), "ts_sign_decimal": _sign_decimal,
    "ts_json_value": json_text.json_value, "ts_json_query": json_text.json_query,
}  # fmt: skip
_OPEN: dict[str, Function] = {
    "ts_cast": _cast, "ts_stuff": lambda text, start, length, new: None if None in (text, start, length) else _stuff(text, start, length, new),
    "ts_concat": _concat, "ts_concat_ws": _concatenated, "ts_open_json": json_text.open_json, "ts_open_json_columns": json_text.open_json_columns,
    "ts_string_split": json_text.string_split, "ts_utf16": lambda text: 0 if text is None else utf16_length(text),
}  # fmt: skip


class _DecimalSum:
    """SUM or AVG of decimals; arguments after the value are the result's precision and scale, and 1 for the mean."""

    def __init__(self) -> None:
        self._total = Decimal(0)
        self._count = 0
        self._shape = (38, 0, 0)

    def step(self, value: str | None, precision: int, scale: int, mean: int) -> None:
        """Take one value."""
        self._shape = (precision, scale, mean)
        if value is not None:
            self._total = CONTEXT.add(self._total, Decimal(value))
            self._count += 1

    def inverse(self, value: str | None, _precision: int, _scale: int, _mean: int) -> None:
        """Give one value back."""
        if value is not None:
            self._total = CONTEXT.subtract(self._total, Decimal(value))
            self._count -= 1

    def value(self) -> str | None:
        """The result so far."""
        if not self._count:
            return None
        precision, scale, mean = self._shape
        total = CONTEXT.divide(self._total, Decimal(self._count)) if mean else self._total
        return decimal_text(total, decimal(precision, scale), truncate=bool(mean))

    finalize = value


class _Spread:
    """STDEV, STDEVP, VAR, VARP, by the name given with each value."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._name = ""

    def step(self, value: float | None, name: str) -> None:
        """Take one value."""
        self._name = name
        if value is not None:
            self._values.append(float(value))

    def finalize(self) -> float | None:
        """The result."""
        if len(self._values) < (1 if self._name.endswith("P") else 2):
            return None
        measure = {
            "STDEV": statistics.stdev,
            "STDEVP": statistics.pstdev,
            "VAR": statistics.variance,
            "VARP": statistics.pvariance,
        }
        return float(measure[self._name](self._values))


class _Percentile:
    """PERCENTILE_CONT and PERCENTILE_DISC over a partition; also the exact answer where SQL Server would approximate."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._fraction = 0.0
        self._interpolate = 1
        self._sorted = True

    def step(self, value: Any, fraction: float, interpolate: int, descending: int) -> None:
        """Take one value."""
        self._fraction = 1 - fraction if descending and interpolate else fraction
        self._interpolate = interpolate
        if value is not None:
            self._values.append(value)
            self._sorted = False

    def inverse(self, value: Any, _fraction: float, _interpolate: int, _descending: int) -> None:
        """Give one value back."""
        if value is not None:
            self._values.remove(value)

    def value(self) -> Any:
        """The percentile so far."""
        if not self._values:
            return None
        if not self._sorted:
            self._values.sort()
            self._sorted = True
        if not self._interpolate:
            return self._values[max(math.ceil(self._fraction * len(self._values)) - 1, 0)]
        place = self._fraction * (len(self._values) - 1)
        low = math.floor(place)
        high = min(low + 1, len(self._values) - 1)
        return float(self._values[low] + (self._values[high] - self._values[low]) * (place - low))

    finalize = value


_AGGREGATES: dict[str, type] = {"ts_spread": _Spread}
_WINDOWS: dict[str, type] = {"ts_sum_decimal": _DecimalSum, "ts_percentile": _Percentile}
