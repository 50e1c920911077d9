"""INSERT, UPDATE, DELETE and TRUNCATE into SQLite text.

IGNORE_DUP_KEY becomes ON CONFLICT DO NOTHING for exactly the indexes that have it; OUTPUT becomes RETURNING. Changes with FROM or TOP go
through SQLite's row ids, which holds for any kind of join. What SQLite cannot tell (the old values of an UPDATE) is refused by name.
"""

from __future__ import annotations

from dataclasses import replace

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.catalog import Column, Table
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    Assignment,
    Delete,
    Expression,
    Insert,
    Join,
    SelectItem,
    Source,
    TableName,
    Truncate,
    Update,
)
from lpmops.sandbox.sql.translate import expressions, queries, sources
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, name
from lpmops.sandbox.sql.translate.scope import Scope, ScopeSource
from lpmops.sandbox.sql.translate.storage import conflict_target
from lpmops.sandbox.sql.translate.translation import OutputColumn, Program, Translation


def default_of(t: Translation, column: Column) -> Fragment:
    """The value a column gets where a statement gives none."""
    from lpmops.sandbox.sql.parser import parse_expression

    if column.default is None:
        return Fragment("NULL", column.type)
    return coerce(t, expressions.value(t, Scope(), parse_expression(column.default.text)), column.type)


def insert(t: Translation, node: Insert, identity_insert: int = 0) -> Program:
    """INSERT. `identity_insert` is the object id of the table that SET IDENTITY_INSERT names."""
    table = t.table(node.table.parts)
    t.need("INSERT", table)
    columns = _insert_columns(table, node, identity_insert)
    missing = [column for column in table.columns if column not in columns and column.default is not None]
    if node.query is not None:
        body = _insert_query(t, node, columns, missing)
    else:
        body = _insert_rows(t, node, columns, missing)
    ignoring = [index for index in table.indexes if index.ignore_dup_key]
    conflict = "".join(f" ON CONFLICT {conflict_target(table, index)} DO NOTHING" for index in ignoring)
    returning, output = _output(t, table, node.output, "inserted")
    named = [*columns, *missing]
    if not named:
        body, names = ("DEFAULT VALUES", "")
        if conflict:
            # SQLite takes no conflict clause after DEFAULT VALUES; naming one column says the same.
            body, names = "VALUES (NULL)", f"({name(table.columns[0].name)}) "
    else:
        names = f"({', '.join(name(column.name) for column in named)}) "
    sql = f"INSERT INTO {name(table.full_name)} {names}{body}{conflict}{returning}"
    return Program(
        "INSERT", sql, t.finished(), output, tuple(t.needs), tuple(t.rights), table.object_id, ignores_duplicates=bool(ignoring),
        identity=table.identity is not None,
    )  # fmt: skip


def _insert_columns(table: Table, node: Insert, identity_insert: int) -> list[Column]:
    identity = table.identity
    if not node.columns:
        return [] if node.defaults else [column for column in table.columns if column is not identity]
    found: list[Column] = []
    for wanted in node.columns:
        column = table.column(wanted)
        if column is None:
            raise errors.invalid_column(wanted)
        if column in found:
            text = f"The column name '{column.name}' is specified more than once in the SET clause or column list of an INSERT."
            raise SqlError(264, text, 16, 1)
        found.append(column)
    if identity in found and identity_insert != table.object_id:
        text = f"Cannot insert explicit value for identity column in table '{table.name}' when IDENTITY_INSERT is set to OFF."
        raise SqlError(544, text, 16, 1)
    return found


def _insert_rows(t: Translation, node: Insert, columns: list[Column], missing: list[Column]) -> str:
    if node.defaults:
        return f"VALUES ({', '.join(default_of(t, column).sql for column in missing)})"
    rows: list[str] = []
    for row in node.rows:
        _check_count(len(row), len(columns), bool(node.columns))
        values = [_assigned(t, Scope(), item, column) for item, column in zip(row, columns, strict=True)]
        values += [default_of(t, column).sql for column in missing]
        rows.append(f"({', '.join(values)})")
    return f"VALUES {', '.join(rows)}"


def _assigned(t: Translation, scope: Scope, item: Expression | None, column: Column) -> str:
    if item is None:
        return default_of(t, column).sql
    return coerce(t, expressions.value(t, scope, item), column.type).sql


def _check_count(given: int, wanted: int, listed: bool) -> None:
    if given == wanted:
        return
    if not listed:
        raise SqlError(213, "Column name or number of supplied values does not match table definition.", 16, 1)
    number, word = (109, "more columns in the INSERT statement than values specified in the VALUES clause") if given < wanted else (
        110, "fewer columns in the INSERT statement than values specified in the VALUES clause")  # fmt: skip
    text = f"There are {word}. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement."
    raise SqlError(number, text, 15, 1)


