"""The card of one company over the environment it belongs to."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import Scene
from lpmops.tui.widgets.company import CompanyCard
from lpmops.tui.widgets.key_bar import KeyBar


class CompanyScreen(LiveModal):
    """Every value of one company with its age, live."""

    CSS_PATH = "panel.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "back", id="company.back", tooltip="Back to the companies"),
        Binding("enter", "dismiss", "back", show=False, id="company.close", tooltip="Back to the companies"),
    ]

    def __init__(self, environment: str, company_id: str) -> None:
        super().__init__()
        self.environment = environment
        self.company_id = company_id

    def compose(self) -> ComposeResult:
        """The card and its keys, in the frame of its environment."""
        view = self.latest().view(self.environment)
        with Vertical(classes="panel -prod" if view and view.is_prod else "panel"):
            yield CompanyCard(self.environment)
            yield KeyBar()

    def show(self, scene: Scene) -> None:
        """Takes new values."""
        self.query_one(CompanyCard).show(scene, self.company_id)
        self.query_one(KeyBar).redraw()
