"""The parts of the panel that plans and approves: head, fields, note, and the foot where one says yes or leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, Key
from textual.geometry import Size
from textual.message import Message
from textual.widgets import Input

from lpmops.plain_text import plain_line
from lpmops.tui import frame, paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView
from lpmops.tui.widgets.drawn import Drawn

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lpmops.actions.inputs import Choice
    from lpmops.actions.inputs import Input as Field


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

    def show(self, view: EnvironmentView, right: Line) -> None:
        """Takes new values."""
        self._view, self._right = view, right
        self.redraw()

    _view: EnvironmentView | None

    def lines(self, size: Size) -> list[Line]:
        """One line and room."""
        words = self._action.replace(".", " ")
        name = frame.name_of(self._view, "") if self._view is not None else Piece("")
        return [
            paint.spread((paint.piece(words, "strong"), Piece(" · ", "faint"), name), self._right, size.width),
            paint.BLANK,
        ]


class FieldName(Told):
    """The name before a field."""


class Note(Told):
    """What a field wants, or what is wrong."""


class Armed(Told):
    """How long it may still be done."""


class FieldInput(Input):
    """One field of an action, checked when it is left. Up and down choose where there are only a few values."""

    def __init__(self, field: Field, left: Callable[[FieldInput], None]) -> None:
        super().__init__(compact=True)
        self.cursor_blink = False
        self.field, self._left = field, left
        # None until they are known.
        self.choices: tuple[Choice, ...] | None = None
        self.problem = ""

    def check(self, now: datetime) -> bool:
        """Whether what is typed can be read; `problem` says why not."""
        from lpmops.errors import UsageError

        self.problem = ""
        try:
            self.field.read(self.value, now)
        except UsageError as error:
            self.problem = f"{error.message} {error.hint}".strip()
        for part in self._parts if self.choices else ():
            chosen = next((each for each in self.choices or () if each.value.lower() == part.lower()), None)
            if chosen is not None and chosen.refusal:
                self.problem = f"not now: {chosen.refusal}"
            if chosen is None and part and self.field.many:
                self.problem = f"there is no {part!r}; ↑ ↓ show what there is"
        return not self.problem

    @property
    def _parts(self) -> list[str]:
        """What is typed, by value."""
        return [part.strip() for part in self.value.split(",")] if self.field.many else [self.value.strip()]

    @property
    def chosen(self) -> frozenset[str]:
        """The values that are chosen."""
        return frozenset(self._parts)

    async def action_submit(self) -> None:
        """Leaves the field forwards, at once: what is typed right behind enter is meant for the next one."""
        self._left(self)

    def watch_value(self, value: str) -> None:
        """What was pasted stays text: nothing in it may reach the terminal as a command."""
        if plain_line(value) != value:
            self.value = plain_line(value)

    def on_key(self, event: Key) -> None:
        """Chooses the next value, behind the last comma where there may be several."""
        if event.key in ("up", "down") and self.choices:
            event.stop()
            event.prevent_default()
            *before, last = self._parts
            values = [each.value for each in self.choices if each.value not in before]
            if not values:
                return
            at = values.index(last) if last in values else -1 if event.key == "down" else 0
            self.value = ", ".join((*before, values[(at + (1 if event.key == "down" else -1)) % len(values)]))
            self.cursor_position = len(self.value)


class TypedInput(Input):
    """Where yes, or the target's name, is typed."""

    def __init__(self) -> None:
        super().__init__(compact=True)
        self.cursor_blink = False


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
