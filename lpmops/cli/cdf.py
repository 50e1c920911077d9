"""`lpmops cdf`: the source table's change feed, from which all that follows is read."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Change, Env, Look
from lpmops.cli.context import world
from lpmops.cli.options import spread
from lpmops.cli.output import Answer
from lpmops.plain_text import plain

SCHEMA = "cdf"
group = typer.Typer(
    help="The source table's change feed: see it, what can be replayed, enable it.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="cdf")


@group.command()
@spread
def show(environment: Env, look: Look) -> None:
    """Show whether changes are recorded, since which version, and until when that version's changes last."""
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        from lpmops.actions import cdf

        data = cdf.show(desk.services.databricks.feed(), desk.environment.databricks.table, world().now())
        lines = [f"{plain(data['table'])}: change feed {data['change_feed']}, newest version {data['latest_version']}"]
        lines.append(f"  {_kind_words(data, environment)}")
        if data["first_version_lasts_until"]:
            lines.append(f"  the changes of that version last at least until {data['first_version_lasts_until']}")
        output.emit(Answer(SCHEMA, data, lines, [data]), look.form)


@group.command()
@spread
def versions(
    environment: Env,
    look: Look,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="How many versions are listed, newest first.")
    ] = 20,
) -> None:
    """Show which versions can be replayed, from when to when, and how sure that is.

    Example: lpmops cdf versions -e prod --limit 100
    """
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        from lpmops.actions import cdf

        service = desk.services.databricks
        data = cdf.versions(service.feed(), service.history(limit), desk.environment.databricks.table, world().now())
        output.emit(Answer(SCHEMA, data, _version_lines(data), data["versions"]), look.form)


def _kind_words(data: dict[str, Any], environment: str) -> str:
    """How the changes are kept, and so who can read them."""
    if data["change_feed"] == "delta":
        first = data["first_version"]
        since = "earlier than the history that was looked at" if first is None else f"version {first}"
        return f"recorded at every write since {since}"
    if data["change_feed"] == "automatic":
        return f"worked out from row tracking when it is read, by Databricks Runtime 19 and later; to record it: lpmops cdf enable -e {environment}"
    return f"nothing is recorded; let it record: lpmops cdf enable -e {environment}"


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
@spread
def enable(
    environment: Env,
    change: Change,
) -> None:
    """Record every change of the source table from now on; the result names the first recorded version.

    Example: lpmops cdf enable -e prod --yes
    """
    changing.act("cdf.enable", environment, change.why, change.agreed, change.form)
