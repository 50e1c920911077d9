"""The newest snapshot of each environment, and those of the past, bounded by age and size.

The past keeps every look of the last hours, later one a minute and at last one in five minutes, and always each one in which the health or the
suspects changed, so that a turn of events is never between two of them. What became otherwise stands beside the body, so that the turns of a month
are read without decoding one. It is held against the look recorded before, whatever the clock said then.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lpmops.model import Health, Snapshot
from lpmops.store import codec, snapshot_codec
from lpmops.store.connection import Store
from lpmops.store.failures import believing, damaged
from lpmops.store.snapshot_codec import Basis

KEEP_BYTES = 256 * 1024 * 1024
EVERY_LOOK_FOR = timedelta(hours=3)
EVERY_MINUTE_FOR = timedelta(hours=48)
MINUTE, FIVE_MINUTES, HOUR = 60_000, 300_000, 3_600_000


@dataclass(frozen=True, slots=True)
class Outline:
    """How an environment stood, in short: its health and the ids of its suspects, likeliest first."""

    health: Health
    suspects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One look that found something otherwise than the look before."""

    at: datetime
    before: Outline
    after: Outline


def save(store: Store, snapshot: Snapshot) -> None:
    """Keep `snapshot` as the newest of its environment, and for the past. Raises StoreError."""
    name, at, outline = snapshot.environment, codec.milliseconds(snapshot.taken_at), _outline(snapshot)
    with store.writing() as connection, believing(store.path):
        newest = connection.execute(
            "SELECT taken_at, outline, basis FROM snapshot WHERE environment = ?", (name,)
        ).fetchone()
        basis_id, basis = _basis(connection, snapshot, newest and newest[2])
        body = snapshot_codec.pack(snapshot, basis)
        before = None if newest is None else _known_outline(name, *newest[:2])
        connection.execute(
            "INSERT OR REPLACE INTO snapshot (environment, taken_at, outline, basis, body) VALUES (?, ?, ?, ?, ?)",
            (name, at, codec.pack_json([name, at, outline]), basis_id, body),
        )
        if newest is None or newest[0] != at or before != outline:
            turn = None if before is None or before == outline else codec.pack_json([name, at, before, outline])
            connection.execute(
                "INSERT INTO snapshot_history (environment, taken_at, bytes, turn, basis, body) VALUES (?, ?, ?, ?, ?, ?)",
                (name, at, len(body), turn, basis_id, body),
            )


def latest(store: Store, environments: Sequence[str] | None = None) -> list[Snapshot]:
    """The newest snapshot of each named environment (of all, by name), those that were never seen left out. Raises StoreError."""
    where = "" if environments is None else f"WHERE snapshot.environment IN ({','.join('?' * len(environments))})"
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {_FOUND.format('snapshot')} {where} ORDER BY snapshot.environment", tuple(environments or ())
        ).fetchall()
    return [_decode(store, *row) for row in rows]


def newest_moment(store: Store, environment: str) -> datetime | None:
    """When the newest snapshot was taken: quick to ask, so that a new one is decoded only when there is one. Raises StoreError."""
    with store.reading() as connection:
        row = connection.execute("SELECT taken_at FROM snapshot WHERE environment = ?", (environment,)).fetchone()
    with believing(store.path):
        return None if row is None else codec.moment(row[0])


def extent(store: Store, environment: str) -> tuple[datetime, datetime] | None:
    """The oldest kept moment and that of the newest look, None where nothing was kept. Raises StoreError."""
    with store.reading() as connection:
        (first,) = connection.execute(
            "SELECT MIN(taken_at) FROM snapshot_history WHERE environment = ?", (environment,)
        ).fetchone()
    last = newest_moment(store, environment)
    if first is None or last is None:
        return None
    with believing(store.path):
        # What was kept before the clock was set back lies in the future: it is there, but the time line does not end with it.
        return min(codec.moment(first), last), last


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
            f"SELECT {_FOUND.format('snapshot_history')} WHERE snapshot_history.id = ("
            "SELECT id FROM snapshot_history WHERE environment = ? AND taken_at <= ? ORDER BY taken_at DESC, id DESC LIMIT 1)",
            (environment, codec.milliseconds(moment)),
        ).fetchone()
    return None if row is None else _decode(store, *row)


