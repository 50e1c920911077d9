"""SELECT in all its parts: WITH, TOP, FROM with joins, GROUP BY, set operations, ORDER BY, OFFSET, FETCH."""

from __future__ import annotations

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.lexer import NATIONAL, OPERATOR, QUOTED, STRING, VARIABLE
from lpmops.sandbox.sql.parser.cursor import Cursor
from lpmops.sandbox.sql.parser.expressions import expression, order_items, type_name
from lpmops.sandbox.sql.syntax import (
    Binary,
    CommonTable,
    Derived,
    Expression,
    Join,
    Literal,
    OpenColumn,
    OrderItem,
    Query,
    Rows,
    Select,
    SelectItem,
    SetOperation,
    Source,
    TableFunction,
    TableName,
    Top,
    Variable,
)

# Hints that change speed or locking, not results; the locking ones are honoured by the session (it locks the whole database).
_HINTS = frozenset({"NOLOCK", "READUNCOMMITTED", "READCOMMITTED", "UPDLOCK", "HOLDLOCK", "SERIALIZABLE", "REPEATABLEREAD", "ROWLOCK",
    "PAGLOCK", "XLOCK",
                    "TABLOCK", "TABLOCKX"})  # fmt: skip
_QUERY_HINTS = frozenset({"RECOMPILE", "MAXDOP", "FORCE", "ORDER", "FAST", "LOOP", "HASH", "MERGE", "JOIN", "OPTIMIZE"})


def query(cursor: Cursor) -> Query:
    """A whole query, as a statement or between parentheses."""
    return finish(cursor, common_tables(cursor))


def common_tables(cursor: Cursor) -> tuple[CommonTable, ...]:
    """WITH a AS (...), b AS (...); nothing, where no WITH stands here."""
    if not cursor.accept("WITH"):
        return ()
    if cursor.at("XMLNAMESPACES", "CHANGE_TRACKING_CONTEXT"):
        raise errors.unsupported_option(f"WITH {cursor.token.upper}").at_line(cursor.line)
    found: list[CommonTable] = []
    while True:
        name = cursor.identifier()
        columns = _names(cursor) if cursor.at_operator("(") else ()
        cursor.expect("AS")
        cursor.expect_operator("(")
        cursor.enter()
        found.append(CommonTable(name, columns, query(cursor)))
        cursor.leave()
        cursor.expect_operator(")")
        if not cursor.accept_operator(","):
            return tuple(found)


def finish(cursor: Cursor, commons: tuple[CommonTable, ...]) -> Query:
    """The query after its WITH."""
    body = _union(cursor)
    order: tuple[OrderItem, ...] = ()
    offset: Expression | None = None
    fetch: Expression | None = None
    if cursor.accept_words("ORDER", "BY"):
        order = order_items(cursor)
        if cursor.accept("OFFSET"):
            offset = expression(cursor)
            cursor.expect("ROW", "ROWS")
            if cursor.accept("FETCH"):
                cursor.expect("NEXT", "FIRST")
                fetch = expression(cursor)
                cursor.expect("ROW", "ROWS")
                cursor.expect("ONLY")
    if cursor.at("FOR"):
        raise errors.unsupported_option(f"FOR {cursor.ahead().upper}").at_line(cursor.line)
    query_hints(cursor)
    return Query(body, commons, order, offset, fetch)


def query_hints(cursor: Cursor) -> None:
    """OPTION (...): hints that cannot change a result are passed over, others refused by name."""
    if not cursor.accept("OPTION"):
        return
    cursor.expect_operator("(")
    while not cursor.accept_operator(")"):
        token = cursor.take()
        if token.upper and token.upper not in _QUERY_HINTS | {"FOR", "UNKNOWN"}:
            raise errors.unsupported_option(f"OPTION ({token.upper})").at_line(token.line)
        if cursor.at_end:
            raise cursor.unexpected()


def _union(cursor: Cursor) -> Select | SetOperation:
    left = _intersection(cursor)
    while cursor.at("UNION", "EXCEPT"):
        operator = cursor.take().upper
        if operator == "UNION" and cursor.accept("ALL"):
            operator = "UNION ALL"
        left = SetOperation(operator, left, _intersection(cursor))
    return left


def _intersection(cursor: Cursor) -> Select | SetOperation:
    left = _term(cursor)
    while cursor.accept("INTERSECT"):
        left = SetOperation("INTERSECT", left, _term(cursor))
    return left


def _term(cursor: Cursor) -> Select | SetOperation:
    if cursor.accept_operator("("):
        cursor.enter()
        inner = _union(cursor)
        cursor.leave()
        cursor.expect_operator(")")
        return inner
    return _select(cursor)


