"""What a DDL or security statement makes of a catalog, and what SQLite must do for it.

`define` takes a statement and a Surroundings and gives a Change: the new catalog and the SQLite statements that go with it, for the session
to run in one transaction. Checks of existence, names and rights are made here, with SQL Server's errors.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from lpmops.sandbox.sql import errors, permissions
from lpmops.sandbox.sql.catalog import Catalog, Check, Column, DefaultValue, Index, Permission, Table, User, View
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    AlterRole,
    AlterTable,
    ChangePermission,
    ColumnDefinition,
    Constraint,
    CreateIndex,
    CreatePrincipal,
    CreateSchema,
    CreateTable,
    CreateView,
    Drop,
    DropIndex,
    KeyColumn,
    Statement,
)
from lpmops.sandbox.sql.translate import storage, translate_value, view_columns
from lpmops.sandbox.sql.translate.changes import default_of
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, name
from lpmops.sandbox.sql.translate.translation import Program, Translation
from lpmops.sandbox.sql.types import MAX, SqlType, resolve

DEFINITIONS = (
    CreateTable,
    AlterTable,
    CreateIndex,
    DropIndex,
    CreateView,
    CreateSchema,
    Drop,
    CreatePrincipal,
    AlterRole,
    ChangePermission,
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a definition is made: by whom, in which database, when; `row_count` tells whether a table is empty, `evaluate` a default's value."""

    catalog: Catalog
    principal: str
    database: str
    default_schema: str
    now: str
    row_count: Callable[[Table], int]
    evaluate: Callable[[Program], str]


@dataclass(frozen=True, slots=True)
class Change:
    """A new catalog, what SQLite must run for it (in order), and the tables whose rows must be counted anew."""

    catalog: Catalog
    statements: tuple[str, ...] = ()
    recount: tuple[int, ...] = ()


def define(statement: Statement, place: Surroundings) -> Change:
    """The change a statement makes. Raises SqlError."""
    match statement:
        case CreateTable():
            return _create_table(statement, place)
        case AlterTable():
            return _alter_table(statement, place)
        case CreateIndex():
            return _create_index(statement, place)
        case DropIndex():
            return _drop_index(statement, place)
        case CreateView():
            return _create_view(statement, place)
        case CreateSchema():
            return _create_schema(statement, place)
        case Drop():
            return _drop(statement, place)
        case CreatePrincipal():
            return _create_principal(statement, place)
        case AlterRole():
            return _alter_role(statement, place)
        case ChangePermission():
            return _change_permission(statement, place)
    raise SqlError(8624, f"Internal Query Processor Error: no definition for {type(statement).__name__}.", 16, 1)


# --- names and rights ---------------------------------------------------------------------------------------------------------------------------


def _schema_of(place: Surroundings, parts: tuple[str, ...]) -> tuple[str, str]:
    """(schema in its own spelling, object name). Raises SqlError 2760 for a schema that is not there."""
    translation = Translation(place.catalog, {}, place.database, place.default_schema)
    if len(parts) == 1 or not parts[-2]:
        return place.default_schema, parts[-1]
    wanted, found_name = translation.find(parts)
    schema = place.catalog.schema(wanted)
    if schema is None or schema in ("sys", "INFORMATION_SCHEMA"):
        text = f'The specified schema name "{wanted}" either does not exist or you do not have permission to use it.'
        raise SqlError(2760, text, 16, 1)
    return schema, found_name


def _table(place: Surroundings, parts: tuple[str, ...], missing: SqlError) -> Table:
    schema, found_name = Translation(place.catalog, {}, place.database, place.default_schema).find(parts)
    found = place.catalog.find(schema, found_name)
    if not isinstance(found, Table) or not permissions.allowed(place.catalog, place.principal, "ALTER", found):
        raise missing
    return found


def _require(place: Surroundings, permission: str, schema: str | None = None) -> None:
    """Database permission, and ALTER on the schema where one is given."""
    if not permissions.allowed(place.catalog, place.principal, permission):
        raise errors.database_permission_denied(permission, place.database)
    if schema is not None and not permissions.allowed(place.catalog, place.principal, "ALTER", schema=schema):
        text = f'The specified schema name "{schema}" either does not exist or you do not have permission to use it.'
        raise SqlError(2760, text, 16, 1)


