"""A store with one flipped bit: what is read is what was written, or an error that names the store, and never anything else."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lpmops.errors import StoreError
from lpmops.model import Health, Kind, Reading, Route, Snapshot, Stage
from lpmops.store import marks, samples, sealing, snapshots
from lpmops.store.connection import open_store
from lpmops.store.marks import Increment, Mark

FLIPS = int(os.environ.get("LPMOPS_TEST_FLIPS", "300"))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def _fill(path: Path) -> None:
    store = open_store(path)
    for name, kind in (("dev", Kind.DEV), ("prod", Kind.PROD)):
        stage = Stage("sql", Health.HEALTHY, "running", readings=(Reading("rows", 5, "rows", NOW, "azuresql"),))
        routes = tuple(Route(str(n), f"County {n}", "lpm-01", "flowing", n * 100) for n in range(40))
        snapshots.save(store, Snapshot(name, kind, NOW, Health.HEALTHY, {"sql": stage}, routes=routes))
        snapshots.save(store, Snapshot(name, kind, NOW + SECOND, Health.DOWN, {"sql": stage}, routes=routes))
        for at in (NOW - 2 * HOUR, NOW - 2 * HOUR + SECOND, NOW):
            samples.append(store, name, at, {f"s{n}": n * 1.5 for n in range(50)})
        sealing.seal(store, name, NOW)
        increment = Increment(1, 2, 3, {"total": {100: 3}}, {"1": {100: 3}})
        marks.advance(store, name, NOW, {"lpm-01": (Mark(2, ((0, 1),), {"1": 3}), increment)})
    store.close()


def _read(path: Path) -> list[object]:
    store = open_store(path)
    try:
        hour = 3 * HOUR
        return [
            snapshots.latest(store),
            [found for found in [snapshots.at(store, "prod", NOW)] if found is not None],
            snapshots.changes(store, "prod", NOW - hour, NOW + hour),
            samples.read(store, "prod", "s7", NOW - hour, NOW + hour),
            samples.minutes(store, "prod", "s7", NOW - hour, NOW - HOUR),
            marks.read(store, "prod"),
            marks.recent(store, "prod", NOW - hour),
        ]
    finally:
        store.close()


def _read_or_error(path: Path) -> list[object] | StoreError:
    try:
        return _read(path)
    except StoreError as error:
        return error


def test_a_flipped_bit_is_harmless_or_noticed(tmp_path: Path) -> None:
    original = tmp_path / "lpmops.db"
    _fill(original)
    content, truth = original.read_bytes(), _read(original)
    random_ = random.Random(42)
    noticed = 0
    for _ in range(FLIPS):
        bit = random_.randrange(len(content) * 8)
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path = tmp_path / "flipped.db"
        path.write_bytes(damaged)
        found = _read_or_error(path)
        if isinstance(found, StoreError):
            assert str(path) in found.message
            noticed += 1
            continue
        for was, now in zip(truth, found, strict=True):
            # A key that no longer matches makes a value missing, which is unknown; a value that is there is the one that was written.
            missing = not now or (isinstance(now, list) and isinstance(was, list) and all(item in was for item in now))
            assert now == was or missing, f"bit {bit}"
    assert noticed > FLIPS // 50


def test_a_store_cut_short_is_noticed(tmp_path: Path) -> None:
    original = tmp_path / "lpmops.db"
    _fill(original)
    content = original.read_bytes()
    path = tmp_path / "short.db"
    for size in range(4096, len(content), 4096):
        path.write_bytes(content[:size])
        found = _read_or_error(path)
        assert isinstance(found, StoreError), f"cut to {size} bytes and not noticed"
        assert "damaged" in found.message
