"""One company: everything known about it, live."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from lpmops.tui.place import Place
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.view import Scene
from lpmops.tui.widgets.company import CompanyCard


class CompanyScreen(LiveScreen):
    """Every value of one company with its age."""

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        del scene

    def body(self) -> Iterable[Widget]:
        """The card."""
        yield CompanyCard(self.environment)

    def draw(self, scene: Scene) -> None:
        """Draws the company."""
        self.query_one(CompanyCard).show(scene, self.place.company if self.place else None)
