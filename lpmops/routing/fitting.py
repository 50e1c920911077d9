"""Whether a row that Stream Analytics would write fits the table it goes to: column by column, with the reason where it does not.

The tables are as `landing` reads them from their own statements, so that there is one truth. A row that does not fit blocks everything behind it
(policy Stop), which is why it is looked for beforehand. Values are plain JSON: times are text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lpmops.config import Column, Routing
from lpmops.model import parse_time
from lpmops.resources import query
from lpmops.routing.job import CONTROL_TABLES
from lpmops.routing.landing import WantedColumn, declared, wanted, wanted_counts

_WHOLE = {
    "TINYINT": (0, 2**8 - 1),
    **{name: (-(2**bits), 2**bits - 1) for name, bits in (("SMALLINT", 15), ("INT", 31), ("BIGINT", 63))},
}
_TEXTS = ("NVARCHAR", "VARCHAR", "NCHAR", "CHAR")
_TIMES = ("DATETIME2", "DATETIME", "DATETIMEOFFSET", "SMALLDATETIME", "DATE")


def tables(columns: Iterable[Column], routing: Routing) -> dict[str, tuple[WantedColumn, ...]]:
    """The columns of every table that jobs write, by its name with schema."""
    control = {table: f"control_{name}" for name, table in CONTROL_TABLES.items()}
    return {
        **{table.name: table.columns for table in (wanted(columns, routing), wanted_counts())},
        **{table: declared(query(f"tsql/{name}.sql")) for table, name in control.items()},
    }


def misfits(row: Mapping[str, Any], table: Iterable[WantedColumn]) -> dict[str, str]:
    """Why a row does not fit, by column; empty where it does. Names are compared without case."""
    given = {name.lower(): value for name, value in row.items()}
    known = {column.name.lower() for column in table}
    found = {name: "the table has no such column" for name in row if name.lower() not in known}
    for column in table:
        if column.name.lower() not in given and column.default:
            continue
        if reason := misfit(given.get(column.name.lower()), column):
            found[column.name] = reason
    return found


def misfit(value: Any, column: WantedColumn) -> str:
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
