"""One poller an environment and machine: looks again and again in daemon threads and tells whoever subscribed.

Several apps on one machine share one poller through the store: the lease says who reads the clouds, the others follow. They see a sample within a
moment of its being kept, and take over when the lease ends. `close` returns at once, whatever hangs. Time between looks is monotonic, so a clock that
jumps changes nothing here.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from lpmops.config import Config, Environment
from lpmops.control.collect import Collector, utc_now
from lpmops.control.sources import EnvironmentServices
from lpmops.errors import LpmopsError, StoreError
from lpmops.model import Snapshot
from lpmops.store import lease, snapshots
from lpmops.store.connection import Store

T = TypeVar("T")
Opener = Callable[[Environment, float], EnvironmentServices]
_LONGEST_PATIENCE = 5.0
_SHORTEST_PAUSE = 0.2
_GLANCE = 0.2
_GOODBYE = 0.3


def open_services(environment: Environment, deadline: float) -> EnvironmentServices:
    """The real services of an environment; nothing of them is loaded before this is called."""
    from lpmops.services.cloud import open_environment

    return open_environment(environment, deadline=deadline)


@dataclass(frozen=True, slots=True)
class Look:
    """One look: what was seen, whether any source answered, and what went wrong with keeping it."""

    snapshot: Snapshot
    answered: bool
    warning: str


def look_once(
    environment: Environment,
    config: Config,
    store: Store | None,
    *,
    opener: Opener = open_services,
    now: Callable[[], datetime] = utc_now,
) -> Look:
    """Read an environment once, waiting for its slowest source no longer than the configured deadline, and keep it in the store."""
    services = opener(environment, config.refresh.deadline)
    collector = Collector(
        environment, services, thresholds=config.thresholds, refresh=config.refresh, store=store, now=now
    )
    try:
        snapshot = collector.refresh(config.refresh.deadline)
        return Look(snapshot, collector.answered(), collector.memory.warning)
    finally:
        collector.close()
        services.close()


class Poller:
    """Keeps the snapshot of one environment fresh.

    `warning` is what a face should tell about the store or this poller itself; `leading` whether it reads the clouds, None before the first look.
    """

    def __init__(
        self,
        environment: Environment,
        config: Config,
        store: Store | None,
        *,
        opener: Opener = open_services,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.environment, self.warning = environment, ""
        self.leading: bool | None = None
        self._config, self._store, self._opener, self._now = config, store, opener, now
        self._owner = f"{os.getpid()}-{uuid.uuid4()}"
        self._subscribers: dict[int, Callable[[Snapshot], None]] = {}
        self._latest: Snapshot | None = None
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._working: tuple[Collector, EnvironmentServices] | None = None
        self._store_version: tuple[int, int] | None = None
        self._thread = threading.Thread(target=self._run, name=f"lpmops-poller-{environment.name}", daemon=True)

    def start(self) -> None:
        """Begin; the first look is under way when this returns."""
        self._thread.start()

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Call back with each new snapshot, in the poller's thread, and at once with the newest there is; returns what ends it."""
        key = id(callback)
        with self._lock:
            self._subscribers[key] = callback
            latest = self._latest
        if latest is not None:
            callback(latest)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers.pop(key, None)

        return unsubscribe

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot."""
        with self._lock:
            return self._latest

    def refresh_now(self) -> None:
        """Look again without waiting for the interval; what asked for time (Retry-After) still gets it."""
        self._wake.set()

    def close(self) -> None:
        """End within a moment, also while calls hang; the lease is given back where there is time to."""
        self._stop.set()
        self._wake.set()
        with self._lock:
            working = self._working
        if working is not None:
            working[0].close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_GOODBYE)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            began = time.monotonic()
            self._reporting(self._look_and_publish)
            self._pause(max(_SHORTEST_PAUSE, self._config.refresh.interval - (time.monotonic() - began)))
        self._leave()

    def _reporting(self, work: Callable[[], T]) -> T | None:
        """Do it; what goes wrong is said to the face and tried again."""
        try:
            return work()
        except LpmopsError as error:
            self.warning = f"{error.message} {error.hint}".strip()
        except Exception as error:  # noqa: BLE001 - the edge of the thread: said to the face, tried again
            self.warning = f"lpmops failed to look at {self.environment.name}: {type(error).__name__}: {error}"
        return None

    def _look_and_publish(self) -> None:
        snapshot = self._look()
        if snapshot is not None and not self._stop.is_set():
            self._publish(snapshot)

    def _pause(self, seconds: float) -> None:
        """Wait for the next look. One that follows glances at the store meanwhile, and is done where nobody leads any more."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._wake.wait(left if self.leading else min(left, _GLANCE)):
                return
            if not self.leading and self._reporting(self._glance):
                return

    def _glance(self) -> bool:
        """Publish what the leading poller has just kept; True where it has let go."""
        if self._store is None or (version := self._store.version()) == self._store_version:
            return False
        self._store_version = version
        snapshot = self._stored()
        if snapshot is not None:
            self._publish(snapshot)
        return lease.holder(self._store, self.environment.name, self._now()) is None

    def _look(self) -> Snapshot | None:
        self.leading = self._leads()
        if not self.leading:
            self._drop()
            return self._stored()
        collector = self._collector()
        snapshot = collector.refresh(
            min(self._config.refresh.deadline, max(self._config.refresh.interval, 3.0), _LONGEST_PATIENCE)
        )
        self.warning = collector.memory.warning
        return snapshot

    def _leads(self) -> bool:
        """Whether this poller reads the clouds: without a store every one does, over one that it can't write where no other keeps it fresh."""
        if self._store is None:
            return True
        seconds = max(lease.LEASE_SECONDS, 3 * self._config.refresh.interval + _LONGEST_PATIENCE)
        try:
            if not self._store.writable:
                return lease.holder(self._store, self.environment.name, self._now()) is None
            return lease.take(self._store, self.environment.name, self._owner, self._now(), seconds)
        except StoreError as error:
            self.warning = f"{error.message} {error.hint}".strip()
            return True

    def _collector(self) -> Collector:
        if self._working is None:
            services = self._opener(self.environment, self._config.refresh.deadline)
            collector = Collector(
                self.environment,
                services,
                thresholds=self._config.thresholds,
                refresh=self._config.refresh,
                store=self._store,
                now=self._now,
            )
            with self._lock:
                self._working = (collector, services)
        return self._working[0]

    def _stored(self) -> Snapshot | None:
        """The newest kept snapshot, unless it is shown already."""
        if self._store is None:
            return None
        newest, latest = snapshots.newest_moment(self._store, self.environment.name), self.latest
        self.warning = ""
        if newest is None or (latest is not None and newest == latest.taken_at):
            return None
        return next(iter(snapshots.latest(self._store, [self.environment.name])), None)

    def _publish(self, snapshot: Snapshot) -> None:
        with self._lock:
            self._latest = snapshot
            subscribers = list(self._subscribers.values())
        for callback in subscribers:
            try:
                callback(snapshot)
            except Exception as error:  # noqa: BLE001 - a face that fails must not end the poller for the others
                self.warning = f"a subscriber failed: {type(error).__name__}: {error}"

    def _drop(self) -> None:
        with self._lock:
            working, self._working = self._working, None
        if working is not None:
            working[0].close()
            working[1].close()

    def _leave(self) -> None:
        if self._store is not None and self._store.writable:
            with contextlib.suppress(StoreError):
                lease.release(self._store, self.environment.name, self._owner)
        self._drop()
