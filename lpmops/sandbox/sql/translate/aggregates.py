"""Aggregates and window functions, and where they may stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import Call, Literal, OrderItem, Query, Window
from lpmops.sandbox.sql.translate import expressions
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, ordered
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import BIGINT, FLOAT, INT, MAX, SqlType, decimal, nvarchar, varchar

_AGGREGATES = frozenset({"COUNT", "COUNT_BIG", "SUM", "AVG", "MIN", "MAX", "STRING_AGG", "STDEV", "STDEVP", "VAR", "VARP",
                         "APPROX_PERCENTILE_CONT", "APPROX_PERCENTILE_DISC"})  # fmt: skip
_RANKINGS = {"ROW_NUMBER": (BIGINT, False), "RANK": (BIGINT, False), "DENSE_RANK": (BIGINT, False), "NTILE": (BIGINT, True),
             "PERCENT_RANK": (FLOAT, False), "CUME_DIST": (FLOAT, False)}  # fmt: skip
_OFFSETS = frozenset({"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE"})
_PERCENTILES = frozenset({"PERCENTILE_CONT", "PERCENTILE_DISC"})


def handles(node: Call) -> bool:
    """Whether a call is an aggregate or a window function."""
    return node.name in _AGGREGATES or node.name in _RANKINGS or node.name in _OFFSETS or node.name in _PERCENTILES


def is_aggregate(node: Call) -> bool:
    """Whether a call makes the query a grouped one."""
    return node.name in _AGGREGATES and node.window is None


def contained(node: object) -> Iterator[Call]:
    """Every call in an expression, not looking into queries of their own."""
    pending = [node]
    while pending:
        found = pending.pop()
        if isinstance(found, Query):
            continue
        if isinstance(found, Call):
            yield found
        if isinstance(found, tuple):
            pending.extend(found)
        elif is_dataclass(found):
            pending.extend(getattr(found, entry.name) for entry in fields(found))


def has_aggregate(*nodes: object) -> bool:
    """Whether any of these expressions holds an aggregate."""
    return any(is_aggregate(call) for node in nodes for call in contained(node))


def call(t: Translation, scope: Scope, node: Call) -> Fragment:
    """An aggregate or window function. Raises SqlError 147, 130, 4108, 10753 for one that stands where it may not."""
    if node.name in _RANKINGS or node.name in _OFFSETS or node.name in _PERCENTILES:
        if node.window is None:
            raise SqlError(10753, f"The function '{node.name}' must have an OVER clause.", 15, 3)
        _check_place(scope)
        return _window_function(t, scope, node, node.window)
    if node.window is not None:
        _check_place(scope)
        return _aggregate(t, scope, node, over=f" OVER {window(t, scope, node.window)}")
    if scope.in_aggregate:
        raise SqlError(
            130, "Cannot perform an aggregate function on an expression containing an aggregate or a subquery.", 15, 1
        )
    if scope.aggregates:
        raise SqlError(*_PLACES[scope.aggregates], 15, 1)
    scope.in_aggregate = True
    try:
        return _aggregate(t, scope, node, over="")
    finally:
        scope.in_aggregate = False


_PLACES = {
    "where": (147, "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, "
                   "and the column being aggregated is an outer reference."),
    "on": (1015, "An aggregate cannot appear in an ON clause unless it is in a subquery contained in a HAVING clause or select list, "
                 "and the column being aggregated is an outer reference."),
    "group": (144, "Cannot use an aggregate or a subquery in an expression used for the group by list of a GROUP BY clause."),
    "set": (157, "An aggregate may not appear in the set list of an UPDATE statement."),
}  # fmt: skip


def _check_place(scope: Scope) -> None:
    if scope.aggregates or scope.clause == "HAVING":
        raise SqlError(4108, "Windowed functions can only appear in the SELECT or ORDER BY clauses.", 15, 1)


def window(t: Translation, scope: Scope, node: Window) -> str:
    """OVER (...)."""
    parts: list[str] = []
    if node.partition:
        parts.append("PARTITION BY " + ", ".join(ordered(expressions.value(t, scope, item)) for item in node.partition))
    if node.order:
        parts.append("ORDER BY " + ", ".join(order_item(t, scope, item) for item in node.order))
    if node.frame:
        if not node.order:
            raise SqlError(10756, "Window frame with ROWS or RANGE must have an ORDER BY clause.", 15, 1)
        parts.append(node.frame)
    return f"({' '.join(parts)})"


def order_item(t: Translation, scope: Scope, item: OrderItem) -> str:
    """One ordered expression; constants are refused as SQL Server refuses them."""
    if isinstance(item.value, Literal) and item.value.kind != "null":
        raise SqlError(
            5308,
            "Windowed functions, aggregates and NEXT VALUE FOR functions do not support integer indices as ORDER BY clause expressions.",
            16,
            1,
        )
    found = expressions.value(t, scope, item.value)
    check_sortable(found)
    return ordered(found) + (" DESC" if item.descending else "")


def check_sortable(found: Fragment) -> None:
    """Refuse an order that this server cannot keep."""
    if found.type is not None and found.type.name in ("uniqueidentifier", "sql_variant"):
        raise errors.unsupported_feature(f"order of {found.type.name}")


def _single(t: Translation, scope: Scope, node: Call) -> Fragment:
    if len(node.arguments) != 1:
        raise SqlError(174, f"The {node.name} function requires 1 argument(s).", 15, 1)
    return expressions.value(t, scope, node.arguments[0])


def _aggregate(t: Translation, scope: Scope, node: Call, over: str) -> Fragment:
    if node.distinct and over:
        raise SqlError(10759, "Use of DISTINCT is not allowed with the OVER clause.", 15, 1)
    if node.name in ("COUNT", "COUNT_BIG"):
        kind = INT if node.name == "COUNT" else BIGINT
        if node.star:
            return Fragment(f"count(*){over}", kind, nullable=False)
        return Fragment(f"count({_argument(node, _single(t, scope, node))}){over}", kind, nullable=False)
    if node.star:
        raise errors.syntax("*")
    if node.name == "STRING_AGG":
        return _joined(t, scope, node, over)
    if node.name.startswith("APPROX_PERCENTILE"):
        return _percentile(t, scope, node, over)
    given = t.infer(_single(t, scope, node), FLOAT)
    kind = given.known_type
    if node.name in ("MIN", "MAX"):
        check_sortable(given)
        if kind.name == "bit":
            raise SqlError(8117, f"Operand data type bit is invalid for {node.name.lower()} operator.", 16, 1)
        return Fragment(f"{node.name.lower()}({_comparable(given)}){over}", kind)
    if not kind.is_number or kind.name == "bit":
        raise SqlError(8117, f"Operand data type {kind.name} is invalid for {node.name.lower()} operator.", 16, 1)
    if node.name in ("STDEV", "STDEVP", "VAR", "VARP"):
        if over or node.distinct:
            raise errors.unsupported_feature(f"{node.name} with {'OVER' if over else 'DISTINCT'}")
        return Fragment(f"ts_spread({coerce(t, given, FLOAT).sql}, '{node.name}')", FLOAT)
    return _sum(node, given, over)


def _comparable(given: Fragment) -> str:
    """The argument of MIN and MAX: compared by its type, yet whole."""
    return given.sql if given.known_type.name == "datetimeoffset" else ordered(given)


def _argument(node: Call, given: Fragment) -> str:
    return f"DISTINCT {ordered(given)}" if node.distinct else given.sql


def _sum(node: Call, given: Fragment, over: str) -> Fragment:
    kind = given.known_type
    if kind.name in ("float", "real"):
        return Fragment(f"{'sum' if node.name == 'SUM' else 'avg'}({_argument(node, given)}){over}", FLOAT)
    if kind.name == "decimal":
        if node.distinct:
            raise errors.unsupported_feature(f"{node.name} (DISTINCT decimal)")
        mean = node.name == "AVG"
        result = decimal(38, max(kind.scale, 6) if mean else kind.scale)
        return Fragment(f"ts_sum_decimal({given.sql}, {result.precision}, {result.scale}, {int(mean)}){over}", result)
    result_type = BIGINT if kind.name == "bigint" else INT
    argument = _argument(node, given)
    if node.name == "AVG":
        return Fragment(f"(sum({argument}){over} / count({argument}){over})", result_type)
    return Fragment(f"ts_range(sum({argument}){over}, '{result_type.name}')", result_type)


def _joined(t: Translation, scope: Scope, node: Call, over: str) -> Fragment:
    if len(node.arguments) != 2:
        raise SqlError(174, "The STRING_AGG function requires 2 argument(s).", 15, 1)
    if over or node.distinct:
        raise SqlError(
            4113,
            "The function 'STRING_AGG' is not a valid windowing function, and cannot be used with the OVER clause.",
            16,
            1,
        )
    if node.within:
        raise errors.unsupported_feature("STRING_AGG WITHIN GROUP")
    given, separator = (expressions.value(t, scope, argument) for argument in node.arguments)
    source = given.known_type
    kind = (nvarchar if source.name.startswith("n") or not source.is_character else varchar)(
        MAX if source.length == MAX else 4000
    )
    joined = coerce(t, given, nvarchar() if not source.is_character else source)
    return Fragment(f"group_concat({joined.sql}, {coerce(t, separator, nvarchar()).sql})", kind)


def _percentile(t: Translation, scope: Scope, node: Call, over: str) -> Fragment:
    if len(node.arguments) != 1 or len(node.within) != 1:
        raise SqlError(10754, f"The function '{node.name}' must have a WITHIN GROUP clause.", 15, 1)
    fraction = coerce(t, expressions.value(t, scope, node.arguments[0]), FLOAT)
    if not isinstance(fraction.constant, float) or not 0 <= fraction.constant <= 1:
        raise SqlError(10752, f"The function '{node.name}' requires a number between 0.0 and 1.0.", 15, 1)
    given = expressions.value(t, scope, node.within[0].value)
    if not given.known_type.is_number:
        raise SqlError(
            8117, f"Operand data type {given.known_type.name} is invalid for {node.name.lower()} operator.", 16, 1
        )
    interpolate = node.name.endswith("CONT")
    descending = node.within[0].descending
    if descending and not interpolate:
        raise errors.unsupported_feature(f"{node.name} with DESC")
    kind = FLOAT if interpolate else given.known_type
    if kind.name == "decimal":
        raise errors.unsupported_feature(f"{node.name} of decimal")
    value = coerce(t, given, FLOAT) if interpolate else given
    return Fragment(f"ts_percentile({value.sql}, {fraction.sql}, {int(interpolate)}, {int(descending)}){over}", kind)


def _window_function(t: Translation, scope: Scope, node: Call, node_window: Window) -> Fragment:
    if node.name in _PERCENTILES:
        if node_window.order or node_window.frame:
            raise SqlError(10758, f"The function '{node.name}' may not have ORDER BY in OVER clause.", 15, 1)
        return _percentile(t, scope, node, f" OVER {window(t, scope, node_window)}")
    if not node_window.order:
        raise SqlError(4112, f"The function '{node.name}' must have an OVER clause with ORDER BY.", 15, 1)
    if node.name in _RANKINGS:
        kind, has_argument = _RANKINGS[node.name]
        if node_window.frame:
            raise SqlError(10752, f"The function '{node.name}' may not have a window frame.", 15, 1)
        if len(node.arguments) != int(has_argument):
            raise SqlError(174, f"The {node.name.lower()} function requires {int(has_argument)} argument(s).", 15, 1)
        inner = coerce(t, expressions.value(t, scope, node.arguments[0]), BIGINT).sql if has_argument else ""
        return Fragment(f"{node.name.lower()}({inner}) OVER {window(t, scope, node_window)}", kind, nullable=False)
    return _neighbour(t, scope, node, node_window)


def _neighbour(t: Translation, scope: Scope, node: Call, node_window: Window) -> Fragment:
    most = 3 if node.name in ("LAG", "LEAD") else 1
    if not 1 <= len(node.arguments) <= most:
        raise SqlError(174, f"The {node.name.lower()} function requires {most} argument(s).", 15, 1)
    given, *rest = (expressions.value(t, scope, argument) for argument in node.arguments)
    kind: SqlType = given.known_type
    arguments = [given.sql]
    if rest:
        arguments.append(coerce(t, rest[0], BIGINT).sql)
    if len(rest) > 1:
        arguments.append(coerce(t, rest[1], kind).sql)
    return Fragment(f"{node.name.lower()}({', '.join(arguments)}) OVER {window(t, scope, node_window)}", kind)
