"""Many rows into one table at once, as a bulk load does: checked by column, written by one statement.

Values are Python values (str, int, float, bool, datetime, date, time, Decimal, bytes, UUID, None) or their ISO texts. A batch lands whole
or not at all. Columns that are not named get their defaults, evaluated once a batch. The unique indexes with IGNORE_DUP_KEY let duplicates
pass unadded; any other refuses the batch with 2601 or 2627. Errors: 208, 207, 245, 8114, 8115, 241, 515, 547, 2628, 40544.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from lpmops.sandbox.sql import errors, moments
from lpmops.sandbox.sql.catalog import Column, Table
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.python_values import from_python, stored_of
from lpmops.sandbox.sql.translate.fragment import name
from lpmops.sandbox.sql.translate.storage import conflict_target
from lpmops.sandbox.sql.types import INTEGER_RANGE, MAX, SqlType, utf16_length

_NONE = type(None)


def chosen_columns(table: Table, names: Sequence[str]) -> list[Column]:
    """The table's columns by name. Raises SqlError 207, 264."""
    found: list[Column] = []
    for wanted in names:
        column = table.column(wanted)
        if column is None:
            raise errors.invalid_column(wanted)
        if column in found:
            raise SqlError(
                264,
                f"The column name '{wanted}' is specified more than once in the SET clause or column list of an INSERT.",
                16,
                1,
            )
        found.append(column)
    return found


def insert_sql(table: Table, columns: Sequence[Column]) -> str:
    """The INSERT with one placeholder a column."""
    names = ", ".join(name(column.name) for column in columns)
    conflict = "".join(
        f" ON CONFLICT {conflict_target(table, index)} DO NOTHING" for index in table.indexes if index.ignore_dup_key
    )
    return f"INSERT INTO {name(table.full_name)} ({names}) VALUES ({', '.join('?' * len(columns))}){conflict}"


def stored_columns(
    table: Table, columns: Sequence[Column], rows: Sequence[Sequence[Any]], database: str
) -> list[Sequence[Any]]:
    """The values, column by column, in stored form. Raises SqlError for what does not fit."""
    if not rows:
        return [[] for _ in columns]
    try:
        given = list(zip(*rows, strict=True))
    except ValueError:
        raise _uneven() from None
    if len(given) != len(columns):
        raise _uneven()
    return [_stored(table, column, values, database) for column, values in zip(columns, given, strict=True)]


def _uneven() -> SqlError:
    return SqlError(213, "Column name or number of supplied values does not match table definition.", 16, 1)


def _stored(table: Table, column: Column, values: Sequence[Any], database: str) -> Sequence[Any]:
    kind = column.type
    types = set(map(type, values))
    if not column.nullable and column.identity_seed is None and _NONE in types:
        raise errors.null_not_allowed(column.name, f"{database}.{table.full_name}", "INSERT")
    types.discard(_NONE)
    if kind.name in ("nvarchar", "nchar", "varchar", "char"):
        return _texts(table, column, values, types, database)
    fast = _fast(kind, types)
    if fast is not None:
        return fast(values)
    return [_one(value, kind) for value in values]


def _one(value: Any, kind: SqlType) -> Any:
    if isinstance(value, float) and kind.name == "bigint" and value.is_integer():
        return int(value)
    return from_python(value, kind)


def _fast(kind: SqlType, types: set[type]) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """A conversion of the whole column at once, for the common cases."""
    if kind.is_integer and kind.name != "bit" and types <= {int}:
        low, high = INTEGER_RANGE[kind.name]
        return lambda values: _ranged(values, low, high, kind)
    if kind.name == "bit" and types <= {bool}:
        return lambda values: [None if value is None else int(value) for value in values]
    if kind.name == "float" and types <= {int}:
        return lambda values: [None if value is None else float(value) for value in values]
    if kind.name == "float" and types <= {float}:
        return lambda values: [stored_of(value) for value in values]
    if kind.name == "datetime2" and types <= {datetime} and kind.scale >= 6:
        return lambda values: [None if value is None else _moment(value) for value in values]
    return None


def _ranged(values: Sequence[Any], low: int, high: int, kind: SqlType) -> Sequence[Any]:
    for value in values:
        if value is not None and not low <= value <= high:
            raise errors.overflow(kind.name)
    return values


def _moment(value: datetime) -> str:
    if value.tzinfo is not None and value.tzinfo is not UTC:
        return moments.from_datetime(value)
    return value.isoformat(" ", "microseconds")[:26] + "0"


def _texts(table: Table, column: Column, values: Sequence[Any], types: set[type], database: str) -> Sequence[Any]:
    kind = column.type
    if not types <= {str}:
        values = [from_python(value, SqlType("nvarchar", MAX, collation=kind.collation)) for value in values]
    if kind.name != "nvarchar":
        values = [None if value is None else _shaped(value, kind) for value in values]
    if kind.length != MAX:
        _check_length(table, column, values, database)
    return values


def _shaped(value: str, kind: SqlType) -> str:
    """Code page 1252 for varchar and char, blanks to the full length for char and nchar."""
    if kind.name in ("varchar", "char") and not value.isascii():
        value = value.encode("cp1252", "replace").decode("cp1252")
    return value.ljust(kind.length) if kind.name in ("char", "nchar") else value


def _check_length(table: Table, column: Column, values: Sequence[Any], database: str) -> None:
    limit = column.type.length
    for value in values:
        if value is not None and len(value) * 2 > limit and utf16_length(value) > limit:
            raise errors.truncated(f"{database}.{table.full_name}", column.name, value[:limit])