def _select(cursor: Cursor) -> Select:
    cursor.expect("SELECT")
    distinct = cursor.accept("DISTINCT")
    if not distinct:
        cursor.accept("ALL")
    top = _top(cursor)
    items = select_items(cursor)
    if cursor.at("INTO"):
        raise errors.unsupported_statement("SELECT INTO", cursor.line)
    source = sources(cursor) if cursor.accept("FROM") else None
    where = expression(cursor) if cursor.accept("WHERE") else None
    group: tuple[Expression, ...] = ()
    if cursor.accept_words("GROUP", "BY"):
        group = _grouping(cursor)
    having = expression(cursor) if cursor.accept("HAVING") else None
    return Select(items, source, where, group, having, distinct, top)


def _grouping(cursor: Cursor) -> tuple[Expression, ...]:
    items: list[Expression] = []
    while True:
        if cursor.at("ROLLUP", "CUBE", "GROUPING"):
            raise errors.unsupported_option(f"GROUP BY {cursor.token.upper}").at_line(cursor.line)
        items.append(expression(cursor))
        if not cursor.accept_operator(","):
            break
    if cursor.at("WITH") and cursor.ahead().upper in ("ROLLUP", "CUBE"):
        raise errors.unsupported_option(f"WITH {cursor.ahead().upper}").at_line(cursor.line)
    return tuple(items)


def top_count(cursor: Cursor) -> Expression:
    """The count after TOP, in parentheses or a bare number."""
    if cursor.accept_operator("("):
        count = expression(cursor)
        cursor.expect_operator(")")
        return count
    return Literal("integer", str(cursor.expect_integer()))


def _top(cursor: Cursor) -> Top | None:
    if not cursor.accept("TOP"):
        return None
    count = top_count(cursor)
    percent = cursor.accept("PERCENT")
    return Top(count, percent, cursor.accept_words("WITH", "TIES"))


def select_items(cursor: Cursor) -> tuple[SelectItem, ...]:
    """A select list, or that of OUTPUT."""
    items = [_item(cursor)]
    while cursor.accept_operator(","):
        items.append(_item(cursor))
    return tuple(items)


def _item(cursor: Cursor) -> SelectItem:
    if cursor.accept_operator("*"):
        return SelectItem(None, star=())
    following = cursor.ahead()
    if cursor.token.kind == VARIABLE and following.kind == OPERATOR and following.text in ("=", "+=", "-=", "*=", "/="):
        target = cursor.take().text
        sign = cursor.take().text
        value = expression(cursor)
        return SelectItem(value if sign == "=" else _compound(target, sign, value), target=target)
    if cursor.at_identifier and following.kind == OPERATOR and following.text == "=":
        alias = cursor.identifier()
        cursor.take()
        return SelectItem(expression(cursor), alias)
    star = _qualified_star(cursor)
    if star is not None:
        return SelectItem(None, star=star)
    value = expression(cursor)
    if cursor.accept("AS"):
        return SelectItem(value, cursor.take().text if cursor.token.kind in (STRING, NATIONAL) else cursor.identifier())
    if cursor.token.kind in (STRING, NATIONAL):
        return SelectItem(value, cursor.take().text)
    return SelectItem(value, cursor.identifier() if cursor.at_identifier else None)


def _compound(target: str, sign: str, value: Expression) -> Expression:
    return Binary(sign[0], Variable(target), value)


def _qualified_star(cursor: Cursor) -> tuple[str, ...] | None:
    """`t.*` or `schema.t.*`, if that is what stands here."""
    count = 0
    while (
        cursor.ahead(count).kind in (QUOTED, "word")
        and cursor.ahead(count + 1).kind == OPERATOR
        and cursor.ahead(count + 1).text == "."
    ):
        count += 2
        if cursor.ahead(count).kind == OPERATOR and cursor.ahead(count).text == "*":
            parts = tuple(cursor.ahead(index).text for index in range(0, count, 2))
            for _ in range(count + 1):
                cursor.take()
            return parts
    return None


def sources(cursor: Cursor) -> Source:
    """What follows FROM."""
    left = _joined(cursor)
    while cursor.accept_operator(","):
        left = Join("CROSS", left, _joined(cursor), None)
    return left


def _joined(cursor: Cursor) -> Source:
    left = _source(cursor)
    while True:
        kind = _join_kind(cursor)
        if kind is None:
            return left
        right = _source(cursor)
        condition = None
        if kind in ("INNER", "LEFT", "RIGHT", "FULL"):
            if not cursor.at("ON"):
                # A join may be written inside out: a JOIN b JOIN c ON ... ON ...
                raise cursor.unexpected()
            cursor.take()
            condition = expression(cursor)
        left = Join(kind, left, right, condition)


def _join_kind(cursor: Cursor) -> str | None:
    if cursor.accept("JOIN"):
        return "INNER"
    if cursor.accept_words("CROSS", "JOIN"):
        return "CROSS"
    if cursor.accept_words("CROSS", "APPLY"):
        return "CROSS APPLY"
    if cursor.accept_words("OUTER", "APPLY"):
        return "OUTER APPLY"
    if not cursor.at("INNER", "LEFT", "RIGHT", "FULL"):
        return None
    kind = cursor.take().upper
    if kind != "INNER":
        cursor.accept("OUTER")
    if cursor.at("HASH", "LOOP", "MERGE", "REMOTE"):
        cursor.take()
    cursor.expect("JOIN")
    return kind


