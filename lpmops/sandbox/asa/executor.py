"""Runs a compiled query: events in, rows for each output out, windows kept in between.

One DuckDB connection in memory with one thread; the same events in the same batches give the same rows in the same order. SQL is made once for each
combination of kinds that the fields of a batch have, and kept. One thread at a time.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from lpmops.sandbox.asa import routing
from lpmops.sandbox.asa.aggregation import BUFFER, closing_query
from lpmops.sandbox.asa.conversion import Typed, null
from lpmops.sandbox.asa.diagnostics import QueryRuntimeError
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
from lpmops.sandbox.asa.program import BATCH, Columns, Program, ReferenceTable, SinkQuery, build, route_table
from lpmops.sandbox.asa.windows import WindowBuffer

# Kept programs: kinds change with what is null in a batch, and hostile events could make any number of them.
_PROGRAMS = 128

_RUNTIME_ERRORS = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)


@dataclass(frozen=True, slots=True)
class OutputBatch:
    """Rows for an output, in order. Times are naive UTC, records and arrays JSON text (compatibility level 1.2).

    `last_time` is the latest System.Timestamp() of them, aware UTC; `by_partition` how many rows came from which partition (none for windows).
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    last_time: datetime
    by_partition: Mapping[int, int] = field(default_factory=dict)


