"""Past hours of samples: from ticks, which are quick to write, into blocks of neighbouring series and rollups, which take little room.

A block holds one hour of some dozens of series, each packed by itself, so that a line of one series unpacks only that. Sealing goes block by block,
each in a transaction of its own, and may be stopped and gone on with: thousands of series must not keep the next look waiting.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lpmops.store import codec
from lpmops.store.connection import Store
from lpmops.store.failures import believing
from lpmops.store.rollups import DAY, HOUR, MINUTE, rolled_values

BLOCK = 64
RAW_DAYS = 7
HOUR_DAYS = 400
RAW, MINUTES = "raw_block", "minute_block"
# What an older lpmops wrote, a row for each series.
_BEFORE = {RAW: "chunk", MINUTES: "minute_rollup"}


def seal(store: Store, environment: str, now: datetime, seconds: float = math.inf) -> bool:
    """Seal the past hours, for about `seconds`; whether all is done. Doing it twice changes nothing. Raises StoreError."""
    until = time.monotonic() + seconds
    this_hour = codec.milliseconds(now) // HOUR * HOUR
    while (since := open_since(store, environment)) is not None and since < this_hour:
        if not _seal_hour(store, environment, since, until):
            return False
    return True


def open_since(store: Store, environment: str) -> int | None:
    """The hour of the oldest tick that is not sealed. Raises StoreError."""
    with store.reading() as connection:
        (at,) = connection.execute("SELECT MIN(at) FROM tick WHERE environment = ?", (environment,)).fetchone()
    return None if at is None else int(at) // HOUR * HOUR


def parts(store: Store, kind: str, environment: str, series: int, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """The sealed hours of one series from `first` to `last`, oldest first, each with its packed body. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        yield from connection.execute(
            f"SELECT hour, body FROM {_BEFORE[kind]} WHERE series = ? AND hour BETWEEN ? AND ? ORDER BY hour", (series, first, last)
        )  # fmt: skip
        for hour, body in connection.execute(
            f"SELECT hour, body FROM {kind} WHERE environment = ? AND block = ? AND hour BETWEEN ? AND ? ORDER BY hour",
            (environment, series // BLOCK, first, last),
        ):
            part = codec.block_part(body, hour, series)
            if part is not None:
                yield hour, part


def oldest(store: Store, kind: str, environment: str, series: int) -> int | None:
    """The oldest sealed hour that may hold the series. Raises StoreError."""
    with store.reading() as connection:
        found = connection.execute(
            f"SELECT MIN(hour) FROM {_BEFORE[kind]} WHERE series = ? UNION ALL"
            f" SELECT MIN(hour) FROM {kind} WHERE environment = ? AND block = ?",
            (series, environment, series // BLOCK),
        ).fetchall()
    return min((hour for (hour,) in found if hour is not None), default=None)


def expire(store: Store, environment: str, now: datetime, keep_days: int) -> None:
    """Drop what is older than its time. Raises StoreError."""
    at = codec.milliseconds(now)
    with store.writing() as connection:
        for table, days in ((RAW, min(RAW_DAYS, keep_days)), (MINUTES, keep_days)):
            before = at - days * DAY
            connection.execute(f"DELETE FROM {table} WHERE environment = ? AND hour < ?", (environment, before))
            _expire_rows(store, _BEFORE[table], environment, before)
        _expire_rows(store, "hour_rollup", environment, at - max(HOUR_DAYS, keep_days) * DAY)


# Inside ------------------------------------------------------------------------------------------------------------------------------------------


def _expire_rows(store: Store, table: str, environment: str, before: int) -> None:
    store.connection().execute(
        f"DELETE FROM {table} WHERE hour < ? AND series IN (SELECT id FROM series WHERE environment = ?)",
        (before, environment),
    )


def _seal_hour(store: Store, environment: str, hour: int, until: float) -> bool:
    with store.reading() as connection, believing(store.path):
        rows = connection.execute(
            "SELECT at, body FROM tick WHERE environment = ? AND at BETWEEN ? AND ? ORDER BY at",
            (environment, hour, hour + HOUR - 1),
        ).fetchall()
        ticks = _Ticks(hour, rows)
        begun = connection.execute(
            "SELECT block FROM sealing WHERE environment = ? AND hour = ? AND ticks = ?", (environment, hour, len(rows))
        ).fetchone()
    # A tick that came late (a clock set back) begins the hour anew: what is sealed twice stays the same.
    blocks = sorted(block for block in ticks.blocks() if begun is None or block >= begun[0])
    for block in blocks:
        with store.writing() as connection, believing(store.path):
            _seal_block(store, environment, hour, block, ticks)
            connection.execute(
                "INSERT OR REPLACE INTO sealing (environment, hour, ticks, block) VALUES (?, ?, ?, ?)",
                (environment, hour, len(rows), block + 1),
            )
        if block != blocks[-1] and time.monotonic() >= until:
            return False
    with store.writing() as connection:
        connection.executemany(
            "DELETE FROM tick WHERE environment = ? AND at = ?", [(environment, at) for at, _ in rows]
        )
        connection.execute("DELETE FROM sealing WHERE environment = ?", (environment,))
    return True


def _seal_block(store: Store, environment: str, hour: int, block: int, ticks: _Ticks) -> None:
    connection = store.connection()
    key = (environment, block, hour)
    raw, by_minute = _parts_of(store, RAW, key), _parts_of(store, MINUTES, key)
    for series in ticks.series(block):
        samples = ticks.of(series)
        if series in raw:
            samples = sorted({**dict(codec.unpack_chunk(raw[series])), **dict(samples)}.items())
        raw[series] = codec.pack_chunk(samples)
        by_minute[series] = codec.pack_minutes(list(rolled_values(samples, MINUTE)))
        ((_, *whole),) = rolled_values(samples, HOUR)
        connection.execute(
            "INSERT OR REPLACE INTO hour_rollup (hour, series, samples, low, high, total, last) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (hour, series, *whole),
        )
    for table, found in ((RAW, raw), (MINUTES, by_minute)):
        connection.execute(
            f"INSERT OR REPLACE INTO {table} (environment, block, hour, body) VALUES (?, ?, ?, ?)",
            (*key, codec.pack_block(found, hour)),
        )


def _parts_of(store: Store, table: str, key: tuple[str, int, int]) -> dict[int, bytes]:
    row = store.connection().execute(
        f"SELECT body FROM {table} WHERE environment = ? AND block = ? AND hour = ?", key
    ).fetchone()  # fmt: skip
    return {} if row is None else codec.unpack_block(row[0], key[2])


class _Ticks:
    """The ticks of one hour, series by series. Ticks of the same series share one table of places."""

    def __init__(self, hour: int, rows: list[tuple[int, bytes]]) -> None:
        self._rows: list[tuple[int, dict[int, int], array[Any]]] = []
        known: dict[bytes, dict[int, int]] = {}
        for at, body in rows:
            ids, values = codec.tick_arrays(body)
            places = known.setdefault(ids.tobytes(), {})
            if not places:
                places.update((series, place) for place, series in enumerate(ids))
            self._rows.append((at - hour, places, values))
        self._all = {series for places in known.values() for series in places}

    def blocks(self) -> set[int]:
        return {series // BLOCK for series in self._all}

    def series(self, block: int) -> list[int]:
        return sorted(series for series in self._all if series // BLOCK == block)

    def of(self, series: int) -> list[tuple[int, float]]:
        """Milliseconds into the hour with the value."""
        return [(at, values[places[series]]) for at, places, values in self._rows if series in places]
