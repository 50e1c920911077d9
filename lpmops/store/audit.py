"""The audit: who did what, why, and when, as a chain in which each entry holds the hash of the one before.

Only ever appended to; triggers refuse any other change, and a changed, missing or inserted entry breaks the chain. A
chain that was cut at its end does not break by itself: that is what the heads are for, which the engine copies to each
environment's control database. The hash of the first entry names the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lpmops.store import codec
from lpmops.store.connection import Store
from lpmops.store.failures import believing, damaged

_START = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `what` is a dotted word such as `operation.begun`; `body` are plain JSON values."""

    seq: int
    at: datetime
    environment: str
    who: str
    what: str
    operation: str | None
    body: Mapping[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a chain: `chain` names it, `sequence` counts from 1."""

    chain: str
    sequence: int
    hash: str


def append(
    store: Store,
    at: datetime,
    environment: str,
    who: str,
    what: str,
    body: Mapping[str, Any],
    operation: str | None = None,
) -> None:
    """Add an entry, in the transaction that is open where there is one. Raises StoreError."""
    with store.writing() as connection:
        last = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone() or (0, _START)
        text = json.dumps(body, sort_keys=True)
        values = (int(last[0]) + 1, codec.milliseconds(at), environment, who, what, operation, text, str(last[1]))
        connection.execute(
            "INSERT INTO audit (seq, at, environment, who, what, operation, body, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, _hash(values)),
        )


def entries(store: Store, environment: str | None = None, *, limit: int | None = None) -> list[Entry]:
    """The entries, oldest first; of them only the newest `limit`. The whole chain is checked on the way. Raises StoreError."""
    found = [entry for entry in _walk(store) if environment in (None, entry.environment)]
    return found if limit is None else found[-limit:] if limit else []


def head(store: Store) -> Head | None:
    """The newest entry, after checking the whole chain; None where nothing was ever done. Raises StoreError."""
    chain, last = "", None
    for entry in _walk(store):
        chain, last = chain or entry.hash, entry
    return None if last is None else Head(chain, last.seq, last.hash)


def hash_at(store: Store, sequence: int) -> str | None:
    """The hash of one entry, None where the chain does not reach it. Raises StoreError."""
    with store.reading() as connection:
        row = connection.execute("SELECT hash FROM audit WHERE seq = ?", (sequence,)).fetchone()
    return None if row is None else str(row[0])


def _walk(store: Store) -> Iterator[Entry]:
    previous, expected = _START, 1
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT seq, at, environment, who, what, operation, body, prev, hash FROM audit ORDER BY seq"
        ).fetchall()
    for row in rows:
        *values, found = row
        if values[0] != expected or values[7] != previous or _hash(values) != found:
            raise damaged(store.path, f"the chain of its audit breaks at entry {expected}")
        with believing(store.path):
            seq, at, environment, who, what, operation, body, prev = values
            yield Entry(seq, codec.moment(at), environment, who, what, operation, json.loads(body), prev, found)
        previous, expected = found, expected + 1


def _hash(values: Any) -> str:
    return hashlib.sha256(json.dumps(list(values), default=repr).encode("ascii")).hexdigest()
