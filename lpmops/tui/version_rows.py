"""The versions of a table as rows that a screen draws: each with what is known of it, and what a chosen range holds for whom.

Pure, and quick for ten thousand commits: a state is worked out once a stretch of versions of which the same is known, not once a version.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from lpmops.actions.cdf import replayable
from lpmops.actions.replay_chunks import changes_shape
from lpmops.control.reconcile_range import LANDING
from lpmops.control.reconciled import LOSSES
from lpmops.control.versionline import VersionLine
from lpmops.model import Commit, Route, Turn
from lpmops.plain_text import counted
from lpmops.store.proofs import EVERY_COMPANY, OpenGap
from lpmops.tui.marks import Mark
from lpmops.versions import Versions, merged, within, without

# What is known of a version; the worst of a cell is drawn on the axis.
PROVEN = Mark("━", "proven", "ok", 0)
YOUNG = Mark("╌", "too young", "muted", 1)
UNPROVEN = Mark("─", "not looked at", "muted", 2)
PARTLY = Mark("┅", "partly looked at", "muted", 3)
NO_FEED = Mark("·", "not recorded", "faint", 4)
OLD = Mark("░", "may be gone", "warn", 5)
GONE = Mark("╳", "can't be read any more", "warn", 6)
DIFFERS = Mark("▲", "differs", "warn", 7)
MISSING = Mark("✖", "missing", "bad", 8)
LEGEND = (PROVEN, UNPROVEN, MISSING, DIFFERS, GONE, OLD, NO_FEED, YOUNG, PARTLY)
# Operations that write rows; every other one is worth a mark of its own on the axis.
_WRITES = ("WRITE", "MERGE", "UPDATE", "DELETE", "STREAMING UPDATE", "COPY INTO")


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One commit, its state, and the gaps that it lies in."""

    commit: Commit
    mark: Mark
    said: str
    gaps: tuple[OpenGap, ...] = ()

    @property
    def version(self) -> int:
        """The version that the commit made."""
        return self.commit.version


@dataclass(frozen=True, slots=True)
class Vacuum:
    """When the table was vacuumed last, and the first version whose changes it had to leave; None where it left all that are known."""

    at: datetime
    kept_from: int | None


