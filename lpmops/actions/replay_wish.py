"""What somebody wants sent again, made exact: versions, companies, rate and size of a chunk, as numbers that a plan rests on.

A wish names versions, or times, or what reconciliations have found missing. It is made exact once, when the plan is first made, and the plan keeps
what came of it: a plan that is made again from that wish is the same plan, however the stream flows meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lpmops.actions.action import Bench, Wish
from lpmops.control import readers, remedies
from lpmops.errors import ServiceError, SignInError, UsageError
from lpmops.model import Commit, FeedState, NamespaceState, parse_time, to_data
from lpmops.plain_text import counted
from lpmops.store.proofs import OpenGap
from lpmops.versions import Versions, in_at_most, merged

# How far back a history is read: each version of a range is looked at.
MOST_VERSIONS = 10_000
_FIRST_LOOK = 1_000
# The stream of commits goes on while one looks: without room for them the oldest of the range would fall out.
_MARGIN = 100
MOST_ROWS, LARGEST_RATE = 250_000, 100_000
# A loss here and there has hundreds of gaps; each range is a run of its own, whose cluster takes minutes to come, and a proof of its own.
_MOST_RANGES = 20
# What a throughput unit takes in a second, and how large an event is where nothing flows that would show it.
_UNIT_EVENTS, _UNIT_BYTES, _USUAL_BYTES = 1_000.0, 1_000_000.0, 1_000.0


@dataclass(frozen=True, slots=True)
class HeadRoom:
    """What the namespace takes in a second, in events of the size that flow now; `flow` is what flows, None unknown.

    `event_bytes` is that size, or a usual one where nothing flows, which `is_measured` tells.
    """

    capacity: float
    flow: float | None
    namespace: NamespaceState
    event_bytes: float = _USUAL_BYTES
    is_measured: bool = False

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
            **dict.fromkeys(("from_version", "to_version")),
        }

    @property
    def words(self) -> list[str]:
        """The same as it stands on a command line."""
        found = ["--missing"]
        if len(self.ranges) == 1:
            found = ["--from-version", str(self.ranges[0].first), "--to-version", str(self.ranges[0].last)]
        elif self.ranges:
            found = [word for one in self.ranges for word in ("--versions", str(one))]
        found += [word for company in self.companies for word in ("--company", company)]
        return [*found, "--rate", str(self.rate), "--chunk", str(self.chunk)]


def is_exact(wish: Wish) -> bool:
    """Whether a plan was made of it before, which keeps beside it what was counted then."""
    return "counted" in wish


def is_of_gaps(wish: Wish) -> bool:
    """Whether it asks for what reconciliations have found missing; a wish that names nothing does."""
    names = ("ranges", "from_version", "to_version")
    return bool(wish.get("missing")) or all(wish.get(name) in (None, []) for name in names)


def exact(bench: Bench, wish: Wish, feed: FeedState, room: HeadRoom) -> Exact:
    """The wish made exact. Raises UsageError for one that means nothing, NotFoundError and ServiceError types."""
    companies = tuple(dict.fromkeys(wish.get("companies") or ()))
    if "" in companies:
        raise UsageError("A company was named that has no id.", hint="Name it, or none for every company.")
    given = wish.get("ranges")
    if given:
        ranges = merged(Versions(int(first), int(last)) for first, last in given)
        if not is_exact(wish):
            _check_there(bench, ranges[-1].last, feed)
    elif is_exact(wish) or is_of_gaps(wish):
        ranges, companies = _missing(bench, feed, companies)
    else:
        ranges = (_bounds(bench, wish, feed),)
    rate = wish.get("rate") or max(1, min(LARGEST_RATE, room.free // 2))
    return Exact(ranges, companies, int(rate), int(wish.get("chunk") or MOST_ROWS))


def head_room(bench: Bench) -> HeadRoom:
    """What the namespace has left; what flows is unknown where Azure Monitor does not say. Raises ServiceError types for the namespace alone."""
    namespace: NamespaceState = bench.services.eventhubs.namespace()
    units = max(1, namespace.throughput_units)
    try:
        found = readers.read_hub_flow(bench.services.monitor, bench.environment)
    except SignInError:
        raise
    except ServiceError:
        found = {}
    events, size = found.get("IncomingMessages"), found.get("IncomingBytes")
    # The heartbeat alone makes some events a minute: none at all is a metric that is not there yet.
    flow = None if events is None or not events.value else events.value / 60
    measured = size.value / events.value if size is not None and events is not None and events.value else None
    each = _USUAL_BYTES if measured is None else measured
    return HeadRoom(
        units * min(_UNIT_EVENTS, _UNIT_BYTES / max(1.0, each)), flow, namespace, each, measured is not None
    )


def commits(bench: Bench, feed: FeedState, ranges: Sequence[Versions]) -> list[Commit]:
    """The commits of these ranges, newest first, as far as the history has them and is read."""
    first, last = ranges[0].first, ranges[-1].last
    limit = max(1, feed.latest_version - first + 1) + _MARGIN
    found: Sequence[Commit] = bench.services.databricks.history(min(MOST_VERSIONS, limit))
    if found and found[-1].version > first and len(found) >= limit:
        found = bench.services.databricks.history(min(MOST_VERSIONS, found[0].version - first + 1 + _MARGIN))
    return [each for each in found if first <= each.version <= last]


def _missing(bench: Bench, feed: FeedState, companies: tuple[str, ...]) -> tuple[tuple[Versions, ...], tuple[str, ...]]:
    """The ranges that open gaps name, and their companies; of those of `companies` where some are named."""
    wanted = [gap for gap in _gaps(bench, feed, companies) if gap.repairable]
    named = tuple(dict.fromkeys(gap.company_id for gap in wanted if gap.company_id))
    return in_at_most(_MOST_RANGES, (gap.versions for gap in wanted)), named or companies


def lost(bench: Bench, wish: Wish, feed: FeedState) -> Iterator[str]:
    """What is known to be missing of those that were asked for and no replay brings back, in words."""
    for gap in _gaps(bench, feed, wish.get("companies") or ()):
        if gone := gap.missing - gap.repairable:
            changes = counted(gone, "change", "changes")
            why = f" ({gap.why.rstrip('.')})" if gap.why else ""
            yield f"{changes} of {gap.company_id or 'no company'} in versions {gap.versions} can't be sent again{why}: load the table's current rows."


def _gaps(bench: Bench, feed: FeedState, companies: Collection[str]) -> list[OpenGap]:
    """What was found missing, of these companies where some are named."""
    found = bench.prover.gaps(bench, feed.table_id)
    return [gap for gap in found if gap.missing and (not companies or gap.company_id in companies)]


def _bounds(bench: Bench, wish: Wish, feed: FeedState) -> Versions:
    """The one range between two ends, each of which is a version or a moment as RFC 3339."""
    if wish.get("from_version") is None:
        raise UsageError("It is not said where the range begins.", hint="Give --from-version N or --from TIME.")
    first = _version(bench, wish["from_version"], is_first=True)
    _check_there(bench, first, feed)
    last = feed.latest_version
    if wish.get("to_version") is not None:
        last = _version(bench, wish["to_version"], is_first=False)
        _check_there(bench, last, feed)
    if last < first:
        raise UsageError(
            f"The range ends with version {last}, before it begins with {first}.",
            hint=f"Did you mean {last} to {first}?",
        )
    return Versions(first, last)


def _check_there(bench: Bench, version: int, feed: FeedState) -> None:
    if version > feed.latest_version:
        raise UsageError(
            f"Version {version} is yet to come: the newest is {feed.latest_version}.",
            hint=f"Name versions up to {feed.latest_version}; see them: {remedies.list_versions(bench.environment)}",
        )


def _version(bench: Bench, end: int | str, *, is_first: bool) -> int:
    """An end of the range as a version: of a moment the first commit from then on, or the last one up to then."""
    if isinstance(end, int):
        return end
    moment = parse_time(end)
    if is_first:
        found = _back_to(bench, moment)
        oldest = found[-1] if found else None
        if oldest is not None and oldest.version > 0 and oldest.at > moment:
            raise UsageError(
                f"The table's log begins with version {oldest.version}, committed at {to_data(oldest.at)}: what was committed between {end} "
                "and then was cleaned up and can't be sent again.",
                hint=f"Take what is there: --from-version {oldest.version}. For the rest load the table's current rows.",
            )
        later = [each.version for each in found if each.at >= moment]
        if later:
            return min(later)
        raise UsageError(f"The table has no version since {end}.", hint=_see_versions(bench))
    found = _back_to(bench, moment)
    earlier = [each.version for each in found if each.at <= moment]
    if earlier:
        return max(earlier)
    begin = f"begins with version {found[-1].version}, committed at {to_data(found[-1].at)}: it " if found else ""
    raise UsageError(f"The table's history {begin}has no version up to {end}.", hint=_see_versions(bench))


def _see_versions(bench: Bench) -> str:
    return f"See those that there are: {remedies.list_versions(bench.environment)}"


def _back_to(bench: Bench, moment: datetime) -> Sequence[Commit]:
    """The newest commits, back to one that is older than a moment. Raises UsageError where that is too far."""
    for limit in (_FIRST_LOOK, MOST_VERSIONS):
        found: Sequence[Commit] = bench.services.databricks.history(limit)
        if len(found) < limit or found[-1].at < moment:
            return found
    raise UsageError(
        f"{to_data(moment)} is more than {MOST_VERSIONS:,} versions ago.", hint="Name the version: --from-version N"
    )
