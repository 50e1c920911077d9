"""Tables and indexes as SQLite holds them.

A table is one STRICT SQLite table named `schema.table`; T-SQL's sizes and ranges are CHECK constraints whose names tell which error they
stand for (`2628|column`, `8115|column`), so SQLite itself enforces them at full speed. Keys and unique constraints are unique indexes. A
unique index over a column that may be NULL is built on an expression, because SQL Server takes two NULLs for duplicates and SQLite does
not.
"""

from __future__ import annotations

from lpmops.sandbox.sql.catalog import Catalog, Check, Column, Index, Table
from lpmops.sandbox.sql.translate import expressions
from lpmops.sandbox.sql.translate.fragment import Fragment, name, natural_collation
from lpmops.sandbox.sql.translate.scope import Scope, ScopeColumn, ScopeSource
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import INTEGER_RANGE, MAX, SqlType


def affinity(kind: SqlType) -> str:
    """The SQLite type that stores a T-SQL type."""
    if kind.is_integer:
        return "INTEGER"
    if kind.name in ("float", "real"):
        return "REAL"
    return "BLOB" if kind.is_binary else "TEXT"


def create_table(catalog: Catalog, table: Table, database: str) -> list[str]:
    """The statements that make a table with its indexes."""
    pieces = [_column(column) for column in table.columns]
    pieces += [
        f"CONSTRAINT {name('547|' + check.name)} CHECK ({check_sql(catalog, table, check, database)})"
        for check in table.checks
    ]
    statements = [f"CREATE TABLE {name(table.full_name)} ({', '.join(pieces)}) STRICT"]
    for index in table.indexes:
        statements.extend(create_index(table, index))
    return statements


def _column(column: Column) -> str:
    if column.identity_seed is not None:
        return f"{name(column.name)} INTEGER PRIMARY KEY AUTOINCREMENT{_limits(column)}"
    collation = natural_collation(column.type)
    collate = f" COLLATE {collation}" if collation else ""
    return (
        f"{name(column.name)} {affinity(column.type)}{collate}{'' if column.nullable else ' NOT NULL'}{_limits(column)}"
    )


def column_sql(column: Column, default: str = "") -> str:
    """A column for ALTER TABLE ADD, with a constant for the rows that are there."""
    return _column(column) + (f" DEFAULT {default}" if default else "")


def _limits(column: Column) -> str:
    """CHECK constraints for the size of a type."""
    kind, quoted = column.type, name(column.name)
    if kind.is_integer and kind.name != "bigint":
        low, high = INTEGER_RANGE[kind.name]
        return f" CONSTRAINT {name('8115|' + column.name)} CHECK ({quoted} BETWEEN {low} AND {high})"
    if kind.length == MAX or not (kind.is_character or kind.is_binary):
        return ""
    # Bytes of UTF-8 are never fewer than units of UTF-16, so most values pass without counting.
    size = f"length(CAST({quoted} AS BLOB)) <= {kind.length}"
    if kind.is_character:
        size += f" OR ts_utf16({quoted}) <= {kind.length}"
    return f" CONSTRAINT {name('2628|' + column.name)} CHECK ({size})"


def check_sql(catalog: Catalog, table: Table, check: Check, database: str) -> str:
    """The condition of a CHECK constraint."""
    from lpmops.sandbox.sql.parser import parse_expression

    t = Translation(catalog, {}, database, table.schema)
    scope = Scope()
    columns = tuple(
        ScopeColumn(
            column.name,
            Fragment(name(column.name), column.type, column.nullable, collation=natural_collation(column.type)),
        )
        for column in table.columns
    )
    scope.add(ScopeSource(table.name, ((table.name.casefold(),),), columns))
    return expressions.condition(t, scope, parse_expression(check.text))


def _has_nullable(table: Table, index: Index) -> bool:
    return any(column.nullable for column in _columns(table, index))


def _columns(table: Table, index: Index) -> list[Column]:
    return [column for wanted, _ in index.columns if (column := table.column(wanted)) is not None]


def _terms(table: Table, index: Index, *, distinct_nulls: bool) -> list[str]:
    terms: list[str] = []
    for column, (_, descending) in zip(_columns(table, index), index.columns, strict=True):
        term = name(column.name)
        if column.nullable and not distinct_nulls:
            sentinel = "''" if column.type.is_binary else "x''"
            collation = natural_collation(column.type)
            term = f"ifnull({term}, {sentinel}){f' COLLATE {collation}' if collation else ''}"
        terms.append(term + (" DESC" if descending else ""))
    return terms


def sqlite_index(table: Table, index: Index) -> str:
    """The name of an index in SQLite, where indexes of all tables share one space."""
    return f"{table.full_name}.{index.name}"


def create_index(table: Table, index: Index) -> list[str]:
    """The statements that make an index."""
    target = name(table.full_name)
    unique = "UNIQUE " if index.unique else ""
    by_expression = index.unique and _has_nullable(table, index)
    statements = [
        f"CREATE {unique}INDEX {name(sqlite_index(table, index))} ON {target} ({', '.join(_terms(table, index, distinct_nulls=not by_expression))})"
    ]
    if by_expression:
        # The expression serves uniqueness alone; this one serves look-ups.
        plain = ", ".join(_terms(table, index, distinct_nulls=True))
        statements.append(f"CREATE INDEX {name(sqlite_index(table, index) + '|plain')} ON {target} ({plain})")
    return statements


def drop_index(table: Table, index: Index) -> list[str]:
    """The statements that take an index away."""
    label = sqlite_index(table, index)
    return [f"DROP INDEX {name(label)}", f"DROP INDEX IF EXISTS {name(label + '|plain')}"]


def conflict_target(table: Table, index: Index) -> str:
    """The columns of a unique index as ON CONFLICT names them."""
    terms = [
        term.removesuffix(" DESC") for term in _terms(table, index, distinct_nulls=not _has_nullable(table, index))
    ]
    return f"({', '.join(terms)})"


def violation(table: Table, index: Index) -> str:
    """What SQLite says when this index refuses a row."""
    if _has_nullable(table, index):
        return f"UNIQUE constraint failed: index '{sqlite_index(table, index)}'"
    return "UNIQUE constraint failed: " + ", ".join(
        f"{table.full_name}.{column.name}" for column in _columns(table, index)
    )
