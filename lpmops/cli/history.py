"""`lpmops history`: how an environment was at a moment, or what turned in a span of time, from the local store alone.

With `--at` the answer holds the snapshot of that moment in the shape of `lpmops status`; without it the turns of events: the health that changed, the
suspicions that began and ended. Neither SDK nor configuration is loaded. Exit 3 where nothing was kept then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops import moments
from lpmops.cli import output
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import NotFoundError, UsageError
from lpmops.model import Health, Snapshot, Turn, to_data
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.control.past import StoredPast

SCHEMA = "history"
_WINDOW = timedelta(hours=24)
_FORMS = '2026-03-02T03:10:00Z, "2026-03-02 03:10" (UTC), 03:10, "20 min ago" or -20m'


@dataclass(frozen=True, slots=True)
class Window:
    """The turns of one environment between two moments. `before` is how it was at the first of them."""

    environment: str
    start: datetime
    end: datetime
    extent: tuple[datetime, datetime]
    before: Health
    turns: Sequence[Turn]


def history(
    environment: Annotated[str, typer.Option("-e", "--env", metavar="ENV", help="Which environment.")],
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help=f"How it was then: {_FORMS}.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="The turns since then. Default: a day before --to.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="The turns until then. Default: now.")] = None,
    form: Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")] = Output.TABLE,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; history never does.")] = False,
) -> None:
    """Show how an environment was at a moment, or what turned in a span of time, as this machine saw it."""
    del no_input
    with output.guarded(SCHEMA, form):
        if at is not None and (start is not None or end is not None):
            raise UsageError(
                "--at and --from/--to exclude each other.", hint="--at shows a moment, --from and --to what turned between two."
            )  # fmt: skip
        from lpmops.control.past import StoredPast

        store = world().stored()
        try:
            past = StoredPast(store)
            if at is not None:
                answer = _moment(past, environment, at, form)
            else:
                answer = _turns(past, environment, start, end, form)
        finally:
            store.close()
        answer.warnings += store.warnings
        output.emit(answer, form)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("history")(history)


def _moment(past: StoredPast, environment: str, text: str, form: Output) -> Answer:
    now = world().now()
    asked = moments.within(moments.moment(text, now), past.extent(environment), environment)
    snapshot = past.at(environment, asked)
    if snapshot is None:
        raise NotFoundError(
            f"Nothing of {environment} is kept of {to_data(asked)} any more.", hint=f"See what is: lpmops history -e {environment}"
        )  # fmt: skip
    answer = Answer(
        SCHEMA,
        {
            "environment": environment,
            "asked_at": to_data(asked),
            "taken_at": to_data(snapshot.taken_at),
            "status": to_data(snapshot),
        },
    )
    if _is_gap(snapshot, asked):
        answer.warnings.append(
            f"Nobody looked at {environment} between {to_data(snapshot.taken_at)} and {to_data(asked)}: how it was then is unknown."
        )
    if form is Output.TABLE:
        from lpmops.cli import status_view

        answer.lines = [f"as seen at {to_data(snapshot.taken_at)}, asked for {to_data(asked)}", "",
                        *status_view.lines([snapshot], asked, routes=True)]  # fmt: skip
    elif form is Output.CSV:
        from lpmops.cli import status_view

        answer.rows = [{"asked_at": to_data(asked), **status_view.flat(snapshot)}]
    return answer


def _is_gap(snapshot: Snapshot, asked: datetime) -> bool:
    from lpmops.control.past import UNSEEN_AFTER

    return asked - snapshot.taken_at > UNSEEN_AFTER


def _turns(past: StoredPast, environment: str, start: str | None, end: str | None, form: Output) -> Answer:
    from lpmops.control.past import UNSEEN_AFTER

    window = _read(past, environment, start, end)
    rows = [_row(turn) for turn in window.turns]
    answer = Answer(SCHEMA, rows, list(_lines(window)), rows)
    if form is Output.JSON:
        answer.data = {
            "environment": environment,
            "from": to_data(window.start),
            "to": to_data(window.end),
            "kept": {"from": to_data(window.extent[0]), "to": to_data(window.extent[1])},
            "health": window.before.value,
            "turns": rows,
        }
    if window.start < window.extent[0]:
        answer.warnings.append(
            f"{environment} was first seen at {to_data(window.extent[0])}; nothing is known of before."
        )
    if window.end - window.extent[1] > UNSEEN_AFTER:
        answer.warnings.append(
            f"{environment} was last seen at {to_data(window.extent[1])}; nothing is known of since."
        )
    return answer


def _read(past: StoredPast, environment: str, start: str | None, end: str | None) -> Window:
    now = world().now()
    last = now if end is None else moments.moment(end, now)
    first = last - _WINDOW if start is None else moments.moment(start, now)
    if first > last:
        raise UsageError(
            f"--from {to_data(first)} is later than --to {to_data(last)}.", hint="The earlier moment goes first."
        )
    extent = past.extent(environment)
    if extent is None:
        raise NotFoundError(
            f"The local store has never seen {environment}.", hint=f"Keep what is seen from now on: lpmops record -e {environment}"
        )  # fmt: skip
    before = past.at(environment, first)
    return Window(
        environment, first, last, extent, before.health if before is not None else Health.UNKNOWN, past.turns(environment, first, last)
    )  # fmt: skip


def _row(turn: Turn) -> dict[str, Any]:
    row = to_data(turn)
    assert isinstance(row, dict)
    return row


def _lines(window: Window) -> Iterator[str]:
    from lpmops.cli.status_view import sign

    name = plain(window.environment)
    yield f"{name} from {to_data(window.start)} to {to_data(window.end)}: {window.before.value} at first"
    rows = [(f"{sign(turn.health)} {to_data(turn.at)}", turn.health.value, _words(turn)) for turn in window.turns]
    if rows:
        yield from output.table(("  turned at", "health", "what"), rows)
    else:
        yield "nothing turned"


def _words(turn: Turn) -> str:
    if turn.kind == "health":
        return f"became {plain(turn.what)}"
    return f"{plain(turn.what)} {'began' if turn.began else 'ended'}"