@dataclass(frozen=True, slots=True)
class Extent:
    """What some commits come to: how many rows they say that they wrote (`is_exact`: each says it), whether all are proven; the ends, if any."""

    rows: int
    is_exact: bool
    is_proven: bool
    oldest: VersionRow | None
    newest: VersionRow | None


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of the rows before each place: what they wrote, how many do not say it, how many are not proven. A range is told from its two ends."""

    written: tuple[int, ...]
    silent: tuple[int, ...]
    unproven: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Laid:
    """A reading laid out: its rows, newest first, and the ranges in which something is missing, oldest first.

    `missing_changes` are those of all gaps, `looked_at` is how many of its versions were held against what landed, for every company.
    """

    line: VersionLine
    rows: tuple[VersionRow, ...]
    missing: tuple[Versions, ...]
    missing_changes: int
    looked_at: int
    sums: _Sums
    vacuum: Vacuum | None = None

    @property
    def bounds(self) -> Versions | None:
        """The versions that are known, None where there are none."""
        return Versions(self.rows[-1].version, self.rows[0].version) if self.rows else None


@dataclass(frozen=True, slots=True)
class CompanyRow:
    """One company in a range. `changes` of it are there (None: not counted), `where` are its gaps' versions; `looked` how far it was looked at.

    The other counts are of its gaps that touch the range.
    """

    company_id: str
    company: str
    database: str
    changes: int | None
    missing: int
    doubled: int
    extra: int
    repairable: int
    where: tuple[Versions, ...]
    looked: Mark

    @property
    def complete(self) -> bool:
        """Whether nothing of it is known to differ."""
        return not (self.missing or self.doubled or self.extra)


def laid(line: VersionLine, now: datetime) -> Laid:
    """A reading as rows."""
    gaps = line.proofs.gaps if line.proofs is not None else ()
    borders, states = _stretches(line, gaps, now)
    rows = []
    for commit in line.commits:
        mark, said, here = states[bisect_right(borders, commit.version) - 1]
        rows.append(VersionRow(commit, mark, said, here))
    proven = line.proofs.proven.get(EVERY_COMPANY, ()) if line.proofs is not None else ()
    bounds = Versions(rows[-1].version, rows[0].version) if rows else None
    return Laid(
        line,
        tuple(rows),
        merged(gap.versions for gap in gaps if gap.missing),
        missing_changes=sum(gap.missing for gap in gaps),
        looked_at=sum(len(one) for one in within(proven, bounds)) if bounds is not None else 0,
        sums=_Sums(
            _running(row.commit.rows or 0 for row in rows),
            _running(row.commit.rows is None for row in rows),
            _running(row.mark is not PROVEN for row in rows),
        ),
        vacuum=_vacuum(line),
    )


def _running(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(accumulate(numbers, initial=0))


def _vacuum(line: VersionLine) -> Vacuum | None:
    """The newest VACUUM, and what it may have taken with it."""
    last = next((each for each in line.commits if each.operation.upper().startswith("VACUUM")), None)
    if last is None:
        return None
    if line.feed.retention is None:
        return Vacuum(last.at, None)
    since = last.at - timedelta(seconds=line.feed.retention)
    kept = sum(each.at > since for each in line.commits)
    return Vacuum(last.at, line.commits[kept - 1].version if 0 < kept < len(line.commits) else None)


def _stretches(
    line: VersionLine, gaps: Sequence[OpenGap], now: datetime
) -> tuple[list[int], list[tuple[Mark, str, tuple[OpenGap, ...]]]]:
    """Where each stretch begins, and what is known of it."""
    proven = line.proofs.proven if line.proofs is not None else {}
    edges = {0, *(line.feed.first_version or 0,)}
    lost = line.proofs.unreadable if line.proofs is not None else ()
    known = [each for ranges in proven.values() for each in ranges]
    known += [gap.versions for gap in gaps]
    known += [each.versions for each in lost]
    for one in known:
        edges |= {one.first, one.last + 1}
    # Age runs along the versions: the first that is young, and the first whose changes are certain.
    newest_first = line.commits
    young = [each.version for each in newest_first if each.at > now - LANDING]
    certain = [each.version for each in newest_first if replayable(line.feed, each.version, each.at, now) == "certain"]
    edges |= {young[-1]} if young else set()
    edges |= {certain[-1]} if certain else set()
    borders = sorted(edges)
    at = {each.version: each.at for each in newest_first}
    opening: dict[int, list[OpenGap]] = defaultdict(list)
    for gap in gaps:
        opening[gap.versions.first].append(gap)
    going: list[OpenGap] = []
    everyone, some = _Cover(proven.get(EVERY_COMPANY, ())), _Cover(merged(v for each in proven.values() for v in each))
    versions = sorted(at)
    states = []
    for border in borders:
        going = [gap for gap in going if gap.versions.last >= border] + opening.get(border, [])
        index = bisect_right(versions, border - 1)
        moment = at[versions[index]] if index < len(versions) else line.feed.latest_commit_at
        states.append(_state(line, border, moment, now, tuple(going), everyone, some))
    return borders, states


class _Cover:
    """Whether a version lies in ranges that are in order."""

    def __init__(self, ranges: Sequence[Versions]) -> None:
        self._firsts, self._ranges = [one.first for one in ranges], ranges

    def __contains__(self, version: int) -> bool:
        index = bisect_right(self._firsts, version)
        return index > 0 and version in self._ranges[index - 1]


def _state(
    line: VersionLine,
    version: int,
    at: datetime,
    now: datetime,
    gaps: tuple[OpenGap, ...],
    everyone: _Cover,
    some: _Cover,
) -> tuple[Mark, str, tuple[OpenGap, ...]]:
    if any(gap.missing for gap in gaps):
        return MISSING, _said_missing(gaps), gaps
    if gaps:
        kinds = [name for name in ("doubled", "extra") if any(getattr(gap, name) for gap in gaps)]
        return DIFFERS, f"{_companies(gaps)}: {' and '.join(kinds)}", gaps
    lost = line.proofs.unreadable if line.proofs is not None else ()
    if (gone := next((each for each in lost if version in each.versions), None)) is not None:
        return GONE, f"{GONE.word}: {gone.why}", ()
    if version in everyone:
        return PROVEN, PROVEN.word, ()
    certainty = replayable(line.feed, version, at, now)
    if certainty == "not recorded":
        return NO_FEED, "not recorded: the change feed was off", ()
    if certainty == "may be gone":
        return OLD, "not looked at; its changes may be gone", ()
    if version in some:
        return PARTLY, "looked at for some companies", ()
    return (YOUNG, "too young to judge", ()) if at > now - LANDING else (UNPROVEN, UNPROVEN.word, ())


def _said_missing(gaps: Sequence[OpenGap]) -> str:
    lacking = [gap for gap in gaps if gap.missing]
    lost = "" if any(gap.repairable for gap in lacking) else ", and no replay brings them"
    return f"{sum(gap.missing for gap in lacking):,} missing of {_companies(lacking)}{lost}"


def _companies(gaps: Iterable[OpenGap]) -> str:
    return counted(len({gap.company_id for gap in gaps}), "company", "companies")


# Ranges -------------------------------------------------------------------------------------------------------------------------------------------


def gap_beside(found: Laid, version: int, by: int) -> Versions | None:
    """The next range with something missing, after a version where `by` is 1, before it where it is -1; round the end where there is none."""
    if not found.missing:
        return None
    if by > 0:
        return found.missing[bisect_right(found.missing, version, key=_first) % len(found.missing)]
    return found.missing[bisect_left(found.missing, version, key=_last) - 1]


def gap_at(found: Laid, version: int) -> Versions | None:
    """The range with something missing that a version lies in."""
    index = bisect_right(found.missing, version, key=_first)
    return found.missing[index - 1] if index and version in found.missing[index - 1] else None


def _first(versions: Versions) -> int:
    return versions.first


def _last(versions: Versions) -> int:
    return versions.last


def last_incident(turns: Sequence[Turn]) -> tuple[Turn, datetime | None] | None:
    """The newest suspicion that began, whatever a reconciliation suspects left out, and when it ended; None where there was none."""
    began = [turn for turn in turns if turn.kind == "suspect" and turn.began and turn.what not in LOSSES]
    if not began:
        return None
    last = max(began, key=lambda turn: turn.at)
    ends = [turn.at for turn in turns if turn.what == last.what and not turn.began and turn.at > last.at]
    return last, min(ends, default=None)


def committed_between(found: Laid, start: datetime, end: datetime | None) -> Versions | None:
    """The versions that were committed in a span of time, None where none was."""
    inside = [row.version for row in found.rows if row.commit.at >= start and (end is None or row.commit.at <= end)]
    return Versions(inside[-1], inside[0]) if inside else None


def extent(found: Laid, versions: Versions | None) -> Extent:
    """What a range comes to, all that is known where it is None; as quick for ten thousand commits as for one."""
    begin, end = 0, len(found.rows)
    if versions is not None:
        begin, end = (bisect_right(found.rows, -edge, key=_from_newest) for edge in (versions.last + 1, versions.first))
    written, silent, unproven = (
        each[end] - each[begin] for each in (found.sums.written, found.sums.silent, found.sums.unproven)
    )
    newest, oldest = (found.rows[begin], found.rows[end - 1]) if begin < end else (None, None)
    return Extent(written, not silent, newest is not None and not unproven, oldest, newest)


def _from_newest(row: VersionRow) -> int:
    return -row.version


def special(commit: Commit) -> str:
    """What is to be told of a commit beside its rows: an operation that writes none, or changes the table's shape; empty for a write."""
    return "" if commit.operation.upper().startswith(_WRITES) and not changes_shape(commit) else commit.operation


