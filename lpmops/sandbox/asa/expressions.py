"""Expressions of the language once names are resolved: values that say what is meant, not how it was written.

A column is a Ref to one of the sources of its SELECT: 0 is the stream (an input or a WITH step), 1 and up are the joined reference inputs. Its key
is a path into the event for an input (property names and array indexes), and a column's name for everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

from lpmops.sandbox.asa.kinds import Kind

Path = tuple[str | int, ...]

# A path that starts so is about the event itself, one that ends so asks for the length of an array; no JSON text needs them.
META = "\x00meta"
LENGTH = "\x00length"


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A constant; 1 and 1.0 are two, because what they are written out as differs."""

    value: str | int | float | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


@dataclass(frozen=True, slots=True)
class Ref:
    """A column of one of the sources."""

    origin: int
    key: Path | str


@dataclass(frozen=True, slots=True)
class Timestamp:
    """System.Timestamp(): the event's time, or the end of the window."""


@dataclass(frozen=True, slots=True)
class Call:
    """A scalar function; the unit of the date functions is its first argument, as text."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """CAST, or TRY_CAST where `lenient`."""

    operand: Expression
    kind: Kind
    lenient: bool


@dataclass(frozen=True, slots=True)
class Case:
    """CASE; the simple form has become comparisons."""

    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic (+ - * / %), comparison (= <> < <= > >=) or LIKE."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Logical:
    """AND or OR over any number of conditions, flat, because generated queries have hundreds."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """NOT, - or IS NULL."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class In:
    """IN with a list."""

    operand: Expression
    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate function; COUNT(*) has no argument, percentiles have a fraction."""

    name: str
    argument: Expression | None
    distinct: bool = False
    fraction: float = 0.0
    descending: bool = False


@dataclass(frozen=True, slots=True)
class KeyRef:
    """One of the GROUP BY expressions, by its place."""

    index: int


@dataclass(frozen=True, slots=True)
class AggregateRef:
    """One of the aggregates of a grouped SELECT, by its place."""

    index: int


Expression = (
    Literal | Ref | Timestamp | Call | Cast | Case | Binary | Logical | Unary | In | Aggregate | KeyRef | AggregateRef
)


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one."""
    match node:
        case Call(arguments=arguments):
            return arguments
        case Cast(operand=operand) | Unary(operand=operand):
            return (operand,)
        case Case(branches=branches, otherwise=otherwise):
            return (*(part for branch in branches for part in branch), otherwise)
        case Binary(left=left, right=right):
            return (left, right)
        case In(operand=operand, options=options):
            return (operand, *options)
        case Logical(operands=operands):
            return operands
        case Aggregate(argument=argument):
            return () if argument is None else (argument,)
        case _:
            return ()


def contains_aggregate(node: Expression) -> bool:
    """Whether an aggregate function is anywhere inside."""
    return isinstance(node, Aggregate) or any(map(contains_aggregate, children(node)))


def conjuncts(condition: Expression | None) -> tuple[Expression, ...]:
    """The conditions that must all hold for this one to hold."""
    if condition is None:
        return ()
    return condition.operands if isinstance(condition, Logical) and condition.operator == "AND" else (condition,)
