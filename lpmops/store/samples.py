"""Numbers over time: appended as one body a tick, sealed hour by hour (`sealing`), and read again as samples, minutes, hours or a line.

Rows would take nine times the room and slow down with the days; this way the last day of a month is written as fast as
the first. Raw samples are kept for a week, minutes as long as the configuration says, hours for more than a year.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from lpmops.store import codec, sealing
from lpmops.store.connection import Store
from lpmops.store.failures import believing
from lpmops.store.rollups import DAY, HOUR, MINUTE, Rollup, Sample, rolled, rollup

POINTS = 400
RAW_UP_TO = 2 * HOUR
MINUTES_UP_TO = 4 * DAY
_RATES = frozenset({"rate", "rows_per_minute"})


def name_series(store: Store, environment: str, names: Iterable[str]) -> dict[str, int]:
    """The ids of the named series, new ones made. Raises StoreError."""
    wanted = set(names)
    with store.reading() as connection:
        known = dict(connection.execute("SELECT name, id FROM series WHERE environment = ?", (environment,)).fetchall())
    if wanted <= known.keys():
        return {name: known[name] for name in wanted}
    with store.writing() as connection:
        connection.executemany(
            "INSERT INTO series (environment, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(environment, name) for name in sorted(wanted - known.keys())],
        )
        known = dict(connection.execute("SELECT name, id FROM series WHERE environment = ?", (environment,)).fetchall())
    return {name: known[name] for name in wanted}


def append(store: Store, environment: str, at: datetime, values: Mapping[str, float]) -> None:
    """Add one tick: the values of all series at one moment. A second tick of the same millisecond replaces the first. Raises StoreError."""
    with store.writing() as connection:
        ids = name_series(store, environment, values)
        body = codec.pack_tick({ids[name]: value for name, value in values.items()})
        connection.execute(
            "INSERT OR REPLACE INTO tick (environment, at, body) VALUES (?, ?, ?)",
            (environment, codec.milliseconds(at), body),
        )


def read(store: Store, environment: str, name: str, start: datetime, end: datetime) -> list[Sample]:
    """The raw samples of a series, oldest first, both ends included. Raises StoreError."""
    low, high = codec.milliseconds(start), codec.milliseconds(end)
    return [Sample(codec.moment(at), value) for at, value in _raw(store, environment, name, low, high)]


def minutes(store: Store, environment: str, name: str, start: datetime, end: datetime) -> list[Rollup]:
    """A series by the minute, oldest first; the hours that are not sealed yet are rolled up here. Raises StoreError."""
    low, high = codec.milliseconds(start), codec.milliseconds(end)
    with store.reading(), believing(store.path):
        series = _series(store, environment, name)
        if series is None:
            return []
        found: dict[int, Rollup] = {}
        for hour, body in sealing.parts(store, sealing.MINUTES, environment, series, low - HOUR, high):
            found.update((hour + minute[0], rollup(minute, hour)) for minute in codec.unpack_minutes(body))
        since = sealing.open_since(store, environment)
        if since is not None:
            fresh = rolled(_raw(store, environment, name, max(low, since), high), MINUTE)
            found.update((codec.milliseconds(item.at), item) for item in fresh)
    return [found[at] for at in sorted(found) if low - MINUTE < at <= high]


def hours(store: Store, environment: str, name: str, start: datetime, end: datetime) -> list[Rollup]:
    """A series by the sealed hour, oldest first. Raises StoreError."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT hour, samples, low, high, total, last FROM hour_rollup JOIN series ON series.id = hour_rollup.series"
            " WHERE environment = ? AND name = ? AND hour BETWEEN ? AND ? ORDER BY hour",
            (environment, name, codec.milliseconds(start) - HOUR + 1, codec.milliseconds(end)),
        ).fetchall()
    return [Rollup(codec.moment(hour), *rest) for hour, *rest in rows]


