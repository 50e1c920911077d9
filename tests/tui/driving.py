"""Ways to drive the app in a test: open it, wait for something to be so, read what is on the screen."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from textual.pilot import Pilot

from lpmops.tui.app import LpmopsApp
from tests.tui.worlds import MemoryFeed

DEADLINE = 30.0


class Snapshot(Protocol):
    """Compares what an app shows with the expected picture of that name."""

    def __call__(self, app: LpmopsApp, name: str) -> None: ...


async def until(pilot: Pilot[None], so: Callable[[], bool]) -> None:
    """Waits until `so` holds; fails after a while."""
    end = time.monotonic() + DEADLINE
    while not so():
        assert time.monotonic() < end, "waited in vain"
        await pilot.pause(0.01)


@asynccontextmanager
async def opened(
    feed: MemoryFeed,
    size: tuple[int, int] = (80, 24),
    *,
    dark: bool = True,
    settle: bool = True,
    faultless: bool = True,
) -> AsyncIterator[Pilot[None]]:
    """The app over `feed`, once it has drawn what the store knows; faults that it met fail the test."""
    app = LpmopsApp(feed, dark=dark)
    async with app.run_test(size=size, notifications=True) as pilot:
        if settle:
            await until(pilot, lambda: app.settled and bool(feed.callbacks))
            await pilot.pause()
        yield pilot
        if faultless:
            assert app.faults.sentences == []


def app_of(pilot: Pilot[None]) -> LpmopsApp:
    """The app under test."""
    assert isinstance(pilot.app, LpmopsApp)
    return pilot.app


def rows(pilot: Pilot[None]) -> list[str]:
    """What is on the screen, a string a row."""
    return [strip.text for strip in pilot.app.screen._compositor.render_strips()]


def text(pilot: Pilot[None]) -> str:
    """What is on the screen, in one string."""
    return "\n".join(rows(pilot))
