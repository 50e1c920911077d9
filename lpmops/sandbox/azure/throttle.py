"""Resource Manager's token buckets: per subscription, principal and kind of request.

Burst and refill are the documented ones (reads 250 and 25 a second, writes and deletes 200 and 10 a second); time is the sandbox clock's.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from lpmops.sandbox.clock import Clock


@dataclass(frozen=True, slots=True)
class Limit:
    """A bucket's size and how many tokens a second come back."""

    burst: float
    per_second: float


# azure-docs/azure-resource-manager/management/request-limits-and-throttling
LIMITS = {"reads": Limit(250, 25), "writes": Limit(200, 10), "deletes": Limit(200, 10)}


def kind_of(method: str) -> str:
    """Which bucket a request takes from."""
    return {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(method, "writes")


class TokenBuckets:
    """One bucket for each key; thread-safe."""

    def __init__(self, clock: Clock, limits: dict[str, Limit] | None = None) -> None:
        self._clock = clock
        self._limits = limits or LIMITS
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str, str], tuple[float, float]] = {}

    def take(self, subscription: str, principal: str, kind: str) -> tuple[int, int]:
        """Take one token: (tokens left, 0), or (0, seconds until one is back) when there is none."""
        limit, now = self._limits[kind], self._clock.time()
        key = (subscription, principal, kind)
        with self._lock:
            left, then = self._held.get(key, (limit.burst, now))
            left = min(limit.burst, left + (now - then) * limit.per_second)
            if left < 1:
                self._held[key] = (left, now)
                return 0, max(1, math.ceil((1 - left) / limit.per_second))
            self._held[key] = (left - 1, now)
            return int(left - 1), 0
