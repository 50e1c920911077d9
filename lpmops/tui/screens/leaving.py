"""The one question before leaving while something is being changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lpmops.plain_text import plain_line
from lpmops.tui.screens.choice import ChoiceScreen, Option

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp


class LeavingScreen(ChoiceScreen):
    """What runs, and what leaving means for it; any key but y stays."""

    def __init__(self, app: LpmopsApp) -> None:
        running = ", ".join(plain_line(run.line) for run in app.going)
        leave = Option(
            "y", "leave", "it stops where it is; the next start shows it, and o then r goes on", partial(app.leave, 0)
        )
        stay = Option("esc", "stay", "let it come to its end", lambda: None)
        super().__init__(f"▶ {running} is under way", [leave, stay])
