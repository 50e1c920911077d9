"""A picture of the app, made without a terminal: the very screens, drawn once and saved as SVG.

The README's picture comes from here, so that it shows what the app shows.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from lpmops.errors import TimedOutError
from lpmops.tui.app import LpmopsApp
from lpmops.tui.feed import Feed, Limits

_DEADLINE = 10.0


def save_picture(
    feed: Feed,
    path: Path | str,
    size: tuple[int, int] = (120, 40),
    *,
    environment: str | None = None,
    limits: Limits | None = None,
    dark: bool = True,
) -> Path:
    """Saves what the app shows of `feed` as SVG at `path`: the overview, or one environment.

    `size` is columns and rows. Waits until the local store has answered for every environment.
    Raises TimedOutError where it does not within ten seconds, OSError where the file can't be written.
    """
    svg = asyncio.run(_drawn(LpmopsApp(feed, limits=limits, dark=dark), size, environment))
    target = Path(path)
    target.write_text(svg, encoding="utf-8")
    return target


async def _drawn(app: LpmopsApp, size: tuple[int, int], environment: str | None) -> str:
    async with app.run_test(size=size) as pilot:
        try:
            async with asyncio.timeout(_DEADLINE):
                while not app.settled:
                    await pilot.pause(0.02)
        except TimeoutError:
            raise TimedOutError("the local store did not answer in time for the picture") from None
        if environment is not None:
            app.open_environment(environment)
        await pilot.pause()
        await pilot.pause()
        # Some viewers trim the spaces at the ends of a text, which would move it by a cell.
        return app.export_screenshot(title="lpmops", simplify=True).replace("<text ", '<text xml:space="preserve" ')
