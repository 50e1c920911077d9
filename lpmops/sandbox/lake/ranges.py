"""Which ranges of a table's change feed can be read, and with which columns; what can't is refused by Delta's error class.

Reads the log's commits of a range, and a whole snapshot only where one of them carries metadata. What a call found about the feed is kept for the
next, because a stream asks for one range after the other. From any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lpmops.sandbox.lake import errors, log, shapes

if TYPE_CHECKING:
    from lpmops.sandbox.lake.table import ChangeTable


class Ranges:
    """The ranges of one table, until it is made anew."""

    def __init__(self, table: ChangeTable) -> None:
        self._table = table
        # Up to which version the feed was looked at last, and whether it was on there.
        self._seen: tuple[int, bool] | None = None

    def checked(self, start: int, end: int | None) -> int:
        """The end of a range, the newest version where none is given. Raises DeltaFeedError as `ChangeTable.changes` says."""
        latest, earliest = self._table.latest_version(), self._table.earliest_version()
        if start > latest:
            raise errors.start_after_latest(start, latest)
        if end is None:
            end = latest
        if end < start:
            raise errors.invalid_range(start, end)
        if end > latest:
            # Documented as an error; that it is this class is assumed.
            raise errors.version_not_found(end, earliest, latest)
        if start < earliest:
            raise errors.version_not_found(start, earliest, latest)
        metadata = log.metadata_between(self._table.folder, start + 1, end)
        off = self._first_without_feed(start, end, log.feed_switches(metadata))
        if off is not None:
            raise errors.missing_change_data(start, end, off)
        if metadata:
            self._check_shape(start, end, metadata)
        return end

    def _first_without_feed(self, start: int, end: int, switches: Sequence[tuple[int, bool]]) -> int | None:
        """The first version in [start, end] at which the feed was off; a commit that switches it on counts as on."""
        if not self._is_on_at(start):
            return start
        off = next((version for version, on in switches if not on), None)
        self._seen = (end, switches[-1][1] if switches else True)
        return off

    def _is_on_at(self, version: int) -> bool:
        seen = self._seen
        if seen is None or not max(seen[0], self._table.earliest_version()) <= version <= seen[0] + 100:
            return log.feed_is_on(self._table.snapshot(version).metadata().configuration)
        switches = log.feed_switches(log.metadata_between(self._table.folder, seen[0] + 1, version))
        return switches[-1][1] if switches else seen[1]

    def _check_shape(self, start: int, end: int, metadata: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        read_at = self._read_at(end)
        first, read = (self._table.snapshot(version).schema().to_json() for version in (start, read_at))
        divided = shapes.divided_at(metadata, shapes.shape_of(read))
        if divided is not None:
            raise errors.incompatible_schema_change(start, end, read, read_at, divided)
        if not shapes.is_readable(shapes.shape_of(first), shapes.shape_of(read)):
            raise errors.incompatible_data_schema(start, end, read, read_at, start)

    def _read_at(self, end: int) -> int:
        """The version whose columns a range that ends so is read with."""
        return end if shapes.is_mapped(self._table.properties()) else self._table.latest_version()

    def columns(self, end: int) -> pa.Schema:
        """The columns with which a range that ends at a version is read."""
        version = self._read_at(end)
        if version == self._table.latest_version():
            return self._table.arrow_schema()
        return pa.schema(self._table.snapshot(version).schema().to_arrow())

    def changed_at(self, start: int, end: int) -> int | None:
        """The first version after `start`, up to `end`, at which the table's columns changed; None where they did not or can't be known any more."""
        if start < self._table.earliest_version():
            return None
        metadata = log.metadata_between(self._table.folder, start + 1, end)
        if not metadata:
            return None
        before = shapes.shape_of(self._table.snapshot(start).schema().to_json())
        shaped = ((version, shapes.shape_of(one["schemaString"])) for version, one in metadata)
        return next((version for version, shape in shaped if shape != before), None)