# --- tables -------------------------------------------------------------------------------------------------------------------------------------


def _create_table(statement: CreateTable, place: Surroundings) -> Change:
    schema, table_name = _schema_of(place, statement.name)
    _require(place, "CREATE TABLE", schema)
    catalog = place.catalog
    if catalog.named(schema, table_name) is not None:
        raise errors.already_exists(table_name)
    if not statement.columns:
        raise errors.syntax(")")
    number, catalog = catalog.take_id()
    table = Table(number, schema, table_name, (), created=place.now, modified=place.now)
    for definition in statement.columns:
        table, catalog = _with_column(catalog, table, definition, place)
    constraints = [
        constraint
        for definition in statement.columns
        for constraint in definition.constraints
        if constraint.kind != "DEFAULT"
    ]
    for constraint in (*constraints, *statement.constraints):
        table, catalog = _with_constraint(catalog, table, constraint, place)
    for index in statement.indexes:
        table = _with_index(table, index)
    _check_keys(table)
    statements = storage.create_table(catalog, table, place.database)
    identity = table.identity
    if identity is not None and identity.identity_seed != 1:
        statements.append(
            f"INSERT INTO sqlite_sequence (name, seq) VALUES ({_quoted(table.full_name)}, {(identity.identity_seed or 0) - 1})"
        )
    return Change(catalog.with_table(table).changed(), tuple(statements))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _with_column(
    catalog: Catalog, table: Table, definition: ColumnDefinition, place: Surroundings
) -> tuple[Table, Catalog]:
    if table.column(definition.name) is not None:
        text = f"Column names in each table must be unique. Column name '{definition.name}' in table '{table.full_name}' is specified more than once."
        raise SqlError(2705, text, 16, 3)
    collation = definition.collation or catalog.collation
    kind = _resolved(definition, collation)
    keyed = any(constraint.kind == "PRIMARY KEY" for constraint in definition.constraints)
    if keyed and definition.nullable:
        raise SqlError(8147, f"Could not create PRIMARY KEY on nullable column in table '{table.name}'.", 16, 1)
    nullable = not keyed and definition.identity is None if definition.nullable is None else definition.nullable
    if definition.identity is not None:
        if not kind.is_integer or kind.name == "bit" or definition.nullable:
            text = (
                f"Identity column '{definition.name}' must be of data type int, bigint, smallint, tinyint, or decimal "
                "or numeric with a scale of 0, unencrypted, and constrained to be nonnullable."
            )
            raise SqlError(2749, text, 16, 2)
        if table.identity is not None:
            text = f"Multiple identity columns specified for table '{table.name}'. Only one identity column per table is allowed."
            raise SqlError(2744, text, 16, 2)
    number = max((column.column_id for column in table.columns), default=0) + 1
    seed = definition.identity[0] if definition.identity else None
    column = Column(number, definition.name, kind, nullable, None, seed)
    default = next((constraint for constraint in definition.constraints if constraint.kind == "DEFAULT"), None)
    if default is not None:
        if seed is not None:
            raise SqlError(1754, "Defaults cannot be created on columns with an IDENTITY attribute.", 16, 0)
        value, catalog = _default(catalog, table, column, default, place)
        column = replace(column, default=value)
    return replace(table, columns=(*table.columns, column)), catalog


def _resolved(definition: ColumnDefinition, collation: str) -> SqlType:
    from lpmops.sandbox.sql.types import is_case_sensitive

    kind = resolve(definition.type.name, definition.type.arguments, collation)
    if kind.name == "sql_variant":
        raise errors.unsupported_feature("column of type sql_variant")
    if kind.is_character:
        is_case_sensitive(kind.collation)
    elif definition.collation:
        raise SqlError(452, "COLLATE clause cannot be used on user-defined data types.", 16, 1)
    return kind


def _default(
    catalog: Catalog, table: Table, column: Column, constraint: Constraint, place: Surroundings
) -> tuple[DefaultValue, Catalog]:
    number, catalog = catalog.take_id()
    label = constraint.name or f"DF__{table.name[:9]}__{column.name[:5]}__{number:08X}"
    _check_free(catalog, table, label)
    value = DefaultValue(number, label, constraint.text, constraint.name is None)
    # A default that cannot be computed or converted is refused now, not at the first row.
    default_of(Translation(catalog, {}, place.database, table.schema), replace(column, default=value))
    return value, catalog


