"""Expressions as DuckDB SQL, once the kinds of the columns are known.

Kinds are those of the events at hand: the same expression gives other SQL when a field holds numbers instead of texts, which keeps the service's rule
that values, not columns, have types. Comparisons of kinds that do not go together match nothing (asa-query/reference-data-join).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lpmops.sandbox.asa.conversion import Typed, cast, failure, literal, null, number
from lpmops.sandbox.asa.diagnostics import QueryRuntimeError
from lpmops.sandbox.asa.expressions import (
    Aggregate,
    AggregateRef,
    Binary,
    Call,
    Case,
    Cast,
    Expression,
    In,
    KeyRef,
    Literal,
    Logical,
    Ref,
    Timestamp,
    Unary,
)
from lpmops.sandbox.asa.kinds import Kind, common
from lpmops.sandbox.asa.scalar_functions import call

# A cast says its operand several times, so nesting multiplies.
_LONGEST = 1_000_000

Lookup = Callable[[Ref | KeyRef | AggregateRef | Timestamp], Typed]


def translate(node: Expression, lookup: Lookup) -> Typed:
    """SQL for an expression, where `lookup` knows the columns."""

    value = _translate(node, lookup)
    if len(value.sql) > _LONGEST:
        raise QueryRuntimeError("An expression is nested too deeply for this sandbox.")
    return value


def _translate(node: Expression, lookup: Lookup) -> Typed:
    def down(inner: Expression) -> Typed:
        return translate(inner, lookup)

    match node:
        case Ref() | KeyRef() | AggregateRef() | Timestamp():
            return lookup(node)
        case Literal(value=value):
            return _constant(value)
        case Cast(operand=operand, kind=kind, lenient=lenient):
            return cast(down(operand), kind, lenient)
        case Binary(operator=operator, left=left, right=right):
            return _binary(operator, down(left), down(right))
        case Logical(operator=operator, operands=operands):
            return Typed("(" + f" {operator} ".join(down(operand).sql for operand in operands) + ")", Kind.BIT)
        case Unary(operator="NOT", operand=operand):
            return Typed(f"(NOT {down(operand).sql})", Kind.BIT)
        case Unary(operator="IS NULL", operand=operand):
            return Typed(f"({down(operand).sql} IS NULL)", Kind.BIT)
        case Unary(operand=operand):
            negated = number(down(operand))
            return Typed(f"(-{negated.sql})", negated.kind)
        case In(operand=operand, options=options):
            sought = down(operand)
            return Typed(
                "(" + " OR ".join(compare("=", sought, down(option)).sql for option in options) + ")", Kind.BIT
            )
        case Case(branches=branches, otherwise=otherwise):
            return _case([(down(when), down(then)) for when, then in branches], down(otherwise))
        case Call(name=name, arguments=arguments):
            return call(name, [down(argument) for argument in arguments], compare)
        case Aggregate():
            raise AssertionError("aggregates are taken out of expressions when a query is compiled")


def compare(operator: str, left: Typed, right: Typed) -> Typed:
    """SQL for a comparison."""
    kinds = {left.kind, right.kind}
    if kinds == {Kind.DATETIME, Kind.NVARCHAR}:
        left, right = (cast(side, Kind.DATETIME, lenient=True) for side in (left, right))
    elif Kind.BIT in kinds and kinds & {Kind.BIGINT, Kind.FLOAT}:
        left, right = number(left), number(right)
    elif len(kinds) > 1 and not (left.kind.numeric and right.kind.numeric):
        return null(Kind.BIT)
    if left.kind in (Kind.NULL, Kind.RECORD, Kind.ARRAY):
        return null(Kind.BIT)
    return Typed(f"({left.sql} {operator} {right.sql})", Kind.BIT)


def _constant(value: str | int | float | None) -> Typed:
    if value is None:
        return null()
    if isinstance(value, str):
        return Typed(literal(value), Kind.NVARCHAR)
    if isinstance(value, int):
        return Typed(f"CAST({value} AS BIGINT)", Kind.BIGINT)
    return Typed(f"CAST({value!r} AS DOUBLE)", Kind.FLOAT)


def _binary(operator: str, left: Typed, right: Typed) -> Typed:
    if operator == "LIKE":
        return _like(left, right)
    if operator in ("=", "<>", "<", "<=", ">", ">="):
        return compare(operator, left, right)
    if operator == "+" and left.kind is right.kind is Kind.NVARCHAR:
        return Typed(f"({left.sql} || {right.sql})", Kind.NVARCHAR)
    left, right = number(left), number(right)
    if left.kind is right.kind is Kind.BIGINT:
        if operator in ("/", "%"):
            # Assumed: two whole numbers divide as in T-SQL, and a division by zero is an error.
            guarded = f"CASE WHEN {right.sql} = 0 THEN CAST({failure('Division by zero.', right.sql)} AS BIGINT) ELSE {right.sql} END"
            return Typed(f"({left.sql} {'//' if operator == '/' else '%'} {guarded})", Kind.BIGINT)
        return Typed(f"({left.sql} {operator} {right.sql})", Kind.BIGINT)
    return Typed(f"(CAST({left.sql} AS DOUBLE) {operator} CAST({right.sql} AS DOUBLE))", Kind.FLOAT)


def _like(value: Typed, pattern: Typed) -> Typed:
    if value.kind is not Kind.NVARCHAR:
        return null(Kind.BIT)
    if "[" not in pattern.sql:
        return Typed(f"({value.sql} LIKE {pattern.sql})", Kind.BIT)
    wanted = pattern.sql[1:-1].replace("''", "'")
    return Typed(f"regexp_full_match({value.sql}, {literal('(?s)' + _regular(wanted))})", Kind.BIT)


def _regular(pattern: str) -> str:
    """A LIKE pattern with [sets] as a regular expression."""
    parts: list[str] = []
    for piece in re.findall(r"\[\^?\]?[^\]]*\]|.", pattern, re.DOTALL):
        if piece == "%":
            parts.append(".*")
        elif piece == "_":
            parts.append(".")
        elif len(piece) > 1:
            inverse = piece[1] == "^"
            parts.append(
                "[" + ("^" if inverse else "") + re.sub(r"([\\\[\]^])", r"\\\1", piece[2 if inverse else 1 : -1]) + "]"
            )
        else:
            parts.append(re.escape(piece))
    return "".join(parts)


def _case(branches: list[tuple[Typed, Typed]], otherwise: Typed) -> Typed:
    kind = common({otherwise.kind, *(then.kind for _, then in branches)})
    if kind is Kind.NULL:
        return null()
    when = " ".join(f"WHEN {condition.sql} THEN {as_kind(then, kind).sql}" for condition, then in branches)
    return Typed(f"(CASE {when} ELSE {as_kind(otherwise, kind).sql} END)", kind)


def as_kind(value: Typed, kind: Kind) -> Typed:
    """A value as the common kind of several."""
    return value if value.kind is kind else cast(value, kind, lenient=False)
