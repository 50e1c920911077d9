"""`lpmops cdf`: the source table's change feed, from which all that follows is read."""

from __future__ import annotations

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Agreement, Confirm, Detailed, DryRun, Env, Form, NoInput, Out, Reason, Ticket, Yes
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.plain_text import plain

SCHEMA = "cdf"
group = typer.Typer(help="The source table's change feed: see it, enable it.", no_args_is_help=True)


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
