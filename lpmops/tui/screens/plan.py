"""A plan before it is approved: what is asked first, what would happen, and the ladder of yes.

Fields are checked as they are left. The plan is made on another thread; while that hangs the panel can be left. When
the plan stands there, Cancel has the focus and no key counts for a moment, so that nothing typed before confirms it.
What it takes to say yes is asked of the guard: one key, `yes` typed while armed, or the target's name; arming there
leads into the field that takes the word. Enter alone confirms nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.widgets import Input

from lpmops.actions import registry
from lpmops.actions.inputs import Input as Field
from lpmops.control import guard
from lpmops.control.guard import Answers
from lpmops.control.operations import planned
from lpmops.control.plan import Danger, Plan
from lpmops.errors import LpmopsError
from lpmops.tui import commands, drafts, hands, paint, questions, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import Scene
from lpmops.tui.widgets.fields import Fields
from lpmops.tui.widgets.key_bar import KeyBar
from lpmops.tui.widgets.pager import Pager
from lpmops.tui.widgets.plan import danger_piece, plan_lines
from lpmops.tui.widgets.plan_parts import Armed, Cancel, FieldName, Note, PlanHead, TypedInput, trail_line

DEAF_SECONDS = 0.3
# Head, hint, remarks, foot, keys and the lines between them; a field is a line more.
_AROUND, _FEWEST_CHOICES = 16, 4
_ASKED = count(1)


class PlanScreen(LiveModal, inherit_bindings=False):
    """The panel of one action in one environment; `company` is the one that somebody looks at, `given` texts that its fields begin with."""

    CSS_PATH = "plan.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings((*commands.PLAN, *commands.SCROLL))]

    def __init__(
        self, environment: str, action: str, company: str = "", *, given: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self._given = dict(given or {})
        self.environment, self.action, self.company = environment, registry.action(action), company
        self.plan: Plan | None = None
        self._asked = f"{next(_ASKED)}"
        self._values: Mapping[str, Any] | None = None
        self._said: tuple[Line, ...] = ()
        self._deaf_since = time.monotonic()
        self._text: list[Line] = []
        self._draft = drafts.Draft()
        self._resumed = False

    def compose(self) -> ComposeResult:
        """Head, fields, what they want, the plan, the foot, keys."""
        with Vertical(classes="panel -led" if self.action.stages else "panel"):
            yield PlanHead(self.action.name)
            yield Fields(self.environment, self.action.name, self._asked_for(), self._texts(), self.owner.feed.now)
            yield Note()
            yield Pager()
            with Horizontal(id="foot"):
                yield Armed()
                yield Cancel()
                yield FieldName(id="ask")
                yield TypedInput()
            yield KeyBar()

    def _asked_for(self) -> list[Field]:
        """The inputs that matter as things were last seen."""
        view = self.owner.live.view(self.environment)
        seen = view.snapshot if view is not None else None
        return [
            each
            for each in self.action.inputs or ()
            if each.needed(seen) and not (self.company and each.of_company is not None)
        ]

    def _texts(self) -> Mapping[str, str]:
        """What stands in the fields at first: what a screen has chosen, else what was typed when the panel was left."""
        if self._given or not any(each.kept for each in self.action.inputs or ()) or self.owner.is_web:
            return self._given
        self._draft = drafts.load(self.owner.state_directory, self.environment, self.action.name)
        return self._draft.texts

    def on_mount(self) -> None:
        """The first field takes the keys; without fields the plan is made at once."""
        self.query_one(Pager).can_focus = False
        if self.fields.all:
            self._resumed = bool(self._draft.texts)
            self.fields.first()
        else:
            self._make()
        self.show(self.latest())

    @property
    def fields(self) -> Fields:
        """What is asked before the plan."""
        return self.query_one(Fields)

    # What is shown ---------------------------------------------------------------------------------------------------------------------------------

    def show(self, scene: Scene) -> None:
        """Takes what has come: choices, the plan, seconds."""
        view = self.owner.live.view(self.environment)
        if view is None or not self.query(KeyBar):
            return
        self._take()
        self.query_one(".panel").set_class(view.is_prod, "-prod")
        danger = self.plan.danger if self.plan is not None else registry.danger(self.action, view.kind)
        trail = trail_line([each.title for each in self.action.stages], 0 if self.plan is None else 1)
        self.query_one(PlanHead).show(view, (danger_piece(danger),), trail)
        self.fields.set_class(self.plan is not None or not self.fields.all, "-hidden")
        self._show_note()
        self._show_foot(scene)
        self.refresh_bindings()
        self.query_one(KeyBar).redraw()

    def _take(self) -> None:
        """Takes the answers that have come."""
        orders = self.owner.orders
        if orders is None:
            return
        now = self.owner.feed.now()
        if self.plan is None:
            self.fields.take(orders, self.owner.answers, now)
        if self._values is None or self.plan is not None:
            return
        made = self.owner.answers.get(
            questions.plan(orders, self.environment, self.action.name, self._values, self._asked), now
        )
        if made.value is not None:
            self._stand(made.value)
        elif made.fault:
            self._said, self._values = _fault_lines(made.fault, made.hint), None
            if self.fields.all:
                self.set_focus(self.fields.all[0])

    def _stand(self, plan: Plan) -> None:
        """The plan stands there: from now on Cancel has the keys, and for a moment none counts."""
        self.plan, self._said = plan, ()
        self._text = plan_lines(plan, self.command)
        self.query_one(Pager).show(self._text)
        self.set_focus(self.query_one(Cancel))
        self._deaf_since = time.monotonic()

    def _show_note(self) -> None:
        note, lines = self.query_one(Note), list[Line]()
        if self._values is not None and self.plan is None:
            lines = [(Piece("making the plan: asking the services what is there …", "muted"),)]
        elif self.plan is None:
            lines = self.fields.note(max(_FEWEST_CHOICES, self.size.height - _AROUND - len(self.fields.all)))
        lines += self._said
        note.set_class(not lines, "-hidden")
        note.tell(*lines)

    def _show_foot(self, scene: Scene) -> None:
        typed, ask = self.query_one(TypedInput), self.query_one("#ask", FieldName)
        word = self._word
        open_now = bool(word) and self._may_begin and self._is_armed
        if not open_now and typed.has_focus:
            self.set_focus(self.query_one(Cancel))
        if not open_now:
            typed.value = ""
        typed.set_class(not open_now, "-hidden")
        ask.set_class(not open_now, "-hidden")
        named = paint.piece(paint.crop_text(word, 20), "key")
        line: Line = (Piece("  type ", "muted"), named, Piece(", enter ", "muted"))
        ask.styles.width = paint.width_of(line)
        ask.tell(line)
        self.query_one(Armed).tell(self._armed_line(scene))

    def _armed_line(self, scene: Scene) -> Line:
        if self.plan is None:
            if not self.fields.all:
                return ()
            kept = ""
            if self._resumed and self._draft.at is not None:
                kept = f"as you left it {words.age((self.owner.feed.now() - self._draft.at).total_seconds())} ago; "
            return (Piece(f"{kept}enter goes on, at last to the plan; nothing is changed yet", "muted"),)
        if self.first:
            words_of_it = self.first.replace(".", " ")
            return (
                Piece("not now: ", "warn"),
                Piece("x", "key"),
                Piece(f" opens {words_of_it}, which comes first", "muted"),
            )
        if not self._may_begin:
            return (Piece("this can't be done now" if self.plan.refusals else "nothing is left to do", "muted"),)
        if not guard.needs_arming(self.plan.danger):
            return (Piece("Go on?  ", "strong"), Piece("y", "key"), Piece(" does it", "muted"))
        left = scene.activity.armed.get(self.environment)
        if left is None:
            return (Piece("not armed: ", "warn"), Piece("A", "key"), Piece(" arms it", "muted"))
        return (Piece(f"armed {left:.0f} s", "warn"),)

    # The ladder ------------------------------------------------------------------------------------------------------------------------------------

    @property
    def command(self) -> str:
        """The command line that does the same without a question."""
        if self.plan is None:
            return registry.command_line(self.action, self.environment)
        missing = guard.needed(guard.request_of(self.plan), Answers())
        return f"{self.plan.command} {missing.flag}" if missing is not None else self.plan.command

    @property
    def _word(self) -> str:
        return guard.word_to_type(guard.request_of(self.plan)) if self.plan is not None else ""

    @property
    def _may_begin(self) -> bool:
        return self.plan is not None and self.plan.applyable and bool(self.plan.steps)

    @property
    def _is_armed(self) -> bool:
        if self.plan is None or not guard.needs_arming(self.plan.danger):
            return self.plan is not None
        return self.owner.orders is not None and self.environment in self.owner.orders.armed()

    @property
    def first(self) -> str:
        """The action that a refusal names as what comes first; empty where none does, or where the plan can be carried out."""
        refusals = self.plan.refusals if self.plan is not None and not self._may_begin else ()
        named = (
            name for name in registry.ACTIONS for each in refusals if f"lpmops {name.replace('.', ' ')} " in f"{each} "
        )
        return next((name for name in named if name != self.action.name), "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One key says yes only where nothing is typed for it; where it does, the copy is on c alone."""
        if action == "yes":
            return self._may_begin and not self._word
        if action == "do_first":
            return bool(self.first)
        if action == "arm_here":
            return self.plan is not None and self._may_begin and guard.needs_arming(self.plan.danger)
        return super().check_action(action, parameters)

    def on_key(self, event: Key) -> None:
        """For a moment after the panel or its plan came up no key counts."""
        if time.monotonic() - self._deaf_since < DEAF_SECONDS:
            event.stop()
            event.prevent_default()

    def action_yes(self) -> None:
        """Does it, where one key is enough."""
        self._begin("yes" if self._word else "")

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter behind the right word does it."""
        message.stop()
        if isinstance(message.input, TypedInput):
            self._begin(message.value)

    def on_fields_edited(self, _message: Fields.Edited) -> None:
        """What no plan could be made of is being mended."""
        self._said = ()
        self._show_note()

    def on_fields_left(self, _message: Fields.Left) -> None:
        """Says what the field that has the keys wants, and asks what is to be asked about the one that was left."""
        self._keep(self.fields.kept())
        self.show(self.latest())

    def _keep(self, texts: Mapping[str, str]) -> None:
        """Keeps what is typed for the next time; in a browser nothing is written on this machine."""
        if self.owner.is_web or texts == self._draft.texts:
            return
        self._draft, self._resumed = drafts.Draft(texts, self.owner.feed.now()), False
        try:
            drafts.keep(self.owner.state_directory, self.environment, self.action.name, self._draft)
        except OSError as error:
            self.owner.tell_once(f"what is typed can't be kept for the next time: {error.strerror}")

    def on_fields_ready(self, _message: Fields.Ready) -> None:
        """On to the plan."""
        self._make()

    def _make(self) -> None:
        """Has the plan made of what is in the fields."""
        self._asked, self._said = f"{next(_ASKED)}", ()
        given = {each.name: each.of_company for each in self.action.inputs or () if self.company}
        meant = {name: of_company(self.company) for name, of_company in given.items() if of_company is not None}
        self._values = {**self.fields.values(self.owner.feed.now()), **meant}
        self.set_focus(self.query_one(Cancel))
        self.show(self.latest())

    def _begin(self, typed: str) -> None:
        """Does what the plan says, if that was a yes; else says what is missing."""
        plan, runs = self.plan, self.owner.runs
        if plan is None or runs is None or not self._may_begin:
            return
        why = self.owner.why_no_change(self.environment) or self._not_yes(plan, typed)
        if why:
            self._said = ((Piece("✖ ", "bad"), paint.piece(why, "bad")),)
            self.show(self.latest())
            return
        key = runs.apply(planned(plan, self.owner.feed.now()), plan, typed)
        if key is not None:
            # From now on the journal knows what is unfinished.
            self._keep({})
        self.dismiss()
        if key is not None:
            from lpmops.tui.screens.operation import OperationScreen

            self.app.call_later(self.app.push_screen, OperationScreen(run=key))

    def _not_yes(self, plan: Plan, typed: str) -> str:
        if not self._is_armed:
            return f"{self.environment} is not armed any more, so nothing was done; A arms it again"
        request = guard.request_of(plan)
        try:
            missing = guard.needed(request, guard.answers_of(request, typed))
        except LpmopsError as error:
            return error.message
        return (
            f"that is not {self._word!r}; nothing was done"
            if missing is not None and request.danger > Danger.READ
            else ""
        )

    # Keys ------------------------------------------------------------------------------------------------------------------------------------------

    def on_cancel_pressed(self, _message: Cancel.Pressed) -> None:
        """Leaves."""
        self.action_cancel()

    def action_cancel(self) -> None:
        """Leaves; what is typed is there the next time."""
        self._keep(self.fields.kept())
        self.dismiss()

    def action_arm_here(self) -> None:
        """Arms, or disarms; whoever armed goes on to type, where a word is asked for."""
        self.owner.arm(self.environment)
        # The field is there once the foot is drawn anew.
        self.call_after_refresh(self._go_on_typing)

    def _go_on_typing(self) -> None:
        typed = self.query_one(TypedInput)
        if not typed.has_class("-hidden"):
            self.set_focus(typed)

    def action_do_first(self) -> None:
        """Opens the plan of what comes first, instead of this one."""
        first = self.first
        self.action_cancel()
        self.app.call_later(self.app.push_screen, PlanScreen(self.environment, first))

    def action_take_command(self) -> None:
        """Copies the equal command line."""
        hands.take(self.owner, "command", self.command)

    def action_scroll(self, by: int) -> None:
        """Moves the plan by lines."""
        self.query_one(Pager).action_scroll(by)

    def action_scroll_page(self, by: int) -> None:
        """Moves the plan by pages."""
        self.query_one(Pager).action_scroll_page(by)

    def action_scroll_edge(self, side: int) -> None:
        """To the plan's beginning or end."""
        self.query_one(Pager).action_scroll_edge(side)


def _fault_lines(fault: str, hint: str) -> tuple[Line, ...]:
    return (
        (Piece("✖ ", "bad"), paint.piece(fault, "bad")),
        *((Piece("  "), paint.piece(part, "muted")) for part in hint.splitlines()),
    )
