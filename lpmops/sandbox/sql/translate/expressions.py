"""Expressions and conditions into typed SQLite text.

`value` and `condition` take a syntax tree and give text that computes what SQL Server would, or raise its error. Only nodes listed here
pass; an unknown function is refused by name. Division by zero, whole-number division, text compared without regard to case, and conversions
by precedence are kept.
"""

from __future__ import annotations

from dataclasses import replace

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
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
    Scalar,
    TypeName,
    Unary,
    Variable,
)
from lpmops.sandbox.sql.translate import builtins, queries
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, ordered
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import (
    BIGINT,
    FLOAT,
    INT,
    MAX,
    UNICODE,
    SqlType,
    arithmetic,
    as_decimal,
    common,
    decimal,
    is_binary_pair,
    is_case_sensitive,
    is_utf8,
    nvarchar,
    resolve,
    varbinary,
    varchar,
)

_COMPARISONS = ("=", "<>", "<", ">", "<=", ">=")
_CONDITIONS = (Between, InList, InQuery, Like, IsNull, Exists)


def is_condition(node: Expression) -> bool:
    """Whether a node is a condition, which T-SQL does not take for a value."""
    if isinstance(node, Binary):
        return node.operator in ("AND", "OR", *_COMPARISONS)
    return isinstance(node, _CONDITIONS) or (isinstance(node, Unary) and node.operator == "NOT")


def condition(t: Translation, scope: Scope, node: Expression) -> str:
    """A condition, as SQLite text. Raises SqlError 4145 for a value."""
    match node:
        case Binary("AND" | "OR" as word):
            return _joined([condition(t, scope, part) for part in _chain(node, word)], word)
        case Binary(operator, left, right) if operator in _COMPARISONS:
            return compare(t, operator, value(t, scope, left), value(t, scope, right))
        case Unary("NOT", operand):
            return f"(NOT {condition(t, scope, operand)})"
        case Between(tested, low, high, negated):
            middle = value(t, scope, tested)
            inner = f"({compare(t, '>=', middle, value(t, scope, low))} AND {compare(t, '<=', middle, value(t, scope, high))})"
            return f"(NOT {inner})" if negated else inner
        case InList(tested, items, negated):
            return _in_list(t, value(t, scope, tested), [value(t, scope, item) for item in items], negated)
        case InQuery(tested, query, negated):
            return _in_query(t, scope, value(t, scope, tested), query, negated)
        case Like(tested, pattern, escape, negated):
            return _like(t, scope, tested, pattern, escape, negated)
        case IsNull(tested, negated):
            return f"({value(t, scope, tested).sql} IS {'NOT ' if negated else ''}NULL)"
        case Exists(query):
            return f"EXISTS ({queries.query(t, query, scope, nested='exists').sql})"
    text = (
        f"An expression of non-boolean type specified in a context where a condition is expected, near '{_near(node)}'."
    )
    raise SqlError(4145, text, 15, 1)


