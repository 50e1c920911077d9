"""What can be done with values in the Kusto subset: comparisons, scalar functions and aggregates, as tables of plain functions.

A missing value is None; a function that can't make sense of a value answers None, never an error, as Kusto does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lpmops.sandbox.azure.stamps import parse_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text_of(value: Any) -> str:
    """A value as tostring() writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return str(value)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        try:
            return left is not None and right is not None and test(left, right)
        except TypeError:
            return False

    return compare


def _has(left: str, right: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(right)}(?![A-Za-z0-9_])", left) is not None


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "=~": lambda a, b: text_of(a).lower() == text_of(b).lower(),
    "!~": lambda a, b: text_of(a).lower() != text_of(b).lower(),
    "<": _ordered(lambda a, b: bool(a < b)),
    "<=": _ordered(lambda a, b: bool(a <= b)),
    ">": _ordered(lambda a, b: bool(a > b)),
    ">=": _ordered(lambda a, b: bool(a >= b)),
    "contains": lambda a, b: text_of(b).lower() in text_of(a).lower(),
    "contains_cs": lambda a, b: text_of(b) in text_of(a),
    "has": lambda a, b: _has(text_of(a).lower(), text_of(b).lower()),
    "has_cs": lambda a, b: _has(text_of(a), text_of(b)),
    "startswith": lambda a, b: text_of(a).lower().startswith(text_of(b).lower()),
    "endswith": lambda a, b: text_of(a).lower().endswith(text_of(b).lower()),
}


def calculate(operator: str, a: Any, b: Any, whole: bool) -> Any:
    """Two present values and what is between them; `whole` divides without a rest."""
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b
    if operator == "/":
        return a // b if whole else a / b
    return a % b


def _parse_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _to_datetime(value: Any) -> datetime | None:
    if isinstance(value, datetime) or value is None:
        return value
    try:
        return parse_time(str(value))
    except ValueError:
        return None


def _to_number(kind: type) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        try:
            return kind(float(value)) if not isinstance(value, bool) else kind(value)
        except (TypeError, ValueError, OverflowError):
            return None

    return convert


def _bin(value: Any, width: Any) -> Any:
    if value is None or not width:
        return None
    if isinstance(value, datetime):
        return value - (value - _EPOCH) % width
    return value // width * width


# argument counts, type of the result (None: that of the argument), the function
FUNCTIONS: dict[str, tuple[tuple[int, ...], str | None, Callable[..., Any]]] = {
    "parse_json": ((1,), "dynamic", _parse_json),
    "todynamic": ((1,), "dynamic", _parse_json),
    "tostring": ((1,), "string", text_of),
    "todatetime": ((1,), "datetime", _to_datetime),
    "tolong": ((1,), "long", _to_number(int)),
    "toint": ((1,), "int", _to_number(int)),
    "todouble": ((1,), "real", _to_number(float)),
    "toreal": ((1,), "real", _to_number(float)),
    "isempty": ((1,), "bool", lambda value: text_of(value) == ""),
    "isnotempty": ((1,), "bool", lambda value: text_of(value) != ""),
    "isnull": ((1,), "bool", lambda value: value is None),
    "isnotnull": ((1,), "bool", lambda value: value is not None),
    "not": ((1,), "bool", lambda value: not value),
    "tolower": ((1,), "string", lambda value: text_of(value).lower()),
    "toupper": ((1,), "string", lambda value: text_of(value).upper()),
    "strlen": ((1,), "long", lambda value: len(text_of(value))),
    "strcat": (tuple(range(1, 65)), "string", lambda *values: "".join(text_of(each) for each in values)),
    "iff": ((3,), None, lambda test, yes, no: yes if test else no),
    "iif": ((3,), None, lambda test, yes, no: yes if test else no),
    "coalesce": (tuple(range(2, 65)), None, lambda *values: next((v for v in values if v not in (None, "")), None)),
    "bin": ((2,), None, _bin),
    "floor": ((2,), None, _bin),
}
KEEPS_NAME = frozenset(
    {"tostring", "todatetime", "tolong", "toint", "todouble", "toreal", "bin", "floor", "parse_json", "todynamic"}
)


def _numbers(rows: list[tuple[Any, ...]]) -> list[Any]:
    return [row[0] for row in rows if row[0] is not None]


def _best(choose: Callable[[list[Any]], Any]) -> Callable[[list[tuple[Any, ...]]], Any]:
    def value(rows: list[tuple[Any, ...]]) -> Any:
        present = _numbers(rows)
        return choose(present) if present else None

    return value


# fewest and most arguments, the aggregate over argument tuples, type of the result (None: that of the argument)
AGGREGATES: dict[str, tuple[int, int, Callable[[list[tuple[Any, ...]]], Any], str | None]] = {
    "count": (0, 0, len, "long"),
    "countif": (1, 1, lambda rows: sum(1 for row in rows if row[0] is True), "long"),
    "dcount": (1, 1, lambda rows: len({text_of(row[0]) for row in rows if row[0] is not None}), "long"),
    "sum": (1, 1, lambda rows: sum(_numbers(rows)), None),
    "avg": (1, 1, _best(lambda present: sum(present) / len(present)), "real"),
    "max": (1, 1, _best(max), None),
    "min": (1, 1, _best(min), None),
    "take_any": (1, 1, _best(lambda present: next((v for v in present if v != ""), present[0])), None),
    "any": (1, 1, _best(lambda present: next((v for v in present if v != ""), present[0])), None),
}
