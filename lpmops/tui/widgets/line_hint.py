"""The line over the `:` line: what the command does, what it wants next, or why it can't be."""

from __future__ import annotations

from textual.geometry import Size

from lpmops.tui import paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.widgets.drawn import Drawn


class LineHint(Drawn):
    """One sentence."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sentence, self._bad = "", False

    def tell(self, sentence: str, *, bad: bool = False) -> None:
        """Shows a sentence; a bad one as such."""
        self._sentence, self._bad = sentence, bad
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """One line."""
        sign = Piece(" ✖ ", "bad") if self._bad else Piece(" : ", "key")
        return [paint.crop((sign, paint.piece(self._sentence, "text" if self._bad else "muted")), size.width)]
