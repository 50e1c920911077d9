"""What a trial of a query means: pure, from the engine's answer beside the events, the routes and the tables.

What would stop a job, block it, lose a record or lead it astray is a fault, where the deployed text does not do the same; what lands softened (NULL
for a value that does not convert) is a note. Rows and messages leave this module masked, events by their place in the hub.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lpmops.config import Column, Config, Routing
from lpmops.control import masking
from lpmops.control.hubevents import HEARTBEAT, at_path
from lpmops.model import RawEvent
from lpmops.routing.fitting import kind_of, misfits, tables
from lpmops.routing.job import CONTROL_TABLES, LANDING_TABLE, Definition
from lpmops.routing.landing import WantedColumn
from lpmops.routing.query import UNROUTED

SAMPLE_ROWS = 3
# The engine names that many events which stop a job, and looks no further.
STOPS_SHOWN = 20
CANDIDATE, DEPLOYED = "candidate", "deployed"
Place = tuple[str, int]
Targets = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with the text, and where; `source` says who found it."""

    line: int
    column: int
    message: str
    source: str


@dataclass(frozen=True, slots=True)
class Stop:
    """An event at which the job would stop, or that is no row; `place` is partition/sequence."""

    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """Values of one column that do not go where they should: how many, why, and where one of them stands."""

    output: str
    column: str
    events: int
    reason: str
    example: str


@dataclass(frozen=True, slots=True)
class Landing:
    """What one output gets. `before` is what the deployed text gives it, None where that has no such output or was not run.

    `added` and `gone` are rows that only one of the two gives; `otherwise` counts, by column, rows of the same event with another value.
    """

    output: str
    database: str
    table: str
    rows: int
    before: int | None = None
    added: int = 0
    gone: int = 0
    otherwise: Mapping[str, int] = field(default_factory=dict)
    sample: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything that a trial found out about one job. `faults` are sentences that speak against deploying it, `notes` those that do not."""

    job: str
    events: int
    first_at: datetime | None
    last_at: datetime | None
    compared: bool
    complaints: tuple[Complaint, ...] = ()
    stops: tuple[Stop, ...] = ()
    unread: tuple[Stop, ...] = ()
    blocked: tuple[Conversion, ...] = ()
    softened: tuple[Conversion, ...] = ()
    landings: tuple[Landing, ...] = ()
    unrouted: Mapping[str, int] = field(default_factory=dict)
    nowhere: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


# Judging ----------------------------------------------------------------------------------------------------------------------------------


class _Rows:
    """The rows of one text by output, as objects, with the event that each comes from where its columns say so."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.by_output = {
            name: [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
            for name, found in answer["outputs"].items()
        }

    def places(self) -> Counter[Place]:
        """How often each event came out somewhere."""
        return Counter(place for rows in self.by_output.values() for row in rows if (place := _place(row)) is not None)


def judge(
    config: Config,
    name: str,
    candidate: Definition,
    deployed: Definition | None,
    events: Sequence[RawEvent],
    routes: Sequence[Mapping[str, Any]],
    answer: Mapping[str, Any],
) -> Trial:
    """What the engine's answer means for the job `name`."""
    tried, before = answer[CANDIDATE], answer.get(DEPLOYED)
    rows = _Rows(tried)
    runs_before = before is not None and not before["complaints"] and not before["stops"]
    # Where a job stops, what the events after it would have become is not known.
    is_whole = not tried["complaints"] and not tried["stops"]
    old = _Rows(before) if before is not None and runs_before and is_whole else None
    bodies = _bodies(events)
    targets = _targets(candidate)
    former = {} if deployed is None else _targets(deployed)
    known = tables(config.columns, config.routing)
    moments = [event.enqueued_at for event in events if event.enqueued_at is not None]
    unread = _stops(tried["unread"])
    where = (
        _whereabouts(rows, targets, routes, bodies, {stop.place for stop in unread}, config.routing)
        if is_whole
        else _Whereabouts()
    )
    was = _whereabouts(old, former, routes, bodies, {stop.place for stop in unread}, config.routing) if old else None
    found = Trial(
        job=name,
        events=len(events),
        first_at=min(moments, default=None),
        last_at=max(moments, default=None),
        compared=old is not None,
        complaints=tuple(
            Complaint(item["line"], item["column"], item["message"], "this machine") for item in tried["complaints"]
        ),
        stops=_stops(tried["stops"]),
        unread=unread,
        blocked=_blocked(rows, targets, known),
        softened=_softened(rows, targets, config.columns, bodies),
        landings=tuple(
            _landing(output, target, rows, old)
            for output, target in ({**former, **targets} if old else targets).items()
        ),
        unrouted=_unrouted(rows),
        nowhere=where.nowhere,
        doubled=where.doubled,
        astray=where.astray,
    )
    return _with_verdict(found, before, was)


