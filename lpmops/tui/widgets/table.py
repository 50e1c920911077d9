"""A table of many rows that stays quick: only the lines that can be seen are ever drawn.

Rows are any values with a key; a refresh hands over the new rows and repaints the visible lines that differ, keeping
the cursor on its key and on its place on the screen. Sorting and filtering arrange keys, never widgets. Columns that
do not fit are left out, the least wanted first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, ClassVar, Generic, TypeVar

from rich.style import Style
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lpmops.tui import commands, folding, paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.widgets.drawn import to_strip

Row = TypeVar("Row")
_STRIPS_KEPT = 512


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column. `wanted` 0 is always shown, higher ones go first where the width is short.

    `grows` takes what is left, up to `most`; one that `keeps_end` is cut at its beginning.
    """

    key: str
    title: str
    width: int
    draw: Callable[[Row, datetime], Line]
    order: Callable[[Row], Any]
    right: bool = False
    grows: bool = False
    wanted: int = 0
    most: int = 0
    keeps_end: bool = False


def fitting_columns(columns: Sequence[Column[Row]], width: int) -> list[tuple[Column[Row], int]]:
    """The columns shown in `width` cells and how wide each is; one cell between two."""
    shown = list(columns)
    while len(shown) > 1 and sum(column.width for column in shown) + len(shown) - 1 > width:
        least = max(shown, key=lambda column: column.wanted)
        if least.wanted == 0:
            break
        shown.remove(least)
    spare = max(0, width - sum(column.width for column in shown) - (len(shown) - 1))
    sized: list[tuple[Column[Row], int]] = []
    for column in shown:
        extra = spare if column.grows else 0
        sized.append((column, min(column.width + extra, column.most or column.width + extra)))
    return sized


@lru_cache(maxsize=65_536)
def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """What sorts `text` as people do: 9 before 10, whatever the length of the numbers."""
    parts = [part for part in re.split(r"(\d+)", text) if part]
    # The count of digits stands in for the number, which may be too long to be one.
    return tuple(
        (0, len(part.lstrip("0")), part.lstrip("0")) if part.isdecimal() else (1, 0, part.casefold()) for part in parts
    )


def matcher(pattern: str) -> Callable[[str], bool] | None:
    """What tells which texts (casefolded) a filter keeps, None where it keeps all.

    The pattern is looked for anywhere, small and capital letters alike; a leading `!` keeps the others, a leading `~` asks
    only for its letters in that order.
    """
    inverse = pattern.startswith("!")
    rest = pattern.removeprefix("!")
    fuzzy = rest.startswith("~")
    needle = rest.removeprefix("~").strip().casefold()
    if not needle:
        return None
    if fuzzy:
        found = re.compile(".*?".join(re.escape(letter) for letter in needle if not letter.isspace()), re.DOTALL)
        return lambda text: (found.search(text) is None) is inverse
    return lambda text: (needle not in text) is inverse


def arranged(
    rows: Iterable[Row],
    column: Column[Row],
    *,
    descending: bool,
    pattern: str,
    haystack: Callable[[Row], str],
    tie: Callable[[Row], Any],
) -> list[Row]:
    """The rows that pass the filter, in order; unknown values come last whichever way it sorts.

    `pattern` is looked for anywhere in a row (see `matcher`).
    """
    matches = matcher(pattern)
    kept = [row for row in rows if matches(haystack(row))] if matches else list(rows)
    valued = [(column.order(row), row) for row in kept]
    known = [item for item in valued if item[0] is not None]
    known.sort(key=lambda item: tie(item[1]))
    known.sort(key=itemgetter(0), reverse=descending)
    unknown = sorted((row for value, row in valued if value is None), key=tie)
    return [row for _, row in known] + unknown


