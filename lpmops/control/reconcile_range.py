"""Which versions a reconciliation looks at: what was asked for, how far it is settled, and in which spans it is read.

A version is settled once everything of it can have landed: it is a minute old, the stream has read it, no Stream Analytics job that stands has
stopped before it, and heartbeats that were sent after it have come through. What is not settled is waiting and judged later; what is too old for
the history is taken to be as old as the oldest known commit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lpmops.control.reconciled import Asked
from lpmops.errors import UsageError
from lpmops.model import Commit, FeedState, StreamingJob, StreamProgress, to_data
from lpmops.store.proofs import EVERY_COMPANY, Proofs
from lpmops.versions import Versions, without

# An event that has not landed after this time is late (design: sixty seconds from commit to row).
LANDING = timedelta(seconds=60)
ROWS_A_SPAN, VERSIONS_A_SPAN = 250_000, 2_000
# Asking every database once more costs as much as reading so many rows.
ROWS_BETWEEN = 10_000
# How far back the history is read at most: some hours to a day of commits of every few seconds.
COMMITS_AT_MOST = 10_000
_STANDING = frozenset({"stopped", "failed", "stopping", "created"})


class Timeline:
    """When the versions were committed, and how many rows each wrote, as far as the history was read."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self._commits = sorted(commits, key=lambda commit: commit.version)
        self._rows = {commit.version: commit.rows or 0 for commit in self._commits}
        self._at = {commit.version: commit.at for commit in self._commits}

    @property
    def first(self) -> int | None:
        """The oldest version that is known."""
        return self._commits[0].version if self._commits else None

    def at(self, version: int) -> datetime | None:
        """When a version was committed, at the latest; None where nothing is known of it or a newer one."""
        if version in self._at:
            return self._at[version]
        place = bisect_left(self._commits, version, key=lambda commit: commit.version)
        return self._commits[place].at if place < len(self._commits) else None

    def since(self, moment: datetime) -> int | None:
        """The first version committed at or after a moment; None where there is none."""
        return next((commit.version for commit in self._commits if commit.at >= moment), None)

    def later(self, versions: Versions, moment: datetime) -> int | None:
        """The first of these versions that was committed after a moment; None where none was."""
        return next((each.version for each in self._commits if each.version in versions and each.at > moment), None)

    def gathered(self, ranges: Iterable[Versions]) -> tuple[Versions, ...]:
        """The ranges in order, each joined with the next where little lies between and a span holds both: many small ones are read together.

        None is cut but those that lie over each other and are larger than a span.
        """
        kept: list[Versions] = []
        for one in _apart(ranges):
            if kept and self._go_together(kept[-1], one):
                kept[-1] = Versions(kept[-1].first, one.last)
            else:
                kept.append(one)
        return tuple(kept)

    def _go_together(self, one: Versions, following: Versions) -> bool:
        whole, between = Versions(one.first, following.last), range(one.last + 1, following.first)
        # What the history does not hold may have any number of rows.
        return (
            len(whole) <= VERSIONS_A_SPAN
            and sum(self._rows.get(version, ROWS_BETWEEN + 1) for version in between) <= ROWS_BETWEEN
            and sum(self._rows.get(version, 0) for version in range(whole.first, whole.last + 1)) <= ROWS_A_SPAN
        )

    def spans(self, versions: Versions) -> Iterator[Versions]:
        """The versions in spans of bounded rows; one version that is larger than that is a span of its own."""
        first, rows = versions.first, 0
        for version in range(versions.first, versions.last + 1):
            more = self._rows.get(version, 0)
            if version > first and (rows + more > ROWS_A_SPAN or version - first >= VERSIONS_A_SPAN):
                yield Versions(first, version - 1)
                first, rows = version, 0
            rows += more
        yield Versions(first, versions.last)


@dataclass(frozen=True, slots=True)
class Settled:
    """`last` is the newest version that can be judged, `waiting_from` the first that can't be yet; `why` is a sentence on what waits."""

    last: int
    waiting_from: int | None = None
    why: str = ""


def _apart(ranges: Iterable[Versions]) -> Iterator[Versions]:
    """The ranges in order, those that lie over each other as one; neighbours stay two."""
    whole: Versions | None = None
    for one in sorted(ranges):
        if whole is not None and one.first <= whole.last:
            whole = Versions(whole.first, max(whole.last, one.last))
            continue
        if whole is not None:
            yield whole
        whole = one
    if whole is not None:
        yield whole


