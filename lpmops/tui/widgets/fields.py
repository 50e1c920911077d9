"""The fields of an action under each other: what the services say beside each, and below them what the one that has the keys wants.

The fields that matter are asked, in the action's order; enter leads through them. What the services are asked about comes in later with `take`, and
no key waits for it: a plan can be made while something is still being looked at, and refuses by itself what speaks against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from lpmops.tui import paint, questions
from lpmops.tui.paint import Line, Piece
from lpmops.tui.widgets.field import FieldInput
from lpmops.tui.widgets.plan import choice_lines
from lpmops.tui.widgets.plan_parts import FieldName, Told

if TYPE_CHECKING:
    from datetime import datetime

    from lpmops.actions.inputs import Input as Field
    from lpmops.tui.answers import Answer, Answers
    from lpmops.tui.orders import Orders

_ASKED = count(1)


class RemarkText(Told):
    """What the services say about a field, in a few words."""


class Fields(Vertical):
    """The fields `asked`, filled with `texts` by name."""

    class Ready(Message):
        """Enter was pressed behind the last field, and all of them can be read."""

    class Edited(Message):
        """Something else is typed."""

    class Left(Message):
        """Another field has the keys, or what is wrong with one has changed."""

    def __init__(
        self,
        environment: str,
        action: str,
        asked: Sequence[Field],
        texts: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self._environment, self._action, self._clock = environment, action, clock
        self.all = [FieldInput(each, self._left, texts.get(each.name, "")) for each in asked]
        # Names this panel's questions, so that the next one asks anew.
        self._asked = f"{next(_ASKED)}"
        self._fault: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        """A row each."""
        for each in self.all:
            with Horizontal(classes="field -looked" if each.field.look is not None else "field"):
                yield FieldName((Piece(each.field.title, "muted"),))
                yield each
                if each.field.look is not None:
                    yield RemarkText(id=f"remark-{each.field.name}")

    # What comes in -------------------------------------------------------------------------------------------------------------------------------

    def take(self, orders: Orders, answers: Answers, now: datetime) -> None:
        """Takes what has come: choices, and what was found about what is typed."""
        # What failed is told for as long as its question stands unanswered.
        self._fault = None
        for each in self.all:
            if each.field.choices is not None and not each.choices:
                # What there is to choose may come while the panel is there: a company's first record.
                question = questions.choices(
                    orders,
                    self._environment,
                    self._action,
                    each.field.name,
                    self._asked,
                    again=each.choices is not None,
                )
                answer = answers.get(question, now)
                each.choices = None if answer.value is None else tuple(answer.value)
                self._note_fault(answer)
            if each.looked_at is not None and each.remarks is None:
                look = questions.look(
                    orders, self._environment, self._action, each.field.name, each.looked_at, self._asked
                )
                found = answers.get(look, now)
                each.remarks = None if found.value is None else tuple(found.value)
                self._note_fault(found)
                if each.remarks is not None:
                    each.check(now)
        self._show_remarks()

    def _note_fault(self, answer: Answer[Any]) -> None:
        if answer.fault:
            self._fault = (answer.fault, answer.hint)

    def _show_remarks(self) -> None:
        for each in self.all:
            if each.field.look is not None:
                self.query_one(f"#remark-{each.field.name}", RemarkText).tell(
                    _remark_line(each, failed=bool(self._fault))
                )

    # What is typed -------------------------------------------------------------------------------------------------------------------------------

    def values(self, now: datetime) -> dict[str, Any]:
        """What is in the fields, as values of a wish; all of them can be read."""
        return {each.field.name: each.field.read(each.text, now) for each in self.all}

    def kept(self) -> dict[str, str]:
        """What may be kept of what is typed."""
        return {each.field.name: each.text for each in self.all if each.field.kept and each.text.strip()}

    def first(self) -> None:
        """The keys to the first field that is wrong or empty, else to the first one."""
        for each in self.all:
            if each.value:
                self._check(each)
        wanted = next((each for each in self.all if each.problem), None) or next(
            (each for each in self.all if not each.value), None
        )
        self.screen.set_focus(wanted or self.all[0])

    def on_input_blurred(self, message: Input.Blurred) -> None:
        """Checks a field that is left, and has it looked at."""
        if isinstance(message.input, FieldInput) and message.input.value:
            self._check(message.input)
        self.post_message(self.Left())

    def on_input_changed(self, message: Input.Changed) -> None:
        """What was wrong with a field is forgotten while it is mended."""
        message.stop()
        if isinstance(message.input, FieldInput):
            message.input.forget()
            self._fault = None
            self.post_message(self.Edited())

    def on_descendant_focus(self) -> None:
        """Another field has the keys."""
        self.post_message(self.Left())

    def _check(self, field: FieldInput) -> bool:
        """Whether a field can be read; what only the services know is asked then."""
        fine = field.check(self._clock())
        if fine and field.field.look is not None and field.text.strip() and field.looked_at != field.text:
            field.looked_at, field.remarks = field.text, None
        return fine

    def _left(self, field: FieldInput) -> None:
        """On to the next field, or to whoever waits for all of them."""
        if not self._check(field):
            self.post_message(self.Left())
        elif field is not self.all[-1]:
            self.screen.set_focus(self.all[self.all.index(field) + 1])
        elif wrong := next((each for each in self.all if not self._check(each)), None):
            self.screen.set_focus(wrong)
            self.post_message(self.Left())
        else:
            self.post_message(self.Ready())

    # What is said about it -----------------------------------------------------------------------------------------------------------------------

    def note(self, most: int) -> list[Line]:
        """What the field that has the keys wants, or what is wrong; at most so many choices."""
        focused = self.screen.focused
        if not isinstance(focused, FieldInput):
            return []
        wrong = next((each for each in (focused, *self.all) if each.problem), None)
        hint: Line = (paint.piece(f"{focused.field.title}: {focused.field.hint}", "muted"),)
        if wrong is not None:
            hint = (Piece("✖ ", "bad"), paint.piece(f"{wrong.field.title}: {wrong.problem}", "bad"))
        lines = [hint]
        if wrong is None:
            lines += [(Piece("  "), paint.piece(each.text, "muted")) for each in (focused.remarks or ())[1:]]
        lines += choice_lines(focused.matching, focused.chosen, most)
        if focused.field.choices is not None and not focused.choices and not self._fault:
            said = "asking the services what there is to choose …" if focused.choices is None else "there is none yet"
            lines.append((Piece(f"  {said}", "muted"),))
        if self._fault:
            fault, tip = self._fault
            lines.append((Piece("✖ ", "bad"), paint.piece(fault, "bad")))
            lines += [(Piece("  "), paint.piece(part, "muted")) for part in tip.splitlines()]
        return lines


def _remark_line(field: FieldInput, *, failed: bool) -> Line:
    """What is known about a field in a few words: what speaks against it first."""
    if field.looked_at is None:
        return ()
    if field.remarks is None:
        return (Piece(" ○ ", "unknown"), Piece("can't be looked at" if failed else "looking …", "muted"))
    against = next((each for each in field.remarks if each.against), None)
    shown = against or next(iter(field.remarks), None)
    if shown is None:
        return ()
    mark = Piece(" ✖ ", "bad") if against else Piece(" ● ", "ok")
    return (mark, paint.piece(shown.text, "bad" if against else "muted"))