# Companies ----------------------------------------------------------------------------------------------------------------------------------------


def companies_in(
    found: Laid, chosen: Versions | None, counts: Mapping[str, int] | None, routes: Sequence[Route]
) -> list[CompanyRow]:
    """The companies of a range, or of all that is known; with counts only those that have rows in it or differ there."""
    named = {route.company_id: route for route in routes}
    proofs = found.line.proofs
    gaps: dict[str, list[OpenGap]] = defaultdict(list)
    for gap in proofs.gaps if proofs is not None else ():
        if chosen is None or within([gap.versions], chosen):
            gaps[gap.company_id].append(gap)
    meant = {*gaps, *(counts if counts is not None else named)}
    # Most were never looked at alone: what is known of all is known of them.
    alone = proofs.proven if proofs is not None else {}
    usual, rows = _looked(found, EVERY_COMPANY, chosen), []
    for company_id in sorted(meant):
        of_it, route = gaps.get(company_id, []), named.get(company_id)
        rows.append(
            CompanyRow(
                company_id,
                route.company if route is not None else "",
                route.database if route is not None else "",
                None if counts is None else counts.get(company_id, 0),
                missing=sum(gap.missing for gap in of_it),
                doubled=sum(gap.doubled for gap in of_it),
                extra=sum(gap.extra for gap in of_it),
                repairable=sum(gap.repairable for gap in of_it),
                where=merged(gap.versions for gap in of_it),
                looked=_looked(found, company_id, chosen) if company_id in alone else usual,
            )
        )
    return rows


def _looked(found: Laid, company_id: str, chosen: Versions | None) -> Mark:
    """How much of a range was looked at for a company."""
    meant = chosen or found.bounds
    proofs = found.line.proofs
    if meant is None or proofs is None:
        return UNPROVEN
    proven = proofs.of(company_id)
    if not without([meant], proven):
        return PROVEN
    return PARTLY if within(proven, meant) else UNPROVEN
