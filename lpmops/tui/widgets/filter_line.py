"""The line a filter is typed on: live while typing, enter keeps it, escape drops it. It is there only while it is typed on."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from lpmops.tui.widgets.plain_input import PlainInput


class FilterLine(PlainInput):
    """One line of input that tells what is typed as it is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "keep", "keep", id="filter.keep", tooltip="Keep this filter and go back to the rows"),
        Binding("escape", "drop", "clear", id="filter.drop", tooltip="Clear the filter and go back to the rows"),
    ]

    class Typed(Message):
        """The filter is now `pattern`."""

        def __init__(self, pattern: str) -> None:
            super().__init__()
            self.pattern = pattern

    class Left(Message):
        """The rows take the keys again; the filter is what it is."""

    def __init__(self, placeholder: str, *, id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, id=id)

    def open(self, pattern: str | None = None) -> None:
        """Takes the keys; with a pattern, sets that filter without asking for more."""
        if pattern is not None:
            self.value = pattern
            return
        self.add_class("-open")
        # At once, because what is typed next is meant for this line.
        self.screen.set_focus(self)

    def drop(self) -> bool:
        """Drops the filter; False where there was none."""
        there_was_one = bool(self.value)
        self.value = ""
        return there_was_one

    def on_input_changed(self, message: Input.Changed) -> None:
        """Tells what is typed."""
        message.stop()
        self.post_message(self.Typed(message.value))

    def action_keep(self) -> None:
        """Keeps what is typed."""
        self._close()

    def action_drop(self) -> None:
        """Forgets what is typed."""
        self.value = ""
        self._close()

    def _close(self) -> None:
        self.remove_class("-open")
        self.post_message(self.Left())