def _with_verdict(found: Trial, before: Mapping[str, Any] | None, was: _Whereabouts | None) -> Trial:
    return replace(found, faults=tuple(_faults(found, was)), notes=tuple(_notes(found, before)))


def _faults(found: Trial, was: _Whereabouts | None) -> Iterable[str]:
    job = found.job
    for complaint in found.complaints:
        yield f"The text of {job} does not compile at {complaint.line}:{complaint.column}: {complaint.message}"
    if found.stops:
        first = found.stops[0]
        more = " or more" if len(found.stops) >= STOPS_SHOWN else ""
        yield f"{job} would stop at {len(found.stops)}{more} of {found.events} events, first at {first.place}: {first.message}"
    for item in _by_column(found.blocked):
        yield (
            f"{item.events} rows for {item.output} do not fit their table ({item.column}: {item.reason}), and would block {job}"
            f" for every company; one is of {item.example}."
        )
    for places, words in (
        (_more(found.nowhere, was.nowhere if was else ()), "reach no output at all, not even unrouted"),
        (_more(found.doubled, was.doubled if was else ()), "land more than once in company databases"),
        (_more(found.astray, was.astray if was else ()), "land in a database that their company's route does not name"),
    ):
        if places:
            yield f"{len(places)} of {found.events} events {words}; one is {places[0]}."


def _notes(found: Trial, before: Mapping[str, Any] | None) -> Iterable[str]:
    if not found.events:
        yield f"No event was there to try {found.job} with: only its text was compiled."
    if before is not None and (before["complaints"] or before["stops"]):
        why = "does not compile" if before["complaints"] else "stops"
        yield f"The deployed text of {found.job} {why} over these events itself, so nothing can be compared with it."
    for item in _by_column(found.softened):
        yield f"{item.column} lands as NULL for {item.events} events that have a value there ({item.reason}); one is {item.example}."
    if found.unread:
        yield f"{len(found.unread)} events are no JSON that Stream Analytics reads: it drops them; one is {found.unread[0].place}."


def _by_column(found: Iterable[Conversion]) -> list[Conversion]:
    """The same said once for all outputs that share it."""
    grouped: dict[tuple[str, str], list[Conversion]] = {}
    for item in found:
        grouped.setdefault((item.column, item.reason), []).append(item)
    return [
        replace(items[0], output=", ".join(item.output for item in items), events=sum(item.events for item in items))
        for items in grouped.values()
    ]


def _more(now: Sequence[str], before: Sequence[str]) -> list[str]:
    known = set(before)
    return [place for place in now if place not in known]


@dataclass(frozen=True, slots=True)
class _Whereabouts:
    nowhere: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()


def _whereabouts(
    rows: _Rows,
    targets: Targets,
    routes: Sequence[Mapping[str, Any]],
    bodies: Mapping[Place, Mapping[str, Any]],
    unread: set[str],
    routing: Routing,
) -> _Whereabouts:
    """Which events land nowhere, more than once among the companies, or in another company's database."""
    seen = rows.places()
    home = {str(route["company_id"]): str(route["database_name"]).lower() for route in routes if route["database_name"]}
    # What reached the hub before a move or a pause is known to all jobs lands where the company was, or will be.
    places = {
        (str(route["company_id"]), str(route[name]).lower())
        for route in routes
        for name in ("database_name", "also_database", "former_database")
        if route.get(name)
    }
    landed: Counter[Place] = Counter()
    astray = []
    for output, (database, table) in targets.items():
        if table != LANDING_TABLE:
            continue
        for row in rows.by_output.get(output, ()):
            place = _place(row)
            if place is not None:
                landed[place] += 1
                if (str(row.get("company_id")), database.lower()) not in places:
                    astray.append(_word(place))
    # Only where rows say which event they are of can one be missed.
    nowhere = [
        _word(place)
        for place, body in bodies.items()
        if seen and place not in seen and _word(place) not in unread and _is_owed(body, home, targets, routing)
    ]
    return _Whereabouts(
        tuple(nowhere), tuple(_word(place) for place, times in landed.items() if times > 1), tuple(astray)
    )


def _is_owed(body: Mapping[str, Any], home: Mapping[str, str], targets: Targets, routing: Routing) -> bool:
    """Whether this job must put an event out: what lands in one of its databases, and what no route takes where it writes that.

    Heartbeats that are cut short are nobody's; the records of databases that other jobs write are theirs.
    """
    if body.get("_change_type") == HEARTBEAT:
        return False
    mine = {database.lower() for database, table in targets.values() if table == LANDING_TABLE}
    place = home.get(str(at_path(body, routing.key)))
    if any(table == CONTROL_TABLES[UNROUTED] for _, table in targets.values()):
        return place is None or place in mine
    whole = (routing.record, "_change_type", "_commit_version", "_commit_timestamp", "_sent_at")
    return place in mine and all(at_path(body, path) is not None for path in whole)