def _chain(node: Expression, word: str) -> list[Expression]:
    """The parts of a AND b AND c, which tools make hundreds long."""
    parts: list[Expression] = []
    while isinstance(node, Binary) and node.operator == word:
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _joined(parts: list[str], word: str) -> str:
    """The parts as a balanced tree, because SQLite bounds how deep an expression may be."""
    while len(parts) > 1:
        pairs = [f"({left} {word} {right})" for left, right in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + parts[len(parts) - len(parts) % 2 :]
    return parts[0]


def _near(node: Expression) -> str:
    match node:
        case Literal(_, text):
            return text
        case Column(parts):
            return parts[-1]
        case Variable(name):
            return name
        case Call(name):
            return name
    return ")"


def value(t: Translation, scope: Scope, node: Expression) -> Fragment:
    """A value, with its type. In a grouped query, only what is grouped by, aggregated or constant passes (8120)."""
    if (
        scope.complex_groups
        and not scope.in_aggregate
        and not isinstance(node, (Literal, Variable))
        and not is_condition(node)
    ):
        groups, scope.groups, scope.complex_groups = scope.groups, None, False
        try:
            plain = _value(t, scope, node)
        finally:
            scope.groups, scope.complex_groups = groups, True
        if groups is not None and plain.sql in groups:
            return plain
    return _value(t, scope, node)


def _value(t: Translation, scope: Scope, node: Expression) -> Fragment:
    match node:
        case Literal(kind, text):
            return literal(t, kind, text)
        case Variable(name):
            return builtins.global_variable(t, name) if name.startswith("@@") else t.variable(name)
        case Column(parts):
            return scope.column(parts)
        case Unary(operator, operand) if operator != "NOT":
            return _unary(t, operator, value(t, scope, operand))
        case Binary(operator, left, right) if not is_condition(node):
            return binary(t, operator, value(t, scope, left), value(t, scope, right))
        case Case(operand, branches, otherwise):
            return _case(t, scope, operand, branches, otherwise)
        case Cast(inner, type_name, style, forgiving):
            return _cast(t, scope, inner, type_name, style, forgiving)
        case Collate(inner, collation):
            found = value(t, scope, inner)
            if not found.known_type.is_character:
                raise SqlError(447, f"Expression type {found.known_type.name} is invalid for COLLATE clause.", 16, 0)
            is_case_sensitive(collation)
            own = found.known_type
            if own.name not in UNICODE and is_utf8(own.collation) != is_utf8(collation):
                raise errors.unsupported_feature(f"COLLATE {collation} of {own.name} in {own.collation}")
            return Fragment(found.sql, SqlType(own.name, own.length, collation=collation), found.nullable)
        case Scalar(query):
            inner_query = queries.query(t, query, scope, nested="scalar")
            if len(inner_query.columns) != 1:
                text = "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS."
                raise SqlError(116, text, 16, 1)
            return Fragment(f"({inner_query.sql})", inner_query.columns[0].fragment.type)
        case Call():
            return builtins.call(t, scope, node)
        case AtTimeZone(inner, zone):
            return _at_time_zone(value(t, scope, inner), zone)
    raise errors.syntax(node.operator if isinstance(node, (Binary, Unary)) else "condition")


def literal(t: Translation, kind: str, text: str) -> Fragment:
    """A constant, typed as SQL Server types it."""
    match kind:
        case "null":
            return Fragment("NULL", None)
        case "string":
            clean = text.encode("cp1252", "replace").decode("cp1252") if not text.isascii() else text
            return t.stored(clean, varchar(max(1, len(clean)) if len(clean) <= 8000 else MAX))
        case "national":
            units = len(text.encode("utf-16-le", "surrogatepass")) // 2
            return t.stored(text, nvarchar(max(1, units) if units <= 4000 else MAX))
        case "integer":
            number = int(text)
            if number <= 2**31 - 1:
                return t.stored(number, INT)
            digits = text.lstrip("0")
            if len(digits) > 38:
                raise SqlError(
                    1007,
                    f"The number '{text}' is out of the range for numeric representation (maximum precision 38).",
                    15,
                    1,
                )
            return t.stored(digits, decimal(len(digits), 0))
        case "decimal":
            whole, _, fraction = text.partition(".")
            whole = whole.lstrip("0")
            shown = f"{whole or '0'}.{fraction}" if fraction else whole or "0"
            return t.stored(shown, decimal(max(1, min(38, len(whole) + len(fraction))), len(fraction)))
        case "float":
            mantissa, _, exponent = text.lower().partition("e")
            return t.stored(float(f"{mantissa}e{exponent or '0'}" if exponent not in ("+", "-") else mantissa), FLOAT)
    digits = text[2:]
    data = bytes.fromhex(digits.rjust(len(digits) + len(digits) % 2, "0"))
    return t.stored(data, varbinary(max(1, len(data)) if len(data) <= 8000 else MAX))


def binary(t: Translation, operator: str, left: Fragment, right: Fragment) -> Fragment:
    """Arithmetic, bitwise operators, and + of texts."""
    left, right = t.infer(left, right.type), t.infer(right, left.type)
    if left.type is None or right.type is None:
        kind = left.type or right.type or INT
        return Fragment("NULL", kind)
    nullable = left.nullable or right.nullable
    high = common(left.type, right.type)
    if operator == "+" and high.is_character:
        kind = _concatenated(left.type, right.type)
        return Fragment(
            f"({coerce(t, left, _as_text(left.type, high)).sql} || {coerce(t, right, _as_text(right.type, high)).sql})",
            kind,
            nullable,
        )
    if operator == "+" and left.type.is_binary and right.type.is_binary:
        return Fragment(f"CAST({left.sql} || {right.sql} AS BLOB)", high, nullable)
    if operator in "&|^":
        return _bitwise(t, operator, left, right, high)
    if high.name in ("datetime", "smalldatetime") and operator in "+-":
        raise errors.unsupported_feature(f"{high.name} {operator}")
    if not high.is_number or (high.is_integer and high.name == "bit" and operator not in "&|^"):
        word = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}[operator]
        raise SqlError(8117, f"Operand data type {high.name} is invalid for {word} operator.", 16, 1)
    if high.name in ("float", "real"):
        return _float_arithmetic(t, operator, left, right, nullable)
    if high.name == "decimal":
        shapes = [_decimal_shape(side, high) for side in (left, right)]
        kind = arithmetic(operator, *shapes)
        a, b = (coerce(t, side, shape).sql for side, shape in zip((left, right), shapes, strict=True))
        return Fragment(f"ts_decimal('{operator}', {a}, {b}, {kind.precision}, {kind.scale})", kind, nullable)
    a, b = coerce(t, left, high).sql, coerce(t, right, high).sql
    if operator in "/%" and not right.constant:
        function = "ts_divide" if operator == "/" else "ts_remainder"
        return Fragment(f"{function}({a}, {b})", high, nullable)
    return Fragment(f"({a} {operator} {b})", high, nullable)


