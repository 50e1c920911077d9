"""Samples and what becomes of them over time: values, and the arithmetic of putting many together. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lpmops.store import codec

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Pairs = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value at one moment."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Rollup:
    """The samples of one minute or hour that begins at `at`; `total` to the millionth."""

    at: datetime
    samples: int
    low: float
    high: float
    total: float
    last: float

    @property
    def mean(self) -> float:
        """The mean of the samples."""
        return self.total / self.samples


def rolled(samples: Pairs, width: int) -> list[Rollup]:
    """The samples (store time and value, in order) put together by spans of `width`."""
    return [rollup(values) for values in rolled_values(samples, width)]


def rollup(values: codec.Minute, hour: int = 0) -> Rollup:
    """Plain values (start, samples, low, high, total, last) as a rollup; `hour` is what the start is counted from."""
    start, samples, low, high, total, last = values
    return Rollup(codec.moment(hour + start), samples, low, high, total, last)


def rolled_values(samples: Pairs, width: int) -> Iterator[codec.Minute]:
    """The same as plain values: start, samples, low, high, total, last."""
    times, values = [at for at, _ in samples], [value for _, value in samples]
    place = 0
    while place < len(times):
        start = times[place] // width * width
        end = bisect_left(times, start + width, place)
        part = values[place:end]
        # To the millionth: the dust of adding thousandths would make a sum no whole number of them.
        yield start, len(part), min(part), max(part), round(math.fsum(part), 6), part[-1]
        place = end
