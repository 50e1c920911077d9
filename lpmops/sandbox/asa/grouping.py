"""GROUP BY with a tumbling window: what is a key, what is counted, and what a SELECT may say of it.

Source: asa-query/group-by (a window is required), asa-query/tumbling-window (units, at most 7 days, Duration and Offset).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lpmops.sandbox.asa import dialect, plan
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
    Logical,
    Ref,
    Timestamp,
    Unary,
    contains_aggregate,
)
from lpmops.sandbox.asa.parsed import dotted, function_name

if TYPE_CHECKING:
    from lpmops.sandbox.asa.lowering import Lowering
    from lpmops.sandbox.asa.scalars import ScalarLowering

# The service's own words: Azure-Samples/azureiotlabs#8.
_ONLY = (
    "Column '{}' cannot be used in SELECT clause when GROUP BY clause is present. Only aggregating expressions and the expressions specified in the "
    "GROUP BY clause are allowed."
)


def is_grouped(tree: Any, items: list[plan.Item | plan.Star], having: Expression | None) -> bool:
    """Whether a SELECT counts over a window rather than looking at one event."""
    aggregated = any(isinstance(item, plan.Item) and contains_aggregate(item.expression) for item in items)
    return bool(tree.args.get("group")) or aggregated or (having is not None and contains_aggregate(having))


def grouped(
    lowering: Lowering,
    tree: Any,
    scalars: ScalarLowering,
    items: list[plan.Item | plan.Star],
    having: Expression | None,
) -> tuple[plan.Window, list[plan.Item | plan.Star]]:
    """The window of a grouped SELECT, and its items in terms of keys and aggregates. Raises CompileError."""
    group = tree.args.get("group")
    if group is None:
        # asa-query/snapshot-window quotes the words.
        raise lowering.error("A window must be specified: aggregate functions need GROUP BY with a window.", tree)
    keys: list[Expression] = []
    window: tuple[int, int] | None = None
    for node in group.expressions:
        if isinstance(node, exp.Anonymous) and function_name(node) in dialect.TUMBLING:
            if window is not None:
                raise lowering.error("GROUP BY takes one window.", node)
            window = _window(lowering, node)
            continue
        key = scalars.lower(node)
        if isinstance(key, Timestamp):
            raise lowering.refuse("GROUP BY System.Timestamp() (snapshot window)", node)
        if contains_aggregate(key):
            raise lowering.error("An aggregate function cannot be a key of GROUP BY.", node)
        keys.append(key)
    if window is None:
        raise lowering.error("A window must be specified in GROUP BY.", group)
    state = _Grounding(tuple(keys))
    grounded: list[plan.Item | plan.Star] = []
    for item, node in zip(items, tree.expressions, strict=False):
        if (
            isinstance(item, plan.Star)
            or isinstance(node, exp.Star)
            or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))
        ):
            raise lowering.error(_ONLY.format("*"), node)
        grounded.append(plan.Item(item.key, item.name, _ground(lowering, state, item.expression, node)))
    condition = None if having is None else _ground(lowering, state, having, tree.args["having"])
    return plan.Window(*window, tuple(keys), tuple(state.aggregates), condition), grounded


@dataclass(slots=True)
class _Grounding:
    keys: tuple[Expression, ...]
    aggregates: list[Aggregate] = field(default_factory=list)


def _ground(lowering: Lowering, state: _Grounding, node: Expression, at: Any) -> Expression:
    """The same expression over keys and aggregates; a column that is neither is an error."""

    def down(inner: Expression) -> Expression:
        return _ground(lowering, state, inner, at)

    if node in state.keys:
        return KeyRef(state.keys.index(node))
    match node:
        case Aggregate():
            if node not in state.aggregates:
                state.aggregates.append(node)
            return AggregateRef(state.aggregates.index(node))
        case Ref():
            raise lowering.error(
                _ONLY.format(".".join(dotted(at) or [str(getattr(at, "alias_or_name", "") or "?")])), at
            )
        case Call():
            return replace(node, arguments=tuple(map(down, node.arguments)))
        case In():
            return replace(node, operand=down(node.operand), options=tuple(map(down, node.options)))
        case Cast() | Unary():
            return replace(node, operand=down(node.operand))
        case Binary():
            return replace(node, left=down(node.left), right=down(node.right))
        case Logical():
            return replace(node, operands=tuple(map(down, node.operands)))
        case Case():
            return Case(tuple((down(when), down(then)) for when, then in node.branches), down(node.otherwise))
        case _:
            return node


def _window(lowering: Lowering, node: Any) -> tuple[int, int]:
    """Size and offset in microseconds."""
    arguments = list(node.expressions)
    if arguments and isinstance(arguments[0], exp.Anonymous):
        size = _span(lowering, node, "DURATION", arguments[0])
        offset = _span(lowering, node, "OFFSET", arguments[1]) if len(arguments) == 2 else 0
        if len(arguments) > 2:
            raise lowering.error("TumblingWindow takes a Duration and an Offset.", node)
    else:
        if len(arguments) not in (2, 3):
            raise lowering.error("TumblingWindow takes a unit and a number.", node)
        unit = _unit(lowering, arguments[0])
        size = _amount(lowering, unit, arguments[1])
        offset = _amount(lowering, unit, arguments[2]) if len(arguments) == 3 else 0
    if not 0 < size <= dialect.LONGEST_WINDOW:
        raise lowering.error("The size of a window must be greater than zero and at most 7 days.", node)
    return size, offset


def _span(lowering: Lowering, window: Any, name: str, node: Any) -> int:
    if not isinstance(node, exp.Anonymous) or function_name(node) != name or len(node.expressions) != 2:
        raise lowering.error(f"TumblingWindow takes {name.capitalize()}(unit, number) here.", window)
    return _amount(lowering, _unit(lowering, node.expressions[0]), node.expressions[1])


def _unit(lowering: Lowering, node: Any) -> str:
    words = dotted(node) or []
    unit = dialect.UNIT_OF.get(words[0].lower(), "") if len(words) == 1 else ""
    if unit not in dialect.MICROSECONDS:
        raise lowering.error("The unit of a window is day, hour, minute, second, millisecond or microsecond.", node)
    return unit


def _amount(lowering: Lowering, unit: str, node: Any) -> int:
    negative = isinstance(node, exp.Neg)
    number = node.this if negative else node
    if not isinstance(number, exp.Literal) or number.is_string:
        raise lowering.error("The size of a window must be a constant number.", node)
    microseconds = float(number.this) * dialect.MICROSECONDS[unit]
    if microseconds != int(microseconds):
        raise lowering.error("The size of a window must be a whole number of microseconds.", node)
    return -int(microseconds) if negative else int(microseconds)
