"""Expressions and conditions, by precedence: OR, AND, NOT, comparison, + - & | ^, * / %, sign, COLLATE.

A condition and a value are one grammar here; which of the two a place needs is checked by the translator, which knows what it reads.
"""

from __future__ import annotations

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.lexer import DECIMAL, FLOAT, HEX, INTEGER, NATIONAL, OPERATOR, QUOTED, STRING, VARIABLE, WORD
from lpmops.sandbox.sql.parser.cursor import Cursor
from lpmops.sandbox.sql.syntax import (
    AtTimeZone,
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Collate,
    Column,
    Exists,
    Expression,
    InList,
    InQuery,
    IsNull,
    Like,
    Literal,
    OrderItem,
    Query,
    Scalar,
    TypeName,
    Unary,
    Variable,
    Window,
)

_COMPARISONS = ("=", "<>", "!=", "<", ">", "<=", ">=", "!<", "!>")
_SAME_AS = {"!=": "<>", "!<": ">=", "!>": "<="}
_NILADIC = frozenset({"CURRENT_TIMESTAMP", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "USER"})
_RESERVED_FUNCTIONS = frozenset({"LEFT", "RIGHT", "COALESCE", "NULLIF", "UPDATE"})
_CONSTANTS = frozenset({STRING, NATIONAL, INTEGER, DECIMAL, FLOAT, HEX})


def expression(cursor: Cursor) -> Expression:
    """A whole expression or condition."""
    cursor.enter()
    left = _conjunction(cursor)
    while cursor.accept("OR"):
        left = Binary("OR", left, _conjunction(cursor))
    cursor.leave()
    return left


def _conjunction(cursor: Cursor) -> Expression:
    left = _negation(cursor)
    while cursor.accept("AND"):
        left = Binary("AND", left, _negation(cursor))
    return left


def _negation(cursor: Cursor) -> Expression:
    if cursor.accept("NOT"):
        cursor.enter()
        operand = _negation(cursor)
        cursor.leave()
        return Unary("NOT", operand)
    return _comparison(cursor)


def _comparison(cursor: Cursor) -> Expression:
    left = _sum(cursor)
    if cursor.at_operator(*_COMPARISONS):
        sign = cursor.take().text
        if cursor.at("ALL", "ANY", "SOME"):
            raise errors.unsupported_option(cursor.token.upper).at_line(cursor.line)
        return Binary(_SAME_AS.get(sign, sign), left, _sum(cursor))
    if cursor.accept("IS"):
        negated = cursor.accept("NOT")
        if cursor.at("DISTINCT"):
            raise errors.unsupported_option("IS DISTINCT FROM").at_line(cursor.line)
        cursor.expect("NULL")
        return IsNull(left, negated)
    negated = cursor.at("NOT") and cursor.ahead().upper in ("IN", "LIKE", "BETWEEN")
    if negated:
        cursor.take()
    if cursor.accept("BETWEEN"):
        low = _sum(cursor)
        cursor.expect("AND")
        return Between(left, low, _sum(cursor), negated)
    if cursor.accept("LIKE"):
        pattern = _sum(cursor)
        return Like(left, pattern, _sum(cursor) if cursor.accept("ESCAPE") else None, negated)
    if cursor.accept("IN"):
        return _membership(cursor, left, negated)
    return left


def _membership(cursor: Cursor, left: Expression, negated: bool) -> Expression:
    cursor.expect_operator("(")
    if cursor.at("SELECT", "WITH"):
        found: Expression = InQuery(left, _query(cursor), negated)
    else:
        found = InList(left, _list(cursor), negated)
    cursor.expect_operator(")")
    return found


def _sum(cursor: Cursor) -> Expression:
    left = _product(cursor)
    while sign := cursor.accept_operator("+", "-", "&", "|", "^"):
        left = Binary(sign, left, _product(cursor))
    return left


def _product(cursor: Cursor) -> Expression:
    left = _signed(cursor)
    while sign := cursor.accept_operator("*", "/", "%"):
        left = Binary(sign, left, _signed(cursor))
    return left


