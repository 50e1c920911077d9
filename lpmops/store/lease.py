"""Which process polls an environment on this machine: one row an environment, renewed while the process lives.

It saves calls and is no lock: two pollers for a moment (a clock set forward) only read twice. What changes things is
locked in the control database.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime

from lpmops.store import codec
from lpmops.store.connection import Store

LEASE_SECONDS = 20.0


def take(store: Store, environment: str, owner: str, now: datetime, seconds: float = LEASE_SECONDS) -> bool:
    """Take or renew the lease for `owner` (unique to a poller) for `seconds`; False where another that lives holds it. Raises StoreError."""
    at, host = codec.milliseconds(now), socket.gethostname()
    with store.writing() as connection:
        row = connection.execute(
            "SELECT owner, host, pid, renewed_at, lasts FROM poller WHERE environment = ?", (environment,)
        ).fetchone()
        if row is not None and row[0] != owner and _lives(at, *row[1:]):
            return False
        connection.execute(
            "INSERT OR REPLACE INTO poller (environment, owner, host, pid, renewed_at, lasts) VALUES (?, ?, ?, ?, ?, ?)",
            (environment, owner, host, os.getpid(), at, int(seconds * 1000)),
        )
    return True


def release(store: Store, environment: str, owner: str) -> None:
    """Give the lease back, so that another takes over at once. Raises StoreError."""
    with store.writing() as connection:
        connection.execute("DELETE FROM poller WHERE environment = ? AND owner = ?", (environment, owner))


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
