"""Throughput units: how much may go in and out of a namespace.

One unit lets in 1 MB or 1,000 events a second and out 2 MB or 4,096 events a second, whichever is used up first.
Ingress beyond that is refused (ServerBusy); egress is never refused, only slowed. Buckets hold one second's worth and
may be overdrawn by one batch, which the time after pays for, so that the mean rate is right even where a batch is
larger than a second allows. All times are sandbox seconds. Source:
learn.microsoft.com/azure/event-hubs/event-hubs-scalability; that the allowance is counted over one second is assumed.
"""

from __future__ import annotations

import threading

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub.model import ServerBusy

INGRESS = (1000.0, 1_000_000.0)
EGRESS = (4096.0, 2_000_000.0)


class _Bucket:
    """Events and bytes that are left of the last second's allowance; below zero it owes."""

    def __init__(self, per_unit: tuple[float, float], now: float) -> None:
        self.per_unit = per_unit
        self.levels = [0.0, 0.0]
        self.at = now

    def settle(self, units: float, now: float) -> None:
        passed, self.at = max(0.0, now - self.at), now
        for kind, rate in enumerate(self.per_unit):
            self.levels[kind] = min(rate * units, self.levels[kind] + passed * rate * units)

    def delay(self, units: float) -> float:
        """Seconds until one event and one byte are allowed; zero where they are now."""
        waits = [0.0]
        for level, rate in zip(self.levels, self.per_unit, strict=True):
            # An allowance below one a second could never fill up to one.
            waits.append((min(1.0, rate * units) - level) / (rate * units))
        return max(waits)

    def take(self, events: int, size: int) -> None:
        self.levels[0] -= events
        self.levels[1] -= size


class ThroughputUnits:
    """The allowance of one hub, shared by its partitions. Thread-safe."""

    def __init__(self, units: float, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._units = units
        self._ingress = _Bucket(INGRESS, clock.time() - 1)
        self._egress = _Bucket(EGRESS, clock.time() - 1)
        self.units = units

    @property
    def units(self) -> float:
        """Throughput units; any positive number, 0.01 for a hub that refuses nearly everything."""
        return self._units

    @units.setter
    def units(self, units: float) -> None:
        if units <= 0:
            raise ValueError("throughput units must be greater than zero")
        with self._lock:
            now = self._clock.time()
            for bucket in (self._ingress, self._egress):
                bucket.settle(self._units, now)
                bucket.settle(units, now)
            self._units = units

    def admit(self, events: int, size: int) -> None:
        """Take `events` of `size` bytes out of the ingress allowance. Raises ServerBusy, and then takes nothing."""
        with self._lock:
            self._ingress.settle(self._units, self._clock.time())
            delay = self._ingress.delay(self._units)
            if delay > 0:
                raise ServerBusy(delay)
            self._ingress.take(events, size)

    def egress_delay(self) -> float:
        """Sandbox seconds until something may go out; zero for now."""
        with self._lock:
            self._egress.settle(self._units, self._clock.time())
            return self._egress.delay(self._units)

    def egress_allowance(self) -> int:
        """How many events may go out now."""
        with self._lock:
            self._egress.settle(self._units, self._clock.time())
            return 0 if self._egress.delay(self._units) > 0 else max(1, int(self._egress.levels[0]))

    def emit(self, events: int, size: int) -> None:
        """Count what has gone out."""
        with self._lock:
            self._egress.take(events, size)