def _check_free(catalog: Catalog, table: Table, label: str) -> None:
    own = {check.name.casefold() for check in table.checks} | {
        index.name.casefold() for index in table.indexes if index.object_id
    }
    own |= {column.default.name.casefold() for column in table.columns if column.default}
    if label.casefold() in own or catalog.named(table.schema, label) is not None:
        raise errors.already_exists(label)


def _with_constraint(
    catalog: Catalog, table: Table, constraint: Constraint, place: Surroundings
) -> tuple[Table, Catalog]:
    number, catalog = catalog.take_id()
    if constraint.kind == "CHECK":
        label = constraint.name or f"CK__{table.name[:9]}__{(constraint.column or '')[:5]}__{number:08X}"
        _check_free(catalog, table, label)
        check = Check(number, label, constraint.text, constraint.column, constraint.name is None)
        storage.check_sql(catalog, table, check, place.database)
        return replace(table, checks=(*table.checks, check)), catalog
    if constraint.kind == "DEFAULT":
        column = table.column(constraint.column or "")
        if column is None:
            text = f"Column '{constraint.column}' in table '{table.full_name}' is invalid for creating a default constraint."
            raise SqlError(1752, text, 16, 1)
        if column.default is not None:
            raise SqlError(1781, "Column already has a DEFAULT bound to it.", 16, 1)
        value, catalog = _default(catalog, table, column, constraint, place)
        columns = tuple(replace(found, default=value) if found is column else found for found in table.columns)
        return replace(table, columns=columns), catalog
    primary = constraint.kind == "PRIMARY KEY"
    label = constraint.name or f"{'PK' if primary else 'UQ'}__{table.name[:9]}__{number:016X}"
    _check_free(catalog, table, label)
    if primary:
        table = _primary_columns(table, constraint.columns)
    has_clustered = any(index.clustered for index in table.indexes)
    clustered = constraint.clustered if constraint.clustered is not None else primary and not has_clustered
    index = CreateIndex(label, (), constraint.columns, (), True, constraint.ignore_dup_key, clustered)
    return _with_index(table, index, constraint.kind, number, system_named=constraint.name is None), catalog


def _primary_columns(table: Table, keys: tuple[KeyColumn, ...]) -> Table:
    if any(index.constraint == "PRIMARY KEY" for index in table.indexes):
        raise SqlError(1779, f"Table '{table.name}' already has a primary key defined on it.", 16, 0)
    wanted = {key.name.casefold() for key in keys}
    for column in table.columns:
        if column.name.casefold() in wanted and column.nullable:
            raise SqlError(
                8111, f"Cannot define PRIMARY KEY constraint on nullable column in table '{table.name}'.", 16, 1
            )
    return table


def _with_index(
    table: Table, statement: CreateIndex, constraint: str = "", object_id: int = 0, *, system_named: bool = False
) -> Table:
    if any(index.name.casefold() == statement.name.casefold() for index in table.indexes):
        text = f"The operation failed because an index or statistics with name '{statement.name}' already exists on table '{table.full_name}'."
        raise SqlError(1913, text, 16, 1)
    if statement.clustered and any(index.clustered for index in table.indexes):
        existing = next(index.name for index in table.indexes if index.clustered)
        text = (
            f"Cannot create more than one clustered index on table '{table.full_name}'. Drop the existing "
            f"clustered index '{existing}' before creating another."
        )
        raise SqlError(1902, text, 16, 3)
    columns: list[tuple[str, bool]] = []
    for key in statement.columns:
        column = table.column(key.name)
        if column is None:
            raise SqlError(1911, f"Column name '{key.name}' does not exist in the target table or view.", 16, 1)
        if column.type.length == MAX:
            text = f"Column '{column.name}' in table '{table.full_name}' is of a type that is invalid for use as a key column in an index."
            raise SqlError(1919, text, 16, 1)
        if any(column.name == found for found, _ in columns):
            raise SqlError(
                1909,
                f"Cannot use duplicate column names in index. Column name '{column.name}' listed more than once.",
                16,
                1,
            )
        columns.append((column.name, key.descending))
    for wanted in statement.included:
        if table.column(wanted) is None:
            raise SqlError(1911, f"Column name '{wanted}' does not exist in the target table or view.", 16, 1)
    number = (
        1
        if statement.clustered
        else max((index.index_id for index in table.indexes if index.index_id > 1), default=1) + 1
    )
    index = Index(number, statement.name, tuple(columns), statement.included, statement.unique, statement.ignore_dup_key, statement.clustered,
                  constraint, object_id, system_named)  # fmt: skip
    return replace(table, indexes=(*table.indexes, index))


