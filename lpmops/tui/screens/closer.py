"""What the screens share that look closer: they ask questions, about now or about the moment of the past that is shown.

While somebody scrubs through the past no question is asked of each moment that flies by, only of the one that is
stopped at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from textual.geometry import Size

from lpmops.tui import answered
from lpmops.tui.answers import Answer, Question
from lpmops.tui.paint import Line
from lpmops.tui.place import Place
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn

T = TypeVar("T")
_STOPPED = 0.3


class CloserScreen(LiveScreen):
    """A screen that asks."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._moment: datetime | None = None
        self._flying = False
        self._anew = False

    def look(self, scene: Scene, question: Question[T]) -> Answer[T]:
        """What is known of `question`; of a moment that flies by nothing is asked."""
        if scene.past != self._moment:
            self._moment, self._flying = scene.past, scene.past is not None
            if self._flying:
                self.set_timer(_STOPPED, lambda: self._stop(scene.past), name="stopped at a moment")
        return Answer(asking=True) if self._flying else self.ask(question, anew=self._anew)

    def _stop(self, moment: datetime | None) -> None:
        if moment == self._moment and self._flying:
            self._flying = False
            self.show(self.latest())

    def look_again(self) -> bool:
        """Asks anew for all that is on the screen."""
        self._anew = True
        try:
            self.show(self.latest())
        finally:
            self._anew = False
        return True


class FaultLines(Drawn):
    """Why something could not be read, and what to do; no line at all where it could."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._answers: Sequence[Answer[Any]] = ()

    def show(self, *answers: Answer[Any]) -> None:
        """Takes the answers whose faults are to be told, each sentence once."""
        self._answers = answers
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The sentences."""
        told: dict[str, Answer[Any]] = {answer.fault: answer for answer in self._answers}
        return [line for answer in told.values() for line in answered.fault_lines(answer, size.width)]