class Executor:
    """One query at work. `fuse=False` runs statements one by one, which gives the same and takes longer."""

    def __init__(self, query: CompiledQuery, *, fuse: bool = True) -> None:
        self._query = query
        self._feeds = routing.feeds(query, fuse)
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false; SET python_enable_replacements = false")
        self._references: dict[str, ReferenceTable] = {}
        self._programs: OrderedDict[object, Program] = OrderedDict()
        self._seen: dict[tuple[str, Path], Kind] = {}
        self._errors: list[DataError] = []
        self._windows: dict[routing.Sink, WindowBuffer] = {}
        for sink in {sink for feed in self._feeds for sink in feed.sinks}:
            if sink.select.window is not None:
                self._windows[sink] = WindowBuffer()
            if sink.route is not None:
                self._create_routes(sink)
        for name in sorted(query.references):
            self.set_reference(name, [])

    def set_reference(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rows of a reference input. Raises KeyError for one that the query does not read."""
        if name not in self._query.references:
            raise KeyError(name)
        names = list(dict.fromkeys(column for row in rows for column in row))
        arrays, columns = [], []
        for column in names:
            values = [_naive(row.get(column)) for row in rows]
            kind = common(kinds_of(values))
            if kind is Kind.NVARCHAR:
                values = [value if value is None or isinstance(value, str) else str(value) for value in values]
            arrays.append(to_arrow(values, kind))
            columns.append((column, kind))
        table = f"reference{sorted(self._query.references).index(name)}"
        count = pa.table([pa.array(range(len(rows)), pa.int64()), *arrays], names=["n", *(f"c{index}" for index in range(len(names)))])
        self._connection.register("incoming", count)
        self._connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM incoming")
        self._connection.unregister("incoming")
        self._references[name] = ReferenceTable(table, tuple(columns))

    def process(
        self, events: Sequence[InputEvent], input_name: str | None = None, *, processed_at: datetime | None = None, rebuild: bool = False
    ) -> dict[str, OutputBatch]:
        """Run events of one input through the query; return the rows of each output that gets any.

        `processed_at` is what EventProcessedUtcTime says (default: the enqueued time of the last event). With `rebuild` only windows are fed: the rows
        were written before. Raises QueryRuntimeError where a value stops the query, and then windows may hold part of the batch.
        """
        if not events or not self._query.paths:
            return {}
        name = input_name or next(iter(self._query.paths))
        feed = next(feed for feed in self._feeds if feed.root == Input(name))
        rows = decode(events)
        if not rebuild:
            self._errors += rows.errors
        if not rows.objects:
            return {}
        produced = _Produced()
        for program, table in self._batches(name, feed, rows, processed_at or events[-1].enqueued_at):
            self._run(program, table, produced, rebuild)
        return produced.batches(rows.events)

    def advance(self, watermark: datetime) -> dict[str, OutputBatch]:
        """Close every window that ends at or before the watermark (aware UTC); return the rows of each output that gets any."""
        produced = _Produced()
        moment = watermark.astimezone(UTC).replace(tzinfo=None)
        # Windows of steps come first and in order, so that what they produce is in the windows that read them.
        for sink in sorted(self._windows, key=lambda sink: (sink.step is None, sink.number)):
            taken = self._windows[sink].close(moment)
            if taken is not None:
                self._close(sink, *taken, produced)
        return produced.batches([])

    def skip_windows_through(self, moment: datetime | None) -> None:
        """Never again close a window that ends at or before this moment (aware UTC)."""
        for buffer in self._windows.values():
            buffer.skip_through(None if moment is None else moment.astimezone(UTC).replace(tzinfo=None))

    @property
    def has_windows(self) -> bool:
        """Whether anything is counted over windows."""
        return bool(self._windows)

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
        self._connection.close()

    def _create_routes(self, sink: routing.Sink) -> None:
        table = pa.table({"k": [key for key, _ in sink.routes], "o": pa.array([place for _, place in sink.routes], pa.int64())})
        self._connection.register("incoming", table)
        self._connection.execute(f"CREATE TABLE {route_table(sink)} AS SELECT * FROM incoming")
        self._connection.unregister("incoming")

    def _batches(self, name: str, feed: routing.Feed, rows: Rows, processed_at: datetime) -> Iterable[tuple[Program, Any]]:
        """Rows as Arrow tables with one kind for each field, and the program for those kinds."""
        fields = top_level_fields(rows) if name in self._query.stars else []
        paths = list(dict.fromkeys([*self._query.paths[name], *fields]))
        extractor = Extractor(rows, processed_at)
        columns = {path: extractor.column(path) for path in paths}
        times = extractor.column((META, "EventEnqueuedUtcTime"))
        found = {path: kinds_of(values) for path, values in columns.items()}
        for picked in groups(columns, found, len(rows.objects)):
            indexes = range(len(rows.objects)) if picked is None else picked
            kinds: list[Kind] = []
            arrays = [pa.array(indexes, pa.int64()), pa.array([times[row] for row in indexes], arrow_type(Kind.DATETIME))]
            for path, values in columns.items():
                chosen = values if picked is None else [values[row] for row in picked]
                kind = self._kind(name, path, found[path] if picked is None else kinds_of(chosen))
                kinds.append(kind)
                arrays.append(to_arrow(chosen, kind))
            table = pa.table(arrays, names=["_r", "_t", *(f"c{index}" for index in range(len(paths)))])
            yield self._program(feed, paths, kinds, fields), table

    def _kind(self, name: str, path: Path, found: set[Kind]) -> Kind:
        """The kind of a field; where all are null the one it last had, so that fewer programs are made."""
        if found:
            self._seen[name, path] = kind = next(iter(found))
            return kind
        return self._seen.get((name, path), Kind.NULL)

    def _program(self, feed: routing.Feed, paths: Sequence[Path], kinds: Sequence[Kind], fields: Sequence[Path]) -> Program:
        key = (id(feed), tuple(paths), tuple(kinds), tuple(self._references.values()))
        known = self._programs.get(key)
        if known is None:
            root = Columns()
            for index, (path, kind) in enumerate(zip(paths, kinds, strict=True)):
                root.by_key[path] = Typed(f"c{index}", kind) if kind is not Kind.NULL else null()
            system = [(str(path[1]), path) for path in paths if path[0] == META] if fields else []
            taken = {name for name, _ in system}
            root.visible = [(str(path[0]), root.by_key[path]) for path in fields if path[0] not in taken]
            # asa-query/getmetadatapropertyvalue: system columns take the place of fields of the same name.
            root.visible += [(name, root.by_key[path]) for name, path in system if name in ("EventProcessedUtcTime", "PartitionId", "EventEnqueuedUtcTime")]
            known = self._programs[key] = build(feed, root, self._references)
            if len(self._programs) > _PROGRAMS:
                self._programs.popitem(last=False)
        self._programs.move_to_end(key)
        return known

    def _run(self, program: Program, table: Any, produced: _Produced, rebuild: bool) -> None:
        self._connection.register(BATCH, table)
        try:
            for sql in program.tables:
                self._connection.execute(sql)
            for query in program.queries:
                if query.sink.select.window is not None:
                    self._windows[query.sink].add(self._fetch_table(query.sql), query.columns, query.kinds)
                elif not rebuild:
                    produced.add(query, self._connection.execute(query.sql).fetchall())
        except _RUNTIME_ERRORS as error:
            raise QueryRuntimeError(_plain(error)) from error
        finally:
            self._connection.unregister(BATCH)

    def _fetch_table(self, sql: str) -> Any:
        return self._connection.sql(sql).to_arrow_table()

    def _close(self, sink: routing.Sink, table: Any, kinds: dict[str, Kind], produced: _Produced) -> None:
        query = closing_query(sink.select, kinds, sink.route is not None)
        self._connection.register(BUFFER, table)
        try:
            if sink.step is None:
                produced.add_closed(sink, query.columns, self._connection.execute(query.sql).fetchall())
                return
            rows = self._fetch_table(query.sql)
        except _RUNTIME_ERRORS as error:
            raise QueryRuntimeError(_plain(error)) from error
        finally:
            self._connection.unregister(BUFFER)
        self._pass_on(sink, rows, query.kinds, produced)

    def _pass_on(self, sink: routing.Sink, rows: Any, kinds: Sequence[Kind], produced: _Produced) -> None:
        """What a step's window produced, as a batch for whoever reads the step."""
        feed = next(feed for feed in self._feeds if feed.root is sink)
        items = [item for item in sink.select.items if isinstance(item, Item)]
        root = Columns()
        for index, (item, kind) in enumerate(zip(items, kinds, strict=True)):
            root.by_key[item.key] = Typed(f"c{index}", kind, explicit=True) if kind is not Kind.NULL else null()
            root.visible.append((item.name, root.by_key[item.key]))
        arrays = [pa.array(range(rows.num_rows), pa.int64()), rows["w"], *(rows[f"c{index}"] for index in range(len(items)))]
        table = pa.table(arrays, names=["_r", "_t", *(f"c{index}" for index in range(len(items)))])
        inner = _Produced()
        self._run(build(feed, root, self._references), table, inner, rebuild=False)
        produced.take(inner, [moment.replace(tzinfo=UTC) for moment in rows["w"].to_pylist()])


class _Produced:
    """Rows for outputs, from all queries of a batch."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[tuple[str, ...], list[tuple[int, tuple[Any, ...]]]]]] = {}
        self._closed: dict[str, list[OutputBatch]] = {}

    def add(self, query: SinkQuery, rows: list[tuple[Any, ...]]) -> None:
        """Rows of one query; those of a fused one are sorted by output."""
        if query.sink.route is None:
            self._put(query.sink.outputs[0], query.columns, [(row[0], row[1:]) for row in rows])
            return
        start = 0
        while start < len(rows):
            place, end = rows[start][0], start
            while end < len(rows) and rows[end][0] == place:
                end += 1
            self._put(query.sink.outputs[place], query.columns, [(row[1], row[2:]) for row in rows[start:end]])
            start = end

    def _put(self, output: str, columns: tuple[str, ...], rows: list[tuple[int, tuple[Any, ...]]]) -> None:
        if rows:
            self._rows.setdefault(output, []).append((columns, rows))

    def add_closed(self, sink: routing.Sink, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Rows of closed windows: the output's place where there are routes, the end of the window, the columns."""
        routed = sink.route is not None
        found: dict[str, list[tuple[Any, ...]]] = {}
        for row in rows:
            found.setdefault(sink.outputs[row[0]] if routed else sink.outputs[0], []).append(row[1:] if routed else row)
        for output, own in found.items():
            last = max(row[0] for row in own).replace(tzinfo=UTC)
            self._closed.setdefault(output, []).append(OutputBatch(columns, [row[1:] for row in own], last))

    def take(self, inner: _Produced, times: Sequence[datetime]) -> None:
        """What rows of closed windows became further on."""
        for output, batch in inner._made(times, None).items():
            self._closed.setdefault(output, []).append(batch)

    def batches(self, events: Sequence[InputEvent]) -> dict[str, OutputBatch]:
        """One batch for each output, in the order of the events."""
        made = self._made([event.enqueued_at for event in events], [event.partition for event in events])
        for output, closed in self._closed.items():
            for batch in closed:
                made[output] = _joined(made[output], batch) if output in made else batch
        return made

    def _made(self, times: Sequence[datetime], partitions: Sequence[int] | None) -> dict[str, OutputBatch]:
        made: dict[str, OutputBatch] = {}
        for output, parts in self._rows.items():
            columns = parts[0][0]
            numbered = parts[0][1]
            if len(parts) > 1:
                columns = tuple(dict.fromkeys(name for names, _ in parts for name in names))
                numbered = sorted((one for names, rows in parts for one in _spread(rows, names, columns)), key=lambda one: one[0])
            counts = Counter(partitions[row] for row, _ in numbered) if partitions is not None else Counter[int]()
            last = max(times[row] for row, _ in numbered)
            made[output] = OutputBatch(columns, [values for _, values in numbered], last, dict(counts))
        return made


def _spread(rows: list[tuple[int, tuple[Any, ...]]], names: tuple[str, ...], columns: tuple[str, ...]) -> list[tuple[int, tuple[Any, ...]]]:
    """Rows under more columns; a column that they have not is null."""
    if names == columns:
        return rows
    places = [names.index(column) if column in names else None for column in columns]
    return [(row, tuple(None if place is None else values[place] for place in places)) for row, values in rows]


def _joined(first: OutputBatch, second: OutputBatch) -> OutputBatch:
    columns = tuple(dict.fromkeys((*first.columns, *second.columns)))
    rows = [values for batch in (first, second) for _, values in _spread([(0, row) for row in batch.rows], batch.columns, columns)]
    counts = Counter(first.by_partition) + Counter(second.by_partition)
    return OutputBatch(columns, rows, max(first.last_time, second.last_time), dict(counts))


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo is not None else value


def _plain(error: Exception) -> str:
    """DuckDB's message without its name for it; lines after the first may show values."""
    first = str(error).splitlines()[0]
    return first.split("Error: ", 1)[-1]
