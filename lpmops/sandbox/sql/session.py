"""One client's session in one database: its settings, its transaction, and the running of translated programs.

Reads outside a write transaction see the last committed state at each statement, as READ COMMITTED with row versions does in Azure SQL. The
first write of a transaction takes the database's write lock until COMMIT or ROLLBACK; SQL Server would lock rows, so two writers that never
meet there may wait for each other here. A session is used by one thread at a time; `cancel` may come from any.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lpmops.sandbox.sql import errors, metadata, moments, permissions, sqlite_errors, system_views
from lpmops.sandbox.sql.catalog import Catalog, Table, to_json
from lpmops.sandbox.sql.connections import Connection
from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.definitions import Change
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.results import Sink
from lpmops.sandbox.sql.system_views import DatabaseEntry, SessionEntry
from lpmops.sandbox.sql.translate import Program
from lpmops.sandbox.sql.translate.translation import Bind

if TYPE_CHECKING:
    from lpmops.sandbox.sql.database import Database


@dataclass(frozen=True, slots=True)
class SqlPrincipal:
    """Who has signed in. An owner (the server's administrator) is dbo everywhere; anyone else needs a user of that name in the database."""

    name: str
    is_owner: bool = False


@dataclass(frozen=True, slots=True)
class Login:
    """What a client says when it signs in: a user with a password, or a token. For `sign_in` alone; never shown."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str | None = field(default=None, repr=False)
    database: str = ""
    application: str = ""
    host: str = ""
    address: str = ""


@dataclass(slots=True)
class Settings:
    """What SET changes; back to these at sp_reset_connection."""

    nocount: bool = False
    xact_abort: bool = False
    implicit_transactions: bool = False
    lock_timeout: int = -1
    isolation: str = "READ COMMITTED"
    identity_insert: int = 0
    text_size: int = 2147483647


class Session:
    """A connection of a client, as the database sees it."""

    def __init__(self, database: Database, principal: SqlPrincipal, login: Login, number: int) -> None:
        self.database = database
        self.login = login
        self.number = number
        self.signed_in = principal
        self.settings = Settings()
        self.trancount = 0
        self.doomed = False
        self.rowcount = 0
        self.last_error = 0
        self.caught: SqlError | None = None
        self.last_identity: int | None = None
        self.logged_in = moments.from_datetime(database.clock.now())
        self.request_started: str | None = None
        self.command = ""
        self.principal = "dbo"
        self.default_schema = "dbo"
        self._connection: Connection | None = None
        self._reading: Connection | None = None
        self._pending: Catalog | None = None
        self._deltas: dict[int, int | None] = {}
        self._cancelled = threading.Event()
        self._held = threading.Lock()
        self.generation = database.generation
        self._bind_user()

    def _bind_user(self) -> None:
        if self.signed_in.is_owner:
            return
        catalog = self.database.catalog
        user = catalog.user(self.signed_in.name)
        if user is None or user.kind == "R" or not permissions.allowed(catalog, user.name, "CONNECT"):
            raise errors.login_failed(self.signed_in.name or "<token-identified principal>")
        self.principal = user.name
        self.default_schema = user.default_schema or "dbo"

    # --- being interrupted ---------------------------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Stop what runs; it ends with error 3617."""
        self._cancelled.set()
        self.database.lock.wake()
        # Held, so that a connection just given back is not interrupted in another's hands.
        with self._held:
            for connection in (self._connection, self._reading):
                if connection is not None:
                    connection.sqlite.interrupt()

    def ready(self) -> None:
        """Forget a cancellation that came before the next request."""
        self._cancelled.clear()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` has been called since the request began."""
        return self._cancelled.is_set()

    def wait(self, seconds: float) -> bool:
        """Let real time pass; True when cancelled meanwhile."""
        return self._cancelled.wait(seconds)

    def check(self) -> None:
        """Raise where the session may not go on: cancelled, throttled, or its database gone."""
        if self._cancelled.is_set():
            raise errors.cancelled()
        if self.generation != self.database.generation:
            raise self.database.unavailable(fatal=True)
        self.database.check_request()

    # --- the catalog and the user --------------------------------------------------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        """The catalog as this session sees it: with its own uncommitted changes."""
        return self._pending if self._pending is not None else self.database.catalog

    @property
    def database_name(self) -> str:
        """DB_NAME()."""
        return self.database.name

    def row_count(self, table: Table) -> int:
        """Rows of a table, this transaction's own changes included."""
        own = self._deltas.get(table.object_id, 0)
        if own is None or (self._connection is not None and self.database.catalog.by_id(table.object_id) is None):
            with self.reading() as connection:
                return self.database.count(connection, table)
        return self.database.rows_of(table) + own

    def databases(self) -> Iterable[DatabaseEntry]:
        """What sys.databases shows: all in master, elsewhere master and this one."""
        return self.database.siblings()

    def pages(self) -> int:
        """The 8 KB pages of the data file."""
        return self.database.pages()

    def sessions(self) -> Iterable[SessionEntry]:
        """What the session views show: all with VIEW DATABASE STATE, else oneself."""
        everyone = permissions.allowed(self.catalog, self.principal, "VIEW DATABASE STATE")
        return [session.entry() for session in self.database.sessions() if everyone or session is self]

    def entry(self) -> SessionEntry:
        """This session's row."""
        return SessionEntry(self.number, self.signed_in.name, self.login.application, self.login.host, self.database.database_id, self.logged_in,
                            self.request_started, self.database.lock.waits(self), self.command)  # fmt: skip

    def ask(self, question: str, arguments: tuple[Any, ...]) -> Any:
        """A metadata function that a running program calls."""
        return metadata.answer(self, question, arguments)

    # --- transactions --------------------------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """BEGIN TRANSACTION."""
        self.trancount += 1

    def commit(self) -> None:
        """COMMIT. Raises SqlError 3902, 3930."""
        if self.trancount == 0:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.", 16, 1)
        if self.doomed:
            raise _doomed()
        self.trancount -= 1
        if self.trancount == 0:
            self._finish(keep=True)

    def rollback(self) -> None:
        """ROLLBACK, to the outermost BEGIN. Raises SqlError 3903."""
        if self.trancount == 0:
            raise SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.", 16, 1)
        self.abandon()

    def abandon(self) -> None:
        """End any transaction without keeping it."""
        self.trancount = 0
        self.doomed = False
        self._finish(keep=False)

    def begin_implicitly(self) -> None:
        """With IMPLICIT_TRANSACTIONS, the first statement that reads or writes opens a transaction."""
        if self.settings.implicit_transactions and self.trancount == 0:
            self.trancount = 1

    def _finish(self, *, keep: bool) -> None:
        with self._held:
            connection, self._connection = self._connection, None
        pending, self._pending = self._pending, None
        deltas, self._deltas = self._deltas, {}
        if connection is None:
            return
        try:
            if keep:
                try:
                    self.database.commit(connection, pending, deltas)
                except sqlite3.Error as error:
                    _roll_back(connection)
                    raise sqlite_errors.translated(error, connection, None, "COMMIT", self.database.name) from error
            else:
                _roll_back(connection)
        finally:
            self.database.pool.give_back(connection)
            self.database.lock.release(self)

    def _lock(self) -> Connection:
        """The connection of the open write transaction, begun if need be. Raises SqlError 1222, 3617, 3930."""
        if self.doomed:
            raise _doomed()
        if self._connection is not None:
            return self._connection
        patience = None if self.settings.lock_timeout < 0 else self.settings.lock_timeout / 1000
        if not self.database.lock.acquire(self, patience, self._cancelled.is_set):
            raise errors.cancelled() if self._cancelled.is_set() else errors.lock_timeout()
        try:
            connection = self.database.pool.lease(self.database.path)
            try:
                connection.sqlite.execute(f"PRAGMA max_page_count = {self.database.max_pages}")
                connection.sqlite.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                self.database.pool.give_back(connection)
                raise sqlite_errors.translated(error, connection, None, "BEGIN", self.database.name) from error
        except BaseException:
            self.database.lock.release(self)
            raise
        connection.trouble.session = self
        self._connection = connection
        return connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The write transaction, for one statement: committed at its end where no transaction is open."""
        connection = self._lock()
        try:
            yield connection
        except BaseException:
            if self.trancount == 0:
                self._finish(keep=False)
            raise
        if self.trancount == 0:
            self._finish(keep=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with: the write transaction's own where one is open."""
        if self._connection is not None:
            yield self._connection
            return
        if self._reading is not None:
            yield self._reading
            return
        connection = self.database.pool.lease(self.database.path)
        connection.trouble.session = self
        self._reading = connection
        try:
            yield connection
        finally:
            with self._held:
                self._reading = None
            self.database.pool.give_back(connection)

    def close(self) -> None:
        """End the session; an open transaction is lost."""
        self.abandon()
        self.database.leave(self)

    def reset(self) -> None:
        """sp_reset_connection: as if just signed in."""
        self.abandon()
        self.settings = Settings()
        self.rowcount = self.last_error = 0
        self.caught = None
        self.last_identity = None

    # --- programs ------------------------------------------------------------------------------------------------------------------------------

    def check_rights(self, program: Program) -> None:
        """Raise SqlError 229 or 262 where the user may not do this."""
        if self.principal == "dbo":
            return
        catalog = self.catalog
        for permission, object_id in program.needs:
            found = catalog.by_id(object_id)
            if found is not None and not permissions.allowed(catalog, self.principal, permission, found):
                raise errors.permission_denied(permission, found.name, self.database.name, found.schema)
        for right in program.rights:
            if not permissions.allowed(catalog, self.principal, right):
                raise errors.database_permission_denied(right, self.database.name)

    def bound(self, binds: tuple[tuple[str, Bind], ...], variables: Mapping[str, Stored]) -> dict[str, Any]:
        """A value for each placeholder of a program."""
        values: dict[str, Any] = {}
        # One moment for the whole statement, as SQL Server's run-time constants have.
        now = self.now
        for placeholder, bind in binds:
            match bind.kind:
                case "variable":
                    values[placeholder] = variables[str(bind.key)]
                case "context":
                    values[placeholder] = metadata.context(self, str(bind.key), now)
                case "view":
                    rows = system_views.by_key(str(bind.key)).rows(self)
                    values[placeholder] = json.dumps(
                        [[None if isinstance(cell, bytes) else cell for cell in row] for row in rows]
                    )
                case _:
                    values[placeholder] = bind.key
        return values

    def run(self, program: Program, variables: dict[str, Stored], sink: Sink | None) -> int:
        """Execute a program; rows go to the sink, targets to the variables. The count of rows given or changed."""
        self.check_rights(program)
        values = self.bound(program.binds, variables)
        if program.writes:
            with self.writing() as connection:
                return self._change(connection, program, values, variables, sink)
        serializable = self.trancount > 0 and self.settings.isolation in ("SERIALIZABLE", "REPEATABLE READ")
        if self.trancount > 0 and (program.locks or serializable) and program.needs:
            self._lock()
        with self.reading() as connection:
            return self._read(connection, program, values, variables, sink)

    def value(self, program: Program, variables: Mapping[str, Stored]) -> Stored:
        """The one value of a program."""
        self.check_rights(program)
        values = self.bound(program.binds, variables)
        with self.reading() as connection:
            try:
                row = connection.sqlite.execute(program.sql, values).fetchone()
            except (sqlite3.Error, OverflowError) as error:
                raise sqlite_errors.translated(error, connection, None, "SELECT", self.database.name) from error
        found: Stored = row[0]
        return found

    def _read(
        self,
        connection: Connection,
        program: Program,
        values: dict[str, Any],
        variables: dict[str, Stored],
        sink: Sink | None,
    ) -> int:
        count = 0
        try:
            cursor = connection.sqlite.execute(program.sql, values)
            if program.columns and sink is not None:
                sink.columns(program.columns)
            while rows := cursor.fetchmany(500):
                count += len(rows)
                self.check()
                if program.targets:
                    self._assign(program, rows[-1], variables)
                elif sink is not None:
                    sink.rows(rows)
        except (sqlite3.Error, OverflowError) as error:
            raise sqlite_errors.translated(error, connection, None, "SELECT", self.database.name) from error
        return count

    def _assign(self, program: Program, row: tuple[Any, ...], variables: dict[str, Stored]) -> None:
        for (variable, _), value in zip(program.targets, row[len(program.columns) :], strict=True):
            variables[variable] = value

    def _change(
        self,
        connection: Connection,
        program: Program,
        values: dict[str, Any],
        variables: dict[str, Stored],
        sink: Sink | None,
    ) -> int:
        table = self.catalog.by_id(program.table)
        assert isinstance(table, Table)
        try:
            cursor = connection.sqlite.execute(program.sql, values)
            rows = cursor.fetchall() if program.columns or program.targets else []
            count = len(rows) if program.columns or program.targets else max(cursor.rowcount, 0)
            if program.identity and count:
                self.last_identity = connection.sqlite.execute("SELECT last_insert_rowid()").fetchone()[0]
        except (sqlite3.Error, OverflowError) as error:
            raise sqlite_errors.translated(error, connection, table, program.verb, self.database.name) from error
        self.counted(table.object_id, {"INSERT": count, "DELETE": -count}.get(program.verb, 0))
        if program.targets and rows:
            self._assign(program, rows[-1], variables)
        if program.columns and sink is not None:
            sink.columns(program.columns)
            shown = len(program.columns)
            sink.rows([row[:shown] for row in rows])
        return count

    def counted(self, object_id: int, delta: int) -> None:
        """Note how many rows a table has more, until the transaction ends."""
        before = self._deltas.get(object_id, 0)
        if before is not None:
            self._deltas[object_id] = before + delta

    def apply(self, change: Change) -> None:
        """Make a definition real: SQLite's statements and the catalog, together or not at all."""
        if change.catalog is self.catalog:
            return
        with self.writing() as connection:
            connection.sqlite.execute("SAVEPOINT definition")
            try:
                for statement in change.statements:
                    connection.sqlite.execute(statement)
                connection.sqlite.execute('UPDATE "sandbox catalog" SET body = ?', (to_json(change.catalog),))
            except sqlite3.Error as error:
                text = str(error)
                _undo(connection)
                raise _definition_failed(error, connection, change, text, self.database.name) from error
            connection.sqlite.execute("RELEASE definition")
            self._pending = change.catalog
            for object_id in change.recount:
                self._deltas[object_id] = None

    @property
    def now(self) -> str:
        """The sandbox's time, stored form."""
        return moments.from_datetime(self.database.clock.now())


def _undo(connection: Connection) -> None:
    """Back to before a definition; nothing to do where SQLite has rolled the whole transaction back itself."""
    if connection.sqlite.in_transaction:
        connection.sqlite.execute("ROLLBACK TO definition")
        connection.sqlite.execute("RELEASE definition")


def _roll_back(connection: Connection) -> None:
    if connection.sqlite.in_transaction:
        connection.sqlite.execute("ROLLBACK")


def _doomed() -> SqlError:
    text = "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction."
    return SqlError(3930, text, 16, 1)


def _definition_failed(
    error: sqlite3.Error, connection: Connection, change: Change, text: str, database: str
) -> SqlError:
    """What is wrong with the rows that a new index or constraint met."""
    for table in change.catalog.tables:
        if isinstance(error, sqlite3.IntegrityError) and table.full_name in text and "UNIQUE" in text:
            index = next((found for found in reversed(table.indexes) if found.unique), None)
            if index is not None:
                message = (
                    "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name "
                    f"'{table.full_name}' and the index name '{index.name}'."
                )
                return SqlError(1505, message, 16, 1)
        if (
            isinstance(error, sqlite3.IntegrityError)
            and "CHECK" in text
            and any(f"547|{check.name}" in text for check in table.checks)
        ):
            name = text.partition("|")[2]
            return sqlite_errors.check_failed(table, name, "ALTER TABLE", database)
    table_or_none = next(
        (table for table in change.catalog.tables if table.full_name in text),
        change.catalog.tables[-1] if change.catalog.tables else None,
    )
    return sqlite_errors.translated(error, connection, table_or_none, "ALTER TABLE", database)
