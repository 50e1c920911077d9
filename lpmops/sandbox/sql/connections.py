"""SQLite connections, few and shared; and the lock that makes writers wait for each other.

A Connection is a SQLite connection with T-SQL's functions. The ConnectionPool keeps at most `limit` of them open for a whole server (each
takes up to three descriptors), closes the one that has been idle longest when another database needs room, and answers 10928 when all are
held. SQLite takes one writer a database: the WriteLock queues writers in order of arrival, honours LOCK_TIMEOUT and can be interrupted,
which SQLite's own busy handler cannot. All writes and checkpoints of a database happen under it, so the WAL-reset defect of SQLite before
3.51.3, which needs two at once, cannot occur.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from lpmops.sandbox.sql import errors, functions


class Connection:
    """A SQLite connection and what its functions last complained of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sqlite = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=5
        )
        self.sqlite.execute("PRAGMA journal_mode = WAL")
        self.sqlite.execute("PRAGMA synchronous = NORMAL")
        self.sqlite.execute("PRAGMA temp_store = MEMORY")
        self.sqlite.execute("PRAGMA wal_autocheckpoint = 4000")
        self.sqlite.execute("PRAGMA cache_size = -8000")
        self.trouble = functions.register(self.sqlite)

    def close(self) -> None:
        """Close the file."""
        self.sqlite.close()


class ConnectionPool:
    """At most `limit` open connections, most recently used kept."""

    def __init__(self, limit: int = 20) -> None:
        self._limit = limit
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._changed = threading.Condition()
        self._closed = False

    @property
    def open_connections(self) -> int:
        """How many are open, idle or held."""
        return self._open

    def lease(self, path: Path, patience: float = 10.0) -> Connection:
        """A connection to a file, for the caller alone until given back. Raises SqlError 10928 when none becomes free."""
        deadline = time.monotonic() + patience
        evicted: Connection | None = None
        with self._changed:
            while True:
                if self._closed:
                    raise errors.database_unavailable(path.stem, "", "")
                for connection in reversed(self._idle):
                    if connection.path == path:
                        self._idle.remove(connection)
                        return connection
                if self._open < self._limit:
                    self._open += 1
                    break
                if self._idle:
                    evicted = self._idle.popleft()
                    break
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise errors.worker_limit(self._limit)
        try:
            if evicted is not None:
                evicted.close()
            return Connection(path)
        except sqlite3.Error:
            with self._changed:
                self._open -= 1
                self._changed.notify()
            raise

    def give_back(self, connection: Connection) -> None:
        """The connection may serve another."""
        connection.trouble.session = None
        with self._changed:
            if self._closed:
                self._open -= 1
                connection.close()
            else:
                self._idle.append(connection)
            self._changed.notify()

    def forget(self, path: Path) -> None:
        """Close the idle connections to a file that is going away."""
        with self._changed:
            gone = [connection for connection in self._idle if connection.path == path]
            for connection in gone:
                self._idle.remove(connection)
                self._open -= 1
                connection.close()
            self._changed.notify_all()

    def close(self) -> None:
        """Close all; held ones close as they come back."""
        with self._changed:
            self._closed = True
            while self._idle:
                self._idle.popleft().close()
                self._open -= 1
            self._changed.notify_all()


class WriteLock:
    """Who may write to a database now, and who waits, in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner: object | None = None
        self._waiting: deque[object] = deque()

    def acquire(self, owner: object, patience: float | None, stopped: Callable[[], bool]) -> bool:
        """Take the lock; False when `patience` seconds (None: for ever) have passed or `stopped` turned true."""
        deadline = None if patience is None else time.monotonic() + patience
        with self._changed:
            if self._owner is owner:
                return True
            self._waiting.append(owner)
            try:
                while self._owner is not None or self._waiting[0] is not owner:
                    left = None if deadline is None else deadline - time.monotonic()
                    if stopped() or (left is not None and left <= 0):
                        return False
                    self._changed.wait(left)
                self._owner = owner
                return True
            finally:
                self._waiting.remove(owner)
                self._changed.notify_all()

    def release(self, owner: object) -> None:
        """Let the next one in."""
        with self._changed:
            if self._owner is owner:
                self._owner = None
                self._changed.notify_all()

    def wake(self) -> None:
        """Let waiters look whether they have been stopped."""
        with self._changed:
            self._changed.notify_all()

    def waits(self, owner: object) -> bool:
        """Whether this owner is in the queue."""
        with self._changed:
            return owner in self._waiting
