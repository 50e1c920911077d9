"""`lpmops hub`: the Event Hub between the stream and Stream Analytics: how it is, its last events and those that come.

Events are shown without personal data. Reading disturbs nobody: readers without an epoch in the consumer group that people read with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Env, Look
from lpmops.cli.context import world
from lpmops.cli.options import spread
from lpmops.cli.output import Answer, Output
from lpmops.errors import LpmopsError, UsageError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.actions.desk import Desk
    from lpmops.control.hubevents import Found, Wanted
    from lpmops.model import HubEvent

SCHEMA = "hub"
LAST_AT_MOST = 1_000
_TAKE_SECONDS = 0.2
_HEAD = ("enqueued at", "place", "company", "change", "record", "version", "after commit")
# Lines that come one by one can't be as wide as the widest; these are what ids and times take as a rule.
_WIDTHS = (24, 12, 14, 16, 38, 9, 12)
group = typer.Typer(help="The Event Hub: see it, its last events and those that come.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="hub")


@group.command()
@spread
def show(environment: Env, look: Look) -> None:
    """Show the hub: its namespace, how long it keeps events, its consumer groups and both ends of each partition."""
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        data, warnings = _state(desk)
        output.emit(Answer(SCHEMA, data, _state_lines(data), data["partitions"], warnings), look.form)


@group.command()
@spread
def tail(
    environment: Env,
    look: Look,
    company: Annotated[str | None, typer.Option("--company", metavar="ID", help="Only this company's events.")] = None,
    last: Annotated[
        int, typer.Option("--last", min=0, max=LAST_AT_MOST, metavar="N", help="How many of the newest to show first.")
    ] = 20,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help='None from before: 03:10, "20 min ago", -20m.')
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with those that come, until ctrl+c.")] = False,
    heartbeats: Annotated[bool, typer.Option("--heartbeats", help="The stream's heartbeats too.")] = False,
    fields: Annotated[bool, typer.Option("--fields", help="Each event's fields below it, masked.")] = False,
) -> None:
    """Show the last events of the hub, and with --follow those that come; callers are masked.

    Example: lpmops hub tail -e prod --company 1002 --follow
    """
    with output.guarded(SCHEMA, look.form):
        form = look.form
        if follow and form in (Output.JSON, Output.CSV):
            raise UsageError(f"--follow never ends, so it does not go with {form.value}.", hint="Use -o jsonl.")
        from lpmops import moments
        from lpmops.control import hubevents

        begin = None if since is None else moments.moment(since, world().now())
        wanted = hubevents.Wanted(company, last, begin, heartbeats)
        with changing.desk(environment) as desk:
            routing = desk.config.routing
            found = hubevents.newest(desk.services.eventhubs, wanted, routing)
            _tell_bounds(found, wanted)
            _show(found.events, form, fields, live=follow)
            if follow:
                following = hubevents.Following(desk.services.eventhubs, wanted, routing, found.ends)
                _follow(following, form, fields)


def _follow(following: Any, form: Output, fields: bool) -> None:
    """Show what comes until the person leaves, which ends the command with 130."""
    told = 0
    try:
        while True:
            events = following.take(_TAKE_SECONDS)
            for notice in following.notices[told:]:
                output.narrate(notice)
            told = len(following.notices)
            if events:
                _show(events, form, fields, live=True, head=False)
    finally:
        following.close()


def _tell_bounds(found: Found, wanted: Wanted) -> None:
    if not found.complete:
        more = "" if wanted.since is not None else " Name a moment to begin at: --since"
        output.narrate(
            f"Looked through the newest {found.looked_at:,} events only; {len(found.events)} of them fit, and older ones may.{more}"
        )


def _show(events: Sequence[HubEvent], form: Output, fields: bool, *, live: bool, head: bool = True) -> None:
    from lpmops.model import to_data

    items = [to_data(event) for event in events]
    rows = [{name: value for name, value in item.items() if name != "values"} for item in items]
    lines = []
    if form is Output.TABLE:
        lines = list(_event_lines(events, fields, live, head))
    output.emit(Answer(SCHEMA, items, lines, rows), form)


def _event_lines(events: Sequence[HubEvent], fields: bool, live: bool, head: bool) -> Iterable[str]:
    rows = [_cells(event) for event in events]
    if live:
        drawn = [_aligned(row) for row in rows]
        if head:
            yield _aligned(_HEAD)
    elif rows:
        first, *drawn = output.table(_HEAD, rows, right=frozenset({5, 6}))
        yield first
    else:
        drawn = ["No such event is in the hub."]
    for place, line in enumerate(drawn):
        yield line
        if fields and place < len(events):
            yield from (f"    {plain(name)}: {plain(_value(value))}" for name, value in events[place].values.items())


def _aligned(cells: Sequence[str]) -> str:
    return "  ".join(
        cell + " " * (width - output.width(cell)) for cell, width in zip(cells, _WIDTHS, strict=True)
    ).rstrip()


def _cells(event: HubEvent) -> tuple[str, ...]:
    from lpmops.model import to_data

    at = str(to_data(event.enqueued_at)) if event.enqueued_at else "-"
    place = f"{event.partition}/{event.sequence}"
    if event.problem:
        return (at, place, "-", "unreadable", plain(event.problem), "-", "-")
    return (
        at,
        place,
        plain(event.company_id or "-"),
        plain(event.change_type or "-") + (" (replay)" if event.replay_id else ""),
        plain(event.record_id or "-"),
        "-" if event.commit_version is None else f"{event.commit_version:,}",
        _after(event.commit_at, event.enqueued_at),
    )


def _after(start: datetime | None, end: datetime | None) -> str:
    return "-" if start is None or end is None else f"{(end - start) / timedelta(seconds=1):,.1f} s"


def _value(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _state(desk: Desk) -> tuple[dict[str, Any], list[str]]:
    """The hub as plain values; what one source does not say is None and a warning."""
    from lpmops.model import to_data

    hubs, warnings = desk.services.eventhubs, list[str]()
    partitions = hubs.partitions()

    def told(read: Any, what: str) -> Any:
        try:
            return read()
        except LpmopsError as error:
            warnings.append(f"{what} can't be read: {error.message}")
            return None

    namespace = told(hubs.namespace, "The namespace")
    hub = told(hubs.hub, "The hub's settings")
    groups = told(hubs.consumer_groups, "The consumer groups")
    data = {
        "namespace": desk.environment.eventhub.namespace,
        "hub": desk.environment.eventhub.hub,
        "tier": None if namespace is None else namespace.tier,
        "throughput_units": None if namespace is None else namespace.throughput_units,
        "status": None if hub is None else hub.status,
        "retention_seconds": None if hub is None else hub.retention,
        "consumer_groups": groups,
        "read_with": desk.environment.eventhub.consumer_group,
        "partitions": [
            {
                "partition": item.partition,
                "first_sequence": item.begin_sequence,
                "last_sequence": item.last_sequence,
                "events": 0 if item.is_empty else item.last_sequence - item.begin_sequence + 1,
                "last_enqueued_at": to_data(item.last_enqueued_at),
            }
            for item in partitions
        ],
    }
    return data, warnings


def _state_lines(data: dict[str, Any]) -> list[str]:
    units = "" if data["throughput_units"] is None else f", {data['throughput_units']} throughput units"
    kept = "" if data["retention_seconds"] is None else f", keeps events {data['retention_seconds'] / 86_400:g} d"
    lines = [
        f"{plain(data['namespace'])}/{plain(data['hub'])}  {plain(data['status'] or 'status unknown')}, "
        f"{plain(data['tier'] or 'tier unknown')}{units}{kept}"
    ]
    if data["consumer_groups"] is not None:
        lines.append(f"consumer groups  {', '.join(plain(name) for name in data['consumer_groups'])}")
    lines.append(f"people read with {plain(data['read_with'])}")
    rows = [
        [
            item["partition"],
            f"{item['first_sequence']:,}",
            f"{item['last_sequence']:,}",
            f"{item['events']:,}",
            item["last_enqueued_at"] or "-",
        ]
        for item in data["partitions"]
    ]
    return [
        *lines,
        *output.table(["partition", "first", "last", "events", "last enqueued at"], rows, frozenset({1, 2, 3})),
    ]
