"""One environment and its companies: the table, the filter, the card, and the keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from textual.pilot import Pilot

from lpmops.model import Health, Kind, Route, Snapshot, Turn
from lpmops.tui.paint import Line
from lpmops.tui.screens.company import CompanyScreen
from lpmops.tui.screens.environment import EnvironmentScreen
from lpmops.tui.screens.overview import OverviewScreen
from lpmops.tui.widgets.table import LiveTable
from tests.tui.driving import opened, rows, text, until
from tests.tui.worlds import NOW, MemoryFeed, ago, good, routes, saturated


@asynccontextmanager
async def environment(
    snapshot: Snapshot, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[None], MemoryFeed]]:
    feed = MemoryFeed(snapshot)
    async with opened(feed, size) as pilot:
        await pilot.press("1")
        await until(
            pilot,
            lambda: isinstance(pilot.app.screen, EnvironmentScreen) and table(pilot).row_count == len(snapshot.routes),
        )
        await pilot.pause()
        yield pilot, feed


def table(pilot: Pilot[None]) -> LiveTable[Route]:
    screen = pilot.app.screen
    assert isinstance(screen, EnvironmentScreen)
    return screen.table


@pytest.fixture
def lines_drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of the table that were drawn, as they are drawn."""
    drawn: list[int] = []
    original = LiveTable._new_line

    def counted(self: LiveTable[Route], index: int) -> Line:
        drawn.append(index)
        return original(self, index)

    monkeypatch.setattr(LiveTable, "_new_line", counted)
    # Only what a key or a snapshot causes is counted, not the ages that move with the clock.
    monkeypatch.setattr("lpmops.tui.app._TICK", 3600.0)
    return drawn


async def test_trouble_stands_at_the_top() -> None:
    async with environment(saturated("prod", Kind.PROD)) as (pilot, _):
        assert table(pilot).keys[:3] == ["1001", "1002", "1003"]
        assert "▲ 1001 Harbour 911" in text(pilot)
        assert "▲ 1 quiet  ● 811 flowing" in text(pilot)


async def test_the_cursor_moves_by_row_page_and_edge() -> None:
    async with environment(good("dev", Kind.DEV, companies=100)) as (pilot, _):
        companies = table(pilot)
        await pilot.press("j", "down")
        assert companies.cursor_key == "1003"
        await pilot.press("k")
        assert companies.cursor_key == "1002"
        await pilot.press("G")
        assert companies.cursor_key == companies.keys[-1]
        assert companies.keys[-1] in rows(pilot)[-2]
        await pilot.press("g")
        assert companies.cursor_key == "1001"
        await pilot.press("pagedown")
        assert companies.cursor_key == companies.keys[companies.size.height - 1]
        await pilot.press("pageup", "up")
        assert companies.cursor_key == "1001"


async def test_sorting_takes_the_next_column_and_turns_round() -> None:
    async with environment(good("dev", Kind.DEV)) as (pilot, _):
        await pilot.press("s")
        assert "company↑" in text(pilot)
        await pilot.press("S")
        assert "company↓" in text(pilot)
        assert table(pilot).keys[0] == "1012"


async def test_unknown_values_sort_last_either_way() -> None:
    base = good("dev", Kind.DEV, companies=3)
    unknown = replace(base.routes[0], rows_per_minute=None)
    async with environment(replace(base, routes=(unknown, *base.routes[1:]))) as (pilot, _):
        rate = next(index for index, column in enumerate(table(pilot)._columns) if column.key == "rate")
        table(pilot).sort_by(rate)
        assert table(pilot).keys == ["1003", "1002", "1001"]
        table(pilot).sort_by(rate, descending=True)
        assert table(pilot).keys == ["1002", "1003", "1001"]


async def test_a_filter_works_while_it_is_typed_and_takes_every_letter() -> None:
    async with environment(good("dev", Kind.DEV, companies=24)) as (pilot, _):
        await pilot.press("slash", *"port")
        assert table(pilot).keys == ["1011", "1023"]
        await pilot.press(*"q")
        assert table(pilot).row_count == 0
        assert "no company matches" in text(pilot)
        await pilot.press("backspace", "enter", "j")
        assert table(pilot).cursor_key == "1023"
        assert "2 match port" in text(pilot)
        await pilot.press("escape")
        assert table(pilot).row_count == 24
        assert isinstance(pilot.app.screen, EnvironmentScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, OverviewScreen))


async def test_an_exclamation_mark_keeps_the_others() -> None:
    async with environment(saturated("prod", Kind.PROD, companies=50)) as (pilot, _):
        await pilot.press("slash", "exclamation_mark", *"FLOWING")
        assert table(pilot).keys == ["1001"]
        await pilot.press("escape")
        assert table(pilot).row_count == 50
        assert pilot.app.focused is table(pilot)