def _signed(cursor: Cursor) -> Expression:
    sign = cursor.accept_operator("-", "+", "~")
    if sign:
        cursor.enter()
        operand = _signed(cursor)
        cursor.leave()
        return Unary(sign, operand)
    return _suffixed(cursor)


def _suffixed(cursor: Cursor) -> Expression:
    found = _primary(cursor)
    while True:
        if cursor.accept("COLLATE"):
            found = Collate(found, cursor.identifier())
        elif cursor.accept_words("AT", "TIME", "ZONE"):
            found = AtTimeZone(found, _primary(cursor))
        else:
            return found


def _primary(cursor: Cursor) -> Expression:
    token = cursor.token
    if token.kind in _CONSTANTS:
        cursor.take()
        return Literal(token.kind, token.text)
    if token.kind == VARIABLE:
        cursor.take()
        return Variable(token.text)
    if token.kind == OPERATOR and token.text == "(":
        return _parenthesised(cursor)
    if token.kind in (WORD, QUOTED):
        return _worded(cursor)
    raise cursor.unexpected()


def _parenthesised(cursor: Cursor) -> Expression:
    cursor.expect_operator("(")
    inner = Scalar(_query(cursor)) if cursor.at("SELECT", "WITH") else expression(cursor)
    cursor.expect_operator(")")
    return inner


def _worded(cursor: Cursor) -> Expression:
    word = cursor.token.upper
    called = cursor.ahead().kind == OPERATOR and cursor.ahead().text == "("
    match word:
        case "NULL":
            cursor.take()
            return Literal("null")
        case "CASE":
            return _case(cursor)
        case "EXISTS":
            cursor.take()
            cursor.expect_operator("(")
            found = Exists(_query(cursor))
            cursor.expect_operator(")")
            return found
        case "CAST" | "TRY_CAST" if called:
            return _cast(cursor, word == "TRY_CAST")
        case "CONVERT" | "TRY_CONVERT" if called:
            return _convert(cursor, word == "TRY_CONVERT")
        case "PARSE" | "TRY_PARSE" if called:
            raise errors.unsupported_feature(word).at_line(cursor.line)
    if word in _NILADIC:
        cursor.take()
        return Call(word)
    if called and word in _RESERVED_FUNCTIONS:
        return _call(cursor, cursor.take().upper)
    if word == "NEXT" and cursor.ahead().upper == "VALUE":
        raise errors.unsupported_feature("NEXT VALUE FOR").at_line(cursor.line)
    if not cursor.at_identifier:
        raise cursor.unexpected()
    parts = [cursor.identifier()]
    while cursor.at_operator(".") and not (cursor.ahead().kind == OPERATOR and cursor.ahead().text == "*"):
        cursor.take()
        parts.append(cursor.identifier())
    if cursor.at_operator("("):
        return _call(cursor, ".".join(parts).upper())
    if cursor.at_operator("::"):
        raise errors.unsupported_feature(f"{parts[-1]}::").at_line(cursor.line)
    return Column(tuple(parts))


def _case(cursor: Cursor) -> Expression:
    cursor.expect("CASE")
    operand = None if cursor.at("WHEN") else expression(cursor)
    branches: list[tuple[Expression, Expression]] = []
    while cursor.accept("WHEN"):
        condition = expression(cursor)
        cursor.expect("THEN")
        branches.append((condition, expression(cursor)))
    if not branches:
        raise cursor.unexpected()
    otherwise = expression(cursor) if cursor.accept("ELSE") else None
    cursor.expect("END")
    return Case(operand, tuple(branches), otherwise)


def _cast(cursor: Cursor, forgiving: bool) -> Expression:
    cursor.take()
    cursor.expect_operator("(")
    value = expression(cursor)
    cursor.expect("AS")
    kind = type_name(cursor)
    cursor.expect_operator(")")
    return Cast(value, kind, None, forgiving)


