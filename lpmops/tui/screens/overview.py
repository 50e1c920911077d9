"""All environments at once: a strip each, under them what is probably wrong, worst first, and at the foot every company
as a mark.

How many lines a strip gets follows from the height and from how many environments there are; the rest is for the
suspects, and where a third of that is enough for the companies, for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from lpmops.tui import commands
from lpmops.tui.place import Place
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.view import Scene
from lpmops.tui.widgets.pipeline import Pipeline
from lpmops.tui.widgets.suspects import Suspects
from lpmops.tui.widgets.wall import Wall

_FEWEST, _MOST = 1, 11
_EDGES = 2
_BARS = 2


def strip_rows(height: int, environments: int) -> int:
    """Lines inside each strip on a screen of `height` rows; a quarter of the room, but no less than four lines, is left for the suspects."""
    if environments < 1:
        return _MOST
    room = height - _BARS
    for rows in range(_MOST, _FEWEST, -1):
        if environments * (rows + _EDGES) + max(4, room // 3) <= room:
            return rows
    return 3 if environments * (3 + _EDGES) + 4 <= room else _FEWEST


def wall_rows(height: int, environments: int) -> int:
    """Lines for the companies: half of what the strips leave, none on a screen that has no two lines for each environment."""
    left = height - _BARS - environments * (strip_rows(height, environments) + _EDGES)
    return left // 2 if left // 2 > 2 * environments else 0


class Strips(VerticalScroll, can_focus=False):
    """The strips, scrolled where there are too many; keys go to the screen."""


class OverviewScreen(LiveScreen):
    """Every environment with its stages."""

    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-tall")]  # noqa: RUF012 as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(commands.OVERVIEW)]

    def __init__(self, place: Place, environments: list[str]) -> None:
        super().__init__(place)
        self.environments = environments
        self.chosen = 0

    def body(self) -> Iterable[Widget]:
        """Strips, suspects, companies."""
        yield Strips(*(Pipeline(name, id=f"strip-{number}") for number, name in enumerate(self.environments)))
        yield Suspects()
        yield Wall()

    def draw(self, scene: Scene) -> None:
        """Draws every environment."""
        height = self.room(scene)
        rows = strip_rows(height, len(self.environments))
        for number, strip in enumerate(self.query(Pipeline)):
            strip.show(scene, rows, chosen=number == self.chosen)
        self.query_one(Suspects).show(scene)
        self.query_one(Wall).show(scene, wall_rows(height, len(self.environments)))

    @property
    def chosen_environment(self) -> str | None:
        """The environment that the cursor is on."""
        return self.environments[self.chosen] if self.environments else None

    def choose(self, name: str) -> None:
        """Puts the cursor on an environment."""
        if name in self.environments:
            self.chosen = self.environments.index(name)

    def action_move(self, by: int) -> None:
        """Chooses another environment."""
        self._choose(self.chosen + by)

    def _choose(self, number: int) -> None:
        if not self.environments:
            return
        self.chosen = max(0, min(number, len(self.environments) - 1))
        self.show(self.latest())
        self.query_one(f"#strip-{self.chosen}", Pipeline).scroll_visible(animate=False)

    def action_open(self) -> None:
        """Opens the chosen environment."""
        if self.chosen_environment is not None:
            self.owner.go(Place("environment", self.chosen_environment))

    def on_pipeline_chosen(self, message: Pipeline.Chosen) -> None:
        """Follows the mouse."""
        self._choose(self.environments.index(message.environment))
        if message.opened:
            self.action_open()
