"""DuckDB in memory with one thread: prepared queries over Arrow tables that change under them.

A batch is seen by DuckDB through an object registered once for each program, which hands out whatever table it holds: a query that was prepared
for one batch runs on the next without being planned again. That holds until the catalog changes, so nothing is created or dropped on the way of a
batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

import duckdb

from lpmops.sandbox.asa.diagnostics import QueryRuntimeError
from lpmops.sandbox.asa.program import Columns, ReferenceTable, Take, TapQuery, build
from lpmops.sandbox.asa.routing import Feed

# Kinds change with what is null in a batch, and hostile events could make any number of programs.
_PROGRAMS = 64

# A row of a sink: the place of its output, the row of the batch, its values.
TakenRow = tuple[int, tuple[int, tuple[Any, ...]]]


class _Batch:
    """What DuckDB scans: the table of the moment, by Arrow's PyCapsule interface."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


class _Program:
    def __init__(self, name: str, batch: _Batch, queries: tuple[TapQuery, ...]) -> None:
        self.name, self.batch, self.queries = name, batch, queries


class Database:
    """The connection of one executor."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.execute(
            "SET TimeZone = 'UTC'; SET enable_external_access = false; SET python_enable_replacements = false"
        )
        self._programs: OrderedDict[object, _Program] = OrderedDict()
        self._made = 0

    def replace(self, name: str, table: Any) -> None:
        """Make a table of these rows, in the place of one of that name."""
        self._connection.register("incoming", table)
        self._connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
        self._connection.unregister("incoming")

    def run(
        self, feed: Feed, root: Columns, table: Any, references: Mapping[str, ReferenceTable]
    ) -> Iterator[tuple[Take, list[TakenRow]]]:
        """Run a feed over a table whose columns are `root`; give each sink's rows in the order of the batch. Raises QueryRuntimeError."""
        program = self._program(feed, root, table, references)
        program.batch.table = table
        try:
            for number, query in enumerate(program.queries):
                rows = self._fetch(f"EXECUTE {program.name}_{number}").fetchall()
                # A join may give rows in the order of its other side.
                rows.sort(key=itemgetter(0))
                for take in query.takes:
                    yield take, _taken(take, rows)
        finally:
            program.batch.table = table.slice(0, 0)

    def rows(self, sql: str, name: str, table: Any) -> list[tuple[Any, ...]]:
        """The rows of a query over one table. Raises QueryRuntimeError."""
        self._connection.register(name, table)
        try:
            return list(self._fetch(sql).fetchall())
        finally:
            self._connection.unregister(name)

    def table(self, sql: str, name: str, table: Any) -> Any:
        """The same as an Arrow table."""
        self._connection.register(name, table)
        try:
            return self._fetch(f"SELECT * FROM ({sql}) ORDER BY ALL", relation=True).to_arrow_table()
        finally:
            self._connection.unregister(name)

    def close(self) -> None:
        """Let go of memory."""
        self._connection.close()

    def _fetch(self, sql: str, relation: bool = False) -> Any:
        try:
            return self._connection.sql(sql) if relation else self._connection.execute(sql)
        except duckdb.Error as error:
            # Lines after the first may show values.
            raise QueryRuntimeError(str(error).splitlines()[0].split("Error: ", 1)[-1]) from error

    def _program(self, feed: Feed, root: Columns, table: Any, references: Mapping[str, ReferenceTable]) -> _Program:
        key = (id(feed), tuple(root.by_key.items()), tuple(root.visible), tuple(references.items()))
        program = self._programs.get(key)
        if program is None:
            self._made += 1
            name = f"program{self._made}"
            program = _Program(name, _Batch(table), build(feed, root, references, f"batch_{name}"))
            self._connection.register(f"batch_{name}", program.batch)
            for number, query in enumerate(program.queries):
                self._fetch(f"PREPARE {name}_{number} AS {query.sql}")
            self._programs[key] = program
            if len(self._programs) > _PROGRAMS:
                self._forget(self._programs.popitem(last=False)[1])
        self._programs.move_to_end(key)
        return program

    def _forget(self, program: _Program) -> None:
        for number in range(len(program.queries)):
            self._connection.execute(f"DEALLOCATE {program.name}_{number}")
        self._connection.unregister(f"batch_{program.name}")


def _taken(take: Take, rows: list[tuple[Any, ...]]) -> list[TakenRow]:
    """A sink's rows among those of its query, sorted by output."""
    flag, route = take.flag, take.route
    if flag is not None:
        rows = [row for row in rows if row[flag]]
    values = _values(take.places)
    if route is None:
        return [(0, (row[0], values(row))) for row in rows]
    outputs: dict[str, list[int]] = {}
    for text, place in take.sink.routes:
        outputs.setdefault(text, []).append(place)
    taken = [(place, (row[0], values(row))) for row in rows for place in outputs.get(row[route], ())]
    taken.sort(key=itemgetter(0))
    return taken


def _values(places: tuple[int, ...]) -> Any:
    """A function from a row to its values at these places."""
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places)