def _decimal_shape(side: Fragment, high: SqlType) -> SqlType:
    """The decimal that a side counts as; a whole constant has just its digits."""
    if isinstance(side.constant, int):
        return decimal(len(str(abs(side.constant))), 0)
    return as_decimal(side.type if side.type is not None and side.type.is_number else high)


def _float_arithmetic(t: Translation, operator: str, left: Fragment, right: Fragment, nullable: bool) -> Fragment:
    if operator == "%":
        raise SqlError(402, "The data types float and float are incompatible in the modulo operator.", 16, 1)
    a, b = coerce(t, left, FLOAT).sql, coerce(t, right, FLOAT).sql
    if operator == "/" and not right.constant:
        return Fragment(f"ts_divide_floats({a}, {b})", FLOAT, nullable)
    return Fragment(f"({a} {operator} {b})", FLOAT, nullable)


def _bitwise(t: Translation, operator: str, left: Fragment, right: Fragment, high: SqlType) -> Fragment:
    if not high.is_integer:
        word = {"&": "'&'", "|": "'|'", "^": "'^'"}[operator]
        raise SqlError(
            402,
            f"The data types {left.known_type.name} and {right.known_type.name} are incompatible in the {word} operator.",
            16,
            1,
        )
    a, b = coerce(t, left, high).sql, coerce(t, right, high).sql
    sql = f"(({a} | {b}) - ({a} & {b}))" if operator == "^" else f"({a} {operator} {b})"
    return Fragment(sql, high, left.nullable or right.nullable)


def _as_text(kind: SqlType, high: SqlType) -> SqlType:
    return kind if kind.is_character else nvarchar() if high.name.startswith("n") else varchar()


def _concatenated(left: SqlType, right: SqlType) -> SqlType:
    kind = common(left, right)
    if MAX in (left.length, right.length):
        return kind
    limit = 4000 if kind.name.startswith("n") else 8000
    length = (left.length if left.is_character else 30) + (right.length if right.is_character else 30)
    return SqlType("nvarchar" if kind.name.startswith("n") else "varchar", min(limit, length), collation=kind.collation)


