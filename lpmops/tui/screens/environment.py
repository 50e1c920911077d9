"""One environment: its strip, its latency against what was promised, its suspects, and its companies.

The table takes all the room that is left. On a wide terminal the company under the cursor is shown beside it.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from lpmops.model import Route
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.view import Scene
from lpmops.tui.widgets import companies
from lpmops.tui.widgets.caption import Caption
from lpmops.tui.widgets.company import CompanyCard
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.header import Header
from lpmops.tui.widgets.key_bar import KeyBar
from lpmops.tui.widgets.latency import LatencyBar
from lpmops.tui.widgets.pipeline import Pipeline
from lpmops.tui.widgets.suspects import Suspects
from lpmops.tui.widgets.table import LiveTable


class EnvironmentScreen(LiveScreen):
    """One environment with its companies."""

    CSS_PATH = "environment.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (150, "-wide")]  # noqa: RUF012 as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape",
            "back",
            "back",
            id="environment.back",
            tooltip="Back to all environments; with a filter, first clear it",
        ),
        Binding(
            "slash",
            "filter",
            "filter",
            id="environment.filter",
            tooltip="Show companies that match; ! in front shows the others",
        ),
    ]

    class Left(Message):
        """The operator goes back to the overview."""

    class CompanyOpened(Message):
        """The card of a company is asked for."""

        def __init__(self, environment: str, company_id: str) -> None:
            super().__init__()
            self.environment = environment
            self.company_id = company_id

    def __init__(self, environment: str, scene: Scene) -> None:
        super().__init__()
        self.environment = environment
        self.table: LiveTable[Route] = LiveTable(
            companies.COLUMNS, key=companies.key, haystack=companies.haystack, now=scene.now
        )
        self.table.sort_by(companies.BY_TROUBLE)

    def compose(self) -> ComposeResult:
        """Header, strip, latency, suspects, companies, keys."""
        yield Header(self.environment)
        yield Pipeline(self.environment, alone=True)
        yield LatencyBar(self.environment)
        yield Suspects(self.environment)
        yield Caption(self.table, self.environment)
        with Horizontal():
            yield self.table
            with Vertical(id="beside"):
                yield CompanyCard(self.environment)
        yield FilterLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """The rows take the keys."""
        self.table.focus()

    def show(self, scene: Scene) -> None:
        """Takes new values."""
        height = self.size.height
        self.query_one(Header).show(scene)
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
            else "the companies could not be read"
        )
        self.table.show(
            snapshot.routes if snapshot else (),
            scene.now,
            stale=snapshot is not None and scene.is_old(snapshot.taken_at),
        )
        self._show_beside(scene)

    def _show_beside(self, scene: Scene) -> None:
        self.query_one(Caption).show(scene)
        self.query_one(CompanyCard).show(scene, self.table.cursor_key)
        self.query_one(KeyBar).redraw()

    def action_back(self) -> None:
        """Clears the filter, or goes back."""
        if self.table.pattern:
            self.query_one(FilterLine).value = ""
            self.table.filter("")
            self._show_beside(self.latest())
        else:
            self.post_message(self.Left())

    def action_filter(self) -> None:
        """Opens the line to type a filter on."""
        line = self.query_one(FilterLine)
        line.add_class("-open")
        line.focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filters while typing."""
        self.table.filter(message.value)
        self.show(self.latest())

    def on_filter_line_kept(self, _message: FilterLine.Kept) -> None:
        """Gives the keys back to the rows."""
        self._close_filter()

    def on_filter_line_dropped(self, _message: FilterLine.Dropped) -> None:
        """Gives the keys back to the rows."""
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one(FilterLine).remove_class("-open")
        self.table.focus()

    def on_live_table_moved(self, _message: LiveTable.Moved) -> None:
        """Shows the company under the cursor beside the table."""
        self._show_beside(self.latest())

    def on_live_table_opened(self, message: LiveTable.Opened) -> None:
        """Asks for the company's card."""
        self.post_message(self.CompanyOpened(self.environment, message.key))


def _strip_rows(height: int) -> int:
    return 2 if height < 20 else 3 if height < 30 else 6 if height < 46 else 10


def _suspect_rows(height: int) -> int:
    return 1 if height < 20 else 4 if height < 30 else 8 if height < 46 else 12
