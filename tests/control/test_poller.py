"""The poller: shares its looks, hands over, and ends at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lpmops.config import Config, Refresh
from lpmops.control.poller import Poller
from lpmops.model import Health, Snapshot
from lpmops.store.connection import Store, open_store
from tests.control.pretend import World


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store" / "lpmops.db")


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


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


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
    for jump in (timedelta(hours=-3), timedelta(days=2), timedelta(minutes=-90)):
        world.now += jump
        had = len(seen)
        until(lambda had=had: len(seen) >= had + 2)  # type: ignore[misc]
    assert all(snapshot.health in Health for snapshot in seen)


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


def test_a_store_that_breaks_on_the_way_is_a_warning(
    start: Callable[..., tuple[Poller, list[Snapshot]]], store: Store
) -> None:
    poller, seen = start(World())
    until(lambda: bool(seen))
    store.path.write_bytes(b"x" * store.path.stat().st_size)
    until(lambda: "damaged" in poller.warning)
    had = len(seen)
    until(lambda: len(seen) > had)
