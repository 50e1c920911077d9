"""What the services wrote down, newest first, a tab a source. It is asked for again by itself while it is seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from lpmops.model import LogLine, to_data
from lpmops.tui import answered, commands, questions
from lpmops.tui.answers import Answer
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import CloserScreen, FaultLines
from lpmops.tui.screens.entry import EntryScreen
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets import logs
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.log_frame import LogFrame, LogView
from lpmops.tui.widgets.logs import LogRow
from lpmops.tui.widgets.table import LiveTable

_Laid = tuple[Sequence[LogLine], int, int | None]


class LogsScreen(CloserScreen):
    """The logs of one environment."""

    CSS_PATH = "logs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings((*commands.LOGS, *commands.TEXT))]

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.table: LiveTable[LogRow] = LiveTable(
            logs.COLUMNS, key=logs.key, haystack=logs.haystack, now=scene.now, follows=True
        )
        self.table.sort_by(0, descending=True)
        self.level, self.wrap = 0, False
        self._laid: _Laid | None = None
        self._rows: list[LogRow] = []

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that can be asked."""
        return tuple(self.owner.feed.log_sources(self.environment))

    @property
    def source(self) -> str:
        """The source that is open: the place's, where there is one of that name."""
        wanted = self.place.source if self.place else ""
        return wanted if wanted in self.sources or not self.sources else self.sources[0]

    def body(self) -> Iterable[Widget]:
        """Tabs, what went wrong, lines."""
        yield LogFrame(self.environment)
        yield FaultLines()
        yield self.table
        yield FilterLine("part of a line, subject or level; ! shows the others, ~ letters in order")

    def on_mount(self) -> None:
        """The lines take the keys."""
        self.table.focus()

    def draw(self, scene: Scene) -> None:
        """Draws the lines of the open source."""
        answer: Answer[Sequence[LogLine]] = (
            self.look(scene, questions.logs(scene, self.environment, self.source))
            if self.source
            else Answer(
                fault="No service of this environment has logs that could be asked for.", at=scene.now, value=()
            )
        )
        self.table.empty_text = self._nothing(answer)
        self.table.show(
            self._lay_out(answer.value or ()),
            scene.now.astimezone(scene.zone),
            stale=answered.is_old(answer, scene, questions.LOGS_EVERY),
        )
        matching = sum(1 for row in self.table.rows if row.part == 0)
        shown = LogView(self.sources, self.source, answer, self.level, self.table.pattern, matching)
        self.query_one(LogFrame).show(scene, shown)
        self.query_one(FaultLines).show(answer)

    def _lay_out(self, lines: Sequence[LogLine]) -> list[LogRow]:
        """The rows, laid out anew only where the lines, the level or the width are others."""
        room = self.table.scrollable_content_region.width
        width = logs.text_width(room) if self.wrap and room > 0 else None
        laid = (lines, self.level, width)
        if self._laid is None or self._laid[0] is not lines or self._laid[1:] != laid[1:]:
            self._laid, self._rows = laid, logs.rows_of(lines, level=self.level, width=width)
        return self._rows

    def _nothing(self, answer: Answer[Sequence[LogLine]]) -> str:
        if answer.value is None or answer.fault:
            return ""
        if not answer.value:
            return "nothing was written"
        return "no line matches" if self.table.pattern else f"there are no {logs.LEVELS[self.level]}"

    # What the commands need ----------------------------------------------------------------------------------------------------------------------

    def action_source(self, by: int) -> None:
        """The next source, or the one before."""
        sources = self.sources
        if sources:
            self.open_source(sources[(sources.index(self.source) + by) % len(sources)])

    def open_source(self, source: str) -> None:
        """Shows what that source wrote, from its newest line on."""
        assert self.place is not None
        self.place = replace(self.place, source=source)
        self.owner.navigator.exchange(self.place)
        self.show(self.latest())
        self.table.action_edge(-1)

    def action_level(self) -> None:
        """All, warnings and errors, errors alone."""
        self.level = (self.level + 1) % len(logs.LEVELS)
        self.show(self.latest())

    def action_wrap(self) -> None:
        """Folds long lines, or cuts them; the cursor stays on its entry."""
        before = self.table.cursor_row
        self.wrap = not self.wrap
        self.show(self.latest())
        if before is not None:
            self.table.place(before.key.rpartition("/")[0] + "/0")

    def copyable(self) -> Copyable | None:
        """The entry under the cursor, whole."""
        row = self.table.cursor_row
        return Copyable(row.line.text, _whole(row.line), row.line) if row is not None else None

    def sheet(self) -> Sheet | None:
        """The entries as they are filtered and sorted."""
        rows = [to_data(row.line) for row in self.table.rows if row.part == 0]
        return Sheet(f"{self.environment}-{self.source}-logs", rows)

    def on_live_table_opened(self, _message: LiveTable.Opened) -> None:
        """Shows the whole entry."""
        row = self.table.cursor_row
        if row is not None:
            self.app.push_screen(EntryScreen(row.line, self.environment))

    def on_log_frame_chosen(self, message: LogFrame.Chosen) -> None:
        """Follows the mouse."""
        self.open_source(message.source)


def _whole(line: LogLine) -> str:
    data = to_data(line)
    return "\t".join(str(data[name]) for name in ("at", "source", "level", "subject", "text"))
