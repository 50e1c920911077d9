"""What the past costs: a month of 1,000 series, an hour or a month of one as a line, any moment of 2,000 companies, the turns of an hour.

Promise: 30 days of samples of 1,000 series under 1 GB, any hour or month drawn in about 10 ms. The month is written with the store's own codecs, in
the order in which an hourly upkeep would, but with hours that repeat, as sealing each would take half an hour.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from lpmops.control.past import StoredPast
from lpmops.model import Confidence, Health, Snapshot, Suspect, to_data
from lpmops.store import codec, samples, sealing, snapshots
from lpmops.store.connection import Store, open_store
from lpmops.store.rollups import HOUR
from tests.benchmarks.samples import snapshot

SERIES, DAYS, EVERY, OPEN = 1_000, 30, timedelta(seconds=5), timedelta(minutes=50)
HOURS_MADE = 2
COMPANIES, LOOKS = 2_000, 720


def main() -> None:
    """Print the figures of samples and of snapshots."""
    with tempfile.TemporaryDirectory(prefix="lpmops-history-") as folder:
        store = open_store(Path(folder) / "samples.db")
        _tell_samples(store, _a_month(store))
        store.close()
        store = open_store(Path(folder) / "snapshots.db")
        _tell_snapshots(store)
        store.close()


# Samples -----------------------------------------------------------------------------------------------------------------------------------------

Sealed = dict[str, list[tuple[Any, ...]]]


def _a_month(store: Store) -> datetime:
    """Fill the store as 30 days of looking each five seconds leave it: raw for a week, minutes and hours throughout, the open hour as ticks; now."""
    first = datetime(2026, 10, 1, tzinfo=UTC)
    names = [_name(number) for number in range(SERIES)]
    samples.name_series(store, "prod", names)
    hours = _sealed_hours(store.path.with_name("made.db"), names)
    for day in range(DAYS):
        with store.writing():
            for hour in range(24):
                at = codec.milliseconds(first) + (day * 24 + hour) * HOUR
                _write_hour(store, at, hours[hour % HOURS_MADE], raw=day >= DAYS - sealing.RAW_DAYS)
    chance, spent = random.Random(11), []
    for tick in range(OPEN // EVERY):
        write = partial(
            samples.append, store, "prod", first + timedelta(days=DAYS) + tick * EVERY, _tick(names, chance)
        )
        spent.append(_milliseconds(write))
    _tell(f"a tick of {SERIES:,} series", spent)
    return first + timedelta(days=DAYS) + OPEN


def _sealed_hours(path: Path, names: list[str]) -> list[Sealed]:
    """Some hours sealed by the store itself: for each its blocks as their parts, and its hour rollups."""
    store, chance, first = open_store(path), random.Random(1), datetime(2026, 9, 1, tzinfo=UTC)
    with store.writing():
        for tick in range(HOURS_MADE * 3600 // EVERY.seconds):
            at = first + tick * EVERY + timedelta(milliseconds=chance.randrange(40))
            samples.append(store, "prod", at, _tick(names, chance))
    end, spent = first + HOURS_MADE * timedelta(hours=1), []
    while sealing.open_since(store, "prod") is not None:
        spent.append(_milliseconds(lambda: sealing.seal(store, "prod", end, 0.3)))
    _tell("sealing, after one look", spent, f"{sum(spent) / HOURS_MADE:,.0f} ms an hour in all")
    found = [_hour(store, codec.milliseconds(first) + hour * HOUR) for hour in range(HOURS_MADE)]
    store.close()
    return found


def _hour(store: Store, at: int) -> Sealed:
    made: Sealed = {}
    for kind in (sealing.RAW, sealing.MINUTES):
        rows = store.connection().execute(f"SELECT block, body FROM {kind} WHERE hour = ? ORDER BY block", (at,))
        made[kind] = [(block, codec.unpack_block(body, at)) for block, body in rows]
    whole = store.connection().execute("SELECT * FROM hour_rollup WHERE hour = ?", (at,))
    made["hour_rollup"] = [row[1:] for row in whole]
    return made


def _write_hour(store: Store, at: int, made: Sealed, *, raw: bool) -> None:
    with store.writing() as connection:
        for kind in (sealing.RAW, sealing.MINUTES) if raw else (sealing.MINUTES,):
            rows = [("prod", block, at, codec.pack_block(parts, at)) for block, parts in made[kind]]
            connection.executemany(f"INSERT INTO {kind} VALUES (?, ?, ?, ?)", rows)
        whole = [(at, *row) for row in made["hour_rollup"]]
        connection.executemany("INSERT INTO hour_rollup VALUES (?, ?, ?, ?, ?, ?, ?)", whole)


def _name(number: int) -> str:
    return ("company.{}.rows_per_minute", "company.{}.latency_p95", "stage{}.lag")[number % 3].format(number)


def _tick(names: list[str], chance: random.Random) -> dict[str, float]:
    """Rates, latencies by their bucket, and lags that leap about: the kinds that a snapshot holds, in thousandths."""
    span, latencies = 300 + chance.random() * 5, (3.05, 3.15, 3.25, 4.25, 4.45, 5.5)
    kinds: tuple[Callable[[], float], ...] = (
        lambda: round(chance.randrange(8, 16) * 60 / span, 3),
        lambda: latencies[int(chance.random() * 6)],
        lambda: round(chance.random() * 8, 3),
    )
    return {name: kinds[number % 3]() for number, name in enumerate(names)}


def _tell_samples(store: Store, now: datetime) -> None:
    size = store.path.stat().st_size
    print(
        f"{DAYS} days of {SERIES:,} series each {EVERY.seconds} s: {size / 1e6:,.0f} MB, {size / 1e9:.2f} x the promise"
    )
    for kind in (sealing.RAW, sealing.MINUTES):
        blocks, whole = store.connection().execute(f"SELECT COUNT(*), SUM(LENGTH(body)) FROM {kind}").fetchone()
        print(f"   {kind}: {blocks:,} blocks, {whole / 1e6:,.0f} MB")
    past, chance, first = StoredPast(store), random.Random(7), now - timedelta(days=DAYS)
    for words, span, reach in (
        ("the last hour, open", timedelta(hours=1), None),
        ("an hour of the week", timedelta(hours=1), timedelta(days=6)),
        ("an hour of the month", timedelta(hours=1), timedelta(days=DAYS - 1)),
        ("a day of the month", timedelta(days=1), timedelta(days=DAYS - 2)),
        ("a week of the month", timedelta(days=7), timedelta(days=DAYS - 8)),
        ("the month", timedelta(days=DAYS), None),
    ):
        spent, points = [], 0
        for _ in range(60):
            end = now if reach is None else now - chance.random() * reach
            began = time.perf_counter()
            line = past.series("prod", _name(chance.randrange(SERIES)), max(first, end - span), end)
            spent.append((time.perf_counter() - began) * 1000)
            points = max(points, len(line))
        _tell(f"{words} as a line", spent, f"at most {points} points")


# Snapshots ---------------------------------------------------------------------------------------------------------------------------------------


def _looks(first: datetime) -> Iterator[Snapshot]:
    """An environment of 2,000 companies: half of them land something between two looks, and every 200 looks a hop fails for ten."""
    chance, base = random.Random(3), snapshot("prod", COMPANIES)
    rows = [chance.randrange(10**6) for _ in range(COMPANIES)]
    suspect = Suspect(
        "sql.unreachable", "sql", Confidence.SURE, "lpm-01 can't be reached", ("40613",), ("az sql db show",)
    )
    landed = [first] * COMPANIES
    for look in range(LOOKS):
        at = first + look * EVERY
        for company in range(COMPANIES):
            if chance.random() < 0.5:
                rows[company] += chance.randrange(1, 6)
                landed[company] = at - timedelta(milliseconds=chance.randrange(5_000))
        routes = tuple(
            replace(
                route,
                rows=rows[place],
                last_landed_at=landed[place],
                rows_per_minute=round(chance.randrange(5, 60) * 60 / (300 + look % 7), 3),
                latency_p95=chance.randrange(2_000, 9_000, 100) / 1000 + 0.05,
            )
            for place, route in enumerate(base.routes)
        )
        down = look % 200 >= 190
        health, suspects = (Health.DOWN, (suspect,)) if down else (Health.HEALTHY, ())
        yield replace(base, taken_at=at, routes=routes, health=health, suspects=suspects)


def _tell_snapshots(store: Store) -> None:
    first, spent, plain = datetime(2026, 10, 1, tzinfo=UTC), [], 0
    for look in _looks(first):
        spent.append(_milliseconds(partial(snapshots.save, store, look)))
        plain = plain or len(codec.pack_json(to_data(look)))
    _tell(f"a look of {COMPANIES:,} companies kept", spent)
    (each,) = store.connection().execute("SELECT AVG(bytes) FROM snapshot_history").fetchone()
    (basis,) = store.connection().execute("SELECT AVG(bytes) FROM snapshot_basis").fetchone()
    print(
        f"   {each / 1e3:.1f} kB over a basis of {basis / 1e3:.0f} kB an hour; by itself {plain / 1e3:.0f} kB, {plain / each:.1f} x as much"
    )
    hours, days = snapshots.EVERY_LOOK_FOR, snapshots.EVERY_MINUTE_FOR
    looks = hours / EVERY + (days - hours) / timedelta(minutes=1) + (timedelta(days=DAYS) - days) / timedelta(minutes=5)
    month = looks * each + DAYS * 24 * basis
    bound = f"{month / snapshots.KEEP_BYTES:.2f} x its bound"
    print(
        f"{DAYS} days, {looks:,.0f} looks: {month / 1e6:,.0f} MB an environment, {bound}; three {3 * month / 1e6:,.0f} MB"
    )
    past, chance, last = StoredPast(store), random.Random(5), first + LOOKS * EVERY
    moments = [last - chance.random() * (last - first) for _ in range(100)]
    _tell("any moment", [_milliseconds(partial(past.at, "prod", at)) for at in moments])
    turns = len(past.turns("prod", first, last))
    _tell(
        "the turns of an hour",
        [_milliseconds(partial(past.turns, "prod", first, last)) for _ in range(50)],
        f"{turns} turns",
    )


def _tell(words: str, spent: list[float], more: str = "") -> None:
    ordered = sorted(spent)
    print(
        f"{words:36} p50 {statistics.median(spent):7.2f} ms   p95 {ordered[int(len(ordered) * 0.95)]:7.2f} ms   {more}".rstrip()
    )


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
