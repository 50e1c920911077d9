"""Text to read: scrolled by lines, long lines folded or cut, only the lines that can be seen ever drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.binding import BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lpmops.tui import commands, folding, paint
from lpmops.tui.paint import Line
from lpmops.tui.widgets.drawn import to_strip

_INDENT = 4


class Pager(ScrollView, can_focus=True):
    """Lines of text with the keys to read them."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(commands.SCROLL)]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text: Sequence[Line] = ()
        self._laid: list[Line] = []
        self._laid_for = 0
        # The line that is to be seen, until somebody scrolls.
        self._revealed: int | None = None
        self.wrap = True

    @property
    def laid(self) -> Sequence[Line]:
        """The lines as they are laid out for the width."""
        return self._laid

    def show(self, text: Sequence[Line], *, wrap: bool = True) -> None:
        """Takes the text; the same text again costs nothing."""
        if text is self._text and wrap == self.wrap:
            return
        self._text, self.wrap, self._laid_for = text, wrap, 0
        self._lay_out()
        if self.styles.is_auto_height:
            self.refresh(layout=True)
        if self._revealed is not None:
            # The lines that were just handed over have their room only then.
            self.call_after_refresh(self._reveal)

    def reveal(self, index: int) -> None:
        """Scrolls no more than it takes to see that line of the text, and the one behind it, until somebody scrolls elsewhere."""
        self._revealed = index
        self._reveal()

    def _reveal(self) -> None:
        index = self._revealed
        if index is None:
            return
        indent = min(_INDENT, self._laid_for // 4)
        before = self._text[: index + 1] if self.wrap else ()
        at = sum(len(folding.folded(line, self._laid_for, indent)) for line in before) if before else index
        if self._laid_for and at >= self.scroll_y + self.size.height:
            self.scroll_to(y=at - self.size.height + 1, animate=False)

    def on_resize(self, _event: Resize) -> None:
        """Lays out for the new room; what was to be seen still is."""
        self._lay_out()
        self._reveal()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Lines that an automatic height takes."""
        self._fold(width - self.scrollbar_gutter.width)
        most = self.styles.max_height
        if most is None:
            return len(self._laid)
        # Whoever measures what is around it asks for the best height, and would leave room for lines that are scrolled to.
        return min(len(self._laid), int(most.resolve(container, viewport)))

    def _lay_out(self) -> None:
        # The scrollbar stands inside the size.
        width = self.scrollable_content_region.width
        if width > 0:
            self._fold(width)
            self.virtual_size = Size(width, len(self._laid))
            self.refresh()

    def _fold(self, width: int) -> None:
        if width == self._laid_for or width <= 0:
            return
        self._laid_for = width
        if self.wrap:
            indent = min(_INDENT, width // 4)
            self._laid = [part for line in self._text for part in folding.folded(line, width, indent)]
        else:
            self._laid = [folding.cut(line, width) for line in self._text]

    def render_line(self, y: int) -> Strip:
        """One line, for the compositor."""
        index = round(self.scroll_y) + y
        line = self._laid[index] if index < len(self._laid) else paint.BLANK
        base: Style = self.visual_style.rich_style
        return to_strip(self, line, self.size.width, base)

    def action_scroll(self, by: int) -> None:
        """Moves by lines."""
        self._revealed = None
        self.scroll_relative(y=by, animate=False)

    def action_scroll_page(self, by: int) -> None:
        """Moves by pages."""
        self._revealed = None
        self.scroll_relative(y=by * max(1, self.size.height - 1), animate=False)

    def action_scroll_edge(self, side: int) -> None:
        """To the beginning or the end."""
        self._revealed = None
        self.scroll_to(y=0 if side < 0 else self.max_scroll_y, animate=False)

    def on_mouse_scroll_up(self) -> None:
        """Whoever turns the wheel looks elsewhere."""
        self._revealed = None

    def on_mouse_scroll_down(self) -> None:
        """Whoever turns the wheel looks elsewhere."""
        self._revealed = None
