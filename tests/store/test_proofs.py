"""What reconciliations have shown, as the store keeps it: proven ranges that grow together, and gaps that close."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lpmops.store import proofs
from lpmops.store.connection import Store, open_store
from lpmops.store.proofs import EVERY_COMPANY, OpenGap, Unreadable
from lpmops.versions import Versions

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(tmp_path / "lpmops.db")
    yield found
    found.close()


def keep(store: Store, first: int, last: int, *gaps: OpenGap, companies: tuple[str, ...] = (EVERY_COMPANY,)) -> None:
    proofs.keep(store, "test", "t-1", Versions(first, last), companies, gaps, NOW)


def gap(first: int, last: int, company: str = "1001") -> OpenGap:
    return OpenGap(company, Versions(first, last), 9, 7, 2, 0, 0, 2)


def test_ranges_that_touch_become_one_in_whatever_order_they_come(store: Store) -> None:
    for first, last in ((30, 39), (10, 19), (20, 29), (50, 59), (5, 12)):
        keep(store, first, last)
    assert proofs.read(store, "test", "t-1").proven == {EVERY_COMPANY: (Versions(5, 39), Versions(50, 59))}


def test_what_holds_for_all_holds_for_each(store: Store) -> None:
    keep(store, 10, 19)
    keep(store, 20, 29, companies=("1001",))
    found = proofs.read(store, "test", "t-1")
    assert found.of("1001") == (Versions(10, 29),)
    assert found.of("1002") == (Versions(10, 19),)


def test_nothing_is_known_of_another_table_or_environment(store: Store) -> None:
    keep(store, 10, 19, gap(12, 13))
    for environment, table in (("test", "t-2"), ("prod", "t-1")):
        found = proofs.read(store, environment, table)
        assert (found.proven, found.gaps) == ({}, ())


def test_a_gap_closes_when_it_was_looked_at_whole_and_for_its_company(store: Store) -> None:
    keep(store, 10, 19, gap(12, 13), gap(15, 15, "1002"))
    keep(store, 12, 13, companies=("1002",))
    keep(store, 13, 19, companies=("1001",))
    assert [each.company_id for each in proofs.read(store, "test", "t-1").gaps] == ["1001", "1002"]
    keep(store, 10, 14, companies=("1001",))
    assert [each.company_id for each in proofs.read(store, "test", "t-1").gaps] == ["1002"]
    keep(store, 0, 99)
    assert proofs.read(store, "test", "t-1").gaps == ()


def test_part_of_a_gap_that_stays_open_is_not_counted_twice(store: Store) -> None:
    keep(store, 10, 19, gap(12, 15))
    keep(store, 14, 19, gap(14, 15))
    assert proofs.read(store, "test", "t-1").gaps == (gap(12, 15),)


def test_what_no_replay_can_fill_says_so(store: Store) -> None:
    keep(store, 10, 19, gap(12, 15), gap(18, 19))
    gone = Unreadable(Versions(0, 17), "It is gone.", "What remains is a load.")
    ((before, lost),) = proofs.give_up(store, "test", "t-1", gone, NOW)
    assert (before, lost) == (gap(12, 15), replace(gap(12, 15), repairable=0))
    found = proofs.read(store, "test", "t-1")
    assert ([each.repairable for each in found.gaps], found.unreadable) == ([0, 2], (gone,))
    assert proofs.unreadable(store, "test", "t-1") == (gone,)


def test_a_gap_that_is_gone_in_part_ends_where_the_changes_begin_again(store: Store) -> None:
    keep(store, 10, 19, gap(12, 15))
    proofs.give_up(store, "test", "t-1", Unreadable(Versions(0, 13), "gone", ""), NOW)
    assert proofs.gaps(store, "test", "t-1") == (replace(gap(12, 13), repairable=0), gap(14, 15))
    keep(store, 14, 19, gap(15, 15))
    lost = replace(gap(12, 13), repairable=0)
    assert proofs.gaps(store, "test", "t-1") == (lost, gap(15, 15))
    proofs.correct(store, "test", "t-1", lost, replace(lost, missing=0), NOW)
    assert proofs.gaps(store, "test", "t-1") == (gap(15, 15),)


def test_what_lies_ahead_of_versions_that_are_gone_can_still_be_filled(store: Store) -> None:
    keep(store, 10, 19, gap(12, 18))
    proofs.give_up(store, "test", "t-1", Unreadable(Versions(14, 15), "gone", ""), NOW)
    lost = replace(gap(14, 15), repairable=0)
    assert proofs.gaps(store, "test", "t-1") == (gap(12, 13), lost, gap(16, 18))


def test_the_gaps_of_former_tables_are_told_by_their_ids(store: Store) -> None:
    keep(store, 10, 19, gap(12, 15))
    assert proofs.former(store, "test", "t-2") == {"t-1": (gap(12, 15),)}
    assert proofs.former(store, "test", "t-1") == proofs.former(store, "prod", "t-2") == {}


def test_the_gaps_alone_are_those_of_the_whole(store: Store) -> None:
    keep(store, 10, 19, gap(12, 15), gap(12, 12, "1002"))
    assert (
        proofs.gaps(store, "test", "t-1")
        == proofs.read(store, "test", "t-1").gaps
        == (gap(12, 15), gap(12, 12, "1002"))
    )
    assert proofs.gaps(store, "test", "t-2") == ()


def test_a_part_that_is_given_up_for_another_reason_leaves_the_rest_of_what_was_given_up_before(store: Store) -> None:
    before, after = Unreadable(Versions(0, 17), "Off.", "None."), Unreadable(Versions(0, 5), "Vacuumed.", "A load.")
    for one in (before, after):
        proofs.give_up(store, "test", "t-1", one, NOW)
    assert proofs.unreadable(store, "test", "t-1") == (after, replace(before, versions=Versions(6, 17)))
    inner = Unreadable(Versions(9, 11), "Vacuumed.", "A load.")
    proofs.give_up(store, "test", "t-1", inner, NOW)
    assert [str(each.versions) for each in proofs.unreadable(store, "test", "t-1")] == ["0:5", "6:8", "9:11", "12:17"]


def test_of_what_was_given_up_only_what_could_be_read_after_all_is_readable_again(store: Store) -> None:
    proofs.give_up(store, "test", "t-1", Unreadable(Versions(0, 17), "Off.", "None."), NOW)
    keep(store, 10, 12)
    assert [str(each.versions) for each in proofs.unreadable(store, "test", "t-1")] == ["0:9", "13:17"]