def _insert_query(t: Translation, node: Insert, columns: list[Column], missing: list[Column]) -> str:
    assert node.query is not None
    whole = replace(node.query, commons=node.commons or node.query.commons)
    inner = queries.query(t, whole, None, nested="source")
    if len(inner.columns) != len(columns):
        if node.columns:
            number, word = (120, "fewer") if len(inner.columns) < len(columns) else (121, "more")
            text = (
                f"The select list for the INSERT statement contains {word} items than the insert list. "
                "The number of SELECT values must match the number of INSERT columns."
            )
            raise SqlError(number, text, 15, 1)
        _check_count(len(inner.columns), len(columns), listed=False)
    own = t.alias()
    values = [
        coerce(t, Fragment(f"{own}.c{place}", item.fragment.type, item.fragment.nullable), column.type).sql
        for place, (item, column) in enumerate(zip(inner.columns, columns, strict=True), 1)
    ]
    values += [default_of(t, column).sql for column in missing]
    # WHERE 1 keeps SQLite from reading ON CONFLICT as a join's ON.
    return f"SELECT {', '.join(values)} FROM ({inner.sql}) AS {own} WHERE 1"


def _output(
    t: Translation, table: Table, items: tuple[SelectItem, ...], prefix: str
) -> tuple[str, tuple[OutputColumn, ...]]:
    """RETURNING for an OUTPUT clause; `prefix` is the pseudo-table that SQLite can give."""
    if not items:
        return "", ()
    scope = Scope()
    plain = sources.table_source(table, "", prefix, TableName((table.name,), prefix))
    scope.add(ScopeSource(prefix, ((prefix,),), plain.columns))
    for item in items:
        _refuse_other(item, "deleted" if prefix == "inserted" else "inserted")
    found = queries.select_items(t, scope, items)
    columns = tuple(OutputColumn(item.name, item.fragment.known_type, item.fragment.nullable) for item in found)
    return " RETURNING " + ", ".join(item.fragment.sql for item in found), columns


def _refuse_other(item: SelectItem, other: str) -> None:
    from lpmops.sandbox.sql.syntax import Column as ColumnName

    parts = item.star if item.star is not None else item.value.parts if isinstance(item.value, ColumnName) else ()
    if parts and parts[0].casefold() == other:
        raise errors.unsupported_feature(f"OUTPUT {other}.{parts[-1] if len(parts) > 1 else '*'}")


def _target(t: Translation, target: TableName, source: Source | None) -> tuple[Table, TableName]:
    """The table that is changed, and the entry of FROM that stands for it."""
    entries = _entries(source) if source is not None else []
    for entry in entries:
        exposed = entry.alias or entry.parts[-1]
        if len(target.parts) == 1 and exposed.casefold() == target.parts[0].casefold():
            return t.table(entry.parts), entry
    table = t.table(target.parts)
    for entry in entries:
        if entry.alias is None and t.catalog.find(*t.find(entry.parts)) is table:
            return table, entry
    return table, target


def _entries(source: Source) -> list[TableName]:
    if isinstance(source, Join):
        return _entries(source.left) + _entries(source.right)
    return [source] if isinstance(source, TableName) else []


def _refuse_common(target: TableName, node: Update | Delete) -> None:
    if any(len(target.parts) == 1 and common.name.casefold() == target.parts[0].casefold() for common in node.commons):
        raise errors.unsupported_feature("change through a common table expression")


def _chosen_rows(
    t: Translation, node: Update | Delete, table: Table, entry: TableName, values: tuple[Assignment, ...]
) -> tuple[str, str, list[tuple[Column, str]]]:
    """(WITH ..., SELECT of row ids and new values, [(column, its name in it)]) for a change with FROM or TOP."""
    scope = Scope()
    prefix = queries.commons(t, scope, node.commons)
    source = node.source if node.source is not None else replace(entry, hints=node.target.hints)
    from_sql = sources.source(t, scope, source)
    exposed = (entry.alias or entry.parts[-1]).casefold()
    found = next(
        (item for item in scope.sources if item.object_id == table.object_id and item.exposed.casefold() == exposed),
        None,
    )
    if found is None:
        raise errors.unsupported_feature("UPDATE or DELETE of a table that its FROM does not name")
    scope.aggregates = "set"
    assigned: list[tuple[Column, str]] = []
    pieces = [f"{found.row_id} AS r"]
    for place, (column, sql) in enumerate(_assignments(t, scope, table, values), 1):
        pieces.append(f"{sql} AS v{place}")
        assigned.append((column, f"v{place}"))
    scope.aggregates = "where"
    where = f" WHERE {expressions.condition(t, scope, node.where)}" if node.where is not None else ""
    limit = f" LIMIT {expressions.whole_number(t, Scope(), node.top, 0)}" if node.top is not None else ""
    return prefix, f"SELECT {', '.join(pieces)} FROM {from_sql}{where}{limit}", assigned


