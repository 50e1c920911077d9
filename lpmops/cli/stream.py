"""`lpmops stream show`: the streaming job and how far it is, read now: its newest run, the versions done and to be done, rates and batch times.

What cannot be read is left out and told as a warning; only where nothing can be read is that an error. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lpmops.cli import output
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import LpmopsError
from lpmops.model import to_data
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from datetime import datetime

    from lpmops.model import StreamProgress, StreamRun, TableState

SCHEMA = "stream"
_PARTS = 3
T = TypeVar("T")


def show(
    environment: Annotated[str, typer.Option("-e", "--env", metavar="ENV", help="Which environment.")],
    form: Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")] = Output.TABLE,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; show never does.")] = False,
) -> None:
    """Show the streaming job, and how far it has read the table's changes."""
    del no_input
    with output.guarded(SCHEMA, form):
        here = world()
        config = here.config()
        chosen = config.environment(environment)
        services = here.open_services(chosen, config.refresh.deadline)
        warnings: list[str] = []
        errors: list[LpmopsError] = []

        def read(what: str, ask: Callable[[], T]) -> T | None:
            try:
                return ask()
            except LpmopsError as error:
                errors.append(error)
                warnings.append(f"The {what} could not be read: {error.message}")
                return None

        try:
            run = read("job", services.databricks.stream_run)
            table = read("table", services.databricks.table)
            progress = read("stream's progress", services.databricks.progress)
        finally:
            services.close()
        if len(errors) == _PARTS:
            raise errors[0]
        data = _data(environment, run, table, progress)
        lines = _lines(environment, run, table, progress, here.now())
        output.emit(Answer(SCHEMA, data, lines, [_flat(data)], warnings), form)


def register(app: typer.Typer) -> None:
    """Add the command."""
    stream = typer.Typer(help="The streaming job that reads the table's changes.", no_args_is_help=True)
    stream.command("show")(show)
    app.add_typer(stream, name="stream")


def _behind(table: TableState | None, progress: StreamProgress | None) -> int | None:
    if table is None or progress is None:
        return None
    return max(0, table.latest_version - progress.version)


def _data(
    environment: str, run: StreamRun | None, table: TableState | None, progress: StreamProgress | None
) -> dict[str, object]:
    newest = (
        None
        if table is None
        else {
            "name": table.full_name,
            "latest_version": table.latest_version,
            "latest_commit_at": to_data(table.latest_commit_at),
            "change_feed": table.change_feed,
        }
    )
    return {
        "environment": environment,
        "job": None if run is None else to_data(run),
        "table": newest,
        "progress": None if progress is None else to_data(progress),
        "versions_behind": _behind(table, progress),
    }


def _flat(data: dict[str, object]) -> dict[str, object]:
    row: dict[str, object] = {"environment": data["environment"], "versions_behind": data["versions_behind"]}
    for part in ("job", "table", "progress"):
        found = data[part]
        row |= {f"{part}_{name}": value for name, value in found.items()} if isinstance(found, dict) else {}
    return row


def _lines(
    environment: str,
    run: StreamRun | None,
    table: TableState | None,
    progress: StreamProgress | None,
    now: datetime,
) -> list[str]:
    from lpmops.cli.status_view import age

    rows: list[tuple[str, str]] = [("environment", environment)]
    if run is not None:
        since = f" for {age(run.started_at, now)}" if run.started_at and run.state == "running" else ""
        rows.append(("job", f"{run.name}: {run.state}{since}"))
        rows += [("", run.message)] if run.message else []
    if table is not None:
        rows.append(
            ("table", f"{table.full_name} at version {table.latest_version}, {age(table.latest_commit_at, now)} ago")
        )
    if progress is None:
        rows.append(("stream", "has left no trace of what it read"))
    else:
        behind = _behind(table, progress)
        rows.append(("stream", f"at version {progress.version}" + ("" if behind is None else f", {behind} behind")))
        rows += [(name, text) for name, text in _pace(progress) if text]
        rows += [("reported", f"{age(progress.at, now)} ago")] if progress.at else []
    return [plain(f"{name:<12} {text}".rstrip()) for name, text in rows]


def _pace(progress: StreamProgress) -> list[tuple[str, str]]:
    def number(value: float | None, unit: str) -> str:
        return "" if value is None else f"{value:,.1f} {unit}"

    return [
        ("read", number(progress.input_rate, "rows/s")),
        ("processed", number(progress.processed_rate, "rows/s")),
        ("batch", number(progress.batch_seconds, "s")),
        ("backlog", "" if progress.backlog_bytes is None else f"{progress.backlog_bytes:,} bytes"),
    ]
