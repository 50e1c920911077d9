"""The DuckDB queries that run one feed over rows of known kinds.

Tables and columns are numbered, never named after anything in a query, so that no name can change the shape of the SQL. Every table carries `_r`, the
row of the batch that a row comes from, and `_t`, its time. All sinks that read one step share a query, which says of each row which sinks take it:
planning and starting a query costs more than a few hundred rows do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lpmops.sandbox.asa.aggregation import aggregate_argument
from lpmops.sandbox.asa.conversion import Typed, null
from lpmops.sandbox.asa.expressions import AggregateRef, Expression, KeyRef, Path, Ref, Timestamp
from lpmops.sandbox.asa.kinds import Kind, common
from lpmops.sandbox.asa.plan import Input, Item, Join, Select, Step, Window
from lpmops.sandbox.asa.routing import Feed, Sink
from lpmops.sandbox.asa.translation import as_kind, translate


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """Reference data as DuckDB holds it: its table, and its columns in order with their kinds."""

    table: str
    columns: tuple[tuple[str, Kind], ...]


@dataclass(slots=True)
class Columns:
    """The columns that a SELECT can read of one source: by key, and those that a star gives, by name in order."""

    by_key: dict[Path | str, Typed] = field(default_factory=dict)
    visible: list[tuple[str, Typed]] = field(default_factory=list)

    def under(self, alias: str) -> Columns:
        """The same, as columns of an alias."""
        return Columns(
            {key: _under(alias, value) for key, value in self.by_key.items()},
            [(name, _under(alias, value)) for name, value in self.visible],
        )


@dataclass(frozen=True, slots=True)
class Take:
    """How a sink takes its rows out of a query's: where `flag` is true (always, where it is None), the values at `places`.

    `route` is where the text is that the sink's routes are looked up by; for a window the first of `places` is its end.
    """

    sink: Sink
    flag: int | None
    route: int | None
    places: tuple[int, ...]
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class TapQuery:
    """A query whose rows begin with `_r`, and the sinks that take from it."""

    sql: str
    takes: tuple[Take, ...]


def build(feed: Feed, root: Columns, references: Mapping[str, ReferenceTable], batch: str) -> tuple[TapQuery, ...]:
    """The queries of a feed, for a table `batch` whose columns are `root`."""
    return _Builder(feed, root, references, batch).build()


class _Builder:
    def __init__(self, feed: Feed, root: Columns, references: Mapping[str, ReferenceTable], batch: str) -> None:
        self._feed, self._root, self._references, self._batch = feed, root, references, batch
        self._known: dict[Step, tuple[str, Columns]] = {}
        self._steps: dict[Step, tuple[str, list[Select]]] = {}

    def build(self) -> tuple[TapQuery, ...]:
        for number, (step, selects) in enumerate(self._feed.steps):
            if isinstance(self._feed.root, Sink) and self._feed.root.step is step:
                self._known[step] = (self._batch, self._root)
                continue
            sql, columns = self._step(step, selects)
            self._known[step] = (f"step{number}", columns)
            self._steps[step] = (f"step{number} AS ({sql})", selects)
        taps: dict[object, list[Sink]] = {}
        for sink in self._feed.sinks:
            shared = not sink.select.joins
            source = sink.select.source
            taps.setdefault(sink if not shared else id(source) if isinstance(source, Step) else source, []).append(sink)
        return tuple(query for query in map(self._tap, taps.values()) if query.takes)

    def _step(self, step: Step, selects: list[Select]) -> tuple[str, Columns]:
        """A step's SQL; where several SELECTs are live their columns are brought to common kinds."""
        sources = [_Source(self, select) for select in selects]
        rows = [source.items() for source in sources]
        columns = Columns()
        visible = {item.key for item in step.visible()}
        parts: list[list[str]] = [["s._r", "s._t"] for _ in selects]
        for index, (key, name, _) in enumerate(rows[0]):
            values = [row[index][2] for row in rows]
            kind = common({value.kind for value in values})
            column = (
                Typed(f"c{index}", kind, explicit=all(value.explicit for value in values))
                if kind is not Kind.NULL
                else null()
            )
            if key:
                columns.by_key[key] = column
            if key in visible or not key:
                columns.visible.append((name, column))
            if kind is not Kind.NULL:
                for part, value in zip(parts, values, strict=True):
                    part.append(f"{as_kind(value, kind).sql} AS c{index}")
        sql = " UNION ALL ".join(
            f"SELECT {', '.join(part)} {source.tables()}{source.where()}"
            for part, source in zip(parts, sources, strict=True)
        )
        return sql, columns

    def _tap(self, sinks: list[Sink]) -> TapQuery:
        source = _Source(self, sinks[0].select)
        alone = len(sinks) == 1
        row = _Row()
        takes = [
            take
            for take in (self._take(sink, _Source(self, sink.select), row, alone) for sink in sinks)
            if take is not None
        ]
        where = source.where() if alone else ""
        columns = ", ".join(f"{sql} AS v{place}" for sql, place in row.places.items())
        return TapQuery(f"{self._with(sinks[0].select)}SELECT {columns} {source.tables()}{where}", tuple(takes))

    def _take(self, sink: Sink, source: _Source, row: _Row, alone: bool) -> Take | None:
        guard = None if alone or sink.select.where is None else source.value(sink.select.where).sql

        def place(value: Typed) -> int:
            # What is computed is computed only for rows that the sink takes: a CAST may fail on others.
            plain = guard is None or value.sql.replace("_", "").replace(".", "").isalnum() or value.kind is Kind.NULL
            return row.place(value.sql if plain else f"CASE WHEN {guard} THEN {value.sql} END")

        route = None
        if sink.route is not None:
            value = source.value(sink.route)
            if value.kind is not Kind.NVARCHAR:
                # A route is a text, and no other kind equals one.
                return None
            route = place(value)
        flag = None if guard is None else row.place(guard)
        window = sink.select.window
        if window is None:
            items = source.items()
            names, values = [name for _, name, _ in items], [value for _, _, value in items]
            return Take(
                sink, flag, route, tuple(map(place, values)), tuple(names), tuple(value.kind for value in values)
            )
        kept = [(f"k{index}", source.value(key)) for index, key in enumerate(window.keys)]
        for index, aggregate in enumerate(window.aggregates):
            if aggregate.argument is not None:
                kept.append((f"a{index}", aggregate_argument(aggregate, source.value(aggregate.argument))))
        places = (place(Typed(_window_end(window), Kind.DATETIME)), *(place(value) for _, value in kept))
        return Take(sink, flag, route, places, tuple(name for name, _ in kept), tuple(value.kind for _, value in kept))

    def _with(self, select: Select) -> str:
        """The steps that a SELECT needs, as common table expressions in order."""
        needed: set[Step] = set()
        waiting = [select]
        while waiting:
            source = waiting.pop().source
            if isinstance(source, Step) and source in self._steps and source not in needed:
                needed.add(source)
                waiting += self._steps[source][1]
        parts = [sql for step, (sql, _) in self._steps.items() if step in needed]
        return f"WITH {', '.join(parts)} " if parts else ""

    def read(self, source: Input | Step) -> tuple[str, Columns]:
        """The SQL and the columns of a source."""
        return self._known[source] if isinstance(source, Step) else (self._batch, self._root)

    def reference(self, name: str) -> ReferenceTable:
        """Reference data by the name of its input."""
        return self._references[name]


