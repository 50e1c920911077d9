"""SELECT into SQLite text: sources, grouping, order, TOP, set operations, common tables.

Every source gets an alias of ours and every derived column a name c1, c2, ..., so that no name of the user's can meet one of SQLite's.
Views are put in as the queries they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from lpmops.sandbox.sql import errors, system_views
from lpmops.sandbox.sql.catalog import Table, View
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    Column,
    CreateView,
    Derived,
    Expression,
    Join,
    Literal,
    OrderItem,
    Query,
    Rows,
    Select,
    SelectItem,
    SetOperation,
    Source,
    TableFunction,
    TableName,
)
from lpmops.sandbox.sql.translate import aggregates, expressions
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, name, natural_collation, ordered, text
from lpmops.sandbox.sql.translate.scope import CommonSource, Scope, ScopeColumn, ScopeSource
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import BINARY_COLLATION, INT, SqlType, common, nvarchar, resolve

_LOCKING = frozenset({"UPDLOCK", "HOLDLOCK", "SERIALIZABLE", "REPEATABLEREAD", "XLOCK", "TABLOCKX"})


@dataclass(frozen=True, slots=True)
class Translated:
    """A query in SQLite's SQL with its columns (their fragments are valid inside it only, but their types hold)."""

    sql: str
    columns: tuple[ScopeColumn, ...]


def query(t: Translation, node: Query, parent: Scope | None, nested: str = "") -> Translated:
    """A whole query. `nested` says what it stands in (derived, scalar, in, exists, view), empty at the top of a statement."""
    scope = Scope(parent)
    prefix = commons(t, scope, node)
    if (
        nested
        and nested != "source"
        and node.order
        and node.offset is None
        and not (isinstance(node.body, Select) and node.body.top)
    ):
        text_1033 = (
            "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, "
            "unless TOP, OFFSET or FOR XML is also specified."
        )
        raise SqlError(1033, text_1033, 15, 1)
    if isinstance(node.body, Select):
        translated = _select(t, node.body, scope, node, nested)
    else:
        translated = _ordered_set(t, scope, node)
    return replace(translated, sql=prefix + translated.sql)


def commons(t: Translation, scope: Scope, node: Query) -> str:
    """WITH ..., its names added to the scope; empty where the query has none."""
    pieces: list[str] = []
    for common_table in node.commons:
        key = common_table.name.casefold()
        if key in scope.commons:
            raise SqlError(462, f"Common table expression '{common_table.name}' was specified more than once.", 16, 1)
        if _names_itself(common_table.query, key):
            raise errors.unsupported_feature(f"recursive common table expression {common_table.name}")
        inner = query(t, common_table.query, scope, nested="derived")
        columns = renamed(inner.columns, common_table.columns, common_table.name)
        sql_name = t.alias("w")
        scope.commons[key] = CommonSource(sql_name, columns)
        pieces.append(f"{sql_name} AS ({inner.sql})")
    return f"WITH {', '.join(pieces)} " if pieces else ""


def _names_itself(node: object, wanted: str) -> bool:
    if isinstance(node, TableName):
        return len(node.parts) == 1 and node.parts[0].casefold() == wanted
    if isinstance(node, Query):
        return _names_itself(node.body, wanted)
    if isinstance(node, SetOperation):
        return _names_itself(node.left, wanted) or _names_itself(node.right, wanted)
    if isinstance(node, Select):
        return _names_itself(node.source, wanted)
    if isinstance(node, Join):
        return _names_itself(node.left, wanted) or _names_itself(node.right, wanted)
    return isinstance(node, Derived) and _names_itself(node.query, wanted)


def renamed(columns: tuple[ScopeColumn, ...], names: tuple[str, ...], source: str) -> tuple[ScopeColumn, ...]:
    """Columns of a derived source under the names given for them. Raises SqlError 8155, 8156, 8158, 8159."""
    if names and len(names) != len(columns):
        number, word = (8158, "more") if len(columns) > len(names) else (8159, "fewer")
        raise SqlError(number, f"'{source}' has {word} columns than were specified in the column list.", 16, 1)
    if names:
        columns = tuple(replace(column, name=given) for column, given in zip(columns, names, strict=True))
    seen: set[str] = set()
    for place, column in enumerate(columns, 1):
        if not column.name:
            raise SqlError(8155, f"No column name was specified for column {place} of '{source}'.", 16, 2)
        if column.name.casefold() in seen:
            raise SqlError(8156, f"The column '{column.name}' was specified multiple times for '{source}'.", 16, 1)
        seen.add(column.name.casefold())
    return columns


