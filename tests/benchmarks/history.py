"""What the past costs: a month of 1,000 series, an hour or a month of one as a line, any moment of 2,000 companies, the turns of a day.

Promise: 30 days of samples of 1,000 series under 1 GB, any hour or month drawn in about 10 ms. The month is written with the store's own codecs, in the
order in which an hourly upkeep would, but with hours that repeat, as sealing each would take half an hour.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lpmops.control.past import StoredPast
from lpmops.model import Confidence, Health, Snapshot, Suspect, to_data
from lpmops.store import codec, samples, sealing, snapshots
from lpmops.store.connection import Store, open_store
from lpmops.store.rollups import HOUR
from tests.benchmarks.samples import snapshot

SERIES, DAYS, EVERY, OPEN = 1_000, 30, timedelta(seconds=5), timedelta(minutes=50)
HOURS_MADE = 3
COMPANIES = 2_000


def main() -> None:
    """Print the figures of samples and of snapshots."""
    with tempfile.TemporaryDirectory(prefix="lpmops-history-") as folder:
        store = open_store(Path(folder) / "samples.db")
        now = _a_month(store)
        _tell_samples(store, now)
        store.close()
        store = open_store(Path(folder) / "snapshots.db")
        _tell_snapshots(store)
        store.close()


# Samples -----------------------------------------------------------------------------------------------------------------------------------------


def _a_month(store: Store) -> datetime:
    """Fill the store as 30 days of looking each five seconds leave it: raw for a week, minutes and hours throughout, the open hour as ticks; now."""
    first = datetime(2026, 10, 1, tzinfo=UTC)
    names = [_name(number) for number in range(SERIES)]
    ids = list(samples.name_series(store, "prod", names).values())
    hours = _sealed_hours(store.path.with_name("made.db"), names)
    start, connection = codec.milliseconds(first), store.connection()
    connection.execute("PRAGMA cache_size=-800000")
    with store.writing():
        for hour in range(DAYS * 24):
            at, made = start + hour * HOUR, hours[hour % len(hours)]
            for table, rows in made.items():
                if table == "chunk" and hour < (DAYS - sealing.RAW_DAYS) * 24:
                    continue
                marks = ", ".join("?" * (2 + len(rows[0])))
                keyed = ((at, series, *row) for series, row in zip(ids, rows, strict=True))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", keyed)
    chance, spent = random.Random(11), []
    for tick in range(OPEN // EVERY):
        values = _tick(names, chance)
        at = first + timedelta(days=DAYS) + tick * EVERY
        spent.append(_milliseconds(lambda values=values, at=at: samples.append(store, "prod", at, values)))  # type: ignore[misc]
    _tell(f"a tick of {SERIES:,} series", spent)
    return first + timedelta(days=DAYS) + OPEN


def _sealed_hours(path: Path, names: list[str]) -> list[dict[str, list[tuple[object, ...]]]]:
    """Some hours sealed by the store itself: for each its rows by table, without hour and series."""
    store, chance, first = open_store(path), random.Random(1), datetime(2026, 9, 1, tzinfo=UTC)
    with store.writing():
        for tick in range(HOURS_MADE * 3600 // EVERY.seconds):
            at = first + tick * EVERY + timedelta(milliseconds=chance.randrange(40))
            samples.append(store, "prod", at, _tick(names, chance))
    _tell(
        "sealing an hour",
        [_milliseconds(lambda: sealing.seal(store, "prod", first + HOURS_MADE * timedelta(hours=1))) / HOURS_MADE],
    )
    found = []
    for hour in range(HOURS_MADE):
        at = (codec.milliseconds(first) + hour * HOUR,)
        found.append(
            {
                table: [row[2:] for row in store.connection().execute(f"SELECT * FROM {table} WHERE hour = ? ORDER BY series", at)]
                for table in ("chunk", "minute_rollup", "hour_rollup")
            }
        )  # fmt: skip
    store.close()
    return found


def _name(number: int) -> str:
    return ("company.{}.rows_per_minute", "company.{}.latency_p95", "stage{}.lag")[number % 3].format(number)


def _tick(names: list[str], chance: random.Random) -> dict[str, float]:
    """Rates, latencies by their bucket, and lags that wander: the kinds that a snapshot holds, in thousandths."""
    span, latencies = 300 + chance.random() * 5, (3.05, 3.15, 3.25, 4.25, 4.45, 5.5)
    return {
        name: round(chance.randrange(8, 16) * 60 / span, 3) if number % 3 == 0
        else latencies[int(chance.random() * 6)] if number % 3 == 1
        else round(chance.random() * 8, 3)
        for number, name in enumerate(names)
    }  # fmt: skip


def _tell_samples(store: Store, now: datetime) -> None:
    size = store.path.stat().st_size
    print(
        f"{DAYS} days of {SERIES:,} series each {EVERY.seconds} s: {size / 1e6:,.0f} MB, {size / 1e9:.2f} x the promise"
    )
    for table in ("chunk", "minute_rollup"):
        rows, mean = store.connection().execute(f"SELECT COUNT(*), AVG(LENGTH(body)) FROM {table}").fetchone()
        print(f"   {table}: {rows:,} rows of {mean:,.0f} bytes")
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


def _looks(first: datetime, count: int, every: timedelta) -> Iterator[Snapshot]:
    """An environment of 2,000 companies over time: about half of them land something between two looks, and every 200th look a hop fails for ten."""
    chance, base = random.Random(3), snapshot("prod", COMPANIES)
    rows = [chance.randrange(10**6) for _ in range(COMPANIES)]
    suspect = Suspect(
        "sql.unreachable", "sql", Confidence.SURE, "lpm-01 can't be reached", ("40613",), ("az sql db show",)
    )
    landed = [first] * COMPANIES
    for look in range(count):
        at = first + look * every
        for company in range(COMPANIES):
            if chance.random() < 0.5:
                rows[company] += chance.randrange(1, 6)
                landed[company] = at - timedelta(milliseconds=chance.randrange(5_000))
        routes = tuple(
            replace(
                route, rows=rows[place], last_landed_at=landed[place],
                rows_per_minute=round(chance.randrange(5, 60) * 60 / (300 + look % 7), 3),
                latency_p95=chance.randrange(2_000, 9_000, 100) / 1000 + 0.05,
            )
            for place, route in enumerate(base.routes)
        )  # fmt: skip
        down = look % 200 >= 190
        yield replace(
            base, taken_at=at, routes=routes, health=Health.DOWN if down else Health.HEALTHY, suspects=(suspect,) if down else ()
        )  # fmt: skip


def _tell_snapshots(store: Store) -> None:
    first, every, count = datetime(2026, 10, 1, tzinfo=UTC), timedelta(seconds=5), 1_440
    spent, plain = [], 0
    for look in _looks(first, count, every):
        spent.append(_milliseconds(lambda look=look: snapshots.save(store, look)))  # type: ignore[misc]
        plain = len(codec.pack_json(to_data(look)))
    _tell(f"a look of {COMPANIES:,} companies kept", spent)
    (each,) = store.connection().execute("SELECT AVG(bytes) FROM snapshot_history").fetchone()
    (basis,) = store.connection().execute("SELECT AVG(bytes) FROM snapshot_basis").fetchone()
    print(
        f"   {each / 1e3:.1f} kB over a basis of {basis / 1e3:.0f} kB an hour; alone it would be {plain / 1e3:.0f} kB, {plain / each:.1f} x"
    )
    spans = (snapshots.EVERY_LOOK_FOR, snapshots.EVERY_MINUTE_FOR - snapshots.EVERY_LOOK_FOR, timedelta(days=DAYS) - snapshots.EVERY_MINUTE_FOR)  # fmt: skip
    looks = sum(
        span / step for span, step in zip(spans, (every, timedelta(minutes=1), timedelta(minutes=5)), strict=True)
    )
    month = looks * each + DAYS * 24 * basis
    print(f"{DAYS} days, {looks:,.0f} looks: {month / 1e6:,.0f} MB an environment, {month / snapshots.KEEP_BYTES:.2f} x its bound; three {3 * month / 1e6:,.0f} MB")  # fmt: skip
    past, chance, last = StoredPast(store), random.Random(5), first + count * every
    _tell(
        "any moment",
        [_milliseconds(lambda: past.at("prod", last - chance.random() * (last - first))) for _ in range(100)],
    )
    _tell("the turns of two hours", [_milliseconds(lambda: past.turns("prod", first, last)) for _ in range(50)], f"{len(past.turns('prod', first, last))} turns")  # fmt: skip


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
