"""What open windows hold: for each windowed SELECT the rows that its aggregates need, until the watermark passes the end of their window.

Rows are kept as Arrow tables, one for each batch, and counted once, when the window closes: percentiles need every value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lpmops.sandbox.asa.events import arrow_type
from lpmops.sandbox.asa.kinds import Kind, common


@dataclass(frozen=True, slots=True)
class _Chunk:
    table: Any
    kinds: Mapping[str, Kind]


class WindowBuffer:
    """The rows of one windowed SELECT. `closed_through` is the end of the last window that was closed; rows for it or before come too late."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._next_end: datetime | None = None
        self._closed_through: datetime | None = None
        self.late = 0

    def skip_through(self, moment: datetime | None) -> None:
        """Close nothing that ends at or before a moment: it was closed before a restart."""
        self._closed_through = moment

    def add(
        self, outputs: Sequence[int], rows: Sequence[tuple[Any, ...]], columns: Sequence[str], kinds: Sequence[Kind]
    ) -> None:
        """Keep rows, each the end of its window and the values of `columns`, of these kinds; beside each the place of its output."""
        closed = self._closed_through
        timely = [index for index, row in enumerate(rows) if closed is None or row[0] > closed]
        self.late += len(rows) - len(timely)
        if not timely:
            return
        ends = [rows[index][0] for index in timely]
        first = min(ends)
        self._next_end = first if self._next_end is None else min(first, self._next_end)
        arrays = [
            pa.array([outputs[index] for index in timely], pa.int64()),
            pa.array(ends, pa.timestamp("us")),
        ]
        arrays += [
            pa.array([rows[index][place] for index in timely], arrow_type(kind))
            for place, kind in enumerate(kinds, start=1)
        ]
        self._chunks.append(
            _Chunk(pa.table(arrays, names=["o", "w", *columns]), dict(zip(columns, kinds, strict=True)))
        )

    def close(self, watermark: datetime) -> tuple[Any, dict[str, Kind]] | None:
        """Take out the rows of all windows that end at or before the watermark, as one table with its kinds; None where there are none."""
        if self._closed_through is None or watermark > self._closed_through:
            self._closed_through = watermark
        # Asked with each batch and each look for one, and most of the time no window ends.
        if self._next_end is None or watermark < self._next_end:
            return None
        limit = pa.scalar(watermark, pa.timestamp("us"))
        closing: list[_Chunk] = []
        open_: list[_Chunk] = []
        for chunk in self._chunks:
            ended = pc.less_equal(chunk.table["w"], limit)
            count = pc.sum(ended).as_py() or 0
            if count:
                closing.append(_Chunk(chunk.table.filter(ended), chunk.kinds))
            if count < chunk.table.num_rows:
                open_.append(_Chunk(chunk.table.filter(pc.invert(ended)), chunk.kinds) if count else chunk)
        self._chunks = open_
        self._next_end = min((pc.min(chunk.table["w"]).as_py() for chunk in open_), default=None)
        return _together(closing) if closing else None


def _together(chunks: Sequence[_Chunk]) -> tuple[Any, dict[str, Kind]]:
    """Chunks under common kinds."""
    names = list(chunks[0].kinds)
    kinds = {name: common({chunk.kinds[name] for chunk in chunks}) for name in names}
    tables = []
    for chunk in chunks:
        columns = [chunk.table["o"], chunk.table["w"]]
        columns += [chunk.table[name].cast(arrow_type(kinds[name])) for name in names]
        tables.append(pa.table(columns, names=["o", "w", *names]))
    return pa.concat_tables(tables), kinds
