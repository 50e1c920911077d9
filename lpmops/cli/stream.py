"""`lpmops stream`: the Databricks job that reads the change feed and sends it to the hub: see, deploy, start, stop and restart it."""

from __future__ import annotations

from typing import Annotated

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Change, Env, Look
from lpmops.cli.options import spread
from lpmops.cli.output import Answer
from lpmops.plain_text import plain

SCHEMA = "stream"
group = typer.Typer(
    help="The Databricks job that sends the change feed: see, deploy, start, stop, restart.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="stream")


@group.command()
@spread
def show(environment: Env, look: Look) -> None:
    """Show the job, its newest run, how far it is, and what speaks against a restart."""
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        from lpmops.actions import stream

        data = stream.show(desk.bench())
        kind = "continuous" if data["continuous"] else "not continuous"
        lines = [f"{plain(data['name'])}  {data['state']}, {kind}, run {data['run_id'] or '-'}"]
        if data["versions_behind"] is not None:
            lines.append(
                f"  has read version {data['version']} of {data['latest_version']}, {data['versions_behind']} behind"
            )
        elif data["version"] is not None:
            lines.append(
                f"  has read version {data['version']} of another table; this one is at {data['latest_version']}"
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
        output.emit(Answer(SCHEMA, data, lines, [flat], warnings), look.form)


@group.command()
@spread
def start(
    environment: Env,
    change: Change,
) -> None:
    """Start the job where its checkpoint is. Never makes a second run beside one that works."""
    changing.act("stream.start", environment, change.why, change.agreed, change.form)


@group.command()
@spread
def stop(
    environment: Env,
    change: Change,
) -> None:
    """Stop the job: changes wait in the table until it is started again.

    Example: lpmops stream stop -e prod --reason "cluster upgrade" --yes
    """
    changing.act("stream.stop", environment, change.why, change.agreed, change.form)


@group.command()
@spread
def restart(
    environment: Env,
    change: Change,
) -> None:
    """Replace the job's run by a new one, after holding its checkpoint against the table."""
    changing.act("stream.restart", environment, change.why, change.agreed, change.form)


@group.command()
@spread
def deploy(
    environment: Env,
    change: Change,
    from_version: Annotated[
        int | None,
        typer.Option(
            "--from-version", metavar="N", min=0, help="For a stream without a checkpoint: the first version."
        ),
    ] = None,
) -> None:
    """Ship the job's files, make or change the continuous job and its permissions, and replace its run.

    Example: lpmops stream deploy -e prod --dry-run
    """
    wish = {"from_version": from_version, **change.why}
    changing.act("stream.deploy", environment, wish, change.agreed, change.form)
