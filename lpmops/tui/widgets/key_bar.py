"""The bottom line: the keys that work here and now, straight from the bindings; a click does what the key does.

`key_line` is pure. Where the room is short the least wanted keys of the app go first; `help` and `quit` go last.
"""

from __future__ import annotations

from textual.events import Click, Mount, MouseMove
from textual.geometry import Size

from lpmops.tui import paint
from lpmops.tui.keys import KeyGroup, key_groups
from lpmops.tui.paint import Line, Piece
from lpmops.tui.widgets.drawn import Drawn

_MOST = 12
_ESSENTIAL = ("help", "quit")
# Of the keys of the whole app, in the order in which they leave a narrow screen.
_FIRST_TO_GO = ("all", "environment", "hold", "refresh", "copy", "logs", "time", "command", "act", "filter", "back")


def fitting(groups: list[KeyGroup], width: int) -> list[KeyGroup]:
    """The groups that work now and fit in `width` cells; those of the whole app go before those of the screen, `help` and `quit` last."""
    shown = [group for group in groups if group.shown and not group.why]
    shown.sort(key=lambda group: group.last)
    while shown and (len(shown) > _MOST or _width(shown) > width):
        spare = [group for group in shown if group.last and group.description not in _ESSENTIAL]
        spare.sort(key=lambda group: _FIRST_TO_GO.index(group.description) if group.description in _FIRST_TO_GO else -1)
        here = [group for group in shown if not group.last]
        shown.remove(spare[0] if spare else here[-1] if here else shown[0])
    return shown


def _label(group: KeyGroup) -> str:
    return group.keys[0] if not group.keys[0].isdigit() else group.label


def _width(groups: list[KeyGroup]) -> int:
    return sum(len(_label(group)) + len(group.description) + 4 for group in groups)


def key_line(groups: list[KeyGroup], width: int) -> Line:
    """The keys on one line: those of this screen on the left, those of the whole app on the right."""
    shown = fitting(groups, width)
    here = [part for group in shown if not group.last for part in _pieces(group)]
    everywhere = [part for group in shown if group.last for part in _pieces(group)]
    return paint.spread(here, everywhere, width)


def _pieces(group: KeyGroup) -> list[Piece]:
    return [Piece(f" {_label(group)}", "key"), Piece(f" {group.description}  ", "muted")]


class KeyBar(Drawn):
    """The keys of the screen it stands on."""

    def on_mount(self, _event: Mount) -> None:
        """Follows the bindings as focus moves and keys are switched on and off."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.redraw())

    def redraw(self) -> None:
        """Draws again, unless another screen has the keys."""
        if self.app.screen is self.screen:
            super().redraw()

    def lines(self, size: Size) -> list[Line]:
        """One line of keys."""
        return [key_line(key_groups(self.app, self.screen), size.width)]

    def on_click(self, event: Click) -> None:
        """Presses the key that was clicked on."""
        group = self._group_at(event.x)
        if group is not None:
            self.app.simulate_key(group.first_key)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Says what the key under the mouse does."""
        group = self._group_at(event.x)
        sentence = group.tooltip if group else None
        if sentence != self.tooltip:
            self.tooltip = sentence

    def _group_at(self, x: int) -> KeyGroup | None:
        """The keys drawn at that cell."""
        groups = {f" {group.description}  ": group for group in key_groups(self.app, self.screen)}
        end = 0
        for part in self._lines[0] if self._lines else ():
            end += len(part.text)
            # A key's own piece comes before its description, so the next description names what is pointed at.
            if x < end and part.text in groups:
                return groups[part.text]
            if x < end and part.role != "key":
                return None
        return None
