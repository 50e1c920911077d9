"""Opening, reading and writing the store's file, and turning every SQLite failure into a sentence.

`open_store` makes the file (folder 0700, file 0600), checks that it is ours, brings its schema up to date after a
backup, and falls back to reading where it can't write. A `Store` gives each thread its own connection; `writing()` is
always `BEGIN IMMEDIATE`, because a read that turns into a write fails with SQLITE_BUSY_SNAPSHOT under load. Nothing
here knows what the tables hold.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from lpmops import resources
from lpmops.errors import StoreError
from lpmops.store import failures, filesystem
from lpmops.store.failures import explained

APPLICATION_ID = 0x6C706D6F  # "lpmo", so that another program's database is never taken for ours


def journal_mode(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> str:
    """WAL where this SQLite has the WAL-reset fix (3.51.3, and 3.50.7 and 3.44.6 in their lines; sqlite.org/wal.html#walresetbug), else DELETE."""
    fixed = (
        version >= (3, 51, 3)
        or (version[:2] == (3, 50) and version >= (3, 50, 7))
        or (version[:2] == (3, 44) and version >= (3, 44, 6))
    )
    return "wal" if fixed else "delete"


class Store:
    """One open store. Connections are per thread; `warnings` are sentences for the operator; `writable` is False where only reading works."""

    def __init__(self, path: Path, *, writable: bool, warnings: tuple[str, ...] = (), immutable: bool = False) -> None:
        self.path = path
        self.writable = writable
        self.warnings = warnings
        self._immutable = immutable
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[sqlite3.Connection] = []
        self._closed = False
        self._file = _identity(path)

    def connection(self) -> sqlite3.Connection:
        """This thread's connection, a new one where the file was moved aside or deleted meanwhile. Raises StoreError."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is not None and (found.in_transaction or self._local.file == _identity(self.path)):
            return found
        with explained(self.path), self._lock:
            if self._closed:
                raise StoreError(f"The store {self.path} is closed.")
            if self.writable and self._file != _identity(self.path):
                # What is written into a file that no name leads to is lost: begin the new one that the operator asked for.
                _prepare(self.path)
                self._file = _identity(self.path)
            if found is not None:
                self._open.remove(found)
                found.close()
            made = _connect(self.path, writable=self.writable, immutable=self._immutable)
            self._open.append(made)
        self._local.connection, self._local.file = made, self._file
        return made

    def version(self) -> tuple[int, int]:
        """What differs from this thread's last answer where somebody else has written since; quick to ask again and again. Raises StoreError."""
        connection = self.connection()
        with explained(self.path):
            return self._local.file, int(connection.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view for several reads. Raises StoreError."""
        connection = self.connection()
        with explained(self.path):
            if _is_busy(connection):
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if _is_busy(connection):
                    connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing; a nested one joins the outer. Raises StoreError."""
        if not self.writable:
            raise StoreError(
                f"The store {self.path} can only be read.",
                hint=f"Check the rights of {self.path.parent}, or set LPMOPS_STATE_DIR.",
            )
        connection = self.connection()
        with explained(self.path):
            if _is_busy(connection):
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if _is_busy(connection):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close every thread's connection; later use raises StoreError."""
        with self._lock:
            self._closed = True
            for connection in self._open:
                connection.close()
            self._open.clear()


def open_store(path: Path) -> Store:
    """The store at `path`, made or brought up to date where needed, read-only (with a warning) where it can't be written.

    Raises StoreError: a network file system, another program's file, a newer version, a damaged file, a full disk, a lock held too long.
    """
    kind = filesystem.network_type(path.parent)
    if kind is not None:
        raise StoreError(
            f"The store {path} would lie on a network file system ({kind}), where SQLite's locks can't be trusted.",
            hint="Set LPMOPS_STATE_DIR to a folder on a local disk.",
        )
    with explained(path):
        if path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            return _read_only(path)
        _prepare(path)
    return Store(path, writable=True)


def _prepare(path: Path) -> None:
    """Make the file where there is none, and bring its schema up to date."""
    if not path.exists():
        _create(path)
    connection = _connect(path, writable=True, immutable=False)
    try:
        _bring_up_to_date(connection, path)
    finally:
        connection.close()


def _identity(path: Path) -> int:
    """Which file stands under that name, 0 for none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _is_busy(connection: sqlite3.Connection) -> bool:
    return connection.in_transaction


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _connect(path: Path, *, writable: bool, immutable: bool) -> sqlite3.Connection:
    """A connection with the house's rules; closing from another thread is allowed, using from one is not done."""
    mode = "mode=rw" if writable else ("mode=ro&immutable=1" if immutable else "mode=ro")
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        isolation_level=None,
        timeout=failures.BUSY_MILLISECONDS / 1000,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA foreign_keys=ON")
        if writable:
            wanted = journal_mode()
            have = connection.execute("PRAGMA journal_mode").fetchone()[0]
            if have != wanted:
                connection.execute(f"PRAGMA journal_mode={wanted}")
            connection.execute(f"PRAGMA synchronous={'FULL' if wanted == 'wal' else 'EXTRA'}")
    except BaseException:
        connection.close()
        raise
    return connection


def _read_only(path: Path) -> Store:
    warning = f"The store {path} can't be written by you: what is seen now is not kept. Check its rights, or set LPMOPS_STATE_DIR."
    for immutable in (False, True):
        connection = _connect(path, writable=False, immutable=immutable)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.OperationalError:
            # A WAL file in a folder that can't be written has no shared memory to lock: its last checkpoint can still be read.
            if immutable:
                raise
            continue
        finally:
            connection.close()
        _check_version(version, path)
        if version < latest_version():
            raise StoreError(
                f"The store {path} is of an older version ({version}) and can't be written to bring it up to date.",
                hint=f"Check the rights of {path}.",
            )
        return Store(path, writable=False, warnings=(warning,), immutable=immutable)
    raise AssertionError("unreachable: the immutable attempt returns or raises")


# Migrations --------------------------------------------------------------------------------------------------------------------------------------


def latest_version() -> int:
    """The schema version that this lpmops writes."""
    return int(resources.migrations()[-1].name[:4])


def _check_version(version: int, path: Path) -> None:
    latest = latest_version()
    if version > latest:
        raise StoreError(
            f"The store {path} was written by a newer lpmops: its version is {version}, this one knows {latest}.",
            hint="Update lpmops, or set LPMOPS_STATE_DIR to another folder to begin a second store.",
        )


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    _check_version(version, path)
    if version > 0 and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreError(f"{path} is the database of another program.", hint="Set LPMOPS_STATE_DIR to another folder.")
    pending = [file for file in resources.migrations() if int(file.name[:4]) > version]
    if not pending:
        return
    if (
        version == 0
        and connection.execute("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'snapshot'").fetchone()[0] == 0
    ):
        if connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]:
            raise StoreError(
                f"{path} is the database of another program.", hint="Set LPMOPS_STATE_DIR to another folder."
            )
    elif version > 0:
        _back_up(connection, path, version)
    for file in pending:
        _migrate(connection, int(file.name[:4]), file.read_text(encoding="utf-8"))


def _migrate(connection: sqlite3.Connection, version: int, script: str) -> None:
    """One migration in one transaction; another process may have been quicker."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] < version:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={version}")
        connection.execute("COMMIT")
    except BaseException:
        if _is_busy(connection):
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """The statements of a migration one by one, as executescript would commit in between."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""


def _back_up(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """A whole copy beside the store before its schema changes, named by the version it holds."""
    target = path.with_name(f"{path.name}.v{version}.backup")
    partial = path.with_name(f"{target.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(partial),))
    partial.chmod(0o600)
    partial.replace(target)
