"""From parsed expressions to resolved ones: every function by name, every constant by type, every column by source.

What the parser knows and the language has not is refused at its place in the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lpmops.sandbox.asa import dialect
from lpmops.sandbox.asa.expressions import (
    LENGTH,
    Aggregate,
    Binary,
    Call,
    Case,
    Cast,
    Expression,
    In,
    Literal,
    Logical,
    Timestamp,
    Unary,
    contains_aggregate,
)
from lpmops.sandbox.asa.kinds import LARGEST_BIGINT, Kind
from lpmops.sandbox.asa.parsed import dotted, function_name
from lpmops.sandbox.asa.tokens import TIMESTAMP

if TYPE_CHECKING:
    from lpmops.sandbox.asa.lowering import Lowering, Scope

_BINARY = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">",
    exp.GTE: ">=", exp.Like: "LIKE",
}  # fmt: skip
COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">=", "LIKE"})
_TYPES = {
    "BIGINT": Kind.BIGINT,
    "FLOAT": Kind.FLOAT,
    "DOUBLE": Kind.FLOAT,
    "DATETIME": Kind.DATETIME,
    "BIT": Kind.BIT,
    "ARRAY": Kind.ARRAY,
}


class ScalarLowering:
    """Lowers the expressions of one SELECT. Raises CompileError."""

    def __init__(self, lowering: Lowering, scope: Scope) -> None:
        self._lowering, self._scope = lowering, scope

    def lower(self, node: Any) -> Expression:
        """One expression."""
        if isinstance(node, exp.Paren):
            return self.lower(node.this)
        if isinstance(node, (exp.And, exp.Or)):
            operands = tuple(self.lower(operand) for operand in node.flatten())
            return Logical("AND" if isinstance(node, exp.And) else "OR", operands)
        if type(node) in _BINARY:
            return self._binary(node)
        names = dotted(node)
        if names is not None:
            return self._lowering.column(self._scope, names, node)
        if isinstance(node, (exp.Literal, exp.National, exp.Null, exp.Neg)):
            return self._constant(node)
        if isinstance(node, exp.Anonymous):
            return self._call(node)
        if isinstance(node, exp.Cast):
            return Cast(self.lower(node.this), self._type(node), isinstance(node, exp.TryCast))
        if isinstance(node, exp.Window):
            return self._percentile(node)
        return self._condition(node)

    def both(self, left: Expression | None, right: Expression) -> Expression:
        """A condition that holds where both hold."""
        return right if left is None else Logical("AND", (left, right))

    def _condition(self, node: Any) -> Expression:
        if isinstance(node, exp.Not):
            return Unary("NOT", self.lower(node.this))
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            return self._negated(node, Unary("IS NULL", self.lower(node.this)))
        if isinstance(node, exp.In) and not node.args.get("query"):
            return self._negated(node, In(self.lower(node.this), tuple(map(self.lower, node.expressions))))
        if isinstance(node, exp.Between):
            operand = self.lower(node.this)
            low, high = (
                Binary(">=", operand, self.lower(node.args["low"])),
                Binary("<=", operand, self.lower(node.args["high"])),
            )
            return self._negated(node, Logical("AND", (low, high)))
        if isinstance(node, exp.Case):
            return self._case(node)
        if isinstance(node, exp.Boolean):
            raise self._lowering.error("There are no boolean constants; use CAST(1 AS bit).", node)
        raise self._lowering.refuse(f"This use of {type(node).__name__.upper()}", node)

    def _negated(self, node: Any, condition: Expression) -> Expression:
        return Unary("NOT", condition) if node.args.get("negate") else condition

    def _binary(self, node: Any) -> Expression:
        if isinstance(node, exp.Like) and not isinstance(node.expression, (exp.Literal, exp.National)):
            raise self._lowering.refuse("LIKE with a pattern that is not a constant", node)
        return self._negated(node, Binary(_BINARY[type(node)], self.lower(node.this), self.lower(node.expression)))

    def _case(self, node: Any) -> Expression:
        if node.args.get("default") is None:
            # asa-query/case: "Both formats require an ELSE argument."
            raise self._lowering.error("CASE needs ELSE.", node)
        subject = self.lower(node.this) if node.this is not None else None
        branches = []
        for branch in node.args["ifs"]:
            when = self.lower(branch.this)
            if subject is not None:
                when = Binary("=", subject, when)
            elif not is_condition(when):
                raise self._lowering.error("WHEN needs a condition, such as a comparison.", branch)
            branches.append((when, self.lower(branch.args["true"])))
        return Case(tuple(branches), self.lower(node.args["default"]))

    def _constant(self, node: Any) -> Expression:
        if isinstance(node, exp.Null):
            return Literal(None)
        if isinstance(node, exp.Neg):
            inner = self.lower(node.this)
            if isinstance(inner, Literal) and isinstance(inner.value, (int, float)):
                return Literal(-inner.value)
            return Unary("-", inner)
        text = str(node.this)
        if isinstance(node, exp.National) or node.is_string:
            return Literal(text)
        if not text.isdigit():
            return Literal(float(text))
        # One more than the largest is allowed here, because the smallest is its negation.
        if int(text) > LARGEST_BIGINT + 1:
            raise self._lowering.error(f"The number {text[:40]} is outside the range of bigint.", node)
        return Literal(int(text))

    def _type(self, node: Any) -> Kind:
        to = node.args["to"]
        name = str(to.this.value if hasattr(to.this, "value") else to.this).upper()
        if name == "USER-DEFINED" and str(to.args.get("kind", "")).lower() == "record":
            return Kind.RECORD
        sizes = [str(size.this).upper() for size in to.expressions]
        if name == "NVARCHAR" and sizes == ["MAX"]:
            return Kind.NVARCHAR
        if name in _TYPES and not sizes:
            return _TYPES[name]
        held = "bigint, float, nvarchar(max), datetime, bit, record and array"
        raise self._lowering.error(f"The type {to.sql('tsql')} does not exist; there are {held}.", node)

    def _call(self, node: Any) -> Expression:
        name, arguments = function_name(node), list(node.expressions)
        if name == TIMESTAMP:
            return Timestamp()
        if name in dialect.AGGREGATES:
            return self._aggregate(node, name, arguments)
        if name not in dialect.SCALAR:
            raise self._lowering.error(f"{name} can be used in GROUP BY only.", node)
        least, most = dialect.SCALAR[name]
        if not least <= len(arguments) <= most:
            raise self._lowering.error(
                f"{name} takes {least if least == most else f'{least} or more'} arguments, not {len(arguments)}.", node
            )
        if name.startswith("GET") and name != "GETTYPE":
            return self._access(node, name, arguments)
        if name in ("DATEADD", "DATEDIFF", "DATEPART"):
            unit = Literal(self._unit(name, arguments[0]))
            return Call(name, (unit, *map(self.lower, arguments[1:])))
        return Call(name, tuple(map(self.lower, arguments)))

    def _unit(self, name: str, node: Any) -> str:
        words = dotted(node) or []
        unit = dialect.UNIT_OF.get(words[0].lower()) if len(words) == 1 else None
        if unit is None:
            raise self._lowering.error(f"The first argument of {name} must be a part of a date, such as minute.", node)
        return unit

    def _access(self, node: Any, name: str, arguments: list[Any]) -> Expression:
        """Functions that look into an event; what they look for must be a constant, so that it can be looked up where the event enters."""
        wanted = self.lower(arguments[1]) if len(arguments) > 1 else Literal(LENGTH)
        value = wanted.value if isinstance(wanted, Literal) else None
        if name == "GETMETADATAPROPERTYVALUE" and isinstance(value, str):
            return self._lowering.metadata(self._scope, dotted(arguments[0]) or [], value, node)
        if name == "GETARRAYELEMENT" and isinstance(value, int) and value >= 0:
            return self._lowering.nested(self._scope, self.lower(arguments[0]), (value,), node)
        if name in ("GETRECORDPROPERTYVALUE", "GETARRAYLENGTH") and isinstance(value, str):
            return self._lowering.nested(self._scope, self.lower(arguments[0]), (value,), node)
        raise self._lowering.refuse(f"{name} with a second argument that is not a fitting constant", node)

    def _aggregate(self, node: Any, name: str, arguments: list[Any]) -> Expression:
        if name.startswith("PERCENTILE"):
            raise self._lowering.error(f"{name} needs OVER (ORDER BY ...).", node)
        if name == "COUNT" and (not arguments or isinstance(arguments[0], exp.Star) or self._is_source(arguments[0])):
            return Aggregate(name, None)
        if len(arguments) != 1:
            raise self._lowering.error(f"{name} takes 1 argument, not {len(arguments)}.", node)
        distinct = isinstance(arguments[0], exp.Distinct)
        inner = arguments[0].expressions[0] if distinct else arguments[0]
        if distinct and (name != "COUNT" or len(arguments[0].expressions) != 1 or self._is_source(inner)):
            raise self._lowering.refuse(f"This use of DISTINCT in {name}", node)
        return Aggregate(name, self._plain(inner), distinct=distinct)

    def _is_source(self, node: Any) -> bool:
        """COUNT(input) counts events."""
        names = dotted(node)
        return names is not None and len(names) == 1 and names[0].casefold() in self._scope.aliases

    def _plain(self, node: Any) -> Expression:
        inner = self.lower(node)
        if contains_aggregate(inner):
            raise self._lowering.error("An aggregate function cannot be inside another.", node)
        return inner

    def _percentile(self, node: Any) -> Expression:
        call, order = node.this, node.args.get("order")
        name = function_name(call) if isinstance(call, exp.Anonymous) else ""
        if not name.startswith("PERCENTILE"):
            raise self._lowering.refuse(f"{name or 'This expression'} with OVER", node)
        fraction = self.lower(call.expressions[0]) if len(call.expressions) == 1 else None
        value = fraction.value if isinstance(fraction, Literal) else None
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise self._lowering.error(f"{name} takes a number between 0 and 1.", node)
        if order is None or len(order.expressions) != 1 or node.args.get("partition_by"):
            raise self._lowering.error(f"{name} needs OVER (ORDER BY expression), with one expression.", node)
        ordered = order.expressions[0]
        return Aggregate(
            name, self._plain(ordered.this), fraction=float(value), descending=bool(ordered.args.get("desc"))
        )


def is_condition(node: Expression) -> bool:
    """Whether an expression says yes or no."""
    match node:
        case Binary(operator=operator):
            return operator in COMPARISONS
        case Unary(operator=operator):
            return operator in ("NOT", "IS NULL")
        case Case(branches=branches):
            return all(is_condition(then) for _, then in branches)
        case _:
            return isinstance(node, (Logical, In))
