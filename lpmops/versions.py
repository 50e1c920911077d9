"""Ranges of a table's versions, both ends inclusive: what a person writes as `A:B`, what is proven, what is missing, what a replay sends.

Pure, and without a table: whether a version exists, or can still be read, is for those who ask the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from lpmops.errors import UsageError

# No table comes so far, and a number of more digits than these is read by no service.
LARGEST = 10**18 - 1
# What is still possible for versions whose changes nobody can read.
PRESENT_ROWS = (
    "What remains is what the table holds now: an UPDATE that sets a column to itself makes a change of each row that it touches, which the stream "
    "sends and which lands; the changes between are gone."
)
_RANGE = re.compile(r"([0-9]{1,18})(?::([0-9]{1,18}))?")


@dataclass(frozen=True, slots=True, order=True)
class Versions:
    """The versions from `first` to `last`. Raises ValueError where the end comes before the start."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            raise ValueError(f"{self.first}:{self.last} is no range of versions")

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, version: int) -> bool:
        return self.first <= version <= self.last

    def __str__(self) -> str:
        return f"{self.first}:{self.last}"

    def meets(self, other: Versions) -> bool:
        """Whether both have a version in common."""
        return self.first <= other.last and self.last >= other.first


def parse(text: str) -> Versions:
    """The range that somebody wrote as `A:B`, or as `A` for one version. Raises UsageError in words."""
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is no range of versions.", hint="Write the first and the last of them, as in 118:240."
        )
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise UsageError(f"The range {text} ends before it begins.", hint=f"Did you mean {last}:{first}?")
    return Versions(first, last)


def merged(ranges: Iterable[Versions]) -> tuple[Versions, ...]:
    """The same versions in as few ranges as there can be, in order; neighbours become one."""
    kept: list[Versions] = []
    for one in sorted(ranges):
        if kept and one.first <= kept[-1].last + 1:
            kept[-1] = Versions(kept[-1].first, max(kept[-1].last, one.last))
        else:
            kept.append(one)
    return tuple(kept)


def in_at_most(count: int, ranges: Iterable[Versions]) -> tuple[Versions, ...]:
    """The same versions in so many ranges at most, with as few others between them as that takes."""
    found = merged(ranges)
    if len(found) <= count:
        return found
    widest = sorted(range(1, len(found)), key=lambda at: found[at - 1].last - found[at].first)[: count - 1]
    borders = (0, *sorted(widest), len(found))
    return tuple(Versions(found[at].first, found[end - 1].last) for at, end in pairwise(borders))


def without(ranges: Iterable[Versions], taken: Iterable[Versions]) -> tuple[Versions, ...]:
    """What of `ranges` is not in `taken`, in order."""
    left = merged(ranges)
    for hole in merged(taken):
        left = tuple(piece for one in left for piece in _around(one, hole))
    return left


def within(ranges: Iterable[Versions], bounds: Versions) -> tuple[Versions, ...]:
    """What of `ranges` lies in `bounds`, in order."""
    return tuple(
        Versions(max(one.first, bounds.first), min(one.last, bounds.last))
        for one in merged(ranges)
        if one.first <= bounds.last and one.last >= bounds.first
    )


def _around(one: Versions, hole: Versions) -> Iterable[Versions]:
    if hole.last < one.first or hole.first > one.last:
        yield one
        return
    if one.first < hole.first:
        yield Versions(one.first, hole.first - 1)
    if hole.last < one.last:
        yield Versions(hole.last + 1, one.last)
