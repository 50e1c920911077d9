"""The source table's versions as one value: its commits, its change feed, and what reconciliations have shown of them. Read when somebody looks.

The first reading takes the history as far as a reconciliation does; those after it only what was committed since. A table that was made anew under
its name is read anew. Nothing here judges: what a version's state is follows from these values alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lpmops.control import reconcile_standing
from lpmops.control.reconcile_range import COMMITS_AT_MOST
from lpmops.model import Commit, FeedState
from lpmops.store import proofs
from lpmops.store.connection import Store
from lpmops.store.proofs import Proofs

# The stream of commits goes on between two statements.
_MARGIN = 20


class HistorySource(Protocol):
    """What knows a table's change feed and its history."""

    def feed(self) -> FeedState:
        """The change feed."""
        ...

    def history(self, limit: int) -> Sequence[Commit]:
        """The newest commits, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A table with its `commits`, newest first, as far back as they were read, and what is remembered of them (None: there is no memory).

    `next_look` is when it is reconciled by itself again, None where that is not known.
    """

    table: str
    feed: FeedState
    commits: tuple[Commit, ...]
    proofs: Proofs | None
    next_look: datetime | None = None


def read(
    source: HistorySource, store: Store | None, environment: str, table: str, before: VersionLine | None = None
) -> VersionLine:
    """The versions of a table; `before` is the last reading of it. Raises ServiceError types, StoreError."""
    feed = source.feed()
    known_as = feed.table_id or table
    remembered = proofs.read(store, environment, known_as) if store is not None else None
    standing = reconcile_standing.recall(store, environment) if store is not None else None
    next_look = standing.next_at if standing is not None else None
    return VersionLine(table, feed, _commits(source, feed, before), remembered, next_look)


def _commits(source: HistorySource, feed: FeedState, before: VersionLine | None) -> tuple[Commit, ...]:
    known = before.commits if before is not None and before.feed.table_id == feed.table_id else ()
    since = feed.latest_version - known[0].version if known else -1
    if not 0 <= since < COMMITS_AT_MOST - _MARGIN:
        return tuple(source.history(COMMITS_AT_MOST))
    newer = source.history(since + _MARGIN) if since else ()
    return (*(each for each in newer if each.version > known[0].version), *known)[:COMMITS_AT_MOST]
