"""The hubs of all namespaces, each in a folder of its own: where Resource Manager and the AMQP listeners find them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub import Hub


class LiveHubs(Mapping[str, Hub]):
    """The hubs of one namespace by name, as they are at each look."""

    def __init__(self, namespaces: Namespaces, namespace: str) -> None:
        self._namespaces, self._namespace = namespaces, namespace

    def __getitem__(self, name: str) -> Hub:
        return self._namespaces.hubs(self._namespace)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._namespaces.hubs(self._namespace))

    def __len__(self) -> int:
        return len(self._namespaces.hubs(self._namespace))


class Namespaces:
    """Every namespace's hubs; safe from any thread."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._hubs: dict[str, dict[str, Hub]] = {}

    def open(
        self, namespace: str, name: str, partitions: int, retention: timedelta, groups: tuple[str, ...], units: float
    ) -> Hub:
        """A hub with what it held, made where it is new. Raises HubStorageError, OSError."""
        place = self._place(namespace, name)
        place.mkdir(parents=True, exist_ok=True)
        hub = Hub(
            place, name, partitions, self._clock, retention=retention, throughput_units=units, consumer_groups=groups
        )
        with self._lock:
            self._hubs.setdefault(namespace.lower(), {})[name] = hub
        return hub

    def live(self, namespace: str) -> LiveHubs:
        """The hubs of a namespace, following what is created and deleted."""
        return LiveHubs(self, namespace)

    def hubs(self, namespace: str) -> dict[str, Hub]:
        """The hubs of a namespace now."""
        with self._lock:
            return dict(self._hubs.get(namespace.lower(), {}))

    def create(self, namespace: str, name: str, partition_count: int, retention: timedelta) -> Hub:
        """A new, empty hub."""
        return self.open(namespace, name, partition_count, retention, (), 1)

    def delete(self, namespace: str, name: str) -> None:
        """Remove a hub and all that it holds."""
        with self._lock:
            hub = self._hubs.get(namespace.lower(), {}).pop(name, None)
        if hub is not None:
            hub.close()
            shutil.rmtree(self._place(namespace, name), ignore_errors=True)

    def close(self) -> None:
        """Let go of every file."""
        with self._lock:
            hubs = [hub for inside in self._hubs.values() for hub in inside.values()]
        for hub in hubs:
            hub.close()

    def _place(self, namespace: str, name: str) -> Path:
        return self._folder / namespace.lower() / name.lower()
