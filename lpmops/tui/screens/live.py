"""What every screen of the app has in common: its place, the lines around it, and that it is shown a scene whenever something changed.

A screen never asks a service. The app calls `show` with an immutable `Scene`; a screen that comes back to the top is
shown the newest one. What a closer look needs is asked through `ask`, which answers at once with what is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize, ScreenResume
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from lpmops.tui import commands
from lpmops.tui.answers import Answer, Question
from lpmops.tui.place import Place
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import ROLE_CLASSES
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.header import Header
from lpmops.tui.widgets.key_bar import KeyBar
from lpmops.tui.widgets.table import LiveTable
from lpmops.tui.widgets.time_bar import TimeBar, time_rows

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp

T = TypeVar("T")


class _Live:
    """The part that screens and modal screens share."""

    def show(self, scene: Scene) -> None:
        """Takes new values."""

    @property
    def owner(self) -> LpmopsApp:
        """The app, by its own type."""
        return cast("LpmopsApp", cast("Screen[None]", self).app)

    def latest(self) -> Scene:
        """The newest scene, straight from the app."""
        return self.owner.scene

    def on_screen_resume(self, _event: ScreenResume) -> None:
        """Catches up with what came while another screen was on top."""
        self.show(self.latest())

    def on_resize(self, _event: Resize) -> None:
        """Lays out again for the new size."""
        cast("Screen[None]", self).call_after_refresh(lambda: self.show(self.latest()))


class LiveScreen(_Live, Screen[None]):
    """A whole screen: header, what `body` yields, the time line while it is open, and the keys."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    AUTO_FOCUS: ClassVar[str | None] = ""
    place: Place | None = None
    table: LiveTable[Any] | None = None

    def __init__(self, place: Place | None = None) -> None:
        super().__init__()
        self.place = place

    @property
    def environment(self) -> str:
        """The environment that the screen is about, empty for all."""
        return self.place.environment if self.place else ""

    def compose(self) -> ComposeResult:
        """The lines that every screen has, around its own."""
        yield Header(self.environment or None)
        yield from self.body()
        yield TimeBar()
        yield KeyBar()

    def body(self) -> Iterable[Widget]:
        """The widgets of this screen, from top to bottom."""
        return ()

    def show(self, scene: Scene) -> None:
        """Takes new values."""
        if not self.query(Header):
            return
        self.query_one(Header).show(scene)
        self.query_one(TimeBar).show(scene)
        self.set_class(scene.past is not None, "-past")
        self.draw(scene)
        self.query_one(KeyBar).redraw()

    def draw(self, scene: Scene) -> None:
        """Draws the values in the screen's own widgets."""

    def room(self, scene: Scene) -> int:
        """Rows of the screen without those of the time line."""
        return self.size.height - (time_rows(self.size.height) if scene.line else 0)

    def on_time_bar_chosen(self, message: TimeBar.Chosen) -> None:
        """Goes to the moment that was clicked on."""
        self.owner.go_to_moment(message.moment)

    def on_time_bar_stepped(self, message: TimeBar.Stepped) -> None:
        """Follows the wheel."""
        self.owner.action_time_step(message.by)

    def ask(self, question: Question[T], *, anew: bool = False) -> Answer[T]:
        """What is known of `question` now; its answer comes with a later `show`."""
        return self.owner.answers.get(question, self.owner.feed.now(), anew=anew)

    # What the commands of the app need from a screen ---------------------------------------------------------------------------------------------

    def step_out(self) -> bool:
        """Undoes one thing inside the screen: clears the filter; False where esc should leave the screen."""
        return any(line.drop() for line in self.query(FilterLine))

    @property
    def can_filter(self) -> bool:
        """Whether there are rows to filter: a screen with a line for it has them in its `table`."""
        return bool(self.query(FilterLine))

    def open_filter(self, pattern: str | None = None) -> None:
        """Opens the line to type a filter on, or sets the filter to `pattern`."""
        for line in self.query(FilterLine):
            line.open(pattern)

    def on_filter_line_typed(self, message: FilterLine.Typed) -> None:
        """Filters while typing."""
        if self.table is not None:
            self.table.filter(message.pattern)
            self.draw(self.latest())

    def on_filter_line_left(self, _message: FilterLine.Left) -> None:
        """Gives the keys back to the rows."""
        if self.table is not None:
            self.table.focus()

    @property
    def can_copy(self) -> bool:
        """Whether something stands under the cursor; the keys ask so again and again, so a screen whose texts cost something says it cheaper."""
        return self.copyable() is not None

    def copyable(self) -> Copyable | None:
        """What stands under the cursor, for copying; None where nothing does."""
        return None

    def sheet(self) -> Sheet | None:
        """The table that is seen, for saving; None where there is none."""
        return None

    def look_again(self) -> bool:
        """Asks anew what the screen has asked for; False where it asks for nothing of its own."""
        return False


class LiveModal(_Live, ModalScreen[None]):
    """A panel over the screen below, which goes on living. It takes the keys of the app too, since Textual keeps them from it."""

    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(commands.EVERYWHERE)]
    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    AUTO_FOCUS: ClassVar[str | None] = ""
    # On a low terminal a panel goes without the room between its parts, so that its keys are always seen.
    VERTICAL_BREAKPOINTS = [(0, "-low"), (22, "-high")]  # noqa: RUF012 as Textual declares it
