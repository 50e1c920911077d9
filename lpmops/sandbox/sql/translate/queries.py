"""SELECT into SQLite text: sources, grouping, order, TOP, set operations, common tables.

Every source gets an alias of ours and every derived column a name c1, c2, ..., so that no name of the user's can meet one of SQLite's.
Views are put in as the queries they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    Column,
    CommonTable,
    Derived,
    Expression,
    Join,
    Literal,
    OrderItem,
    Query,
    Select,
    SelectItem,
    SetOperation,
    TableName,
)
from lpmops.sandbox.sql.translate import aggregates, expressions, sources
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, natural_collation, ordered
from lpmops.sandbox.sql.translate.scope import CommonSource, Scope, ScopeColumn
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import INT, SqlType, common


@dataclass(frozen=True, slots=True)
class Translated:
    """A query in SQLite's SQL with its columns (their fragments are valid inside it only, but their types hold)."""

    sql: str
    columns: tuple[ScopeColumn, ...]


def query(t: Translation, node: Query, parent: Scope | None, nested: str = "") -> Translated:
    """A whole query. `nested` says what it stands in (derived, scalar, in, exists, view), empty at the top of a statement."""
    scope = Scope(parent)
    prefix = commons(t, scope, node.commons)
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


def commons(t: Translation, scope: Scope, tables: Sequence[CommonTable]) -> str:
    """WITH ..., its names added to the scope; empty where the query has none."""
    pieces: list[str] = []
    for common_table in tables:
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


def _select(t: Translation, node: Select, scope: Scope, whole: Query, nested: str) -> Translated:
    apart, t.apart = t.apart, _stands_apart(t, node, whole)
    from_sql = f" FROM {sources.source(t, scope, node.source)}" if node.source is not None else ""
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
