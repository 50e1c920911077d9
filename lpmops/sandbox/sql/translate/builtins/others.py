"""Functions of JSON, hashes and identifiers."""

from __future__ import annotations

from lpmops.sandbox.sql.syntax import Call
from lpmops.sandbox.sql.translate import expressions
from lpmops.sandbox.sql.translate.builtins.given import Functions, Handler, as_text, values
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import INT, UNIQUEIDENTIFIER, nvarchar, varbinary


def _json(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        given = [as_text(t, fragment).sql for fragment in values(t, scope, node)]
        sql = f"{function}({given[0]}, {given[1] if len(given) > 1 else chr(39) + '$' + chr(39)})"
        return Fragment(sql, nvarchar(4000) if function == "ts_json_value" else nvarchar(), True)

    return handler


def _is_json(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = as_text(t, expressions.value(t, scope, node.arguments[0])).sql
    # ISJSON is 1 for an object or array alone; SQLite calls a bare number valid too.
    start = f"substr(ltrim({given}, char(32, 9, 10, 13)), 1, 1)"
    return Fragment(
        f"(CASE WHEN {given} IS NULL THEN NULL ELSE json_valid({given}) AND {start} IN ('{{', '[') END)", INT, True
    )


def _hash_bytes(t: Translation, scope: Scope, node: Call) -> Fragment:
    algorithm, data = values(t, scope, node)
    whole = data.known_type.is_binary or data.known_type.is_utf8
    given = coerce(t, data if whole else as_text(t, data), varbinary(), explicit=True)
    return Fragment(f"ts_hash_bytes({as_text(t, algorithm).sql}, {given.sql})", varbinary(8000), True)


def _new_id(_t: Translation, _scope: Scope, _node: Call) -> Fragment:
    return Fragment("ts_newid()", UNIQUEIDENTIFIER, nullable=False)


FUNCTIONS: Functions = {
    "JSON_VALUE": (2, 2, _json("ts_json_value")),
    "JSON_QUERY": (1, 2, _json("ts_json_query")),
    "ISJSON": (1, 1, _is_json),
    "HASHBYTES": (2, 2, _hash_bytes),
    "NEWID": (0, 0, _new_id),
}