def _check_keys(table: Table) -> None:
    """The widest key SQL Server stores is 1,700 bytes, 900 in a clustered index; it warns, and fails on rows: here 1,700 is refused at once."""
    for index in table.indexes:
        size = sum(
            column.type.max_length() for wanted, _ in index.columns if (column := table.column(wanted)) is not None
        )
        if len(index.columns) > 32:
            raise SqlError(
                1904,
                (
                    f"The index '{index.name}' on table '{table.full_name}' has {len(index.columns)} columns in the key "
                    "list. The maximum limit for index key column list is 32."
                ),
                16,
                1,
            )
        if size > 8000:
            raise errors.unsupported_feature(f"index key of {size} bytes")


def _create_index(statement: CreateIndex, place: Surroundings) -> Change:
    shown = ".".join(statement.table)
    text = f'Cannot find the object "{shown}" because it does not exist or you do not have permissions.'
    table = _table(place, statement.table, SqlError(1088, text, 16, 12))
    changed = _with_index(table, statement)
    _check_keys(changed)
    statements = storage.create_index(changed, changed.indexes[-1])
    return Change(place.catalog.with_table(replace(changed, modified=place.now)).changed(), tuple(statements))


def _drop_index(statement: DropIndex, place: Surroundings) -> Change:
    shown = f"{'.'.join(statement.table)}.{statement.name}"
    missing = errors.cannot_drop("index", shown)
    try:
        table = _table(place, statement.table, missing)
        index = next((found for found in table.indexes if found.name.casefold() == statement.name.casefold()), None)
        if index is None:
            raise missing
    except SqlError:
        if statement.if_exists:
            return Change(place.catalog)
        raise
    if index.constraint:
        text = (
            f"An explicit DROP INDEX is not allowed on index '{table.full_name}.{index.name}'. It is being used "
            f"for {index.constraint} constraint enforcement."
        )
        raise SqlError(3723, text, 16, 4)
    changed = replace(table, indexes=tuple(found for found in table.indexes if found is not index), modified=place.now)
    return Change(place.catalog.with_table(changed).changed(), tuple(storage.drop_index(table, index)))


def _alter_table(statement: AlterTable, place: Surroundings) -> Change:
    shown = ".".join(statement.table)
    text = f'Cannot find the object "{shown}" because it does not exist or you do not have permissions.'
    table = _table(place, statement.table, SqlError(4902, text, 16, 1))
    catalog = place.catalog
    if statement.add_columns or statement.add_constraints:
        return _add(statement, table, catalog, place)
    if statement.alter_column is not None:
        return _alter_column(statement.alter_column, table, catalog, place)
    changed = table
    for wanted in statement.drop_columns:
        changed = _without_column(changed, wanted, statement.if_exists)
    for wanted in statement.drop_constraints:
        changed = _without_constraint(changed, wanted, statement.if_exists)
    if changed is table:
        return Change(catalog)
    changed = replace(changed, modified=place.now)
    kept = [(column, name(column.name)) for column in changed.columns]
    return Change(catalog.with_table(changed).changed(), tuple(_rebuild(catalog, table, changed, kept, place)))


def _add(statement: AlterTable, table: Table, catalog: Catalog, place: Surroundings) -> Change:
    changed = table
    fills: list[tuple[Column, str]] = [(column, name(column.name)) for column in table.columns]
    for definition in statement.add_columns:
        changed, catalog = _with_column(catalog, changed, definition, place)
        column = changed.columns[-1]
        fills.append((column, _fill(definition, column, table, place)))
        for constraint in definition.constraints:
            if constraint.kind != "DEFAULT":
                changed, catalog = _with_constraint(catalog, changed, constraint, place)
    for constraint in statement.add_constraints:
        changed, catalog = _with_constraint(catalog, changed, constraint, place)
    _check_keys(changed)
    changed = replace(changed, modified=place.now)
    simple = (
        changed.checks == table.checks
        and changed.indexes == table.indexes
        and all(
            column.identity_seed is None and ((column.nullable and fill == "NULL") or fill != "NULL")
            for column, fill in fills[len(table.columns) :]
        )
    )
    if simple:
        statements = [
            f"ALTER TABLE {name(table.full_name)} ADD COLUMN {storage.column_sql(column, fill if fill != 'NULL' else '')}"
            for column, fill in fills[len(table.columns) :]
        ]
    else:
        statements = _rebuild(catalog, table, changed, fills, place)
    return Change(catalog.with_table(changed).changed(), tuple(statements))


