"""What the screens look like, at the sizes and in the colours that people use. Look at a picture before it is made the expected one."""

from __future__ import annotations

import pytest

from lpmops.model import Kind
from tests.tui.closer_worlds import minutes
from tests.tui.driving import Snapshot, app_of, opened, text, until
from tests.tui.worlds import MemoryFeed, bad_day, good, good_day, saturated, unreadable

SIZES = ((80, 24), (120, 40), (200, 60), (60, 16))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_the_overview_on_a_bad_day(snapshot: Snapshot, width: int, height: int, theme: str) -> None:
    async with opened(bad_day(), (width, height), dark=theme == "dark") as pilot:
        snapshot(app_of(pilot), f"overview_bad_day_{theme}_{width}x{height}")


async def test_the_overview_on_a_good_day(snapshot: Snapshot) -> None:
    async with opened(good_day(), (80, 24)) as pilot:
        snapshot(app_of(pilot), "overview_good_day_80x24")


async def test_an_environment_that_cannot_be_read_says_why_and_stays_alone_in_it(snapshot: Snapshot) -> None:
    feed = MemoryFeed(good("dev", Kind.DEV), unreadable("test", Kind.TEST), saturated("prod", Kind.PROD))
    async with opened(feed, (80, 24)) as pilot:
        snapshot(app_of(pilot), "overview_unreadable_80x24")


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_the_environment_screen(snapshot: Snapshot, width: int, height: int) -> None:
    feed = bad_day()
    feed.minutes = minutes()
    async with opened(feed, (width, height)) as pilot:
        await pilot.press("3")
        beside = ("nothing turned within a day", "this hour") if width >= 150 else ()
        await until(pilot, lambda: all(words in text(pilot) for words in ("companies 812", *beside)))
        snapshot(app_of(pilot), f"environment_{width}x{height}")


async def test_the_help(snapshot: Snapshot) -> None:
    async with opened(bad_day(), (120, 40)) as pilot:
        await pilot.press("3", "question_mark")
        await pilot.pause()
        snapshot(app_of(pilot), "help_120x40")


async def test_a_terminal_too_small_says_what_it_needs(snapshot: Snapshot) -> None:
    async with opened(bad_day(), (50, 14)) as pilot:
        snapshot(app_of(pilot), "too_small_50x14")


async def test_without_colour_shapes_words_and_weight_remain(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(bad_day(), (80, 24)) as pilot:
        snapshot(app_of(pilot), "overview_no_color_80x24")
        styles = {
            segment.style
            for strip in app_of(pilot).screen._compositor.render_strips()
            for segment in strip
            if segment.style
        }
        await pilot.press("3")
        await pilot.pause()
        snapshot(app_of(pilot), "environment_no_color_80x24")
    assert styles
