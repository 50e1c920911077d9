"""Expressions and conditions: what has a value in a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # A query is an operand, and an expression a part of a query: one of the two must come first.
    from lpmops.sandbox.sql.syntax.queries import Query


@dataclass(frozen=True, slots=True)
class TypeName:
    """A data type as written; -1 stands for max."""

    name: str
    arguments: tuple[int, ...] = ()


class Expression:
    """Any scalar expression or condition."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A constant; kind is string, national, integer, decimal, float, hex or null."""

    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Variable(Expression):
    """@name or @@name."""

    name: str


@dataclass(frozen=True, slots=True)
class Column(Expression):
    """A column reference with its qualifiers."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """-, +, ~ or NOT."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """Arithmetic, bitwise, comparison, AND or OR."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Between(Expression):
    """x [NOT] BETWEEN low AND high."""

    value: Expression
    low: Expression
    high: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class InList(Expression):
    """x [NOT] IN (a, b)."""

    value: Expression
    items: tuple[Expression, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class InQuery(Expression):
    """x [NOT] IN (SELECT ...)."""

    value: Expression
    query: Query
    negated: bool


@dataclass(frozen=True, slots=True)
class Like(Expression):
    """x [NOT] LIKE pattern [ESCAPE character]."""

    value: Expression
    pattern: Expression
    escape: Expression | None
    negated: bool


@dataclass(frozen=True, slots=True)
class IsNull(Expression):
    """x IS [NOT] NULL."""

    value: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class Exists(Expression):
    """EXISTS (SELECT ...)."""

    query: Query


@dataclass(frozen=True, slots=True)
class Scalar(Expression):
    """A query used as a value."""

    query: Query


@dataclass(frozen=True, slots=True)
class Case(Expression):
    """CASE, simple (with operand) or searched."""

    operand: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None


@dataclass(frozen=True, slots=True)
class Cast(Expression):
    """CAST, CONVERT and their TRY_ forms."""

    value: Expression
    type: TypeName
    style: Expression | None
    forgiving: bool


@dataclass(frozen=True, slots=True)
class Collate(Expression):
    """x COLLATE name."""

    value: Expression
    collation: str


@dataclass(frozen=True, slots=True)
class AtTimeZone(Expression):
    """x AT TIME ZONE zone."""

    value: Expression
    zone: Expression


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One item of ORDER BY."""

    value: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """OVER (...); the frame as SQL text is made of fixed words and numbers only."""

    partition: tuple[Expression, ...] = ()
    order: tuple[OrderItem, ...] = ()
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A function, aggregate or window function; the name in capitals, with its schema where one is written."""

    name: str
    arguments: tuple[Expression, ...] = ()
    star: bool = False
    distinct: bool = False
    within: tuple[OrderItem, ...] = ()
    window: Window | None = None
