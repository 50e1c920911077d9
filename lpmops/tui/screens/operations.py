"""What was changed from this machine, what is unfinished first. Enter opens an operation; one that waits is resumed from there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from textual.widget import Widget

from lpmops.control.operations import Operation
from lpmops.model import to_data
from lpmops.tui import paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import FaultLines
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.screens.operation import OperationScreen, cells, command_of
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.operation import mark_of
from lpmops.tui.widgets.table import Column, LiveTable


def _state(operation: Operation, _now: datetime) -> Line:
    mark = mark_of(operation)
    return (Piece(f" {mark.glyph} ", mark.role), Piece(mark.word, mark.role))


def _action(operation: Operation, _now: datetime) -> Line:
    return cells(operation)


def _environment(operation: Operation, _now: datetime) -> Line:
    return (paint.piece(operation.environment, "text"),)


def _step(operation: Operation, _now: datetime) -> Line:
    step = operation.step if operation.state != "cancelled" else None
    done = f"{operation.finished_steps}/{len(operation.steps)} "
    return (
        Piece(done, "muted"),
        paint.piece(step.name if step is not None else operation.reason, "text" if step else "muted"),
    )


def _started(operation: Operation, now: datetime) -> Line:
    return (Piece(words.row_time(operation.started_at, now), "muted"),)


def _who(operation: Operation, _now: datetime) -> Line:
    return (paint.piece(operation.who, "muted"),)


def _order(operation: Operation) -> tuple[bool, float]:
    return (not operation.unfinished, -operation.started_at.timestamp())


_COLUMNS = (
    Column("state", " state", 18, _state, _order),
    Column("action", "action", 14, _action, lambda operation: operation.action),
    Column("environment", "where", 8, _environment, lambda operation: operation.environment),
    Column("step", "steps, and why", 18, _step, lambda operation: operation.reason, grows=True),
    Column("started", "started", 12, _started, lambda operation: operation.started_at, wanted=1),
    Column("by", "by", 24, _who, lambda operation: operation.who, wanted=2),
)


def _haystack(operation: Operation) -> str:
    found = (
        operation.id,
        operation.action,
        operation.environment,
        operation.state,
        operation.reason,
        operation.ticket,
        operation.who,
    )
    return " ".join(found).casefold()


class OperationsScreen(LiveScreen):
    """The operations."""

    CSS_PATH = "operations.tcss"

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.table: LiveTable[Operation] = LiveTable(
            _COLUMNS, key=lambda each: each.id, haystack=_haystack, now=scene.now
        )
        self._rows: tuple[Operation, ...] = ()

    def body(self) -> Iterable[Widget]:
        """What went wrong, and the rows."""
        yield FaultLines()
        yield self.table
        yield FilterLine("part of an action, environment, reason, ticket or name; ! shows the others")

    def on_mount(self) -> None:
        """The rows take the keys."""
        self.table.focus()

    def draw(self, scene: Scene) -> None:
        """Draws the operations; one that runs here as it runs."""
        answer = self.owner.operations()
        going = {run.operation.id: run.operation for run in self.owner.going}
        rows = tuple(going.get(each.id, each) for each in answer.value or ())
        self._rows = rows if rows != self._rows else self._rows
        self.table.empty_text = (
            "reading …"
            if answer.pending
            else "no operation matches"
            if self.table.pattern
            else "nothing was changed from here yet"
        )
        self.table.show(self._rows, (scene.today or scene.now).astimezone(scene.zone))
        self.query_one(FaultLines).show(answer)

    def look_again(self) -> bool:
        """Reads the journal again."""
        self.owner.operations(anew=True)
        return True

    def copyable(self) -> Copyable | None:
        """The operation under the cursor, and the command that goes on with it or did it."""
        row = self.table.cursor_row
        return Copyable(row.id, self.table.cursor_text, row, command_of(row)) if row is not None else None

    def sheet(self) -> Sheet | None:
        """The operations as they are filtered and sorted."""
        return Sheet("operations", [dict(to_data(row)) for row in self.table.rows])

    def on_live_table_opened(self, _message: LiveTable.Opened) -> None:
        """Opens the operation."""
        row = self.table.cursor_row
        if row is not None:
            self.app.push_screen(OperationScreen(operation=row))