def _unary(t: Translation, operator: str, operand: Fragment) -> Fragment:
    kind = operand.known_type
    if operator == "+":
        return operand
    if not kind.is_number or kind.name == "bit":
        raise SqlError(
            8117,
            f"Operand data type {kind.name} is invalid for {'minus' if operator == '-' else 'bitwise NOT'} operator.",
            16,
            1,
        )
    if operator == "~":
        if not kind.is_integer:
            raise SqlError(8117, f"Operand data type {kind.name} is invalid for '~' operator.", 16, 1)
        return Fragment(f"(~{operand.sql})", kind, operand.nullable)
    if kind.name == "decimal":
        if isinstance(operand.constant, str):
            negated = "-" + operand.constant
            # -2147483648 is written with a minus before a number too large for int.
            return t.stored(negated, kind)
        return Fragment(f"ts_sign_decimal({operand.sql}, 'negate')", kind, operand.nullable)
    if isinstance(operand.constant, (int, float)):
        return t.stored(-operand.constant, kind)
    return Fragment(f"(-{operand.sql})", kind, operand.nullable)


def compare(t: Translation, operator: str, left: Fragment, right: Fragment) -> str:
    """A comparison of two values, after conversion to the type of higher precedence."""
    left, right = t.infer(left, right.type), t.infer(right, left.type)
    if left.type is None or right.type is None:
        return f"({left.sql} {operator} {right.sql})"
    if (_big_integer(left) and right.type.is_integer) or (_big_integer(right) and left.type.is_integer):
        # A whole number too large for int is a decimal by the letter; compared with whole numbers it may stay one.
        return f"({_plain(left)} {operator} {_plain(right)})"
    kind = common(left.type, right.type)
    if kind.name == "sql_variant":
        raise errors.unsupported_feature("comparison of sql_variant")
    if kind.name == "uniqueidentifier" and operator not in ("=", "<>"):
        raise errors.unsupported_feature("order of uniqueidentifier")
    if kind.name == "decimal":
        shapes = [
            as_decimal(side.type) if side.type is not None and side.type.is_number else kind for side in (left, right)
        ]
        return f"({coerce(t, left, shapes[0]).sql} {operator} {coerce(t, right, shapes[1]).sql} COLLATE TS_DECIMAL)"
    if kind.name in ("float", "real"):
        kind = FLOAT
    a, b = coerce(t, left, _comparable(left, kind)), coerce(t, right, _comparable(right, kind))
    if kind.is_character:
        wanted = "BINARY" if is_binary_pair(left.type, right.type) else "NOCASE"
        if wanted not in (left.collation, right.collation) or {left.collation, right.collation} == {"BINARY", "NOCASE"}:
            return f"({a.sql} {operator} ({b.sql}) COLLATE {wanted})"
        return f"({a.sql} {operator} {b.sql})"
    return f"({ordered(a, kind)} {operator} {ordered(b, kind)})"


def _comparable(side: Fragment, kind: SqlType) -> SqlType:
    """A text or moment is compared as it stands, not cut or rounded to the other side's size."""
    own = side.known_type
    if own.is_character and kind.is_character:
        return own
    if kind.is_character:
        return nvarchar() if kind.name.startswith("n") else varchar()
    if kind.name in ("time", "datetime2", "datetimeoffset"):
        return SqlType(kind.name, scale=7)
    return kind


def _big_integer(side: Fragment) -> bool:
    return (
        side.constant is not None
        and side.known_type.name == "decimal"
        and side.known_type.scale == 0
        and side.known_type.precision <= 18
    )


def _plain(side: Fragment) -> str:
    return f"({int(side.constant)})" if _big_integer(side) and side.constant is not None else side.sql