async def test_a_refresh_keeps_the_cursor_on_its_company_and_its_place() -> None:
    async with environment(good("dev", Kind.DEV, companies=200)) as (pilot, feed):
        companies = table(pilot)
        companies.place("1100")
        await pilot.pause()
        place = next(number for number, row in enumerate(rows(pilot)) if "1100" in row)
        base = good("dev", Kind.DEV, companies=200)
        feed.push(replace(base, routes=base.routes[50:]))
        await until(pilot, lambda: companies.row_count == 150)
        await pilot.pause()
        assert companies.cursor_key == "1100"
        assert next(number for number, row in enumerate(rows(pilot)) if "1100" in row) == place


async def test_a_company_that_goes_takes_the_cursor_to_its_neighbour() -> None:
    async with environment(good("dev", Kind.DEV, companies=5)) as (pilot, feed):
        await pilot.press("G")
        base = good("dev", Kind.DEV, companies=5)
        feed.push(replace(base, routes=base.routes[:3]))
        await until(pilot, lambda: table(pilot).row_count == 3)
        assert table(pilot).cursor_key == "1003"
        feed.push(replace(base, routes=()))
        await until(pilot, lambda: table(pilot).row_count == 0)
        assert table(pilot).cursor_key is None
        await pilot.press("enter", "j", "G", "s")
        assert "no company is routed here yet" in text(pilot)


async def test_the_card_shows_every_value_with_its_age_and_goes_on_living() -> None:
    async with environment(saturated("prod", Kind.PROD)) as (pilot, feed):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))
        await pilot.pause()
        assert "18,442,120" in text(pilot)
        assert "38 min ago" in text(pilot)
        assert text(pilot).count("3 s old") == 6
        feed.time += timedelta(seconds=30)
        await until(pilot, lambda: "33 s old" in text(pilot))
        feed.push(replace(good("prod", Kind.PROD), routes=()))
        await until(pilot, lambda: "1001 is not routed in PROD" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))


async def test_a_wide_terminal_shows_the_company_beside_the_table() -> None:
    async with environment(good("dev", Kind.DEV), (200, 60)) as (pilot, _):
        await pilot.press("j")
        await pilot.pause()
        assert "rows a minute" in text(pilot)
        assert any("company" in row and row.rstrip().endswith("Acme County") for row in rows(pilot))


async def test_a_wide_terminal_shows_the_events_of_the_day_newest_first() -> None:
    snapshot = saturated("prod", Kind.PROD)
    feed = MemoryFeed(snapshot)
    feed.happened = [
        Turn(ago(7_200), "prod", "health", "degraded", Health.DEGRADED),
        Turn(ago(3_600), "prod", "suspect", "asa.saturated [/]", Health.DEGRADED),
        Turn(ago(90_000), "prod", "suspect", "hub.throttled", Health.DEGRADED),
        Turn(ago(60), "elsewhere", "suspect", "sql.paused", Health.DEGRADED),
    ]
    async with opened(feed, (200, 60)) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: "asa.saturated [/] began" in text(pilot))
        shown = text(pilot)
        newest, oldest = (
            next(number for number, row in enumerate(rows(pilot)) if word in row)
            for word in ("asa.saturated [/] began", "12:03:12")
        )
        assert newest < oldest
        assert "hub.throttled" not in shown, "that is more than a day ago"
        assert "sql.paused" not in shown


@pytest.mark.parametrize(
    ("width", "columns"),
    [(60, ("company", "landed", "p95", "state")), (79, ("database", "/min")), (120, ("rows", "last row"))],
)
async def test_columns_follow_the_width(width: int, columns: tuple[str, ...]) -> None:
    async with environment(good("dev", Kind.DEV), (width, 24)) as (pilot, _):
        heading = next(row for row in rows(pilot) if "state" in row and "landed" in row)
        assert all(column in heading for column in columns)
        assert ("last row" in heading) == (width == 120)


async def test_ten_thousand_companies_cost_no_more_than_those_in_sight(lines_drawn: list[int]) -> None:
    async with environment(good("dev", Kind.DEV, companies=10_000), (120, 40)) as (pilot, feed):
        in_sight = table(pilot).size.height
        for key in ("j", "pagedown", "G", "k", "g"):
            lines_drawn.clear()
            await pilot.press(key)
            assert len(lines_drawn) <= 2 * in_sight, key
        lines_drawn.clear()
        await pilot.press("j")
        assert len(lines_drawn) <= 4, "a step of the cursor draws two rows"
        base = good("dev", Kind.DEV, companies=10_000)
        changed = list(base.routes)
        changed[3] = replace(changed[3], rows_per_minute=4242.0)
        lines_drawn.clear()
        feed.push(replace(base, routes=tuple(changed)))
        await until(pilot, lambda: "4,242" in text(pilot))
        assert len(lines_drawn) <= 4 * in_sight


async def test_a_refresh_repaints_only_rows_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with environment(good("dev", Kind.DEV, companies=40), (120, 40)) as (pilot, _):
        companies = table(pilot)
        repainted: list[object] = []
        monkeypatch.setattr(companies, "refresh", lambda *regions, **_: repainted.extend(regions))
        base = routes(40)
        companies.show((*base[:2], replace(base[2], rows_per_minute=7.0), *base[3:]), NOW)
        assert len(repainted) == 1
