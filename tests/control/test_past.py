"""The past from the store alone: a moment, its turns, and lines that are quick to draw whatever they span."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lpmops.control.past import StoredPast
from lpmops.model import Confidence, Health, Kind, Snapshot, Suspect, Turn
from lpmops.store import samples, snapshots, upkeep
from lpmops.store.connection import Store, open_store

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
QUIET = Suspect("upstream.quiet", "cdf", Confidence.POSSIBLE, "quiet")
STOPPED = Suspect("asa.stopped", "asa", Confidence.SURE, "stopped")


def look(store: Store, at: datetime, health: Health = Health.HEALTHY, *suspects: Suspect) -> Snapshot:
    made = Snapshot("prod", Kind.PROD, at, health, {}, suspects=suspects)
    snapshots.save(store, made)
    return made


def test_without_a_store_there_is_no_past() -> None:
    past = StoredPast(None)
    assert past.extent("prod") is None
    assert past.at("prod", NOW) is None
    assert (past.rates_until("prod", NOW), past.turns("prod", NOW, NOW), past.series("prod", "a", NOW, NOW)) == (
        {},
        (),
        (),
    )


def test_a_moment_shows_what_was_known_then(store: Store) -> None:
    first = look(store, NOW)
    second = look(store, NOW + 5 * SECOND, Health.DOWN, STOPPED)
    past = StoredPast(store)
    assert past.extent("prod") == (NOW, NOW + 5 * SECOND)
    assert past.at("prod", NOW - SECOND) is None
    assert past.at("prod", NOW + 4 * SECOND) == first
    assert past.at("prod", NOW + 9 * SECOND) == second


def test_a_moment_at_which_nobody_looked_is_unknown_and_not_as_well_as_before(store: Store) -> None:
    seen = look(store, NOW)
    found = StoredPast(store).at("prod", NOW + 20 * MINUTE)
    assert found == replace(seen, health=Health.UNKNOWN)


def test_turns_say_what_began_and_what_ended(store: Store) -> None:
    look(store, NOW, Health.HEALTHY)
    look(store, NOW + SECOND, Health.DEGRADED, QUIET)
    look(store, NOW + 2 * SECOND, Health.DOWN, STOPPED, QUIET)
    look(store, NOW + 3 * SECOND, Health.DOWN, QUIET, STOPPED)
    look(store, NOW + 4 * SECOND, Health.HEALTHY)

    def turn(second: int, kind: str, what: str, health: Health, began: bool = True) -> Turn:
        return Turn(NOW + second * SECOND, "prod", kind, what, health, began)

    assert StoredPast(store).turns("prod", NOW, NOW + HOUR) == [
        turn(1, "health", "degraded", Health.DEGRADED),
        turn(1, "suspect", "upstream.quiet", Health.DEGRADED),
        turn(2, "health", "down", Health.DOWN),
        turn(2, "suspect", "asa.stopped", Health.DOWN),
        turn(4, "health", "healthy", Health.HEALTHY),
        turn(4, "suspect", "upstream.quiet", Health.HEALTHY, began=False),
        turn(4, "suspect", "asa.stopped", Health.HEALTHY, began=False),
    ]


@pytest.fixture(scope="module")
def month_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of a rate and a lag each ten minutes, the last hours each ten seconds, kept up as the poller does."""
    path = tmp_path_factory.mktemp("month") / "lpmops.db"
    store = open_store(path)
    for tick in range(30 * 144):
        at = NOW - 30 * DAY + tick * 10 * MINUTE
        samples.append(store, "prod", at, {"sql.rate": float(tick % 4), "sql.lag": 500.0 if tick == 3000 else 1.0})
    for tick in range(6 * 60):
        samples.append(store, "prod", NOW + tick * 10 * SECOND, {"sql.rate": 8.0, "sql.lag": 2.0})
    upkeep.keep(store, "prod", NOW + HOUR - SECOND, keep_days=30)
    store.close()
    return path


@pytest.fixture
def month(month_file: Path, tmp_path: Path) -> Store:
    """That month, for one test alone."""
    (tmp_path / "month").mkdir()
    return open_store(Path(shutil.copy(month_file, tmp_path / "month" / "lpmops.db")))


@pytest.mark.parametrize("span", [MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 4 * DAY, 7 * DAY, 30 * DAY], ids=str)
def test_any_span_is_a_line_of_some_hundred_points_that_reaches_from_end_to_end(month: Store, span: timedelta) -> None:
    end = NOW + HOUR
    line = StoredPast(month).series("prod", "sql.rate", end - span, end)
    times = [at for at, _ in line]
    assert 2 <= len(line) <= 500
    assert times == sorted(set(times))
    assert end - span <= times[0]
    assert times[-1] <= end
    step = max(span / 300, HOUR if span > 4 * DAY else 10 * MINUTE)
    assert times[0] - (end - span) <= step + (6 * MINUTE if span < HOUR else HOUR)
    assert end - times[-1] <= step + MINUTE


def test_a_peak_of_one_lag_in_a_month_is_not_averaged_away_and_a_rate_is_its_mean(month: Store) -> None:
    past = StoredPast(month)
    assert max(value for _, value in past.series("prod", "sql.lag", NOW - 30 * DAY, NOW)) == 500.0
    rates = [value for _, value in past.series("prod", "sql.rate", NOW - 20 * DAY, NOW - 10 * DAY)]
    assert all(1.0 <= value <= 2.0 for value in rates)


def test_an_hour_whose_raw_samples_are_gone_is_drawn_from_its_minutes(month: Store) -> None:
    start = NOW - 20 * DAY
    line = StoredPast(month).series("prod", "sql.rate", start, start + HOUR)
    assert [value for _, value in line] == [0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0]


def test_rates_of_a_moment_end_there(month: Store) -> None:
    past = StoredPast(month)
    rates = past.rates_until("prod", NOW + MINUTE)
    assert rates["sql"][-7:] == [8.0] * 7
    assert len(past.rates_until("prod", NOW + 30 * MINUTE)["sql"]) == 31
    assert rates["cdf"] == []


def test_a_series_that_was_never_seen_is_an_empty_line(month: Store) -> None:
    assert StoredPast(month).series("prod", "company.1.rows_per_minute", NOW - DAY, NOW) == []
