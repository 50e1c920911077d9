"""The newest snapshot of each environment, and those of the past, bounded by age and size.

The past keeps one snapshot a minute, and each one in which the health or the suspects changed, so that a turn of events
is never between two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from lpmops.model import Snapshot
from lpmops.store import codec
from lpmops.store.connection import Store
from lpmops.store.failures import believing, damaged

KEEP_EVERY_MILLISECONDS = 60_000
KEEP_BYTES = 256 * 1024 * 1024


def save(store: Store, snapshot: Snapshot) -> None:
    """Keep `snapshot` as the newest of its environment, and for the past where its turn has come. Raises StoreError."""
    at, body = codec.milliseconds(snapshot.taken_at), codec.pack_snapshot(snapshot)
    outline = f"{snapshot.health.value}:{','.join(suspect.id for suspect in snapshot.suspects)}"
    with store.writing() as connection:
        connection.execute(
            "INSERT INTO snapshot (environment, taken_at, body) VALUES (?, ?, ?)"
            " ON CONFLICT (environment) DO UPDATE SET taken_at = excluded.taken_at, body = excluded.body",
            (snapshot.environment, at, body),
        )
        kept = connection.execute(
            "SELECT taken_at, outline FROM snapshot_history WHERE environment = ? ORDER BY taken_at DESC LIMIT 1",
            (snapshot.environment,),
        ).fetchone()
        # The distance is absolute: after the clock was set back the newest one lies in the future.
        if kept is None or kept[1] != outline or abs(at - kept[0]) >= KEEP_EVERY_MILLISECONDS:
            connection.execute(
                "INSERT INTO snapshot_history (environment, taken_at, bytes, outline, body) VALUES (?, ?, ?, ?, ?)",
                (snapshot.environment, at, len(body), outline, body),
            )


def latest(store: Store, environments: Sequence[str] | None = None) -> list[Snapshot]:
    """The newest snapshot of each named environment (of all, by name), those that were never seen left out. Raises StoreError."""
    with store.reading() as connection:
        rows = connection.execute("SELECT environment, taken_at, body FROM snapshot ORDER BY environment").fetchall()
    wanted = None if environments is None else set(environments)
    return [_decode(store, *row) for row in rows if wanted is None or row[0] in wanted]


def moments(store: Store, environment: str, start: datetime, end: datetime) -> list[datetime]:
    """When the past holds a snapshot, oldest first, both ends included. Raises StoreError."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT taken_at FROM snapshot_history WHERE environment = ? AND taken_at BETWEEN ? AND ? ORDER BY taken_at",
            (environment, codec.milliseconds(start), codec.milliseconds(end)),
        ).fetchall()
    with believing(store.path):
        return [codec.moment(at) for (at,) in rows]


def at(store: Store, environment: str, moment: datetime) -> Snapshot | None:
    """What was known at `moment`: the newest snapshot of the past that is not later. Raises StoreError."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT environment, taken_at, body FROM snapshot_history WHERE environment = ? AND taken_at <= ? ORDER BY taken_at DESC LIMIT 1",
            (environment, codec.milliseconds(moment)),
        ).fetchone()
    return None if row is None else _decode(store, *row)


def expire(store: Store, environment: str, now: datetime, keep_days: int, keep_bytes: int = KEEP_BYTES) -> int:
    """Drop the past beyond `keep_days`, then the oldest until it fits in `keep_bytes`; how many went. Raises StoreError."""
    with store.writing() as connection:
        gone = connection.execute(
            "DELETE FROM snapshot_history WHERE environment = ? AND taken_at < ?",
            (environment, codec.milliseconds(now - timedelta(days=keep_days))),
        ).rowcount
        gone += connection.execute(
            "DELETE FROM snapshot_history WHERE id IN (SELECT id FROM ("
            "SELECT id, SUM(bytes) OVER (ORDER BY taken_at DESC, id DESC) AS total FROM snapshot_history WHERE environment = ?) WHERE total > ?)",
            (environment, keep_bytes),
        ).rowcount
    return gone


def _decode(store: Store, environment: str, taken_at: int, body: bytes) -> Snapshot:
    """The snapshot of a row whose key and body agree; a flipped bit in the key must not show one environment as another."""
    with believing(store.path):
        snapshot = codec.unpack_snapshot(body)
    if snapshot.environment != environment or codec.milliseconds(snapshot.taken_at) != taken_at:
        raise damaged(store.path, "a snapshot stands under another name or time")
    return snapshot
