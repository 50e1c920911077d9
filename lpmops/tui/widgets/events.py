"""What turned in an environment over the last day, newest first: the events beside its companies, where there is room.

`event_lines` is pure. The whole list, with a way to each moment, is the time line's.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Size

from lpmops.model import Turn
from lpmops.tui import answered, paint, words
from lpmops.tui.answers import Answer
from lpmops.tui.paint import Line, Piece
from lpmops.tui.questions import TURNS_EVERY
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.time_bar import mark_of, words_of


def event_lines(answer: Answer[Sequence[Turn]], scene: Scene, width: int, rows: int) -> list[Line]:
    """At most `rows` lines: a heading, and the newest events."""
    heading = paint.spread((Piece("events", "strong"),), answered.state(answer, scene, TURNS_EVERY), width)
    lines: list[Line] = [paint.BLANK, heading, *answered.fault_lines(answer, width)]
    turns = sorted(answer.value or (), key=lambda turn: turn.at, reverse=True)
    if not turns and answer.at is not None:
        lines.append((Piece("nothing turned within a day", "muted"),))
    lines += [paint.crop(_event(turn, scene), width) for turn in turns]
    return lines[:rows]


def _event(turn: Turn, scene: Scene) -> Line:
    mark = mark_of(turn)
    return (
        Piece(f"{words.row_time(turn.at.astimezone(scene.zone), scene.now)}  ", "muted"),
        Piece(f"{mark.glyph} ", mark.role),
        paint.piece(words_of(turn, "began"), mark.role),
    )


class Events(Drawn):
    """The events of one environment."""

    def __init__(self) -> None:
        super().__init__()
        self.scene: Scene | None = None
        self.answer: Answer[Sequence[Turn]] = Answer()

    def show(self, scene: Scene, answer: Answer[Sequence[Turn]]) -> None:
        """Takes new values."""
        self.scene, self.answer = scene, answer
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """As many as there is room for."""
        return event_lines(self.answer, self.scene, size.width, size.height) if self.scene else []
