"""Ranges of versions hold exactly the versions that sets of numbers would."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.errors import UsageError
from lpmops.versions import Versions, in_at_most, merged, parse, within, without

_RANGE = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda pair: Versions(pair[0], pair[0] + pair[1]))
_RANGES = st.lists(_RANGE, max_size=8)


def _numbers(ranges: Iterable[Versions]) -> set[int]:
    return {number for one in ranges for number in range(one.first, one.last + 1)}


@given(_RANGES)
def test_merging_keeps_each_version_and_leaves_no_neighbours(ranges: list[Versions]) -> None:
    found = merged(ranges)
    assert _numbers(found) == _numbers(ranges)
    assert all(left.last + 1 < right.first for left, right in itertools.pairwise(found))


@given(_RANGES, _RANGES)
def test_taking_away_leaves_what_sets_leave(ranges: list[Versions], taken: list[Versions]) -> None:
    assert _numbers(without(ranges, taken)) == _numbers(ranges) - _numbers(taken)


@given(_RANGES, st.integers(1, 6))
def test_fewer_ranges_hold_the_same_versions_and_as_few_more_as_can_be(ranges: list[Versions], count: int) -> None:
    whole, found = merged(ranges), in_at_most(count, ranges)
    assert len(found) == min(count, len(whole))
    assert _numbers(found) >= _numbers(whole)
    holes = sorted(right.first - left.last - 1 for left, right in itertools.pairwise(whole))
    assert len(_numbers(found) - _numbers(whole)) == sum(holes[: len(whole) - len(found)])


@given(_RANGES, _RANGE)
def test_clipping_keeps_what_lies_in_the_bounds(ranges: list[Versions], bounds: Versions) -> None:
    assert _numbers(within(ranges, bounds)) == _numbers(ranges) & _numbers([bounds])


def test_a_range_is_read_as_it_is_written() -> None:
    assert parse("118:240") == Versions(118, 240)
    assert parse(" 7 ") == Versions(7, 7)
    assert str(parse("118:240")) == "118:240"


@pytest.mark.parametrize("text", ["", ":", "1:", ":2", "-1:2", "a:b", "1:2:3", "1.5", "9" * 19, "٣:٤"])
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="no range of versions") as caught:
        parse(text)
    assert "118:240" in caught.value.hint


def test_a_range_that_ends_before_it_begins_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match="ends before it begins") as caught:
        parse("240:118")
    assert "118:240" in caught.value.hint
