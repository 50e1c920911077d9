"""What is shown where the terminal is too small to show anything truly: the size that is needed, and how to leave.

It covers whatever was on the screen, which goes on living below and comes back with the room. No other key works
meanwhile.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.geometry import Size

from lpmops.tui import paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.widgets.drawn import Drawn

NEEDED = Size(60, 16)


def is_too_small(size: Size) -> bool:
    """Whether nothing true fits."""
    return size.width < NEEDED.width or size.height < NEEDED.height


class SizeNotice(Drawn):
    """The notice."""

    def lines(self, size: Size) -> list[Line]:
        """What is there, what is needed, and the key to leave."""
        text: list[Line] = [
            (Piece("This terminal is too small.", "strong"),),
            (
                Piece(
                    f"lpmops needs {NEEDED.width}x{NEEDED.height}; this is {self.app.size.width}x{self.app.size.height}."
                ),
            ),
            (Piece("q", "key"), Piece(" quits", "muted")),
        ]
        top = max(0, (size.height - len(text)) // 2)
        return [paint.BLANK] * top + [self._centred(line, size.width) for line in text][: size.height]

    @staticmethod
    def _centred(line: Line, width: int) -> Line:
        cropped = paint.crop(line, width)
        return (Piece(" " * ((width - paint.width_of(cropped)) // 2)), *cropped)


class TooSmallScreen(LiveScreen):
    """Covers the app while there is no room for it."""

    CSS_PATH = "too_small.tcss"

    def compose(self) -> ComposeResult:
        """Only the notice, without the lines that every other screen has."""
        yield SizeNotice()
