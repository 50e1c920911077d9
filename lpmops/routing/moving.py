"""The text that carries rows from one landing table to another: as a JSON list of lists, each value read back as its column's type."""

from __future__ import annotations

from collections.abc import Sequence

from lpmops.routing import quoting
from lpmops.routing.landing import FoundColumn
from lpmops.routing.schema import fill


def insert_statement(columns: Sequence[FoundColumn]) -> str:
    """The statement that adds such lists to `lpm.tdr`; each list has the values of these columns in their order."""
    names = ", ".join(quoting.identifier(column.name) for column in columns)
    declared = ", ".join(
        f"{quoting.identifier(column.name)} {column.type} '$[{place}]'" for place, column in enumerate(columns)
    )
    return fill("rows_copy", names=names, declared=declared)


def unmovable(source: Sequence[FoundColumn], target: Sequence[FoundColumn]) -> tuple[str, ...]:
    """The columns of one table that the other has not, whose values would be lost on the way."""
    there = {column.name.casefold() for column in target}
    return tuple(column.name for column in source if not column.generated and column.name.casefold() not in there)
