"""One database: a SQLite file, its catalog, its state, and the sessions in it.

`execute` runs T-SQL for callers in the process, `bulk_insert` lands many rows at once. Both, like a client's session, meet the database's
state: unavailable (40613), paused (40613, and the first try wakes it: about a minute of sandbox time), throttled (10928 at sign-in, 40501
for requests), and its delay. Objects of this class may be used from any thread.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql import bulk, errors, sqlite_errors
from lpmops.sandbox.sql.batch import run_batch
from lpmops.sandbox.sql.catalog import Catalog, Column, Index, Table, from_json, to_json
from lpmops.sandbox.sql.connections import Connection, ConnectionPool, WriteLock
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.metadata import split_name
from lpmops.sandbox.sql.parser import with_names
from lpmops.sandbox.sql.python_values import stored_of
from lpmops.sandbox.sql.results import Collected, Parameter, ResultSet
from lpmops.sandbox.sql.session import Login, Session, SqlPrincipal
from lpmops.sandbox.sql.system_views import DatabaseEntry
from lpmops.sandbox.sql.translate import Program
from lpmops.sandbox.sql.translate.changes import default_of
from lpmops.sandbox.sql.translate.fragment import name as quoted
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import SqlType, infer, nvarchar

if TYPE_CHECKING:
    from lpmops.sandbox.sql.server import SqlServer

State = Literal["online", "unavailable", "paused", "resuming", "throttled"]
RESUME_SECONDS = 60.0
_PROGRAMS = 1000
_PAGE = 4096


class Database:
    """A database of a SqlServer; made by SqlServer.create_database, found by SqlServer.database."""

    def __init__(
        self,
        server: SqlServer,
        path: Path,
        name: str,
        database_id: int,
        created: str,
        max_size_bytes: int,
        collation: str,
        serverless: bool,
    ) -> None:
        self.name = name
        self.path = path
        self.database_id = database_id
        self.created = created
        self.max_size_bytes = max_size_bytes
        self.serverless = serverless
        self.generation = 0
        self.delay_seconds = 0.0
        """Sandbox seconds that every request waits before it runs; infinity blocks until it is set back."""
        self.pool: ConnectionPool = server.pool
        self.clock: Clock = server.clock
        self.lock = WriteLock()
        self._server = server
        self._state: State = "online"
        self._resumed_at = 0.0
        self._mutex = threading.RLock()
        self._sessions: dict[int, Session] = {}
        self._programs: OrderedDict[tuple[Any, ...], tuple[object, Catalog, Program]] = OrderedDict()
        self._counts: dict[int, int] = {}
        self._commits = 0
        self._catalog = self._open(collation)

    def _open(self, collation: str) -> Catalog:
        """Read the catalog, or make one in a new file."""
        connection = self.pool.lease(self.path)
        try:
            connection.sqlite.execute("BEGIN IMMEDIATE")
            connection.sqlite.execute('CREATE TABLE IF NOT EXISTS "sandbox catalog" (body TEXT NOT NULL) STRICT')
            row = connection.sqlite.execute('SELECT body FROM "sandbox catalog"').fetchone()
            catalog = from_json(row[0]) if row else Catalog(collation=collation)
            if row is None:
                connection.sqlite.execute('INSERT INTO "sandbox catalog" VALUES (?)', (to_json(catalog),))
            connection.sqlite.execute("COMMIT")
            return catalog
        finally:
            self.pool.give_back(connection)

    # --- state ---------------------------------------------------------------------------------------------------------------------------------

    @property
    def server_name(self) -> str:
        """The logical server's name."""
        return self._server.name

    @property
    def catalog(self) -> Catalog:
        """The catalog as last committed."""
        return self._catalog

    @property
    def state(self) -> State:
        """online, unavailable, paused, resuming or throttled; to set it is to make it so. Unavailable and paused break the sessions that are open."""
        with self._mutex:
            if self._state == "resuming" and self.clock.time() >= self._resumed_at:
                self._state = "online"
            return self._state

    @state.setter
    def state(self, state: State) -> None:
        with self._mutex:
            self._state = state
            if state == "resuming":
                self._resumed_at = self.clock.time() + RESUME_SECONDS
            if state in ("unavailable", "paused"):
                self.generation += 1
        if state in ("unavailable", "paused"):
            for session in self.sessions():
                session.cancel()
            self._server.broken(self)

    def resume(self) -> None:
        """Wake a paused database: online after about a minute of sandbox time."""
        if self.state == "paused":
            self.state = "resuming"

    def unavailable(self, *, fatal: bool = False) -> SqlError:
        """Error 40613; fatal for a session that was already in."""
        error = errors.database_unavailable(self.name, self._server.name, str(uuid.uuid4()).upper())
        return SqlError(error.number, error.message, 20, 1) if fatal else error

    def check_login(self) -> None:
        """Raise where no new session may begin: SqlError 40613 or 10928. A paused database begins to resume."""
        match self.state:
            case "unavailable" | "resuming":
                raise self.unavailable()
            case "paused":
                self.resume()
                raise self.unavailable()
            case "throttled":
                raise errors.worker_limit(self._server.request_limit)

    def check_request(self) -> None:
        """Raise where no request may run: SqlError 40501."""
        if self._state == "throttled":
            raise errors.service_busy(str(uuid.uuid4()).upper())

    def pages(self) -> int:
        """How many of SQL Server's pages of 8 KB the database takes."""
        connection = self.pool.lease(self.path)
        try:
            (count,) = connection.sqlite.execute("PRAGMA page_count").fetchone()
        finally:
            self.pool.give_back(connection)
        return -(-int(count) * _PAGE // 8192)

    @property
    def max_pages(self) -> int:
        """The size quota in pages of the file; never less than what an empty database needs."""
        return max(self.max_size_bytes // _PAGE, 16)

    # --- sessions ------------------------------------------------------------------------------------------------------------------------------

    def enter(self, principal: SqlPrincipal, login: Login | None = None) -> Session:
        """A new session. Raises SqlError 40613, 10928, 18456."""
        self.check_login()
        session = Session(
            self,
            principal,
            login or Login(user=principal.name, application="sandbox"),
            self._server.next_session_number(),
        )
        with self._mutex:
            self._sessions[session.number] = session
        return session

    def leave(self, session: Session) -> None:
        """The session is over."""
        with self._mutex:
            self._sessions.pop(session.number, None)

    def sessions(self) -> list[Session]:
        """The sessions that are open."""
        with self._mutex:
            return list(self._sessions.values())

    def siblings(self) -> Iterable[DatabaseEntry]:
        """What sys.databases shows here."""
        shown = self._server.databases() if self.name == "master" else [self._server.database("master"), self]
        return [
            DatabaseEntry(
                d.database_id,
                d.name,
                d.created,
                "ONLINE" if d.state in ("online", "throttled") else "OFFLINE",
                d.catalog.collation,
            )
            for d in shown
        ]

    def program(
        self,
        kind: tuple[Any, ...],
        node: object,
        session: Session,
        types: Mapping[str, SqlType],
        build: Callable[[], Program],
    ) -> Program:
        """A translation, kept for as long as the catalog it was made with stands."""
        key = (*kind, id(node), session.default_schema, *sorted(types.items(), key=lambda entry: entry[0]))
        catalog = session.catalog
        with self._mutex:
            found = self._programs.get(key)
            # An entry holds its tree, so its id cannot have passed to another one.
            if found is not None and found[0] is node and found[1] is catalog:
                self._programs.move_to_end(key)
                return found[2]
        try:
            program = build()
        except RecursionError:
            text = (
                "Internal error: Server stack limit has been reached. "
                "Please look for potentially deep nesting in your query, and try to simplify it."
            )
            raise SqlError(8631, text, 17, 1) from None
        with self._mutex:
            self._programs[key] = (node, catalog, program)
            while len(self._programs) > _PROGRAMS:
                self._programs.popitem(last=False)
        return program

    # --- rows counted and committed ------------------------------------------------------------------------------------------------------------

    def commit(self, connection: Connection, pending: Catalog | None, deltas: Mapping[int, int | None]) -> None:
        """COMMIT, and with it the catalog and the row counts."""
        with self._mutex:
            connection.sqlite.execute("COMMIT")
            self._commits += 1
            if pending is not None:
                self._catalog = pending
            for object_id, delta in deltas.items():
                if delta is None:
                    self._counts.pop(object_id, None)
                elif object_id in self._counts:
                    self._counts[object_id] += delta

    def row_count(self, table: str) -> int:
        """Rows of a table (`schema.table`) as last committed. Raises SqlError 208."""
        return self.rows_of(Translation(self._catalog, {}, self.name).table(split_name(table)))

    def rows_of(self, table: Table) -> int:
        """Rows of a table as last committed: counted once, kept by addition."""
        while True:
            with self._mutex:
                found = self._counts.get(table.object_id)
                commits = self._commits
            if found is not None:
                return found
            connection = self.pool.lease(self.path)
            try:
                counted = self.count(connection, table)
            finally:
                self.pool.give_back(connection)
            with self._mutex:
                if commits == self._commits:
                    self._counts[table.object_id] = counted
                    return counted

    def count(self, connection: Connection, table: Table) -> int:
        """Rows of a table as a connection sees it."""
        return int(connection.sqlite.execute(f"SELECT count(*) FROM {quoted(table.full_name)}").fetchone()[0])

    # --- for callers in the process ------------------------------------------------------------------------------------------------------------

    def execute(
        self, text: str, parameters: Mapping[str, Any] | Sequence[Any] = (), *, principal: SqlPrincipal | None = None
    ) -> list[ResultSet]:
        """Run a batch of T-SQL in a session of its own and give its result sets.

        Parameters are @names to Python values, or a sequence for the `?` marks (or @P1, @P2, ...). Runs as dbo unless a principal is given.
        Raises the batch's first SqlError.
        """
        collected = self.run(text, parameters, principal=principal)
        collected.raise_first()
        return collected.results

    def run(
        self, text: str, parameters: Mapping[str, Any] | Sequence[Any] = (), *, principal: SqlPrincipal | None = None
    ) -> Collected:
        """Like execute, with counts, messages and errors kept instead of raised."""
        if isinstance(parameters, Mapping):
            named = parameters
        else:
            text = with_names(text) if parameters else text
            named = {f"@P{place}": value for place, value in enumerate(parameters, 1)}
        given = [
            Parameter(name if name.startswith("@") else f"@{name}", _kind(value), stored_of(value))
            for name, value in named.items()
        ]
        session = self.enter(principal or SqlPrincipal("sandbox", is_owner=True))
        collected = Collected()
        try:
            self.hold(session)
            run_batch(session, text, given, collected)
        finally:
            session.close()
        return collected

    def hold(self, session: Session) -> None:
        """Wait out the delay that has been set; ends early when the session is cancelled or the delay is taken back."""
        waited = 0.0
        while waited < self.clock.real_seconds(self.delay_seconds) and not session.cancelled:
            session.wait(0.02)
            waited += 0.02

    def bulk_insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        principal: SqlPrincipal | None = None,
    ) -> int:
        """Add rows of Python values to a table (`schema.table`), all or none; how many were added, duplicates that IGNORE_DUP_KEY drops not counted.

        Needs INSERT where a principal is given. Raises SqlError: 208, 207, 515, 2628, 245, 8114, 241, 547, 2601, 2627, 229, 40544, 40613, 40501.
        """
        session = self.enter(principal or SqlPrincipal("sandbox", is_owner=True))
        try:
            self.hold(session)
            return self.load(session, split_name(table), columns, rows)
        finally:
            session.close()

    def load(
        self, session: Session, table_name: tuple[str, ...], names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> int:
        """The bulk load itself, in a session (and its transaction, where one is open)."""
        session.check()
        translation = Translation(session.catalog, {}, self.name, session.default_schema)
        table = translation.table(table_name)
        columns = bulk.chosen_columns(table, names)
        translation.need("INSERT", table)
        session.check_rights(Program("INSERT", "", (), needs=tuple(translation.needs)))
        values = bulk.stored_columns(table, columns, rows, self.name)
        missing = [column for column in table.columns if column not in columns and column.default is not None]
        for column in missing:
            values.append([self._default_value(session, column)] * len(rows))
        sql = bulk.insert_sql(table, [*columns, *missing])
        with session.writing() as connection:
            before = connection.sqlite.total_changes
            connection.sqlite.execute("SAVEPOINT load")
            try:
                connection.sqlite.executemany(sql, zip(*values, strict=True))
            except (sqlite3.Error, OverflowError) as error:
                failed = sqlite_errors.translated(error, connection, table, "INSERT", self.name)
                if connection.sqlite.in_transaction:
                    connection.sqlite.execute("ROLLBACK TO load")
                    connection.sqlite.execute("RELEASE load")
                raise _with_key(failed, table, columns, rows) from error
            connection.sqlite.execute("RELEASE load")
            added = connection.sqlite.total_changes - before
            session.counted(table.object_id, added)
        return added

    def _default_value(self, session: Session, column: Column) -> Any:
        """A default's value now, computed by the same translation that INSERT uses."""
        translation = Translation(session.catalog, {}, self.name, session.default_schema)
        fragment = default_of(translation, column)
        return session.value(Program("SELECT", f"SELECT {fragment.sql}", translation.finished()), {})


def _with_key(failed: SqlError, table: Table, columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> SqlError:
    """Name the duplicate key within the batch itself, where that is what failed."""
    if failed.number not in (2601, 2627):
        return failed
    index = next((found for found in table.indexes if found.unique and f"'{found.name}'" in failed.message), None)
    names = [column.name for column in columns]
    if index is None or any(wanted not in names for wanted, _ in index.columns):
        return failed
    return _first_repeat(failed, table, index, names, rows)


def _first_repeat(
    failed: SqlError, table: Table, index: Index, names: list[str], rows: Sequence[Sequence[Any]]
) -> SqlError:
    places = [names.index(wanted) for wanted, _ in index.columns]
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        key = tuple(row[place] for place in places)
        if key in seen:
            return sqlite_errors.duplicate(
                table, index, f"({', '.join('<NULL>' if part is None else str(part) for part in key)})"
            )
        seen.add(key)
    return failed


def _kind(value: Any) -> SqlType:
    return nvarchar() if isinstance(value, str) else infer(value)