def _fill(definition: ColumnDefinition, column: Column, table: Table, place: Surroundings) -> str:
    """What existing rows get in a new column. Raises SqlError 4901."""
    default = next((constraint for constraint in definition.constraints if constraint.kind == "DEFAULT"), None)
    if default is not None and default.expression is not None and (not column.nullable or default.with_values):
        program = translate_value(
            default.expression, column.type, place.catalog, {}, place.database, place.default_schema
        )
        return place.evaluate(program)
    if not column.nullable and column.identity_seed is None and place.row_count(table):
        text = (
            "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, "
            "or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions "
            "are satisfied the table must be empty to allow addition of this column. "
            f"Column '{column.name}' cannot be added to non-empty table '{table.name}' because it does not satisfy these conditions."
        )
        raise SqlError(4901, text, 16, 1)
    return "NULL"


def _rebuild(
    catalog: Catalog, old: Table, new: Table, fills: list[tuple[Column, str]], place: Surroundings
) -> list[str]:
    """Make the table anew under its name, with its rows: SQLite changes no column or constraint in place."""
    passing = f"{old.full_name}|old"
    statements = [statement for index in old.indexes for statement in storage.drop_index(old, index)]
    statements.append(f"ALTER TABLE {name(old.full_name)} RENAME TO {name(passing)}")
    make, *indexes = storage.create_table(catalog, new, place.database)
    columns = [(column, fill) for column, fill in fills if not (column.identity_seed is not None and fill == "NULL")]
    targets = ", ".join(name(column.name) for column, _ in columns)
    values = ", ".join(fill for _, fill in columns)
    statements.append(make)
    statements.append(f"INSERT INTO {name(new.full_name)} ({targets}) SELECT {values} FROM {name(passing)}")
    statements.append(f"DROP TABLE {name(passing)}")
    return [*statements, *indexes]


def _alter_column(definition: ColumnDefinition, table: Table, catalog: Catalog, place: Surroundings) -> Change:
    column = table.column(definition.name)
    if column is None:
        raise SqlError(
            4924,
            f"ALTER TABLE ALTER COLUMN failed because column '{definition.name}' does not exist in table '{table.name}'.",
            16,
            1,
        )
    if definition.constraints or definition.identity:
        raise errors.keyword((definition.constraints[0].kind if definition.constraints else "IDENTITY").split()[0])
    if column.identity_seed is not None:
        raise errors.unsupported_feature("ALTER COLUMN of an identity column")
    kind = _resolved(definition, definition.collation or (column.type.collation or catalog.collation))
    changed_column = replace(column, type=kind, nullable=True if definition.nullable is None else definition.nullable)
    keyed = any(column.name == wanted for index in table.indexes for wanted, _ in index.columns)
    if keyed and (kind != column.type and not (kind.name == column.type.name and kind.length >= column.type.length)):
        text = f"The index or constraint on column '{column.name}' is dependent on column '{column.name}'."
        raise SqlError(5074, text, 16, 1)
    changed = replace(
        table,
        columns=tuple(changed_column if found is column else found for found in table.columns),
        modified=place.now,
    )
    translation = Translation(catalog, {}, place.database, table.schema)
    converted = coerce(translation, Fragment(name(column.name), column.type), kind).sql
    fills = [(found, converted if found is changed_column else name(found.name)) for found in changed.columns]
    return Change(catalog.with_table(changed).changed(), tuple(_rebuild(catalog, table, changed, fills, place)))


