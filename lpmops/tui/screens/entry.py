"""A panel with one thing that a service wrote down, whole: when, by whom, and every word of it; JSON is set out."""

from __future__ import annotations

import json

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size

from lpmops.model import LogLine
from lpmops.plain_text import plain
from lpmops.tui import paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.key_bar import KeyBar
from lpmops.tui.widgets.logs import SOURCE_NAMES, mark_of
from lpmops.tui.widgets.pager import Pager


def entry_head(line: LogLine, scene: Scene, width: int) -> list[Line]:
    """Level, time and whose it is."""
    mark = mark_of(line.level)
    times = f" · written {words.count(line.count)} times" if line.count > 1 else ""
    source = SOURCE_NAMES.get(line.source, line.source)
    return [
        paint.spread(
            (Piece(f"{mark.glyph} ", mark.role), paint.piece(mark.word, mark.role)),
            (Piece(words.stamp(line.at, scene.zone), "text" if line.at else "unknown"),),
            width,
        ),
        paint.crop(
            (paint.piece(source, "muted"), Piece("  "), paint.piece(line.subject, "strong"), Piece(times, "muted")),
            width,
        ),
        paint.BLANK,
    ]


def entry_text(line: LogLine) -> list[Line]:
    """The text by its own lines."""
    text = line.text
    if text.lstrip()[:1] in ("{", "["):
        try:
            text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
        except (ValueError, RecursionError):
            text = line.text
    return [(Piece(plain(part)),) for part in text.splitlines()] or [(Piece("an empty text", "unknown"),)]


class EntryHead(Drawn):
    """The head of the panel."""

    def __init__(self, line: LogLine) -> None:
        super().__init__()
        self.line = line
        self.scene: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Takes another zone."""
        self.scene = scene
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Two lines and room."""
        return entry_head(self.line, self.scene, size.width) if self.scene else []


class EntryScreen(LiveModal):
    """The whole entry."""

    CSS_PATH = "entry.tcss"

    def __init__(self, line: LogLine, environment: str) -> None:
        super().__init__()
        self.line, self.environment = line, environment
        self._text = entry_text(line)

    def compose(self) -> ComposeResult:
        """Head, text, keys."""
        with Vertical(classes="panel"):
            yield EntryHead(self.line)
            yield Pager()
            yield KeyBar()

    def on_mount(self) -> None:
        """The text takes the keys."""
        self.query_one(Pager).show(self._text)
        self.query_one(Pager).focus()

    def show(self, scene: Scene) -> None:
        """The zone may be another; what was written stays."""
        view = scene.view(self.environment)
        self.query_one(".panel").set_class(view is not None and view.is_prod, "-prod")
        self.query_one(EntryHead).show(scene)
