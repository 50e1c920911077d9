"""What a hub or a namespace counts for its metrics: running totals, and the same by whole minute of the sandbox's clock.

The names are the platform's metric names, so that a metrics API can pass them on: IncomingMessages, IncomingBytes,
IncomingRequests, OutgoingMessages, OutgoingBytes, SuccessfulRequests, ThrottledRequests, QuotaExceededErrors,
ServerErrors, UserErrors, ConnectionsOpened, ConnectionsClosed. Source:
learn.microsoft.com/azure/event-hubs/monitor-event-hubs-reference. Thread-safe; kept in memory, the last
`KEPT_MINUTES` minutes.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from lpmops.sandbox.clock import Clock

KEPT_MINUTES = 3 * 24 * 60


class Counters:
    """Totals by name since the start, and by minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()
        self._minutes: dict[int, Counter[str]] = {}

    def add(self, counts: Mapping[str, int]) -> None:
        """Count these now."""
        minute = int(self._clock.time() // 60)
        with self._lock:
            self._totals.update(counts)
            row = self._minutes.get(minute)
            if row is None:
                row = self._minutes[minute] = Counter()
                while len(self._minutes) > KEPT_MINUTES:
                    del self._minutes[next(iter(self._minutes))]
            row.update(counts)

    def totals(self) -> dict[str, int]:
        """Every count since the start."""
        with self._lock:
            return dict(self._totals)

    def by_minute(self, start: datetime, end: datetime) -> list[tuple[datetime, dict[str, int]]]:
        """The counts of each minute that begins in [start, end) and in which something was counted, oldest first."""
        first, last = start.timestamp() / 60, end.timestamp() / 60
        with self._lock:
            rows = [(minute, dict(row)) for minute, row in self._minutes.items() if first <= minute < last]
        return [
            (datetime.fromtimestamp(minute * 60, UTC), row) for minute, row in sorted(rows, key=lambda pair: pair[0])
        ]
