"""The geometry of the time line: which cell a moment falls on, where the clock's ticks are, and where words fit beside marks.

Pure, in cells from 0 to `room` - 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_TICKS = (
    *(15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY),
)
_ASIDE = 3
_ROUND = (1, 5, 15, 30, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR)


@dataclass(frozen=True, slots=True)
class Axis:
    """A window of time over `room` cells."""

    start: datetime
    end: datetime
    room: int

    @property
    def cell_seconds(self) -> float:
        """The seconds that one cell stands for."""
        return (self.end - self.start).total_seconds() / max(1, self.room)

    def cell(self, at: datetime) -> int | None:
        """The cell of a moment, None outside the window."""
        if not self.start <= at <= self.end or self.room < 1 or self.cell_seconds <= 0:
            return None
        return min(int((at - self.start).total_seconds() / self.cell_seconds), self.room - 1)

    def moment(self, cell: int) -> datetime:
        """The middle of a cell."""
        return self.start + timedelta(seconds=(cell + 0.5) * self.cell_seconds)

    def round_moment(self, cell: int) -> datetime:
        """A moment of a cell that is easily said."""
        unit = max((size for size in _ROUND if size <= self.cell_seconds), default=1)
        found = datetime.fromtimestamp(round(self.moment(cell).timestamp() / unit) * unit, UTC)
        return min(max(found, self.start), self.end)

    def ticks(self, zone: tzinfo, apart: int) -> list[tuple[int, datetime]]:
        """Round times of `zone` and their cells, at least `apart` cells from each other."""
        least = apart * self.cell_seconds
        every = next((size for size in _TICKS if size >= least), None)
        if every is None or self.cell_seconds <= 0:
            return []
        offset = self.start.astimezone(zone).utcoffset() or timedelta()
        local = self.start.timestamp() + offset.total_seconds()
        first = -(-local // every) * every - offset.total_seconds()
        found: list[tuple[int, datetime]] = []
        for number in range(self.room + 1):
            at = datetime.fromtimestamp(first + number * every, UTC)
            cell = self.cell(at)
            if cell is None:
                break
            found.append((cell, at))
        return found


@dataclass(frozen=True, slots=True)
class Wish:
    """A mark's cell, the widths of its words from the shortest form to the longest, and whether they may stand before it."""

    cell: int
    widths: tuple[int, ...]
    before: bool = True


@dataclass(frozen=True, slots=True)
class Placed:
    """Words on the line: those of the wish of that number in one of their forms, from cell `start` on, `width` cells."""

    number: int
    form: int
    start: int
    width: int
    mark: int


def place(wishes: Sequence[Wish], taken: Iterable[int], room: int) -> list[Placed]:
    """Puts words beside their marks where there is room: behind, else before; never on a mark, on other words or outside.

    Earlier wishes come first; longer forms get what room is left. One cell stays free between words and their mark, and
    between words and whatever else.
    """
    marks = {*taken, *(wish.cell for wish in wishes)}
    placed: dict[int, Placed] = {}
    for form in range(max((len(wish.widths) for wish in wishes), default=0)):
        for number, wish in enumerate(wishes):
            if form >= len(wish.widths) or (form and number not in placed):
                continue
            width, others = wish.widths[form], [each for each in placed.values() if each.number != number]
            behind, before = wish.cell + 2, wish.cell - 1 - width
            sides = [behind, before] if wish.before else [behind]
            if form:
                # Words keep their side: a longer form is not worth a jump over the mark.
                sides = [behind if placed[number].start > wish.cell else before]
            start = next((at for at in sides if _is_free(at, width, wish.cell, marks, others, room)), None)
            if start is not None:
                placed[number] = Placed(number, form, start, width, wish.cell)
    return sorted(placed.values(), key=lambda each: each.start)


def _is_free(start: int, width: int, mark: int, marks: set[int], others: Sequence[Placed], room: int) -> bool:
    if width < 1 or start < 0 or start + width > room:
        return False
    around = _around(start, width, mark)
    if any(at in marks and at != mark for at in around):
        return False
    words = range(start, start + width)
    return not any(
        _overlap(around, range(each.start, each.start + each.width))
        or _overlap(words, _around(each.start, each.width, each.mark))
        for each in others
    )


def _around(start: int, width: int, mark: int) -> range:
    """The cells of words with those that stay free around them: before words that stand before their mark, enough to show whose they are."""
    return range(start - (1 if mark < start else _ASIDE), start + width + 1)


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop
