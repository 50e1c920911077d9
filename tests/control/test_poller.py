"""The poller: shares its looks, hands over, and ends at once."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lpmops.config import Config, Refresh
from lpmops.control.poller import Poller
from lpmops.model import Health, Snapshot
from lpmops.store import failures, snapshots
from lpmops.store.connection import Store, open_store
from tests.control.pretend import World
from tests.waiting import until


@pytest.fixture
def start(store: Store) -> Iterator[Callable[..., tuple[Poller, list[Snapshot]]]]:
    pollers: list[Poller] = []

    def make(world: World, *, store: Store | None = store) -> tuple[Poller, list[Snapshot]]:
        config = Config({"test": world.environment}, refresh=Refresh(interval=0.05, slow_interval=0.2, deadline=5.0))
        poller = Poller(world.environment, config, store, opener=lambda *_: world, now=lambda: world.now)
        seen: list[Snapshot] = []
        poller.subscribe(seen.append)
        pollers.append(poller)
        poller.start()
        return poller, seen

    yield make
    for poller in pollers:
        poller.close()


def test_subscribers_get_look_after_look(start: Callable[..., tuple[Poller, list[Snapshot]]]) -> None:
    _, seen = start(World())
    until(lambda: len(seen) >= 3)
    assert {snapshot.environment for snapshot in seen} == {"test"}


def test_a_late_subscriber_gets_the_newest_at_once(start: Callable[..., tuple[Poller, list[Snapshot]]]) -> None:
    poller, seen = start(World())
    until(lambda: bool(seen))
    late: list[Snapshot] = []
    poller.subscribe(late.append)()
    assert late


def test_a_second_app_reads_the_store_and_takes_over(start: Callable[..., tuple[Poller, list[Snapshot]]]) -> None:
    leading, following = World(), World()
    first, seen = start(leading)
    until(lambda: bool(seen))
    _, shared = start(following)
    until(lambda: bool(shared))
    assert following.asked.total() == 0
    first.close()
    until(lambda: following.asked["table"] > 0)


def test_a_clock_that_jumps_ends_nothing(start: Callable[..., tuple[Poller, list[Snapshot]]]) -> None:
    world = World()
    _, seen = start(world)
    until(lambda: bool(seen))

    def two_more() -> None:
        had = len(seen)
        until(lambda: len(seen) >= had + 2)

    for jump in (timedelta(hours=-3), timedelta(days=2), timedelta(minutes=-90)):
        world.now += jump
        two_more()
    assert all(snapshot.health in Health for snapshot in seen)


def test_a_clock_that_leaps_and_comes_back_costs_no_history(
    start: Callable[..., tuple[Poller, list[Snapshot]]], store: Store
) -> None:
    world = World()
    _, seen = start(world)
    before = world.now
    until(lambda: bool(seen))

    def seen_at(moment: datetime) -> None:
        world.now = moment
        until(lambda: seen[-1].taken_at == moment)

    seen_at(before + timedelta(days=400))
    seen_at(before + timedelta(seconds=5))
    kept = snapshots.moments(store, "test", before, before + timedelta(minutes=1))
    assert kept == [before, before + timedelta(seconds=5)]
    assert snapshots.extent(store, "test") == (kept[0], kept[-1])


def test_what_is_too_old_goes_once_the_clock_is_steady(
    start: Callable[..., tuple[Poller, list[Snapshot]]], store: Store
) -> None:
    world = World()
    _, seen = start(world)
    first = world.now

    def seen_at(moment: datetime) -> None:
        world.now = moment
        until(lambda: bool(seen) and seen[-1].taken_at == moment)

    for moment in (first, first + timedelta(days=40), first + timedelta(days=40, hours=1)):
        seen_at(moment)
    until(lambda: snapshots.moments(store, "test", first, first + timedelta(days=1)) == [])


def test_closing_takes_no_second_while_every_service_hangs(start: Callable[..., tuple[Poller, list[Snapshot]]]) -> None:
    world = World()
    world.hanging = {
        "table",
        "run",
        "progress",
        "partitions",
        "namespace",
        "hub",
        "jobs",
        "metrics",
        "heartbeat",
        "routes",
        "landed_since",
    }
    poller, _ = start(world)
    until(lambda: world.asked.total() > 5)
    began = time.monotonic()
    poller.close()
    assert time.monotonic() - began < 1.0


def test_a_subscriber_that_fails_is_reported_and_ends_nobody(
    start: Callable[..., tuple[Poller, list[Snapshot]]],
) -> None:
    poller, seen = start(World())

    def fail(_: Snapshot) -> None:
        raise RuntimeError("no screen")

    poller.subscribe(fail)
    until(lambda: "no screen" in poller.warning)
    had = len(seen)
    until(lambda: len(seen) > had)


def test_asking_for_a_look_does_not_wait_for_the_interval(store: Store) -> None:
    world = World()
    config = Config({"test": world.environment}, refresh=Refresh(interval=60.0))
    poller = Poller(world.environment, config, store, opener=lambda *_: world, now=lambda: world.now)
    came = threading.Semaphore(0)
    poller.subscribe(lambda _: came.release())
    poller.start()
    assert came.acquire(timeout=10)
    poller.refresh_now()
    assert came.acquire(timeout=10)
    poller.close()


def test_without_a_store_it_looks_all_the_same(start: Callable[..., tuple[Poller, list[Snapshot]]]) -> None:
    _, seen = start(World(), store=None)
    until(lambda: len(seen) >= 2)


def kept(store: Store) -> int:
    whole = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    return len(snapshots.moments(store, "test", *whole))


def is_whole(path: Path) -> bool:
    with sqlite3.connect(path) as raw:
        return bool(raw.execute("PRAGMA integrity_check").fetchone()[0] == "ok")


def test_a_store_that_breaks_is_a_warning_and_history_goes_on_in_a_new_one(
    start: Callable[..., tuple[Poller, list[Snapshot]]], store: Store
) -> None:
    poller, seen = start(World())
    until(lambda: bool(seen))
    store.path.write_bytes(b"x" * store.path.stat().st_size)
    until(lambda: "damaged" in poller.warning)
    had = len(seen)
    until(lambda: len(seen) > had)
    # As the warning says: move it aside.
    store.path.rename(store.path.with_name("lpmops.db.damaged"))
    until(lambda: poller.warning == "")
    until(lambda: kept(store) > 0)
    assert is_whole(store.path)


def test_a_store_that_somebody_keeps_locked_is_a_warning_and_history_goes_on_afterwards(
    start: Callable[..., tuple[Poller, list[Snapshot]]], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What looks on is patient: it has its connection before patience is cut for the poller's.
    onlooker = open_store(store.path)
    assert kept(onlooker) == 0
    monkeypatch.setattr(failures, "BUSY_MILLISECONDS", 50)
    world = World()
    poller, seen = start(world)
    until(lambda: kept(onlooker) == 1)
    other = sqlite3.connect(store.path, isolation_level=None)
    until(lambda: is_locked_by(other))
    until(lambda: "locked" in poller.warning)
    had = len(seen)
    until(lambda: len(seen) >= had + 2)
    other.execute("ROLLBACK")
    world.now += timedelta(seconds=5)
    until(lambda: kept(onlooker) == 2)
    until(lambda: poller.warning == "")
    assert is_whole(store.path)


def is_locked_by(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True


def test_over_a_store_that_can_only_be_read_it_looks_itself_unless_another_keeps_it_fresh(
    start: Callable[..., tuple[Poller, list[Snapshot]]], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    leading, reading = World(), World()
    leader, seen = start(leading)
    until(lambda: bool(seen))
    # Rights do not bind root, under which tests may run: the question for them is answered instead.
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    follower, shared = start(reading, store=open_store(store.path))
    until(lambda: bool(shared))
    assert (follower.leading, reading.asked.total()) == (False, 0)
    leader.close()
    until(lambda: reading.asked.total() > 0)
    had, looks = kept(store), len(shared)
    until(lambda: len(shared) >= looks + 2)
    assert kept(store) == had
