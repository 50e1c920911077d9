"""`lpmops stream`: the Databricks job that reads the change feed and sends it to the hub: see, deploy, start, stop and restart it."""

from __future__ import annotations

from typing import Annotated

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Agreement, Confirm, Detailed, DryRun, Env, Form, NoInput, Out, Reason, Ticket, Yes
from lpmops.cli.output import Answer, Output
from lpmops.plain_text import plain

SCHEMA = "stream"
group = typer.Typer(
    help="The Databricks job that sends the change feed: see, deploy, start, stop, restart.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="stream")


@group.command()
def show(environment: Env, form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Show the job, its newest run, how far it is, and what speaks against a restart."""
    del no_input
    with output.guarded(SCHEMA, form), changing.desk(environment) as desk:
        from lpmops.actions import stream

        data = stream.show(desk.bench())
        kind = "continuous" if data["continuous"] else "not continuous"
        lines = [f"{plain(data['name'])}  {data['state']}, {kind}, run {data['run_id'] or '-'}"]
        if data["version"] is not None:
            lines.append(
                f"  has read version {data['version']} of {data['latest_version']}, {data['versions_behind']} behind"
            )
        pace = (
            ("input_rate", "reads {:,.1f} rows/s"),
            ("processed_rate", "sends {:,.1f} rows/s"),
            ("batch_seconds", "{:,.1f} s a batch"),
            ("backlog_bytes", "{:,} bytes to go"),
        )
        if told := [words.format(data[name]) for name, words in pace if data[name] is not None]:
            lines.append(f"  {', '.join(told)}")
        lines += [f"  {plain(text)}" for text in (data["message"], data["url"]) if text]
        lines += [f"  against a restart: {plain(text)}" for text in data["doubts"]]
        warnings = [f"Part of the stream's progress is unreadable: {plain(text)}" for text in data.pop("unreadable")]
        flat = {name: value for name, value in data.items() if name != "doubts"}
        output.emit(Answer(SCHEMA, data, lines, [flat], warnings), form)


@group.command()
def start(
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
    """Start the job where its checkpoint is. Never makes a second run beside one that works."""
    agreed = Agreement(dry_run, out, yes, confirm, no_input, detailed)
    changing.act("stream.start", environment, {"reason": reason.strip(), "ticket": ticket}, agreed, form)


@group.command()
def stop(
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
    """Stop the job: changes wait in the table until it is started again.

    Example: lpmops stream stop -e prod --reason "cluster upgrade" --yes
    """
    agreed = Agreement(dry_run, out, yes, confirm, no_input, detailed)
    changing.act("stream.stop", environment, {"reason": reason.strip(), "ticket": ticket}, agreed, form)


@group.command()
def restart(
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
    """Replace the job's run by a new one, after holding its checkpoint against the table."""
    agreed = Agreement(dry_run, out, yes, confirm, no_input, detailed)
    changing.act("stream.restart", environment, {"reason": reason.strip(), "ticket": ticket}, agreed, form)


@group.command()
def deploy(
    environment: Env,
    from_version: Annotated[
        int | None,
        typer.Option(
            "--from-version", metavar="N", min=0, help="For a stream without a checkpoint: the first version."
        ),
    ] = None,
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
    """Ship the job's files, make or change the continuous job and its permissions, and replace its run.

    Example: lpmops stream deploy -e prod --dry-run
    """
    agreed = Agreement(dry_run, out, yes, confirm, no_input, detailed)
    wish = {"from_version": from_version, "reason": reason.strip(), "ticket": ticket}
    changing.act("stream.deploy", environment, wish, agreed, form)
