"""A small panel that asks for one of a few: each has its key, and a sentence that says what it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Click, Key
from textual.geometry import Size

from lpmops.tui import folding, hands, paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp


@dataclass(frozen=True, slots=True)
class Option:
    """One of the few. `sample` shows what it gives, empty where it gives nothing now."""

    key: str
    title: str
    sample: str
    do: Callable[[], None]


# Where the sentence of an option begins, and the most lines that it takes.
_INDENT, _KEY, _MOST = 15, 6, 3


class OptionList(Drawn):
    """The options, each over as many lines as its sentence takes."""

    def __init__(self, title: str, options: Sequence[Option]) -> None:
        super().__init__()
        self.title, self.options = title, options

    def lines(self, size: Size) -> list[Line]:
        """The title and the options."""
        told = [line for option in self.options for line in _told(option, size.width)]
        return [(Piece(self.title, "strong"),), paint.BLANK, *told]

    def on_click(self, event: Click) -> None:
        """A click chooses."""
        screen = self.screen
        owners = [option for option in self.options for _ in _told(option, self.size.width)]
        if isinstance(screen, ChoiceScreen) and 0 <= event.y - 2 < len(owners):
            screen.choose(owners[event.y - 2])


def _told(option: Option, width: int) -> list[Line]:
    on = bool(option.sample)
    line = (
        Piece(f" {option.key}".ljust(_KEY), "key" if on else "faint"),
        Piece(option.title.ljust(_INDENT - _KEY), "text" if on else "faint"),
        paint.piece(option.sample or "nothing here", "muted" if on else "faint"),
    )
    return folding.folded(line, max(1, width), _INDENT)[:_MOST]


class ChoiceScreen(LiveModal):
    """The panel. A key of an option takes it; any other leaves everything as it is, so that nothing happens by accident."""

    CSS_PATH = "panel.tcss"

    def __init__(self, title: str, options: Sequence[Option]) -> None:
        super().__init__()
        self.title_text, self.options = title, options

    def compose(self) -> ComposeResult:
        """Title and options."""
        with Vertical(classes="panel -wide"):
            yield OptionList(self.title_text, self.options)

    def show(self, scene: Scene) -> None:
        """Nothing here changes with the values."""

    def on_key(self, event: Key) -> None:
        """Takes the option of the key; every other key closes the panel and does nothing else."""
        event.stop()
        event.prevent_default()
        option = next((each for each in self.options if each.key == event.character), None)
        if option is None:
            self.dismiss()
        elif option.sample:
            self.choose(option)

    def choose(self, option: Option) -> None:
        """Closes the panel and does it."""
        self.dismiss()
        self.app.call_later(option.do)


def copy_choice(app: LpmopsApp) -> ChoiceScreen:
    """What can be copied of what is under the cursor."""
    found = app.seen.copyable() if app.seen else None
    samples = {
        "cell": found.cell if found else "",
        "row": found.row.replace("\t", "  ") if found else "",
        "json": "everything known, as JSON" if found else "",
        "command": found.command if found else "",
    }
    keys = {"cell": "c", "row": "r", "json": "j", "command": "x"}
    return ChoiceScreen(
        "copy", [Option(keys[what], what, samples[what], partial(hands.copy, app, what)) for what in hands.COPIES]
    )


def save_choice(app: LpmopsApp) -> ChoiceScreen:
    """What can be saved of the screen."""
    sheet = app.seen.sheet() if app.seen else None
    rows = f"{len(sheet.rows):,} rows, as filtered and sorted" if sheet else ""
    return ChoiceScreen(
        "save",
        [
            Option("c", "CSV", rows, partial(hands.save, app, "csv")),
            Option("j", "JSON", rows, partial(hands.save, app, "json")),
            Option("s", "SVG", "this screen as a picture", partial(hands.save, app, "svg")),
        ],
    )
