"""`python -m tests.benchmarks.busy_app NAME`: an app to be measured from outside, on a terminal of its own.

`bare` is a Textual app with one label; `busy` is lpmops with 10,000 companies, three environments refreshing each second
and a fourth that hangs; `still` the same without a refresh; `versions` that with 10,000 commits of the source table; `hanging` one in which every
call hangs.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

from lpmops.model import Kind
from tests.tui.version_worlds import commits, line
from tests.tui.worlds import MemoryFeed, good

COMPANIES = 10_000


class _Busy(MemoryFeed):
    """Feeds from a thread, on the clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def feed_on(self, every: float) -> None:
        """Pushes a new look of each environment again and again."""

        def push() -> None:
            while True:
                for name, snapshot in list(self.snapshots.items()):
                    moved = tuple(
                        replace(route, rows_per_minute=(route.rows_per_minute or 0.0) + 1.0)
                        if number % 50 == 0
                        else route
                        for number, route in enumerate(snapshot.routes)
                    )
                    self.snapshots[name] = replace(snapshot, taken_at=self.now(), routes=moved)
                    self.push(self.snapshots[name])
                time.sleep(every)

        threading.Thread(target=push, daemon=True).start()


def _feed(*, hanging: bool = False) -> _Busy:
    worlds = [good(kind.value, kind, companies=COMPANIES if kind is Kind.PROD else 12) for kind in Kind]
    now = datetime.now(UTC)
    worlds = [
        replace(world, taken_at=now, routes=tuple(replace(route, last_landed_at=now) for route in world.routes))
        for world in worlds
    ]
    return _Busy(*worlds, extra=(("hangs", Kind.DEV),), hanging=hanging)


def main() -> None:
    """Run the app of that name."""
    name = sys.argv[1]
    if name == "bare":
        from textual.app import App, ComposeResult
        from textual.widgets import Label

        class Bare(App[None]):
            """One label."""

            def compose(self) -> ComposeResult:
                """The label."""
                yield Label("a label and nothing else")

        Bare().run()
        return
    from lpmops.tui.app import LpmopsApp

    feed = _feed(hanging=name == "hanging")
    if name == "busy":
        feed.feed_on(1.0)
    if name == "versions":
        feed.line = line(gaps=(), history=commits(10_000), latest_version=9_999)
    LpmopsApp(feed).run_to_the_end()


if __name__ == "__main__":
    main()
