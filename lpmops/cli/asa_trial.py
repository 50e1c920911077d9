"""`lpmops asa test`: a query tried on this machine over real events before it is deployed. Changes nothing, and shows no caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Env, Look
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import LpmopsError, RefusedError, UsageError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.control.verdict import Conversion, Landing, Stop, Trial

SCHEMA = "trial"
EVENTS_AT_MOST = 2_000
_LARGEST_FILE = 64 * 1024 * 1024


def trial(
    environment: Env,
    look: Look,
    job: Annotated[
        list[str] | None, typer.Option("--job", metavar="NAME", help="Only this job; may be repeated. Default: all.")
    ] = None,
    query: Annotated[
        Path | None, typer.Option("--query", metavar="FILE", help="The text to try. Default: what a deploy would put.")
    ] = None,
    sample: Annotated[
        int,
        typer.Option("--sample", min=1, max=EVENTS_AT_MOST, metavar="N", help="Over the newest N events of the hub."),
    ] = 200,
    events: Annotated[
        Path | None, typer.Option("--events", metavar="FILE", help="Over the events of this file: one JSON a line.")
    ] = None,
    routes: Annotated[
        Path | None,
        typer.Option("--routes", metavar="FILE", help="With these routes: CSV of company_id,database_name."),
    ] = None,
) -> None:
    """Try a Stream Analytics text on this machine over real events: what lands where, what would not, what changes. Exit 6 where it must not run.

    Example: lpmops asa test -e prod --query candidate.asaql --sample 500
    """
    with output.guarded(SCHEMA, look.form):
        text = None if query is None else _read(query)
        given_events, given_routes = (
            None if events is None else _read(events),
            None if routes is None else _read(routes),
        )
        with changing.desk(environment) as desk:
            from lpmops.actions import asa_definition, asa_trial, jobs
            from lpmops.model import to_data

            bench = desk.bench()
            material = asa_trial.material(
                bench,
                sample,
                events=None
                if given_events is None
                else asa_trial.events_of(given_events, desk.config.routing, world().now()),
                routes=None if given_routes is None else asa_trial.routes_of(given_routes),
            )
            every, chosen = jobs.chosen(bench, []), jobs.chosen(bench, changing.listed(job))
            if text is not None and len(chosen) != 1:
                raise UsageError(f"One text is for one job, and there are {len(chosen)}.", hint="Name it: --job NAME")
            wanted, _ = asa_definition.targets(bench, every)
            found = []
            for one in chosen:
                candidate = wanted[one.name] if text is None else replace(wanted[one.name], query=text)
                found.append(asa_trial.tried(bench, one, candidate, material))
        _show(found, [to_data(one) for one in found], look.form)


def _show(found: list[Trial], items: list[dict[str, Any]], form: Output) -> None:
    lines = [line for one in found for line in _lines(one)] if form is Output.TABLE else []
    rows = [
        {
            "job": one.job,
            **{
                name: getattr(item, name) for name in ("output", "database", "table", "rows", "before", "added", "gone")
            },
        }
        for one in found
        for item in one.landings
    ]
    faults = [fault for one in found for fault in one.faults]
    error: LpmopsError | None = None
    if faults:
        error = RefusedError(f"It must not be deployed: {faults[0]}", hint="\n".join(faults[1:]))
    output.emit(Answer(SCHEMA, items, lines, rows, error=error), form)
    if error is not None:
        output.leave(error.exit_code)


def _lines(found: Trial) -> Iterable[str]:
    from lpmops.model import to_data

    span = f", enqueued {to_data(found.first_at)} to {to_data(found.last_at)}" if found.first_at else ""
    yield f"{plain(found.job)}  tried over {found.events} events{span}"
    rows = [_landing(item, found.compared) for item in found.landings]
    head = ["output", "database", "table", "rows", "now", "new", "gone", "otherwise"]
    yield from (f"  {line}" for line in output.table(head, rows, frozenset({3, 4, 5, 6})))
    if found.unrouted:
        counts = [f"{plain(company or 'no company id')} {count}" for company, count in found.unrouted.items()]
        yield f"  unrouted: {', '.join(counts[:12])}{' and more' if len(counts) > 12 else ''}"
    yield from _places("stops at", found.stops)
    yield from _places("no row", found.unread)
    yield from _conversions("does not fit", found.blocked)
    yield from _conversions("lands as NULL", found.softened)
    for item in found.landings:
        yield from _sample(item)
    yield from (f"  note: {plain(note)}" for note in found.notes)
    yield from (f"  refused: {plain(fault)}" for fault in found.faults)
    if not found.faults:
        yield "  It may be deployed."


def _landing(item: Landing, compared: bool) -> list[str]:
    other = ", ".join(f"{plain(name)} {count}" for name, count in item.otherwise.items())
    numbers = (
        [f"{item.before:,}", f"{item.added:,}", f"{item.gone:,}"] if compared and item.before is not None else ["-"] * 3
    )
    return [
        plain(item.output),
        plain(item.database or "-"),
        plain(item.table or "-"),
        f"{item.rows:,}",
        *numbers,
        other or "-",
    ]


def _places(words: str, found: Sequence[Stop]) -> Iterable[str]:
    """Events by what is said of them: the first few places, and how many more."""
    by_message: dict[str, list[str]] = {}
    for item in found:
        by_message.setdefault(item.message, []).append(item.place)
    for message, places in by_message.items():
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        yield f"  {words} {plain(', '.join(places[:3]))}{more}: {plain(message)}"


def _conversions(words: str, found: Iterable[Conversion]) -> Iterable[str]:
    for item in found:
        yield f"  {words}: {plain(item.output)}.{plain(item.column)}, {item.events} rows: {plain(item.reason)}, one is {plain(item.example)}"


def _sample(item: Landing) -> Iterable[str]:
    for row in item.sample[:1]:
        yield f"  a row of {plain(item.output)}: {_row(row)}"


def _row(row: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name}={'NULL' if value is None else value}" for name, value in row.items())
    line = plain(shown)
    return line if len(line) <= 400 else line[:399] + "…"


def _read(path: Path) -> str:
    """A file's text. Raises UsageError."""
    try:
        size = path.stat().st_size
        with path.open(encoding="utf-8-sig") as file:
            # What is no regular file says that it has no size, and may never end.
            text = "" if size > _LARGEST_FILE else file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.", hint="Check its name and its rights.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8.", hint="Name a text file.") from None
    if max(size, len(text)) > _LARGEST_FILE:
        raise UsageError(f"{path} is larger than {_LARGEST_FILE >> 20} MiB.", hint="Name a smaller file.")
    return text
