"""The head of the logs: the sources as tabs, which of them is open, what is left out, and how old the answer is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from textual.events import Click
from textual.geometry import Size
from textual.message import Message

from lpmops.model import LogLine
from lpmops.tui import answered, frame, paint, words
from lpmops.tui.answers import Answer
from lpmops.tui.paint import Line, Piece
from lpmops.tui.questions import LOGS_EVERY
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.logs import LEVELS, SOURCE_NAMES, mark_of

_BETWEEN = 3
_LEFT = 2


@dataclass(frozen=True, slots=True)
class LogView:
    """What the frame tells: the sources, the open one, its answer, the least level, the filter and how many lines match it."""

    sources: tuple[str, ...]
    source: str
    answer: Answer[Sequence[LogLine]]
    level: int
    pattern: str
    matching: int


def log_lines(view: LogView, scene: Scene, environment: str, width: int) -> list[Line]:
    """The frame with the tabs."""
    found = scene.view(environment)
    head = (frame.name_of(found, environment), Piece("  "), Piece("logs", "strong"))
    zone = words.zone_name(scene.now.astimezone(scene.zone))
    right = (Piece(f"times in {zone} · ", "muted"), *answered.state(view.answer, scene, LOGS_EVERY))
    tabs: list[Piece] = []
    for source in view.sources:
        is_open = source == view.source
        tabs.append(Piece("▸ " if is_open else "  ", "accent"))
        tabs.append(paint.piece(SOURCE_NAMES.get(source, source), "accent" if is_open else "muted"))
        tabs.append(Piece(" " * (_BETWEEN - 2)))
    inner = frame.inner_width(width)
    content = paint.spread(tabs, _counts(view, inner - paint.width_of(tabs) - 1), inner)
    return frame.framed([content], found, scene, width, head=head, foot=_left_out(view), foot_right=right)


def _counts(view: LogView, room: int) -> Line:
    """How many warnings and errors there are, whether they are shown or not; without their words, or not at all, where there is no room."""
    if view.answer.value is None:
        return ()
    counted = Counter(mark_of(line.level) for line in view.answer.value)
    marks = sorted((mark for mark in counted if mark.weight), key=lambda mark: -mark.weight)
    lines: Line = (Piece(f"{words.count(len(view.answer.value))} lines", "muted"),)
    for worded in (True, False):
        parts: list[Line] = []
        for mark in marks:
            word = paint.piece(f" {mark.word}{'' if counted[mark] == 1 else 's'}", mark.role)
            parts.append((Piece(f"{mark.glyph} {words.count(counted[mark])}", mark.role), *((word,) if worded else ())))
        line = paint.joined([*parts, lines], Piece("  "))
        if paint.width_of(line) <= room:
            return line
    return ()


def _left_out(view: LogView) -> Line:
    parts: list[Line] = [(Piece(LEVELS[view.level], "accent"),)] if view.level else []
    if view.pattern:
        parts.append((Piece(f"{words.count(view.matching)} match ", "muted"), paint.piece(view.pattern, "accent")))
    return paint.joined(parts, Piece(" · ", "faint"))


class LogFrame(Drawn):
    """The head of the logs."""

    class Chosen(Message):
        """Somebody clicked on a source."""

        def __init__(self, source: str) -> None:
            super().__init__()
            self.source = source

    def __init__(self, environment: str) -> None:
        super().__init__()
        self.environment = environment
        self.scene: Scene | None = None
        self.view: LogView | None = None

    def show(self, scene: Scene, view: LogView) -> None:
        """Takes new values."""
        self.scene, self.view = scene, view
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Three lines."""
        if self.scene is None or self.view is None:
            return []
        return log_lines(self.view, self.scene, self.environment, size.width)

    def on_click(self, event: Click) -> None:
        """Chooses the source that was clicked on."""
        x = _LEFT
        for source in self.view.sources if self.view and event.y == 1 else ():
            width = paint.width_of((paint.piece(SOURCE_NAMES.get(source, source)),)) + _BETWEEN
            if x <= event.x < x + width:
                self.post_message(self.Chosen(source))
                return
            x += width
