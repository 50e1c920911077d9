"""The keys that work on every screen, in one place, because the app and every panel over it take them.

A panel keeps the keys of the app from its operator unless it offers them itself; leaving and changing environment must
work from anywhere. Every binding has an id, so that a keymap can move it, and a tooltip, which is its line in the help.
"""

from __future__ import annotations

from textual.binding import Binding

EVERYWHERE: tuple[Binding, ...] = (
    Binding(
        "r", "app.refresh_now", "refresh", id="app.refresh", tooltip="Look again now: this environment, or all of them"
    ),
    Binding("p", "app.hold", "hold", id="app.hold", tooltip="Hold the display or let it go on; reading goes on"),
    Binding("0", "app.overview", "all", id="app.overview", tooltip="All environments"),
    *(
        Binding(
            str(number),
            f"app.jump({number})",
            "environment",
            show=number == 1,
            id=f"app.environment.{number}",
            tooltip="That environment",
        )
        for number in range(1, 10)
    ),
    Binding("T", "app.theme", "theme", show=False, id="app.theme", tooltip="Light or dark"),
    Binding(
        "question_mark", "app.help", "help", id="app.help", tooltip="The keys of this screen, and what the signs mean"
    ),
    Binding("q", "app.quit", "quit", id="app.quit", tooltip="Leave"),
)
INTERRUPT = Binding(
    "ctrl+c", "app.quit", "quit", show=False, id="app.interrupt", priority=True, system=True, tooltip="Leave"
)
