"""The rows that a batch of events, or the closing of windows, gives for each output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from lpmops.sandbox.asa.database import TakenRow
from lpmops.sandbox.asa.program import Take
from lpmops.sandbox.asa.routing import Sink

Row = tuple[Any, ...]
_Numbered = list[tuple[int, Row]]


@dataclass(frozen=True, slots=True)
class OutputBatch:
    """Rows for an output, in order. Times are naive UTC, records and arrays JSON text (compatibility level 1.2).

    `last_time` is the latest System.Timestamp() of them, aware UTC; `by_partition` how many rows came from which partition (none for windows).
    """

    columns: tuple[str, ...]
    rows: list[Row]
    last_time: datetime
    by_partition: Mapping[int, int] = field(default_factory=dict)


class Produced:
    """Collects rows from all queries of a batch."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[tuple[str, ...], _Numbered]]] = {}
        self._closed: dict[str, list[OutputBatch]] = {}

    def add(self, take: Take, rows: list[TakenRow]) -> None:
        """Rows of one sink, sorted by output."""
        found: dict[int, _Numbered] = {}
        for place, row in rows:
            found.setdefault(place, []).append(row)
        for place, own in found.items():
            self._parts.setdefault(take.sink.outputs[place], []).append((take.columns, own))

    def add_closed(self, sink: Sink, columns: tuple[str, ...], rows: list[Row]) -> None:
        """Rows of closed windows: the output's place, the end of the window, the columns."""
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(sink.outputs[row[0]], []).append(row)
        for output, own in found.items():
            last = max(map(itemgetter(1), own)).replace(tzinfo=UTC)
            self._closed.setdefault(output, []).append(OutputBatch(columns, [row[2:] for row in own], last))

    def take(self, batches: Mapping[str, OutputBatch]) -> None:
        """What rows of closed windows became further on."""
        for output, batch in batches.items():
            self._closed.setdefault(output, []).append(batch)

    def batches(self, times: Sequence[datetime], partitions: Sequence[int] | None) -> dict[str, OutputBatch]:
        """One batch for each output, in the order of the events; `times` and `partitions` are those of the batch's rows."""
        made: dict[str, OutputBatch] = {}
        for output, parts in self._parts.items():
            columns, numbered = parts[0]
            if len(parts) > 1:
                columns = tuple(dict.fromkeys(name for names, _ in parts for name in names))
                numbered = [one for names, rows in parts for one in _spread(rows, names, columns)]
                numbered.sort(key=itemgetter(0))
            counts = Counter(partitions[row] for row, _ in numbered) if partitions is not None else {}
            last = max(times[row] for row, _ in numbered)
            made[output] = OutputBatch(columns, [values for _, values in numbered], last, dict(counts))
        for output, closed in self._closed.items():
            for batch in closed:
                made[output] = joined(made[output], batch) if output in made else batch
        return made


def _spread(rows: _Numbered, names: tuple[str, ...], columns: tuple[str, ...]) -> _Numbered:
    """Rows under more columns; a column that they have not is null."""
    if names == columns:
        return rows
    places = [names.index(column) if column in names else None for column in columns]
    return [(row, tuple(None if place is None else values[place] for place in places)) for row, values in rows]


def joined(first: OutputBatch, second: OutputBatch) -> OutputBatch:
    """Two batches of one output as one."""
    columns = tuple(dict.fromkeys((*first.columns, *second.columns)))
    rows = [
        values
        for batch in (first, second)
        for _, values in _spread([(0, row) for row in batch.rows], batch.columns, columns)
    ]
    counts = Counter(first.by_partition) + Counter(second.by_partition)
    return OutputBatch(columns, rows, max(first.last_time, second.last_time), dict(counts))
