"""The widget under all others: shows lines, and repaints only those that changed.

A subclass answers `lines(width, height)` from the values it was given. A fault while drawing stays inside: the widget
says so in its own room, the app reports it, and the next values get a new chance. Roles are resolved once a screen,
from its `role--*` component classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from lpmops.tui import paint
from lpmops.tui.faults import report
from lpmops.tui.paint import Line, Piece

ROLE_CLASSES = frozenset(f"role--{role}" for role in paint.ROLES)
_PLAIN = Style()


def to_strip(widget: Widget, line: Sequence[Piece], width: int, base: Style) -> Strip:
    """`line` as a strip of exactly `width` cells in the colours of the widget's screen, over `base`."""
    styles = {
        role: base + widget.screen.get_component_rich_style(f"role--{role}", partial=True, default=_PLAIN)
        for role in {part.role for part in line}
    }
    segments = [Segment(part.text, styles[part.role]) for part in line if part.text]
    return Strip(segments).adjust_cell_length(width, base)


class Drawn(Widget):
    """Lines on the screen, drawn again where they changed."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self._drawn_for = Size(0, 0)

    def lines(self, size: Size) -> list[Line]:
        """What stands in `size` cells; its height is 0 where the widget chooses its own."""
        return [paint.BLANK] * size.height

    def redraw(self) -> None:
        """Draws again and repaints what changed; cheap where nothing did."""
        if not self.is_attached or not self.size.width:
            return
        before, self._lines = self._lines, self._safe_lines(self.size)
        self._drawn_for = self.size
        if len(before) != len(self._lines) and self.styles.is_auto_height:
            self.refresh(layout=True)
            return
        for row in range(max(len(before), len(self._lines))):
            if before[row : row + 1] != self._lines[row : row + 1]:
                self.refresh(Region(0, row, self.size.width, 1))

    def _safe_lines(self, size: Size) -> list[Line]:
        try:
            return self.lines(size)
        except Exception as error:  # noqa: BLE001 a part that can't be drawn must not take the screen with it
            report(self.app, f"drawing {type(self).__name__}", error)
            return [paint.crop((Piece("✖ ", "bad"), paint.piece(f"can't be drawn: {error}", "muted")), size.width)]

    def get_content_height(self, _container: Size, _viewport: Size, width: int) -> int:
        """Rows that an automatic height takes."""
        return len(self._safe_lines(Size(width, 0)))

    def on_resize(self, _event: Resize) -> None:
        """Draws for the new size."""
        self.redraw()

    def render_line(self, y: int) -> Strip:
        """One row, for the compositor."""
        if self._drawn_for != self.size:
            self._lines, self._drawn_for = self._safe_lines(self.size), self.size
        base = self.visual_style.rich_style
        line = self._lines[y] if y < len(self._lines) else paint.BLANK
        return to_strip(self, line, self.size.width, base)
