"""The calls of a company, or of all of an environment, by the minute as Stream Analytics counts them: one line for the hour, its course as bars,
and a table of its newest minutes, as far as there is room.

`calls_lines` is pure. A minute that has no row is a dot in the course and no line of the table: whether nobody called or counted can't be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from textual.geometry import Size

from lpmops.control import kpi
from lpmops.model import CallMinute
from lpmops.tui import answered, paint, ruler, words
from lpmops.tui.answers import Answer
from lpmops.tui.paint import Line, Piece
from lpmops.tui.questions import CALLS_EVERY
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn

_COLUMNS = (("minute", 8), ("calls", 7), ("answered", 10), ("failed", 8), ("mean", 9), ("p95", 9))
_TABLE = sum(width for _, width in _COLUMNS)
_LEAST_BAR = 10
_LEAST_TABLE, _LEAST_COURSE = 5, 2
_HOUR = timedelta(hours=1)


def calls_lines(
    answer: Answer[Sequence[CallMinute]], scene: Scene, width: int, rows: int, *, told: str = ""
) -> list[Line]:
    """The hour in a line, with two rows its course, with five or more a table of its newest minutes beneath.

    A fault that is `told` elsewhere is not repeated.
    """
    old = answered.is_old(answer, scene, CALLS_EVERY)
    minutes = answer.value
    lines = [_summary(answer, scene, width, old=old)]
    if answer.fault != told:
        lines += answered.fault_lines(answer, width, 2)
    if minutes is None:
        return lines
    if rows >= _LEAST_COURSE and minutes:
        lines.append(_course(minutes, scene, width, old=old))
    if rows < _LEAST_TABLE or not minutes or width < _TABLE:
        return lines
    newest = list(reversed(minutes))[: rows - 3]
    most = max(minute.calls for minute in newest)
    lines.append((Piece("".join(name.rjust(size) for name, size in _COLUMNS), "muted"),))
    return lines + [_minute(minute, most, scene, width, old=old) for minute in newest]


def _summary(answer: Answer[Sequence[CallMinute]], scene: Scene, width: int, *, old: bool) -> Line:
    left: tuple[Piece, ...] = (Piece(" calls ", "strong"),)
    state = answered.state(answer, scene, CALLS_EVERY)
    minutes = answer.value
    if minutes is None:
        return paint.spread(left, (*state, Piece(" ")), width)
    if not minutes:
        return (*left, Piece("none was counted in this hour", "muted"))
    role = "stale" if old else "text"
    failed = sum(minute.failed for minute in minutes)
    share = kpi.answered_share(sum(minute.answered for minute in minutes), failed)
    rate = Piece(words.UNKNOWN, "unknown") if share is None else Piece(f"{100 * share:.1f} %", role)
    parts: list[Line] = [
        (Piece(words.count(sum(minute.calls for minute in minutes)), role), Piece(" this hour", "muted")),
        (Piece("answered ", "muted"), rate),
        (Piece("failed ", "muted"), Piece(words.count(failed), "warn" if failed and not old else role)),
        (Piece("mean ", "muted"), Piece(words.duration(kpi.mean(minutes)), role)),
        (Piece("p95 up to ", "muted"), Piece(words.duration(kpi.highest_p95(minutes)), role)),
    ]
    # What does not fit whole is left out, the durations first.
    while len(parts) > 1 and paint.width_of((*left, *paint.joined(parts, Piece("  ")))) >= width:
        parts.pop()
    line = (*left, *paint.joined(parts, Piece("  ")))
    right = (*state, Piece(" "))
    return paint.spread(line, right if old or paint.width_of(line) + paint.width_of(right) < width else (), width)


def _course(minutes: Sequence[CallMinute], scene: Scene, width: int, *, old: bool) -> Line:
    """The hour minute by minute, the newest on the right, with its highest and how many of its minutes were not counted."""
    numbers = tuple(
        None if minute is None else float(minute.calls) for minute in kpi.course(minutes, scene.now - _HOUR, scene.now)
    )
    most = max(minute.calls for minute in minutes)
    missing = sum(number is None for number in numbers)
    left = Piece(" by minute ", "muted")
    words_behind = f" up to {words.count(most)}" + (f" · {missing} not counted" if missing else "")
    room = max(0, width - len(left.text) - len(words_behind) - 1)
    (bars,) = words.sparkline(numbers, min(room, len(numbers)))
    return paint.crop((left, Piece(bars, "stale" if old else "spark"), Piece(words_behind, "muted")), width)


def _minute(minute: CallMinute, most: int, scene: Scene, width: int, *, old: bool) -> Line:
    role = "stale" if old else "text"
    at = f"{minute.at.astimezone(scene.zone):%H:%M}"
    texts = (
        (at, "muted"),
        (words.count(minute.calls), role),
        (words.count(minute.answered), role),
        (words.count(minute.failed), "warn" if minute.failed and not old else role),
        (words.duration(minute.mean_duration), role if words.known(minute.mean_duration) else "unknown"),
        (words.duration(minute.p95_duration), role if words.known(minute.p95_duration) else "unknown"),
    )
    numbers = tuple(Piece(text.rjust(size), kind) for (text, kind), (_, size) in zip(texts, _COLUMNS, strict=True))
    room = width - _TABLE - 3
    return (*numbers, Piece("  "), *_bar(minute, most, room, old=old)) if room >= _LEAST_BAR else numbers


def _bar(minute: CallMinute, most: int, width: int, *, old: bool) -> Line:
    """Answered calls, then those neither answered nor failed, then the failed."""
    others = max(0, minute.calls - minute.answered - minute.failed)
    cells = [Piece(" ")] * width
    start = 0.0
    for number, sign, role in ((minute.answered, "━", "spark"), (others, "─", "muted"), (minute.failed, "━", "warn")):
        first, blocks = ruler.span(start, start + number, max(1, most), width)
        for offset in range(len(blocks)):
            cells[first + offset] = Piece(sign, "stale" if old else role)
        start += number
    return ruler.merged(cells)


class Calls(Drawn):
    """The calls of one company."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.scene: Scene | None = None
        self._answer: Answer[Sequence[CallMinute]] = Answer()
        self._rows, self._told = 1, ""

    def show(self, scene: Scene, answer: Answer[Sequence[CallMinute]], rows: int, *, told: str = "") -> None:
        """Takes new values; `told` is a fault that stands elsewhere on the screen."""
        self.scene, self._answer, self._rows, self._told = scene, answer, rows, told
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The hour, and its minutes."""
        if self.scene is None:
            return []
        return calls_lines(self._answer, self.scene, size.width, self._rows, told=self._told)
