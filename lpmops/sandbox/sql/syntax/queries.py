"""Queries: where rows come from, and how they are chosen, grouped, ordered and put together."""

from __future__ import annotations

from dataclasses import dataclass

from lpmops.sandbox.sql.syntax.expressions import Expression, OrderItem, TypeName


@dataclass(frozen=True, slots=True)
class TableName:
    """A table or view in FROM, with its alias and hints in capitals."""

    parts: tuple[str, ...]
    alias: str | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Derived:
    """(SELECT ...) AS alias (columns)."""

    query: Query
    alias: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """(VALUES (...), (...)) AS alias (columns)."""

    rows: tuple[tuple[Expression, ...], ...]
    alias: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenColumn:
    """A column of OPENJSON ... WITH."""

    name: str
    type: TypeName
    path: str | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class TableFunction:
    """OPENJSON or STRING_SPLIT in FROM."""

    name: str
    arguments: tuple[Expression, ...]
    alias: str | None
    columns: tuple[OpenColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """kind is INNER, LEFT, RIGHT, FULL, CROSS, CROSS APPLY or OUTER APPLY."""

    kind: str
    left: Source
    right: Source
    condition: Expression | None


Source = TableName | Derived | Rows | TableFunction | Join


@dataclass(frozen=True, slots=True)
class SelectItem:
    """One item of the select list: an expression with its alias, `*` or `t.*` (star), or @variable = expression (target)."""

    value: Expression | None
    alias: str | None = None
    star: tuple[str, ...] | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Top:
    """TOP (n) [PERCENT] [WITH TIES]."""

    count: Expression
    percent: bool = False
    ties: bool = False


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT without ORDER BY."""

    items: tuple[SelectItem, ...]
    source: Source | None = None
    where: Expression | None = None
    group: tuple[Expression, ...] = ()
    having: Expression | None = None
    distinct: bool = False
    top: Top | None = None


@dataclass(frozen=True, slots=True)
class SetOperation:
    """UNION, UNION ALL, EXCEPT or INTERSECT."""

    operator: str
    left: Select | SetOperation
    right: Select | SetOperation


@dataclass(frozen=True, slots=True)
class CommonTable:
    """One WITH name (columns) AS (query)."""

    name: str
    columns: tuple[str, ...]
    query: Query


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query: WITH, body, ORDER BY, OFFSET, FETCH."""

    body: Select | SetOperation
    commons: tuple[CommonTable, ...] = ()
    order: tuple[OrderItem, ...] = ()
    offset: Expression | None = None
    fetch: Expression | None = None
