"""One operation: its steps as they go, how it ended, and what can be done about one that is not finished.

It draws a run of this app while there is one, else what the journal says. Leaving the panel leaves the run alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from lpmops.actions import registry
from lpmops.control import guard
from lpmops.tui import commands, hands, paint, questions, reasons
from lpmops.tui.paint import Line, Piece
from lpmops.tui.place import Place
from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import Scene
from lpmops.tui.widgets.key_bar import KeyBar
from lpmops.tui.widgets.operation import Notes, line_of, mark_of, operation_lines
from lpmops.tui.widgets.pager import Pager
from lpmops.tui.widgets.plain_input import PlainInput
from lpmops.tui.widgets.plan_parts import PlanHead, trail_line
from lpmops.tui.widgets.replay import digest, is_replay, written

if TYPE_CHECKING:
    from lpmops.control.operations import Operation
    from lpmops.tui.runs import Run

# Behind an action's fields and its plan.
_STEPS_STAGE = 2
_END, _PROVEN = 0, -1
_ASKS = {"done": "it took effect", "not-done": "it took no effect", "abort": "it is given up"}


class OperationHead(PlanHead):
    """Action and environment, and how it stands."""


class ReasonInput(PlainInput):
    """Where the reason is typed that the audit keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.asks = ""

    def open(self, asks: str) -> None:
        """Takes the keys."""
        self.asks, self.value = asks, ""
        self.placeholder = f"why {_ASKS[asks]}, for the audit; enter says so, esc does not"
        self.add_class("-open")
        self.focus()

    def shut(self) -> bool:
        """Gives them back; False where it was not open."""
        was_open = self.has_class("-open")
        self.remove_class("-open")
        return was_open


