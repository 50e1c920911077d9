"""What a service wrote down, as rows of a table: one line each, or folded over as many as it takes.

A folded entry is several rows with one position, so that sorting and filtering keep it together. Everything is a
function of the lines and the width; keys come from what was written, so that the cursor stays while others arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lpmops.model import LogLine
from lpmops.plain_text import plain
from lpmops.tui import folding, paint, words
from lpmops.tui.marks import Mark
from lpmops.tui.paint import Line, Piece
from lpmops.tui.widgets.table import Column, fitting_columns, natural

SOURCE_NAMES = {"asa": "Stream Analytics", "databricks": "Databricks", "eventhub": "Event Hub"}
LEVELS = ("all levels", "warnings and errors", "errors")
_LEVELS = {
    "info": Mark("·", "info", "muted", 0),
    "warning": Mark("▲", "warning", "warn", 1),
    "error": Mark("✖", "error", "bad", 2),
}
MOST_ROWS = 60


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of the table: the `part`th of an entry, which is the `position`th of its source; `text` is what stands in this part."""

    line: LogLine
    position: int
    part: int
    text: str
    key: str
    hay: str


def mark_of(level: str) -> Mark:
    """The mark of a level; one this version does not know says its own name and is as bad as a warning."""
    return _LEVELS.get(level, Mark("○", level, "unknown", 1))


def rows_of(lines: Sequence[LogLine], *, level: int = 0, width: int | None = None) -> list[LogRow]:
    """The rows of those lines that are at least of `level`; with the width of the text they are folded to it."""
    rows: list[LogRow] = []
    seen: Counter[object] = Counter()
    for position, line in enumerate(lines):
        name = (line.at, line.level, line.subject, line.text)
        seen[name] += 1
        if mark_of(line.level).weight < level:
            continue
        key = f"{hash(name) & 0xFFFFFFFFFFFF:x}.{seen[name]}"
        hay = f"{line.level} {line.subject} {line.text}".casefold()
        parts = _parts(line, width) if width else (line.text,)
        rows += [LogRow(line, position, part, text, f"{key}/{part}", hay) for part, text in enumerate(parts)]
    return rows


def _parts(line: LogLine, width: int) -> list[str]:
    text = _counted(line) + plain(line.text)
    # What can't be shown anyway need not be folded.
    parts = folding.folded_text(text[: MOST_ROWS * width * 2], width)
    if len(parts) <= MOST_ROWS and len(text) <= MOST_ROWS * width * 2:
        return parts
    kept = parts[: MOST_ROWS - 1]
    left = len(text) - sum(len(part) for part in kept)
    return [*kept, f"… {words.count(left)} characters more: enter"]


def _counted(line: LogLine) -> str:
    return f"{words.count(line.count)}× " if line.count > 1 else ""


def text_width(width: int) -> int:
    """The cells that the text has in a table of `width`."""
    return next(size for column, size in fitting_columns(COLUMNS, width) if column.key == "text")


def _time(row: LogRow, now: datetime) -> Line:
    text = words.row_time(row.line.at, now)
    return (Piece(f" {text}", "text" if row.line.at else "unknown"),) if row.part == 0 else ()


def _level(row: LogRow, _now: datetime) -> Line:
    mark = mark_of(row.line.level)
    return (Piece(f"{mark.glyph} ", mark.role), paint.piece(mark.word, mark.role)) if row.part == 0 else ()


def _subject(row: LogRow, _now: datetime) -> Line:
    return (paint.piece(row.line.subject, "muted"),) if row.part == 0 else ()


def _text(row: LogRow, _now: datetime) -> Line:
    role = "muted" if mark_of(row.line.level).weight == 0 else "text"
    if row.text is not row.line.text:
        return (Piece(row.text, role),)
    counted = _counted(row.line)
    return (*((Piece(counted, "accent"),) if counted else ()), paint.piece(row.text, role))


COLUMNS: tuple[Column[LogRow], ...] = (
    Column("time", " time", 13, _time, lambda row: -row.position),
    Column("level", "level", 9, _level, lambda row: mark_of(row.line.level).weight),
    Column("subject", "subject", 16, _subject, lambda row: natural(row.line.subject), wanted=1),
    Column("text", "text", 24, _text, lambda row: -row.position, grows=True),
)


def key(row: LogRow) -> str:
    """What names a row for as long as its entry is there and the width is the same."""
    return row.key


def haystack(row: LogRow) -> str:
    """What the filter looks in: the whole entry."""
    return row.hay
