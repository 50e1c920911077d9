"""The line over the table of companies: how many there are, how many match the filter, and how many are in each state."""

from __future__ import annotations

from collections import Counter

from textual.geometry import Size

from lpmops.model import Route, Snapshot
from lpmops.tui import marks, paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.table import LiveTable


class Caption(Drawn):
    """The line over the table: how many companies there are, how many are in trouble, which are shown."""

    def __init__(self, table: LiveTable[Route], environment: str) -> None:
        super().__init__()
        self.table = table
        self.environment = environment
        self.scene: Scene | None = None
        self._counted: Counter[marks.Mark] = Counter()
        self._counted_for: Snapshot | None = None

    def show(self, scene: Scene) -> None:
        """Takes new values."""
        self.scene = scene
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """One line."""
        view = self.scene.view(self.environment) if self.scene else None
        snapshot = view.snapshot if view else None
        if view is None or snapshot is None or not view.companies_known:
            return [(Piece(" companies", "strong"), Piece(" –", "unknown"))]
        left: tuple[Piece, ...] = (Piece(" companies ", "strong"), Piece(words.count(self.table.total), "text"))
        if self.table.pattern:
            left = (
                *left,
                Piece(f"  {words.count(self.table.row_count)} match ", "muted"),
                paint.piece(self.table.pattern, "accent"),
            )
        return [paint.spread(left, (*self._states(snapshot), Piece(" ")), size.width)]

    def _states(self, snapshot: Snapshot) -> Line:
        """How many companies are in each state, worst first."""
        if snapshot is not self._counted_for:
            self._counted_for, self._counted = (
                snapshot,
                _by_mark(Counter(route.state for route in snapshot.routes)),
            )
        worst_first = sorted(self._counted.items(), key=lambda item: -item[0].weight)
        return paint.joined(
            [(Piece(f"{mark.glyph} {words.count(number)} {mark.word}", mark.role),) for mark, number in worst_first],
            Piece("  "),
        )


def _by_mark(states: Counter[str]) -> Counter[marks.Mark]:
    """The same by what each state looks like; ten thousand companies have a handful of states."""
    found: Counter[marks.Mark] = Counter()
    for state, number in states.items():
        found[marks.of_route(state)] += number
    return found
