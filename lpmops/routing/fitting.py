"""Whether a row that Stream Analytics would write fits the table it goes to: column by column, with the reason where it does not.

The tables are those of `schema`, read from their own statements, so that there is one truth. A row that does not fit blocks everything behind it
(policy Stop), which is why it is looked for beforehand. Values are plain JSON: times are text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lpmops.config import Column, Kpi, Routing
from lpmops.model import parse_time
from lpmops.routing.schema import control_statements, landing_statements

_TABLE = re.compile(r"CREATE TABLE (\w+\.\w+) \(\n(.*)\n\)", re.DOTALL)
_COLUMN = re.compile(r"\s*(?:\[((?:[^\]]|\]\])+)\]|(\w+)) ([A-Z]\w*(?:\([^)]*\))?) (NOT NULL|NULL)(.*?),?")
_WHOLE = {
    "TINYINT": (0, 2**8 - 1),
    **{name: (-(2**bits), 2**bits - 1) for name, bits in (("SMALLINT", 15), ("INT", 31), ("BIGINT", 63))},
}
_TEXTS = ("NVARCHAR", "VARCHAR", "NCHAR", "CHAR")
_TIMES = ("DATETIME2", "DATETIME", "DATETIMEOFFSET", "SMALLDATETIME", "DATE")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table: its T-SQL type as declared, whether it takes NULL, whether it fills itself where it is not named."""

    name: str
    type: str
    nullable: bool
    has_default: bool


def tables(columns: Iterable[Column], routing: Routing, kpi: Kpi | None = None) -> dict[str, tuple[TableColumn, ...]]:
    """The columns of every table that jobs write, by its name with schema."""
    found = {}
    for statement in (*landing_statements(columns, routing, kpi), *control_statements()):
        if (table := _TABLE.search(statement)) is not None:
            lines = (_COLUMN.fullmatch(line) for line in table[2].splitlines())
            found[table[1]] = tuple(_column(line) for line in lines if line is not None)
    return found


def _column(found: re.Match[str]) -> TableColumn:
    name = found[1].replace("]]", "]") if found[1] is not None else found[2]
    return TableColumn(name, found[3], found[4] == "NULL", "DEFAULT" in found[5])


def misfits(row: Mapping[str, Any], table: Iterable[TableColumn]) -> dict[str, str]:
    """Why a row does not fit, by column; empty where it does. Names are compared without case."""
    given = {name.lower(): value for name, value in row.items()}
    known = {column.name.lower() for column in table}
    found = {name: "the table has no such column" for name in row if name.lower() not in known}
    for column in table:
        if column.name.lower() not in given and column.has_default:
            continue
        if reason := misfit(given.get(column.name.lower()), column):
            found[column.name] = reason
    return found


def misfit(value: Any, column: TableColumn) -> str:
    """Why a value does not fit a column; empty where it does. Says what kind it is, never the value."""
    if value is None:
        return "" if column.nullable else "NULL, and the column takes none"
    name, _, size = column.type.upper().rstrip(")").partition("(")
    if name in _TEXTS:
        text = value if isinstance(value, str) else str(value)
        length = len(text.encode("utf-16-le")) // 2
        return f"{length:,} characters in {column.type}" if size.isdigit() and length > int(size) else ""
    if name in _TIMES:
        return "" if _is_time(value) else f"{kind_of(value)} in {column.type}"
    if name == "BIT":
        return (
            "" if isinstance(value, bool) or value in (0, 1, "0", "1", "true", "false") else f"{kind_of(value)} in BIT"
        )
    return _number(value, name, size, column.type)


def _number(value: Any, name: str, size: str, declared: str) -> str:
    try:
        number = float(value) if not isinstance(value, int) else value
    except (ValueError, TypeError, OverflowError):
        return f"{kind_of(value)} in {declared}"
    if not math.isfinite(number):
        return f"no number in {declared}"
    if name in _WHOLE:
        low, high = _WHOLE[name]
        return "" if low <= number <= high else f"a number beyond {declared}"
    if name in ("DECIMAL", "NUMERIC"):
        digits, _, scale = size.partition(",")
        whole = int(digits or 18) - int(scale or 0)
        return "" if abs(number) < 10**whole else f"a number beyond {declared}"
    return ""


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and parse_time(value) is not None
    except (ValueError, OverflowError):
        return False


def kind_of(value: Any) -> str:
    """What kind a JSON value is of, in words."""
    if isinstance(value, bool):
        return "true or false"
    return {str: "a text", int: "a number", float: "a number"}.get(type(value), "a record or list")
