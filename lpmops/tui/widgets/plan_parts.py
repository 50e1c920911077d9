"""The parts of the panel that plans and approves: head, note, and the foot where one says yes or leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message

from lpmops.tui import folding, frame, paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.plain_input import PlainInput


class Told(Drawn):
    """Lines that are handed to it."""

    def __init__(self, *lines: Line, id: str | None = None) -> None:
        super().__init__(id=id)
        self._told: list[Line] = list(lines)

    def tell(self, *lines: Line) -> None:
        """Shows those lines."""
        self._told = list(lines)
        self.redraw()

    @property
    def told(self) -> str:
        """What is shown, as text."""
        return "\n".join("".join(part.text for part in line) for line in self._told)

    def lines(self, size: Size) -> list[Line]:
        """The lines, cut to the width."""
        return [paint.crop(line, size.width) for line in self._told]


class PlanHead(Drawn):
    """Action and environment on the left, how dangerous it is on the right."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self._action, self._view = action, None
        self._right: Line = ()
        self._trail: Line = ()

    def show(self, view: EnvironmentView, right: Line, trail: Line = ()) -> None:
        """Takes new values; `trail` is for what one is led through."""
        self._view, self._right, self._trail = view, right, trail
        self.redraw()

    _view: EnvironmentView | None

    def lines(self, size: Size) -> list[Line]:
        """One line and room."""
        words = self._action.replace(".", " ")
        name = frame.name_of(self._view, "") if self._view is not None else Piece("")
        return [
            paint.spread((paint.piece(words, "strong"), Piece(" · ", "faint"), name), self._right, size.width),
            *([paint.crop(self._trail, size.width)] if self._trail else []),
            paint.BLANK,
        ]


def trail_line(titles: Sequence[str], at: int) -> Line:
    """The stages that one is led through, with the one where one stands; those before it are done."""
    line: list[Piece] = []
    for number, title in enumerate(titles):
        mark = Piece("● ", "ok") if number < at else Piece("▶ ", "accent") if number == at else Piece("○ ", "faint")
        role = "strong" if number == at else "muted" if number < at else "faint"
        line += [*([Piece(" ── ", "faint")] if line else []), mark, paint.piece(title, role)]
    return tuple(line)


class FieldName(Told):
    """The name before a field."""


class Note(Told):
    """What a field wants, or what is wrong, over as many lines as it takes."""

    def lines(self, size: Size) -> list[Line]:
        """The lines, folded to the width."""
        return [part for line in self._told for part in folding.folded(line, max(1, size.width), 4)]


class Armed(Told):
    """How long it may still be done."""


class TypedInput(PlainInput):
    """Where yes, or the target's name, is typed."""


class Cancel(Drawn, can_focus=True):
    """The way out that has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "press", "cancel", id="plan.press", show=False, tooltip="Leave everything as it is")
    ]

    class Pressed(Message):
        """Leave it."""

    def lines(self, size: Size) -> list[Line]:
        """One line."""
        return [
            paint.fit(
                (Piece("▸[ Cancel ]" if self.has_focus else " [ Cancel ]", "key" if self.has_focus else "muted"),),
                size.width,
            )
        ]

    def watch_has_focus(self, value: bool) -> None:
        """Shows whether it has the keys."""
        super().watch_has_focus(value)
        self.redraw()

    def action_press(self) -> None:
        """Leaves."""
        self.post_message(self.Pressed())

    def on_click(self, event: Click) -> None:
        """Leaves."""
        event.stop()
        self.action_press()
