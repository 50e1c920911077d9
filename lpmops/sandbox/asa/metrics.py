"""A job's metrics by their REST names, each by logical name (input or output) and partition.

Totals only grow while the process lives; who keeps minutes takes differences. Source: azure-docs/stream-analytics, monitor-azure-stream-
analytics-reference. ResourceUtilization is a model, not a measurement: what the job takes in against what its streaming units allow.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

# Sandbox seconds in which half of the load is forgotten.
_HALF_LIFE = 2.0

Aggregation = Literal["Total", "Maximum"]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric as it stands: a total since the process began, or a value of now (`aggregation` Maximum). No partition for windows and the whole
    job."""

    name: str
    logical_name: str | None
    partition: int | None
    value: float
    aggregation: Aggregation


class Totals:
    """What has been counted."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, int | None]] = Counter()

    def add(self, name: str, logical_name: str, partition: int | None, count: int) -> None:
        """Count more of something."""
        if count:
            self._counts[name, logical_name, partition] += count

    def values(self) -> list[MetricValue]:
        """All totals that are not zero."""
        return [
            MetricValue(name, logical, partition, count, "Total")
            for (name, logical, partition), count in sorted(self._counts.items(), key=str)
        ]


class Load:
    """How busy a job is, and how many events it may take in: a bucket that fills at the rate of its streaming units, at most a second's worth."""

    def __init__(self, per_second: float, now: float) -> None:
        self._rate = per_second
        self._at = now
        self._allowance = min(per_second, 1.0)
        self._taken = 0.0

    def allow(self, now: float) -> int:
        """How many events may be taken in now."""
        passed = max(0.0, now - self._at)
        self._at = now
        self._allowance = min(self._allowance + passed * self._rate, max(self._rate, 1.0))
        self._taken *= 0.5 ** (passed / _HALF_LIFE)
        return int(self._allowance)

    def take(self, events: int) -> None:
        """Count events that were taken in."""
        self._allowance -= events
        self._taken += events

    def utilization(self) -> float:
        """Per cent of the streaming units in use: a tenth for the job itself, the rest by load."""
        # What was taken in decays, so that a steady rate r holds about r * half-life / ln 2 of it.
        steady = self._taken * math.log(2) / _HALF_LIFE
        return min(100.0, 10.0 + 90.0 * steady / self._rate)
