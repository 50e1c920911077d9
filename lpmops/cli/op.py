"""`lpmops op`: operations that ran, run or wait to be finished; and `lpmops apply`, which runs a saved plan."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Agreement, Confirm, Form, NoInput, Reason, Yes
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import UsageError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.store.connection import Store
    from lpmops.store.journal import OperationRow, StepRow

SCHEMA = "op"
Id = Annotated[str, typer.Argument(metavar="ID", help="The operation's id, or the beginning of it.")]
group = typer.Typer(help="Operations: see them, and finish those that were interrupted.", no_args_is_help=True)


class How(StrEnum):
    """How a step that is in doubt stands."""

    DONE = "done"
    NOT_DONE = "not-done"
    RETRY = "retry"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="op")
    app.command("apply")(apply)


def apply(
    file: Annotated[Path, typer.Argument(metavar="PLANFILE", help="The plan that an action saved with --out.")],
    yes: Yes = False,
    confirm: Confirm = None,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Run exactly the plan of a file; a world that has moved refuses it (exit 6)."""
    with output.guarded(changing.SCHEMA, form):
        from lpmops.control import plan as plans

        plan = plans.load(file)
        with changing.desk(plan.environment) as desk:
            plans.check_fits(plan, desk.environment, world().now())
            agreed = Agreement(yes=yes, confirm=confirm, no_input=no_input)
            changing.carry_on(desk, plan, agreed, form)


