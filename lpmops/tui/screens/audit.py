"""Who did what from this machine, newest first, its chain checked on the way. Enter shows an entry whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from textual.widget import Widget

from lpmops.model import LogLine, to_data
from lpmops.store.audit import Entry
from lpmops.tui import paint, questions, words
from lpmops.tui.answers import Answer
from lpmops.tui.paint import Line, Piece
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import FaultLines
from lpmops.tui.screens.entry import EntryScreen
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.table import Column, LiveTable


def gist(entry: Entry) -> str:
    """The most telling words of an entry."""
    body = entry.body
    found = next((body[name] for name in ("step", "summary", "state", "reason") if body.get(name)), "")
    return str(found)


def _time(entry: Entry, now: datetime) -> Line:
    return (Piece(f" {words.row_time(entry.at, now)}", "text"),)


def _environment(entry: Entry, _now: datetime) -> Line:
    return (paint.piece(entry.environment, "strong"),)


def _what(entry: Entry, _now: datetime) -> Line:
    bad = entry.what.endswith(("failed", "in_doubt"))
    return (paint.piece(entry.what, "warn" if bad else "text"),)


def _gist(entry: Entry, _now: datetime) -> Line:
    return (paint.piece(gist(entry), "muted"),)


def _who(entry: Entry, _now: datetime) -> Line:
    return (paint.piece(entry.who, "muted"),)


_COLUMNS = (
    Column("time", " time", 13, _time, lambda entry: entry.seq),
    Column("environment", "where", 8, _environment, lambda entry: entry.environment),
    Column("what", "what", 20, _what, lambda entry: entry.what),
    Column("gist", "gist", 20, _gist, gist, grows=True),
    Column("who", "by", 24, _who, lambda entry: entry.who, wanted=1),
)


def _haystack(entry: Entry) -> str:
    return " ".join((entry.environment, entry.what, entry.who, entry.operation or "", gist(entry))).casefold()


class AuditScreen(LiveScreen):
    """The audit."""

    CSS_PATH = "audit.tcss"

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.table: LiveTable[Entry] = LiveTable(
            _COLUMNS, key=lambda entry: str(entry.seq), haystack=_haystack, now=scene.now, follows=True
        )
        self.table.sort_by(0, descending=True)
        self._anew = False

    def body(self) -> Iterable[Widget]:
        """What went wrong, and the entries."""
        yield FaultLines()
        yield self.table
        yield FilterLine("part of what, who, where or why; ! shows the others")

    def on_mount(self) -> None:
        """The entries take the keys."""
        self.table.focus()

    def draw(self, scene: Scene) -> None:
        """Draws the entries."""
        orders = self.owner.orders
        answer: Answer[Sequence[Entry]] = Answer(())
        if orders is not None:
            answer = self.ask(questions.audit(orders), anew=self._anew)
        self.table.empty_text = (
            "reading …" if answer.pending else "no entry matches" if self.table.pattern else "nothing was done yet"
        )
        self.table.show(answer.value or (), (scene.today or scene.now).astimezone(scene.zone))
        self.query_one(FaultLines).show(answer)

    def look_again(self) -> bool:
        """Reads the audit again."""
        self._anew = True
        try:
            self.show(self.latest())
        finally:
            self._anew = False
        return True

    def copyable(self) -> Copyable | None:
        """The entry under the cursor, and the command that was the same."""
        row = self.table.cursor_row
        return (
            Copyable(row.hash, self.table.cursor_text, row, str(row.body.get("command") or ""))
            if row is not None
            else None
        )

    def sheet(self) -> Sheet | None:
        """The entries as they are filtered and sorted."""
        return Sheet("audit", [dict(to_data(row)) for row in self.table.rows])

    def on_live_table_opened(self, _message: LiveTable.Opened) -> None:
        """Shows the entry whole."""
        row = self.table.cursor_row
        if row is not None:
            text = json.dumps(to_data(row), ensure_ascii=False)
            self.app.push_screen(EntryScreen(LogLine(row.at, "audit", "info", row.what, text), row.environment))
