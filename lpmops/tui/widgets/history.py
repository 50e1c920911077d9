"""A number over the last hour as tall bars, with its scale on the left and times beneath.

`history_lines` is pure. A column is a few seconds or minutes of the hour; one that nobody looked at is a dot, never
zero. Where a number is held against the limits they are lines through the plot, and what is over one says so by its
role.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from textual.geometry import Size

from lpmops.tui import answered, marks, paint, ruler, words
from lpmops.tui.answers import Answer
from lpmops.tui.feed import Limits
from lpmops.tui.paint import Line, Piece
from lpmops.tui.questions import HOUR, SERIES_EVERY, Points
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn

_LABEL = 8
_LEAST = 12
_STILL_SO = 2.5
# A steady rate stands below the middle, so that rises and falls both show.
_STEADY = 1.8
_LONGEST_STILL = timedelta(minutes=3)


def history_lines(
    title: str, answer: Answer[Points], scene: Scene, width: int, rows: int, *, limits: Limits | None = None
) -> list[Line]:
    """A heading, `rows` of bars, and the axis with its times; with `limits` the number is a latency in seconds."""
    write = words.duration if limits else words.short_count
    points = answer.value or ()
    old = answered.is_old(answer, scene, SERIES_EVERY)
    end = scene.past or scene.now
    room = max(1, width - _LABEL - 2)
    values = columns(points, end - HOUR, end, room)
    heading = _heading(title, points, write, answer, scene, width, old=old, limits=limits)
    if width < _LABEL + _LEAST:
        return [heading]
    known = [value for value in values if value is not None]
    if not known:
        nothing = "" if answer.at is None else "nothing was recorded in this hour"
        body: list[Line] = [(Piece(f" {nothing}", "muted"),), *[paint.BLANK] * (rows - 1)]
        return [heading, *body, *_axis(scene, end, width, room)]
    top = ruler.end_of(max(known), limits) if limits else max(max(known), _STEADY * median(known), 1.0)
    return [heading, *_plot(values, top, rows, write, scene, limits, old=old), *_axis(scene, end, width, room)]


def columns(points: Points, start: datetime, end: datetime, width: int) -> list[float | None]:
    """The highest points of the time from `start` to `end` in `width` columns, so that the plot shows what its heading calls the most.

    None where nobody looked; a column between two looks is as the one before.
    """
    span = (end - start).total_seconds()
    held: dict[int, list[float]] = {}
    inside = [(at, value) for at, value in points if start <= at <= end and words.known(value)]
    for at, value in inside:
        held.setdefault(min(width - 1, int((at - start).total_seconds() / span * width)), []).append(value)
    gaps = [(later - at).total_seconds() for (at, _), (later, _) in pairwise(inside)]
    still = min(_STILL_SO * median(gaps), _LONGEST_STILL.total_seconds()) if gaps else 0.0
    values: list[float | None] = []
    before, since = None, 0
    for index in range(width):
        if index in held:
            before, since = max(held[index]), index
        values.append(before if before is not None and (index - since) * span / width <= still else None)
    return values


def _heading(
    title: str,
    points: Points,
    write: Callable[[float | None], str],
    answer: Answer[Points],
    scene: Scene,
    width: int,
    *,
    old: bool,
    limits: Limits | None,
) -> Line:
    left: Line = (Piece(f" {title} ", "strong"),)
    known = [value for _, value in points if words.known(value)]
    if not known:
        return paint.spread(left, (*answered.state(answer, scene, SERIES_EVERY), Piece(" ")), width)
    right: list[Piece] = []
    for name, value in (("now" if not scene.past else "then", known[-1]), ("most", max(known))):
        role = "stale" if old else marks.of_latency(value, limits) if limits else "text"
        right += [Piece(f"  {name} ", "muted"), Piece(write(value), role)]
    age: Line = (Piece("  "), *answered.state(answer, scene, SERIES_EVERY))
    if old or paint.width_of((*left, *right, *age)) < width:
        right += age
    return paint.spread(left, (*right, Piece(" ")), width)


def _plot(
    values: Sequence[float | None],
    top: float,
    rows: int,
    write: Callable[[float | None], str],
    scene: Scene,
    limits: Limits | None,
    *,
    old: bool,
) -> list[Line]:
    labels = {0: write(top)}
    lined: set[int] = set()
    for limit in (limits.stretch, limits.latency) if limits else ():
        row = rows - 1 - int(limit / top * rows)
        if limit < top and row >= 0:
            labels[row] = write(limit)
            lined.add(row)
    lines: list[Line] = []
    for number, text in enumerate(words.bars(values, top, rows)):
        cells = [
            _cell(sign, value, scene, limits, lined=number in lined, old=old)
            for sign, value in zip(text, values, strict=True)
        ]
        label = labels.get(number, "")
        lines.append(
            (
                Piece(label.rjust(_LABEL - 1) + (" ┤" if label else " │"), "muted" if label else "faint"),
                *ruler.merged(cells),
            )
        )
    return lines


def _cell(sign: str, value: float | None, scene: Scene, limits: Limits | None, *, lined: bool, old: bool) -> Piece:
    if sign == " ":
        return Piece("┄" if lined else " ", "faint")
    if value is None:
        return Piece(sign, "faint")
    judged = marks.of_latency(value, scene.limits) if limits else "text"
    return Piece(sign, "muted" if old else "spark" if judged == "text" else judged)


def _axis(scene: Scene, end: datetime, width: int, room: int) -> list[Line]:
    zone = scene.zone
    start, middle = end - HOUR, end - HOUR / 2
    first, between, last = (f"{at.astimezone(zone):%H:%M}" for at in (start, middle, end))
    before = room // 2 - len(first) - len(between) // 2
    after = room - len(first) - before - len(between) - len(last)
    times = f"{first}{' ' * before}{between}{' ' * after}{last}" if before > 0 and after > 0 else first
    rule = Piece("0".rjust(_LABEL - 1) + " └" + "─" * room, "faint")
    return [(rule,), paint.crop((Piece(" " * (_LABEL + 1)), Piece(times, "muted")), width)]


class History(Drawn):
    """One number of one company over the last hour."""

    def __init__(self, title: str, *, is_latency: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title, self.is_latency = title, is_latency
        self.scene: Scene | None = None
        self._answer: Answer[Points] = Answer()
        self._rows = 3

    def show(self, scene: Scene, answer: Answer[Points], rows: int) -> None:
        """Takes new values."""
        self.scene, self._answer, self._rows = scene, answer, rows
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The plot, with why it could not be read in its place."""
        if self.scene is None:
            return []
        lines = history_lines(
            self.title,
            self._answer,
            self.scene,
            size.width,
            self._rows,
            limits=self.scene.limits if self.is_latency else None,
        )
        faults = answered.fault_lines(self._answer, size.width, 2)
        if faults and self._answer.value is None:
            return [lines[0], *faults, *[paint.BLANK] * (len(lines) - 1 - len(faults))]
        return lines
