"""What can be changed in one environment: every action of the registry with what it does, how dangerous it is, and why some can't be done now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.geometry import Size

from lpmops.actions import registry
from lpmops.actions.action import Action
from lpmops.control.plan import Danger
from lpmops.tui import commands, frame, paint, reasons
from lpmops.tui.paint import Line, Piece
from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.key_bar import KeyBar
from lpmops.tui.widgets.plan import danger_piece
from lpmops.tui.widgets.table import Column, LiveTable

# Border, padding, caption, heading, sentence, keys, and the lines between them.
_AROUND = 11


@dataclass(frozen=True, slots=True)
class Offer:
    """One action as it stands in an environment now; `why` is empty where it can be done."""

    number: int
    name: str
    title: str
    sentence: str
    danger: Danger
    why: str


def offers(view: EnvironmentView, company: str = "") -> tuple[Offer, ...]:
    """Every action of the registry, in its order; what is done to the company that somebody looks at comes first."""
    entries = sorted(registry.ACTIONS.values(), key=lambda entry: not (company and _is_of_company(entry)))
    return tuple(
        Offer(
            number,
            entry.name,
            entry.title,
            entry.help,
            registry.danger(entry, view.kind),
            reasons.why_no_action(entry.name, view, company) or "",
        )
        for number, entry in enumerate(entries)
    )


def _is_of_company(entry: Action) -> bool:
    return any(each.of_company is not None for each in entry.inputs or ())


def _name(offer: Offer, _now: datetime) -> Line:
    return (paint.piece(f" {offer.name.replace('.', ' ')}", "faint" if offer.why else "strong"),)


def _what(offer: Offer, _now: datetime) -> Line:
    if offer.why:
        return (paint.piece(f"not now: {offer.why}", "faint"),)
    return (paint.piece(offer.title, "text"),)


def _danger(offer: Offer, _now: datetime) -> Line:
    piece = danger_piece(offer.danger)
    return (Piece(piece.text + " ", "faint" if offer.why else piece.role),)


_COLUMNS = (
    Column("action", " action", 16, _name, lambda offer: offer.number),
    Column("what", "what it does", 24, _what, lambda offer: offer.title, grows=True),
    Column("danger", "danger ", 29, _danger, lambda offer: int(offer.danger), right=True, wanted=1),
)


class _Words(Drawn):
    """A caption over the menu, and the sentence of the chosen action under it."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[Line] = []

    def tell(self, *lines: Line) -> None:
        """Shows those lines."""
        self._shown = list(lines)
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The lines, cut to the width."""
        return [paint.crop(line, size.width) for line in self._shown]


class ActScreen(LiveModal, inherit_bindings=False):
    """The menu. Enter leads to the plan of the action under the cursor, which changes nothing yet."""

    CSS_PATH = "act.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(commands.MENU)]

    def __init__(self, environment: str, company: str = "") -> None:
        super().__init__()
        self.environment, self.company = environment, company
        self.table: LiveTable[Offer] = LiveTable(
            _COLUMNS, key=lambda offer: offer.name, haystack=lambda offer: offer.name, now=datetime.min
        )
        self._offers: tuple[Offer, ...] = ()

    def compose(self) -> ComposeResult:
        """Caption, actions, the sentence of the one under the cursor, keys."""
        with Vertical(classes="panel"):
            yield _Words()
            yield self.table
            yield _Sentence()
            yield KeyBar()

    def on_mount(self) -> None:
        """The menu takes the keys, its cursor on the first action that works now."""
        self.table.focus()
        self.show(self.latest())
        first = next((offer for offer in self._offers if not offer.why), None)
        if first is not None:
            self.table.place(first.name)

    def show(self, scene: Scene) -> None:
        """Takes what makes sense now."""
        view = self.owner.live.view(self.environment)
        if view is None or not self.query(KeyBar):
            return
        found = offers(view, self.company)
        self._offers = self._offers if found == self._offers else found
        panel = self.query_one(".panel")
        panel.set_class(view.is_prod, "-prod")
        panel.styles.max_height = _AROUND + len(found)
        whose = (paint.piece(f" · {paint.crop_text(self.company, 40)}", "strong"),) if self.company else ()
        self.query_one(_Words).tell((Piece("change something in ", "muted"), frame.name_of(view, view.name), *whose))
        self.table.show(self._offers, scene.now)
        self._tell_sentence()
        self.query_one(KeyBar).redraw()

    def _tell_sentence(self) -> None:
        offer = self.table.cursor_row
        if offer is not None:
            self.query_one(_Sentence).tell(
                (paint.piece(offer.sentence, "muted"),),
                (paint.piece(registry.command_line(registry.action(offer.name), self.environment), "faint"),),
            )

    def on_live_table_moved(self, _message: LiveTable.Moved) -> None:
        """Says what the action does."""
        self._tell_sentence()

    def on_live_table_opened(self, message: LiveTable.Opened) -> None:
        """Leads to the plan, or says why there is none now."""
        offer = next((offer for offer in self._offers if offer.name == message.key), None)
        if offer is None:
            return
        if offer.why:
            self.owner.tell(offer.why)
            return
        from lpmops.tui.screens.plan import PlanScreen

        self.dismiss()
        self.app.call_later(self.app.push_screen, PlanScreen(self.environment, offer.name, self.company))


class _Sentence(_Words):
    """What the action under the cursor does, and its command line."""
