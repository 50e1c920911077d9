"""What the past looks like. Look at a picture before it is made the expected one."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.tui.driving import Snapshot, app_of, opened, until
from tests.tui.worlds import a_bad_night, night


def turned(pilot: Pilot[None]) -> set[str]:
    """The environments in which something turned within the line."""
    line = app_of(pilot).scene.line
    return {turn.environment for turn in line.turns} if line else set()


async def pictured(snapshot: Snapshot, name: str, size: tuple[int, int], *keys: str, dark: bool = True) -> None:
    """The app at 03:12 of the bad night, after those keys."""
    async with opened(a_bad_night(), size, dark=dark) as pilot:
        app_of(pilot).go_to_moment(night(3, 12))
        await until(pilot, lambda: app_of(pilot).scene.past == night(3, 12))
        await until(pilot, lambda: turned(pilot) == {"dev", "test", "prod"})
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause()
        snapshot(app_of(pilot), f"{name}_{size[0]}x{size[1]}")


@pytest.mark.parametrize(
    ("size", "theme"),
    [((60, 16), "dark"), ((80, 24), "dark"), ((120, 40), "dark"), ((120, 40), "light"), ((200, 60), "dark")],
)
async def test_the_overview_in_the_past(snapshot: Snapshot, size: tuple[int, int], theme: str) -> None:
    await pictured(snapshot, f"past_overview_{theme}", size, dark=theme == "dark")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_an_environment_in_the_past(snapshot: Snapshot, size: tuple[int, int]) -> None:
    await pictured(snapshot, "past_environment", size, "3")


async def test_the_list_of_turns(snapshot: Snapshot) -> None:
    await pictured(snapshot, "turns", (80, 24), "3", "e")


async def test_the_past_without_colour(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    await pictured(snapshot, "past_no_color", (80, 24))


async def test_the_open_line_at_now(snapshot: Snapshot) -> None:
    async with opened(a_bad_night(), (80, 24)) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: turned(pilot) == {"test", "prod"})
        await pilot.pause()
        snapshot(app_of(pilot), "time_line_at_now_80x24")