# --- sources ------------------------------------------------------------------------------------------------------------------------------------


def source(t: Translation, scope: Scope, node: Source) -> str:
    """One entry of FROM, its columns added to the scope."""
    match node:
        case Join():
            return _join(t, scope, node)
        case TableName():
            return _table_name(t, scope, node)
        case Derived(inner, alias, columns):
            translated = query(t, inner, scope.parent if scope.parent else _only_commons(scope), nested="derived")
            apart = " LIMIT -1" if t.apart and _is_costly(inner, translated) else ""
            return _derived(t, scope, translated.sql + apart, alias, renamed(translated.columns, columns, alias))
        case Rows(rows, alias, columns):
            return _rows(t, scope, rows, alias, columns)
        case TableFunction():
            return _table_function(t, scope, node)
    raise errors.syntax("FROM")


def _is_costly(node: Query, translated: Translated) -> bool:
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
        inner = query(t, definition.query, None, nested="view")
    except SqlError as error:
        text_4413 = f"Could not use view or function '{view.full_name}' because of binding errors."
        # SQL Server sends both errors; clients go by the first.
        raise SqlError(error.number, f"{error.message} {text_4413}", 16, 1) from error
    finally:
        t.trusted -= 1
        t.default_schema = outer
    columns = renamed(inner.columns, definition.columns, view.name)
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
    columns = renamed(tuple(ScopeColumn("", column[0]) for column in unified), names, alias)
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


# --- select -------------------------------------------------------------------------------------------------------------------------------------


def _select(t: Translation, node: Select, scope: Scope, whole: Query, nested: str) -> Translated:
    apart, t.apart = t.apart, _stands_apart(t, node, whole)
    from_sql = f" FROM {source(t, scope, node.source)}" if node.source is not None else ""
    t.apart = False
    translated = _select_from(t, node, scope, whole, nested, from_sql)
    t.apart = apart
    return translated


def _stands_apart(t: Translation, node: Select, whole: Query) -> bool:
    """Whether a derived table is better computed row by row than merged into its query.

    SQLite merges it by writing its expressions wherever they are used, so a DATEDIFF used in six branches of a CASE is computed six times. Kept
    apart where the outer query groups and brings no condition, order or limit that an index inside could serve.
    """
    plain = isinstance(node.source, Derived) and node.where is None and node.top is None and not whole.order
    items = tuple(item.value for item in node.items)
    return plain and whole.offset is None and (t.apart or bool(node.group) or aggregates.has_aggregate(items))


def _select_from(t: Translation, node: Select, scope: Scope, whole: Query, nested: str, from_sql: str) -> Translated:
    where_sql = ""
    if node.where is not None:
        scope.aggregates = "where"
        where_sql = f" WHERE {expressions.condition(t, scope, node.where)}"
        scope.aggregates = ""
    group_sql = _group(t, scope, node, whole)
    items = select_items(t, scope, node.items, nested)
    having_sql = ""
    if node.having is not None:
        scope.clause = "HAVING"
        having_sql = f" HAVING {expressions.condition(t, scope, node.having)}"
    scope.clause = "ORDER BY"
    order_sql = _order(t, scope, whole.order, node, items)
    scope.clause = "select list"
    limit_sql = _limit(t, scope, node, whole)
    shown = ", ".join(
        f"{_distinct(item.fragment) if node.distinct else item.fragment.sql} AS c{place}"
        for place, item in enumerate(items, 1)
    )
    sql = f"SELECT {'DISTINCT ' if node.distinct else ''}{shown}{from_sql}{where_sql}{group_sql}{having_sql}{order_sql}{limit_sql}"
    return Translated(sql, items)


def _distinct(fragment: Fragment) -> str:
    """Output of DISTINCT and set operations, which compare by collation."""
    wanted = natural_collation(fragment.known_type) if fragment.type is not None else ""
    return f"({fragment.sql}) COLLATE {wanted}" if wanted else fragment.sql


