"""CREATE and ALTER TABLE, CREATE and DROP INDEX."""

from __future__ import annotations

from dataclasses import replace

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.catalog import Catalog, Check, Column, DefaultValue, Index, Table
from lpmops.sandbox.sql.definitions.surroundings import Change, Surroundings, require, schema_of, table_of
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    AlterTable,
    ColumnDefinition,
    Constraint,
    CreateIndex,
    CreateTable,
    DropIndex,
    KeyColumn,
)
from lpmops.sandbox.sql.translate import storage, translate_value
from lpmops.sandbox.sql.translate.changes import default_of
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, name
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import MAX, SqlType, resolve


def create_table(statement: CreateTable, place: Surroundings) -> Change:
    """CREATE TABLE with its constraints and indexes. Raises SqlError 2714, 2705, 2760 and those of its parts."""
    schema, table_name = schema_of(place, statement.name)
    require(place, "CREATE TABLE", schema)
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
    from lpmops.sandbox.sql.types import check_kept

    kind = resolve(definition.type.name, definition.type.arguments, collation)
    if kind.name == "sql_variant":
        raise errors.unsupported_feature("column of type sql_variant")
    if kind.is_character:
        check_kept(kind.collation)
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


def create_index(statement: CreateIndex, place: Surroundings) -> Change:
    """CREATE INDEX. Raises SqlError 1088, 1911, 1913, 1919."""
    shown = ".".join(statement.table)
    text = f'Cannot find the object "{shown}" because it does not exist or you do not have permissions.'
    table = table_of(place, statement.table, SqlError(1088, text, 16, 12))
    changed = _with_index(table, statement)
    _check_keys(changed)
    statements = storage.create_index(changed, changed.indexes[-1])
    return Change(place.catalog.with_table(replace(changed, modified=place.now)).changed(), tuple(statements))


def drop_index(statement: DropIndex, place: Surroundings) -> Change:
    """DROP INDEX. Raises SqlError 3701, 3723."""
    shown = f"{'.'.join(statement.table)}.{statement.name}"
    missing = errors.cannot_drop("index", shown)
    try:
        table = table_of(place, statement.table, missing)
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


def alter_table(statement: AlterTable, place: Surroundings) -> Change:
    """ALTER TABLE: add, alter or drop. Raises SqlError 4901, 4902, 4922, 4924, 3728."""
    shown = ".".join(statement.table)
    text = f'Cannot find the object "{shown}" because it does not exist or you do not have permissions.'
    table = table_of(place, statement.table, SqlError(4902, text, 16, 1))
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
