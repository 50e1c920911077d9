"""Aggregates as DuckDB SQL, and the query that closes windows. Source: one page of asa-query for each aggregate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lpmops.sandbox.asa.conversion import Typed, cast, failure, null, number
from lpmops.sandbox.asa.expressions import Aggregate, AggregateRef, KeyRef, Ref, Timestamp
from lpmops.sandbox.asa.kinds import STORAGE, Kind
from lpmops.sandbox.asa.plan import Item, Select
from lpmops.sandbox.asa.translation import translate

BUFFER = "buffer"

_SPREAD = {"STDEV": "stddev_samp", "STDEVP": "stddev_pop", "VAR": "var_samp", "VARP": "var_pop"}


def aggregate_argument(aggregate: Aggregate, value: Typed) -> Typed:
    """What of a row a window keeps for an aggregate."""
    if aggregate.name == "COUNT" or value.kind is Kind.NULL:
        return value
    if aggregate.name in ("MIN", "MAX") and (
        value.kind in (Kind.BIT, Kind.DATETIME) or (value.kind is Kind.NVARCHAR and value.explicit)
    ):
        # asa-query/min: text is compared as text where it was cast, and is otherwise read as float.
        return value
    keeps = aggregate.name in ("MIN", "MAX", "SUM", "PERCENTILE_DISC")
    return number(value) if keeps else cast(number(value), Kind.FLOAT, lenient=False)


@dataclass(frozen=True, slots=True)
class ClosingQuery:
    """The SQL over what a window has kept; rows begin with the output's place and the end of the window, then come `columns`."""

    sql: str
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]


def closing_query(select: Select, kinds: Mapping[str, Kind]) -> ClosingQuery:
    """The query that counts all windows in BUFFER, whose columns have these kinds."""
    window = select.window
    assert window is not None, "only windowed SELECTs are closed"

    def column(name: str) -> Typed:
        kind = kinds.get(name, Kind.NULL)
        return Typed(name, kind) if kind is not Kind.NULL else null()

    def lookup(node: Ref | KeyRef | AggregateRef | Timestamp) -> Typed:
        match node:
            case KeyRef(index=index):
                return column(f"k{index}")
            case AggregateRef(index=index):
                return _aggregate(window.aggregates[index], column(f"a{index}"))
            case _:
                return Typed("w", Kind.DATETIME)

    items = [(item.name, translate(item.expression, lookup)) for item in select.items if isinstance(item, Item)]
    keys = [
        "o",
        "w",
        *(f"k{index}" for index in range(len(window.keys)) if kinds.get(f"k{index}", Kind.NULL) is not Kind.NULL),
    ]
    selected = ["o", "w", *(f"{value.sql} AS c{index}" for index, (_, value) in enumerate(items))]
    having = f" HAVING {translate(window.having, lookup).sql}" if window.having is not None else ""
    sql = f"SELECT {', '.join(selected)} FROM {BUFFER} GROUP BY {', '.join(keys)}{having} ORDER BY {', '.join(keys)}"
    return ClosingQuery(sql, tuple(name for name, _ in items), tuple(value.kind for _, value in items))


def _aggregate(aggregate: Aggregate, value: Typed) -> Typed:
    name, sql = aggregate.name, value.sql
    if name == "COUNT":
        inner = "*" if aggregate.argument is None else f"DISTINCT {sql}" if aggregate.distinct else sql
        return Typed(f"count({inner})", Kind.BIGINT)
    if value.kind is Kind.NULL:
        return null(Kind.FLOAT)
    if name == "SUM":
        if value.kind is Kind.BIGINT:
            total = f"TRY_CAST(sum({sql}) AS BIGINT)"
            message = failure("SUM is outside the range of bigint.", f"sum({sql})")
            return Typed(f"CASE WHEN sum({sql}) IS NOT NULL THEN COALESCE({total}, {message}) END", Kind.BIGINT)
        return Typed(f"sum({sql})", Kind.FLOAT)
    if name in ("MIN", "MAX"):
        return Typed(f"{name.lower()}({sql})", value.kind, explicit=True)
    if name == "AVG":
        # Assumed for bigint: the page gives "the type of the evaluated result", and a mean keeps its fraction here.
        return Typed(f"avg({sql})", Kind.FLOAT)
    if name in _SPREAD:
        return Typed(f"{_SPREAD[name]}({sql})", Kind.FLOAT)
    direction = "DESC" if aggregate.descending else "ASC"
    kind = Kind.FLOAT if name == "PERCENTILE_CONT" else value.kind
    return Typed(
        f"CAST({name.lower()}({aggregate.fraction!r}) WITHIN GROUP (ORDER BY {sql} {direction}) AS {STORAGE[kind]})",
        kind,
    )
