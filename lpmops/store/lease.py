"""Which process of this machine does what only one need do: poll an environment, run an operation. One row a name, renewed while the process lives.

It saves calls and tells the living from the dead, and is no lock: two pollers for a moment (a clock set forward) only
read twice. What changes things is locked in the control database.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime

from lpmops.store import codec
from lpmops.store.connection import Store

LEASE_SECONDS = 20.0


def take(store: Store, name: str, owner: str, now: datetime, seconds: float = LEASE_SECONDS) -> bool:
    """Take or renew the lease for `owner` (unique to a poller) for `seconds`; False where another that lives holds it. Raises StoreError."""
    if holder(store, name, now) not in (None, owner):
        # Read first: one that only follows never keeps the others from writing.
        return False
    with store.writing() as connection:
        if holder(store, name, now) not in (None, owner):
            return False
        connection.execute(
            "INSERT OR REPLACE INTO lease (name, owner, host, pid, renewed_at, lasts) VALUES (?, ?, ?, ?, ?, ?)",
            (name, owner, socket.gethostname(), os.getpid(), codec.milliseconds(now), int(seconds * 1000)),
        )
    return True


def holder(store: Store, name: str, now: datetime) -> str | None:
    """Who holds the lease and lives, or None. Raises StoreError."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT owner, host, pid, renewed_at, lasts FROM lease WHERE name = ?", (name,)
        ).fetchone()
    return str(row[0]) if row is not None and _lives(codec.milliseconds(now), *row[1:]) else None


def taker(store: Store, name: str) -> str | None:
    """Who took the lease last and has not given it back, be it that it has lapsed since. Raises StoreError."""
    with store.reading() as connection:
        row = connection.execute("SELECT owner FROM lease WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def release(store: Store, name: str, owner: str) -> None:
    """Give the lease back, so that another takes over at once. Raises StoreError."""
    with store.writing() as connection:
        connection.execute("DELETE FROM lease WHERE name = ? AND owner = ?", (name, owner))


def process(store: Store, name: str, now: datetime) -> tuple[str, int] | None:
    """Host and process id of the one that holds the lease and lives, or None. Raises StoreError."""
    with store.reading() as connection:
        row = connection.execute("SELECT host, pid, renewed_at, lasts FROM lease WHERE name = ?", (name,)).fetchone()
    return (str(row[0]), int(row[1])) if row is not None and _lives(codec.milliseconds(now), *row) else None


def _lives(at: int, host: str, pid: int, renewed_at: int, lasts: int) -> bool:
    """A lease from the future is dead too: the clock was set back, and nobody may wait until it catches up."""
    return abs(at - renewed_at) < lasts and not (host == socket.gethostname() and _is_gone(pid))


def _is_gone(pid: int) -> bool:
    """Whether no process has that id; on Windows, where asking would end the process, never known."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
