"""What is wrong with an environment and what to do, and who has which right. Asked when it is opened and again by r: each asks every service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from lpmops.model import LogLine, to_data
from lpmops.tui import commands, questions
from lpmops.tui.answers import Answer
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import CloserScreen, FaultLines
from lpmops.tui.screens.entry import EntryScreen
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets import assessment
from lpmops.tui.widgets.assessment import TABS, Foot, Head, Row, View
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.table import LiveTable

_LEVELS = {"bad": "error", "warn": "warning"}


class AssessmentScreen(CloserScreen):
    """The assessment of one environment, and its rights."""

    CSS_PATH = "assessment.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(commands.ASSESSMENT)]

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.table: LiveTable[Row] = LiveTable(
            assessment.COLUMNS, key=assessment.key, haystack=assessment.haystack, now=scene.now
        )
        self.table.sort_by(0)
        self._laid: tuple[Any, list[Row]] = (None, [])

    @property
    def tab(self) -> str:
        """The tab that is open."""
        wanted = self.place.source if self.place else ""
        return wanted if wanted in TABS else next(iter(TABS))

    def body(self) -> Iterable[Widget]:
        """Tabs, what went wrong, the rows, the one under the cursor whole."""
        yield Head(self.environment)
        yield FaultLines()
        yield self.table
        yield Foot()
        yield FilterLine("part of what was found, where, or what it threatens; ! shows the others")

    def on_mount(self) -> None:
        """The rows take the keys."""
        self.table.focus()

    def draw(self, scene: Scene) -> None:
        """Draws the rows of the open tab."""
        answer: Answer[Sequence[Any]] = self.look(scene, self._question())
        rows = self._rows(answer.value or ())
        self.table.empty_text = (
            "" if answer.fault else "asking every service …" if answer.pending else "nothing matches"
        )
        self.table.show(rows, scene.now.astimezone(scene.zone))
        self.query_one(Head).show(scene, View(self.tab, answer, rows))
        self.query_one(FaultLines).show(answer)
        self.query_one(Foot).show(self.table.cursor_row)

    def _question(self) -> Any:
        return (questions.rights if self.tab == "rights" else questions.assessment)(self.environment)

    def _rows(self, found: Sequence[Any]) -> list[Row]:
        """The rows, made anew only of another answer."""
        if self._laid[0] is not found:
            make = assessment.of_rights if self.tab == "rights" else assessment.of_findings
            self._laid = (found, make(found))
        return self._laid[1]

    # What the commands need ----------------------------------------------------------------------------------------------------------------------

    def action_tab(self) -> None:
        """The other tab."""
        assert self.place is not None
        names = list(TABS)
        self.place = replace(self.place, source=names[(names.index(self.tab) + 1) % len(names)])
        self.owner.navigator.exchange(self.place)
        self.show(self.latest())
        self.table.action_edge(-1)

    def copyable(self) -> Copyable | None:
        """The row under the cursor, and the first command that helps."""
        row = self.table.cursor_row
        command = next((text for text in reversed(row.todo)), "") if row is not None else ""
        return Copyable(row.what, assessment.text_of(row), row.value, command) if row is not None else None

    def sheet(self) -> Sheet | None:
        """The rows as they are filtered and sorted."""
        return Sheet(f"{self.environment}-{self.tab}", [to_data(row.value) for row in self.table.rows])

    def on_live_table_moved(self, _message: LiveTable.Moved) -> None:
        """Shows the row under the cursor whole."""
        self.query_one(Foot).show(self.table.cursor_row)

    def on_live_table_opened(self, _message: LiveTable.Opened) -> None:
        """Shows all of it."""
        row = self.table.cursor_row
        if row is not None:
            level = _LEVELS.get(row.mark.role, "info")
            line = LogLine(None, row.place, level, row.key, assessment.whole(row))
            self.app.push_screen(EntryScreen(line, self.environment))
