"""The metric store: what the world measured, in whole minutes, shown late.

`record` may be called from any thread at any time; a minute is shown once it has been over for `delay` sandbox seconds, as Azure shows it one to
three minutes late. A minute without a record has no value: a stopped job has empty points, not zeros. Kept for a day (Azure keeps 93).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lpmops.sandbox.azure.diagnostic_settings import type_of
from lpmops.sandbox.azure.metric_catalogue import CATALOGUE
from lpmops.sandbox.clock import Clock

MINUTE = 60
KEPT_MINUTES = 24 * 60
DELAY = 90.0

Dimensions = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Bucket:
    """One minute, or several put together, of one series."""

    total: float = 0.0
    count: int = 0
    minimum: float = float("inf")
    maximum: float = float("-inf")

    def add(self, value: float) -> None:
        """One more measurement."""
        self.total += value
        self.count += 1
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)

    def merge(self, other: Bucket) -> None:
        """All measurements of another bucket."""
        self.total += other.total
        self.count += other.count
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)


class Metrics:
    """Measurements by resource, metric, dimensions and minute; thread-safe."""

    def __init__(self, clock: Clock, delay: float = DELAY) -> None:
        self._clock = clock
        self._delay = delay
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], dict[Dimensions, dict[int, Bucket]]] = {}
        self._swept = 0

    def record(
        self,
        resource_id: str,
        metric: str,
        value: float,
        dimensions: Mapping[str, str] | None = None,
        at: float | None = None,
    ) -> None:
        """One measurement: an increment of a counter (read as Total) or the height of a gauge (read as Average or Maximum).

        `at` is epoch seconds, now by default. KeyError for a metric or dimension the resource's type does not have.
        """
        definition = CATALOGUE[type_of(resource_id)][metric.lower()]
        unknown = set(dimensions or {}) - set(definition.dimensions)
        if unknown:
            raise KeyError(f"{metric} has no dimension {', '.join(sorted(unknown))}")
        minute = int((self._clock.time() if at is None else at) // MINUTE)
        split = tuple(sorted((dimensions or {}).items()))
        key = (resource_id.lower().strip("/"), metric.lower())
        with self._lock:
            minutes = self._series.setdefault(key, {}).setdefault(split, {})
            minutes.setdefault(minute, Bucket()).add(value)
            self._sweep(minute)

    def shown_until(self) -> int:
        """The first minute (epoch seconds) that is not yet shown."""
        return int((self._clock.time() - self._delay) // MINUTE) * MINUTE

    def knows(self, resource_id: str, metric: str) -> bool:
        """Whether anything was ever recorded."""
        with self._lock:
            return (resource_id.lower().strip("/"), metric.lower()) in self._series

    def read(
        self,
        resource_id: str,
        metric: str,
        start: int,
        end: int,
        split_by: Iterable[str],
        accept: Mapping[str, frozenset[str]],
    ) -> dict[tuple[str, ...], dict[int, Bucket]]:
        """Shown minutes (epoch seconds) in [start, end), split by some dimensions, of series whose dimensions are among those accepted."""
        names = list(split_by)
        limit = min(end, self.shown_until())
        result: dict[tuple[str, ...], dict[int, Bucket]] = {}
        with self._lock:
            for split, minutes in self._series.get((resource_id.lower().strip("/"), metric.lower()), {}).items():
                held = {name.lower(): value for name, value in split}
                if any(held.get(name.lower(), "").lower() not in allowed for name, allowed in accept.items()):
                    continue
                into = result.setdefault(tuple(held.get(name.lower(), "") for name in names), {})
                span = range(-(-start // MINUTE), -(-limit // MINUTE))
                for minute in span if len(span) < len(minutes) else [held for held in minutes if held in span]:
                    if minute in minutes:
                        into.setdefault(minute * MINUTE, Bucket()).merge(minutes[minute])
        return result

    def _sweep(self, minute: int) -> None:
        if minute <= self._swept + 10:
            return
        self._swept = minute
        for series in self._series.values():
            for minutes in series.values():
                for old in [m for m in minutes if m < minute - KEPT_MINUTES]:
                    del minutes[old]
