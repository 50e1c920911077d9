"""Calls by company and minute: totals that hold, percentiles that are not added up, and minutes that nobody counted as gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lpmops.cli import kpi as command
from lpmops.config import Config, Kpi
from lpmops.control import kpi
from lpmops.errors import BadAnswerError, DatabaseUnavailableError, LpmopsError
from lpmops.model import CallMinute
from tests.control.pretend import environment

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
HERE = environment("test", ("lpm-01", "lpm-02"))
CONFIG = Config({"test": HERE})
OWN = replace(CONFIG, kpi=Kpi(output="company"))


def minute(back: int, calls: int = 3, mean: float | None = 60.0, p95: float | None = 90.0) -> CallMinute:
    at = NOW.replace(second=0) - timedelta(minutes=back)
    return CallMinute(at, calls, calls - 1, 1, mean, p95)


def total(company: str, calls: int, answered: int, seconds: float | None, p95: float | None = None) -> dict[str, Any]:
    timed = answered if seconds is not None else 0
    return {
        "company_id": company,
        "windows": 2,
        "calls": calls,
        "answered": answered,
        "failed": 1,
        "answered_seconds": seconds,
        "answered_timed": timed,
        "highest_p95_seconds": p95,
    }


def by_minute(back: int, calls: int, answered: int, seconds: float, p95: float | None = None) -> dict[str, Any]:
    return {**total("", calls, answered, seconds, p95), "window_end": minute(back).at.replace(tzinfo=None)}


@dataclass
class Sql:
    """Answers by database and query; `asked` is what was asked for."""

    answers: dict[tuple[str, str], Sequence[Mapping[str, Any]] | LpmopsError] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def rows(self, database: str, query_name: str, parameters: Sequence[object]) -> Sequence[Mapping[str, Any]]:
        self.asked.append((database, query_name))
        found = self.answers.get((database, query_name), ())
        if isinstance(found, LpmopsError):
            raise found
        return found


def test_means_count_by_answered_calls_and_the_highest_percentile_is_given() -> None:
    sql = Sql(
        {
            ("lpm-control", "calls_by_company"): [total("1001", 10, 8, 800.0, 150.0), total("1002", 30, 2, 20.0, 40.0)],
            ("lpm-control", "calls_by_minute"): [by_minute(3, 25, 5, 500.0, 150.0), by_minute(2, 15, 5, 320.0)],
        }
    )
    found = kpi.read(sql, CONFIG, "test", 60, NOW)
    assert [(item.company_id, item.calls, item.mean_duration) for item in found.companies] == [
        ("1002", 30, 10.0),
        ("1001", 10, 100.0),
    ]
    assert (found.total.calls, found.total.answered, found.total.failed) == (40, 10, 2)
    assert (found.total.mean_duration, found.total.highest_p95, found.total.windows) == (82.0, 150.0, 2)
    assert [item.mean_duration for item in found.minutes] == [100.0, 64.0]


def test_a_minute_that_nobody_counted_is_a_gap_and_one_that_may_still_come_is_none() -> None:
    minutes = [minute(58), minute(57), minute(3), minute(2)]
    found = kpi.gaps(minutes, NOW - timedelta(minutes=60), NOW)
    assert found == ((minute(59).at, minute(59).at), (minute(56).at, minute(4).at))
    # A minute later the one that was still to come is missed.
    assert kpi.gaps(minutes, NOW - timedelta(minutes=3), NOW + timedelta(minutes=1)) == ((minute(1).at, minute(1).at),)


def test_what_was_not_counted_at_all_has_no_total_but_gaps() -> None:
    found = kpi.read(Sql(), CONFIG, "test", 60, NOW)
    assert (found.companies, found.minutes, found.total.mean_duration, found.total.highest_p95) == ((), (), None, None)
    assert len(found.gaps) == 1


def test_counts_of_company_databases_become_one() -> None:
    sql = Sql()
    for name, seconds in (("lpm-01", 100.0), ("lpm-02", 200.0)):
        sql.answers[name, "landing_calls_by_company"] = [total(name, 5, 2, seconds)]
        sql.answers[name, "landing_calls_by_minute"] = [by_minute(5, 5, 2, seconds, seconds)]
    found = kpi.read(sql, OWN, "test", 60, NOW)
    assert {item.company_id for item in found.companies} == {"lpm-01", "lpm-02"}
    (one,) = found.minutes
    assert (one.calls, one.answered, one.mean_duration, one.p95_duration) == (10, 4, 75.0, 200.0)


def test_a_database_that_another_operator_brought_on_is_counted_too() -> None:
    sql = Sql({("lpm-07", "landing_calls_by_company"): [total("7", 5, 2, 9.0)]})
    control = OWN.environment("test").sql.control_database
    sql.answers[control, "company_databases"] = [{"database_name": "lpm-07"}]
    assert [item.company_id for item in kpi.read(sql, OWN, "test", 60, NOW).companies] == ["7"]


def test_a_database_that_cannot_be_read_is_named_and_the_others_are_told() -> None:
    away = DatabaseUnavailableError("lpm-02 is away.", service="azuresql")
    sql = Sql({("lpm-01", "landing_calls_by_company"): [total("1", 5, 2, 9.0)], ("lpm-02", "landing_calls_by_company"): away})  # fmt: skip
    found = kpi.read(sql, OWN, "test", 60, NOW)
    assert found.total.calls == 5
    assert found.unread == {"lpm-02": "lpm-02 is away."}
    sql.answers["lpm-01", "landing_calls_by_company"] = away
    with pytest.raises(DatabaseUnavailableError):
        kpi.read(sql, OWN, "test", 60, NOW)


def test_one_company_is_asked_where_it_is_counted() -> None:
    sql = Sql()
    kpi.read(sql, CONFIG, "test", 60, NOW, company="1001")
    kpi.read(sql, OWN, "test", 60, NOW, "lpm-02", "1001")
    assert sql.asked == [("lpm-control", "calls_of_company"), ("lpm-02", "landing_calls_of_company")]


@pytest.mark.parametrize("row", [{}, {**total("1", 1, 1, 1.0), "calls": "soon 2025550143"}])
def test_a_table_of_another_shape_is_an_error_without_its_values(row: Mapping[str, Any]) -> None:
    with pytest.raises(BadAnswerError) as caught:
        kpi.read(Sql({("lpm-control", "calls_by_company"): [row]}), CONFIG, "test", 60, NOW)
    assert "555" not in caught.value.message


@pytest.mark.parametrize(("answered", "failed", "share"), [(0, 0, None), (3, 1, 0.75), (0, 2, 0.0), (5, 0, 1.0)])
def test_the_share_of_answered_calls_is_of_those_that_ended(answered: int, failed: int, share: float | None) -> None:
    assert kpi.answered_share(answered, failed) == share


def test_bars_tell_a_gap_from_a_minute_without_calls_and_from_one_that_may_come() -> None:
    sql = Sql()
    sql.answers["lpm-control", "calls_by_minute"] = [
        by_minute(6, 8, 1, 1.0),
        by_minute(5, 0, 0, 0.0),
        by_minute(3, 1, 1, 1.0),
    ]
    found = kpi.read(sql, CONFIG, "test", 7, NOW)
    assert command.spark(found) == "█_·▁·"
