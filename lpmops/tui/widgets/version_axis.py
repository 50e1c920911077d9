"""The axis of a table's versions: how many rows each part of it wrote, what is known of it, what else was done to the table, and the chosen range.

Pure. Each cell stands for as many commits as the next one and shows the worst that is known of them, so that a single version that lacks something is
seen among ten thousand. Versions run from left to right, their times under them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len

from lpmops.tui import paint, ruler, words
from lpmops.tui.axis import Wish, place
from lpmops.tui.marks import Mark
from lpmops.tui.paint import Line, Piece
from lpmops.tui.version_rows import LEGEND, Laid, VersionRow, special
from lpmops.versions import Versions

_OTHER = "◆"
_SIGNS = {"VACUUM": "▽", "OPTIMIZE": "◇", "RESTORE": "↺"}
_TICKS, _APART = 4, 22
_LONGEST = 20

Cells = list[Piece | None]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell of the axis stands for: the rows of its commits, the worst of them, and one of which more is to be told."""

    rows: int
    worst: VersionRow
    told: VersionRow | None


class Axis:
    """A reading in `room` cells; one without commits has none."""

    def __init__(self, found: Laid, room: int) -> None:
        self.found, self.room = found, room
        self._ascending = found.rows[::-1]
        self.cells = [self._cell(number) for number in range(room if found.rows else 0)]
        # No key changes these lines, and a key is drawn at once.
        self.states = ruler.merged([Piece(cell.worst.mark.glyph, cell.worst.mark.role) for cell in self.cells])
        self.operations = _operations(self.cells, room)
        self.legend = legend(room, {cell.worst.mark for cell in self.cells})

    def _cell(self, number: int) -> Cell:
        count = len(self._ascending)
        start = number * count // self.room
        of_it = self._ascending[start : max(start + 1, (number + 1) * count // self.room)]
        # A commit that takes several cells is told once.
        goes_on = number > 0 and (number - 1) * count // self.room == start
        told = None if goes_on else next((row for row in of_it if special(row.commit)), None)
        return Cell(sum(row.commit.rows or 0 for row in of_it), max(of_it, key=_weight), told)

    def span(self, versions: Versions) -> tuple[int, int]:
        """The first and the last cell of some versions."""
        count = len(self._ascending)
        first, last = (self._index(version) for version in (versions.first, versions.last))
        end = min(self.room - 1, ((last + 1) * self.room - 1) // count)
        start = -(-first * self.room // count) if count <= self.room else ((first + 1) * self.room - 1) // count
        return min(start, end), end

    def row_at(self, cell: int) -> VersionRow:
        """The first commit of a cell."""
        return self._ascending[cell * len(self._ascending) // self.room]

    def _index(self, version: int) -> int:
        found = bisect_left(self._ascending, version, key=lambda row: row.version)
        return min(found, len(self._ascending) - 1)


def axis_lines(axis: Axis, chosen: Versions | None, cursor: int | None, now: datetime, rows: int) -> list[Line]:
    """The axis in at most `rows` lines: its states and the range under them, then operations, bars, and what the signs mean."""
    if not axis.cells:
        return []
    lines = [axis.states, _range(axis, chosen, cursor, now)]
    if axis.operations and len(lines) < rows:
        lines.insert(1, axis.operations)
    if len(lines) < rows:
        lines[0:0] = _bars(axis, 1 if rows < 7 else 2)
    if len(lines) < rows:
        lines.append(axis.legend)
    return lines


def legend(width: int, seen: Collection[Mark]) -> Line:
    """What the signs of the axis mean, in their order; where not all have room, those that are seen before the others."""
    shown: list[Mark] = []
    for mark in sorted(LEGEND, key=lambda each: each not in seen):
        # What does not fit whole is left out.
        more = sorted((*shown, mark), key=LEGEND.index)
        shown = more if paint.width_of(_signs(more)) <= width else shown
    return _signs(shown)


def _signs(marks: Iterable[Mark]) -> Line:
    return paint.joined(
        ((Piece(each.glyph, each.role), Piece(f" {each.word}", "muted")) for each in marks), Piece("   ")
    )


def _weight(row: VersionRow) -> int:
    return row.mark.weight


def _bars(axis: Axis, rows: int) -> list[Line]:
    values = [float(cell.rows) for cell in axis.cells]
    return [(Piece(text, "spark"),) for text in words.bars(values, max(values), rows)]


def _operations(stands: Sequence[Cell], room: int) -> Line:
    """A sign where something else than rows was written, its name beside it where there is room; nothing where nothing was."""
    told = [(number, cell.told.commit.operation) for number, cell in enumerate(stands) if cell.told is not None]
    # What was done last is named first.
    told.reverse()
    names = [paint.crop_text(paint.piece(name).text, _LONGEST) for _, name in told]
    cells: Cells = [Piece(" ")] * room
    wishes = [Wish(number, (cell_len(name),)) for (number, _), name in zip(told, names, strict=True)]
    for each in place(wishes, (), room):
        _put(cells, each.start, Piece(names[each.number], "muted"))
    for number, name in told:
        cells[number] = Piece(_SIGNS.get(name.partition(" ")[0].upper(), _OTHER), "accent")
    return _merged(cells) if told else ()


def _range(axis: Axis, chosen: Versions | None, cursor: int | None, now: datetime) -> Line:
    """The chosen range and the cursor under the axis; where they leave room, versions and their times."""
    cells: Cells = [Piece(" ")] * axis.room
    taken: set[int] = set()
    if chosen is not None:
        first, last = axis.span(chosen)
        cells[first : last + 1] = [Piece("▔", "accent")] * (last - first + 1)
        taken |= set(range(first - 1, last + 2))
    if cursor is not None:
        at, _ = axis.span(Versions(cursor, cursor))
        cells[at] = Piece("▲", "key")
        taken |= {at - 1, at, at + 1}
    newest = _named(axis.found.rows[0], now)
    _label(cells, taken, axis.room - len(newest), newest)
    for start in range(0, axis.room, max(_APART, axis.room // _TICKS)):
        _label(cells, taken, start, _named(axis.row_at(start), now))
    return _merged(cells)


def _named(row: VersionRow, now: datetime) -> str:
    return f"v {words.count(row.version)} {words.row_time(row.commit.at, now)}"


def _label(cells: Cells, taken: set[int], start: int, text: str) -> None:
    """Writes a version and its time, where nothing stands."""
    where = range(start, start + len(text))
    if start >= 0 and where.stop <= len(cells) and taken.isdisjoint(where):
        _put(cells, start, Piece(text, "muted"))
        taken |= set(range(start - 2, where.stop + 2))


def _put(cells: Cells, start: int, text: Piece) -> None:
    """Puts words over the cells that they take."""
    width = cell_len(text.text)
    cells[start : start + width] = [text, *[None] * (width - 1)]


def _merged(cells: Iterable[Piece | None]) -> Line:
    return ruler.merged([part for part in cells if part is not None])
