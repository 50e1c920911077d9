"""One environment: its strip, its latency against what was promised, its suspects, and its companies.

The table takes all the room that is left. On a wide terminal the company under the cursor, the calls of all companies
and the events of the day are shown beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from lpmops.model import Route, to_data
from lpmops.tui import questions
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import CloserScreen
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets import companies
from lpmops.tui.widgets.calls import Calls
from lpmops.tui.widgets.caption import Caption
from lpmops.tui.widgets.company import CompanyCard
from lpmops.tui.widgets.events import Events
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.latency import LatencyBar
from lpmops.tui.widgets.pipeline import NOT_KEPT, Pipeline
from lpmops.tui.widgets.suspects import Suspects, findings
from lpmops.tui.widgets.table import LiveTable

_TALL = 46
_CALLS_LOW, _CALLS_TALL = 2, 8


class EnvironmentScreen(CloserScreen):
    """One environment with its companies."""

    CSS_PATH = "environment.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (150, "-wide")]  # noqa: RUF012 as Textual declares it

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.table: LiveTable[Route] = LiveTable(
            companies.COLUMNS, key=companies.key, haystack=companies.haystack, now=scene.now
        )
        self.table.sort_by(companies.BY_TROUBLE)

    def body(self) -> Iterable[Widget]:
        """Strip, latency, suspects, companies."""
        yield Pipeline(self.environment, alone=True)
        yield LatencyBar(self.environment)
        yield Suspects(self.environment)
        yield Caption(self.table, self.environment)
        yield Horizontal(self.table, Vertical(CompanyCard(self.environment), Calls(), Events(), id="beside"))
        yield FilterLine("part of a name, id, database or state; ! shows the others, ~ letters in order")

    def on_mount(self) -> None:
        """The rows take the keys."""
        self.table.focus()

    def draw(self, scene: Scene) -> None:
        """Draws the environment."""
        height = self.room(scene)
        self.query_one(Pipeline).show(scene, _strip_rows(height))
        self.query_one(LatencyBar).show(scene)
        self.query_one(Suspects).show(scene, _suspect_rows(height))
        view = scene.view(self.environment)
        snapshot = view.snapshot if view else None
        self.table.empty_text = (
            "no company matches"
            if self.table.pattern
            else "no company is routed here yet"
            if view and view.companies_known
            else NOT_KEPT
            if scene.past and snapshot is None
            else "the companies could not be read"
        )
        self.table.show(
            snapshot.routes if snapshot else (),
            scene.now.astimezone(scene.zone),
            stale=snapshot is not None and scene.is_old(snapshot.taken_at),
        )
        self._show_beside(scene)
        if self.has_class("-wide"):
            calls = self.look(scene, questions.all_calls(scene, self.environment))
            self.query_one(Calls).show(scene, calls, _CALLS_TALL if height >= _TALL else _CALLS_LOW)
            self.query_one(Events).show(scene, self.look(scene, questions.turns(scene, self.environment)))

    def _show_beside(self, scene: Scene) -> None:
        self.query_one(Caption).show(scene)
        self.query_one(CompanyCard).show(scene, self.table.cursor_key)

    # What the commands of the app need -----------------------------------------------------------------------------------------------------------

    def copyable(self) -> Copyable | None:
        """The company under the cursor."""
        row = self.table.cursor_row
        if row is None:
            return None
        found = findings(self.latest(), self.environment)
        command = found[0].suspect.next[0] if found and found[0].suspect.next else ""
        return Copyable(row.company_id, self.table.cursor_text, row, command)

    def sheet(self) -> Sheet | None:
        """The companies as they are filtered and sorted."""
        return Sheet(f"{self.environment}-companies", [to_data(row) for row in self.table.rows])

    def on_live_table_moved(self, _message: LiveTable.Moved) -> None:
        """Shows the company under the cursor beside the table."""
        self._show_beside(self.latest())

    def on_live_table_opened(self, message: LiveTable.Opened) -> None:
        """Opens the company."""
        self.owner.go(Place("company", self.environment, message.key))


def _strip_rows(height: int) -> int:
    return 2 if height < 20 else 3 if height < 30 else 6 if height < 46 else 10


def _suspect_rows(height: int) -> int:
    return 1 if height < 20 else 4 if height < 30 else 8 if height < 46 else 12