def changes(store: Store, environment: str, start: datetime, end: datetime) -> list[Change]:
    """The turns of events between two moments, oldest first, both ends included. No snapshot is decoded. Raises StoreError."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT taken_at, turn FROM snapshot_history INDEXED BY snapshot_history_turn"
            " WHERE environment = ? AND taken_at BETWEEN ? AND ? AND turn IS NOT NULL ORDER BY taken_at, id",
            (environment, codec.milliseconds(start), codec.milliseconds(end)),
        ).fetchall()
    with believing(store.path):
        return [_change(environment, at, turn) for at, turn in rows]


def expire(store: Store, environment: str, now: datetime, keep_days: int, keep_bytes: int = KEEP_BYTES) -> int:
    """Drop the past beyond `keep_days`, thin out what is old, then drop the oldest beyond `keep_bytes`; how many looks went. Raises StoreError."""
    at, by_minute, by_five = (
        codec.milliseconds(now - span) for span in (timedelta(days=keep_days), EVERY_LOOK_FOR, EVERY_MINUTE_FOR)
    )
    with store.writing() as connection:
        gone = connection.execute(
            "DELETE FROM snapshot_history WHERE environment = ? AND taken_at < ?", (environment, at)
        ).rowcount
        for width, older_than in ((MINUTE, by_minute), (FIVE_MINUTES, by_five)):
            gone += connection.execute(
                "DELETE FROM snapshot_history WHERE environment = :name AND taken_at < :before AND turn IS NULL"
                " AND id NOT IN (SELECT id FROM (SELECT id, MIN(taken_at) FROM snapshot_history"
                " WHERE environment = :name AND taken_at < :before GROUP BY taken_at / :width))",
                {"name": environment, "before": older_than // width * width, "width": width},
            ).rowcount
        gone += connection.execute(
            "DELETE FROM snapshot_history WHERE id IN (SELECT id FROM ("
            "SELECT id, SUM(bytes) OVER (ORDER BY taken_at DESC, id DESC) AS total FROM snapshot_history WHERE environment = :name)"
            " WHERE total > :most - (SELECT COALESCE(SUM(bytes), 0) FROM snapshot_basis WHERE environment = :name))",
            {"name": environment, "most": keep_bytes},
        ).rowcount
        connection.execute(
            "DELETE FROM snapshot_basis WHERE environment = :name"
            " AND id NOT IN (SELECT basis FROM snapshot_history WHERE environment = :name AND basis IS NOT NULL)"
            " AND id NOT IN (SELECT basis FROM snapshot WHERE environment = :name AND basis IS NOT NULL)",
            {"name": environment},
        )
    return gone


# Inside ------------------------------------------------------------------------------------------------------------------------------------------

_FOUND = "{0}.environment, {0}.taken_at, {0}.body, snapshot_basis.body FROM {0} LEFT JOIN snapshot_basis ON snapshot_basis.id = {0}.basis"


def _basis(connection: sqlite3.Connection, snapshot: Snapshot, newest: int | None) -> tuple[int, Basis]:
    """The basis that the last look was written over while it is of this hour and of these companies, else a new one."""
    row = connection.execute("SELECT at, body FROM snapshot_basis WHERE id = ?", (newest,)).fetchone()
    at = codec.milliseconds(snapshot.taken_at)
    if row is not None and newest is not None and abs(at - row[0]) < HOUR:
        # One that can't be believed any more is followed by a new one: what comes must not be lost with what was.
        with contextlib.suppress(ValueError):
            found = snapshot_codec.unpack_basis(row[1])
            if found.fits(snapshot):
                return newest, found
    body = snapshot_codec.pack_basis(snapshot)
    made = connection.execute(
        "INSERT INTO snapshot_basis (environment, at, bytes, body) VALUES (?, ?, ?, ?)",
        (snapshot.environment, at, len(body), body),
    )
    assert made.lastrowid is not None
    return made.lastrowid, snapshot_codec.unpack_basis(body)


def _decode(store: Store, environment: str, taken_at: int, body: bytes, basis: bytes | None) -> Snapshot:
    """The snapshot of a row whose key and body agree; a flipped bit in the key must not show one environment as another."""
    with believing(store.path):
        snapshot = snapshot_codec.unpack(body, None if basis is None else snapshot_codec.unpack_basis(basis))
    if snapshot.environment != environment or codec.milliseconds(snapshot.taken_at) != taken_at:
        raise damaged(store.path, "a snapshot stands under another name or time")
    return snapshot


def _outline(snapshot: Snapshot) -> str:
    return f"{snapshot.health.value}:{','.join(suspect.id for suspect in snapshot.suspects)}"


def _known_outline(environment: str, at: int, body: bytes | None) -> str | None:
    """The outline of the look before, None where it can't be believed: then nothing is known to have turned."""
    try:
        found = None if body is None else _small(body)
    except ValueError:
        return None
    return str(found[2]) if isinstance(found, list) and found[:2] == [environment, at] else None


def _change(environment: str, at: int, turn: bytes) -> Change:
    """A turn whose key and body agree."""
    name, moment, before, after = _small(turn)
    if (name, moment) != (environment, at):
        raise ValueError("a turn stands under another name or time")
    return Change(codec.moment(at), _read_outline(before), _read_outline(after))


def _small(body: bytes) -> Any:
    """The values of an outline or turn: compressed for the sake of the checksum, plain where the migration wrote it."""
    return json.loads(body) if body[:1] == b"[" else codec.unpack_json(body)


def _read_outline(text: str) -> Outline:
    health, _, suspects = text.partition(":")
    return Outline(Health(health), tuple(filter(None, suspects.split(","))))