def _assignments(
    t: Translation, scope: Scope, table: Table, values: tuple[Assignment, ...]
) -> list[tuple[Column, str]]:
    found: list[tuple[Column, str]] = []
    for assignment in values:
        if assignment.column is None:
            raise errors.unsupported_feature("UPDATE ... SET @variable = expression")
        column = table.column(assignment.column)
        if column is None:
            raise errors.invalid_column(assignment.column)
        if column.identity_seed is not None:
            raise SqlError(8102, f"Cannot update identity column '{column.name}'.", 16, 1)
        if any(column is other for other, _ in found):
            text = f"The column name '{column.name}' is specified more than once in the SET clause or column list of an INSERT."
            raise SqlError(264, text, 16, 1)
        found.append((column, _assigned(t, scope, assignment.value, column)))
    return found


def update(t: Translation, node: Update) -> Program:
    """UPDATE."""
    _refuse_common(node.target, node)
    table, entry = _target(t, node.target, node.source)
    t.need("UPDATE", table)
    returning, output = _output(t, table, node.output, "inserted")
    targets = [
        (assignment.variable, assignment.column)
        for assignment in node.assignments
        if assignment.variable and assignment.column
    ]
    kinds = tuple((variable.casefold(), t.variable(variable).known_type) for variable, _ in targets)
    own_columns = [table.column(column) for _, column in targets]
    if targets:
        extra = ", ".join(name(column.name) for column in own_columns if column is not None)
        returning = f"{returning}, {extra}" if returning else f" RETURNING {extra}"
    if node.source is None and node.top is None and not node.commons:
        own = t.alias()
        scope = Scope()
        scope.add(sources.table_source(table, own, entry.parts[-1], TableName((table.schema, table.name))))
        scope.aggregates = "set"
        sets = ", ".join(
            f"{name(column.name)} = {sql}" for column, sql in _assignments(t, scope, table, node.assignments)
        )
        scope.aggregates = "where"
        where = f" WHERE {expressions.condition(t, scope, node.where)}" if node.where is not None else ""
        sql = f"UPDATE {name(table.full_name)} AS {own} SET {sets}{where}{returning}"
    else:
        prefix, inner, assigned = _chosen_rows(t, node, table, entry, node.assignments)
        sets = ", ".join(f"{name(column.name)} = s.{label}" for column, label in assigned)
        row = f"{name(table.full_name)}.{sources.row_id(table)}"
        sql = f"{prefix}UPDATE {name(table.full_name)} SET {sets} FROM ({inner}) AS s WHERE {row} = s.r{returning}"
    if node.where is not None or node.source is not None:
        # Reading rows to choose among them takes SELECT as well.
        t.need("SELECT", table)
    return Program("UPDATE", sql, t.finished(), output, tuple(t.needs), tuple(t.rights), table.object_id, kinds)


def delete(t: Translation, node: Delete) -> Program:
    """DELETE."""
    _refuse_common(node.target, node)
    table, entry = _target(t, node.target, node.source)
    t.need("DELETE", table)
    returning, output = _output(t, table, node.output, "deleted")
    if node.source is None and node.top is None and not node.commons:
        own = t.alias()
        scope = Scope()
        scope.add(sources.table_source(table, own, entry.parts[-1], TableName((table.schema, table.name))))
        scope.aggregates = "where"
        where = f" WHERE {expressions.condition(t, scope, node.where)}" if node.where is not None else ""
        sql = f"DELETE FROM {name(table.full_name)} AS {own}{where}{returning}"
    else:
        prefix, inner, _ = _chosen_rows(t, node, table, entry, ())
        row = sources.row_id(table)
        sql = f"{prefix}DELETE FROM {name(table.full_name)} WHERE {row} IN (SELECT s.r FROM ({inner}) AS s){returning}"
    if node.where is not None or node.source is not None:
        t.need("SELECT", table)
    return Program("DELETE", sql, t.finished(), output, tuple(t.needs), tuple(t.rights), table.object_id)


def truncate(t: Translation, node: Truncate) -> Program:
    """TRUNCATE TABLE, which needs ALTER."""
    table = t.table(node.table)
    t.need("ALTER", table)
    return Program("DELETE", f"DELETE FROM {name(table.full_name)}", (), (), tuple(t.needs), (), table.object_id)
