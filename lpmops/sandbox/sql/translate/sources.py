"""The sources of FROM: tables, views, derived tables, joins, VALUES, OPENJSON and STRING_SPLIT.

Each adds its columns to the scope and gives its SQLite text. Views are put in as the queries they are,
system views as JSON that is bound when the query runs.
"""

from __future__ import annotations

import json

from lpmops.sandbox.sql import errors, system_views
from lpmops.sandbox.sql.catalog import Table, View
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    CreateView,
    Derived,
    Expression,
    Join,
    Query,
    Rows,
    Select,
    Source,
    TableFunction,
    TableName,
)
from lpmops.sandbox.sql.translate import expressions, queries
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, name, natural_collation, text
from lpmops.sandbox.sql.translate.scope import CommonSource, Scope, ScopeColumn, ScopeSource
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import BINARY_COLLATION, INT, nvarchar, resolve

_LOCKING = frozenset({"UPDLOCK", "HOLDLOCK", "SERIALIZABLE", "REPEATABLEREAD", "XLOCK", "TABLOCKX"})


def source(t: Translation, scope: Scope, node: Source) -> str:
    """One entry of FROM, its columns added to the scope."""
    match node:
        case Join():
            return _join(t, scope, node)
        case TableName():
            return _table_name(t, scope, node)
        case Derived(inner, alias, columns):
            translated = queries.query(
                t, inner, scope.parent if scope.parent else _only_commons(scope), nested="derived"
            )
            apart = " LIMIT -1" if t.apart and _is_costly(inner, translated) else ""
            return _derived(
                t, scope, translated.sql + apart, alias, queries.renamed(translated.columns, columns, alias)
            )
        case Rows(rows, alias, columns):
            return _rows(t, scope, rows, alias, columns)
        case TableFunction():
            return _table_function(t, scope, node)
    raise errors.syntax("FROM")


def _is_costly(node: Query, translated: queries.Translated) -> bool:
    """Whether a query computes something of its own for each row, and has no limit yet."""
    if not isinstance(node.body, Select) or node.body.top is not None or node.offset is not None:
        return False
    return any(mark in column.fragment.sql for column in translated.columns for mark in ("strftime(", "ts_", "CASE "))


def _only_commons(scope: Scope) -> Scope:
    """A derived table sees the common tables of its query, but none of the sources beside it."""
    outer = Scope()
    outer.commons = scope.commons
    return outer


def _join(t: Translation, scope: Scope, node: Join) -> str:
    left = source(t, scope, node.left)
    if isinstance(node.right, Join):
        raise errors.unsupported_feature("join within parentheses")
    if node.kind.endswith("APPLY"):
        if not isinstance(node.right, TableFunction):
            raise errors.unsupported_option(node.kind)
        right = source(t, scope, node.right)
        return f"{left} JOIN {right}" if node.kind == "CROSS APPLY" else f"{left} LEFT JOIN {right} ON 1"
    right = source(t, scope, node.right)
    if node.condition is None:
        return f"{left} CROSS JOIN {right}"
    scope.aggregates = "on"
    test = expressions.condition(t, scope, node.condition)
    scope.aggregates = ""
    return f"{left} {node.kind} JOIN {right} ON {test}"


def _qualifiers(exposed: str, parts: tuple[str, ...] = ()) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = [(exposed.casefold(),)]
    if len(parts) > 1:
        found.append(tuple(part.casefold() for part in parts[-2:]))
    if len(parts) > 2:
        found.append(tuple(part.casefold() for part in parts[-3:]))
    return tuple(found)


def _derived(t: Translation, scope: Scope, sql: str, alias: str, columns: tuple[ScopeColumn, ...]) -> str:
    own = t.alias()
    visible = tuple(
        ScopeColumn(column.name, Fragment(f"{own}.c{place}", column.fragment.type, column.fragment.nullable))
        for place, column in enumerate(columns, 1)
    )
    scope.add(ScopeSource(alias, _qualifiers(alias), visible))
    return f"({sql}) AS {own}"


