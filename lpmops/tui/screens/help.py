"""The keys of the screen below, written from its own bindings, and the signs used everywhere."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.geometry import Size

from lpmops.tui import commands, marks, paint
from lpmops.tui.keys import KeyGroup
from lpmops.tui.paint import Line, Piece
from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.key_bar import KeyBar

_KEYS = 14
_ROOM_FOR_IDS = 88


def help_lines(groups: list[KeyGroup], width: int) -> list[Line]:
    """Keys by where they work, those that do not work now with the reason, then what the signs mean."""
    lines: list[Line] = []
    for owner, title in (("here", "on this screen"), ("time", "on the time line"), ("everywhere", "everywhere")):
        here = [group for group in groups if group.owner == owner]
        if not here:
            continue
        lines.append((Piece(title, "strong"),))
        lines += [_key(group, width) for group in here]
        lines.append(paint.BLANK)
    signs = (marks.FINE, marks.DEGRADED, marks.DOWN, marks.UNKNOWN, marks.PAUSED)
    lines.append((Piece("signs", "strong"),))
    lines.append(
        paint.crop(
            paint.joined([(Piece(f"{mark.glyph} {mark.word}", mark.role),) for mark in signs], Piece("  ")), width
        )
    )
    unknown = (Piece("– unknown; ", "muted"), Piece("italic", "stale"), Piece(": two refreshes old or more", "muted"))
    lines.append(paint.crop(unknown, width))
    return lines


def _key(group: KeyGroup, width: int) -> Line:
    """The keys of one command and what it does, or why it does not now; where there is room also the id that a keymap names."""
    keys = Piece(paint.fit_text(group.label, _KEYS), "faint" if group.why else "key")
    said: tuple[Piece, ...] = (keys, Piece(group.tooltip or group.description))
    if group.why:
        said = (keys, Piece(f"{group.description}: ", "faint"), paint.piece(group.why, "faint"))
    return (
        paint.spread(said, (Piece(f"  {group.id}", "faint"),), width)
        if width >= _ROOM_FOR_IDS
        else paint.crop(said, width)
    )


class KeyList(Drawn):
    """The help's text."""

    def __init__(self, groups: list[KeyGroup]) -> None:
        super().__init__()
        self.groups = groups

    def lines(self, size: Size) -> list[Line]:
        """Keys and signs."""
        return help_lines(self.groups, size.width)


class HelpScreen(LiveModal):
    """Which keys work on the screen below, and what the signs mean."""

    CSS_PATH = "panel.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(commands.SCROLL)]

    def __init__(self, groups: list[KeyGroup]) -> None:
        super().__init__()
        self.groups = groups

    def compose(self) -> ComposeResult:
        """The keys, scrolled where they need it."""
        with Vertical(classes="panel -wide"):
            with VerticalScroll(can_focus=False):
                yield KeyList(self.groups)
            yield KeyBar()

    def show(self, scene: Scene) -> None:
        """Nothing here changes with the values."""

    def action_scroll(self, by: int) -> None:
        """Moves the text by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_scroll_page(self, by: int) -> None:
        """Moves the text by pages."""
        text = self.query_one(VerticalScroll)
        text.scroll_relative(y=by * max(1, text.size.height - 1), animate=False)

    def action_scroll_edge(self, side: int) -> None:
        """Moves to the beginning or the end."""
        text = self.query_one(VerticalScroll)
        text.scroll_to(y=0 if side < 0 else text.max_scroll_y, animate=False)
