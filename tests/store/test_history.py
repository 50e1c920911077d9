"""Snapshots, samples, marks and leases over time."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lpmops import resources
from lpmops.errors import StoreError
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
    to_data,
)
from lpmops.store import codec, lease, marks, samples, sealing, snapshot_codec, snapshots, upkeep
from lpmops.store.connection import Store, open_store
from lpmops.store.marks import Increment, Mark
from lpmops.store.snapshots import Change, Outline

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


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
@given(_snapshots, _snapshots)
def test_a_snapshot_comes_back_as_it_was_over_any_basis(found: Snapshot, other: Snapshot) -> None:
    for like in (found, other, replace(found, health=Health.DOWN), replace(other, routes=found.routes)):
        basis = snapshot_codec.unpack_basis(snapshot_codec.pack_basis(like))
        assert snapshot_codec.unpack(snapshot_codec.pack(found, basis), basis) == found


@settings(max_examples=30)
@given(_snapshots)
def test_what_an_older_lpmops_wrote_is_still_read(found: Snapshot) -> None:
    assert snapshot_codec.unpack(codec.pack_json(to_data(found)), None) == found


@given(_snapshots, _snapshots)
def test_a_body_over_another_basis_is_refused(found: Snapshot, other: Snapshot) -> None:
    mine, others = (snapshot_codec.unpack_basis(snapshot_codec.pack_basis(item)) for item in (found, other))
    assume(mine.digest != others.digest)
    body = snapshot_codec.pack(found, mine)
    for wrong in (others, None):
        with pytest.raises(ValueError):
            snapshot_codec.unpack(body, wrong)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"B" + tail))
def test_bytes_that_are_no_snapshot_are_refused(body: bytes) -> None:
    basis = snapshot_codec.unpack_basis(snapshot_codec.pack_basis(snapshot(NOW)))
    with pytest.raises(ValueError):
        snapshot_codec.unpack(body, basis)
    with pytest.raises(ValueError):
        snapshot_codec.unpack_basis(body)


@pytest.mark.parametrize(
    "data",
    [[], 5, None, {}, {"environment": "prod", "kind": "mars"}, {"environment": "prod", "kind": "prod", "taken_at": 5}],
)
def test_json_that_is_no_snapshot_is_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        snapshot_codec.unpack(codec.pack_json(data), None)


STOPPED = (Suspect("asa.stopped", "asa", Confidence.SURE, "stopped"),)


def minutes_of(store: Store, end: timedelta = 40 * DAY) -> list[float]:
    return [(at - NOW) / timedelta(minutes=1) for at in snapshots.moments(store, "prod", NOW - DAY, NOW + end)]


def test_every_look_of_the_last_hours_can_be_shown_and_the_newest_is_the_newest(store: Store) -> None:
    for second in range(0, 180, 5):
        down = 95 <= second < 110
        health, suspects = (Health.DOWN, STOPPED) if down else (Health.HEALTHY, ())
        snapshots.save(store, snapshot(NOW + timedelta(seconds=second), health, suspects))
    assert snapshots.latest(store)[0].taken_at == NOW + timedelta(seconds=175)
    assert len(snapshots.moments(store, "prod", NOW, NOW + HOUR)) == 36
    then = snapshots.at(store, "prod", NOW + timedelta(seconds=108))
    assert then is not None
    assert (then.health, then.suspects, then.taken_at) == (Health.DOWN, STOPPED, NOW + timedelta(seconds=105))
    assert snapshots.at(store, "prod", NOW - HOUR) is None
    assert snapshots.extent(store, "prod") == (NOW, NOW + timedelta(seconds=175))
    assert snapshots.extent(store, "dev") is None


def test_turns_are_told_without_decoding_a_snapshot(store: Store) -> None:
    for second, suspects in ((0, ()), (5, STOPPED), (10, STOPPED), (15, ())):
        at = NOW + timedelta(seconds=second)
        snapshots.save(store, snapshot(at, Health.DOWN if suspects else Health.HEALTHY, suspects))
    store.connection().execute("UPDATE snapshot_history SET body = x'00'")
    good, bad = Outline(Health.HEALTHY, ()), Outline(Health.DOWN, ("asa.stopped",))
    assert snapshots.changes(store, "prod", NOW, NOW + HOUR) == [
        Change(NOW + timedelta(seconds=5), good, bad),
        Change(NOW + timedelta(seconds=15), bad, good),
    ]
    assert snapshots.changes(store, "prod", NOW + timedelta(seconds=6), NOW + timedelta(seconds=14)) == []


def test_old_looks_are_thinned_to_the_minute_and_then_to_five_and_no_turn_is_lost(store: Store) -> None:
    for second in range(0, 3600, 20):
        down = second == 1220
        at = NOW + timedelta(seconds=second)
        snapshots.save(store, snapshot(at, Health.DOWN if down else Health.HEALTHY, STOPPED if down else ()))
    snapshots.expire(store, "prod", NOW + 3 * HOUR, keep_days=30)
    assert len(minutes_of(store)) == 180
    snapshots.expire(store, "prod", NOW + 5 * HOUR, keep_days=30)
    turned = [1220 / 60, 1240 / 60]
    assert minutes_of(store) == sorted([*range(60), *turned])
    snapshots.expire(store, "prod", NOW + 3 * DAY, keep_days=30)
    assert minutes_of(store) == sorted([*range(0, 60, 5), *turned])
    assert len(snapshots.changes(store, "prod", NOW, NOW + HOUR)) == 2
    for minute in (*range(0, 60, 5), *turned):
        assert snapshots.at(store, "prod", NOW + timedelta(minutes=minute)) is not None


def test_the_past_is_bounded_by_days_and_by_bytes(store: Store) -> None:
    for minute in range(0, 600, 1):
        snapshots.save(store, snapshot(NOW + timedelta(minutes=minute)))
    now = NOW + timedelta(minutes=600)
    size = sum(store.connection().execute("SELECT SUM(bytes) FROM snapshot_history").fetchone())
    snapshots.expire(store, "prod", now, keep_days=30, keep_bytes=size // 4)
    left = minutes_of(store)
    assert left[-1] == 599
    assert 50 <= len(left) <= 250
    whole = "SELECT SUM(bytes) FROM (SELECT bytes FROM snapshot_history UNION ALL SELECT bytes FROM snapshot_basis)"
    assert store.connection().execute(whole).fetchone()[0] <= size // 4
    assert all(snapshots.at(store, "prod", NOW + timedelta(minutes=minute)) for minute in left)
    snapshots.expire(store, "prod", now + 31 * DAY, keep_days=30)
    assert minutes_of(store) == []
    # The newest is still shown, and so is what it is written over.
    assert snapshots.latest(store)[0].taken_at == NOW + timedelta(minutes=599)
    assert store.connection().execute("SELECT COUNT(*) FROM snapshot_basis").fetchone()[0] == 1


def test_a_clock_set_back_turns_nothing_and_loses_nothing(store: Store) -> None:
    for second in range(0, 60, 5):
        snapshots.save(store, snapshot(NOW + 2 * DAY + timedelta(seconds=second)))
    for second in range(0, 60, 5):
        snapshots.save(store, snapshot(NOW + timedelta(seconds=second), Health.DOWN, STOPPED))
    assert [change.at for change in snapshots.changes(store, "prod", NOW - DAY, NOW + 9 * DAY)] == [NOW]
    assert snapshots.extent(store, "prod") == (NOW, NOW + timedelta(seconds=55))
    assert len(minutes_of(store)) == 24
    found = snapshots.at(store, "prod", NOW + HOUR)
    assert found is not None
    assert found.taken_at == NOW + timedelta(seconds=55)


def test_companies_that_come_and_go_are_each_in_the_looks_that_saw_them(store: Store) -> None:
    looks = []
    for second in range(0, 7200, 600):
        routes = tuple(Route(str(n), f"County {n}", "lpm-01", "flowing", n * second) for n in range(second // 1200 + 1))
        looks.append(replace(snapshot(NOW + timedelta(seconds=second)), routes=routes))
        snapshots.save(store, looks[-1])
    assert [snapshots.at(store, "prod", look.taken_at) for look in looks] == looks
    assert snapshots.latest(store) == [looks[-1]]


def test_a_damaged_basis_costs_the_looks_over_it_and_none_that_come(store: Store) -> None:
    snapshots.save(store, snapshot(NOW))
    store.connection().execute("UPDATE snapshot_basis SET body = x'00'")
    with pytest.raises(StoreError, match="damaged"):
        snapshots.at(store, "prod", NOW)
    after = snapshot(NOW + timedelta(seconds=5))
    snapshots.save(store, after)
    assert snapshots.latest(store) == [after]
    assert snapshots.at(store, "prod", after.taken_at) == after


def test_a_store_of_the_first_version_keeps_its_history_and_its_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old" / "lpmops.db"
    first = resources.migrations()[:1]
    with monkeypatch.context() as before:
        before.setattr(resources, "migrations", lambda: first)
        old = open_store(path)
        looks = [snapshot(NOW + timedelta(minutes=n), *((Health.DOWN, STOPPED) if n == 1 else ())) for n in range(3)]
        with old.writing() as connection:
            for look in looks:
                outline = f"{look.health.value}:{','.join(item.id for item in look.suspects)}"
                row = ("prod", codec.milliseconds(look.taken_at), 9, outline, codec.pack_json(to_data(look)))
                connection.execute(
                    "INSERT INTO snapshot_history (environment, taken_at, bytes, outline, body) VALUES (?, ?, ?, ?, ?)", row
                )  # fmt: skip
            connection.execute("INSERT INTO snapshot VALUES (?, ?, ?)", (*row[:2], row[4]))
        old.close()
    store = open_store(path)
    assert snapshots.latest(store) == [looks[-1]]
    assert [snapshots.at(store, "prod", look.taken_at) for look in looks] == looks
    turns = snapshots.changes(store, "prod", NOW, NOW + HOUR)
    assert [(turn.at, turn.after.health) for turn in turns] == [
        (looks[1].taken_at, Health.DOWN),
        (looks[2].taken_at, Health.HEALTHY),
    ]
    snapshots.save(store, snapshot(NOW + timedelta(minutes=3), Health.DOWN))
    assert len(snapshots.changes(store, "prod", NOW, NOW + HOUR)) == 3


# Samples ---------------------------------------------------------------------------------------------------------------


def fill(store: Store, hours: int, series: Mapping[str, float]) -> None:
    for tick in range(hours * 12):
        samples.append(
            store, "prod", NOW + timedelta(minutes=5 * tick), {name: value + tick for name, value in series.items()}
        )


def ticks(store: Store) -> int:
    return int(store.connection().execute("SELECT COUNT(*) FROM tick").fetchone()[0])


def test_sealing_changes_no_answer(store: Store) -> None:
    fill(store, 3, {"a": 0.0, "b": 100.0})
    window = (NOW, NOW + 4 * HOUR)
    before = (samples.read(store, "prod", "a", *window), samples.minutes(store, "prod", "b", *window))
    assert len(before[0]) == 36
    assert sealing.seal(store, "prod", NOW + 2 * HOUR + timedelta(minutes=30))
    assert ticks(store) == 12
    assert (samples.read(store, "prod", "a", *window), samples.minutes(store, "prod", "b", *window)) == before
    assert sealing.seal(store, "prod", NOW + 2 * HOUR + timedelta(minutes=30))
    assert ticks(store) == 12


def test_sealing_that_is_stopped_on_the_way_is_gone_on_with(store: Store) -> None:
    names = {f"s{number}": float(number) for number in range(5 * sealing.BLOCK)}
    fill(store, 2, names)
    window = (NOW, NOW + 4 * HOUR)

    def answers() -> list[object]:
        return [
            [read(store, "prod", name, *window) for read in (samples.read, samples.minutes)] for name in ("s0", "s200")
        ]

    before, steps = answers(), 1
    while not sealing.seal(store, "prod", NOW + 5 * HOUR, seconds=0.0):
        steps += 1
        assert answers() == before
        if steps == 3:
            # A tick that comes late, when some blocks are sealed without it.
            samples.append(store, "prod", NOW + timedelta(minutes=1), dict.fromkeys(names, 7.0))
            before = answers()
    assert steps > 8
    assert ticks(store) == 0
    assert answers() == before
    assert [len(samples.read(store, "prod", name, *window)) for name in ("s0", "s200")] == [25, 25]


def test_hours_that_an_older_lpmops_sealed_are_still_read_and_go_in_their_time(store: Store) -> None:
    samples.append(store, "prod", NOW + HOUR, {"a": 4.0})
    series, at = samples.name_series(store, "prod", ["a"])["a"], codec.milliseconds(NOW)
    with store.writing() as connection:
        connection.execute(
            "INSERT INTO chunk VALUES (?, ?, ?)", (at, series, codec.pack_chunk([(0, 1.5), (60_000, 2.5)]))
        )
        minutes = codec.pack_json([[0, 1, 1.5, 1.5, 1.5, 1.5], [60_000, 1, 2.5, 2.5, 2.5, 2.5]])
        connection.execute("INSERT INTO minute_rollup VALUES (?, ?, ?)", (at, series, minutes))
    window = (NOW, NOW + 2 * HOUR)
    for _ in range(2):
        assert [sample.value for sample in samples.read(store, "prod", "a", *window)] == [1.5, 2.5, 4.0]
        assert [minute.mean for minute in samples.minutes(store, "prod", "a", *window)] == [1.5, 2.5, 4.0]
        sealing.seal(store, "prod", NOW + 3 * HOUR)
    upkeep.keep(store, "prod", NOW + timedelta(days=31), keep_days=30)
    assert samples.minutes(store, "prod", "a", *window) == []


def test_hours_hold_lowest_highest_and_mean(store: Store) -> None:
    fill(store, 2, {"a": 0.0})
    sealing.seal(store, "prod", NOW + 5 * HOUR)
    first, second = samples.hours(store, "prod", "a", NOW, NOW + 2 * HOUR)
    assert (first.samples, first.low, first.high, first.mean, first.last) == (12, 0.0, 11.0, 5.5, 11.0)
    assert second.low == 12.0


def test_samples_that_come_after_their_hour_was_sealed_join_it(store: Store) -> None:
    fill(store, 1, {"a": 0.0})
    sealing.seal(store, "prod", NOW + HOUR)
    samples.append(store, "prod", NOW + timedelta(minutes=31), {"a": 500.0})
    sealing.seal(store, "prod", NOW + HOUR)
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


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.floats(allow_nan=False)), st.integers(0, 2**32 - 1))
def test_one_series_of_a_tick_is_read_alone(values: dict[int, float], other: int) -> None:
    body = codec.pack_tick(values)
    for series in (*values, other):
        assert codec.tick_value(body, series) == values.get(series)


_values = st.floats(allow_nan=False) | st.integers(-(10**9), 10**9).map(lambda whole: whole / 1000) | st.just(-0.0)


@given(st.dictionaries(st.integers(0, 3_599_999), _values))
def test_an_hour_of_a_series_comes_back_as_it_was(values: dict[int, float]) -> None:
    pairs = sorted(values.items())
    found = codec.unpack_chunk(codec.pack_chunk(pairs))
    assert [(at, struct.pack("<d", value)) for at, value in found] == [
        (at, struct.pack("<d", value)) for at, value in pairs
    ]


@given(st.dictionaries(st.integers(0, 59), st.tuples(st.integers(1, 60), _values, _values, _values, _values)))
def test_the_minutes_of_an_hour_come_back_as_they_were(
    values: dict[int, tuple[int, float, float, float, float]],
) -> None:
    minutes = [(minute * 60_000, *found) for minute, found in sorted(values.items())]
    assert codec.unpack_minutes(codec.pack_minutes(minutes)) == minutes


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.binary(max_size=9), max_size=9), st.integers(0, 10**13))
def test_a_block_gives_back_each_part_and_only_for_its_hour(parts: dict[int, bytes], hour: int) -> None:
    body = codec.pack_block(parts, hour)
    assert codec.unpack_block(body, hour) == parts
    for series in (*parts, 5):
        assert codec.block_part(body, hour, series) == parts.get(series)
    for wrong in (body + b"x", body[:-1], body[1:]):
        with pytest.raises(ValueError):
            codec.unpack_block(wrong, hour)
    with pytest.raises(ValueError):
        codec.unpack_block(body, hour + 3_600_000)


def test_the_samples_of_an_older_lpmops_are_still_read() -> None:
    ids, values = array("I", [3, 7]), array("d", [1.5, 2.25])
    old = zlib.compress(struct.pack("<I", 2) + ids.tobytes() + values.tobytes())
    assert codec.unpack_tick(old) == {3: 1.5, 7: 2.25}
    assert (codec.tick_value(old, 7), codec.tick_value(old, 8)) == (2.25, None)
    assert codec.unpack_chunk(old) == [(3, 1.5), (7, 2.25)]
    assert codec.unpack_minutes(codec.pack_json([[0, 2, 1.0, 2.0, 3.0, 2.0]])) == [(0, 2, 1.0, 2.0, 3.0, 2.0)]


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: b"T" + tail) | st.just(b"M"))
def test_bytes_that_are_no_samples_are_refused(body: bytes) -> None:
    for unpack in (
        codec.unpack_tick,
        codec.unpack_chunk,
        codec.unpack_minutes,
        lambda found: codec.tick_value(found, 1),
    ):
        with pytest.raises(ValueError):
            unpack(body)


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
