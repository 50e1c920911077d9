"""What every command that changes something shares: its options, how its plan is shown and agreed to, and how its run is told and ends.

A command takes them as one parameter, `change: Change`, under `options.spread`; one that only looks takes `look: Look`. A plan goes through here to
a file (`--out`), to the screen (`--dry-run`) or, once somebody said yes, to the engine. Ctrl+C once stops after the step that is under way, twice
leaves at once; either way the operation can be resumed.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from lpmops.cli import output
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import DeclinedError, ExitCode, InterruptError, LpmopsError, RefusedError, UsageError
from lpmops.plain_text import counted, plain

if TYPE_CHECKING:
    from lpmops.actions.action import Wish
    from lpmops.actions.desk import Desk
    from lpmops.control import guard
    from lpmops.control.guard import Answers
    from lpmops.control.hands import Event, Outcome, StopRequest
    from lpmops.control.plan import Plan
    from lpmops.services.cloud import EnvironmentServices
    from lpmops.store.connection import Store

    Work = Callable[[Callable[[Event], None], StopRequest], Outcome]

SCHEMA, PLAN_SCHEMA = "operation", "plan"
_STOPPING = "Stopping after this step; once more leaves at once. The operation can be resumed either way."

Env = Annotated[str, typer.Option("-e", "--env", metavar="ENV", help="Which environment; always named.")]
Form = Annotated[
    Output, typer.Option("-o", "--output", help="The form of the output; jsonl tells each step as it comes.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="WHY", help="Why; kept with the operation and in the audit.")]
Ticket = Annotated[str, typer.Option("--ticket", metavar="ID", help="The ticket it belongs to.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and do nothing.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save the plan for: lpmops apply FILE")]
Yes = Annotated[bool, typer.Option("--yes", help="Say yes to what can be undone.")]
Confirm = Annotated[
    str | None,
    typer.Option("--confirm", metavar="NAME", help="Confirm with the environment's name, also what is hard to undo."),
]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask; what is missing is named, exit 7.")]
Detailed = Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 10 where a dry run or saved plan has steps.")]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the command line went: what it may do, and what it said yes to."""

    dry_run: bool = False
    out: Path | None = None
    yes: bool = False
    confirm: str | None = None
    no_input: bool = False
    detailed: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The options of a command that changes something."""

    reason: Reason = ""
    ticket: Ticket = ""
    dry_run: DryRun = False
    out: Out = None
    yes: Yes = False
    confirm: Confirm = None
    detailed: Detailed = False
    form: Form = Output.TABLE
    no_input: NoInput = False

    @property
    def why(self) -> dict[str, str]:
        """Reason and ticket, as a wish holds them."""
        return {"reason": self.reason.strip(), "ticket": self.ticket}

    @property
    def agreed(self) -> Agreement:
        """How far it may go."""
        return Agreement(self.dry_run, self.out, self.yes, self.confirm, self.no_input, self.detailed)


@dataclass(frozen=True, slots=True)
class Look:
    """The options of a command that only looks; it never asks, so `no_input` is taken for the sake of scripts."""

    form: Form = Output.TABLE
    no_input: NoInput = False


@contextmanager
def desk(name: str) -> Iterator[Desk]:
    """A desk at one environment of the configuration; its warnings are told at the end. Raises ConfigError, NotFoundError, StoreError."""
    from lpmops.actions.desk import Desk

    here = world()
    config = here.config()
    environment = config.environment(name)
    store = here.open_store(config.state_directory)
    services = here.open_services(environment, config.refresh.deadline)
    # A face's world names only what looking needs; the bundle behind it is that of the services.
    made = Desk(config, environment, store, cast("EnvironmentServices", services), now=here.now)
    try:
        yield made
    finally:
        made.close()
        store.close()
        for warning in made.warnings:
            output.narrate(f"warning: {warning}")


def act(action: str, environment: str, wish: Wish, agreed: Agreement, form: Output) -> None:
    """Plan an action and go as far with it as was agreed."""
    with output.guarded(SCHEMA, form), desk(environment) as made:
        plan_and_carry_on(made, action, wish, agreed, form)


def plan_and_carry_on(made: Desk, action: str, wish: Wish, agreed: Agreement, form: Output) -> None:
    """The same at a desk that is open. What is unfinished goes first: it may be why the world looks odd."""
    from lpmops.actions import registry

    if not agreed.dry_run and agreed.out is None:
        made.refuse_unfinished()
    carry_on(made, made.plan(registry.action(action), wish), agreed, form)


def carry_on(made: Desk, plan: Plan, agreed: Agreement, form: Output) -> None:
    """Save, show or apply a plan. Raises LpmopsError where nothing was begun."""
    if agreed.out is not None or agreed.dry_run:
        _hand_over(plan, agreed, form)
        return
    if not plan.steps and plan.applyable:
        data: dict[str, Any] = {
            "operation": None,
            "state": "succeeded",
            "steps": [],
            "result": {"changed": False, "summary": plan.summary},
        }
        output.emit(Answer(SCHEMA, data, ["Nothing to do: it is so already."], [], list(plan.warnings)), form)
        return
    from lpmops.control import guard

    guard.refuse_unapplyable(plan)
    for line in plan_lines(plan):
        output.narrate(line)
    approval = guard.approve(plan, answered(guard.request_of(plan), agreed), made.who(), world().now())
    run(made.store, lambda tell, stop: made.apply(plan, approval, tell=tell, stop=stop), form)


def run(store: Store, work: Work, form: Output) -> None:
    """Run an operation, its steps told on the way, its end as the document. Leaves with 11 where its proof found something wrong."""
    from lpmops.control.hands import StopRequest

    stop, tell, begun = StopRequest(), _teller(form), list[str]()

    def follow(event: Event) -> None:
        begun.append(event.operation)
        tell(event)

    with stopping(stop) as got:
        try:
            outcome = work(follow, stop)
        except KeyboardInterrupt:
            _fail(store, _left(begun), form, got)
        except LpmopsError as error:
            _fail(store, error, form, got)
    steps = [{"name": name, "state": state} for name, state in outcome.steps]
    data = {"operation": outcome.operation, "state": outcome.state, "steps": steps, "result": dict(outcome.result)}
    output.emit(Answer(SCHEMA, data, _outcome_lines(data), steps), form)
    proof = outcome.result.get("proof")
    if proof is not None and not proof["complete"]:
        # All was done, and what it was done for is not so: a script must not go on as if it were.
        output.leave(ExitCode.UNHEALTHY)


def _fail(store: Store, error: LpmopsError, form: Output, got: set[int]) -> NoReturn:
    """The document of an error, with how its operation stands, and the exit code."""
    if error.operation is None:
        raise error
    output.emit(Answer(SCHEMA, _data_of(store, error.operation), error=error), form)
    ended = isinstance(error, InterruptError) and signal.SIGTERM in got
    raise typer.Exit(int(ExitCode.TERMINATED if ended else error.exit_code)) from error


def _left(begun: list[str]) -> InterruptError:
    """The error of somebody who left at once."""
    if not begun:
        return InterruptError("You left before anything was begun.")
    return InterruptError(
        f"You left operation {begun[-1]} while a step was under way; what it sent may still take effect.",
        hint=f"See what became of it and go on: lpmops op resume {begun[-1]}",
        operation=begun[-1],
    )


def _hand_over(plan: Plan, agreed: Agreement, form: Output) -> None:
    """The plan on the screen or in a file, and nothing done."""
    from lpmops.control import plan as plans

    data = plans.plan_data(plan)
    shown = {
        **data["plan"],
        "fingerprint": data["fingerprint"],
        "applyable": plan.applyable,
        "changes": bool(plan.steps),
    }
    lines = plan_lines(plan)
    if agreed.out is not None:
        plans.save(plan, agreed.out)
        lines.append(
            f"Saved in {agreed.out}. Within {plans.LONGEST_AGE / timedelta(minutes=1):.0f} min: lpmops apply {agreed.out}"
        )
    steps = [{"name": step.name, "target": step.target} for step in plan.steps]
    error = RefusedError(plan.refusals[0], hint="\n".join(plan.refusals[1:])) if plan.refusals else None
    output.emit(Answer(PLAN_SCHEMA, shown, lines, steps, error=error), form)
    if error is not None:
        output.leave(error.exit_code)
    output.leave(ExitCode.CHANGES if agreed.detailed and plan.steps else ExitCode.OK)


def plan_lines(plan: Plan) -> list[str]:
    """A plan for people: what, whom it concerns, each step with before and after, what speaks against it."""
    name = plan.environment.upper() if plan.kind.value == "prod" else plan.environment
    lines = [f"{name}: {plain(plan.summary)}"]
    for number, step in enumerate(plan.steps, 1):
        lines.append(f"  {number}. {plain(step.name)}")
        lines += [f"       {plain(item.field)}: {_value(item.before)} -> {_value(item.after)}" for item in step.changes]
    impact = plan.impact
    parts = [
        (impact.companies is not None, counted(impact.companies or 0, "company", "companies")),
        (impact.pause_seconds is not None, f"{(impact.pause_seconds or 0) / 60:.0f} min without delivery"),
        (impact.budget_share is not None, f"{100 * (impact.budget_share or 0):.1f} % of the error budget"),
    ]
    if any(known for known, _ in parts):
        lines.append(f"  concerns {', '.join(text for known, text in parts if known)}")
    lines += [f"  note: {plain(warning)}" for warning in plan.warnings]
    lines += [f"  refused: {plain(refusal)}" for refusal in plan.refusals]
    if plan.undo and plan.steps:
        lines.append(f"  undo: {plain(plan.undo)}")
    return lines


def moment(text: str | None, flag: str) -> str | None:
    """A time to come as RFC 3339: written so, or as a span from now (90m, 2h). Raises UsageError."""
    from lpmops import moments
    from lpmops.model import to_data

    if text is None:
        return None
    try:
        return str(to_data(moments.ahead(text, world().now())))
    except UsageError as error:
        raise UsageError(f"{flag} {error.message}", hint=error.hint) from None


def past_moment(text: str | None, flag: str) -> str | None:
    """A time as RFC 3339. Raises UsageError."""
    from lpmops.model import parse_time, to_data

    try:
        return None if text is None else str(to_data(parse_time(text)))
    except (ValueError, OverflowError):
        raise UsageError(f"{flag} {text!r} is no time.", hint="Write it as 2026-11-23T04:00:00Z.") from None


def ask(question: str) -> str:
    """One line from the person. Raises DeclinedError where the input ends."""
    here = world()
    here.stderr.write(plain(question) + " ")
    here.stderr.flush()
    line = here.stdin.readline()
    if not line:
        raise DeclinedError("The input ended before there was an answer; nothing was done.")
    return line.strip()


def answered(request: guard.Request, agreed: Agreement) -> Answers:
    """What was agreed to on the command line, and what is asked for where somebody can be asked. Raises DeclinedError."""
    from lpmops.control import guard

    answers = guard.Answers(agreed.yes, agreed.confirm)
    missing = guard.needed(request, answers)
    if missing is None or not world().may_ask(agreed.no_input):
        return answers
    said = ask(missing.question)
    if missing.typed is not None:
        return replace(answers, confirm=said)
    if said.lower() not in ("y", "yes"):
        raise DeclinedError("You said no; nothing was done.")
    return replace(answers, yes=True)


def _teller(form: Output) -> Callable[[Event], None]:
    """How a run is told: each event as a line of JSON on stdout for jsonl, else a line for the person on stderr."""
    from lpmops.model import to_data

    def as_json(event: Event) -> None:
        item = {
            "seq": event.seq,
            "ts": to_data(event.at),
            "op": event.operation,
            "step": event.step,
            "state": event.state,
            "said": event.said,
        }
        output.emit(Answer(SCHEMA, item), Output.JSONL)

    def as_line(event: Event) -> None:
        if event.step is None:
            output.narrate(f"operation {event.operation}: {event.state}")
        else:
            output.narrate(f"  {event.state:9} {event.step}" + (f" ({event.said})" if event.said else ""))

    return as_json if form is Output.JSONL else as_line


@contextmanager
def stopping(stop: StopRequest, words: str = _STOPPING) -> Iterator[set[int]]:
    """Once: stop after the step. Twice: leave now. Gives the set of the signals that came."""
    got: set[int] = set()
    if threading.current_thread() is not threading.main_thread():
        yield got
        return

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.requested:
            if number == signal.SIGTERM:
                sys.exit(int(ExitCode.TERMINATED))
            raise KeyboardInterrupt
        stop.requested = True
        got.add(number)
        output.narrate(words)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _data_of(store: Store, identifier: str) -> dict[str, Any]:
    """How an operation stands, for the document of an error."""
    from lpmops.store import journal

    try:
        operation, steps = journal.read(store, identifier)
    except LpmopsError:
        return {"operation": identifier, "state": "unknown", "steps": [], "result": {}}
    return {
        "operation": operation.id,
        "state": operation.state,
        "steps": [{"name": step.name, "state": step.state} for step in steps],
        "result": {},
    }


def _outcome_lines(data: dict[str, Any]) -> list[str]:
    rows = [[step["state"], plain(step["name"])] for step in data["steps"]]
    head = (
        f"{data['state']}: operation {data['operation']}" if data["operation"] else "Nothing to do: it is so already."
    )
    lines = [head, *(f"  {state:9} {name}" for state, name in rows)]
    summary = data["result"].get("summary") if data["operation"] else None
    return [*lines, plain(summary)] if summary else lines


def _value(value: Any) -> str:
    import json

    return "-" if value is None else plain(value if isinstance(value, str) else json.dumps(value))


def listed(items: Sequence[str] | None) -> list[str]:
    """The values of an option that may be repeated, each once."""
    return list(dict.fromkeys(items or []))


def since(then: datetime | None, now: datetime) -> str:
    """How long ago, for a table."""
    from lpmops.cli.status_view import age

    return "-" if then is None else age(then, now)
