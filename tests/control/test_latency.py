"""Histograms of latencies: how true their percentiles are, and that the window forgets."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops import resources
from lpmops.control import latency
from lpmops.control.latency import Window, bucket, percentile
from lpmops.store.marks import Increment


@given(st.lists(st.integers(0, 9_000_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_within_a_tenth_of_the_true_one(values: list[int], share: float) -> None:
    histogram: dict[int, int] = {}
    for value in values:
        histogram[bucket(value)] = histogram.get(bucket(value), 0) + 1
    true = sorted(values)[max(0, math.ceil(share * len(values)) - 1)] / 1000
    found = percentile(histogram, share)
    assert found is not None
    assert abs(found - true) <= max(0.02, true * 0.1)


def test_unknown_latencies_count_as_events_and_never_as_fast() -> None:
    assert bucket(-5) == bucket(None) == latency.UNKNOWN
    assert percentile({latency.UNKNOWN: 10}, 0.5) is None
    assert percentile({latency.UNKNOWN: 10, 2_000: 1}, 0.5) == pytest.approx(2.05)
    assert latency.latency({"total": {latency.UNKNOWN: 10, 2_000: 1}}).events == 11


def test_the_database_sorts_into_the_same_buckets() -> None:
    text = resources.query("tsql/landed_since.sql")
    steps = re.findall(r"WHEN measured\.elapsed < (\d+) THEN measured\.elapsed / (\d+) \* (\d+)", text)
    assert [(int(limit), int(width)) for limit, width, _ in steps] == list(latency._STEPS)
    assert all(width == again for _, width, again in steps)
    assert f"ELSE {latency.OVERFLOW}" in text


@given(
    st.lists(
        st.tuples(st.integers(1, 60_000), st.dictionaries(st.sampled_from([20, 400, 1_500]), st.integers(1, 9))),
        max_size=40,
    )
)
def test_a_window_equals_the_sum_of_what_lies_in_it(steps: list[tuple[int, dict[int, int]]]) -> None:
    window, now = Window(300_000), 0
    kept: list[Increment] = []
    for span, histogram in steps:
        increment = Increment(now, now + span, sum(histogram.values()), {"total": histogram}, {"1001": histogram})
        now += span
        window.add(increment)
        kept = [item for item in [*kept, increment] if item.end > now - 300_000]
    expected = latency.combine(item.hops for item in kept)
    assert window.hops == {key: value for key, value in expected.items() if value}
    assert window.events == sum(item.events for item in kept)


def increments(window: Window, *events: int) -> None:
    """Ten seconds each, with so many events that took 400 ms."""
    for number, count in enumerate(events):
        held = {400: count} if count else {}
        window.add(Increment(number * 10_000, (number + 1) * 10_000, count, {"total": held}, {"1001": held}))


def test_what_is_known_of_a_hop_stays_known_while_nothing_comes_through() -> None:
    window = Window(300_000)
    increments(window, 50, 20, 0, 0, 0, 0, 0)
    assert window.recent(10_000) == {"total": {400: 20}}
    assert window.recent_rate(30_000) == 0.0


def test_a_rate_that_nobody_counted_lately_is_unknown() -> None:
    window = Window(300_000)
    increments(window, 50, 50, 50)
    assert window.recent_rate(30_000) == 5.0
    window.slide(90_000)
    assert window.recent_rate(30_000) is None