@group.command("list")
def list_operations(
    environment: Annotated[
        str | None, typer.Option("-e", "--env", metavar="ENV", help="Only of this environment.")
    ] = None,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Only those that are not over.")] = False,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """List operations, newest first. One whose process is gone is interrupted; it goes on with: lpmops op resume ID"""
    del no_input
    with output.guarded(SCHEMA, form):
        from lpmops.store import journal

        store = world().stored()
        try:
            found = journal.operations(store, environment, unfinished=unfinished)
            items = [_summary(store, operation, steps) for operation, steps in found]
        finally:
            store.close()
        head = ("id", "action", "environment", "state", "step", "started", "by")
        rows = [
            [plain(item[key] or "-") for key in ("id", "action", "environment", "state", "step", "started_at", "by")]
            for item in items
        ]
        lines = (
            output.table(head, rows)
            if rows
            else ["There is no unfinished operation." if unfinished else "There is no operation yet."]
        )
        output.emit(Answer(SCHEMA, items, lines, items), form)


@group.command()
def show(identifier: Id, form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Show an operation: its plan, and each step with what was seen of it."""
    del no_input
    with output.guarded(SCHEMA, form):
        from lpmops.store import journal

        store = world().stored()
        try:
            operation, steps = journal.read(store, identifier)
            data = _details(store, operation, steps)
        finally:
            store.close()
        begun = f"begun {data['started_at']} by {plain(data['by'])}"
        lines = [f"{data['id']}  {plain(data['action'])} in {plain(data['environment'])}: {data['state']}, {begun}"]
        lines += [
            f"  {step['state']:9} {plain(step['name'])}" + (f" ({plain(step['observed'])})" if step["observed"] else "")
            for step in data["steps"]
        ]
        lines += [f"  {name}: {plain(data[name])}" for name in ("reason", "ticket", "error", "command") if data[name]]
        output.emit(Answer(SCHEMA, data, lines, data["steps"]), form)


@group.command()
def resume(identifier: Id, form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Look at what is there and go on with an operation that was interrupted or is in doubt."""
    del no_input
    with output.guarded(changing.SCHEMA, form):
        _resume(identifier, form)


@group.command()
def resolve(
    identifier: Id,
    how: Annotated[
        How, typer.Option("--as", help="How the step in doubt stands; retry is not-done and goes on at once.")
    ],
    reason: Reason = "",
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Say of the step that is in doubt whether it took effect, where looking can't tell."""
    del no_input
    with output.guarded(changing.SCHEMA, form):
        _need(reason)
        operation, _ = _read(identifier)
        with changing.desk(operation.environment) as desk:
            book = desk.resolve(operation.id, "done" if how is How.DONE else "not-done", reason)
            steps = [{"name": step.name, "state": step.state} for step in book.steps]
        if how is How.RETRY:
            _resume(operation.id, form)
            return
        data = {"operation": book.id, "state": book.operation.state, "steps": steps, "result": {}}
        lines = [f"Noted. Go on with: lpmops op resume {book.id}"]
        output.emit(Answer(changing.SCHEMA, data, lines, steps), form)


@group.command()
def abort(identifier: Id, reason: Reason = "", form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Give an operation up: what it did stays, nothing more is begun."""
    del no_input
    with output.guarded(changing.SCHEMA, form):
        _need(reason)
        operation, _ = _read(identifier)
        with changing.desk(operation.environment) as desk:
            book = desk.abort(operation.id, reason)
            undo = book.plan().undo
        steps = [{"name": step.name, "state": step.state} for step in book.steps]
        data = {"operation": book.id, "state": book.operation.state, "steps": steps, "result": {"undo": undo}}
        lines = [f"Given up: operation {book.id}.", *(f"  {step['state']:9} {plain(step['name'])}" for step in steps)]
        if any(step["state"] == "done" for step in steps) and undo:
            lines.append(f"  to take back what was done: {plain(undo)}")
        output.emit(Answer(changing.SCHEMA, data, lines, steps), form)


def _resume(identifier: str, form: Output) -> None:
    operation, _ = _read(identifier)
    with changing.desk(operation.environment) as desk:
        changing.run(desk.store, lambda tell, stop: desk.resume(operation.id, tell=tell, stop=stop), form)


def _read(identifier: str) -> tuple[OperationRow, tuple[StepRow, ...]]:
    from lpmops.store import journal

    store = world().stored()
    try:
        return journal.read(store, identifier)
    finally:
        store.close()


def _need(reason: str) -> None:
    if not reason.strip():
        raise UsageError("It needs a reason, for whoever reads the audit.", hint="Add: --reason WHY")


def _summary(store: Store, operation: OperationRow, steps: tuple[StepRow, ...]) -> dict[str, Any]:
    """An operation as `op list` shows it."""
    from lpmops.control.engine import state_of
    from lpmops.model import to_data
    from lpmops.store import codec
    from lpmops.store.journal import OPEN_STEPS

    step = next((step.name for step in steps if step.state in (*OPEN_STEPS, "failed")), None)
    return {
        "id": operation.id,
        "action": operation.action,
        "environment": operation.environment,
        "state": state_of(store, operation, world().now()),
        "step": step,
        "started_at": to_data(codec.moment(operation.created_at)),
        "by": operation.who,
        "ended_at": to_data(None if operation.ended_at is None else codec.moment(operation.ended_at)),
        "reason": operation.reason,
        "ticket": operation.ticket,
    }


def _details(store: Store, operation: OperationRow, steps: tuple[StepRow, ...]) -> dict[str, Any]:
    from lpmops.model import to_data
    from lpmops.store import codec

    def at(moment: int | None) -> Any:
        return to_data(None if moment is None else codec.moment(moment))

    return {
        **_summary(store, operation, steps),
        "operation": operation.id,
        "steps": [
            {
                "name": step.name,
                "state": step.state,
                "attempt": step.attempt,
                "begun_at": at(step.begun_at),
                "ended_at": at(step.ended_at),
                "observed": step.observed,
                "receipt": json.loads(step.receipt) if step.receipt else None,
            }
            for step in steps
        ],
        "fence": operation.fence,
        "fingerprint": operation.fingerprint,
        "approval": json.loads(operation.approval),
        "command": operation.command,
        "error": operation.error,
        "result": json.loads(operation.result) if operation.result else {},
        "plan": json.loads(operation.plan)["plan"],
    }