def _blocked(rows: _Rows, targets: Targets, known: Mapping[str, Sequence[WantedColumn]]) -> tuple[Conversion, ...]:
    """Rows that their table would not take."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for output, items in rows.by_output.items():
        table = known.get(targets.get(output, ("", ""))[1])
        if table is None:
            continue
        for row in items:
            for column, reason in misfits(row, table).items():
                found.setdefault((output, column, reason), []).append(_word(_place(row)))
    return tuple(Conversion(*key[:2], len(places), key[2], places[0]) for key, places in sorted(found.items()))


def _softened(
    rows: _Rows,
    targets: Targets,
    columns: Iterable[Column],
    bodies: Mapping[Place, Mapping[str, Any]],
) -> tuple[Conversion, ...]:
    """Columns that land as NULL where the event has a value: a conversion that failed without a word."""
    found: dict[tuple[str, str, str], list[str]] = {}
    chosen = [(column.name, column.source or column.name, column.type) for column in columns]
    for output, items in rows.by_output.items():
        if targets.get(output, ("", ""))[1] != LANDING_TABLE:
            continue
        for row in items:
            body = bodies.get(_place(row) or ("", -1))
            if body is None:
                continue
            for name, source, declared in chosen:
                value = at_path(body, source)
                if name in row and row[name] is None and value is not None:
                    reason = f"{kind_of(value)} is no {declared}"
                    found.setdefault((output, name, reason), []).append(_word(_place(row)))
    return tuple(Conversion(*key[:2], len(places), key[2], places[0]) for key, places in sorted(found.items()))


def _landing(output: str, target: tuple[str, str], rows: _Rows, old: _Rows | None) -> Landing:
    database, table = target
    now = rows.by_output.get(output, [])
    sample = tuple(masking.record(row) for row in now[:SAMPLE_ROWS])
    if old is None:
        return Landing(output, database, table, len(now), sample=sample)
    then = old.by_output.get(output, [])
    fresh, former = Counter(map(_key, now)), Counter(map(_key, then))
    before_by_key = {_key(row): row for row in then}
    otherwise: Counter[str] = Counter()
    for row in now:
        was = before_by_key.get(_key(row))
        if was is not None and was != row:
            otherwise.update(name for name in {*row, *was} if row.get(name) != was.get(name))
    return Landing(
        output,
        database,
        table,
        len(now),
        len(then),
        (fresh - former).total(),
        (former - fresh).total(),
        dict(sorted(otherwise.items())),
        sample,
    )


def _key(row: Mapping[str, Any]) -> str:
    """What makes two rows the same one: the event they are of, or the window and company; else all of it."""
    place = _place(row)
    if place is not None:
        return _word(place)
    named = {name: row.get(name) for name in ("company_id", "window_end") if name in row}
    return json.dumps(named or dict(row), sort_keys=True, default=str)


def _unrouted(rows: _Rows) -> dict[str, int]:
    """How many records of which company no route takes; ids are masked as in a record."""
    found = Counter(
        str(masking.record({"company_id": row.get("company_id")})["company_id"] or "")
        for row in rows.by_output.get(UNROUTED, ())
    )
    return dict(found.most_common())


def _bodies(events: Iterable[RawEvent]) -> dict[Place, Mapping[str, Any]]:
    """The events that are one JSON object, by their place."""
    found: dict[Place, Mapping[str, Any]] = {}
    for event in events:
        try:
            body = json.loads(event.body)
        except (ValueError, RecursionError):
            continue
        if isinstance(body, dict):
            found[event.partition, event.sequence] = body
    return found


def _place(row: Mapping[str, Any]) -> Place | None:
    """The event that a row says it is of."""
    partition, sequence = row.get("hub_partition"), row.get("hub_sequence")
    return None if partition is None or not isinstance(sequence, int) else (str(partition), sequence)


def _word(place: Place | None) -> str:
    return "an event that it does not name" if place is None else f"{place[0]}/{place[1]}"


def _stops(items: Iterable[Mapping[str, Any]]) -> tuple[Stop, ...]:
    return tuple(
        Stop(
            "a window" if item["sequence"] is None else f"{item['partition']}/{item['sequence']}",
            masking.text(str(item["message"])),
        )
        for item in items
    )


def _targets(definition: Definition) -> dict[str, tuple[str, str]]:
    """The database and table of each output; empty where it is none of SQL."""
    sources = {name: part.get("datasource", {}).get("properties", {}) for name, part in definition.outputs.items()}
    return {name: (str(item.get("database") or ""), str(item.get("table") or "")) for name, item in sources.items()}
