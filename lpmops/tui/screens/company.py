"""One company: its card, its records' way, its last hour, its calls, and its newest records.

On a small terminal the card, the way and the records are there, and the calls in one line; with more height the hour is
plotted, on a wide one beside the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.containers import Container
from textual.widget import Widget

from lpmops.model import LandedRecord
from lpmops.tui import answered, changes, questions
from lpmops.tui.answers import Answer
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import CloserScreen, FaultLines
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets import records, way
from lpmops.tui.widgets.calls import Calls
from lpmops.tui.widgets.company import CompanyCard
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.history import History
from lpmops.tui.widgets.suspects import findings
from lpmops.tui.widgets.table import LiveTable
from lpmops.tui.widgets.way import Way

_WIDE, _TALL, _LOW = 150, 32, 20


class CompanyScreen(CloserScreen):
    """Every value of one company with its age, and what landed for it."""

    CSS_PATH = "company.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (_WIDE, "-wide")]  # noqa: RUF012 as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (_TALL, "-tall")]  # noqa: RUF012 as Textual declares it

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.company = place.company
        self.table: LiveTable[LandedRecord] = LiveTable(
            records.columns(scene.limits), key=changes.key, haystack=records.haystack, now=scene.now, follows=True
        )
        self.table.sort_by(0, descending=True)

    def body(self) -> Iterable[Widget]:
        """Card, way, hour and calls, records."""
        yield Container(
            CompanyCard(self.environment, framed=True),
            Way(),
            Container(
                Container(
                    History("rows a minute", id="rates"),
                    History("latency p95", is_latency=True, id="latencies"),
                    id="plots",
                ),
                Calls(),
                id="hour",
            ),
            records.RecordsCaption(self.table),
            FaultLines(),
            self.table,
            id="all",
        )
        yield FilterLine("part of a record id, version or change; ! shows the others, ~ letters in order")

    def on_mount(self) -> None:
        """The rows take the keys."""
        self.table.focus()

    def draw(self, scene: Scene) -> None:
        """Draws the company."""
        height = self.room(scene)
        self.query_one(CompanyCard).show(scene, self.company, compact=height < _LOW)
        answer = self.look(scene, questions.records(scene, self.environment, self.company))
        self.take(answer, scene)
        old = answered.is_old(answer, scene, questions.RECORDS_EVERY)
        self.query_one(Way).show(scene, answer.value, way.TALL if height >= _TALL else 2, old=old)
        self.query_one(records.RecordsCaption).show(scene, answer)
        self.query_one(FaultLines).show(answer)
        self._draw_hour(scene, height, told=answer.fault)

    def take(self, answer: Answer[Sequence[LandedRecord]], scene: Scene) -> None:
        """Puts what landed into the table, also while a record of it is looked at."""
        self.table.empty_text = (
            "no record matches"
            if self.table.pattern and answer.value
            else "no record had landed by then"
            if scene.past
            else "no record has landed yet"
            if answer.value is not None
            else ""
        )
        self.table.show(
            answer.value or (),
            scene.now.astimezone(scene.zone),
            stale=answered.is_old(answer, scene, questions.RECORDS_EVERY),
        )

    def _draw_hour(self, scene: Scene, height: int, *, told: str) -> None:
        wide, tall = self.size.width >= _WIDE, height >= _TALL
        rows = max(2, min(8, (height - 20) // 3)) if wide else 4 if height < 46 else 6
        if wide or tall:
            for name, plot in (("rows_per_minute", "#rates"), ("latency_p95", "#latencies")):
                series = questions.series(scene, self.environment, f"company.{self.company}.{name}")
                self.query_one(plot, History).show(scene, self.look(scene, series), rows)
        # Two plots with heading and axis, and the two lines between them, are above the calls.
        table = height - 2 * (rows + 3) - 5 if wide else 0
        calls = self.look(scene, questions.calls(scene, self.environment, self.company))
        self.query_one(Calls).show(scene, calls, max(2 if tall else 1, table), told=told)

    # What the commands of the app need -----------------------------------------------------------------------------------------------------------

    def copyable(self) -> Copyable | None:
        """The record under the cursor, else the company."""
        found = findings(self.latest(), self.environment)
        command = found[0].suspect.next[0] if found and found[0].suspect.next else ""
        row = self.table.cursor_row
        if row is None:
            return Copyable(self.company, self.company, {"company_id": self.company}, command)
        return Copyable(row.record_id, self.table.cursor_text, changes.data(row), command)

    def sheet(self) -> Sheet | None:
        """The records as they are filtered and sorted."""
        return Sheet(f"{self.environment}-{self.company}-records", [changes.data(row) for row in self.table.rows])

    def on_live_table_opened(self, _message: LiveTable.Opened) -> None:
        """Opens the record."""
        row = self.table.cursor_row
        if row is not None:
            self.owner.go(Place("record", self.environment, self.company, row))