def _without_column(table: Table, wanted: str, if_exists: bool) -> Table:
    column = table.column(wanted)
    if column is None:
        if if_exists:
            return table
        raise SqlError(
            4924,
            f"ALTER TABLE DROP COLUMN failed because column '{wanted}' does not exist in table '{table.name}'.",
            16,
            1,
        )
    using = [
        index.name
        for index in table.indexes
        if column.name in (*(found for found, _ in index.columns), *index.included)
    ]
    using += [column.default.name] if column.default else []
    using += [check.name for check in table.checks if check.column == column.name]
    if using:
        text = f"ALTER TABLE DROP COLUMN {column.name} failed because one or more objects access this column."
        raise SqlError(4922, text, 16, 9)
    return replace(table, columns=tuple(found for found in table.columns if found is not column))


def _without_constraint(table: Table, wanted: str, if_exists: bool) -> Table:
    key = wanted.casefold()
    if any(check.name.casefold() == key for check in table.checks):
        return replace(table, checks=tuple(check for check in table.checks if check.name.casefold() != key))
    if any(index.object_id and index.name.casefold() == key for index in table.indexes):
        return replace(table, indexes=tuple(index for index in table.indexes if index.name.casefold() != key))
    if any(column.default and column.default.name.casefold() == key for column in table.columns):
        columns = tuple(
            replace(c, default=None) if c.default and c.default.name.casefold() == key else c for c in table.columns
        )
        return replace(table, columns=columns)
    if if_exists:
        return table
    raise SqlError(3728, f"'{wanted}' is not a constraint.", 16, 1)


# --- views, schemas, drops ----------------------------------------------------------------------------------------------------------------------


def _create_view(statement: CreateView, place: Surroundings) -> Change:
    schema, view_name = _schema_of(place, statement.name)
    existing = place.catalog.find(schema, view_name)
    catalog = place.catalog
    if existing is None:
        if not statement.create:
            raise SqlError(208, f"Invalid object name '{'.'.join(statement.name)}'.", 16, 6)
        _require(place, "CREATE VIEW", schema)
        if catalog.named(schema, view_name) is not None:
            raise errors.already_exists(view_name)
        number, catalog = catalog.take_id()
        created = place.now
    else:
        if not statement.alter or isinstance(existing, Table):
            raise errors.already_exists(view_name)
        if not permissions.allowed(catalog, place.principal, "ALTER", existing):
            raise errors.cannot_find("object", view_name)
        number, created = existing.object_id, existing.created
    columns = view_columns(statement.query, statement.columns, view_name, catalog, place.database, schema)
    shown = tuple(
        Column(position, column.name, column.type, column.nullable) for position, column in enumerate(columns, 1)
    )
    text = statement.text
    return Change(catalog.with_view(View(number, schema, view_name, text, shown, created, place.now)).changed())


def _create_schema(statement: CreateSchema, place: Surroundings) -> Change:
    if not permissions.allowed(place.catalog, place.principal, "CREATE SCHEMA"):
        raise errors.database_permission_denied("CREATE SCHEMA", place.database)
    if place.catalog.schema(statement.name) is not None:
        raise errors.already_exists(statement.name)
    owner = "dbo" if permissions.is_owner(place.catalog, place.principal) else place.principal
    if statement.owner is not None:
        found = place.catalog.user(statement.owner)
        if found is None:
            raise errors.cannot_find("user", statement.owner)
        owner = found.name
    number = place.catalog.next_schema_id
    catalog = replace(
        place.catalog, schemas=(*place.catalog.schemas, (number, statement.name, owner)), next_schema_id=number + 1
    )
    return Change(catalog.changed())


def _drop(statement: Drop, place: Surroundings) -> Change:
    change = Change(place.catalog)
    for parts in statement.names:
        here = replace(place, catalog=change.catalog)
        one = {"TABLE": _drop_object, "VIEW": _drop_object, "SCHEMA": _drop_schema}.get(
            statement.kind, _drop_principal
        )(statement, parts, here)
        change = Change(one.catalog, (*change.statements, *one.statements), (*change.recount, *one.recount))
    return change


