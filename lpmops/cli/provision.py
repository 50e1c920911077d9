"""`lpmops provision`: what an environment is made of in Azure: what is there, make what lacks, write it as Bicep, compare two environments."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Agreement, Confirm, Detailed, DryRun, Env, Form, NoInput, Out, Reason, Ticket, Yes
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import ExitCode, RefusedError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "provision"
group = typer.Typer(
    help="The environment in Azure: see it, make or adopt it, write it as Bicep, compare two.", no_args_is_help=True
)


class Format(StrEnum):
    """The languages that an environment can be written in."""

    BICEP = "bicep"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="provision")


@group.command()
def plan(environment: Env, detailed: Detailed = False, form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Show what is there, what lacks and what drifted, each difference by its field, and what apply would do. Changes nothing.

    Example: lpmops provision plan -e test --detailed-exitcode
    """
    del no_input
    with output.guarded(SCHEMA, form), changing.desk(environment) as desk:
        from lpmops.actions import provision, provision_show, provision_world

        bench = desk.bench()
        found = provision_world.look(bench)
        made = provision.plan_of(bench, {"reason": "", "ticket": ""}, found)
        data = provision_show.shown(bench.environment.name, found, made)
        rows = data["resources"]
        lines = _plan_lines(data)
        error = RefusedError(made.refusals[0], hint="\n".join(made.refusals[1:])) if made.refusals else None
        output.emit(Answer(SCHEMA, data, lines, _flat(rows), list(made.warnings), error), form)
        if error is not None:
            output.leave(error.exit_code)
        output.leave(ExitCode.CHANGES if detailed and made.steps else ExitCode.OK)


@group.command()
def apply(
    environment: Env,
    reason: Reason = "",
    ticket: Ticket = "",
    dry_run: DryRun = False,
    out: Out = None,
    yes: Yes = False,
    confirm: Confirm = None,
    detailed: Detailed = False,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Make what lacks and change what drifted; adopt what is there. Nothing is ever deleted or made again.

    Example: lpmops provision apply -e test --dry-run
    """
    agreed = Agreement(dry_run, out, yes, confirm, no_input, detailed)
    changing.act("provision.apply", environment, {"reason": reason.strip(), "ticket": ticket}, agreed, form)


@group.command()
def export(
    environment: Env,
    language: Annotated[Format, typer.Option("--format", help="The language it is written in.")] = Format.BICEP,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Write what lpmops.toml asks for as a Bicep file: the same text for the same configuration, without secrets. Reaches nobody.

    Example: lpmops provision export -e test > test.bicep
    """
    del no_input
    with output.guarded(SCHEMA, form):
        from lpmops.routing import bicep

        text = bicep.render(world().config().environment(environment))
        data = {"environment": environment, "format": language.value, "text": text}
        output.emit(Answer(SCHEMA, data, text.splitlines(), [data]), form)


@group.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="ENV", help="An environment.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The environment to hold against it.")],
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 10 where they differ in more than their size.")
    ] = False,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Compare two environments as they are, field by field. Names and ids differ by nature and are left out; sizes are shown.

    Example: lpmops provision diff test prod
    """
    del no_input
    with output.guarded(SCHEMA, form), changing.desk(one) as first, changing.desk(other) as second:
        from lpmops.actions import provision_show

        rows = provision_show.compared(first.bench(), second.bench())
        data = {"environments": [one, other], "differences": rows}
        output.emit(Answer(SCHEMA, data, _diff_lines(one, other, rows), rows), form)
        differs = any(row["class"] != "size" for row in rows)
        output.leave(ExitCode.CHANGES if detailed and differs else ExitCode.OK)


_MARKS = {"there": " ", "lacking": "+", "drifted": "~", "unknown": "?"}


def _plan_lines(data: Mapping[str, Any]) -> list[str]:
    lines = []
    for item in data["resources"]:
        lines.append(f"{_MARKS[item['state']]} {plain(item['title'])}  {item['state']}")
        lines += [
            f"      {plain(change['field'])}: {_said(change['before'])} -> {_said(change['after'])}"
            for change in item["differences"]
        ]
    if data["applyable"]:
        then = f" Do it: lpmops provision apply -e {data['environment']}" if data["steps"] else ""
        lines.append(f"{data['summary']}{then}")
    return lines


def _diff_lines(one: str, other: str, rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return [f"{one} and {other} are alike."]
    cells = [[row["class"], plain(row["field"]), _said(row["one"]), _said(row["other"])] for row in rows]
    return output.table(["", "field", one, other], cells)


def _flat(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for item in resources:
        head = {"key": item["key"], "title": item["title"], "state": item["state"]}
        rows += [{**head, **change} for change in item["differences"]] or [
            {**head, "field": "", "before": "", "after": ""}
        ]
    return rows


def _said(value: Any) -> str:
    return "-" if value is None else plain(value) if isinstance(value, str) else output.dumps(value)
