"""The line that everything is typed on. What is pasted into it stays text: Textual would draw an escape sequence in it as it is."""

from __future__ import annotations

from textual.suggester import Suggester
from textual.widgets import Input

from lpmops.plain_text import plain_line


class PlainInput(Input):
    """One line of input without a frame, its cursor still, whose value is plain text whatever is put into it."""

    def __init__(
        self, value: str = "", placeholder: str = "", *, suggester: Suggester | None = None, id: str | None = None
    ) -> None:
        super().__init__(value, placeholder, suggester=suggester, id=id, compact=True)
        self.cursor_blink = False

    def watch_value(self, value: str) -> None:
        """What was pasted stays text: nothing in it may reach the terminal as a command."""
        if plain_line(value) != value:
            self.value = plain_line(value)
