"""A closer look at one company: its card, the way of its records, its hour, its calls, and the table of what landed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta, timezone
from functools import partial

import pytest
from textual.pilot import Pilot

from lpmops.errors import DatabaseUnavailableError
from lpmops.model import Kind, LandedRecord
from lpmops.tui import changes
from lpmops.tui.place import Place
from lpmops.tui.screens.company import CompanyScreen
from lpmops.tui.screens.record import RecordScreen
from lpmops.tui.widgets.calls import Calls
from lpmops.tui.widgets.table import LiveTable
from tests.tui.closer_worlds import closer, closer_day, record, records, wave
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.worlds import NOW, MemoryFeed, ago, good


@asynccontextmanager
async def company(
    feed: MemoryFeed,
    size: tuple[int, int] = (80, 24),
    *,
    name: str = "1001",
    answered: bool = True,
    faultless: bool = True,
) -> AsyncIterator[Pilot[None]]:
    """The screen of a company of the last environment, once its records came."""
    async with opened(feed, size, faultless=faultless) as pilot:
        app_of(pilot).go(Place("company", feed.kinds[-1][0], name))
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))
        if answered:
            await until(pilot, lambda: table(pilot).row_count == len(feed.landed) and bool(feed.landed))
        await pilot.pause()
        yield pilot


def table(pilot: Pilot[None]) -> LiveTable[LandedRecord]:
    screen = pilot.app.screen
    assert isinstance(screen, CompanyScreen)
    return screen.table


async def test_card_way_calls_and_records_fit_the_least_room() -> None:
    async with company(closer_day()) as pilot:
        shown = rows(pilot)
        assert "PROD  ● 1001 Harbour 911" in shown[1]
        assert "18,442,120" in shown[2]
        assert "commit ── 1.2 s ─▶ sent ── 0.1 s ─▶ enqueued ── 1.3 s ─▶ landed" in shown[6]
        assert "p50 2.6 s" in shown[7]
        assert "┤15 s├" in shown[7]
        assert shown[8].startswith(" calls 657 this hour  answered 98.8 %  failed 8  mean 3 min  p95 up to 9 min")
        assert shown[9].startswith(" newest records 40")
        assert "landed↓" in shown[10]
        assert "14:03:09.600" in shown[11]
        assert "48,112 ~ update" in shown[11]


async def test_newest_records_stand_at_the_top_and_what_was_replayed_says_so() -> None:
    async with company(closer_day(), (120, 40)) as pilot:
        assert table(pilot).keys == [changes.key(each) for each in records()]
        replayed = [row for row in rows(pilot) if "↻ " in row]
        assert len(replayed) == 2
        assert all("replay-7f3a" in row for row in replayed)


async def test_a_late_record_shows_in_which_hop_its_time_went() -> None:
    feed = closer_day()
    feed.landed = [record(0, landed=ago(2), hub=71.0), *feed.landed[1:]]
    async with company(feed, (120, 40)) as pilot:
        line = next(row for row in rows(pilot) if "14:03:10.000" in row)
        assert "72.7 s" in line
        assert "71 s" in line
        assert "┃60 s" in text(pilot), "the scale has grown to hold the slowest"


async def test_what_was_replayed_says_nothing_about_the_stream() -> None:
    feed = closer_day()
    old = replace(record(0), commit_at=ago(86_400), replay_id="replay-1")
    feed.landed = [old, *feed.landed[1:5]]
    async with company(feed, (120, 40)) as pilot:
        assert "4 records that came live" in text(pilot)
        assert "1.0 d" not in text(pilot)


async def test_a_record_without_stamps_has_dashes_and_sorts_last() -> None:
    feed = closer_day()
    bare = LandedRecord("1001", "bare", 1, "surprise", None, None, None, None)
    feed.landed = [bare, *records(3)]
    async with company(feed, (120, 40)) as pilot:
        assert table(pilot).keys[-1] == changes.key(bare)
        line = next(row for row in rows(pilot) if " bare " in row)
        assert line.count("–") == 5
        assert "? surpr…" in line


async def test_the_hour_is_plotted_with_its_limits_and_its_times() -> None:
    async with company(closer_day(), (120, 40)) as pilot:
        await until(pilot, lambda: "60 s ┤" in text(pilot))
        shown = text(pilot)
        assert "rows a minute" in shown
        assert "15 s ┤" in shown
        assert "13:03" in shown
        assert "13:33" in shown
        assert "14:03" in shown
        assert "most 64" in shown


async def test_a_time_nobody_looked_at_is_a_dot_and_never_zero() -> None:
    feed = closer_day()
    feed.numbers = {"company.1001.rows_per_minute": [point for point in wave(800, 10) if point[0] > ago(1_200)]}
    async with company(feed, (120, 40)) as pilot:
        await until(pilot, lambda: "rows a minute" in text(pilot) and "·····" in text(pilot))
        await until(pilot, lambda: "nothing was recorded in this hour" in text(pilot))


async def test_a_wide_terminal_shows_the_minutes_of_the_calls_beside_the_records() -> None:
    async with company(closer_day(), (200, 60)) as pilot:
        await until(pilot, lambda: "minute  calls  answered" in text(pilot))
        assert any("newest records 40" in row for row in rows(pilot))
        assert any("14:03" in row and "━━━━" in row and "3 min" in row for row in rows(pilot))
        assert pilot.app.screen.query_one(Calls).region.x > table(pilot).region.right - 1


async def test_the_filter_looks_in_id_version_change_and_replay() -> None:
    async with company(closer_day()) as pilot:
        await pilot.press("slash", *"delete")
        assert table(pilot).row_count == 8
        assert "8 match delete" in text(pilot)
        await pilot.press("enter", "escape")
        assert table(pilot).row_count == 40
        await pilot.press("slash", "exclamation_mark", *"replay-7f3a")
        assert table(pilot).row_count == 38
        await pilot.press(*"zzz", "backspace", "backspace", "backspace", "escape", "slash", *"nothing like it")
        assert "no record matches" in text(pilot)


async def test_enter_opens_the_record_and_esc_comes_back_to_its_row() -> None:
    async with company(closer_day()) as pilot:
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecordScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))
        assert table(pilot).cursor_key == changes.key(record(2))


async def test_a_new_record_comes_in_above_and_the_cursor_stays_on_its_own() -> None:
    feed = closer_day()
    async with company(feed) as pilot:
        await pilot.press("j")
        feed.landed = [replace(record(0), record_id="brand-new", landed_at=NOW), *feed.landed]
        await pilot.press("r")
        await until(pilot, lambda: table(pilot).row_count == 41)
        assert "brand-new" in table(pilot).keys[0]
        assert table(pilot).cursor_key == changes.key(record(1))


async def test_while_nothing_came_it_says_reading() -> None:
    feed = closer_day()
    async with opened(feed, (120, 40)) as pilot:
        feed.let_go.clear()
        app_of(pilot).go(Place("company", "prod", "1001"))
        await until(pilot, lambda: text(pilot).count("reading …") == 4)
        assert "newest records" in text(pilot)
        assert "no record has landed" not in text(pilot)
        feed.time += timedelta(seconds=34)
        await until(pilot, lambda: "reading …, for 34 s now" in text(pilot))
        await pilot.press("j", "G", "enter", "s", "y", "escape")
        assert isinstance(pilot.app.screen, CompanyScreen)
        feed.let_go.set()
        await until(pilot, lambda: "newest records 40" in text(pilot))


async def test_a_question_that_is_refused_says_why_and_what_to_do_in_its_place() -> None:
    feed = closer_day()
    feed.refusing = {
        "records": DatabaseUnavailableError(
            "lpm-01 does not answer.", service="azuresql", hint="lpmops doctor -e prod"
        ),
        "calls": DatabaseUnavailableError("The control database is gone [/].", service="azuresql", hint="lpmops wait"),
    }
    async with company(feed, (120, 40), answered=False) as pilot:
        await until(pilot, lambda: "✖ lpm-01 does not answer." in text(pilot))
        shown = text(pilot)
        assert "→ lpmops doctor -e prod" in shown
        assert "✖ The control database is gone [/]." in shown
        assert "18,442,120" in shown, "what is known from elsewhere is there"
        assert " 0 this hour" not in shown
        feed.refusing = {}
        await pilot.press("r")
        await until(pilot, lambda: "newest records 40" in text(pilot) and "does not answer" not in text(pilot))


async def test_older_values_stay_with_their_age_when_a_later_question_fails() -> None:
    feed = closer_day()
    async with company(feed, (120, 40)) as pilot:
        feed.refusing = {"records": DatabaseUnavailableError("lpm-01 does not answer.", service="azuresql")}
        feed.time += timedelta(seconds=50)
        await until(pilot, lambda: "✖ lpm-01 does not answer." in text(pilot))
        assert "as of 50 s" in text(pilot)
        assert table(pilot).row_count == 40
        assert table(pilot).stale


async def test_a_company_that_is_no_longer_routed_says_so() -> None:
    feed = closer(MemoryFeed(good("dev", Kind.DEV)))
    async with company(feed) as pilot:
        feed.push(replace(good("dev", Kind.DEV), routes=()))
        await until(pilot, lambda: "1001 is not routed in dev" in text(pilot))
        feed.push(replace(good("dev", Kind.DEV), routes=good("dev", Kind.DEV).routes[1:]))
        await until(pilot, lambda: "1001 is not routed in dev" in text(pilot))


async def test_the_past_is_asked_for_as_it_was() -> None:
    feed = closer_day()
    for minutes in range(0, 60, 5):
        feed.kept["prod", ago(60 * minutes)] = replace(feed.snapshots["prod"], taken_at=ago(60 * minutes))
    async with company(feed) as pilot:
        before = len(feed.asked)
        app_of(pilot).go_to_moment(ago(200))
        await until(pilot, lambda: "as it was then" in text(pilot))
        assert table(pilot).total == sum(1 for each in feed.landed if each.landed_at and each.landed_at <= ago(200))
        assert "PAST" in rows(pilot)[1]
        app_of(pilot).action_time_now()
        await until(pilot, lambda: table(pilot).total == 40)
        assert len(feed.asked) >= before


async def test_moments_that_fly_by_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmops.tui.screens.closer._STOPPED", 3600.0)
    feed = closer_day()
    for minutes in range(60):
        feed.kept["prod", ago(60 * minutes)] = replace(feed.snapshots["prod"], taken_at=ago(60 * minutes))
    async with company(feed) as pilot:
        before = len(feed.asked)
        await pilot.press("t", *["left"] * 12)
        await until(pilot, lambda: "PAST 2026-11-23 13:52" in text(pilot))
        assert len(feed.asked) == before
        assert "reading …" in text(pilot)


async def test_what_is_held_is_not_asked_anew() -> None:
    feed = closer_day()
    async with company(feed) as pilot:
        await pilot.press("p")
        asked = len(feed.asked)
        feed.time += timedelta(seconds=120)
        await until(pilot, lambda: "as of 2 min" in text(pilot))
        assert len(feed.asked) == asked
        await pilot.press("p")
        await until(pilot, lambda: len(feed.asked) > asked)


async def test_times_follow_the_zone() -> None:
    feed = closer_day()
    async with company(feed) as pilot:
        assert "times in UTC ·" in text(pilot)
        app_of(pilot).live = replace(app_of(pilot).live, zone=timezone(timedelta(hours=5, minutes=30)))
        await until(pilot, lambda: "times in UTC+05:30" in text(pilot))
        assert "19:33:09.600" in text(pilot)
        assert "2 s ago, 19:33:09" in text(pilot)


async def test_a_record_is_copied_and_the_table_saved_as_they_are_seen() -> None:
    async with company(closer_day()) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, CompanyScreen)
        found = screen.copyable()
        assert found is not None
        assert found.cell == record(0).record_id
        assert found.data["values"]["caller_number"] == "•••"
        assert found.command == "lpmops asa scale -e prod --units 2/3"
        sheet = screen.sheet()
        assert sheet is not None
        assert [row["record_id"] for row in sheet.plain_rows] == [each.record_id for each in records()]


async def test_a_fault_that_calls_and_records_share_is_told_once() -> None:
    feed = closer_day()
    feed.refusing = dict.fromkeys(
        ("records", "calls"), DatabaseUnavailableError("The server is gone.", service="azuresql")
    )
    async with company(feed, (120, 40), answered=False) as pilot:
        await until(pilot, lambda: text(pilot).count("not read") == 2)
        assert text(pilot).count("The server is gone.") == 1


async def test_the_smallest_terminal_keeps_the_card_the_way_and_rows() -> None:
    async with company(closer_day(), (60, 16)) as pilot:
        shown = rows(pilot)
        assert "● flowing  lpm-01  rows 18,442,120" in shown[2]
        assert "812/min  p95 5.3 s of 60 s  landed 2 s ago" in shown[3]
        assert "3 s old" in shown[3]
        assert "enqueued 1.3 s ▶ landed" in shown[5]
        assert sum("~ update" in row or "+ insert" in row or "× delete" in row for row in shown) == 5


async def test_every_size_is_filled_without_a_line_too_wide() -> None:
    feed = closer_day()
    async with company(feed, (60, 16)) as pilot:
        for size in ((60, 16), (80, 50), (100, 20), (150, 16), (160, 30), (240, 70)):
            await pilot.resize_terminal(*size)
            await until(pilot, partial(lambda width: {len(row) for row in rows(pilot)} == {width}, size[0]))
            await until(pilot, lambda: "newest records" in text(pilot) and "landed↓" in text(pilot))