def asked_range(asked: Asked, feed: FeedState, timeline: Timeline) -> Versions | None:
    """The versions that are meant, as far as the table has them; None where that is none. Raises UsageError for versions yet to come."""
    newest = feed.latest_version
    if asked.versions is not None:
        if asked.versions.last > newest:
            raise UsageError(
                f"The range {asked.versions} is not there yet: the table's newest version is {newest}.",
                hint=f"Take versions up to {newest}, or leave --versions out.",
            )
        return asked.versions
    first = first_version(feed, timeline)
    if asked.since is not None:
        found = timeline.since(asked.since)
        if found is None:
            return None
        first = max(first, found)
    return Versions(first, newest) if first <= newest else None


def first_version(feed: FeedState, timeline: Timeline) -> int:
    """The first version whose changes may be there."""
    known = [each for each in (feed.first_version, feed.oldest_version) if each is not None]
    if known:
        return max(known)
    return timeline.first if timeline.first is not None else feed.latest_version


def commits_needed(asked: Asked, feed: FeedState, remembered: Proofs) -> int:
    """How many commits of the history are needed to bound the spans and to know how old each version is."""
    if asked.since is not None:
        return COMMITS_AT_MOST
    if asked.versions is not None:
        oldest = asked.versions.first
    elif asked.again or asked.companies or not (proven := remembered.of(EVERY_COMPANY)):
        oldest = 0
    else:
        known = (feed.first_version, feed.oldest_version, feed.latest_version - COMMITS_AT_MOST + 1)
        lowest = max(each for each in known if each is not None)
        if asked.spans is not None:
            lowest = max(lowest, proven[0].first)
        known_of = [*proven, *(each.versions for each in remembered.unreadable)]
        holes = without([Versions(min(max(0, lowest), feed.latest_version), feed.latest_version)], known_of)
        gaps = (gap.versions.first for gap in remembered.gaps if gap.repairable or not gap.missing)
        oldest = min([holes[0].first if holes else feed.latest_version, *gaps])
    return max(1, min(COMMITS_AT_MOST, feed.latest_version - oldest + 1))


def in_reach(asked: Asked, wanted: Versions, remembered: Proofs) -> Versions:
    """Of what nobody bounded, a run of a few spans goes no further back than the first of them did: what is older waits for one that does."""
    proven = remembered.of(EVERY_COMPANY)
    if asked.spans is None or asked.versions is not None or not proven:
        return wanted
    return Versions(min(max(wanted.first, proven[0].first), wanted.last), wanted.last)


def settled(
    versions: Versions,
    timeline: Timeline,
    table_id: str,
    progress: StreamProgress | None,
    jobs: Sequence[StreamingJob],
    beat: datetime | None,
    now: datetime,
) -> Settled:
    """How far a range can be judged; `beat` is when the newest heartbeat that came through was sent, None where that is not known."""
    limits = [
        _young(versions, timeline, now),
        _unread(versions, table_id, progress),
        _on_its_way(versions, timeline, beat),
    ]
    limits += [_standing(versions, timeline, job) for job in jobs]
    last, why = min(
        (limit for limit in limits if limit is not None), key=lambda limit: limit[0], default=(versions.last, "")
    )
    if last >= versions.last:
        return Settled(versions.last)
    return Settled(last, max(last + 1, versions.first), why)


def _young(versions: Versions, timeline: Timeline, now: datetime) -> tuple[int, str] | None:
    first = timeline.later(versions, now - LANDING)
    if first is None:
        return None
    return first - 1, f"they are younger than {LANDING.seconds} s, and may still land"


def _unread(versions: Versions, table_id: str, progress: StreamProgress | None) -> tuple[int, str] | None:
    if progress is None:
        return versions.first - 1, "the stream has left no trace of what it has read"
    if progress.table_id and table_id and progress.table_id != table_id:
        return versions.first - 1, "the stream reads a table that was there before under this name"
    if progress.version >= versions.last:
        return None
    return progress.version, f"the stream has read as far as version {progress.version}"


def _on_its_way(versions: Versions, timeline: Timeline, beat: datetime | None) -> tuple[int, str] | None:
    first = None if beat is None else timeline.later(versions, beat - LANDING)
    if beat is None or first is None:
        return None
    return (
        first - 1,
        f"the newest heartbeat that came through was sent at {to_data(beat)}; what came later may be on its way",
    )


def _standing(versions: Versions, timeline: Timeline, job: StreamingJob) -> tuple[int, str] | None:
    if job.state.lower() not in _STANDING or job.last_output_at is None:
        return None
    first = timeline.later(versions, job.last_output_at - LANDING)
    if first is None:
        return None
    return first - 1, f"{job.name} stands since {to_data(job.last_output_at)}; what came later waits in the hub"
