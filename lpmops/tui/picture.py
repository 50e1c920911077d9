"""Pictures of the app, made without a terminal: the very screens, drawn once and saved as SVG.

The README's pictures come from here, so that they show what the app shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual.pilot import Pilot

from lpmops.errors import TimedOutError
from lpmops.tui.app import LpmopsApp
from lpmops.tui.feed import Feed, Limits

_DEADLINE = 15.0


def save_picture(
    feed: Feed,
    path: Path | str,
    size: tuple[int, int] = (120, 40),
    *,
    keys: Sequence[str] = (),
    limits: Limits | None = None,
    dark: bool = True,
) -> Path:
    """Saves what the app shows of `feed` after `keys` as SVG at `path`; without keys that is the overview.

    `size` is columns and rows. Waits until the local store has answered, and what each key leads to has been read.
    Raises TimedOutError where that takes longer than fifteen seconds, OSError where the file can't be written.
    """
    svg = asyncio.run(_drawn(LpmopsApp(feed, limits=limits, dark=dark), size, keys))
    target = Path(path)
    target.write_text(svg, encoding="utf-8")
    return target


async def _drawn(app: LpmopsApp, size: tuple[int, int], keys: Sequence[str]) -> str:
    async with app.run_test(size=size) as pilot:
        try:
            async with asyncio.timeout(_DEADLINE):
                await _quiet(pilot, app)
                for key in keys:
                    await pilot.press(key)
                    await pilot.pause()
                    await _quiet(pilot, app)
        except TimeoutError:
            raise TimedOutError("what the picture shows could not be read in time") from None
        # Some viewers trim the spaces at the ends of a text, which would move it by a cell.
        return app.export_screenshot(title="lpmops", simplify=True).replace("<text ", '<text xml:space="preserve" ')


async def _quiet(pilot: Pilot[None], app: LpmopsApp) -> None:
    """Waits until nothing more is to come."""
    while not app.is_quiet:
        await pilot.pause(0.02)
    app.show_now()
    await pilot.pause()
