"""The line a filter is typed on: live while typing, enter keeps it, escape drops it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterLine(Input):
    """One line of input that tells what is typed as it is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "keep", "keep", id="filter.keep", tooltip="Keep this filter and go back to the rows"),
        Binding("escape", "drop", "clear", id="filter.drop", tooltip="Clear the filter and go back to the rows"),
    ]

    class Kept(Message):
        """The filter stays and the rows take the keys again."""

    class Dropped(Message):
        """The filter goes and the rows take the keys again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            placeholder="part of a name, id, database or state; ! in front keeps the others", id=id, compact=True
        )
        self.cursor_blink = False

    def action_keep(self) -> None:
        """Keeps what is typed."""
        self.post_message(self.Kept())

    def action_drop(self) -> None:
        """Forgets what is typed."""
        self.value = ""
        self.post_message(self.Dropped())
