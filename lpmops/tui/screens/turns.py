"""What turned within the time line, newest first, over any screen: enter goes to that moment."""

from __future__ import annotations

from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size

from lpmops.model import Turn
from lpmops.tui import paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.key_bar import KeyBar
from lpmops.tui.widgets.table import Column, LiveTable
from lpmops.tui.widgets.time_bar import long_ago, mark_of, words_of

# Border, padding, caption, heading, keys, and the lines between them.
_AROUND = 8


def key(turn: Turn) -> str:
    """What names a turn for as long as it is on screen."""
    return f"{turn.at.isoformat()} {turn.environment} {turn.kind} {turn.what} {turn.began}"


def _haystack(turn: Turn) -> str:
    return f"{turn.environment} {words_of(turn, 'began')} {mark_of(turn).word}".casefold()


def columns(scene: Scene) -> tuple[Column[Turn], ...]:
    """What each column says, in the scene's time zone; how long ago is counted to now, not to the moment that is shown."""

    def when(turn: Turn, _now: datetime) -> Line:
        local = turn.at.astimezone(scene.zone)
        return (Piece(f" {local:%b %d} {words.clock(turn.at, scene.zone)}", "text"),)

    def environment(turn: Turn, _now: datetime) -> Line:
        view = scene.view(turn.environment)
        return (paint.piece(turn.environment, "prod" if view is not None and view.is_prod else "strong"),)

    def what(turn: Turn, _now: datetime) -> Line:
        mark = mark_of(turn)
        return (Piece(f"{mark.glyph} ", mark.role), paint.piece(words_of(turn, "began"), mark.role))

    def ago(turn: Turn, now: datetime) -> Line:
        # The last cell is the scroll bar's.
        return (Piece(long_ago(turn.at, now).removesuffix(" ago") + " ", "muted"),)

    # As wide as the zone's offset makes it.
    wide = len(f" Nov 23 {words.clock(scene.now, scene.zone)} ")
    return (
        Column("time", " time", wide, when, lambda turn: turn.at, most=wide),
        Column("environment", "where", 8, environment, lambda turn: turn.environment, wanted=1),
        Column("what", "what turned", 20, what, lambda turn: -mark_of(turn).weight, grows=True),
        Column("ago", "ago ", 14, ago, lambda turn: turn.at, right=True, wanted=2),
    )


class TurnsCaption(Drawn):
    """The line over the list: from when to when, and how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.scene: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Takes new values."""
        self.scene = scene
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """One line."""
        line = self.scene.line if self.scene else None
        if self.scene is None or line is None:
            return [(Piece(" the time line is closed", "muted"),)]
        zone = self.scene.zone
        span = f"{words.moment(line.start, zone)} – {words.clock(line.end, zone)}"
        left = (Piece(" what turned ", "strong"), Piece(words.count(len(line.turns)), "text"))
        fault = (Piece("  ✖ ", "bad"), paint.piece(line.fault)) if line.fault else ()
        return [paint.spread((*left, *fault), () if fault else (Piece(f"{span} ", "muted"),), size.width)]


class TurnsScreen(LiveModal):
    """The list. A line that is closed under it leaves it empty."""

    CSS_PATH = "turns.tcss"

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.table: LiveTable[Turn] = LiveTable(
            columns(scene), key=key, haystack=_haystack, now=scene.today or scene.now
        )
        self.table.sort_by(0, descending=True)
        self.table.empty_text = "nothing turned within this time line; esc, then _ makes it longer"

    def compose(self) -> ComposeResult:
        """Caption, list, keys."""
        with Vertical(classes="panel"):
            yield TurnsCaption()
            yield self.table
            yield KeyBar()

    def on_mount(self) -> None:
        """The list takes the keys, its cursor on the turn before the moment that is shown."""
        self.table.focus()
        scene = self.latest()
        self.show(scene)
        before = [turn for turn in self.table.rows if scene.past is None or turn.at <= scene.past]
        if before:
            self.table.place(key(before[0]))

    def show(self, scene: Scene) -> None:
        """Takes what turned by now."""
        if not self.query(TurnsCaption):
            return
        turns = scene.line.turns if scene.line else ()
        self.query_one(TurnsCaption).show(scene)
        self.table.show(turns, scene.today or scene.now)
        self.query_one(KeyBar).redraw()
        # The panel is as high as its list, as far as the screen goes.
        self.query_one(".panel").styles.max_height = _AROUND + max(1, len(turns))

    def on_live_table_opened(self, message: LiveTable.Opened) -> None:
        """Goes to the moment of the turn."""
        turn = next((turn for turn in self.table.rows if key(turn) == message.key), None)
        self.dismiss()
        if turn is not None:
            self.app.call_later(self.owner.go_to_moment, turn.at)
