"""Counts the calls that leave this machine, per service and operation, so that a refresh can be held to its budget.

Every request on the wire counts, a repeated one too, because that is what Azure throttles on. Safe to use from many threads.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping

_WINDOW = 60.0


class CallCounter:
    """Totals since the start, and the calls of the last minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[tuple[str, str]] = Counter()
        self._recent: deque[tuple[float, str]] = deque()

    def count(self, service: str, operation: str) -> None:
        """Note one call of `operation` (such as "jobs") to `service` (such as "streamanalytics")."""
        now = time.monotonic()
        with self._lock:
            self._totals[service, operation] += 1
            self._recent.append((now, service))
            self._forget(now)

    @property
    def total(self) -> int:
        """All calls since the start."""
        with self._lock:
            return self._totals.total()

    def totals(self) -> Mapping[str, int]:
        """Calls since the start, by service."""
        found: Counter[str] = Counter()
        for (service, _), calls in self.operations().items():
            found[service] += calls
        return dict(found)

    def operations(self) -> Mapping[tuple[str, str], int]:
        """Calls since the start, by service and operation."""
        with self._lock:
            return dict(self._totals)

    def last_minute(self) -> Mapping[str, int]:
        """Calls of the last 60 seconds, by service."""
        with self._lock:
            self._forget(time.monotonic())
            return dict(Counter(service for _, service in self._recent))

    def _forget(self, now: float) -> None:
        while self._recent and now - self._recent[0][0] > _WINDOW:
            self._recent.popleft()
