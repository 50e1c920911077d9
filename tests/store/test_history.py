"""Snapshots, samples, marks and leases over time."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmops.model import (
    HOPS,
    STAGES,
    Confidence,
    Credential,
    Health,
    Kind,
    Latency,
    Percentiles,
    Reading,
    Route,
    Snapshot,
    Stage,
    Suspect,
)
from lpmops.store import codec, lease, marks, samples, snapshots, upkeep
from lpmops.store.connection import Store, open_store
from lpmops.store.marks import Increment, Mark

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store" / "lpmops.db")


def snapshot(at: datetime, health: Health = Health.HEALTHY, suspects: tuple[Suspect, ...] = ()) -> Snapshot:
    return Snapshot("prod", Kind.PROD, at, health, {}, suspects=suspects)


# Snapshots -------------------------------------------------------------------------------------------------------------

_times = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)
_numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_texts = st.text(max_size=20)
_snapshots = st.builds(
    Snapshot,
    _texts,
    st.sampled_from(Kind),
    _times,
    st.sampled_from(Health),
    st.dictionaries(
        st.sampled_from(STAGES),
        st.builds(
            Stage,
            _texts,
            st.sampled_from(Health),
            _texts,
            _texts,
            _numbers,
            _texts,
            _numbers,
            st.lists(
                st.builds(Reading, _texts, _numbers | st.integers() | _texts, _texts, st.none() | _times, _texts),
                max_size=2,
            ).map(tuple),
        ),
    ),
    st.builds(
        Latency,
        _numbers,
        _numbers,
        _numbers,
        st.integers(),
        st.dictionaries(st.sampled_from(HOPS), st.builds(Percentiles, _numbers, _numbers, _numbers)),
    ),
    st.lists(
        st.builds(
            Route, _texts, _texts, _texts, _texts, st.none() | st.integers(), _numbers, st.none() | _times, _numbers
        ),
        max_size=2,
    ).map(tuple),
    st.lists(
        st.builds(
            Suspect,
            _texts,
            _texts,
            st.sampled_from(Confidence),
            _texts,
            st.lists(_texts).map(tuple),
            st.lists(_texts).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    st.builds(Credential, _texts, _texts, st.none() | _times, _texts),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    _numbers,
)


@settings(max_examples=60)
@given(_snapshots)
def test_a_snapshot_comes_back_as_it_was(found: Snapshot) -> None:
    assert codec.unpack_snapshot(codec.pack_snapshot(found)) == found


@given(st.binary(max_size=60))
def test_bytes_that_are_no_snapshot_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        codec.unpack_snapshot(body)


@pytest.mark.parametrize(
    "data",
    [[], 5, None, {}, {"environment": "prod", "kind": "mars"}, {"environment": "prod", "kind": "prod", "taken_at": 5}],
)
def test_json_that_is_no_snapshot_is_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        codec.unpack_snapshot(codec.pack_json(data))


def test_the_newest_snapshot_is_kept_and_the_past_by_the_minute_and_the_turn(store: Store) -> None:
    suspect = Suspect("asa.stopped", "asa", Confidence.SURE, "stopped")
    for second in range(0, 180, 5):
        down = 95 <= second < 110
        snapshots.save(
            store,
            snapshot(
                NOW + timedelta(seconds=second), Health.DOWN if down else Health.HEALTHY, (suspect,) if down else ()
            ),
        )
    assert snapshots.latest(store)[0].taken_at == NOW + timedelta(seconds=175)
    moments = snapshots.moments(store, "prod", NOW, NOW + HOUR)
    assert [(at - NOW).seconds for at in moments] == [0, 60, 95, 110, 170]
    then = snapshots.at(store, "prod", NOW + timedelta(seconds=108))
    assert then is not None
    assert then.health is Health.DOWN
    assert snapshots.at(store, "prod", NOW - HOUR) is None


def test_the_past_is_bounded_by_days_and_by_bytes(store: Store) -> None:
    for minute in range(0, 600, 1):
        snapshots.save(store, snapshot(NOW + timedelta(minutes=minute)))
    snapshots.expire(store, "prod", NOW + timedelta(days=30, minutes=300), keep_days=30)
    left = snapshots.moments(store, "prod", NOW, NOW + timedelta(days=40))
    assert left[0] == NOW + timedelta(minutes=300)
    size = len(codec.pack_snapshot(snapshot(NOW)))
    snapshots.expire(store, "prod", NOW, keep_days=30, keep_bytes=size * 10)
    left = snapshots.moments(store, "prod", NOW, NOW + timedelta(days=40))
    assert left[-1] == NOW + timedelta(minutes=599)
    assert 5 <= len(left) <= 12


# Samples ---------------------------------------------------------------------------------------------------------------


def fill(store: Store, hours: int, series: Mapping[str, float]) -> None:
    for tick in range(hours * 12):
        samples.append(
            store, "prod", NOW + timedelta(minutes=5 * tick), {name: value + tick for name, value in series.items()}
        )


def test_sealing_changes_no_answer(store: Store) -> None:
    fill(store, 3, {"a": 0.0, "b": 100.0})
    window = (NOW, NOW + 4 * HOUR)
    before = (samples.read(store, "prod", "a", *window), samples.minutes(store, "prod", "b", *window))
    assert len(before[0]) == 36
    sealed = samples.seal(store, "prod", NOW + 2 * HOUR + timedelta(minutes=30))
    assert sealed == 24
    assert (samples.read(store, "prod", "a", *window), samples.minutes(store, "prod", "b", *window)) == before
    assert samples.seal(store, "prod", NOW + 2 * HOUR + timedelta(minutes=30)) == 0


def test_hours_hold_lowest_highest_and_mean(store: Store) -> None:
    fill(store, 2, {"a": 0.0})
    samples.seal(store, "prod", NOW + 5 * HOUR)
    first, second = samples.hours(store, "prod", "a", NOW, NOW + 2 * HOUR)
    assert (first.samples, first.low, first.high, first.mean, first.last) == (12, 0.0, 11.0, 5.5, 11.0)
    assert second.low == 12.0


def test_samples_that_come_after_their_hour_was_sealed_join_it(store: Store) -> None:
    fill(store, 1, {"a": 0.0})
    samples.seal(store, "prod", NOW + HOUR)
    samples.append(store, "prod", NOW + timedelta(minutes=31), {"a": 500.0})
    samples.seal(store, "prod", NOW + HOUR)
    (hour,) = samples.hours(store, "prod", "a", NOW, NOW)
    assert (hour.samples, hour.high) == (13, 500.0)


def test_environments_do_not_mix(store: Store) -> None:
    samples.append(store, "prod", NOW, {"a": 1.0})
    samples.append(store, "dev", NOW, {"a": 2.0})
    assert [sample.value for sample in samples.read(store, "prod", "a", NOW, NOW)] == [1.0]
    assert samples.names(store, "dev") == ["a"]


def test_raw_samples_go_after_a_week_minutes_as_told_and_hours_stay(store: Store) -> None:
    fill(store, 1, {"a": 0.0})
    for days, raw, minutes, hours in ((6, 12, 12, 1), (8, 0, 12, 1), (31, 0, 0, 1), (401, 0, 0, 0)):
        upkeep.keep(store, "prod", NOW + timedelta(days=days), keep_days=30)
        window = (NOW, NOW + HOUR)
        counts = tuple(
            len(read(store, "prod", "a", *window)) for read in (samples.read, samples.minutes, samples.hours)
        )
        assert counts == (raw, minutes, hours), f"after {days} days"


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.floats(allow_nan=False)))
def test_a_tick_comes_back_as_it_was(values: dict[int, float]) -> None:
    assert codec.unpack_tick(codec.pack_tick(values)) == values


@given(st.binary(max_size=40))
def test_bytes_that_are_no_samples_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        codec.unpack_tick(body)


# Marks -----------------------------------------------------------------------------------------------------------------


def increment(events: int) -> Increment:
    return Increment(0, 1_000, events, {"total": {100: events}}, {"1001": {100: events}})


def test_of_two_that_counted_the_same_rows_one_is_kept(store: Store) -> None:
    base = Mark(1_000, counts={"1001": 5})
    assert marks.advance(store, "prod", NOW, {"lpm-01": (base, increment(5))}) == {"lpm-01"}
    seen = marks.read(store, "prod")["lpm-01"]
    assert seen.revision == 1
    mine = Mark(2_000, counts={"1001": 8}, revision=seen.revision)
    assert marks.advance(store, "prod", NOW, {"lpm-01": (mine, increment(3))}) == {"lpm-01"}
    assert marks.advance(store, "prod", NOW, {"lpm-01": (mine, increment(3))}) == set()
    assert marks.read(store, "prod")["lpm-01"].counts == {"1001": 8}
    assert sum(item.events for _, item in marks.recent(store, "prod", NOW - HOUR)) == 8


def test_latencies_become_minutes_and_lose_their_companies_after_two_days(store: Store) -> None:
    for minute in range(3):
        mark = Mark(minute, revision=minute)
        marks.advance(store, "prod", NOW + timedelta(minutes=minute), {"lpm-01": (mark, increment(2))})
    marks.seal(store, "prod", NOW + HOUR)
    assert marks.recent(store, "prod", NOW - HOUR) == []
    window = (NOW, NOW + HOUR)
    assert [hops["total"] for hops in marks.latency_minutes(store, "prod", *window).values()] == [{100: 2}] * 3
    marks.expire(store, "prod", NOW + timedelta(days=2, hours=1), keep_days=30)
    assert len(marks.latency_minutes(store, "prod", *window)) == 3
    (body,) = store.connection().execute("SELECT body FROM latency_minute LIMIT 1").fetchone()
    assert codec.unpack_json(body)["companies"] == {}
    marks.expire(store, "prod", NOW + timedelta(days=31), keep_days=30)
    assert marks.latency_minutes(store, "prod", *window) == {}


# The lease -------------------------------------------------------------------------------------------------------------


def test_one_of_two_holds_the_lease_until_it_ends(store: Store) -> None:
    assert lease.take(store, "prod", "one", NOW)
    assert not lease.take(store, "prod", "two", NOW + timedelta(seconds=10))
    assert lease.take(store, "prod", "one", NOW + timedelta(seconds=15))
    assert not lease.take(store, "prod", "two", NOW + timedelta(seconds=30))
    assert lease.take(store, "prod", "two", NOW + timedelta(seconds=36))
    assert not lease.take(store, "prod", "one", NOW + timedelta(seconds=37))


def test_a_lease_from_the_future_holds_nobody_up(store: Store) -> None:
    assert lease.take(store, "prod", "one", NOW + timedelta(hours=2))
    assert lease.take(store, "prod", "two", NOW)


def test_the_lease_of_a_process_that_is_gone_is_free(store: Store) -> None:
    child = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(child, 0)
    with store.writing() as connection:
        connection.execute(
            "INSERT INTO lease VALUES ('prod', 'gone', ?, ?, ?, 20000)",
            (socket.gethostname(), child, codec.milliseconds(NOW)),
        )
    assert lease.take(store, "prod", "two", NOW)


def test_a_lease_given_back_is_free_at_once(store: Store) -> None:
    assert lease.take(store, "prod", "one", NOW)
    lease.release(store, "prod", "one")
    assert lease.take(store, "prod", "two", NOW)
