"""The time line: which moment is shown, what happened around it, and how to move. There only while it is open.

`time_lines` is pure: a heading, the axis, and from forty rows on a scale of its own under it. The axis is drawn in the
worst health of the moment, with a mark where something turned and its name where there is room; dots are times of which
nothing was kept. A click goes to a moment, or to the very turn it hits; the wheel steps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.cells import cell_len
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.message import Message

from lpmops.model import Turn
from lpmops.tui import marks, paint, words
from lpmops.tui.axis import Axis, Wish, place
from lpmops.tui.marks import Mark
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene, TimeLine
from lpmops.tui.widgets.drawn import Drawn

_TALL = 40
_NARROWEST = 16
_ENDED = "◇"
_LONGEST_LABEL = 28
_TICKED = {"─": "┬", "━": "┯", "╌": "┬"}
_APART = 12
_CALM = ("frame", "faint")


def time_rows(height: int) -> int:
    """Lines that the time line takes while it is open, on a screen of `height` rows."""
    return 3 if height >= _TALL else 2


def time_lines(scene: Scene, line: TimeLine, width: int, rows: int = 2) -> list[Line]:
    """The time line in `rows` lines of `width` cells, two or three."""
    return [heading(scene, line, width), *TimeChart(scene, line, width, rows).lines()]


# The heading -------------------------------------------------------------------------------------------------------------------------------------


def heading(scene: Scene, line: TimeLine, width: int) -> Line:
    """Which moment is shown and how long ago it was, what turned then or before, and how far a step goes."""
    today = scene.today or scene.now
    right: Line = (
        Piece(f"{lasting((line.end - line.start).total_seconds())} in steps of {lasting(line.seconds)} ", "muted"),
    )
    if line.moment is None:
        forms: list[Line] = [(Piece(" NOW ", "accent"), Piece("  the past is to the left", "muted"))]
    else:
        at = line.moment.astimezone(scene.zone)
        short = f"{at:%b %d} {words.clock(line.moment, scene.zone)}"
        forms = [
            (Piece(f" PAST {text} ", "past"), Piece(f"  {long_ago(line.moment, today)}", "strong"))
            for text in (words.moment(line.moment, scene.zone), short)
        ]
    news, ago = _news(scene, line)
    # What turned is read before the year, and both before how long a step is.
    for left, more, tail in (
        (forms[0], ago, right), (forms[-1], ago, right), (forms[0], ago, ()), (forms[-1], ago, ()), (forms[-1], (), ())
    ):  # fmt: skip
        if paint.width_of((*left, *news, *more, *tail)) + 2 <= width:
            return paint.spread((*left, *news, *more), tail, width)
    return paint.fit((*forms[-1], *news), width)


def lasting(seconds: float) -> str:
    """A length of time in at most two units: `10 h 50 min`, `1 h`, `15 s`."""
    whole = max(0, int(seconds))
    for size, unit, smaller, below in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def long_ago(at: datetime, today: datetime) -> str:
    """How long ago: `10 h 50 min ago`."""
    seconds = (today - at).total_seconds()
    return f"{lasting(seconds)} ago" if seconds >= 0 else "ahead of this machine's clock"


def _news(scene: Scene, line: TimeLine) -> tuple[Line, Line]:
    """A fault, what is being read, or what turned at the moment or before it; and how long before."""
    if line.fault:
        return (Piece("   ✖ ", "bad"), paint.piece(line.fault)), ()
    if line.loading and line.wanted is not None:
        return (Piece(f"   reading {words.clock(line.wanted, scene.zone)} …", "accent"),), ()
    if line.kept is not None and line.moment == line.kept[0]:
        return (Piece("   the first moment that was kept", "muted"),), ()
    here = line.moment or line.end
    before = [turn for turn in line.turns if turn.at <= here]
    if not before:
        return (), ()
    last = max(turn.at for turn in before)
    found = sorted(_told([turn for turn in before if turn.at == last]), key=weight)
    more = (Piece(f"  +{len(found) - 1} more", "muted"),) if len(found) > 1 else ()
    since = int((here - last).total_seconds())
    ago: Line = (Piece(f"  {lasting(since)} {'before' if line.moment else 'ago'}", "muted"),) if since else ()
    return (Piece("   "), *said(found[-1]), *more), ago


def _told(turns: Sequence[Turn]) -> list[Turn]:
    """The turns of one moment without the health that a suspicion of the same environment explains."""
    explained = {turn.environment for turn in turns if turn.kind == "suspect" and turn.began}
    return [turn for turn in turns if turn.kind == "suspect" or turn.environment not in explained]


def said(turn: Turn) -> Line:
    """A turn of events in a few words: `▲ prod asa.saturated began`."""
    mark = mark_of(turn)
    return (
        Piece(f"{mark.glyph} ", mark.role),
        paint.piece(f"{turn.environment} ", "muted"),
        paint.piece(words_of(turn, "began"), mark.role),
    )


def mark_of(turn: Turn) -> Mark:
    """How a turn looks: as bad as the health it led to; a suspicion that begins is never calm, one that ends is."""
    mark = marks.of_health(turn.health)
    if turn.kind != "suspect":
        return mark
    if not turn.began:
        return Mark(_ENDED, "ended", "muted", -1)
    return marks.DEGRADED if mark is marks.FINE else mark


def weight(turn: Turn) -> tuple[int, bool]:
    """What orders turns by how bad they are; a suspicion says more than the health it explains."""
    return mark_of(turn).weight, turn.kind == "suspect"


def words_of(turn: Turn, began: str = "") -> str:
    """What turned: a health by its word, a suspicion by its id and whether it `began` or ended."""
    if turn.kind != "suspect":
        return marks.of_health(turn.health).word
    return f"{turn.what} {began if turn.began else 'ended'}".strip()


# The axis ----------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Label:
    """A turn that stands for its cell, with its name in a short and a long form."""

    cell: int
    turn: Turn
    forms: tuple[str, ...]


class TimeChart:
    """The lines under the heading, and what a click on them means."""

    def __init__(self, scene: Scene, line: TimeLine, width: int, rows: int) -> None:
        self._scene, self._line, self._width, self._rows = scene, line, width, rows
        today = scene.today or scene.now
        self._start = _label(line.start, scene)
        self._is_live = line.end >= today - timedelta(seconds=max(10.0, line.seconds))
        self._end = "now" if self._is_live else _label(line.end, scene)
        # A scale of its own says the times, so that the axis can have the whole width.
        self._left = 1 if rows > 2 else len(self._start) + 2
        self._axis = Axis(line.start, line.end, width - self._left - (1 if rows > 2 else len(self._end) + 2))
        self._labels = self._worst_of_each_cell()
        taken = {cell for cell in self._cursors() if cell is not None}
        wishes = [
            # Words before a mark are read as late, which only trouble is worth.
            Wish(label.cell, tuple(map(cell_len, label.forms)), mark_of(label.turn).weight > marks.FINE.weight)
            for label in self._labels
        ]
        self._placed = place(wishes, taken, self._axis.room)

    def lines(self) -> list[Line]:
        """The axis, and its scale where there is a line for it."""
        if self._axis.room < _NARROWEST:
            return [paint.crop((Piece(f" {self._start} – {self._end}", "muted"),), self._width)]
        axis = self._drawn()
        if self._rows > 2:
            return [(Piece(" "), *axis), self._scale()]
        end = Piece(f" {self._end} ", "accent" if self._is_live else "muted")
        return [(Piece(f" {self._start} ", "muted"), *axis, end)]

    def moment_at(self, x: int) -> datetime | None:
        """The moment under a column of the widget: that of a turn where its mark or name stands, None beside the axis."""
        cell = x - self._left
        if not 0 <= cell < self._axis.room or self._axis.room < _NARROWEST:
            return None
        for each in self._placed:
            if each.start <= cell < each.start + each.width:
                return self._labels[each.number].turn.at
        if (label := next((label for label in self._labels if label.cell == cell), None)) is not None:
            return label.turn.at
        if self._is_live and cell == self._axis.room - 1:
            return self._scene.today or self._scene.now
        return self._axis.round_moment(cell)

    def _worst_of_each_cell(self) -> list[_Label]:
        worst: dict[int, Turn] = {}
        for turn in self._line.turns:
            cell = self._axis.cell(turn.at)
            if cell is not None and (cell not in worst or weight(turn) >= weight(worst[cell])):
                worst[cell] = turn
        found = sorted(worst.items(), key=lambda item: (*weight(item[1]), item[0]), reverse=True)
        return [_Label(cell, turn, _forms(turn)) for cell, turn in found]

    def _cursors(self) -> tuple[int | None, int | None]:
        """The cell of the moment that is shown, and of the one that is being read."""
        line = self._line
        return self._axis.cell(line.moment or line.end), self._axis.cell(line.wanted or line.end)

    def _drawn(self) -> Line:
        cells: list[Piece | None] = list(self._ground())
        words_on_it: set[int] = set()
        for each in self._placed:
            label = self._labels[each.number]
            around = range(max(0, each.start - 1), min(each.start + each.width + 1, len(cells)))
            words_on_it.update(around)
            cells[around.start : around.stop] = [Piece(" ")] * len(around)
            cells[each.start] = Piece(label.forms[each.form], mark_of(label.turn).role)
            cells[each.start + 1 : each.start + each.width] = [None] * (each.width - 1)
        for label in self._labels:
            mark = mark_of(label.turn)
            cells[label.cell] = Piece(mark.glyph, mark.role)
        shown, wanted = self._cursors()
        marked = {label.cell for label in self._labels}
        self._draw_ticks(cells, words_on_it | marked | {cell for cell in (shown, wanted) if cell is not None})
        if wanted is not None and wanted != shown:
            cells[wanted] = Piece("┃", "then")
        if shown is not None:
            under = cells[shown]
            glyph = under.text if under is not None and shown in marked else "┃"
            cells[shown] = Piece(glyph, "past" if self._line.moment else "accent")
        return _merged(cells)

    def _ground(self) -> list[Piece]:
        """The axis without anything on it, in the worst health of each cell's time."""
        courses = _courses(self._line)
        pieces: list[Piece] = []
        for cell in range(self._axis.room):
            at = self._axis.moment(cell)
            worst = max((mark for course in courses if (mark := _known_at(course, at))), key=_weight_of, default=None)
            if not self._is_kept(at):
                pieces.append(Piece("·", "faint"))
            elif worst is None or worst is marks.FINE:
                pieces.append(Piece("─", "frame"))
            else:
                pieces.append(Piece("╌" if worst is marks.UNKNOWN else "━", worst.role))
        return pieces

    def _is_kept(self, at: datetime) -> bool:
        kept = self._line.kept
        # What is newer than the newest snapshot is known by it, as far as now.
        return kept is not None and kept[0] - timedelta(seconds=self._axis.cell_seconds) <= at

    def _draw_ticks(self, cells: list[Piece | None], taken: set[int]) -> None:
        """Round times: on the axis itself where it has no scale and they have room, else as ticks."""
        for cell, at in self._axis.ticks(self._scene.zone, _APART):
            text = _tick_text(at, self._scene)
            start, stop = cell - len(text) // 2 - 1, cell - len(text) // 2 + len(text) + 1
            around = cells[max(0, start) : stop]
            # Words over trouble would shorten it.
            is_calm = all(piece is not None and piece.role in _CALM for piece in around)
            fits = start >= 0 and stop <= len(cells) and taken.isdisjoint(range(start, stop))
            if self._rows <= 2 and fits and is_calm:
                cells[start:stop] = [Piece(f" {text} ", "muted"), *[None] * (stop - start - 1)]
            elif cell not in taken and (under := cells[cell]) is not None:
                cells[cell] = Piece(_TICKED.get(under.text, under.text), under.role)

    def _scale(self) -> Line:
        """Round times under their ticks, and the moment under the cursor."""
        cells: list[Piece | None] = [Piece(" ")] * self._width
        shown, _ = self._cursors()
        line = self._line
        if shown is not None:
            exact = _label(line.moment, self._scene, seconds=True) if line.moment else "now"
            _write(cells, Piece(f" {exact} ", "past" if line.moment else "accent"), self._left + shown)
        for cell, at in self._axis.ticks(self._scene.zone, _APART):
            _write(cells, Piece(_tick_text(at, self._scene), "muted"), self._left + cell)
        return _merged(cells)


