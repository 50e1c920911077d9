"""Leaving out what no one reads: hidden columns that were only a station on the way to a field, and with them the fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lpmops.sandbox.asa.dialect import SYSTEM_COLUMNS
from lpmops.sandbox.asa.expressions import META, Expression, Path, Ref, children
from lpmops.sandbox.asa.plan import HIDDEN, Input, Item, Select, Star, Statement, Step


def paths_read(inputs: Iterable[str], steps: Sequence[Step], statements: Sequence[Statement]) -> dict[str, list[Path]]:
    """Drop unread hidden columns from the steps; return the fields that are read of each input, in order of use."""
    paths: dict[str, dict[Path, None]] = {name: {} for name in inputs}
    wanted: dict[Step, set[str]] = {step: set() for step in steps}

    def read(select: Select) -> None:
        for node in _expressions(select):
            if isinstance(select.source, Step):
                wanted[select.source] |= {str(ref.key) for ref in _stream_refs(node)}
            else:
                paths[select.source.name].update(
                    (ref.key, None) for ref in _stream_refs(node) if not isinstance(ref.key, str)
                )
        if isinstance(select.source, Input) and any(
            isinstance(item, Star) and item.origin == 0 for item in select.items
        ):
            paths[select.source.name].update(((META, name), None) for name in SYSTEM_COLUMNS)

    for statement in statements:
        for select in statement.selects:
            read(select)
    # A step is read by later ones only.
    for step in reversed(steps):
        for select in step.selects:
            select.items = [
                item
                for item in select.items
                if isinstance(item, Star) or not item.key.startswith(HIDDEN) or item.key in wanted[step]
            ]
            read(select)
    return {name: list(found) for name, found in paths.items()}


def _expressions(select: Select) -> Iterator[Expression]:
    yield from (join.condition for join in select.joins)
    if select.where is not None:
        yield select.where
    if select.window is not None:
        yield from (*select.window.keys, *select.window.aggregates)
    else:
        yield from (item.expression for item in select.items if isinstance(item, Item))


def _stream_refs(node: Expression) -> Iterator[Ref]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Ref) and one.origin == 0:
            yield one
        waiting += children(one)
