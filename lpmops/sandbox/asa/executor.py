"""Runs a compiled query: events in, rows for each output out, windows kept in between.

The same events in the same batches give the same rows in the same order. SQL is made and prepared once for each combination of kinds that the
fields of a batch have. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from lpmops.sandbox.asa import routing
from lpmops.sandbox.asa.aggregation import BUFFER, closing_query
from lpmops.sandbox.asa.conversion import Typed, null
from lpmops.sandbox.asa.database import Database
from lpmops.sandbox.asa.dialect import SYSTEM_COLUMNS
from lpmops.sandbox.asa.events import (
    DataError,
    Extractor,
    InputEvent,
    Rows,
    arrow_type,
    decode,
    groups,
    kinds_of,
    to_arrow,
    top_level_fields,
)
from lpmops.sandbox.asa.expressions import META, Path
from lpmops.sandbox.asa.kinds import Kind, common
from lpmops.sandbox.asa.plan import CompiledQuery, Input, Item
from lpmops.sandbox.asa.produced import OutputBatch, Produced
from lpmops.sandbox.asa.program import Columns, ReferenceTable
from lpmops.sandbox.asa.windows import WindowBuffer


class Executor:
    """One query at work. `fuse=False` runs statements one by one, which gives the same and takes longer."""

    def __init__(self, query: CompiledQuery, *, fuse: bool = True) -> None:
        self._query = query
        self._feeds = routing.feeds(query, fuse)
        self._database = Database()
        self._references: dict[str, ReferenceTable] = {}
        self._seen: dict[tuple[str, Path], Kind] = {}
        self._errors: list[DataError] = []
        sinks = {sink for feed in self._feeds for sink in feed.sinks}
        self._windows = {
            sink: WindowBuffer()
            for sink in sorted(sinks, key=lambda sink: sink.number)
            if sink.select.window is not None
        }
        for name in sorted(query.references):
            self.set_reference(name, [])

    def set_reference(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rows of a reference input. Raises KeyError for one that the query does not read."""
        if name not in self._query.references:
            raise KeyError(name)
        columns: list[tuple[str, Kind]] = []
        arrays: list[Any] = [pa.array(range(len(rows)), pa.int64())]
        for column in dict.fromkeys(column for row in rows for column in row):
            values = [_naive(row.get(column)) for row in rows]
            kind = common(kinds_of(values))
            if kind is Kind.NVARCHAR:
                values = [value if value is None or isinstance(value, str) else str(value) for value in values]
            columns.append((column, kind))
            arrays.append(to_arrow(values, kind))
        table = f"reference{sorted(self._query.references).index(name)}"
        self._database.replace(table, pa.table(arrays, names=["n", *(f"c{index}" for index in range(len(columns)))]))
        self._references[name] = ReferenceTable(table, tuple(columns))

    def process(
        self,
        events: Sequence[InputEvent],
        input_name: str | None = None,
        *,
        processed_at: datetime | None = None,
        rebuild: bool = False,
    ) -> dict[str, OutputBatch]:
        """Run events of one input through the query; return the rows of each output that gets any.

        `processed_at` is what EventProcessedUtcTime says (default: the enqueued time of the last event). With `rebuild` only windows are fed: the
        rows were written before. Raises QueryRuntimeError where a value stops the query, and then windows may hold part of the batch.
        """
        if not events or not self._query.paths:
            return {}
        name = input_name or next(iter(self._query.paths))
        feed = next((feed for feed in self._feeds if feed.root == Input(name)), None)
        rows = decode(events)
        if not rebuild:
            self._errors += rows.errors
        if not rows.objects or feed is None:
            return {}
        produced = Produced()
        for root, table in self._batches(name, rows, processed_at or events[-1].enqueued_at):
            self._run(feed, root, table, produced, rebuild)
        return produced.batches(
            [event.enqueued_at for event in rows.events], [event.partition for event in rows.events]
        )

    def advance(self, watermark: datetime) -> dict[str, OutputBatch]:
        """Close every window that ends at or before the watermark (aware UTC); return the rows of each output that gets any."""
        produced = Produced()
        moment = _naive(watermark)
        # Windows of steps come first and in order, so that what they produce is in the windows that read them.
        for sink in self._windows:
            taken = self._windows[sink].close(moment)
            if taken is not None:
                self._close(sink, *taken, produced)
        return produced.batches([], [])

    def skip_windows_through(self, moment: datetime) -> None:
        """Never close a window that ends at or before this moment (aware UTC): it was written before, or is from before the start."""
        for buffer in self._windows.values():
            buffer.skip_through(_naive(moment))

    @property
    def late_rows(self) -> int:
        """Rows that came for windows already closed."""
        return sum(buffer.late for buffer in self._windows.values())

    def take_data_errors(self) -> list[DataError]:
        """The events since the last call that were no rows."""
        taken, self._errors = self._errors, []
        return taken

    def close(self) -> None:
        """Let go of memory."""
        self._database.close()

    def _batches(self, name: str, rows: Rows, processed_at: datetime) -> Iterator[tuple[Columns, Any]]:
        """Rows as Arrow tables with one kind for each field, and how their columns are read."""
        fields = top_level_fields(rows) if name in self._query.stars else []
        paths = list(dict.fromkeys([*self._query.paths[name], *fields]))
        extractor = Extractor(rows, processed_at, paths)
        columns = {path: extractor.column(path) for path in paths}
        times = extractor.column((META, "EventEnqueuedUtcTime"))
        found = {path: kinds_of(values) for path, values in columns.items()}
        names = ["_r", "_t", *(f"c{index}" for index in range(len(paths)))]
        for picked in groups(columns, found, len(rows.objects)):
            indexes = range(len(rows.objects)) if picked is None else picked
            kinds: list[Kind] = []
            arrays = [
                pa.array(indexes, pa.int64()),
                pa.array(times if picked is None else [times[row] for row in picked], arrow_type(Kind.DATETIME)),
            ]
            for path, values in columns.items():
                chosen = values if picked is None else [values[row] for row in picked]
                kinds.append(self._kind(name, path, found[path] if picked is None else kinds_of(chosen)))
                arrays.append(to_arrow(chosen, kinds[-1]))
            yield _root(paths, kinds, fields), pa.table(arrays, names=names)

    def _kind(self, name: str, path: Path, found: set[Kind]) -> Kind:
        """The kind of a field; where all are null the one it last had, so that fewer programs are made."""
        if found:
            self._seen[name, path] = kind = next(iter(found))
            return kind
        return self._seen.get((name, path), Kind.NULL)

    def _run(self, feed: routing.Feed, root: Columns, table: Any, produced: Produced, rebuild: bool = False) -> None:
        for take, rows in self._database.run(feed, root, table, self._references):
            window = self._windows.get(take.sink)
            if window is not None:
                outputs = [place for place, _ in rows]
                window.add(outputs, [row for _, (_, row) in rows], take.columns, take.kinds)
            elif not rebuild:
                produced.add(take, rows)

    def _close(self, sink: routing.Sink, table: Any, kinds: dict[str, Kind], produced: Produced) -> None:
        query = closing_query(sink.select, kinds)
        if sink.step is None:
            produced.add_closed(sink, query.columns, self._database.rows(query.sql, BUFFER, table))
            return
        closed = self._database.table(query.sql, BUFFER, table)
        self._pass_on(sink, closed, query.kinds, produced)

    def _pass_on(self, sink: routing.Sink, closed: Any, kinds: Sequence[Kind], produced: Produced) -> None:
        """What a step's window produced, as a batch for whoever reads the step."""
        feed = next(feed for feed in self._feeds if feed.root is sink)
        items = [item for item in sink.select.items if isinstance(item, Item)]
        root = Columns()
        for index, (item, kind) in enumerate(zip(items, kinds, strict=True)):
            root.by_key[item.key] = Typed(f"c{index}", kind, explicit=True) if kind is not Kind.NULL else null()
            root.visible.append((item.name, root.by_key[item.key]))
        values = [closed[f"c{index}"].combine_chunks() for index in range(len(items))]
        arrays = [pa.array(range(closed.num_rows), pa.int64()), closed["w"].combine_chunks(), *values]
        inner = Produced()
        self._run(
            feed, root, pa.table(arrays, names=["_r", "_t", *(f"c{index}" for index in range(len(items)))]), inner
        )
        produced.take(inner.batches([moment.replace(tzinfo=UTC) for moment in closed["w"].to_pylist()], None))


def _root(paths: Sequence[Path], kinds: Sequence[Kind], fields: Sequence[Path]) -> Columns:
    """How the columns of a batch of events are read: c0, c1 ... in the order of `paths`; a star gives `fields` and the system columns."""
    root = Columns()
    for index, (path, kind) in enumerate(zip(paths, kinds, strict=True)):
        root.by_key[path] = Typed(f"c{index}", kind) if kind is not Kind.NULL else null()
    if fields:
        # asa-query/getmetadatapropertyvalue: system columns take the place of fields of the same name.
        root.visible = [(str(path[0]), root.by_key[path]) for path in fields if path[0] not in SYSTEM_COLUMNS]
        root.visible += [(name, root.by_key[META, name]) for name in SYSTEM_COLUMNS]
    return root


def _naive(value: Any) -> Any:
    return (
        value.astimezone(UTC).replace(tzinfo=None)
        if isinstance(value, datetime) and value.tzinfo is not None
        else value
    )
