"""The time line: which moment is shown, what happened around it, and how to move. Two lines, there only while it is open.

`time_lines` is pure. The moment is a mark on the line, turns of events are the marks of what began, worst first where
two fall on one cell; what nobody kept is dotted.
"""

from __future__ import annotations

from datetime import datetime

from textual.geometry import Size

from lpmops.model import Turn
from lpmops.tui import marks, paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene, TimeLine
from lpmops.tui.widgets.drawn import Drawn


def time_lines(scene: Scene, line: TimeLine, width: int) -> list[Line]:
    """What moment this is, and the line."""
    return [_heading(scene, line, width), _axis(scene, line, width)]


def _heading(scene: Scene, line: TimeLine, width: int) -> Line:
    if line.moment is None:
        left: tuple[Piece, ...] = (Piece(" NOW ", "accent"), Piece(" the past is to the left", "muted"))
    else:
        ago = words.age(words.age_seconds(scene.today or scene.now, line.moment))
        left = (Piece(f" PAST {words.moment(line.moment, scene.zone)} ", "past"), Piece(f" {ago} ago", "text"))
    if line.fault:
        left = (*left, paint.piece(f"  {line.fault}", "bad"))
    elif line.loading:
        left = (*left, Piece("  reading …", "muted"))
    elif (near := _near(line)) is not None:
        left = (*left, Piece("  "), *_said(near))
    step = words.duration(line.seconds)
    right = (Piece(f"a step is {step} ", "muted"),)
    return paint.spread(left, right if width >= 100 else (), width)


def _near(line: TimeLine) -> Turn | None:
    """The turn of events that the moment stands on."""
    if line.moment is None:
        return None
    at = line.moment
    near = [turn for turn in line.turns if abs((turn.at - at).total_seconds()) <= line.seconds / 2]
    return max(near, key=_weight, default=None)


def _said(turn: Turn) -> Line:
    mark = marks.of_health(turn.health)
    what = f"{turn.what} began" if turn.kind == "suspect" and turn.began else turn.what
    what = f"{turn.what} ended" if turn.kind == "suspect" and not turn.began else what
    return (
        Piece(f"{mark.glyph} ", mark.role),
        paint.piece(f"{turn.environment} ", "muted"),
        paint.piece(what, mark.role),
    )


def _weight(turn: Turn) -> tuple[int, bool]:
    return (marks.of_health(turn.health).weight if turn.began else -1, turn.kind == "suspect")


def _axis(scene: Scene, line: TimeLine, width: int) -> Line:
    start, end = _label(line.start, scene), _label(line.end, scene)
    room = width - len(start) - len(end) - 4
    if room < 10:
        return paint.crop((Piece(f" {start}–{end}", "muted"),), width)
    cells = [_ground(line, index, room) for index in range(room)]
    for turn in sorted(line.turns, key=_weight):
        index = _cell(line, turn.at, room)
        if index is not None:
            mark = marks.of_health(turn.health)
            cells[index] = Piece(mark.glyph if turn.began else "╵", mark.role if turn.began else "muted")
    at = _cell(line, line.moment or line.end, room)
    if at is not None:
        glyph = cells[at].text if cells[at].text not in "─·" else "┃"
        cells[at] = Piece(glyph, "past" if line.moment else "accent")
    return (Piece(f" {start} ", "muted"), *cells, Piece(f" {end} ", "muted"))


def _ground(line: TimeLine, index: int, room: int) -> Piece:
    """Whether anything is kept of that part of the time."""
    if line.kept is None:
        return Piece("·", "faint")
    middle = line.start + (line.end - line.start) * ((index + 0.5) / room)
    return Piece("─", "muted") if line.kept[0] <= middle <= max(line.kept[1], line.end) else Piece("·", "faint")


def _cell(line: TimeLine, at: datetime, room: int) -> int | None:
    span = (line.end - line.start).total_seconds()
    index = int((at - line.start).total_seconds() / span * room) if span > 0 else 0
    return min(index, room - 1) if 0 <= index <= room else None


def _label(at: datetime, scene: Scene) -> str:
    local = at.astimezone(scene.zone)
    same_day = (scene.today or scene.now).astimezone(scene.zone).date() == local.date()
    return f"{local:%H:%M}" if same_day else f"{local:%b %d %H:%M}"


class TimeBar(Drawn):
    """The time line at the foot of every screen."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.scene: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Takes new values; there is nothing to see while the line is closed."""
        self.scene = scene
        self.display = scene.line is not None
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Two lines, or none."""
        if self.scene is None or self.scene.line is None:
            return []
        return time_lines(self.scene, self.scene.line, size.width)
