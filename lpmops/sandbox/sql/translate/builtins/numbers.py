"""Functions of numbers: rounding, powers, signs."""

from __future__ import annotations

from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import Call
from lpmops.sandbox.sql.translate import expressions
from lpmops.sandbox.sql.translate.builtins.given import Functions, Handler, as_whole
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import FLOAT, decimal


def _numeric(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = t.infer(expressions.value(t, scope, node.arguments[0]), FLOAT)
    kind = given.known_type
    if kind.is_character:
        return coerce(t, given, FLOAT)
    if not kind.is_number:
        raise SqlError(
            8116, f"Argument data type {kind.name} is invalid for argument 1 of {node.name.lower()} function.", 16, 1
        )
    return given


def _absolute(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = _numeric(t, scope, node)
    sql = f"ts_sign_decimal({given.sql}, 'abs')" if given.known_type.name == "decimal" else f"abs({given.sql})"
    return Fragment(sql, given.known_type, given.nullable)


def _to_whole(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        given = _numeric(t, scope, node)
        kind = given.known_type
        if kind.is_integer:
            return given
        if kind.name == "decimal":
            return Fragment(f"ts_sign_decimal({given.sql}, '{function}')", decimal(kind.precision, 0), given.nullable)
        mode = (
            "CAST({0} AS INTEGER) + ({0} > CAST({0} AS INTEGER))"
            if function == "ceiling"
            else "CAST({0} AS INTEGER) - ({0} < CAST({0} AS INTEGER))"
        )
        return Fragment(f"CAST({mode.format(given.sql)} AS REAL)", FLOAT, given.nullable)

    return handler


def _round(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = _numeric(t, scope, node)
    rest = [as_whole(t, expressions.value(t, scope, argument)) for argument in node.arguments[1:]]
    kind = given.known_type
    precision, scale = (kind.precision, kind.scale) if kind.name == "decimal" else (0, 0)
    sql = f"ts_round({given.sql}, {rest[0]}, {rest[1] if len(rest) > 1 else 0}, {precision}, {scale})"
    return Fragment(sql, FLOAT if kind.name == "real" else kind, given.nullable)


def _float_function(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        given = coerce(t, _numeric(t, scope, node), FLOAT)
        return Fragment(f"{function}({given.sql})", FLOAT, given.nullable)

    return handler


def _power(t: Translation, scope: Scope, node: Call) -> Fragment:
    base, exponent = (coerce(t, expressions.value(t, scope, argument), FLOAT) for argument in node.arguments)
    kind = _numeric(t, scope, node).known_type
    powered = Fragment(f"ts_power({base.sql}, {exponent.sql})", FLOAT, base.nullable or exponent.nullable)
    return powered if kind.name in ("float", "real") else coerce(t, powered, kind, explicit=True)


def _square(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = coerce(t, _numeric(t, scope, node), FLOAT)
    return Fragment(f"ts_power({given.sql}, 2.0)", FLOAT, given.nullable)


def _sign(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = _numeric(t, scope, node)
    signed = Fragment(f"sign(CAST({given.sql} AS REAL))", FLOAT, given.nullable)
    return Fragment(f"CAST({signed.sql} AS INTEGER)", given.known_type, given.nullable) if given.known_type.is_integer else coerce(
        t, signed, given.known_type, explicit=True)  # fmt: skip


def _pi(_t: Translation, _scope: Scope, _node: Call) -> Fragment:
    return Fragment("3.141592653589793", FLOAT, nullable=False)


FUNCTIONS: Functions = {
    "ABS": (1, 1, _absolute),
    "CEILING": (1, 1, _to_whole("ceiling")),
    "FLOOR": (1, 1, _to_whole("floor")),
    "ROUND": (2, 3, _round),
    "POWER": (2, 2, _power),
    "SQUARE": (1, 1, _square),
    "SQRT": (1, 1, _float_function("ts_sqrt")),
    "LOG": (1, 1, _float_function("ts_log")),
    "LOG10": (1, 1, _float_function("ts_log10")),
    "EXP": (1, 1, _float_function("ts_exp")),
    "SIGN": (1, 1, _sign),
    "PI": (0, 0, _pi),
}