def _drop_object(statement: Drop, parts: tuple[str, ...], place: Surroundings) -> Change:
    kind = statement.kind.lower()
    shown = ".".join(part for part in parts if part)
    schema, wanted = Translation(place.catalog, {}, place.database, place.default_schema).find(parts)
    found = place.catalog.find(schema, wanted)
    if found is None or not permissions.allowed(place.catalog, place.principal, "ALTER", found):
        if statement.if_exists and found is None:
            return Change(place.catalog)
        raise errors.cannot_drop(kind, shown)
    if isinstance(found, Table) != (statement.kind == "TABLE"):
        text = (
            f"Cannot use DROP {statement.kind} with '{shown}' because '{shown}' is a {'table' if isinstance(found, Table) else 'view'}. "
            f"Use DROP {'TABLE' if isinstance(found, Table) else 'VIEW'}."
        )
        raise SqlError(3705, text, 16, 1)
    statements = (f"DROP TABLE {name(found.full_name)}",) if isinstance(found, Table) else ()
    return Change(place.catalog.without_object(found.object_id).changed(), statements, (found.object_id,))


def _drop_schema(statement: Drop, parts: tuple[str, ...], place: Surroundings) -> Change:
    schema = place.catalog.schema(parts[-1])
    if schema is None:
        if statement.if_exists:
            return Change(place.catalog)
        raise errors.cannot_find("schema", parts[-1])
    if schema in ("dbo", "sys", "guest", "INFORMATION_SCHEMA") or not permissions.allowed(
        place.catalog, place.principal, "ALTER", schema=schema
    ):
        raise errors.cannot_find("schema", schema)
    inside = next((found.name for found in place.catalog.objects if found.schema == schema), None)
    if inside is not None:
        raise SqlError(
            3729, f"Cannot drop schema '{schema}' because it is being referenced by object '{inside}'.", 16, 1
        )
    kept = tuple(entry for entry in place.catalog.schemas if entry[1] != schema)
    held = tuple(entry for entry in place.catalog.permissions if (entry.scope, entry.major) != ("SCHEMA", schema))
    return Change(replace(place.catalog, schemas=kept, permissions=held).changed())


# --- principals and permissions -----------------------------------------------------------------------------------------------------------------


def password_hash(password: str, salt: bytes | None = None) -> str:
    """A contained user's password, salted and hashed."""
    salt = os.urandom(16) if salt is None else salt
    return salt.hex() + ":" + hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 10_000).hex()


def _create_principal(statement: CreatePrincipal, place: Surroundings) -> Change:
    right = "CREATE ROLE" if statement.kind == "ROLE" else "ALTER ANY USER"
    if not permissions.allowed(place.catalog, place.principal, right):
        raise errors.not_allowed()
    if place.catalog.user(statement.name) is not None:
        text = f"User, group, or role '{statement.name}' already exists in the current database."
        raise SqlError(15023, text, 16, 1)
    number = place.catalog.next_principal_id
    kind = {"ROLE": "R", "EXTERNAL": "E", "SQL": "S"}[statement.kind]
    hashed = password_hash(statement.password) if statement.password is not None else None
    default_schema = None if kind == "R" else statement.default_schema or "dbo"
    user = User(number, statement.name, kind, default_schema, hashed, place.now)
    catalog = replace(place.catalog, users=(*place.catalog.users, user), next_principal_id=number + 1)
    if kind != "R":
        catalog = replace(
            catalog, permissions=(*catalog.permissions, Permission("DATABASE", "", user.name, "CONNECT", "G"))
        )
    return Change(catalog.changed())


def _drop_principal(statement: Drop, parts: tuple[str, ...], place: Surroundings) -> Change:
    found = place.catalog.user(parts[-1])
    wants_role = statement.kind == "ROLE"
    if found is None or (found.kind == "R") != wants_role:
        if statement.if_exists:
            return Change(place.catalog)
        raise errors.cannot_find(statement.kind.lower(), parts[-1])
    if not permissions.allowed(place.catalog, place.principal, "ALTER ANY ROLE" if wants_role else "ALTER ANY USER"):
        raise errors.not_allowed()
    if found.principal_id < 5 or found.principal_id >= 16384:
        raise SqlError(15150, f"Cannot drop the {statement.kind.lower()} '{found.name}'.", 16, 1)
    if any(owner == found.name for _, _, owner in place.catalog.schemas):
        raise SqlError(15138, "The database principal owns a schema in the database, and cannot be dropped.", 16, 1)
    if wants_role and any(role == found.name for role, _ in place.catalog.members):
        raise SqlError(15144, "The role has members. It must be empty before it can be dropped.", 16, 1)
    catalog = replace(
        place.catalog,
        users=tuple(user for user in place.catalog.users if user is not found),
        members=tuple(pair for pair in place.catalog.members if found.name not in pair),
        permissions=tuple(held for held in place.catalog.permissions if held.grantee != found.name),
    )
    return Change(catalog.changed())


