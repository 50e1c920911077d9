"""What the closer looks look like, at the sizes and in the colours that people use. Look at a picture before it is made the expected one."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from lpmops.tui.place import Place
from lpmops.tui.screens.entry import EntryScreen
from tests.tui.closer_worlds import closer_day, event, record, sign_ins
from tests.tui.driving import Snapshot, app_of, opened, text, until

PICTURES = [("dark", 80, 24), ("dark", 120, 40), ("dark", 200, 60), ("light", 120, 40)]
COMPANY = Place("company", "prod", "1001")


async def show(pilot: Pilot[None], place: Place, shown: str) -> None:
    """Goes to `place` and waits until `shown` stands there and nothing is read any more."""
    app_of(pilot).go(place)
    await until(pilot, lambda: shown in text(pilot) and "reading …" not in text(pilot))
    await pilot.pause()


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_a_company(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    async with opened(closer_day(), (width, height), dark=theme == "dark") as pilot:
        await show(pilot, COMPANY, "newest records 40")
        snapshot(app_of(pilot), f"company_{theme}_{width}x{height}")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_a_record(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    feed = closer_day()
    feed.landed[2] = record(2, hub=22.4)
    async with opened(feed, (width, height), dark=theme == "dark") as pilot:
        await show(pilot, Place("record", "prod", "1001", feed.landed[2]), "3 of 40")
        snapshot(app_of(pilot), f"record_{theme}_{width}x{height}")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_logs(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    async with opened(closer_day(), (width, height), dark=theme == "dark") as pilot:
        await show(pilot, Place("logs", "prod"), "60 lines")
        if width == 80:
            await pilot.press("b", "v")
        snapshot(app_of(pilot), f"logs_{theme}_{width}x{height}")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_the_hub(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    feed = closer_day()
    feed.came[4] = event(4, problem="it is not one JSON object")
    async with opened(feed, (width, height), dark=theme == "dark") as pilot:
        await show(pilot, Place("hub", "prod"), "40 newest events")
        snapshot(app_of(pilot), f"hub_{theme}_{width}x{height}")


async def test_a_whole_entry(snapshot: Snapshot) -> None:
    async with opened(closer_day(), (120, 40)) as pilot:
        await show(pilot, Place("logs", "prod"), "60 lines")
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EntryScreen) and "sent again" in text(pilot))
        await pilot.pause()
        snapshot(app_of(pilot), "entry_dark_120x40")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_settings(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    async with opened(sign_ins(), (width, height), dark=theme == "dark") as pilot:
        await show(pilot, Place("settings"), "version")
        await pilot.press(*["j"] * 6)
        await pilot.pause()
        snapshot(app_of(pilot), f"settings_{theme}_{width}x{height}")