def _group(t: Translation, scope: Scope, node: Select, whole: Query) -> str:
    grouped = bool(node.group) or node.having is not None
    if not grouped and not aggregates.has_aggregate(
        tuple(item.value for item in node.items), tuple(item.value for item in whole.order)
    ):
        return ""
    scope.aggregates = "group"
    keys: list[Fragment] = []
    for expression in node.group:
        if isinstance(expression, Literal):
            raise SqlError(
                164, "Each GROUP BY expression must contain at least one column that is not an outer reference.", 15, 1
            )
        keys.append(expressions.value(t, scope, expression))
    scope.aggregates = ""
    scope.groups = frozenset(key.sql for key in keys)
    scope.complex_groups = any(not isinstance(expression, Column) for expression in node.group)
    return f" GROUP BY {', '.join(ordered(key) for key in keys)}" if keys else ""


def select_items(
    t: Translation, scope: Scope, items: tuple[SelectItem, ...], nested: str = ""
) -> tuple[ScopeColumn, ...]:
    """The select list, stars spelt out."""
    found: list[ScopeColumn] = []
    for item in items:
        if item.star is not None:
            if nested == "exists" and not scope.sources:
                raise SqlError(263, "Must specify table to select from.", 16, 1)
            found.extend(_star(scope, item.star) if nested != "exists" else [ScopeColumn("", Fragment("1", INT))])
            continue
        assert item.value is not None
        if expressions.is_condition(item.value):
            raise errors.syntax(getattr(item.value, "operator", "condition"))
        fragment = expressions.value(t, scope, item.value)
        label = (
            item.alias if item.alias is not None else (item.value.parts[-1] if isinstance(item.value, Column) else "")
        )
        found.append(ScopeColumn(label, fragment))
    return tuple(found)


def _star(scope: Scope, qualifier: tuple[str, ...]) -> list[ScopeColumn]:
    if not scope.sources:
        raise SqlError(263, "Must specify table to select from.", 16, 1)
    wanted = tuple(part.casefold() for part in qualifier)
    chosen = [found for found in scope.sources if not wanted or wanted in found.qualifiers]
    if not chosen:
        raise SqlError(
            107,
            f"The column prefix '{'.'.join(qualifier)}' does not match with a table name or alias name used in the query.",
            15,
            1,
        )
    columns = [column for found in chosen for column in found.columns]
    for column in columns:
        # Grouping forbids what is not grouped by, also behind a star.
        if scope.groups is not None:
            scope.column((*qualifier, column.name) if len(chosen) == 1 and qualifier else (column.name,))
    return columns


def _order(
    t: Translation, scope: Scope, order: tuple[OrderItem, ...], node: Select, items: tuple[ScopeColumn, ...]
) -> str:
    pieces: list[str] = []
    for item in order:
        fragment = _order_target(t, scope, item.value, node, items)
        aggregates.check_sortable(fragment)
        pieces.append(ordered(fragment) + (" DESC" if item.descending else ""))
    return f" ORDER BY {', '.join(pieces)}" if pieces else ""


