"""Tumbling windows: what is in them, when they close, and what they give."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lpmops.sandbox.asa import Executor, QueryRuntimeError
from tests.sandbox.asa.kit import NOON, compiled, event, rows

COUNT = "SELECT System.Timestamp() AS w, c, COUNT(*) AS n INTO out FROM hub GROUP BY c, TumblingWindow(minute, 1)"


def at(second: float) -> datetime:
    return NOON.replace(tzinfo=None) + timedelta(seconds=second)


def test_a_window_takes_its_end_and_not_its_start() -> None:
    executor = Executor(compiled(COUNT))
    executor.process([event({"c": "a"}, 0), event({"c": "a"}, 0.001), event({"c": "a"}, 60), event({"c": "a"}, 60.001)])

    found = rows(executor.advance(NOON + timedelta(minutes=5)))

    assert [(row["w"], row["n"]) for row in found] == [(at(0), 1), (at(60), 2), (at(120), 1)]


def test_an_offset_turns_the_ends_round() -> None:
    query = "SELECT System.Timestamp() AS w, COUNT(*) AS n INTO out FROM hub GROUP BY TumblingWindow(Duration(minute, 1), Offset(millisecond, -1))"
    executor = Executor(compiled(query))
    executor.process([event({}, 0), event({}, 59.999), event({}, 60)])

    assert [row["n"] for row in rows(executor.advance(NOON + timedelta(minutes=5)))] == [2, 1]


def test_a_window_closes_when_the_watermark_reaches_its_end_also_while_the_input_is_quiet() -> None:
    executor = Executor(compiled(COUNT))
    executor.process([event({"c": "a"}, 10)])

    assert executor.advance(NOON + timedelta(seconds=59.9)) == {}
    [row] = rows(executor.advance(NOON + timedelta(seconds=60)))
    assert row == {"w": at(60), "c": "a", "n": 1}
    assert executor.advance(NOON + timedelta(hours=1)) == {}


def test_state_is_kept_across_batches_and_groups_are_in_order() -> None:
    executor = Executor(compiled(COUNT))
    for second, company in [(1, "b"), (2, None), (3, "a"), (4, "b")]:
        executor.process([event({"c": company}, second)])

    found = rows(executor.advance(NOON + timedelta(minutes=1)))

    assert sorted((str(row["c"]), row["n"]) for row in found) == [("None", 1), ("a", 1), ("b", 2)]


def test_an_event_for_a_closed_window_is_counted_as_late_and_changes_nothing() -> None:
    executor = Executor(compiled(COUNT))
    executor.advance(NOON + timedelta(minutes=1))
    executor.process([event({"c": "a"}, 30)])

    assert executor.advance(NOON + timedelta(hours=1)) == {}
    assert executor.late_rows == 1


def test_aggregates_leave_out_nulls_and_having_leaves_out_groups() -> None:
    query = """SELECT c, COUNT(*) AS n, COUNT(v) AS held, COUNT(DISTINCT v) AS kinds, SUM(v) AS total, AVG(v) AS mean, MIN(v) AS low, MAX(v) AS high,
        PERCENTILE_DISC(0.5) OVER (ORDER BY v DESC) AS median INTO out FROM hub GROUP BY TumblingWindow(minute, 1), c HAVING COUNT(*) > 1"""
    executor = Executor(compiled(query))
    executor.process([event({"c": "a", "v": one}, 1) for one in (4, None, 1, 4)] + [event({"c": "b", "v": 9}, 1)])

    [row] = rows(executor.advance(NOON + timedelta(minutes=1)))

    assert row == {"c": "a", "n": 4, "held": 3, "kinds": 2, "total": 9, "mean": 3.0, "low": 1, "high": 4, "median": 4}


def test_a_percentile_is_the_one_of_the_reference() -> None:
    executor = Executor(
        compiled(
            "SELECT PERCENTILE_CONT(0.95) OVER (ORDER BY v) AS p INTO out FROM hub GROUP BY TumblingWindow(hour, 1)"
        )
    )
    executor.process([event({"v": one}, 1) for one in (0.98, 0.93, 0.78, 0.99, 0.89)])

    assert rows(executor.advance(NOON + timedelta(hours=1))) == [{"p": pytest.approx(0.988)}]


def test_text_is_compared_as_text_only_where_it_was_cast() -> None:
    cast = Executor(
        compiled("SELECT MAX(CAST(v AS nvarchar(max))) AS m INTO out FROM hub GROUP BY TumblingWindow(minute, 1)")
    )
    plain = Executor(compiled("SELECT MAX(v) AS m INTO out FROM hub GROUP BY TumblingWindow(minute, 1)"))
    for executor in (cast, plain):
        executor.process([event({"v": "9"}, 1), event({"v": "10"}, 2)])

    assert rows(cast.advance(NOON + timedelta(minutes=1))) == [{"m": "9"}]
    assert rows(plain.advance(NOON + timedelta(minutes=1))) == [{"m": 10.0}]


def test_a_sum_over_bigint_stops_the_query() -> None:
    executor = Executor(compiled("SELECT SUM(v) AS s INTO out FROM hub GROUP BY TumblingWindow(minute, 1)"))
    executor.process([event({"v": 2**63 - 1}, 1), event({"v": 1}, 2)])

    with pytest.raises(QueryRuntimeError, match="outside the range of bigint"):
        executor.advance(NOON + timedelta(minutes=1))


def test_a_step_of_windows_feeds_statements_and_longer_windows() -> None:
    query = """
        WITH minutes AS (SELECT c, COUNT(*) AS n, System.Timestamp() AS w FROM hub GROUP BY c, TumblingWindow(minute, 1))
        SELECT c, n, w INTO out FROM minutes WHERE n > 1
        SELECT c, SUM(n) AS n, System.Timestamp() AS w INTO other FROM minutes GROUP BY c, TumblingWindow(minute, 5)"""
    executor = Executor(compiled(query))
    executor.process([event({"c": "a"}, second) for second in (1, 2, 61)])

    made = executor.advance(NOON + timedelta(minutes=5))

    assert rows(made) == [{"c": "a", "n": 2, "w": at(60)}]
    assert rows(made, "other") == [{"c": "a", "n": 3, "w": at(300)}]


def test_windows_are_filled_again_without_writing_rows_again() -> None:
    query = f"WITH s AS (SELECT c FROM hub) SELECT c INTO other FROM s {COUNT.replace('FROM hub', 'FROM s')}"
    executor = Executor(compiled(query))
    executor.skip_windows_through(NOON + timedelta(seconds=60))

    assert executor.process([event({"c": "a"}, 30), event({"c": "a"}, 70)], rebuild=True) == {}
    assert rows(executor.advance(NOON + timedelta(minutes=5))) == [{"w": at(120), "c": "a", "n": 1}]
