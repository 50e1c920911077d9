"""Reading sqlglot's tree: dotted names, functions' names, and where in the text a node is."""

from __future__ import annotations

from typing import Any

from sqlglot import exp


def dotted(node: Any) -> list[str] | None:
    """The names of a dotted column, or None where the node is something else."""
    if isinstance(node, exp.Dot):
        owner = dotted(node.this)
        return [*owner, str(node.expression.name)] if owner and isinstance(node.expression, exp.Identifier) else None
    if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
        return None
    return [str(part.name) for part in (node.args.get(level) for level in ("catalog", "db", "table", "this")) if part]


def function_name(call: Any) -> str:
    """The name of a function, upper case."""
    return str(call.this).partition(" ")[2]


def place(node: Any) -> tuple[int, int]:
    """Where a node is in the text: from its first word to its last."""
    found = [part.meta for part in node.walk() if "start" in part.meta]
    if not found:
        return (0, 1) if node.parent is None else place(node.parent)
    return min(meta["start"] for meta in found), max(meta["end"] for meta in found) + 1
