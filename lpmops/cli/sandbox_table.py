"""`lpmops sandbox vacuum|change-schema|recreate-table`: what somebody with rights does to the source table, and what a replay then meets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from lpmops.cli import output
from lpmops.cli.output import Answer, Output
from lpmops.errors import UsageError

SCHEMA = "sandbox"
# A vacuum removes thousands of files.
_SECONDS = 60.0
Form = Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")]
Environments = Annotated[
    list[str] | None, typer.Option("-e", "--env", help="Where; may be repeated. Default: everywhere.")
]


def vacuum(
    environments: Environments = None,
    before: Annotated[
        int | None,
        typer.Option(
            "--before", min=0, metavar="VERSION", help="Of the versions before this one; default: the newest."
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Clean the log of those versions too.")] = False,
    form: Form = Output.TABLE,
) -> None:
    """Remove the source table's old change files, as VACUUM does, so that those changes can't be sent again."""
    wish = {"environments": environments or [], "before": before, "log": log}

    def said(item: dict[str, Any]) -> str:
        cleaned = f" and the log of {item['versions']:,} versions" if log else ""
        return f"{item['environment']}: removed {item['files']:,} files{cleaned}, of the versions before {item['before']:,}"

    _do("vacuum", wish, said, form)


def change_schema(
    environments: Environments = None,
    add: Annotated[
        str | None, typer.Option("--add", metavar="COLUMN", help="Add a column of text, NULL in all rows.")
    ] = None,
    drop: Annotated[
        str | None, typer.Option("--drop", metavar="COLUMN", help="Drop a column; no range is read over that any more.")
    ] = None,
    form: Form = Output.TABLE,
) -> None:
    """Add a column to the source table, or drop one."""
    if (add is None) == (drop is None):
        with output.guarded(SCHEMA, form):
            raise UsageError("Name one column.", hint="--add COLUMN or --drop COLUMN")
    verb = "added" if add is not None else "dropped"
    _do(
        "columns",
        {"environments": environments or [], "add": add, "drop": drop},
        lambda item: f"{item['environment']}: {verb} the column {item['column']} at version {item['version']:,}",
        form,
    )


def recreate_table(environments: Environments = None, form: Form = Output.TABLE) -> None:
    """Drop the source table and make it anew, empty and with another id."""
    _do(
        "recreate",
        {"environments": environments or []},
        lambda item: f"{item['environment']}: the table is new; its id is {item['id']}",
        form,
    )


def _do(what: str, wish: dict[str, Any], said: Callable[[dict[str, Any]], str], form: Output) -> None:
    from lpmops.cli import sandbox_client

    with output.guarded(SCHEMA, form):
        running = sandbox_client.must_run()
        data = sandbox_client.call(running, "POST", f"/sandbox/table/{what}", wish, _SECONDS)
        output.emit(Answer(SCHEMA, data, [said(item) for item in data["tables"]], data["tables"]), form)