def _order_target(
    t: Translation, scope: Scope, expression: Expression, node: Select, items: tuple[ScopeColumn, ...]
) -> Fragment:
    """An ORDER BY expression: a column's number, a name of the select list, or any expression of the sources."""
    if isinstance(expression, Literal):
        if expression.kind != "integer":
            raise SqlError(408, "A constant expression was encountered in the ORDER BY list, position 1.", 15, 1)
        place = int(expression.text)
        if not 1 <= place <= len(items):
            raise SqlError(
                108,
                f"The ORDER BY position number {place} is out of range of the number of items in the select list.",
                15,
                1,
            )
        return items[place - 1].fragment
    if isinstance(expression, Column) and len(expression.parts) == 1:
        wanted = expression.parts[0].casefold()
        matching = {item.fragment.sql: item.fragment for item in items if item.name.casefold() == wanted}
        if len(matching) > 1:
            raise SqlError(209, f"Ambiguous column name '{expression.parts[0]}'.", 16, 1)
        if matching:
            return next(iter(matching.values()))
    fragment = expressions.value(t, scope, expression)
    if node.distinct and fragment.sql not in {item.fragment.sql for item in items}:
        raise SqlError(145, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.", 15, 1)
    return fragment


def _limit(t: Translation, scope: Scope, node: Select, whole: Query) -> str:
    if node.top is not None:
        if node.top.percent or node.top.ties:
            raise errors.unsupported_option("TOP ... PERCENT" if node.top.percent else "TOP ... WITH TIES")
        if whole.offset is not None:
            raise SqlError(10741, "A TOP can not be used in the same query or sub-query as a OFFSET.", 15, 2)
        return f" LIMIT {expressions.whole_number(t, Scope(scope.parent), node.top.count, 0)}"
    return _offset(t, scope, whole)


def _offset(t: Translation, scope: Scope, whole: Query) -> str:
    if whole.offset is None:
        return ""
    skipped = expressions.whole_number(t, Scope(scope.parent), whole.offset, 0)
    taken = expressions.whole_number(t, Scope(scope.parent), whole.fetch, 1) if whole.fetch is not None else "-1"
    return f" LIMIT {taken} OFFSET {skipped}"


# --- set operations -----------------------------------------------------------------------------------------------------------------------------


def _ordered_set(t: Translation, scope: Scope, whole: Query) -> Translated:
    assert isinstance(whole.body, SetOperation)
    translated = _set(t, scope, whole.body)
    if not whole.order and whole.offset is None:
        return translated
    pieces: list[str] = []
    for item in whole.order:
        place = _set_order(item, translated.columns)
        kind = translated.columns[place - 1].fragment.type
        aggregates.check_sortable(Fragment("", kind))
        pieces.append(ordered(Fragment(f"c{place}", kind)) + (" DESC" if item.descending else ""))
    sql = f"SELECT * FROM ({translated.sql}) ORDER BY {', '.join(pieces)}{_offset(t, scope, whole)}"
    return Translated(sql, translated.columns)


def _set_order(item: OrderItem, columns: tuple[ScopeColumn, ...]) -> int:
    if isinstance(item.value, Literal) and item.value.kind == "integer" and 1 <= int(item.value.text) <= len(columns):
        return int(item.value.text)
    if isinstance(item.value, Column) and len(item.value.parts) == 1:
        for place, column in enumerate(columns, 1):
            if column.name.casefold() == item.value.parts[0].casefold():
                return place
    text_104 = (
        "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator."
    )
    raise SqlError(104, text_104, 16, 1)


def _set(t: Translation, scope: Scope, node: SetOperation) -> Translated:
    sides = [_side(t, scope, side) for side in (node.left, node.right)]
    if len(sides[0].columns) != len(sides[1].columns):
        text_205 = "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists."
        raise SqlError(205, text_205, 16, 1)
    kinds: list[SqlType | None] = []
    for a, b in zip(sides[0].columns, sides[1].columns, strict=True):
        if a.fragment.type is None or b.fragment.type is None:
            kinds.append(a.fragment.type or b.fragment.type)
        else:
            kinds.append(common(a.fragment.type, b.fragment.type))
    texts = [_side_sql(t, side, kinds, node.operator) for side in sides]
    columns = tuple(
        ScopeColumn(a.name, Fragment("", kind, a.fragment.nullable or b.fragment.nullable))
        for a, b, kind in zip(sides[0].columns, sides[1].columns, kinds, strict=True)
    )
    return Translated(f"{texts[0]} {node.operator} {texts[1]}", columns)


def _side(t: Translation, scope: Scope, node: Select | SetOperation) -> Translated:
    inner = Scope(scope)
    if isinstance(node, SetOperation):
        return _set(t, inner, node)
    return _select(t, node, inner, Query(node), "set")


def _side_sql(t: Translation, side: Translated, kinds: list[SqlType | None], operator: str) -> str:
    own = t.alias()
    pieces: list[str] = []
    for place, (column, kind) in enumerate(zip(side.columns, kinds, strict=True), 1):
        fragment = Fragment(f"{own}.c{place}", column.fragment.type, column.fragment.nullable)
        fragment = coerce(t, fragment, kind) if kind is not None else fragment
        pieces.append(f"{fragment.sql if operator == 'UNION ALL' else _distinct(fragment)} AS c{place}")
    return f"SELECT {', '.join(pieces)} FROM ({side.sql}) AS {own}"