def _in_list(t: Translation, tested: Fragment, items: list[Fragment], negated: bool) -> str:
    kinds = {item.type for item in items}
    plain = tested.type is not None and all(kind is not None and (kind == tested.type or (kind.is_integer and tested.type.is_integer)
                                            or (kind.is_character and tested.type.is_character)) for kind in kinds)  # fmt: skip
    if (
        plain
        and tested.type is not None
        and tested.type.name not in ("decimal", "datetimeoffset", "sql_variant")
        and not any(
            kind is not None and is_binary_pair(tested.type, kind) != is_binary_pair(tested.type, tested.type)
            for kind in kinds
        )
    ):
        inner = f"({ordered(tested)} IN ({', '.join(item.sql for item in items)}))"
    else:
        inner = "(" + " OR ".join(compare(t, "=", tested, item) for item in items) + ")"
    return f"(NOT {inner})" if negated else inner


def _in_query(t: Translation, scope: Scope, tested: Fragment, node: object, negated: bool) -> str:
    from lpmops.sandbox.sql.syntax import Query

    assert isinstance(node, Query)
    inner = queries.query(t, node, scope, nested="in")
    if len(inner.columns) != 1:
        raise SqlError(
            116,
            "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
            16,
            1,
        )
    column = inner.columns[0].fragment
    tested = t.infer(tested, column.type)
    if tested.type is None or column.type is None:
        return f"({tested.sql} {'NOT ' if negated else ''}IN ({inner.sql}))"
    kind = common(tested.type, column.type)
    left = ordered(coerce(t, tested, _comparable(tested, kind)), kind)
    right = ordered(coerce(t, Fragment("c1", column.type), _comparable(column, kind)), kind)
    return f"({left} {'NOT ' if negated else ''}IN (SELECT {right} FROM ({inner.sql})))"


def _like(
    t: Translation, scope: Scope, tested: Expression, pattern: Expression, escape: Expression | None, negated: bool
) -> str:
    subject, shape = value(t, scope, tested), value(t, scope, pattern)
    subject, shape = t.infer(subject, nvarchar()), t.infer(shape, nvarchar())
    sensitive = any(is_binary_pair(kind, kind) for kind in (subject.known_type, shape.known_type))
    subject_sql = coerce(t, subject, subject.known_type if subject.known_type.is_character else nvarchar()).sql
    shape_sql = coerce(t, shape, shape.known_type if shape.known_type.is_character else nvarchar()).sql
    mark = value(t, scope, escape) if escape is not None else None
    if mark is not None and not (isinstance(mark.constant, str) and len(mark.constant) == 1):
        if mark.constant is not None:
            raise SqlError(
                506, f'The invalid escape character "{mark.constant!s}" was specified in a LIKE predicate.', 16, 1
            )
        raise errors.unsupported_feature("LIKE ... ESCAPE with a variable")
    word = "NOT LIKE" if negated else "LIKE"
    if isinstance(shape.constant, str) and "[" not in shape.constant and shape.constant.isascii() and not sensitive:
        suffix = f" ESCAPE {mark.sql}" if mark is not None else ""
        return f"({subject_sql} {word} {shape_sql}{suffix})"
    inner = f"ts_like({subject_sql}, {shape_sql}, {mark.sql if mark is not None else chr(39) * 2}, {int(sensitive)})"
    return f"(NOT {inner})" if negated else f"({inner} = 1)"


def unify(t: Translation, fragments: list[Fragment]) -> list[Fragment]:
    """Several possible values of one expression, all brought to their common type."""
    kind: SqlType | None = None
    for fragment in fragments:
        if fragment.type is not None:
            kind = fragment.type if kind is None else common(kind, fragment.type)
    if kind is None:
        return fragments
    return [coerce(t, fragment, kind) for fragment in fragments]


