"""What every function does with what it is given: translates it, and brings it to text or to a whole number."""

from __future__ import annotations

from collections.abc import Callable

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.syntax import Call
from lpmops.sandbox.sql.translate import expressions
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import BIGINT, is_binary_pair, nvarchar

Handler = Callable[[Translation, Scope, Call], Fragment]
# Functions by name: least and most arguments, and what translates a call.
Functions = dict[str, tuple[int, int, Handler]]


def values(t: Translation, scope: Scope, node: Call) -> list[Fragment]:
    """The arguments of a call, translated."""
    return [expressions.value(t, scope, argument) for argument in node.arguments]


def as_text(t: Translation, fragment: Fragment) -> Fragment:
    """An argument that must be characters; numbers and moments become them. Raises SqlError 40514 for UTF-8, whose lengths count bytes."""
    fragment = t.infer(fragment, nvarchar())
    if fragment.known_type.is_utf8:
        raise errors.unsupported_feature(f"a function of text in {fragment.known_type.collation}")
    return (
        fragment if fragment.known_type.is_character and fragment.type is not None else coerce(t, fragment, nvarchar())
    )


def as_whole(t: Translation, fragment: Fragment) -> str:
    """An argument that must be a whole number."""
    return coerce(t, fragment, BIGINT).sql


def case_sensitive(*fragments: Fragment) -> int:
    """1 where one of them compares by its code points, else 0: the flag of the functions that search."""
    return int(any(is_binary_pair(fragment.known_type, fragment.known_type) for fragment in fragments))


def any_nullable(fragments: list[Fragment]) -> bool:
    """Whether one of them may be NULL."""
    return any(fragment.nullable for fragment in fragments)