def _table_name(t: Translation, scope: Scope, node: TableName) -> str:
    if len(node.parts) == 1:
        shared = scope.common(node.parts[0])
        if shared is not None:
            return _common(t, scope, node, shared)
    if _LOCKING & set(node.hints):
        t.locks = True
    schema, table_name = t.find(node.parts)
    exposed = node.alias or table_name
    if schema.casefold() in ("sys", "information_schema"):
        return _system_view(t, scope, node, schema, table_name, exposed)
    found = t.catalog.find(schema, table_name)
    if found is None:
        raise errors.invalid_object(".".join(part for part in node.parts if part))
    t.need("SELECT", found)
    if isinstance(found, View):
        return _view(t, scope, found, exposed, node)
    own = t.alias()
    scope.add(table_source(found, own, exposed, node))
    return f"{name(found.full_name)} AS {own}"


def table_source(table: Table, own: str, exposed: str, node: TableName) -> ScopeSource:
    """A table's columns under an alias."""
    parts = () if node.alias else (table.schema, table.name)
    dot = f"{own}." if own else ""
    columns = tuple(
        ScopeColumn(
            column.name,
            Fragment(
                f"{dot}{name(column.name)}", column.type, column.nullable, collation=natural_collation(column.type)
            ),
        )
        for column in table.columns
    )
    return ScopeSource(exposed, _qualifiers(exposed, parts), columns, f"{dot}{row_id(table)}", table.object_id)


def row_id(table: Table) -> str:
    """The name of SQLite's own row id that no column of the table hides."""
    taken = {column.name.casefold() for column in table.columns}
    return next(candidate for candidate in ("_rowid_", "rowid", "oid") if candidate not in taken)


def _common(t: Translation, scope: Scope, node: TableName, shared: CommonSource) -> str:
    own = t.alias()
    exposed = node.alias or node.parts[0]
    columns = tuple(
        ScopeColumn(column.name, Fragment(f"{own}.c{place}", column.fragment.type, column.fragment.nullable))
        for place, column in enumerate(shared.columns, 1)
    )
    scope.add(ScopeSource(exposed, _qualifiers(exposed), columns))
    return f"{shared.sql_name} AS {own}"


def _view(t: Translation, scope: Scope, view: View, exposed: str, node: TableName) -> str:
    from lpmops.sandbox.sql.parser import parse

    (definition,) = parse(view.text)
    assert isinstance(definition, CreateView)
    t.trusted += 1
    outer, t.default_schema = t.default_schema, view.schema
    try:
        inner = queries.query(t, definition.query, None, nested="view")
    except SqlError as error:
        text_4413 = f"Could not use view or function '{view.full_name}' because of binding errors."
        # SQL Server sends both errors; clients go by the first.
        raise SqlError(error.number, f"{error.message} {text_4413}", 16, 1) from error
    finally:
        t.trusted -= 1
        t.default_schema = outer
    columns = queries.renamed(inner.columns, definition.columns, view.name)
    own = t.alias()
    visible = tuple(
        ScopeColumn(column.name, Fragment(f"{own}.c{place}", column.fragment.type, column.fragment.nullable))
        for place, column in enumerate(columns, 1)
    )
    parts = () if node.alias else (view.schema, view.name)
    scope.add(ScopeSource(exposed, _qualifiers(exposed, parts), visible))
    return f"({inner.sql}) AS {own}"


def _system_view(t: Translation, scope: Scope, node: TableName, schema: str, table_name: str, exposed: str) -> str:
    found = system_views.find(schema, table_name)
    if found is None:
        raise errors.invalid_object(".".join(node.parts))
    if found.right:
        t.rights[found.right] = None
    own = t.alias()
    columns = tuple(
        ScopeColumn(column, Fragment(f"json_extract({own}.value, '$[{place}]')", kind))
        for place, (column, kind) in enumerate(found.columns)
    )
    parts = () if node.alias else (schema, table_name)
    scope.add(ScopeSource(exposed, _qualifiers(exposed, parts), columns))
    return f"json_each({t.bind('view', found.key)}) AS {own}"


