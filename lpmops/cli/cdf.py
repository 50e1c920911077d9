"""`lpmops cdf`: the source table's change feed, from which all that follows is read."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Agreement, Confirm, Detailed, DryRun, Env, Form, NoInput, Out, Reason, Ticket, Yes
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.plain_text import plain

SCHEMA = "cdf"
group = typer.Typer(
    help="The source table's change feed: see it, what can be replayed, enable it.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="cdf")


@group.command()
def show(environment: Env, form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Show whether changes are recorded, since which version, and until when that version's changes last."""
    del no_input
    with output.guarded(SCHEMA, form), changing.desk(environment) as desk:
        from lpmops.actions import cdf

        data = cdf.show(desk.services.databricks.feed(), desk.environment.databricks.table, world().now())
        since = (
            "earlier than the history that was looked at"
            if data["first_version"] is None
            else f"version {data['first_version']}"
        )
        lines = [f"{plain(data['table'])}: change feed {data['change_feed']}, newest version {data['latest_version']}"]
        if data["change_feed"] == "delta":
            lines.append(f"  recorded since {since}")
        if data["first_version_lasts_until"]:
            lines.append(f"  the changes of that version last at least until {data['first_version_lasts_until']}")
        output.emit(Answer(SCHEMA, data, lines, [data]), form)


@group.command()
def versions(
    environment: Env,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="How many versions are listed, newest first.")
    ] = 20,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Show which versions can be replayed, from when to when, and how sure that is.

    Example: lpmops cdf versions -e prod --limit 100
    """
    del no_input
    with output.guarded(SCHEMA, form), changing.desk(environment) as desk:
        from lpmops.actions import cdf

        service = desk.services.databricks
        data = cdf.versions(service.feed(), service.history(limit), desk.environment.databricks.table, world().now())
        output.emit(Answer(SCHEMA, data, _version_lines(data), data["versions"]), form)


def _span(seconds: float) -> str:
    return f"{seconds / 86_400:g} d" if seconds >= 86_400 else f"{seconds / 3_600:g} h"


def _version_lines(data: dict[str, Any]) -> list[str]:
    table = plain(data["table"])
    if data["change_feed"] == "off":
        return [f"{table}: the change feed is off, so nothing can be replayed. Let it record: lpmops cdf enable"]
    first = "a version older than these" if data["from_version"] is None else f"version {data['from_version']}"
    lines = [f"{table}: certain to be replayed from {first} to version {data['to_version']}"]
    lines.append(f"  committed from {data['from_at'] or '-'} to {data['to_at']}")
    if data["retention_seconds"] is not None:
        lines.append(f"  the changes of a version last {_span(data['retention_seconds'])}, then until the next VACUUM")
    rows = [
        (
            str(item["version"]),
            item["at"],
            "-" if item["rows"] is None else f"{item['rows']:,}",
            item["replay"],
            plain(item["operation"]),
        )
        for item in data["versions"]
    ]
    head = ("version", "committed", "rows", "replay", "operation")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        *lines,
        *(
            "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in (head, *rows)
        ),
    ]


@group.command()
def enable(
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
    """Record every change of the source table from now on; the result names the first recorded version.

    Example: lpmops cdf enable -e prod --yes
    """
    agreed = Agreement(dry_run, out, yes, confirm, no_input, detailed)
    changing.act("cdf.enable", environment, {"reason": reason.strip(), "ticket": ticket}, agreed, form)
