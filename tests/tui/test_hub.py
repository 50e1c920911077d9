"""What comes into the hub: from an environment all of it, from a company its own, held, looked into, and where it can't be read."""

from __future__ import annotations

from datetime import timedelta

from textual.pilot import Pilot

from lpmops.errors import ReadersError
from lpmops.tui.place import Place
from lpmops.tui.screens.company import CompanyScreen
from lpmops.tui.screens.entry import EntryScreen
from lpmops.tui.screens.environment import EnvironmentScreen
from lpmops.tui.screens.hub import HubScreen
from tests.tui.closer_worlds import closer_day, event
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.worlds import MemoryFeed, ago


async def show(pilot: Pilot[None], company: str = "") -> HubScreen:
    """The hub of PROD, once it was read."""
    app_of(pilot).go(Place("hub", "prod", company))
    await until(pilot, lambda: "newest events" in text(pilot))
    screen = pilot.app.screen
    assert isinstance(screen, HubScreen)
    return screen


async def test_h_shows_what_comes_into_the_hub_newest_first() -> None:
    async with opened(closer_day(), (120, 40)) as pilot:
        await pilot.press("3", "h")
        await until(pilot, lambda: "40 newest events" in text(pilot))
        shown = rows(pilot)
        assert "PROD  hub" in shown[1]
        assert "all companies" in shown[2]
        assert "14:03:11.800 1001" in shown[5]
        assert "+ insert" in shown[5]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))


async def test_from_a_company_its_own_events_are_shown_and_esc_leads_back_to_it() -> None:
    async with opened(closer_day(), (120, 40)) as pilot:
        app_of(pilot).go(Place("company", "prod", "1002"))
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))
        await pilot.press("h")
        await until(pilot, lambda: "company 1002" in text(pilot) and "newest events" in text(pilot))
        screen = pilot.app.screen
        assert isinstance(screen, HubScreen)
        assert {row.company_id for row in screen.table.rows} == {"1002"}
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))


async def test_new_events_come_by_themselves_and_stay_away_while_held() -> None:
    feed = closer_day()
    async with opened(feed, (120, 40)) as pilot:
        await show(pilot)
        feed.came = [event(100, seconds_ago=0.1), *feed.came]
        feed.time += timedelta(seconds=3)
        await until(pilot, lambda: "41 newest events" in text(pilot))
        await pilot.press("p")
        await until(pilot, lambda: "held, p goes on" in text(pilot))
        asked = feed.asked.count(("events", "prod"))
        feed.time += timedelta(seconds=30)
        await pilot.press("j")
        await pilot.pause()
        assert feed.asked.count(("events", "prod")) == asked


async def test_enter_shows_the_whole_event_and_the_filter_finds_a_field() -> None:
    async with opened(closer_day(), (120, 40)) as pilot:
        screen = await show(pilot)
        await pilot.press("slash", *"urn:queue:fire", "enter")
        await until(pilot, lambda: 0 < screen.table.row_count < 40)
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, EntryScreen) and '"caller_number": "•••43"' in text(pilot)
        )


async def test_a_body_that_is_no_record_is_shown_with_the_reason() -> None:
    feed = closer_day()
    feed.came = [event(0, problem="it is not one JSON object")]
    async with opened(feed, (120, 40)) as pilot:
        await show(pilot)
        assert "✖ unread" in text(pilot)
        assert "it is not one JSON object" in text(pilot)


async def test_where_no_reader_is_free_the_screen_says_what_to_do() -> None:
    feed: MemoryFeed = closer_day()
    feed.refusing = {
        "events": ReadersError("Five readers read already.", service="eventhub", hint="Close another tail.")
    }
    async with opened(feed, (80, 24)) as pilot:
        app_of(pilot).go(Place("hub", "prod"))
        await until(pilot, lambda: "✖ Five readers read already." in text(pilot))
        assert "→ Close another tail." in text(pilot)
        await pilot.press("j", "enter", "y", "r")
        assert pilot.app.is_running


async def test_a_hub_that_hangs_leaves_the_keys_alone() -> None:
    feed = closer_day()
    async with opened(feed) as pilot:
        feed.let_go.clear()
        await pilot.press("3", "h")
        await until(pilot, lambda: "reading …" in text(pilot))
        await pilot.press("j", "G", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))
        feed.let_go.set()


async def test_the_past_has_no_events_of_its_own() -> None:
    feed = closer_day()
    feed.kept["prod", ago(3_600)] = feed.snapshots["prod"]
    async with opened(feed, (120, 40)) as pilot:
        await show(pilot)
        app_of(pilot).go_to_moment(ago(3_600))
        await until(pilot, lambda: "the hub shows what it holds now" in text(pilot))
