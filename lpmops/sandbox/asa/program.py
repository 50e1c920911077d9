"""The DuckDB statements that run one feed over rows of known kinds.

Tables and columns are numbered, never named after anything in a query, so that no name can change the shape of the SQL. Every table carries `_r`, the
row of the batch that a row comes from, and `_t`, its time. A step that several SELECTs read becomes a temporary table; any other is written inside its
only reader.
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

BATCH = "batch"


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
class SinkQuery:
    """A sink's SQL. Its rows begin with the place of the output where the sink has routes, then `_r` (or the end of the window), then `columns`."""

    sink: Sink
    sql: str
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Statements to run first, in order, and then the queries of the sinks."""

    tables: tuple[str, ...]
    queries: tuple[SinkQuery, ...]


def route_table(sink: Sink) -> str:
    """The table of a sink's routes: `k`, the constant, and `o`, the place of the output."""
    return f"routes{sink.number}"


def build(feed: Feed, root: Columns, references: Mapping[str, ReferenceTable]) -> Program:
    """The program of a feed, for a batch whose columns are `root`."""
    return _Builder(feed, root, references).build()


class _Builder:
    def __init__(self, feed: Feed, root: Columns, references: Mapping[str, ReferenceTable]) -> None:
        self._feed, self._root, self._references = feed, root, references
        self._known: dict[Step, tuple[str, Columns]] = {}

    def build(self) -> Program:
        readers = self._feed.readers()
        tables: list[str] = []
        for number, (step, selects) in enumerate(self._feed.steps):
            if isinstance(self._feed.root, Sink) and self._feed.root.step is step:
                self._known[step] = (BATCH, self._root)
                continue
            sql, columns = self._step(step, selects)
            if readers[step] > 1:
                tables.append(f"CREATE OR REPLACE TEMP TABLE step{number} AS {sql}")
                sql = f"step{number}"
            else:
                sql = f"({sql})"
            self._known[step] = (sql, columns)
        queries = [self._sink(sink) for sink in self._feed.sinks]
        return Program(tuple(tables), tuple(query for query in queries if query is not None))

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
            column = Typed(f"c{index}", kind, explicit=all(value.explicit for value in values)) if kind is not Kind.NULL else null()
            if key:
                columns.by_key[key] = column
            if key in visible or not key:
                columns.visible.append((name, column))
            if kind is not Kind.NULL:
                for part, value in zip(parts, values, strict=True):
                    part.append(f"{as_kind(value, kind).sql} AS c{index}")
        sql = " UNION ALL ".join(f"SELECT {', '.join(part)} {source.clauses()}" for part, source in zip(parts, sources, strict=True))
        return sql, columns

    def _sink(self, sink: Sink) -> SinkQuery | None:
        source = _Source(self, sink.select)
        lead: list[str] = []
        joined = ""
        if sink.route is not None:
            value = source.value(sink.route)
            if value.kind is not Kind.NVARCHAR:
                # A route is a text, and no other kind equals one.
                return None
            lead.append("route.o")
            joined = f" JOIN {route_table(sink)} AS route ON {value.sql} = route.k"
        if sink.select.window is not None:
            return self._window_query(sink, source, lead, joined)
        items = source.items()
        names = tuple(name for _, name, _ in items)
        columns = [*lead, "s._r", *(f"{value.sql} AS c{index}" for index, (_, _, value) in enumerate(items))]
        order = ", ".join([*lead, "s._r"])
        sql = f"SELECT {', '.join(columns)} {source.clauses(joined)} ORDER BY {order}"
        return SinkQuery(sink, sql, names, tuple(value.kind for _, _, value in items))

    def _window_query(self, sink: Sink, source: _Source, lead: list[str], joined: str) -> SinkQuery:
        """What a window keeps of each row: its end `w`, the keys `k` and what is aggregated `a`."""
        window = sink.select.window
        assert window is not None, "only called for a windowed SELECT"
        values = [(f"k{index}", source.value(key)) for index, key in enumerate(window.keys)]
        for index, aggregate in enumerate(window.aggregates):
            if aggregate.argument is not None:
                values.append((f"a{index}", aggregate_argument(aggregate, source.value(aggregate.argument))))
        columns = [*(f"{one} AS o" for one in lead), f"{_window_end(window)} AS w", *(f"{value.sql} AS {name}" for name, value in values)]
        sql = f"SELECT {', '.join(columns)} {source.clauses(joined)} ORDER BY s._r"
        return SinkQuery(sink, sql, tuple(name for name, _ in values), tuple(value.kind for _, value in values))

    def read(self, source: Input | Step) -> tuple[str, Columns]:
        """The SQL and the columns of a source."""
        if isinstance(source, Step):
            return self._known[source]
        return BATCH, self._root

    def reference(self, name: str) -> ReferenceTable:
        """Reference data by the name of its input."""
        return self._references[name]


class _Source:
    """FROM, JOIN and WHERE of one SELECT, and how its expressions read them."""

    def __init__(self, builder: _Builder, select: Select) -> None:
        self._select = select
        self._sql, columns = builder.read(select.source)
        self._origins = [columns.under("s")]
        self._tables: list[tuple[Join, str]] = []
        for number, join in enumerate(select.joins, start=1):
            table = builder.reference(join.reference)
            found = [(name, Typed(f"r{number}.c{index}", kind) if kind is not Kind.NULL else null()) for index, (name, kind) in enumerate(table.columns)]
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

    def clauses(self, joined: str = "") -> str:
        """FROM and what follows it; `joined` is put after the query's own joins."""
        sql = f"FROM {self._sql} AS s"
        for join, table in self._tables:
            sql += f" {'LEFT JOIN' if join.outer else 'JOIN'} {table} ON {self.value(join.condition).sql}"
        sql += joined
        if self._select.where is not None:
            sql += f" WHERE {self.value(self._select.where).sql}"
        return sql


def _under(alias: str, value: Typed) -> Typed:
    return value if value.kind is Kind.NULL else Typed(f"{alias}.{value.sql}", value.kind, value.explicit)


def _window_end(window: Window) -> str:
    """The end of the window that a row is in: windows are open at the start and closed at the end (asa-query/tumbling-window)."""
    moved = f"(epoch_us(s._t) - ({window.offset}))"
    # Both are positive for every time since 1970 and an offset within a day, so that this division rounds down.
    return f"make_timestamp((({moved} + {window.size - 1}) // {window.size}) * {window.size} + ({window.offset}))"