def drawn(
    store: Store, environment: str, name: str, start: datetime, end: datetime, most: int = POINTS
) -> list[Sample]:
    """A series as a line of at most about `most` points, oldest first, from raw samples, minutes or hours as the span asks for. Raises StoreError.

    Where several samples make a point, a rate is their mean and everything else (lag, latency, age) their highest, so that no peak is averaged away.
    """
    low, high = codec.milliseconds(start), codec.milliseconds(end)
    width = max(1, (high - low) // most)
    with store.reading():
        source = _source(store, environment, name, low, high)
        if source == HOUR:
            sealed = {item.at: item for item in hours(store, environment, name, start, end)}
            sealed.update((item.at, item) for item in _open_hours(store, environment, name, low, high))
            rollups = [sealed[at] for at in sorted(sealed)]
        elif source == MINUTE:
            rollups = minutes(store, environment, name, start, end)
        else:
            found = _raw(store, environment, name, low, high)
            if len(found) <= most:
                return [Sample(codec.moment(at), value) for at, value in found]
            rollups = rolled(found, width)
    wide = -(-width // source) * source
    mean = name.rpartition(".")[2] in _RATES
    return [
        Sample(max(start, codec.moment(at)), _mean(group) if mean else max(item.high for item in group))
        for at, group in _together(rollups, wide if len(rollups) > most else source)
    ]


def names(store: Store, environment: str) -> list[str]:
    """The series that an environment has. Raises StoreError."""
    with store.reading() as connection:
        return [
            name
            for (name,) in connection.execute(
                "SELECT name FROM series WHERE environment = ? ORDER BY name", (environment,)
            )
        ]


# Inside ------------------------------------------------------------------------------------------------------------------------------------------


def _source(store: Store, environment: str, name: str, low: int, high: int) -> int:
    """How fine a series is read for a line: 1 (raw), MINUTE or HOUR, and no finer than it is still kept."""
    wanted = 1 if high - low <= RAW_UP_TO else MINUTE if high - low <= MINUTES_UP_TO else HOUR
    series = _series(store, environment, name)
    if series is None or wanted == HOUR:
        return wanted
    (hour,) = store.connection().execute("SELECT MIN(hour) FROM hour_rollup WHERE series = ?", (series,)).fetchone()
    raw, by_minute = (sealing.oldest(store, kind, environment, series) for kind in (sealing.RAW, sealing.MINUTES))
    first = {1: _or(raw, high), MINUTE: _or(by_minute, high), HOUR: _or(hour, high)}
    for finer, coarser in ((1, MINUTE), (MINUTE, HOUR)):
        if wanted == finer and low < first[finer] and first[coarser] < first[finer]:
            wanted = coarser
    return wanted


def _or(hour: int | None, otherwise: int) -> int:
    return otherwise if hour is None else hour


def _series(store: Store, environment: str, name: str) -> int | None:
    row = store.connection().execute("SELECT id FROM series WHERE environment = ? AND name = ?", (environment, name)).fetchone()  # fmt: skip
    return None if row is None else int(row[0])


def _open_hours(store: Store, environment: str, name: str, low: int, high: int) -> list[Rollup]:
    """The hours that are not sealed yet."""
    since = sealing.open_since(store, environment)
    return [] if since is None else rolled(_raw(store, environment, name, max(low, since), high), HOUR)


def _together(rollups: Iterable[Rollup], width: int) -> Iterator[tuple[int, list[Rollup]]]:
    for start, group in itertools.groupby(rollups, key=lambda item: codec.milliseconds(item.at) // width * width):
        yield start, list(group)


def _mean(rollups: Sequence[Rollup]) -> float:
    return math.fsum(item.total for item in rollups) / sum(item.samples for item in rollups)


def _raw(store: Store, environment: str, name: str, low: int, high: int) -> list[tuple[int, float]]:
    with store.reading() as connection, believing(store.path):
        series = _series(store, environment, name)
        if series is None:
            return []
        samples: dict[int, float] = {}
        for hour, body in sealing.parts(store, sealing.RAW, environment, series, low // HOUR * HOUR, high):
            samples.update((hour + offset, value) for offset, value in codec.unpack_chunk(body))
        for at, body in connection.execute(
            "SELECT at, body FROM tick WHERE environment = ? AND at BETWEEN ? AND ?", (environment, low, high)
        ):
            value = codec.tick_value(body, series)
            if value is not None:
                samples[at] = value
    return [(at, samples[at]) for at in sorted(samples) if low <= at <= high]
