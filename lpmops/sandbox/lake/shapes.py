"""Over which versions the change feed can be read in one go: a column that went or changed its type divides them (docs.delta.io, change data feed).

A range is read with the table's newest columns, or, where columns are mapped, with those of its end. Whatever lies in the range must be readable so:
columns may come in it and may not go. Pure but for the commits' metadata, which come from the log.
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
    return {field["name"]: json.dumps(field["type"], sort_keys=True) for field in json.loads(schema)["fields"]}


def divided_at(first: Shape, changes: Sequence[tuple[int, Mapping[str, Any]]], read: Shape) -> int | None:
    """The version from which on a range is readable as `read`, because what is before it is not; None where all of it is.

    `first` is what the range begins with, `changes` are the commits in it that carry metadata.
    """
    divided = None
    before = first
    for version, metadata in changes:
        if not before.items() <= read.items():
            divided = version
        before = shape_of(metadata["schemaString"])
    return divided