class LiveTable(ScrollView, Generic[Row], can_focus=True, inherit_bindings=False):
    """Keyed rows under a fixed heading, with a cursor. It never scrolls sideways, so left and right are left to the time line.

    One that `follows` is of things that come in at its top: until the cursor is moved off the first row it stays there, and
    the first row stays in sight while it was.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--heading", "table--cursor", "table--cursor-blurred"}
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(commands.TABLE)]

    class Opened(Message):
        """The row under the cursor was opened."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Moved(Message):
        """The cursor stands on another row, or on none."""

        def __init__(self, key: str | None) -> None:
            super().__init__()
            self.key = key

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        *,
        key: Callable[[Row], str],
        haystack: Callable[[Row], str],
        now: datetime,
        follows: bool = False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._key = key
        self._haystack = haystack
        self._now = now
        self._follows, self._pinned = follows, False
        self._over: int | None = None
        self._all: Sequence[Row] = ()
        self._rows: list[Row] = []
        self._places: dict[str, int] | None = None
        self._sized: list[tuple[Column[Row], int]] = []
        self._drawn: dict[int, Line] = {}
        self._lines: dict[int, Line] = {}
        self._strips: dict[tuple[Line, str], Strip] = {}
        self._cursor_key: str | None = None
        self._cursor = 0
        self._sort = 0
        self._descending = False
        self.pattern = ""
        self.empty_text = ""
        self.stale = False

    # What stands in it -------------------------------------------------------------------------------------------------------------------------

    @property
    def columns(self) -> Sequence[Column[Row]]:
        """All columns, shown or not."""
        return self._columns

    @property
    def row_count(self) -> int:
        """Rows that pass the filter."""
        return len(self._rows)

    @property
    def total(self) -> int:
        """Rows with or without the filter."""
        return len(self._all)

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor."""
        return self._key(self._rows[self._cursor]) if self._rows else None

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._cursor] if self._rows else None

    @property
    def cursor_text(self) -> str:
        """The row under the cursor as it is drawn, its columns parted by tabs."""
        row = self.cursor_row
        if row is None:
            return ""
        return "\t".join(
            "".join(part.text for part in column.draw(row, self._now)).strip() for column, _ in self._sized
        )

    @property
    def rows(self) -> Sequence[Row]:
        """The rows in the order shown."""
        return self._rows

    @property
    def keys(self) -> list[str]:
        """The keys of the rows in the order shown."""
        return [self._key(row) for row in self._rows]

    def show(self, rows: Sequence[Row], now: datetime, *, stale: bool = False) -> None:
        """Takes the rows of a new snapshot, or the same rows at a later time."""
        self._now, self.stale = now, stale
        self._lines.clear()
        if rows is not self._all:
            self._all = rows
            self._arrange()
        self._repaint()

    def filter(self, pattern: str) -> None:
        """Keeps the rows that hold `pattern`, or with a leading `!` those that do not; an empty one keeps all."""
        if pattern != self.pattern:
            self.pattern = pattern
            self._arrange()
            self._repaint()

    def place(self, key: str, *, over: int | None = None) -> None:
        """Puts the cursor on the row of that key, where there is one; so many rows stay `over` it where those below are to be seen too."""
        index = self._index(key)
        if index is not None:
            self._go(index, over)

    def _index(self, key: str) -> int | None:
        """Where the row of a key stands; worked out once an arrangement, and only where it is asked."""
        if self._places is None:
            self._places = {self._key(row): number for number, row in enumerate(self._rows)}
        return self._places.get(key)

    def _arrange(self) -> None:
        self._lines.clear()
        self._over = None
        place = self._cursor - round(self.scroll_y)
        self._rows = arranged(
            self._all,
            self._columns[self._sort],
            descending=self._descending,
            pattern=self.pattern,
            haystack=self._haystack,
            tie=lambda row: natural(self._key(row)),
        )
        self._places = None
        before = wanted = self._cursor_key
        follows_on = self._follows and round(self.scroll_y) == 0
        if self._follows and not self._pinned:
            self._cursor, wanted = 0, None
        found = self._index(wanted) if wanted else None
        self._cursor = found if found is not None else min(self._cursor, max(0, len(self._rows) - 1))
        self._cursor_key = self.cursor_key
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        # What comes in above is seen as long as the first row was.
        if self.is_attached and found is not None and not follows_on:
            self.scroll_to(y=self._cursor - place, animate=False, immediate=True)
        self._keep_cursor_in_sight()
        if self._cursor_key != before:
            self.post_message(self.Moved(self._cursor_key))

    # Moving ------------------------------------------------------------------------------------------------------------------------------------

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def _go(self, index: int, over: int | None = None) -> None:
        if not self._rows:
            return
        self._over = over
        self._pinned = index > 0
        before, self._cursor = self._cursor, max(0, min(index, len(self._rows) - 1))
        self._cursor_key = self.cursor_key
        self._keep_cursor_in_sight()
        if before != self._cursor:
            for row in (before, self._cursor):
                self._refresh_row(row)
            self.post_message(self.Moved(self._cursor_key))

    def _keep_cursor_in_sight(self) -> None:
        top = round(self.scroll_y)
        wanted = min(max(top, self._cursor - self._page + 1), self._cursor)
        if self._over is not None:
            wanted = max(0, self._cursor - min(self._over, self._page - 1))
        if wanted != top and self.is_attached:
            self.scroll_to(y=wanted, animate=False, immediate=True)

    def _refresh_row(self, index: int) -> None:
        y = index - round(self.scroll_y) + 1
        if 1 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def action_move(self, by: int) -> None:
        """Moves the cursor by rows."""
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Moves the cursor by pages."""
        self._go(self._cursor + by * self._page)

    def action_edge(self, side: int) -> None:
        """Moves the cursor to the first or the last row."""
        self._go(0 if side < 0 else len(self._rows) - 1)

    def action_open(self) -> None:
        """Opens the row under the cursor."""
        if self.cursor_key is not None:
            self.post_message(self.Opened(self.cursor_key))

    def action_sort(self) -> None:
        """Sorts by the next column that is shown."""
        shown = [self._columns.index(column) for column, _ in self._sized] or [0]
        later = [index for index in shown if index > self._sort]
        self.sort_by(later[0] if later else shown[0])

    def sort_by(self, index: int, *, descending: bool = False) -> None:
        """Sorts by the column of that number."""
        self._sort, self._descending = index, descending
        self._arrange()
        self.refresh()

    def action_reverse(self) -> None:
        """Turns the order round."""
        self.sort_by(self._sort, descending=not self._descending)

    def on_click(self, event: Click) -> None:
        """A click chooses a row, a second one opens it; on the heading it sorts."""
        if event.y > 0:
            index = round(self.scroll_y) + event.y - 1
            if index < len(self._rows):
                self._go(index)
                if event.chain > 1:
                    self.action_open()
            return
        x = 0
        for column, width in self._sized:
            if x <= event.x < x + width:
                index = self._columns.index(column)
                self.sort_by(index, descending=index == self._sort and not self._descending)
                return
            x += width + 1

    # Drawing -----------------------------------------------------------------------------------------------------------------------------------

    def on_resize(self, _event: Resize) -> None:
        """Chooses the columns for the new width."""
        # The scrollbar stands inside the size.
        self._sized = fitting_columns(self._columns, self.scrollable_content_region.width)
        self._lines.clear()
        self._strips.clear()
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self._keep_cursor_in_sight()
        self.refresh()

    def _repaint(self) -> None:
        """Repaints the visible lines whose text is no longer what was drawn."""
        if not self.is_attached or not self.size.width:
            return
        top = round(self.scroll_y)
        drawn, self._drawn = self._drawn, {}
        for y in range(1, self.size.height):
            line = self._row_line(top + y - 1)
            self._drawn[y] = line
            if drawn.get(y) != line:
                self.refresh(Region(0, y, self.size.width, 1))

    def _row_line(self, index: int) -> Line:
        """A row as it is drawn; kept until the rows, the time or the width change, so that scrolling draws only what is new."""
        line = self._lines.get(index)
        if line is None:
            line = self._lines[index] = self._new_line(index)
        return line

    def _new_line(self, index: int) -> Line:
        if index >= len(self._rows):
            return (
                (Piece(f" {self.empty_text}", "muted"),)
                if index == 0 and not self._rows and self.empty_text
                else paint.BLANK
            )
        row = self._rows[index]
        line: list[Piece] = []
        for column, width in self._sized:
            if line:
                line.append(Piece(" "))
            drawn = column.draw(row, self._now)
            line += paint.fit(folding.end_of(drawn, width) if column.keeps_end else drawn, width, right=column.right)
        if self.stale:
            line = [Piece(part.text, "stale" if part.role in ("text", "strong") else part.role) for part in line]
        return tuple(line)

    def _heading(self) -> Line:
        line: list[Piece] = []
        for column, width in self._sized:
            sorted_by = self._columns[self._sort] is column
            arrow = ("↓" if self._descending else "↑") if sorted_by else ""
            title = f"{arrow}{column.title}" if column.right else f"{column.title}{arrow}"
            if line:
                line.append(Piece(" "))
            line.append(Piece(paint.fit_text(title, width, right=column.right), "accent" if sorted_by else "muted"))
        return tuple(line)

    def render_line(self, y: int) -> Strip:
        """One row, for the compositor."""
        width = self.size.width
        if y == 0:
            return self._strip(self._heading(), "table--heading", width)
        index = round(self.scroll_y) + y - 1
        line = self._drawn[y] = self._row_line(index)
        on_cursor = index == self._cursor and bool(self._rows)
        name = ("table--cursor" if self.has_focus else "table--cursor-blurred") if on_cursor else ""
        return self._strip(line, name, width)

    def _strip(self, line: Line, component: str, width: int) -> Strip:
        """A line in its colours; the same line is not coloured twice."""
        found = self._strips.get((line, component))
        if found is None:
            if len(self._strips) > _STRIPS_KEPT:
                self._strips.clear()
            found = self._strips[line, component] = to_strip(self, line, width, self._base(component))
        return found

    def notify_style_update(self) -> None:
        """Forgets the colours of another theme."""
        super().notify_style_update()
        self._strips.clear()

    def _base(self, component: str) -> Style:
        base = self.visual_style.rich_style
        return base + self.get_component_rich_style(component, partial=True) if component else base

    def watch_has_focus(self, value: bool) -> None:
        """Draws the cursor as bright as it is."""
        super().watch_has_focus(value)
        self._refresh_row(self._cursor)
