"""Functions of text: lengths, parts, places, replacement, joining, characters."""

from __future__ import annotations

from lpmops.sandbox.sql.syntax import Call
from lpmops.sandbox.sql.translate import expressions
from lpmops.sandbox.sql.translate.builtins.given import (
    Functions,
    Handler,
    any_nullable,
    as_text,
    as_whole,
    case_sensitive,
    values,
)
from lpmops.sandbox.sql.translate.fragment import Fragment
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import BIGINT, INT, MAX, SqlType, nvarchar, varchar


def _length(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = expressions.value(t, scope, node.arguments[0])
    if given.known_type.is_binary:
        return Fragment(f"length({given.sql})", INT, given.nullable)
    found = as_text(t, given)
    return Fragment(f"ts_length({found.sql})", BIGINT if found.known_type.length == MAX else INT, found.nullable)


def _data_length(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = expressions.value(t, scope, node.arguments[0])
    kind = given.known_type
    result = BIGINT if kind.length == MAX else INT
    if kind.is_binary:
        return Fragment(f"length({given.sql})", result, given.nullable)
    if kind.is_character:
        size = (
            "ts_utf16({0}) * 2"
            if kind.name.startswith("n")
            else "length(CAST({0} AS BLOB))"
            if kind.is_utf8
            else "length({0})"
        )
        return Fragment(
            f"(CASE WHEN {given.sql} IS NULL THEN NULL ELSE {size.format(given.sql)} END)", result, given.nullable
        )
    return Fragment(f"(CASE WHEN {given.sql} IS NULL THEN NULL ELSE {kind.max_length()} END)", INT, given.nullable)


def _same_text(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        found = as_text(t, expressions.value(t, scope, node.arguments[0]))
        return Fragment(f"{function}({found.sql})", found.known_type, found.nullable)

    return handler


def _trim(sides: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        found = as_text(t, expressions.value(t, scope, node.arguments[0]))
        return Fragment(f"{sides}({found.sql}, ' ')", found.known_type, found.nullable)

    return handler


def _substring(t: Translation, scope: Scope, node: Call) -> Fragment:
    first, start, length = values(t, scope, node)
    given = first if first.known_type.is_binary else as_text(t, first)
    kind = given.known_type
    if isinstance(length.constant, int) and length.constant > 0 and kind.length != MAX:
        kind = SqlType(kind.name, min(kind.length, length.constant), collation=kind.collation)
    return Fragment(f"ts_substring({given.sql}, {as_whole(t, start)}, {as_whole(t, length)})", kind, True)


def _edge(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        first, length = values(t, scope, node)
        given = as_text(t, first)
        return Fragment(
            f"{function}({given.sql}, {as_whole(t, length)})", given.known_type, any_nullable([given, length])
        )

    return handler


def _char_index(t: Translation, scope: Scope, node: Call) -> Fragment:
    wanted, given, *rest = values(t, scope, node)
    wanted, given = as_text(t, wanted), as_text(t, given)
    start = as_whole(t, rest[0]) if rest else "1"
    kind = BIGINT if given.known_type.length == MAX else INT
    return Fragment(f"ts_char_index({wanted.sql}, {given.sql}, {start}, {case_sensitive(wanted, given)})", kind, True)


def _replace(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = [as_text(t, fragment) for fragment in values(t, scope, node)]
    wide = MAX if given[0].known_type.length == MAX else (4000 if given[0].known_type.name.startswith("n") else 8000)
    kind = nvarchar(wide) if given[0].known_type.name.startswith("n") else varchar(wide)
    return Fragment(
        f"ts_replace({', '.join(f.sql for f in given)}, {case_sensitive(*given)})", kind, any_nullable(given)
    )


def _stuff(t: Translation, scope: Scope, node: Call) -> Fragment:
    first, start, length, new = values(t, scope, node)
    given, inserted = as_text(t, first), as_text(t, new)
    return Fragment(
        f"ts_stuff({given.sql}, {as_whole(t, start)}, {as_whole(t, length)}, {inserted.sql})", nvarchar(), True
    )


def _joined(function: str, separator: bool) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        given = [as_text(t, fragment) for fragment in values(t, scope, node)]
        kinds = [fragment.known_type for fragment in given]
        unicode = any(kind.name.startswith("n") for kind in kinds)
        limit = 4000 if unicode else 8000
        total = (
            MAX
            if any(kind.length == MAX for kind in kinds)
            else min(limit, sum(kind.length for kind in kinds) + (len(kinds) if separator else 0))
        )
        kind = nvarchar(total) if unicode else varchar(total)
        return Fragment(f"{function}({', '.join(f.sql for f in given)})", kind, nullable=False)

    return handler


def _quote_name(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = [as_text(t, fragment).sql for fragment in values(t, scope, node)]
    return Fragment(
        f"ts_quote_name({given[0]}, {given[1] if len(given) > 1 else chr(39) + '[' + chr(39)})", nvarchar(258)
    )


def _replicate(t: Translation, scope: Scope, node: Call) -> Fragment:
    first, count = values(t, scope, node)
    given = as_text(t, first)
    return Fragment(
        f"ts_replicate({given.sql}, {as_whole(t, count)})",
        nvarchar() if given.known_type.name.startswith("n") else varchar(),
        True,
    )


def _space(t: Translation, scope: Scope, node: Call) -> Fragment:
    return Fragment(
        f"ts_replicate(' ', {as_whole(t, expressions.value(t, scope, node.arguments[0]))})", varchar(8000), True
    )


def _character(limit: int) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        code = as_whole(t, expressions.value(t, scope, node.arguments[0]))
        return Fragment(f"ts_character({code}, {limit})", varchar(1) if limit == 255 else nvarchar(1), True)

    return handler


def _unicode(t: Translation, scope: Scope, node: Call) -> Fragment:
    return Fragment(f"ts_unicode({as_text(t, expressions.value(t, scope, node.arguments[0])).sql})", INT, True)


FUNCTIONS: Functions = {
    "LEN": (1, 1, _length),
    "DATALENGTH": (1, 1, _data_length),
    "UPPER": (1, 1, _same_text("ts_upper")),
    "LOWER": (1, 1, _same_text("ts_lower")),
    "REVERSE": (1, 1, _same_text("ts_reverse")),
    "LTRIM": (1, 1, _trim("ltrim")),
    "RTRIM": (1, 1, _trim("rtrim")),
    "TRIM": (1, 1, _trim("trim")),
    "SUBSTRING": (3, 3, _substring),
    "LEFT": (2, 2, _edge("ts_left")),
    "RIGHT": (2, 2, _edge("ts_right")),
    "CHARINDEX": (2, 3, _char_index),
    "REPLACE": (3, 3, _replace),
    "STUFF": (4, 4, _stuff),
    "CONCAT": (2, 254, _joined("ts_concat", False)),
    "CONCAT_WS": (3, 254, _joined("ts_concat_ws", True)),
    "QUOTENAME": (1, 2, _quote_name),
    "REPLICATE": (2, 2, _replicate),
    "SPACE": (1, 1, _space),
    "CHAR": (1, 1, _character(255)),
    "NCHAR": (1, 1, _character(65535)),
    "ASCII": (1, 1, _unicode),
    "UNICODE": (1, 1, _unicode),
}
