"""Functions that choose one of their arguments: IIF, COALESCE, ISNULL, NULLIF, CHOOSE, GREATEST, LEAST."""

from __future__ import annotations

from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import Call
from lpmops.sandbox.sql.translate import expressions
from lpmops.sandbox.sql.translate.builtins.given import Functions, Handler, as_whole, values
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation


def _iif(t: Translation, scope: Scope, node: Call) -> Fragment:
    test = expressions.condition(t, scope, node.arguments[0])
    return expressions.choose(t, test, *(expressions.value(t, scope, argument) for argument in node.arguments[1:]))


def _coalesce(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = expressions.unify(t, values(t, scope, node))
    if all(fragment.type is None for fragment in given):
        raise SqlError(
            4127,
            "At least one of the arguments to COALESCE must be an expression that is not the NULL constant.",
            16,
            1,
        )
    return Fragment(f"coalesce({', '.join(f.sql for f in given)})", given[0].known_type, all(f.nullable for f in given))


def _is_null(t: Translation, scope: Scope, node: Call) -> Fragment:
    """ISNULL gives the first argument's type, and cuts text to its size."""
    first, second = values(t, scope, node)
    kind = first.type or second.known_type
    other = coerce(t, second, kind, explicit=kind.is_character)
    return Fragment(f"ifnull({first.sql}, {other.sql})", kind, first.nullable and other.nullable)


def _null_if(t: Translation, scope: Scope, node: Call) -> Fragment:
    first, second = values(t, scope, node)
    return Fragment(
        f"(CASE WHEN {expressions.compare(t, '=', first, second)} THEN NULL ELSE {first.sql} END)", first.known_type
    )


def _choose(t: Translation, scope: Scope, node: Call) -> Fragment:
    index = as_whole(t, expressions.value(t, scope, node.arguments[0]))
    given = expressions.unify(t, [expressions.value(t, scope, argument) for argument in node.arguments[1:]])
    cases = " ".join(f"WHEN {place} THEN {fragment.sql}" for place, fragment in enumerate(given, 1))
    return Fragment(f"(CASE {index} {cases} END)", given[0].known_type)


def _extreme(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        """GREATEST and LEAST pass over NULLs, unlike SQLite's max and min."""
        best, *rest = expressions.unify(t, values(t, scope, node))
        sign = ">" if function == "max" else "<"
        for other in rest:
            better = expressions.compare(t, sign, other, best)
            sql = f"(CASE WHEN {best.sql} IS NULL THEN {other.sql} WHEN {better} THEN {other.sql} ELSE {best.sql} END)"
            best = Fragment(sql, best.known_type, best.nullable and other.nullable)
        return best

    return handler


FUNCTIONS: Functions = {
    "IIF": (3, 3, _iif),
    "COALESCE": (2, 1000, _coalesce),
    "ISNULL": (2, 2, _is_null),
    "NULLIF": (2, 2, _null_if),
    "CHOOSE": (2, 255, _choose),
    "GREATEST": (1, 254, _extreme("max")),
    "LEAST": (1, 254, _extreme("min")),
}
