"""Latencies as histograms: buckets of about a tenth of their value, percentiles out of them, and a window that slides.

A bucket is named by its lower edge in milliseconds; -1 holds what is unknown (a replay, or clocks that disagree so far
that a latency is negative), which counts as an event and never as a latency. `queries/tsql/landed_since.sql` buckets in
the same way.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Mapping

from lpmops.model import HOPS, Latency, Percentiles
from lpmops.store.marks import Histogram, Increment, add_histograms

UNKNOWN = -1
OVERFLOW = 10_000_000
_STEPS = ((1_000, 20), (10_000, 100), (100_000, 1_000), (1_000_000, 10_000), (OVERFLOW, 100_000))


def bucket(milliseconds: int | None) -> int:
    """The bucket of a latency."""
    if milliseconds is None or milliseconds < 0:
        return UNKNOWN
    for limit, width in _STEPS:
        if milliseconds < limit:
            return milliseconds // width * width
    return OVERFLOW


def _width(edge: int) -> int:
    return next((width for limit, width in _STEPS if edge < limit), 0)


def percentile(histogram: Histogram, share: float) -> float | None:
    """The latency in seconds that `share` of the known events do not exceed, taken at the middle of its bucket; None where none is known."""
    known = sorted((edge, events) for edge, events in histogram.items() if edge >= 0 and events > 0)
    total = sum(events for _, events in known)
    if not total:
        return None
    seen = 0
    for edge, events in known:
        seen += events
        if seen >= share * total:
            return (edge + _width(edge) / 2) / 1000
    raise AssertionError("unreachable: the last bucket reaches every share")


def percentiles(histogram: Histogram) -> Percentiles:
    """p50, p95 and p99 in seconds."""
    return Percentiles(percentile(histogram, 0.50), percentile(histogram, 0.95), percentile(histogram, 0.99))


def latency(hops: Mapping[str, Histogram]) -> Latency:
    """The latency of an environment from its histograms, `total` being commit to landed."""
    total = hops.get("total", {})
    whole = percentiles(total)
    return Latency(
        whole.p50,
        whole.p95,
        whole.p99,
        sum(total.values()),
        {hop: percentiles(hops[hop]) for hop in HOPS if hop in hops},
    )


def combine(many: Iterable[Mapping[str, Histogram]]) -> dict[str, dict[int, int]]:
    """The histograms of several databases as one."""
    return add_histograms(many)


class Window:
    """The increments of one database that lie in the recent past, with their sums kept up as they come and go."""

    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds
        self._now = 0
        self._increments: deque[Increment] = deque()
        self.hops: dict[str, dict[int, int]] = {}
        self.companies: dict[str, dict[int, int]] = {}
        self.events = 0

    def add(self, increment: Increment) -> None:
        """Take one in, and let go what ended before the window."""
        self._increments.append(increment)
        self._count(increment, 1)
        self.slide(increment.end)

    def slide(self, now: int) -> None:
        """Let go what ended before the window that ends at `now`."""
        self._now = max(self._now, now)
        while self._increments and self._increments[0].end <= now - self._milliseconds:
            self._count(self._increments.popleft(), -1)

    def seconds(self) -> float:
        """The span that the increments cover."""
        return max(0.0, (self._increments[-1].end - self._increments[0].start) / 1000) if self._increments else 0.0

    def recent(self, milliseconds: int) -> dict[str, dict[int, int]]:
        """The hops of the newest increments that together cover at least that span, or of all where they cover less.

        The span ends at the last event: what is known of a hop stays known while nothing comes through it.
        """
        silent = itertools.takewhile(lambda increment: increment.events == 0, reversed(self._increments))
        return combine(increment.hops for increment in self._newest(milliseconds, skip=sum(1 for _ in silent)))

    def recent_rate(self, milliseconds: int) -> float | None:
        """Events a second of the newest increments that cover that span; None where nothing was counted for as long."""
        chosen = self._newest(milliseconds)
        if chosen and self._now - chosen[0].end > milliseconds:
            return None
        span = (chosen[0].end - chosen[-1].start) / 1000 if chosen else 0.0
        return sum(increment.events for increment in chosen) / span if span > 0 else None

    def _newest(self, milliseconds: int, skip: int = 0) -> list[Increment]:
        chosen: list[Increment] = []
        for increment in itertools.islice(reversed(self._increments), skip, None):
            chosen.append(increment)
            if chosen[0].end - increment.start >= milliseconds:
                break
        return chosen

    def _count(self, increment: Increment, sign: int) -> None:
        self.events += sign * increment.events
        _add(self.hops, increment.hops, sign)
        _add(self.companies, increment.companies, sign)


def _add(into: dict[str, dict[int, int]], histograms: Mapping[str, Histogram], sign: int) -> None:
    for key, histogram in histograms.items():
        sums = into.setdefault(key, {})
        for edge, events in histogram.items():
            left = sums.get(edge, 0) + sign * events
            if left:
                sums[edge] = left
            else:
                sums.pop(edge, None)
        if not sums:
            del into[key]
