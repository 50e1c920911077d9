"""The columns that land: how a configured T-SQL type is read in Stream Analytics and declared in the landing table."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from lpmops.config import Column, Routing
from lpmops.routing import quoting

# What Stream Analytics can cast to, by the T-SQL type it lands in (asa-query/data-types).
_CASTS = {
    "BIGINT": "bigint",
    "INT": "bigint",
    "SMALLINT": "bigint",
    "BIT": "bit",
    "FLOAT": "float",
    "DECIMAL": "float",
    "DATE": "datetime",
    "DATETIME2": "datetime",
}
_RANGES = {"INT": 2**31, "SMALLINT": 2**15}
_TEXTS = ("NVARCHAR", "VARCHAR")


def landing_columns(columns: Iterable[Column], routing: Routing) -> tuple[Column, ...]:
    """The configured columns in name order, with the SIP request last; the same set always gives the same text."""
    chosen = {column.name: column for column in columns}
    sip = chosen.pop(routing.sip_request, Column(name=routing.sip_request, type="NVARCHAR(MAX)"))
    return (*(chosen[name] for name in sorted(chosen)), sip)


def projection(columns: Iterable[Column]) -> str:
    """The columns as items of the SELECT that reads the hub, each on its own line.

    A value that does not fit its column (another type, out of range, a text that is too long) lands as NULL rather than stopping the shard for every
    company. Nested records and arrays pass as they are: a SQL output writes them as JSON.
    """
    return "".join(f",\n        {_read(column)} AS {quoting.identifier(column.name)}" for column in columns)


def _read(column: Column) -> str:
    source = f"source.{quoting.path(column.source or column.name)}"
    name, _, rest = column.type.upper().partition("(")
    sizes = [size.strip() for size in rest.removesuffix(")").split(",") if size]
    if name in _TEXTS:
        text = f"TRY_CAST({source} AS nvarchar(max))"
        # LEN leaves blanks at the end out, and a column has to hold them.
        return source if sizes == ["MAX"] else _if(f"LEN(CONCAT({text}, '.')) <= {int(sizes[0]) + 1}", text)
    value = f"TRY_CAST({source} AS {_CASTS[name]})"
    if name in _RANGES:
        return _if(f"{value} BETWEEN -{_RANGES[name]} AND {_RANGES[name] - 1}", value)
    if name == "DECIMAL":
        precision, scale = (int(size) for size in sizes)
        # What is rounded up to one digit more does not fit either.
        largest = Decimal(10) ** (precision - scale) - Decimal(5) / Decimal(10) ** (scale + 1)
        # Digits that a column has not are an error of the whole output (asa-query/data-types: precision loss).
        return _if(f"ABS({value}) < {largest:f}", f"ROUND({value}, {scale})")
    return value


def _if(condition: str, value: str) -> str:
    return f"CASE WHEN {condition} THEN {value} ELSE NULL END"


def names(columns: Iterable[Column]) -> str:
    """The columns as further items of a SELECT list."""
    return "".join(f", {quoting.identifier(column.name)}" for column in columns)


def declaration(columns: Iterable[Column]) -> str:
    """The columns as further lines of a CREATE TABLE; each may be NULL, as a source column may appear or vanish."""
    return "".join(f",\n    {quoting.identifier(column.name)} {column.type.upper()} NULL" for column in columns)