def _rows(
    t: Translation, scope: Scope, rows: tuple[tuple[Expression, ...], ...], alias: str, names: tuple[str, ...]
) -> str:
    inside = Scope(scope.parent)
    values = [[expressions.value(t, inside, item) for item in row] for row in rows]
    if len({len(row) for row in values}) != 1:
        raise SqlError(
            10709, "The number of columns for each row in a table value constructor must be the same.", 16, 1
        )
    unified = [expressions.unify(t, list(column)) for column in zip(*values, strict=True)]
    columns = queries.renamed(tuple(ScopeColumn("", column[0]) for column in unified), names, alias)
    selects = [
        "SELECT " + ", ".join(f"{fragment.sql} AS c{place}" for place, fragment in enumerate(row, 1))
        for row in zip(*unified, strict=True)
    ]
    return _derived(t, scope, " UNION ALL ".join(selects), alias, columns)


def _table_function(t: Translation, scope: Scope, node: TableFunction) -> str:
    given = [expressions.value(t, scope, argument) for argument in node.arguments]
    own = t.alias()
    exposed = node.alias or node.name
    subject = coerce(t, given[0], nvarchar()).sql
    if node.name == "STRING_SPLIT":
        if len(given) not in (2, 3):
            raise SqlError(
                313,
                "An insufficient number of arguments were supplied for the procedure or function STRING_SPLIT.",
                16,
                3,
            )
        sql = f"json_each(ts_string_split({subject}, {coerce(t, given[1], nvarchar()).sql})) AS {own}"
        columns = [ScopeColumn("value", Fragment(f"{own}.value", nvarchar()))]
        if len(given) == 3 and given[2].constant == 1:
            columns.append(ScopeColumn("ordinal", Fragment(f"({own}.key + 1)", resolve("bigint", ()))))
        elif len(given) == 3 and given[2].constant != 0:
            raise errors.unsupported_feature("STRING_SPLIT with an ordinal that is not a constant")
        scope.add(ScopeSource(exposed, _qualifiers(exposed), tuple(columns)))
        return sql
    path = coerce(t, given[1], nvarchar()).sql if len(given) > 1 else "'$'"
    if node.columns:
        return _open_columns(t, scope, node, own, exposed, subject, path)
    kinds = (("key", nvarchar(4000, BINARY_COLLATION)), ("value", nvarchar()), ("type", INT))
    found = tuple(
        ScopeColumn(column, Fragment(f"json_extract({own}.value, '$[{place}]')", kind))
        for place, (column, kind) in enumerate(kinds)
    )
    scope.add(ScopeSource(exposed, _qualifiers(exposed), found))
    return f"json_each(ts_open_json({subject}, {path})) AS {own}"


def _open_columns(
    t: Translation, scope: Scope, node: TableFunction, own: str, exposed: str, subject: str, path: str
) -> str:
    wanted = [
        (column.path if column.path is not None else f'$."{column.name}"', column.as_json) for column in node.columns
    ]
    columns: list[ScopeColumn] = []
    for place, column in enumerate(node.columns):
        kind = resolve(column.type.name, column.type.arguments, t.catalog.collation)
        raw = Fragment(f"json_extract({own}.value, '$[{place}]')", nvarchar())
        columns.append(ScopeColumn(column.name, coerce(t, raw, kind, explicit=True)))
    scope.add(ScopeSource(exposed, _qualifiers(exposed), tuple(columns)))
    return f"json_each(ts_open_json_columns({subject}, {path}, {text(json.dumps(wanted))})) AS {own}"
