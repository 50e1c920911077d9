"""One change of one record: where its time went, and what it holds. J and K go through the records as the table below has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from lpmops.model import LandedRecord
from lpmops.tui import changes, commands, questions
from lpmops.tui.paint import Line
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import CloserScreen
from lpmops.tui.screens.company import CompanyScreen
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets.pager import Pager
from lpmops.tui.widgets.record import RecordCard, payload


class RecordScreen(CloserScreen):
    """A change with all that is known of it."""

    CSS_PATH = "record.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings((*commands.RECORD, *commands.TEXT))]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.wrap = True
        self._payload: tuple[LandedRecord, tzinfo, list[Line]] | None = None

    @property
    def record(self) -> LandedRecord:
        """The change that is shown."""
        assert self.place is not None
        assert self.place.record is not None
        return self.place.record

    def body(self) -> Iterable[Widget]:
        """Stamps and hops over the payload."""
        yield RecordCard(self.environment)
        yield Pager()

    def on_mount(self) -> None:
        """The payload takes the keys."""
        self.query_one(Pager).focus()

    def draw(self, scene: Scene) -> None:
        """Draws the record; its place among the newest ones moves as others land."""
        rows = self._rows(scene)
        keys = [changes.key(row) for row in rows]
        mine = changes.key(self.record)
        place = (
            f"{keys.index(mine) + 1} of {len(keys)}" if mine in keys else "no longer among the newest" if keys else ""
        )
        self.query_one(RecordCard).show(scene, self.record, place)
        self.query_one(Pager).show(self._text(scene), wrap=self.wrap)

    def _text(self, scene: Scene) -> list[Line]:
        known = self._payload
        if known is None or known[0] is not self.record or known[1] is not scene.zone:
            known = self._payload = (self.record, scene.zone, payload(self.record, scene.zone))
        return known[2]

    @property
    def _company(self) -> CompanyScreen | None:
        """The screen below, whose table says which record is next."""
        return next((screen for screen in reversed(self.owner.screen_stack) if isinstance(screen, CompanyScreen)), None)

    def _rows(self, scene: Scene) -> Sequence[LandedRecord]:
        below = self._company
        if below is None:
            return ()
        answer = self.look(scene, questions.records(scene, self.environment, below.company))
        if answer.value is not None:
            below.take(answer, scene)
        return below.table.rows

    # What the commands need ----------------------------------------------------------------------------------------------------------------------

    def action_neighbour(self, by: int) -> None:
        """The next record of the table below, or the one before."""
        below = self._company
        rows = self._rows(self.latest())
        keys = [changes.key(row) for row in rows]
        mine = changes.key(self.record)
        # Where this one has left the table, the one under its cursor took its place.
        index = (
            keys.index(mine) + by
            if mine in keys
            else keys.index(below.table.cursor_key or "")
            if below and keys
            else -1
        )
        if below is None or not 0 <= index < len(rows):
            self.owner.tell(f"there is no record {'before' if by < 0 else 'after'} this one in the table")
            return
        below.table.place(keys[index])
        assert self.place is not None
        self.place = replace(self.place, record=rows[index])
        self.owner.navigator.exchange(self.place)
        self.query_one(Pager).scroll_to(y=0, animate=False)
        self.show(self.latest())

    def action_wrap(self) -> None:
        """Folds long lines, or cuts them."""
        self.wrap = not self.wrap
        self.show(self.latest())

    def copyable(self) -> Copyable | None:
        """The record."""
        text = "\n".join("".join(part.text for part in line) for line in self._text(self.latest()))
        return Copyable(self.record.record_id, text, changes.data(self.record))

    def sheet(self) -> Sheet | None:
        """The landed columns."""
        values = changes.plain_value(self.record.values)
        rows = [{"column": name, "value": value} for name, value in values.items()]
        return Sheet(f"{self.environment}-{self.record.record_id}", rows)