def _case(
    t: Translation,
    scope: Scope,
    operand: Expression | None,
    branches: tuple[tuple[Expression, Expression], ...],
    otherwise: Expression | None,
) -> Fragment:
    tested = value(t, scope, operand) if operand is not None else None
    conditions: list[str] = []
    for when, _ in branches:
        conditions.append(
            condition(t, scope, when) if tested is None else compare(t, "=", tested, value(t, scope, when))
        )
    results = [value(t, scope, then) for _, then in branches]
    results.append(value(t, scope, otherwise) if otherwise is not None else Fragment("NULL", None))
    if all(result.type is None for result in results):
        raise SqlError(
            8133,
            "At least one of the result expressions in a CASE specification must be an expression other than the NULL constant.",
            16,
            1,
        )
    results = unify(t, results)
    pieces = [f"WHEN {when} THEN {then.sql}" for when, then in zip(conditions, results, strict=False)]
    nullable = any(result.nullable for result in results)
    return Fragment(f"(CASE {' '.join(pieces)} ELSE {results[-1].sql} END)", results[0].known_type, nullable)


def choose(t: Translation, test: str, then: Fragment, otherwise: Fragment) -> Fragment:
    """IIF."""
    a, b = unify(t, [then, otherwise])
    return Fragment(f"(CASE WHEN {test} THEN {a.sql} ELSE {b.sql} END)", a.known_type, a.nullable or b.nullable)


def _cast(
    t: Translation, scope: Scope, inner: Expression, type_name: TypeName, style: Expression | None, forgiving: bool
) -> Fragment:
    target = resolve(type_name.name, type_name.arguments, t.catalog.collation, casting=True)
    operand = value(t, scope, inner)
    if operand.type is not None and operand.type.is_character and target.is_character:
        # Text that is cast keeps its collation.
        target = replace(target, collation=operand.type.collation)
    chosen = None
    if style is not None:
        found = value(t, scope, style)
        if not isinstance(found.constant, int):
            raise errors.unsupported_feature("CONVERT with a style that is not a constant")
        chosen = found.constant
    if (operand.known_type.is_temporal and target.is_character) or operand.known_type.is_binary or target.is_binary:
        return coerce(t, operand, target, explicit=True, style=chosen, forgiving=forgiving)
    if chosen not in (None, 0, 120, 121, 126, 127, 20, 21, 23, 112, 25, 3) or (
        chosen == 3 and not operand.known_type.name == "float"
    ):
        raise errors.unsupported_feature(f"CONVERT style {chosen} from {operand.known_type.name} to {target.name}")
    if operand.known_type.name in ("float", "real") and target.is_character and chosen:
        raise errors.unsupported_feature(f"CONVERT style {chosen} from float")
    return coerce(t, operand, target, explicit=True, forgiving=forgiving)


def _at_time_zone(operand: Fragment, zone: Expression) -> Fragment:
    if not (isinstance(zone, Literal) and zone.text.upper() == "UTC"):
        raise errors.unsupported_feature("AT TIME ZONE other than 'UTC'")
    kind = operand.known_type
    target = SqlType("datetimeoffset", scale=kind.scale)
    if kind.name == "datetimeoffset":
        return Fragment(f"(substr({operand.sql}, 1, 27) || '+00:00')", target, operand.nullable)
    if not kind.is_timestamp:
        raise SqlError(
            8116, f"Argument data type {kind.name} is invalid for argument 1 of AT TIME ZONE function.", 16, 1
        )
    return Fragment(f"({operand.sql} || '+00:00')", target, operand.nullable)


def whole_number(t: Translation, scope: Scope, node: Expression, least: int) -> str:
    """The count of TOP, OFFSET or FETCH. Raises SqlError 1060 for what is no whole number."""
    found = t.infer(value(t, scope, node), BIGINT)
    kind = found.known_type
    if (found.constant is None and found.sql == "NULL") or not kind.is_number:
        raise SqlError(
            1060,
            "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.",
            15,
            1,
        )
    if isinstance(found.constant, int) and found.constant < least:
        if least:
            raise SqlError(10744, "The number of rows provided for a FETCH clause must be greater then zero.", 15, 1)
        raise SqlError(
            1060,
            "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.",
            15,
            1,
        )
    return coerce(t, found, BIGINT).sql
