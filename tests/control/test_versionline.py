"""The versions of a table as one value: read as far back as needed, then only what is new, with what is remembered of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lpmops.control import reconcile_standing, versionline
from lpmops.control.reconcile_range import COMMITS_AT_MOST
from lpmops.control.reconcile_standing import Standing
from lpmops.model import Commit, FeedState
from lpmops.store import proofs
from lpmops.store.connection import open_store
from lpmops.store.proofs import EVERY_COMPANY, OpenGap
from lpmops.versions import Versions

NOW = datetime(2026, 11, 23, 14, 3, 12, tzinfo=UTC)


class Table:
    """A table whose newest version the test sets; `asked` are the limits of each look at its history."""

    def __init__(self, newest: int, table_id: str = "t-1") -> None:
        self.newest, self.table_id, self.asked = newest, table_id, list[int]()

    def feed(self) -> FeedState:
        return FeedState("delta", self.newest, NOW, self.table_id)

    def history(self, limit: int) -> Sequence[Commit]:
        self.asked.append(limit)
        oldest = max(0, self.newest - limit + 1)
        return [Commit(n, NOW + timedelta(seconds=n), "MERGE", 10) for n in range(self.newest, oldest - 1, -1)]


def test_after_the_first_look_only_what_was_committed_since_is_read() -> None:
    table = Table(500)
    first = versionline.read(table, None, "prod", "lpm.calls.tdr")
    assert [each.version for each in first.commits] == list(range(500, -1, -1))
    same = versionline.read(table, None, "prod", "lpm.calls.tdr", first)
    assert same.commits == first.commits
    table.newest = 503
    later = versionline.read(table, None, "prod", "lpm.calls.tdr", same)
    assert [each.version for each in later.commits] == list(range(503, -1, -1))
    assert table.asked[0] == COMMITS_AT_MOST
    assert len(table.asked) == 2
    assert table.asked[1] < 100


def test_no_more_is_kept_than_is_read_at_most() -> None:
    table = Table(COMMITS_AT_MOST + 5_000)
    first = versionline.read(table, None, "prod", "t")
    table.newest += 7
    later = versionline.read(table, None, "prod", "t", first)
    assert len(later.commits) == COMMITS_AT_MOST
    assert later.commits[0].version == table.newest


def test_a_table_made_anew_and_one_that_was_put_back_are_read_anew() -> None:
    table = Table(500)
    first = versionline.read(table, None, "prod", "t")
    table.table_id, table.newest = "t-2", 3
    anew = versionline.read(table, None, "prod", "t", first)
    assert [each.version for each in anew.commits] == [3, 2, 1, 0]
    table.newest = 1
    assert [each.version for each in versionline.read(table, None, "prod", "t", anew).commits] == [1, 0]


def test_what_is_remembered_is_that_of_this_table_and_without_a_store_there_is_none(tmp_path: Path) -> None:
    table = Table(9)
    assert versionline.read(table, None, "prod", "t").proofs is None
    store = open_store(tmp_path / "lpmops.db")
    gap = OpenGap("1001", Versions(2, 3), 10, 4, 6, repairable=6)
    proofs.keep(store, "prod", "t-1", Versions(0, 7), [EVERY_COMPANY], [gap], NOW)
    reconcile_standing.keep(store, "prod", Standing(NOW, next_at=NOW + timedelta(minutes=5)))
    found = versionline.read(table, store, "prod", "t")
    assert found.proofs is not None
    assert (found.proofs.of(EVERY_COMPANY), found.proofs.gaps) == ((Versions(0, 7),), (gap,))
    assert found.next_look == NOW + timedelta(minutes=5)
    table.table_id = "t-2"
    other = versionline.read(table, store, "prod", "t", found)
    assert other.proofs is not None
    assert not other.proofs.proven
    store.close()
