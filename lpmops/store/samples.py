"""Numbers over time: appended as one compressed body a tick, sealed once an hour into one chunk a series, rolled up to minutes and hours.

Rows would take nine times the room and slow down with the days; this way the last day of a month is written as fast as
the first. Raw samples are kept for RAW_DAYS, minutes as long as the configuration says, hours for HOUR_DAYS.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lpmops.store import codec
from lpmops.store.connection import Store
from lpmops.store.failures import believing

HOUR = 3_600_000
MINUTE = 60_000
DAY = 24 * HOUR
RAW_DAYS = 7
HOUR_DAYS = 400
POINTS = 400
RAW_UP_TO = 2 * HOUR
MINUTES_UP_TO = 4 * DAY
_RATES = frozenset({"rate", "rows_per_minute"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value at one moment."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Rollup:
    """The samples of one minute or hour that begins at `at`."""

    at: datetime
    samples: int
    low: float
    high: float
    total: float
    last: float

    @property
    def mean(self) -> float:
        """The mean of the samples."""
        return self.total / self.samples


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
    with store.reading() as connection, believing(store.path):
        found: dict[int, Rollup] = {}
        for hour, body in connection.execute(
            "SELECT hour, body FROM minute_rollup JOIN series ON series.id = minute_rollup.series"
            " WHERE environment = ? AND name = ? AND hour BETWEEN ? AND ? ORDER BY hour",
            (environment, name, low - HOUR, high),
        ):
            for offset, samples, lowest, highest, total, last in codec.unpack_minutes(body):
                found[hour + offset] = Rollup(codec.moment(hour + offset), samples, lowest, highest, total, last)
        open_since = _open_since(store, environment)
        if open_since is not None:
            for rollup in _rolled(_raw(store, environment, name, max(low, open_since), high), MINUTE):
                found[codec.milliseconds(rollup.at)] = rollup
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
            rollups = list(_rolled(found, width))
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


def seal(store: Store, environment: str, now: datetime) -> int:
    """Turn the ticks of past hours into chunks and rollups; how many ticks. Doing it twice changes nothing. Raises StoreError."""
    this_hour = codec.milliseconds(now) // HOUR * HOUR
    sealed = 0
    with store.writing() as connection, believing(store.path):
        ticks = connection.execute(
            "SELECT at, body FROM tick WHERE environment = ? AND at < ? ORDER BY at", (environment, this_hour)
        ).fetchall()
        for hour, group in itertools.groupby(ticks, key=lambda row: row[0] // HOUR * HOUR):
            by_series: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
            for at, body in group:
                sealed += 1
                for series, value in codec.unpack_tick(body).items():
                    by_series[series].append((at - hour, value))
            for series, samples in by_series.items():
                _seal_series(store, hour, series, samples)
        connection.execute("DELETE FROM tick WHERE environment = ? AND at < ?", (environment, this_hour))
    return sealed


def expire(store: Store, environment: str, now: datetime, keep_days: int) -> None:
    """Drop what is older than its time. Raises StoreError."""
    at = codec.milliseconds(now)
    with store.writing() as connection:
        for table, days in (
            ("chunk", min(RAW_DAYS, keep_days)),
            ("minute_rollup", keep_days),
            ("hour_rollup", max(HOUR_DAYS, keep_days)),
        ):
            connection.execute(
                f"DELETE FROM {table} WHERE hour < ? AND series IN (SELECT id FROM series WHERE environment = ?)",
                (at - days * DAY, environment),
            )


# Inside ------------------------------------------------------------------------------------------------------------------------------------------


def _source(store: Store, environment: str, name: str, low: int, high: int) -> int:
    """How fine a series is read for a line: 1 (raw), MINUTE or HOUR, and no finer than it is still kept."""
    wanted = 1 if high - low <= RAW_UP_TO else MINUTE if high - low <= MINUTES_UP_TO else HOUR
    connection = store.connection()
    (series,) = connection.execute(
        "SELECT MAX(id) FROM series WHERE environment = ? AND name = ?", (environment, name)
    ).fetchone()
    oldest: dict[int, int] = {}
    for source, table in ((1, "chunk"), (MINUTE, "minute_rollup"), (HOUR, "hour_rollup")):
        (hour,) = connection.execute(f"SELECT MIN(hour) FROM {table} WHERE series = ?", (series,)).fetchone()
        oldest[source] = high if hour is None else hour
    if wanted == 1 and oldest[MINUTE] < oldest[1] and low < oldest[1]:
        wanted = MINUTE
    if wanted == MINUTE and oldest[HOUR] < oldest[MINUTE] and low < oldest[MINUTE]:
        wanted = HOUR
    return wanted


def _open_hours(store: Store, environment: str, name: str, low: int, high: int) -> list[Rollup]:
    """The hours that are not sealed yet."""
    since = _open_since(store, environment)
    return [] if since is None else list(_rolled(_raw(store, environment, name, max(low, since), high), HOUR))


def _together(rollups: Iterable[Rollup], width: int) -> Iterator[tuple[int, list[Rollup]]]:
    for start, group in itertools.groupby(rollups, key=lambda item: codec.milliseconds(item.at) // width * width):
        yield start, list(group)


def _mean(rollups: Sequence[Rollup]) -> float:
    return math.fsum(item.total for item in rollups) / sum(item.samples for item in rollups)


def _open_since(store: Store, environment: str) -> int | None:
    row = store.connection().execute("SELECT MIN(at) FROM tick WHERE environment = ?", (environment,)).fetchone()
    return None if row[0] is None else int(row[0]) // HOUR * HOUR


def _raw(store: Store, environment: str, name: str, low: int, high: int) -> list[tuple[int, float]]:
    with store.reading() as connection, believing(store.path):
        row = connection.execute(
            "SELECT id FROM series WHERE environment = ? AND name = ?", (environment, name)
        ).fetchone()
        if row is None:
            return []
        series = row[0]
        samples: dict[int, float] = {}
        first, last = low // HOUR * HOUR, high // HOUR * HOUR
        for hour, body in connection.execute(
            "SELECT hour, body FROM chunk WHERE series = ? AND hour BETWEEN ? AND ?", (series, first, last)
        ):
            samples.update((hour + offset, value) for offset, value in codec.unpack_chunk(body))
        for at, body in connection.execute(
            "SELECT at, body FROM tick WHERE environment = ? AND at BETWEEN ? AND ?", (environment, low, high)
        ):
            value = codec.tick_value(body, series)
            if value is not None:
                samples[at] = value
    return [(at, samples[at]) for at in sorted(samples) if low <= at <= high]


def _seal_series(store: Store, hour: int, series: int, samples: list[tuple[int, float]]) -> None:
    """Merge with what a tick that came late (a clock set back) finds already sealed."""
    connection = store.connection()
    row = connection.execute("SELECT body FROM chunk WHERE hour = ? AND series = ?", (hour, series)).fetchone()
    merged = sorted({**(dict(codec.unpack_chunk(row[0])) if row else {}), **dict(samples)}.items())
    by_minute = [
        (codec.milliseconds(item.at) - hour, item.samples, item.low, item.high, item.total, item.last)
        for item in _rolled(((hour + offset, value) for offset, value in merged), MINUTE)
    ]
    (whole,) = _rolled(((hour + offset, value) for offset, value in merged), HOUR)
    connection.execute(
        "INSERT OR REPLACE INTO chunk (hour, series, body) VALUES (?, ?, ?)", (hour, series, codec.pack_chunk(merged))
    )
    connection.execute(
        "INSERT OR REPLACE INTO minute_rollup (hour, series, body) VALUES (?, ?, ?)",
        (hour, series, codec.pack_minutes(by_minute)),
    )
    connection.execute(
        "INSERT OR REPLACE INTO hour_rollup (hour, series, samples, low, high, total, last) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (hour, series, whole.samples, whole.low, whole.high, whole.total, whole.last),
    )


def _rolled(samples: Iterable[tuple[int, float]], width: int) -> Iterator[Rollup]:
    for start, group in itertools.groupby(samples, key=lambda sample: sample[0] // width * width):
        values = [value for _, value in group]
        # To the millionth: the dust of adding thousandths would make a sum no whole number of them.
        total = round(math.fsum(values), 6)
        yield Rollup(codec.moment(start), len(values), min(values), max(values), total, values[-1])