def _convert(cursor: Cursor, forgiving: bool) -> Expression:
    cursor.take()
    cursor.expect_operator("(")
    kind = type_name(cursor)
    cursor.expect_operator(",")
    value = expression(cursor)
    style = expression(cursor) if cursor.accept_operator(",") else None
    cursor.expect_operator(")")
    return Cast(value, kind, style, forgiving)


def type_name(cursor: Cursor) -> TypeName:
    """A data type as written."""
    if cursor.accept_words("DOUBLE", "PRECISION"):
        return TypeName("float")
    name = cursor.identifier()
    while cursor.accept_operator("."):
        name = cursor.identifier()
    if not cursor.accept_operator("("):
        return TypeName(name)
    arguments = [-1 if cursor.accept("MAX") else cursor.expect_integer()]
    if cursor.accept_operator(","):
        arguments.append(cursor.expect_integer())
    cursor.expect_operator(")")
    return TypeName(name, tuple(arguments))


def _call(cursor: Cursor, name: str) -> Expression:
    cursor.expect_operator("(")
    star = distinct = False
    arguments: tuple[Expression, ...] = ()
    if cursor.accept_operator("*"):
        star = True
    elif not cursor.at_operator(")"):
        distinct = cursor.accept("DISTINCT")
        if not distinct:
            cursor.accept("ALL")
        arguments = _list(cursor)
    cursor.expect_operator(")")
    if cursor.at("IGNORE", "RESPECT"):
        raise errors.unsupported_option(f"{cursor.token.upper} NULLS").at_line(cursor.line)
    within: tuple[OrderItem, ...] = ()
    if cursor.accept_words("WITHIN", "GROUP"):
        cursor.expect_operator("(")
        cursor.expect("ORDER")
        cursor.expect("BY")
        within = order_items(cursor)
        cursor.expect_operator(")")
    window = _window(cursor) if cursor.accept("OVER") else None
    return Call(name, arguments, star, distinct, within, window)


def _window(cursor: Cursor) -> Window:
    cursor.expect_operator("(")
    partition: tuple[Expression, ...] = ()
    order: tuple[OrderItem, ...] = ()
    frame = ""
    if cursor.accept("PARTITION"):
        cursor.expect("BY")
        partition = _list(cursor)
    if cursor.accept("ORDER"):
        cursor.expect("BY")
        order = order_items(cursor)
    if cursor.at("ROWS", "RANGE"):
        unit = cursor.take().upper
        if cursor.accept("BETWEEN"):
            low = _bound(cursor)
            cursor.expect("AND")
            frame = f"{unit} BETWEEN {low} AND {_bound(cursor)}"
        else:
            frame = f"{unit} {_bound(cursor)}"
    cursor.expect_operator(")")
    return Window(partition, order, frame)


def _bound(cursor: Cursor) -> str:
    if cursor.accept("CURRENT"):
        cursor.expect("ROW")
        return "CURRENT ROW"
    amount = "UNBOUNDED" if cursor.accept("UNBOUNDED") else str(cursor.expect_integer())
    return f"{amount} {cursor.expect('PRECEDING', 'FOLLOWING')}"


def order_items(cursor: Cursor) -> tuple[OrderItem, ...]:
    """The items of an ORDER BY."""
    items: list[OrderItem] = []
    while True:
        value = expression(cursor)
        descending = cursor.accept("DESC")
        if not descending:
            cursor.accept("ASC")
        items.append(OrderItem(value, descending))
        if not cursor.accept_operator(","):
            return tuple(items)


def _list(cursor: Cursor) -> tuple[Expression, ...]:
    items = [expression(cursor)]
    while cursor.accept_operator(","):
        items.append(expression(cursor))
    return tuple(items)


def _query(cursor: Cursor) -> Query:
    # Expressions hold queries and queries hold expressions.
    from lpmops.sandbox.sql.parser.queries import query

    cursor.enter()
    found = query(cursor)
    cursor.leave()
    return found
