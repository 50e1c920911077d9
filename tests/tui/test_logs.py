"""What the services wrote down: tabs, levels, filter, folding, whole entries, and sources that can't be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import pytest
from textual.pilot import Pilot

from lpmops.errors import UsageError
from lpmops.model import LogLine
from lpmops.tui.paint import Line
from lpmops.tui.place import Place
from lpmops.tui.screens.entry import EntryScreen
from lpmops.tui.screens.logs import LogsScreen
from lpmops.tui.widgets import logs
from lpmops.tui.widgets.log_frame import LogFrame
from lpmops.tui.widgets.logs import LogRow
from lpmops.tui.widgets.table import LiveTable
from tests.tui.closer_worlds import closer_day, lines
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.worlds import MemoryFeed, ago


@asynccontextmanager
async def opened_logs(
    feed: MemoryFeed, size: tuple[int, int] = (80, 24), *, source: str = "", answered: bool = True
) -> AsyncIterator[Pilot[None]]:
    """The logs of PROD, once the source has answered."""
    async with opened(feed, size) as pilot:
        app_of(pilot).go(Place("logs", "prod", source=source))
        await until(pilot, lambda: isinstance(pilot.app.screen, LogsScreen))
        if answered:
            await until(pilot, lambda: "as of 0 s" in text(pilot))
        await pilot.pause()
        yield pilot


def table(pilot: Pilot[None]) -> LiveTable[LogRow]:
    screen = pilot.app.screen
    assert isinstance(screen, LogsScreen)
    return screen.table


async def test_newest_lines_stand_at_the_top_with_time_level_subject_and_text() -> None:
    async with opened_logs(closer_day()) as pilot:
        shown = rows(pilot)
        assert "PROD  logs" in shown[1]
        assert "▸ Stream Analytics   Databricks   Event Hub" in " ".join(shown[2].split(" ", 0)).replace("     ", "   ")
        assert "times in UTC · as of 0 s" in shown[3]
        assert "14:03:01     · info" in shown[5]
        assert "▲ warning lpm-tdr-prod-01" in shown[6]
        assert "6× streaming units at 97 %" in shown[6]


async def test_a_line_of_another_day_says_which() -> None:
    feed = closer_day()
    feed.written = [
        LogLine(ago(86_400), "asa", "info", "job", "yesterday"),
        LogLine(None, "asa", "warning", "job", "of no time"),
    ]
    async with opened_logs(feed) as pilot:
        assert "Nov 22 14:03" in text(pilot)
        assert next(row for row in rows(pilot) if "of no time" in row).startswith(" – ")


async def test_tab_goes_through_the_sources_and_round() -> None:
    async with opened_logs(closer_day()) as pilot:
        assert table(pilot).row_count == 60
        await pilot.press("tab")
        await until(pilot, lambda: "▸ Databricks" in text(pilot) and table(pilot).row_count == 3)
        await pilot.press("tab")
        await until(pilot, lambda: "▸ Event Hub" in text(pilot) and table(pilot).row_count == 1)
        await pilot.press("tab")
        await until(pilot, lambda: "▸ Stream Analytics" in text(pilot))
        await pilot.press("shift+tab")
        await until(pilot, lambda: "▸ Event Hub" in text(pilot))
        assert app_of(pilot).navigator.here.source == "eventhub"


async def test_a_click_opens_a_source() -> None:
    async with opened_logs(closer_day()) as pilot:
        at = rows(pilot)[2].index("Databricks")
        await pilot.click(LogFrame, offset=(at + 3, 1))
        await until(pilot, lambda: "▸ Databricks" in text(pilot))


async def test_the_place_names_the_first_source() -> None:
    async with opened_logs(closer_day(), source="eventhub") as pilot:
        assert "▸ Event Hub" in text(pilot)


async def test_levels_leave_out_what_is_less() -> None:
    async with opened_logs(closer_day(), (120, 40)) as pilot:
        await pilot.press("v")
        assert table(pilot).row_count == 30
        assert "warnings and errors" in rows(pilot)[3]
        await pilot.press("v")
        assert table(pilot).row_count == 15
        assert "✖ 15 errors  ▲ 15 warnings  60 lines" in rows(pilot)[2]
        await pilot.press("v")
        assert table(pilot).row_count == 60


async def test_nothing_of_a_level_is_said() -> None:
    feed = closer_day()
    feed.written = [LogLine(ago(3), "asa", "info", "job", "all is well")]
    async with opened_logs(feed) as pilot:
        await pilot.press("v", "v")
        assert "there are no errors" in text(pilot)


async def test_a_filter_keeps_whole_entries() -> None:
    async with opened_logs(closer_day()) as pilot:
        await pilot.press("b")
        folded = table(pilot).row_count
        assert folded > 60
        await pilot.press("slash", *"was not reachable", "enter")
        assert {row.line.level for row in table(pilot).rows} == {"error"}
        assert "15 match was not reachable" in text(pilot)
        assert table(pilot).row_count > 15, "every part of an entry stays with it"
        await pilot.press("escape", "slash", "exclamation_mark", *"lpm-tdr-prod-01", "enter")
        assert {row.line.subject for row in table(pilot).rows} == {"lpm-tdr-prod-02"}
        await pilot.press("escape")
        assert table(pilot).row_count == folded


async def test_folding_keeps_order_and_the_cursor_on_its_entry() -> None:
    async with opened_logs(closer_day()) as pilot:
        await pilot.press("j", "j")
        chosen = table(pilot).cursor_row
        await pilot.press("b")
        await pilot.pause()
        after = table(pilot).cursor_row
        assert chosen is not None
        assert after is not None
        assert (after.line, after.part) == (chosen.line, 0)
        order = [(row.position, row.part) for row in table(pilot).rows]
        assert order == sorted(order)
        await pilot.press("s", "s", "S")
        together = [row.position for row in table(pilot).rows]
        assert sum(a != b for a, b in pairwise(together)) == 59, "sorting parts no entry"


async def test_enter_shows_the_whole_entry_and_esc_closes_it() -> None:
    feed = closer_day()
    feed.written = [LogLine(ago(2), "asa", "error", "job", '{"code":"X","message":"first\\nsecond"}', 3)]
    async with opened_logs(feed) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EntryScreen))
        await until(pilot, lambda: '"message": "first\\nsecond"' in text(pilot))
        assert "2026-11-23 14:03:10.000Z" in text(pilot)
        assert "written 3 times" in text(pilot)
        await pilot.press("j", "G", "g", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, LogsScreen))


async def test_it_is_asked_anew_by_itself() -> None:
    feed = closer_day()
    async with opened_logs(feed) as pilot:
        feed.written = [LogLine(feed.time, "asa", "error", "job", "brand new"), *feed.written]
        feed.time += timedelta(seconds=16)
        await until(pilot, lambda: "brand new" in text(pilot))


async def test_a_source_that_cannot_be_asked_says_what_to_set() -> None:
    feed = closer_day()
    feed.refusing = {
        "logs": UsageError(
            "No workspace takes the logs of prod.", hint="Set [environments.prod] monitor.workspace in lpmops.toml."
        )
    }
    async with opened_logs(feed, answered=False) as pilot:
        await until(pilot, lambda: "✖ No workspace takes the logs of prod." in text(pilot))
        assert "→ Set [environments.prod] monitor.workspace in lpmops.toml." in text(pilot)
        assert "nothing was written" not in text(pilot)
        assert "0 lines" not in text(pilot)
        await pilot.press("enter", "v", "b", "j", "y")
        assert pilot.app.is_running


async def test_a_source_that_hangs_leaves_the_keys_alone() -> None:
    feed = closer_day()
    async with opened(feed) as pilot:
        feed.let_go.clear()
        await pilot.press("3", "l")
        await until(pilot, lambda: "reading …" in text(pilot))
        await pilot.press("tab", "v", "b")
        await until(pilot, lambda: "▸ Databricks" in text(pilot))
        feed.let_go.set()
        await until(pilot, lambda: "as of 0 s" in text(pilot))


async def test_a_lasting_fault_keeps_what_was_read_and_its_age() -> None:
    feed = closer_day()
    async with opened_logs(feed) as pilot:
        feed.refusing = {"logs": RuntimeError("the workspace is gone [/]")}
        feed.time += timedelta(seconds=40)
        await until(pilot, lambda: "the workspace is gone [/]" in text(pilot))
        assert "as of 40 s" in text(pilot)
        assert table(pilot).row_count == 60


async def test_the_past_is_asked_for_as_it_was() -> None:
    feed = closer_day()
    feed.kept["prod", ago(3_600)] = feed.snapshots["prod"]
    async with opened_logs(feed) as pilot:
        app_of(pilot).go_to_moment(ago(3_600))
        await until(pilot, lambda: "as it was then" in text(pilot))
        assert all(row.line.at <= ago(3_600) for row in table(pilot).rows if row.line.at)
        assert table(pilot).row_count == sum(1 for line in lines() if line.at and line.at <= ago(3_600))


@pytest.mark.parametrize("wrap", [False, True])
async def test_ten_thousand_lines_cost_no_more_than_those_in_sight(monkeypatch: pytest.MonkeyPatch, wrap: bool) -> None:
    feed = closer_day()
    feed.written = [
        LogLine(ago(number), "asa", "info", "job", f"line {number}: " + "x" * 300) for number in range(10_000)
    ]
    drawn: list[int] = []
    original = LiveTable._row_line

    def counted(self: LiveTable[LogRow], index: int) -> Line:
        drawn.append(index)
        return original(self, index)

    monkeypatch.setattr("lpmops.tui.app._TICK", 3600.0)
    async with opened_logs(feed, (120, 40)) as pilot:
        if wrap:
            await pilot.press("b")
            assert table(pilot).row_count > 30_000
        laid: list[object] = []
        monkeypatch.setattr(logs, "rows_of", lambda *_, **__: laid.append(1))
        monkeypatch.setattr(LiveTable, "_row_line", counted)
        for key in ("j", "pagedown", "G", "k", "g"):
            drawn.clear()
            await pilot.press(key)
            assert len(drawn) <= 2 * table(pilot).size.height, key
        drawn.clear()
        app_of(pilot).show_now()
        await pilot.pause()
        assert len(drawn) <= 2 * table(pilot).size.height
        assert not laid, "lines that are the same are not laid out again"


async def test_a_line_of_ninety_thousand_characters_is_cut_folded_and_read_whole() -> None:
    feed = closer_day()
    feed.written = [LogLine(ago(1), "asa", "error", "job", "start " + "y" * 90_000 + " end"), *lines("asa", 2)]
    async with opened_logs(feed) as pilot:
        assert "start yyyy" in text(pilot)
        await pilot.press("b")
        assert table(pilot).row_count < 80
        await pilot.press(*["pagedown"] * 4)
        await until(pilot, lambda: "characters more: enter" in text(pilot))
        await pilot.press("g", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EntryScreen))
        await pilot.press("G")
        await until(pilot, lambda: "yyy end  " in text(pilot))


async def test_what_is_copied_and_saved_are_whole_entries() -> None:
    async with opened_logs(closer_day()) as pilot:
        await pilot.press("b", "v", "v")
        screen = pilot.app.screen
        assert isinstance(screen, LogsScreen)
        found, sheet = screen.copyable(), screen.sheet()
        assert found is not None
        assert sheet is not None
        assert found.cell.endswith("will be sent again")
        assert len(sheet.plain_rows) == 15
        assert sheet.name == "prod-asa-logs"


async def test_the_line_knows_wrap_and_level_and_where_they_mean_nothing() -> None:
    async with opened_logs(closer_day()) as pilot:
        await pilot.press("colon", *"level", "enter")
        await until(pilot, lambda: "warnings and errors" in text(pilot))
        await pilot.press("0")
        await pilot.press("colon", *"level", "enter")
        await until(pilot, lambda: "only logs have levels" in text(pilot))
