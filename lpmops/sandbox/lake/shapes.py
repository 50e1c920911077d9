"""Over which versions the change feed can be read in one go: a column that went or changed its type divides them (docs.delta.io, change data feed).

A range is read with the table's newest columns, or, where columns are mapped, with those of its end. Whatever lies in the range must be readable so:
columns may come in it and may not go. Where they do not, Delta names the first commit within the range that says otherwise, or else its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

MAPPING_PROPERTY = "delta.columnMapping.mode"
Shape = Mapping[str, str]


def is_mapped(configuration: Mapping[str, str | None]) -> bool:
    """Whether columns can go without a rewrite of the table."""
    return str(configuration.get(MAPPING_PROPERTY) or "none").lower() != "none"


def shape_of(schema: str) -> Shape:
    """The columns of a schema string of the log, each with its type."""
    return {field["name"]: json.dumps(_bare(field["type"]), sort_keys=True) for field in json.loads(schema)["fields"]}


def _bare(kind: Any) -> Any:
    """A type without what is noted about its inner fields, such as their ids."""
    if isinstance(kind, dict):
        return {name: _bare(value) for name, value in kind.items() if name != "metadata"}
    return [_bare(each) for each in kind] if isinstance(kind, list) else kind


def is_readable(shape: Shape, read: Shape) -> bool:
    """Whether rows of one shape can be read as another: each of their columns is there, of the same type."""
    return shape.items() <= read.items()


def divided_at(changes: Sequence[tuple[int, Mapping[str, Any]]], read: Shape) -> int | None:
    """The first of the commits that carry metadata whose columns can't be read as `read`; None where there is none."""
    shaped = ((version, shape_of(metadata["schemaString"])) for version, metadata in changes)
    return next((version for version, shape in shaped if not is_readable(shape, read)), None)