def _source(cursor: Cursor) -> Source:
    if cursor.accept_operator("("):
        cursor.enter()
        found = _parenthesised(cursor)
        cursor.leave()
        return found
    if cursor.at("OPENROWSET", "OPENQUERY", "OPENXML", "OPENDATASOURCE", "CONTAINSTABLE", "FREETEXTTABLE"):
        raise errors.unsupported_feature(cursor.token.upper).at_line(cursor.line)
    parts = cursor.name()
    if cursor.at_operator("("):
        return _function(cursor, parts)
    if cursor.at_words("FOR", "SYSTEM_TIME"):
        raise errors.unsupported_option("FOR SYSTEM_TIME").at_line(cursor.line)
    alias = _alias(cursor)
    if cursor.at("TABLESAMPLE", "PIVOT", "UNPIVOT"):
        raise errors.unsupported_option(cursor.token.upper).at_line(cursor.line)
    return TableName(parts, alias, table_hints(cursor))


def _parenthesised(cursor: Cursor) -> Source:
    if cursor.at("SELECT", "WITH"):
        inner = query(cursor)
        cursor.expect_operator(")")
        alias = _alias(cursor)
        if alias is None:
            raise cursor.unexpected()
        return Derived(inner, alias, _names(cursor) if cursor.at_operator("(") else ())
    if cursor.accept("VALUES"):
        rows = value_rows(cursor)
        cursor.expect_operator(")")
        alias = _alias(cursor)
        if alias is None:
            raise cursor.unexpected()
        return Rows(tuple(tuple(value for value in row if value is not None) for row in rows), alias, _names(cursor))
    joined = sources(cursor)
    cursor.expect_operator(")")
    return joined


def value_rows(cursor: Cursor) -> tuple[tuple[Expression | None, ...], ...]:
    """The rows after VALUES; None stands for DEFAULT."""
    rows: list[tuple[Expression | None, ...]] = []
    while True:
        cursor.expect_operator("(")
        row: list[Expression | None] = []
        while True:
            row.append(None if cursor.accept("DEFAULT") else expression(cursor))
            if not cursor.accept_operator(","):
                break
        cursor.expect_operator(")")
        rows.append(tuple(row))
        if not cursor.accept_operator(","):
            return tuple(rows)


def _function(cursor: Cursor, parts: tuple[str, ...]) -> TableFunction:
    name = ".".join(parts).upper()
    if name not in ("OPENJSON", "STRING_SPLIT"):
        raise errors.unsupported_feature(f"table-valued function {'.'.join(parts)}").at_line(cursor.line)
    cursor.expect_operator("(")
    arguments = [expression(cursor)]
    while cursor.accept_operator(","):
        arguments.append(expression(cursor))
    cursor.expect_operator(")")
    columns: tuple[OpenColumn, ...] = ()
    if name == "OPENJSON" and cursor.at("WITH"):
        cursor.take()
        columns = _open_columns(cursor)
    return TableFunction(name, tuple(arguments), _alias(cursor), columns)


def _open_columns(cursor: Cursor) -> tuple[OpenColumn, ...]:
    cursor.expect_operator("(")
    columns: list[OpenColumn] = []
    while True:
        name = cursor.identifier()
        kind = type_name(cursor)
        path = cursor.take().text if cursor.token.kind in (STRING, NATIONAL) else None
        columns.append(OpenColumn(name, kind, path, cursor.accept_words("AS", "JSON")))
        if not cursor.accept_operator(","):
            break
    cursor.expect_operator(")")
    return tuple(columns)


def table_hints(cursor: Cursor) -> tuple[str, ...]:
    """WITH (NOLOCK, ...)."""
    if not (cursor.at("WITH") and cursor.ahead().text == "("):
        return ()
    cursor.take()
    cursor.take()
    hints: list[str] = []
    while True:
        word = cursor.take()
        if word.upper not in _HINTS:
            raise errors.unsupported_option(f"WITH ({word.text.upper()})").at_line(word.line)
        hints.append(word.upper)
        if not cursor.accept_operator(",") and cursor.at_operator(")"):
            break
    cursor.expect_operator(")")
    return tuple(hints)


def _alias(cursor: Cursor) -> str | None:
    if cursor.accept("AS"):
        return cursor.identifier()
    return cursor.identifier() if cursor.at_identifier else None


def _names(cursor: Cursor) -> tuple[str, ...]:
    cursor.expect_operator("(")
    names = [cursor.identifier()]
    while cursor.accept_operator(","):
        names.append(cursor.identifier())
    cursor.expect_operator(")")
    return tuple(names)