class OperationScreen(LiveModal, inherit_bindings=False):
    """The panel of a run of this app, or of an operation of the journal."""

    CSS_PATH = "operation.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings((*commands.OPERATION, *commands.SCROLL))]

    def __init__(self, *, run: str = "", operation: Operation | None = None) -> None:
        super().__init__()
        self._key, self._first = run, operation
        self._shown: list[Line] = []
        self._followed = 1
        self.standing: Operation | None = None
        self.notes: Notes | None = None
        self.run: Run | None = None

    def compose(self) -> ComposeResult:
        """Head, steps, a line for a reason, keys."""
        action = (
            self._first.action
            if self._first is not None
            else self.owner.runs.get(self._key).operation.action
            if self.owner.runs
            else ""
        )
        with Vertical(classes="panel"):
            yield OperationHead(action)
            yield Pager()
            yield ReasonInput()
            yield KeyBar()

    def on_mount(self) -> None:
        """The text takes the keys."""
        self.query_one(Pager).focus()
        self.show(self.latest())

    def show(self, scene: Scene) -> None:
        """Takes what has happened since."""
        if not self.query(KeyBar):
            return
        self._look()
        operation = self.standing
        view = self.owner.live.view(operation.environment) if operation is not None else None
        if operation is None or view is None:
            return
        self.query_one(".panel").set_class(view.is_prod, "-prod")
        mark = mark_of(operation, self.run)
        left = scene.activity.armed.get(operation.environment)
        armed: Line = () if left is None else (Piece(f"armed {left:.0f} s  ", "warn"),)
        trail = _trail(operation)
        self.query_one(OperationHead).show(view, (*armed, Piece(f"{mark.glyph} {mark.word}", mark.role)), trail)
        self.query_one(".panel").set_class(bool(trail), "-led")
        self.notes = self._notes(operation) if is_replay(operation) and operation.id else None
        lines = operation_lines(operation, self.run, scene, self.notes, width=self.query_one(Pager).size.width)
        self._shown = self._shown if lines == self._shown else lines
        self.query_one(Pager).show(self._shown)
        self._follow(operation)
        self.refresh_bindings()
        self.query_one(KeyBar).redraw()

    def _notes(self, operation: Operation) -> Notes:
        """What is known of a replay beside its journal, as far as it has come."""
        orders, now = self.owner.orders, self.owner.feed.now()
        if orders is None:
            return Notes()
        answers = self.owner.answers
        shown = answers.get(questions.replay(orders, operation.id, going=operation.unfinished), now).value
        if shown is None and not operation.unfinished:
            # Until the end was read, what was read on the way.
            shown = answers.get(questions.replay(orders, operation.id, going=True), now).value
        points = answers.get(questions.series(self.owner.live, operation.environment, "latency.p99"), now).value
        if self.notes is not None and self.notes.shown is shown:
            return replace(self.notes, latency=points or ())
        return Notes(shown, points or (), digest(shown) if shown is not None and shown["proof"] is not None else "")

    def _follow(self, operation: Operation) -> None:
        """Shows the step under way, and at the end what came of it, once: whoever scrolls elsewhere stays there until the next one."""
        if self.notes is not None and self.notes.proof is not None:
            # What it was all for stands above everything else.
            if self._followed != _PROVEN:
                self._followed = _PROVEN
                self.query_one(Pager).action_scroll_edge(-1)
            return
        if self.run is None:
            return
        number = operation.finished_steps + 1 if self.run.going else _END
        if number != self._followed:
            self._followed = number
            at = len(self._shown) - 1 if number == _END else line_of(self._shown, number)
            self.query_one(Pager).reveal(at)

    def _look(self) -> None:
        """The newest of what the run and the journal say."""
        runs = self.owner.runs
        run = runs.get(self._key) if runs is not None and self._key else None
        before = run.operation if run is not None else self._first
        if runs is not None and run is None and before is not None:
            run = runs.of(before.id)
            before = run.operation if run is not None and run.going else before
        self.run, self.standing = run, before
        if before is None or (run is not None and run.going):
            return
        noted = next((each for each in self.owner.operations().value or () if each.id and each.id == before.id), None)
        # What was read while the run still went is older than what the run has told.
        if noted is not None and (run is None or noted.waits or not noted.unfinished):
            self.standing = noted

    # What can be done ------------------------------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What an operation that is not finished needs is there only then."""
        operation, going = self.standing, self.run is not None and self.run.going
        waits = operation is not None and operation.waits and not going
        if action in ("resume", "give_up"):
            return waits
        if action == "pause_run":
            return (
                operation is not None
                and bool(operation.id)
                and operation.unfinished
                and not waits
                and _has_more_at_work(operation)
            )
        if action in ("say_done", "say_not_done"):
            return waits and operation is not None and operation.state == "in_doubt"
        if action == "open_company":
            return bool(self.company)
        if action == "write_proof":
            return self.notes is not None and self.notes.proof is not None
        if action == "arm_here":
            return waits and operation is not None and guard.needs_arming(operation.danger)
        return super().check_action(action, parameters)

    @property
    def shown(self) -> reasons.Shown:
        """How it stands, for whoever says why a key does not work."""
        run, operation = self.run, self.standing
        going = run is not None and run.going
        elsewhere = not going and operation is not None and operation.unfinished and not operation.waits
        return reasons.Shown(going, run is not None and run.stopping, elsewhere)

    def action_stop_run(self) -> None:
        """Lets it end after the step that is under way."""
        why = self.owner.why_not("screen.stop_run")
        if why is not None or self.owner.runs is None or self.run is None or not self.owner.runs.stop(self.run.key):
            self.owner.tell(why or "it has ended just now")
        self.show(self.latest())

    def action_pause_run(self) -> None:
        """Ends what it has at work elsewhere, which a stop would wait for."""
        operation, runs = self.standing, self.owner.runs
        if operation is None or runs is None:
            return
        begun = runs.pause(operation, self.owner.tell)
        self.owner.tell(f"{operation.id} is being paused: its run is ended" if begun else "it is being paused already")
        self.show(self.latest())

    def action_resume(self) -> None:
        """Goes on with it."""
        operation, runs = self.standing, self.owner.runs
        if operation is None or runs is None:
            return
        why = self.owner.why_no_change(operation.environment)
        if (
            why is None
            and guard.needs_arming(operation.danger)
            and operation.environment not in self.latest().activity.armed
        ):
            why = f"{operation.environment} is not armed; A arms it, then r goes on"
        if why is not None:
            self.owner.tell(why)
            return
        self._key = runs.resume(operation) or self._key
        self.show(self.latest())

    def action_say_done(self) -> None:
        """Asks why it is said to be done."""
        self.query_one(ReasonInput).open("done")

    def action_say_not_done(self) -> None:
        """Asks why it is said not to be."""
        self.query_one(ReasonInput).open("not-done")

    def action_give_up(self) -> None:
        """Asks why it is given up."""
        self.query_one(ReasonInput).open("abort")

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Says it, with the reason."""
        message.stop()
        field, operation, runs = self.query_one(ReasonInput), self.standing, self.owner.runs
        if operation is None or runs is None:
            return
        if not message.value.strip():
            self.owner.tell("it needs a reason, for whoever reads the audit")
            return
        why = self.owner.why_no_change(operation.environment)
        if why is not None:
            self.owner.tell(why)
            return
        field.shut()
        self.query_one(Pager).focus()
        reason = message.value.strip()
        key = runs.abort(operation, reason) if field.asks == "abort" else runs.resolve(operation, field.asks, reason)
        self._key = key or self._key
        self.show(self.latest())

    def action_leave(self) -> None:
        """Closes the line for a reason, else the panel."""
        if self.query_one(ReasonInput).shut():
            self.query_one(Pager).focus()
        else:
            self.dismiss()

    def action_arm_here(self) -> None:
        """Arms, or disarms."""
        if self.standing is not None:
            self.owner.arm(self.standing.environment)

    @property
    def company(self) -> str:
        """The one company that was brought on or changed, as far as that is known; empty for none and for several."""
        result = self.run.result if self.run is not None else {}
        found = [str(each["company_id"]) for each in result.get("routes") or () if "company_id" in each]
        return found[0] if len(found) == 1 else ""

    def action_open_company(self) -> None:
        """Shows the company."""
        operation, company = self.standing, self.company
        if operation is not None and company:
            self.owner.go(Place("company", operation.environment, company))

    def action_write_proof(self) -> None:
        """Writes the proof down as Markdown, and copies it."""
        if self.notes is not None and self.notes.shown is not None:
            hands.take(self.owner, "proof", written(self.notes.shown), name=f"replay-{self.notes.shown['id']}.md")

    def action_take_command(self) -> None:
        """Copies the equal command line, or the one that goes on."""
        operation = self.standing
        if operation is not None:
            hands.take(self.owner, "command", command_of(operation))


def command_of(operation: Operation) -> str:
    """What goes on with it, or what did the same."""
    return f"lpmops op resume {operation.id}" if operation.waits and operation.id else operation.command


def _has_more_at_work(operation: Operation) -> bool:
    """Whether it has something at work elsewhere that can be ended."""
    entry = registry.ACTIONS.get(operation.action)
    return entry is not None and entry.halt is not None


def _trail(operation: Operation) -> Line:
    """Where one stands in an action that one is led through."""
    stages = registry.ACTIONS[operation.action].stages if operation.action in registry.ACTIONS else ()
    step = operation.step
    special = next((n for n, each in enumerate(stages) if step is not None and step.kind in each.kinds), _STEPS_STAGE)
    at = len(stages) if operation.state == "succeeded" else special
    return trail_line([each.title for each in stages], at)


def cells(operation: Operation) -> Line:
    """Its action, in a table."""
    return (paint.piece(operation.action.replace(".", " "), "strong"),)
