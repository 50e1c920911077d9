"""The hub's newest events as they come, of one company or all, callers masked. Bounded, and held like everything else with `p`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from lpmops.model import HubEvent, LogLine, to_data
from lpmops.tui import answered, questions
from lpmops.tui.answers import Answer
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import CloserScreen, FaultLines
from lpmops.tui.screens.entry import EntryScreen
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets import hub
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.hub import HubFrame
from lpmops.tui.widgets.table import LiveTable


class HubScreen(CloserScreen):
    """What comes into the hub of one environment."""

    CSS_PATH = "hub.tcss"

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.company = place.company
        self.table: LiveTable[HubEvent] = LiveTable(
            hub.COLUMNS, key=hub.key, haystack=hub.haystack, now=scene.now, follows=True
        )
        self.table.sort_by(0, descending=True)

    def body(self) -> Iterable[Widget]:
        """Head, what went wrong, events."""
        yield HubFrame(self.environment, self.company, self.table)
        yield FaultLines()
        yield self.table
        yield FilterLine("part of a company, record, field or change; ! shows the others, ~ letters in order")

    def on_mount(self) -> None:
        """The rows take the keys."""
        self.table.focus()

    def draw(self, scene: Scene) -> None:
        """Draws the events; in the past there are none, since the hub shows only what it holds now."""
        question = questions.events(scene, self.environment, self.company)
        answer: Answer[Sequence[HubEvent]] = (
            Answer(value=(), at=scene.now) if scene.past else self.look(scene, question)
        )
        self.table.empty_text = self._nothing(scene, answer)
        self.table.show(
            answer.value or (),
            scene.now.astimezone(scene.zone),
            stale=answered.is_old(answer, scene, questions.EVENTS_EVERY),
        )
        self.query_one(HubFrame).show(scene, answer)
        self.query_one(FaultLines).show(answer)

    def _nothing(self, scene: Scene, answer: Answer[Sequence[HubEvent]]) -> str:
        if scene.past:
            return "the hub shows what it holds now; n leads back to now"
        if answer.value is None or answer.fault:
            return ""
        if answer.value:
            return "no event matches"
        whose = "of this company " if self.company else ""
        return f"no event {whose}is in the hub"

    # What the commands need ----------------------------------------------------------------------------------------------------------------------

    def copyable(self) -> Copyable | None:
        """The event under the cursor, whole and masked."""
        row = self.table.cursor_row
        return Copyable(hub.key(row), self.table.cursor_text, row) if row is not None else None

    def sheet(self) -> Sheet | None:
        """The events as they are filtered and sorted."""
        return Sheet(f"{self.environment}-hub", [to_data(row) for row in self.table.rows])

    def on_live_table_opened(self, _message: LiveTable.Opened) -> None:
        """Shows the whole event."""
        row = self.table.cursor_row
        if row is not None:
            level = "error" if row.problem else "info"
            entry = LogLine(row.enqueued_at, "eventhub", level, hub.key(row), hub.text_of(row))
            self.app.push_screen(EntryScreen(entry, self.environment))
