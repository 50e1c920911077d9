"""`lpmops lock`, `freeze` and `unfreeze`: who is changing an environment, and letting nobody do so for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Agreement, Confirm, Env, Form, NoInput, Reason, Yes
from lpmops.cli.output import Answer, Output
from lpmops.errors import UsageError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.control.lock import LockState

SCHEMA = "lock"
group = typer.Typer(help="The lock of an environment: one operator changes it at a time.", no_args_is_help=True)
Where = Annotated[str | None, typer.Argument(metavar="ENV", help="Which environment.")]
OptionalEnv = Annotated[str | None, typer.Option("-e", "--env", metavar="ENV", help="The same as the argument.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="lock")
    app.command("freeze")(freeze)
    app.command("unfreeze")(unfreeze)


@group.command()
def show(environment: Env, form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Show who holds the lock, for which operation, and whether the environment is frozen."""
    del no_input
    with output.guarded(SCHEMA, form), changing.desk(environment) as desk:
        data = _data(environment, desk.control.state())
        output.emit(Answer(SCHEMA, data, _lines(data), [_flat(data)]), form)


@group.command("break")
def break_lock(
    environment: Env,
    reason: Reason = "",
    yes: Yes = False,
    confirm: Confirm = None,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Take the lock away from whoever holds it: that operation stops before its next step, and both are audited."""
    with output.guarded(SCHEMA, form), changing.desk(environment) as desk:
        from lpmops.control import guard

        summary = f"Take the lock of {environment} away from whoever holds it."
        request = guard.Request(guard.danger_of(desk.environment.kind), environment, summary)
        guard.agree(request, changing.answered(request, Agreement(yes=yes, confirm=confirm, no_input=no_input)))
        before = desk.break_lock(reason)
        data = {**_data(environment, desk.control.state()), "broken": _data(environment, before)}
        lines = [
            f"The lock of {plain(before.holder)} is broken; its operation stops before its next step.",
            *_lines(data),
        ]
        output.emit(Answer(SCHEMA, data, lines, [_flat(data)]), form)


def freeze(
    where: Where = None,
    environment: OptionalEnv = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="When it ends by itself: 2h, 2026-11-23T04:00:00Z.")
    ] = None,
    reason: Reason = "",
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Let no operation begin or go on in an environment; one that runs finishes its step.

    Example: lpmops freeze prod --until 2h --reason "election night"
    """
    del no_input
    with output.guarded(SCHEMA, form):
        name, end = _where(where, environment), changing.moment(until, "--until")
        with changing.desk(name) as desk:
            from lpmops.model import parse_time

            data = _data(name, desk.freeze(reason, None if end is None else parse_time(end)))
            output.emit(Answer(SCHEMA, data, _lines(data), [_flat(data)]), form)


def unfreeze(
    where: Where = None,
    environment: OptionalEnv = None,
    reason: Reason = "",
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Let operations begin again."""
    del no_input
    with output.guarded(SCHEMA, form):
        name = _where(where, environment)
        with changing.desk(name) as desk:
            lifted = desk.unfreeze(reason)
            data = {**_data(name, desk.control.state()), "lifted": lifted}
            said = f"{name} is not frozen any more." if lifted else f"{name} was not frozen."
            output.emit(Answer(SCHEMA, data, [said], [_flat(data)]), form)


def _where(argument: str | None, option: str | None) -> str:
    names = {name for name in (argument, option) if name}
    if len(names) != 1:
        raise UsageError("Which environment? It is always named.", hint="For example: lpmops freeze prod --reason WHY")
    return names.pop()


def _data(environment: str, state: LockState) -> dict[str, Any]:
    from lpmops.model import to_data

    frozen = state.freeze
    return {
        "environment": environment,
        "held": state.held,
        "holder": state.holder,
        "operation": state.operation,
        "fence": state.fence,
        "taken_at": to_data(state.taken_at),
        "expires_at": to_data(state.expires_at),
        "server_time": to_data(state.server_time),
        "frozen": None
        if frozen is None
        else {"reason": frozen.reason, "by": frozen.by, "at": to_data(frozen.at), "until": to_data(frozen.until)},
    }


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("frozen", "broken")} | {
        "frozen": data["frozen"] is not None
    }


def _lines(data: dict[str, Any]) -> list[str]:
    name = plain(data["environment"])
    if data["holder"] is None:
        lines = [f"{name}: nobody holds the lock (fence {data['fence']})."]
    else:
        over = "" if data["held"] else "; its lease is over, the next operation takes it"
        what = f" for operation {plain(data['operation'])}" if data["operation"] else ""
        lines = [
            f"{name}: held by {plain(data['holder'])}{what} since {data['taken_at']}{over} (fence {data['fence']})."
        ]
    if data["frozen"]:
        until = f"until {data['frozen']['until']}" if data["frozen"]["until"] else "until it is lifted"
        lines.append(f"  frozen {until} by {plain(data['frozen']['by'])}: {plain(data['frozen']['reason'])}")
    return lines