def _write(cells: list[Piece | None], text: Piece, middle: int) -> None:
    """Writes `text` around a cell, moved inside where it would stick out; nothing where something stands already."""
    width = len(text.text)
    start = max(0, min(middle - width // 2, len(cells) - width))
    around = cells[max(0, start - 1) : start + width + 1]
    if all(piece is not None and piece.text == " " for piece in around):
        cells[start : start + width] = [text, *[None] * (width - 1)]


def _courses(line: TimeLine) -> list[list[tuple[datetime, Mark]]]:
    """The health of each environment from moment to moment, oldest first."""
    found: dict[str, list[tuple[datetime, Mark]]] = {}
    for at, name, health in line.before:
        found.setdefault(name, []).append((at, marks.of_health(health)))
    for turn in line.turns:
        if turn.kind != "suspect":
            found.setdefault(turn.environment, []).append((turn.at, marks.of_health(turn.health)))
    return [sorted(course, key=lambda each: each[0]) for course in found.values()]


def _known_at(course: Sequence[tuple[datetime, Mark]], at: datetime) -> Mark | None:
    index = bisect_right(course, at, key=lambda each: each[0])
    return course[index - 1][1] if index else None


def _weight_of(mark: Mark) -> int:
    return mark.weight


def _forms(turn: Turn) -> tuple[str, ...]:
    """The name of a turn, the shortest form first: without its stage, whole, with its environment."""
    whole = paint.crop_text(paint.piece(words_of(turn)).text, _LONGEST_LABEL)
    name = paint.crop_text(paint.piece(turn.environment).text, _LONGEST_LABEL)
    mark = mark_of(turn)
    short = whole.partition(".")[2] if turn.kind == "suspect" else ""
    forms = (mark.word if mark is marks.DOWN else "", short, whole, f"{name} {whole}")
    return tuple(dict.fromkeys(form for form in forms if form))


def _merged(cells: Iterable[Piece | None]) -> Line:
    """The pieces, neighbours of one role made one; None is a cell that words before it take."""
    line: list[Piece] = []
    for part in cells:
        if part is None:
            continue
        if line and line[-1].role == part.role:
            line[-1] = Piece(line[-1].text + part.text, part.role)
        else:
            line.append(part)
    return tuple(line)


def _label(at: datetime, scene: Scene, *, seconds: bool = False) -> str:
    """The time of day, with the day where that is another one than today."""
    local, today = at.astimezone(scene.zone), (scene.today or scene.now).astimezone(scene.zone)
    time = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    return time if local.date() == today.date() else f"{local:%b %d} {time}"


def _tick_text(at: datetime, scene: Scene) -> str:
    local = at.astimezone(scene.zone)
    return f"{local:%H:%M}" if (local.hour, local.minute) != (0, 0) else f"{local:%b %d}"


class TimeBar(Drawn):
    """The time line at the foot of every screen."""

    class Chosen(Message):
        """A moment was clicked on."""

        def __init__(self, moment: datetime) -> None:
            super().__init__()
            self.moment = moment

    class Stepped(Message):
        """The wheel was turned: so many steps on, or back where it is negative."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.scene: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Takes new values; there is nothing to see while the line is closed."""
        self.scene = scene
        self.display = scene.line is not None
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Two or three lines, or none."""
        if self.scene is None or self.scene.line is None:
            return []
        return time_lines(self.scene, self.scene.line, size.width, self._rows)

    @property
    def _rows(self) -> int:
        return time_rows(self.screen.size.height)

    def on_click(self, event: Click) -> None:
        """Goes to the moment that was clicked on."""
        if self.scene is None or self.scene.line is None or event.y < 1:
            return
        moment = TimeChart(self.scene, self.scene.line, self.size.width, self._rows).moment_at(event.x)
        if moment is not None:
            self.post_message(self.Chosen(moment))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """One step back."""
        event.stop()
        self.post_message(self.Stepped(-1))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """One step on."""
        event.stop()
        self.post_message(self.Stepped(1))
