"""The columns that land: how a configured T-SQL type is read in Stream Analytics and declared in the landing table."""

from __future__ import annotations

from collections.abc import Iterable

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


def landing_columns(columns: Iterable[Column], routing: Routing) -> tuple[Column, ...]:
    """The configured columns in name order, with the SIP request last; the same set always gives the same text."""
    chosen = {column.name: column for column in columns}
    sip = chosen.pop(routing.sip_request, Column(name=routing.sip_request, type="NVARCHAR(MAX)"))
    return (*(chosen[name] for name in sorted(chosen)), sip)


def projection(columns: Iterable[Column]) -> str:
    """The columns as items of the SELECT that reads the hub, each on its own line.

    A value that does not fit its type lands as NULL rather than stopping the shard for every company; texts and nested records pass as they are.
    """
    return "".join(f",\n        {_read(column)} AS {quoting.identifier(column.name)}" for column in columns)


def _read(column: Column) -> str:
    source = f"source.{quoting.path(column.source or column.name)}"
    cast = _CASTS.get(column.type.upper().partition("(")[0])
    return f"TRY_CAST({source} AS {cast})" if cast else source


def names(columns: Iterable[Column]) -> str:
    """The columns as further items of a SELECT list."""
    return "".join(f", {quoting.identifier(column.name)}" for column in columns)


def declaration(columns: Iterable[Column]) -> str:
    """The columns as further lines of a CREATE TABLE; each may be NULL, as a source column may appear or vanish."""
    return "".join(f",\n    {quoting.identifier(column.name)} {column.type.upper()} NULL" for column in columns)