def _alter_role(statement: AlterRole, place: Surroundings) -> Change:
    role, member = place.catalog.user(statement.role), place.catalog.user(statement.member)
    if role is None or role.kind != "R" or not permissions.allowed(place.catalog, place.principal, "ALTER ANY ROLE"):
        raise errors.cannot_find("role", statement.role)
    fixed = role.principal_id >= 16384
    if fixed and not permissions.is_owner(place.catalog, place.principal):
        raise errors.cannot_find("role", statement.role)
    if (
        member is None
        or member.name in ("public", "dbo", "sys", "INFORMATION_SCHEMA", "guest")
        or role.name == "public"
    ):
        raise errors.cannot_find("principal", statement.member)
    if statement.add and (member.name == role.name or member.name in place.catalog.roles_of(role.name)):
        raise SqlError(15413, "Cannot make a role a member of itself.", 11, 1)
    members = tuple(pair for pair in place.catalog.members if pair != (role.name, member.name))
    if statement.add:
        members = (*members, (role.name, member.name))
    return Change(replace(place.catalog, members=members).changed())


def _change_permission(statement: ChangePermission, place: Surroundings) -> Change:
    scope, major, known = _securable(statement, place)
    wanted: list[str] = []
    for permission in statement.permissions:
        if permission == "ALL":
            raise errors.unsupported_option("ALL")
        if permission not in known:
            if permission in permissions.DATABASE_PERMISSIONS:
                text = f"Granted or revoked privilege {permission} is not compatible with object."
                raise SqlError(4606, text, 16, 1)
            raise errors.syntax(permission)
        wanted.append(permission)
    catalog = place.catalog
    for grantee in statement.principals:
        user = catalog.user(grantee)
        if user is None:
            raise errors.cannot_find("user", grantee)
        if user.name in ("dbo", "sys", "INFORMATION_SCHEMA") or user.principal_id >= 16384:
            text = "Cannot grant, deny, or revoke permissions to sa, dbo, entity owner, information_schema, sys, or yourself."
            raise SqlError(4604 if user.principal_id >= 16384 else 15330, text, 16, 1)
        kept = tuple(
            held for held in catalog.permissions
            if not (held.grantee == user.name and (held.scope, held.major) == (scope, major) and held.permission in wanted)
        )  # fmt: skip
        if statement.verb != "REVOKE":
            state = "D" if statement.verb == "DENY" else "W" if statement.with_grant else "G"
            kept = (*kept, *(Permission(scope, major, user.name, permission, state) for permission in wanted))
        catalog = replace(catalog, permissions=kept)
    return Change(catalog.changed())


def _securable(statement: ChangePermission, place: Surroundings) -> tuple[str, str, tuple[str, ...]]:
    """(scope, major id, permissions it may carry), after the caller's right to give them is checked."""
    catalog = place.catalog
    if statement.scope == "DATABASE":
        if statement.securable and statement.securable[-1].casefold() != place.database.casefold():
            raise errors.cannot_find("database", statement.securable[-1])
        if not permissions.allowed(catalog, place.principal, "CONTROL"):
            raise SqlError(4613, "Grantor does not have GRANT permission.", 16, 1)
        return "DATABASE", "", permissions.DATABASE_PERMISSIONS
    if statement.scope == "SCHEMA":
        schema = catalog.schema(statement.securable[-1])
        if schema is None or not permissions.allowed(catalog, place.principal, "CONTROL", schema=schema):
            raise errors.cannot_find("schema", statement.securable[-1])
        return "SCHEMA", schema, permissions.SCHEMA_PERMISSIONS
    wanted_schema, wanted = Translation(catalog, {}, place.database, place.default_schema).find(statement.securable)
    found = catalog.find(wanted_schema, wanted)
    if found is None or not permissions.allowed(catalog, place.principal, "CONTROL", found):
        raise errors.cannot_find("object", ".".join(statement.securable))
    return "OBJECT", str(found.object_id), permissions.OBJECT_PERMISSIONS