class _Row:
    """The columns of a query: each SQL once, `_r` first."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {"s._r": 0}

    def place(self, sql: str) -> int:
        """Where in the row this SQL is."""
        return self.places.setdefault(sql, len(self.places))


class _Source:
    """FROM, JOIN and WHERE of one SELECT, and how its expressions read them."""

    def __init__(self, builder: _Builder, select: Select) -> None:
        self._select = select
        self._sql, columns = builder.read(select.source)
        self._origins = [columns.under("s")]
        self._tables: list[tuple[Join, str]] = []
        for number, join in enumerate(select.joins, start=1):
            table = builder.reference(join.reference)
            found: list[tuple[str, Typed]] = []
            for index, (name, kind) in enumerate(table.columns):
                found.append((name, Typed(f"r{number}.c{index}", kind) if kind is not Kind.NULL else null()))
            by_key: dict[Path | str, Typed] = {name.casefold(): value for name, value in reversed(found)}
            by_key |= dict(found)
            self._origins.append(Columns(by_key, found))
            self._tables.append((join, f"{table.table} AS r{number}"))

    def value(self, node: Expression) -> Typed:
        """SQL for an expression of this SELECT."""
        return translate(node, self._lookup)

    def _lookup(self, node: Ref | KeyRef | AggregateRef | Timestamp) -> Typed:
        if isinstance(node, Timestamp):
            return Typed("s._t", Kind.DATETIME)
        assert isinstance(node, Ref), "keys and aggregates are asked of closed windows"
        columns = self._origins[node.origin].by_key
        found = columns.get(node.key)
        if found is None and node.origin > 0:
            found = columns.get(str(node.key).casefold())
        # A field that reference data has not is NULL, like one that an event has not (assumed).
        return found or null()

    def items(self) -> list[tuple[str, str, Typed]]:
        """The columns of this SELECT as key, name and value, stars spelt out; columns that only a star gives have no key."""
        named = {item.key for item in self._select.items if isinstance(item, Item)}
        found: list[tuple[str, str, Typed]] = []
        for item in self._select.items:
            if isinstance(item, Item):
                found.append((item.key, item.name, self.value(item.expression)))
                continue
            for name, value in self._origins[item.origin].visible:
                if name.casefold() not in named:
                    named.add(name.casefold())
                    found.append(("", name, value))
        return found

    def tables(self) -> str:
        """FROM and JOIN."""
        sql = f"FROM {self._sql} AS s"
        for join, table in self._tables:
            sql += f" {'LEFT JOIN' if join.outer else 'JOIN'} {table} ON {self.value(join.condition).sql}"
        return sql

    def where(self) -> str:
        """WHERE, or nothing."""
        return "" if self._select.where is None else f" WHERE {self.value(self._select.where).sql}"


def _under(alias: str, value: Typed) -> Typed:
    return value if value.kind is Kind.NULL else Typed(f"{alias}.{value.sql}", value.kind, value.explicit)


def _window_end(window: Window) -> str:
    """The end of the window that a row is in: windows are open at the start and closed at the end (asa-query/tumbling-window)."""
    moved = f"(epoch_us(s._t) - ({window.offset}))"
    # Both are positive for every time since 1970 and an offset within a day, so that this division rounds down.
    return f"make_timestamp((({moved} + {window.size - 1}) // {window.size}) * {window.size} + ({window.offset}))"
