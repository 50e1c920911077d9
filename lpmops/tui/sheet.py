"""What can be taken from a screen: the thing under the cursor to copy, and the whole table to save.

Both hold what is seen, masked as it is seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lpmops.model import to_data
from lpmops.plain_text import escaped


@dataclass(frozen=True, slots=True)
class Copyable:
    """What is under the cursor: its `cell` (its name), its `row` as text, its `data` for JSON, and the `command` that mends it, if any."""

    cell: str
    row: str
    data: Any
    command: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it is seen: filtered and sorted. `name` becomes part of the file's name; each row maps a column to a plain value."""

    name: str
    rows: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def plain_rows(self) -> list[dict[str, Any]]:
        """The rows in plain JSON values."""
        return [{key: to_data(value) for key, value in row.items()} for row in self.rows]


def json_text(value: Any) -> str:
    """`value` as indented JSON that is safe to show."""
    return escaped(json.dumps(to_data(value), ensure_ascii=False, indent=2, allow_nan=False)) + "\n"
