"""What somebody wants sent again, made exact: versions, companies, rate and size of a chunk, as numbers that a plan rests on.

A wish names versions, or times, or what reconciliations have found missing. It is made exact once, when the plan is first made, and the plan keeps
what came of it: a plan that is made again from that wish is the same plan, however the stream flows meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lpmops.actions.action import Bench, Wish
from lpmops.control import readers
from lpmops.errors import ServiceError, SignInError, UsageError
from lpmops.model import Commit, FeedState, parse_time, to_data
from lpmops.versions import Versions, merged

# How far back a history is read: each version of a range is looked at.
MOST_VERSIONS = 10_000
_FIRST_LOOK = 1_000
# The stream of commits goes on while one looks: without room for them the oldest of the range would fall out.
_MARGIN = 100
MOST_ROWS, LARGEST_RATE = 250_000, 100_000
# What a throughput unit takes in a second, and how large an event is where nothing flows that would show it.
_UNIT_EVENTS, _UNIT_BYTES, _USUAL_BYTES = 1_000.0, 1_000_000.0, 1_000.0


@dataclass(frozen=True, slots=True)
class HeadRoom:
    """What the namespace takes in a second, in events of the size that flow now; `flow` is what flows, None unknown."""

    capacity: float
    flow: float | None

    @property
    def free(self) -> int:
        """Events a second that nobody uses now; half of all where what flows is not known."""
        return max(0, int(self.capacity / 2 if self.flow is None else self.capacity - self.flow))


@dataclass(frozen=True, slots=True)
class Exact:
    """A wish as numbers. `companies` none is every company, `chunk` the most rows of one run, `rate` events a second."""

    ranges: tuple[Versions, ...]
    companies: tuple[str, ...]
    rate: int
    chunk: int

    @property
    def wish(self) -> dict[str, Any]:
        """The same as a wish that is exact already."""
        return {
            "ranges": [[one.first, one.last] for one in self.ranges],
            "companies": list(self.companies),
            "rate": self.rate,
            "chunk": self.chunk,
            "missing": False,
            **dict.fromkeys(("from_version", "to_version", "from", "to")),
        }


def exact(bench: Bench, wish: Wish, feed: FeedState, room: HeadRoom) -> Exact:
    """The wish made exact. Raises UsageError for one that means nothing, NotFoundError and ServiceError types."""
    companies = tuple(dict.fromkeys(wish.get("companies") or ()))
    given = wish.get("ranges")
    if given is not None:
        ranges: tuple[Versions, ...] = merged(Versions(int(first), int(last)) for first, last in given)
    elif wish.get("missing") or not any(
        wish.get(name) is not None for name in ("from_version", "to_version", "from", "to")
    ):
        ranges, companies = _missing(bench, feed, companies)
    else:
        ranges = (_bounds(bench, wish, feed),)
    rate = wish.get("rate") or max(1, min(LARGEST_RATE, room.free // 2))
    return Exact(ranges, companies, int(rate), int(wish.get("chunk") or MOST_ROWS))


def head_room(bench: Bench) -> HeadRoom:
    """What the namespace has left; what flows is unknown where Azure Monitor does not say. Raises ServiceError types for the namespace alone."""
    units = max(1, bench.services.eventhubs.namespace().throughput_units)
    try:
        found = readers.read_hub_flow(bench.services.monitor, bench.environment)
    except SignInError:
        raise
    except ServiceError:
        found = {}
    events, size = found.get("IncomingMessages"), found.get("IncomingBytes")
    flow = None if events is None else events.value / 60
    each = size.value / events.value if size is not None and events is not None and events.value else _USUAL_BYTES
    return HeadRoom(units * min(_UNIT_EVENTS, _UNIT_BYTES / max(1.0, each)), flow)


def commits(bench: Bench, feed: FeedState, first: int) -> list[Commit]:
    """The commits from version `first` to the newest, newest first, as far as the history has them and is read."""
    limit = max(1, feed.latest_version - first + 1) + _MARGIN
    found: Sequence[Commit] = bench.services.databricks.history(min(MOST_VERSIONS, limit))
    if found and found[-1].version > first and len(found) >= limit:
        found = bench.services.databricks.history(min(MOST_VERSIONS, found[0].version - first + 1 + _MARGIN))
    return [each for each in found if each.version >= first]


def _missing(bench: Bench, feed: FeedState, companies: tuple[str, ...]) -> tuple[tuple[Versions, ...], tuple[str, ...]]:
    """The ranges that open gaps name, and their companies; of those of `companies` where some are named."""
    gaps = [gap for gap in bench.prover.gaps(bench, feed.table_id) if gap.missing]
    wanted = [gap for gap in gaps if not companies or gap.company_id in companies]
    named = tuple(dict.fromkeys(gap.company_id for gap in wanted if gap.company_id))
    return merged(gap.versions for gap in wanted), named or companies


def _bounds(bench: Bench, wish: Wish, feed: FeedState) -> Versions:
    if wish.get("from_version") is not None and wish.get("from") is not None:
        raise UsageError("The range begins twice.", hint="Give --from-version or --from, not both.")
    if wish.get("to_version") is not None and wish.get("to") is not None:
        raise UsageError("The range ends twice.", hint="Give --to-version or --to, not both.")
    first, last = wish.get("from_version"), wish.get("to_version")
    if first is None and wish.get("from") is not None:
        since = parse_time(wish["from"])
        later = [each.version for each in _back_to(bench, since) if each.at >= since]
        if not later:
            raise UsageError(f"The table has no version since {wish['from']}.", hint="lpmops cdf versions shows them.")
        first = min(later)
    if first is None:
        raise UsageError("It is not said where the range begins.", hint="Give --from-version N or --from TIME.")
    if last is None and wish.get("to") is not None:
        until = parse_time(wish["to"])
        earlier = [each.version for each in _back_to(bench, until) if each.at <= until]
        if not earlier:
            raise UsageError(
                f"The table's history has no version up to {wish['to']}.", hint="lpmops cdf versions shows them."
            )
        last = max(earlier)
    for version in (first, last):
        if version is not None and version > feed.latest_version:
            raise UsageError(
                f"Version {version} is yet to come: the newest is {feed.latest_version}.",
                hint=f"End with a version that is there: --to-version {feed.latest_version}",
            )
    last = feed.latest_version if last is None else last
    if last < first:
        raise UsageError(
            f"The range ends with version {last}, before it begins with {first}.",
            hint=f"Did you mean {last} to {first}?",
        )
    return Versions(first, last)


def _back_to(bench: Bench, moment: datetime) -> Sequence[Commit]:
    """The newest commits, back to one that is older than a moment. Raises UsageError where that is too far."""
    for limit in (_FIRST_LOOK, MOST_VERSIONS):
        found: Sequence[Commit] = bench.services.databricks.history(limit)
        if len(found) < limit or found[-1].at < moment:
            return found
    raise UsageError(
        f"{to_data(moment)} is more than {MOST_VERSIONS:,} versions ago.", hint="Name the version: --from-version N"
    )
