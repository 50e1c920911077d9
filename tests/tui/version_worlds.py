"""Worlds whose source table has versions: proven ones, some that lost changes, some that nobody looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from lpmops.control.reconciled import Asked, CompanyResult, Reconciliation
from lpmops.control.versionline import VersionLine
from lpmops.model import Commit, FeedState, Kind
from lpmops.store.proofs import EVERY_COMPANY, OpenGap, Proofs
from lpmops.versions import Versions
from tests.tui.worlds import NOW, MemoryFeed, ago, good

TABLE = "lpm.calls.tdr"
NEWEST = 1_240
EVERY = 6.0


def committed(version: int, newest: int = NEWEST) -> datetime:
    """When a version was committed: one every six seconds, the newest a moment ago."""
    return NOW - timedelta(seconds=2 + EVERY * (newest - version))


def commit(version: int, operation: str = "MERGE", rows: int | None = None, newest: int = NEWEST) -> Commit:
    """A commit; without a number of rows it has some that depend on its version."""
    written = 40 + (version * 37) % 61 if rows is None else rows
    return Commit(version, committed(version, newest), operation, written)


def commits(number: int = NEWEST + 1) -> tuple[Commit, ...]:
    """The history, newest first: writes, and what else is done to a table."""
    newest = number - 1
    other: dict[int, tuple[str, int | None]] = {
        0: ("CREATE TABLE", 0),
        3: ("SET TBLPROPERTIES", 0),
        620: ("ADD COLUMNS", 0),
        840: ("OPTIMIZE", 0),
        1_000: ("VACUUM END", 0),
    }
    return tuple(
        commit(version, *other.get(version, ("MERGE", None)), newest=newest) for version in range(newest, -1, -1)
    )


def gap(company: str = "1001", first: int = 910, last: int = 930, missing: int = 412, **changes: Any) -> OpenGap:
    """A gap of a company."""
    fields: dict[str, Any] = {
        "source": 2_000,
        "landed": 2_000 - missing,
        "missing": missing,
        "doubled": 0,
        "extra": 0,
        "repairable": missing,
        **changes,
    }
    return OpenGap(company, Versions(first, last), **fields)


def line(
    gaps: Sequence[OpenGap] = (gap(),),
    proven: Sequence[Versions] = (Versions(3, 1_100),),
    history: Sequence[Commit] | None = None,
    **feed: Any,
) -> VersionLine:
    """The versions of the table as they were read."""
    read = tuple(commits() if history is None else history)
    state: dict[str, Any] = {
        "kind": "delta", "latest_version": NEWEST, "latest_commit_at": ago(2), "table_id": "t-1", "oldest_version": 0, "first_version": 3,
        "first_commit_at": committed(3), "retention": 604_800.0, **feed,
    }  # fmt: skip
    return VersionLine(TABLE, FeedState(**state), read, Proofs({EVERY_COMPANY: tuple(proven)}, tuple(gaps)))


def lossy_day(found: VersionLine | None = None) -> MemoryFeed:
    """PROD has lost changes of one company."""
    feed = MemoryFeed(
        good("dev", Kind.DEV), good("test", Kind.TEST, rate=40.0), good("prod", Kind.PROD, companies=812, rate=940.0)
    )
    feed.line = found or line()
    feed.counts = {"1001": 2_000, "1002": 411, "1003": 97, "": 3}
    feed.answering = lambda asked: answer(asked)
    return feed


def answer(asked: Asked, missing: int = 412) -> Reconciliation:
    """What a reconciliation finds: a company that lacks changes, or none where none are missing."""
    whole = asked.versions or Versions(3, NEWEST)
    gaps = (
        (OpenGap("1001", Versions(910, 930), 2_000, 2_000 - missing, missing, repairable=missing),) if missing else ()
    )
    company = CompanyResult(
        "1001", "Harbour 911", "lpm-01", 2_000, 2_000 - missing, missing, repairable=missing, gaps=gaps
    )
    return Reconciliation("prod", "t-1", NOW, whole, (whole,), (company,))
