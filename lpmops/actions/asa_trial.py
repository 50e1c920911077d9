"""The Stream Analytics text that would be deployed, tried before it is: over events of the hub or given ones, on this machine.

`tried` is what `lpmops asa test` shows. `check` is the part of a deployment's plan: a candidate that would stop, block, lose or misroute refuses it;
where no trial can be made (no packages, no reader free, no hub) the plan says so and goes on.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lpmops.actions.action import Bench
from lpmops.config import Routing
from lpmops.control import hubevents, trials
from lpmops.control.verdict import Complaint, Trial
from lpmops.errors import ForbiddenError, LpmopsError, UsageError
from lpmops.model import RawEvent, StreamingJob, parse_time
from lpmops.routing import job as definitions
from lpmops.routing.job import Definition

SAMPLE = 200
SERVICE = "Stream Analytics"
_LINE_AT_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Material:
    """What texts are tried with: the events, and the routes as a job reads them (`route_reference.sql`)."""

    events: tuple[RawEvent, ...]
    routes: tuple[Mapping[str, Any], ...]


def tried(
    bench: Bench, job: StreamingJob, candidate: Definition, material: Material, *, is_deployed: bool = True
) -> Trial:
    """The trial of a job's candidate beside what is deployed, with what the service's own compiler says where it can be asked.

    Raises lpmops.errors types.
    """
    before = definitions.deployed(job) if is_deployed else None
    found = trials.rehearse(bench.config, job.name, candidate, before, material.events, material.routes)
    return _with_the_service(bench, found, candidate)


def material(
    bench: Bench,
    sample: int,
    *,
    events: Sequence[RawEvent] | None = None,
    routes: Sequence[Mapping[str, Any]] | None = None,
) -> Material:
    """The newest `sample` events of the hub with the routes, unless they are given. Raises lpmops.errors types."""
    if events is None:
        wanted = hubevents.Wanted(last=sample, heartbeats=True)
        events = hubevents.sample(bench.services.eventhubs, wanted, bench.config.routing)
    if routes is None:
        routes = bench.services.sql.rows(bench.environment.sql.control_database, "route_reference")
    return Material(tuple(events), tuple(routes))


def check(bench: Bench, job: StreamingJob, candidate: Definition) -> tuple[list[str], list[str]]:
    """What a trial says against deploying a candidate, and what it says beside; nothing where the text stays as it is."""
    if candidate.query.strip() == job.query.strip():
        return [], []
    try:
        found = tried(bench, job, candidate, material(bench, SAMPLE))
    except LpmopsError as error:
        return [], [f"{job.name} was not tried beforehand: {error.message} {error.hint}".strip()]
    if found.faults:
        hint = f"See it: lpmops asa test -e {bench.environment.name} --job {job.name}"
        return [*found.faults[:-1], f"{found.faults[-1]} {hint}"], list(found.notes)
    changed = [item for item in found.landings if item.added or item.gone or item.otherwise]
    said = f"{job.name} was tried over {found.events} events of the hub: nothing stops it or goes astray"
    if found.compared:
        names = ", ".join(item.output for item in changed)
        said += f"; other rows than now in: {names}" if changed else "; every output gets the rows that it gets now"
    return [], [f"{said}.", *found.notes]


def _with_the_service(bench: Bench, found: Trial, candidate: Definition) -> Trial:
    """The same with the findings of the service's compiler; a note says why where they can't be had."""
    inputs = {name: str(part.get("type") or "Stream") for name, part in candidate.inputs.items()}
    try:
        errors = bench.services.streamanalytics.compile(candidate.query, inputs)
    except LpmopsError as error:
        # What the service says of a missing right fills lines; which right it is stands in the hint.
        why = error.hint if isinstance(error, ForbiddenError) and error.hint else error.message
        return replace(found, notes=(*found.notes, f"{SERVICE}' own compiler (in preview) can't be asked: {why}"))
    complaints = tuple(Complaint(item.line or 0, item.column or 0, item.message, SERVICE) for item in errors)
    faults = tuple(
        f"{SERVICE} does not compile the text of {found.job}"
        + (f" at {item.line}:{item.column}" if item.line else "")
        + f": {item.message}"
        for item in complaints
        # What both compilers complain of is said once.
        if (item.line, item.column) not in {(ours.line, ours.column) for ours in found.complaints}
    )
    note = () if complaints else (f"{SERVICE}' own compiler takes the text too.",)
    return replace(
        found,
        complaints=(*found.complaints, *complaints),
        faults=(*found.faults, *faults),
        notes=(*found.notes, *note),
    )


# Given on the command line ------------------------------------------------------------------------------------------------------------------------


def events_of(text: str, routing: Routing, now: datetime) -> list[RawEvent]:
    """Events of a file with one JSON object a line, as if the hub had taken them: at their `_sent_at` where they have one, else now.

    Raises UsageError naming the line that is none.
    """
    found = []
    # Not splitlines, because U+2028 and its like may stand inside a JSON text.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            body = json.loads(line)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or len(line) > _LINE_AT_MOST:
            raise UsageError(
                f"Line {number} is no event: one JSON object of at most {_LINE_AT_MOST:,} characters a line.",
                hint="Write one event a line, as the hub holds it.",
            )
        key = hubevents.at_path(body, routing.record)
        found.append(RawEvent("0", number, str(number), _sent_at(body, now), None if key is None else str(key), line.encode()))  # fmt: skip
        if len(found) > trials.EVENTS_AT_MOST:
            raise UsageError(f"There are more than {trials.EVENTS_AT_MOST:,} events.", hint="A trial takes fewer.")
    return found


def routes_of(text: str) -> list[dict[str, str]]:
    """Routes of a CSV file with the columns company_id and database_name. Raises UsageError."""
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise UsageError(
            f"The routes are no CSV: {error}.", hint="One route a line: company_id,database_name"
        ) from None
    names = ("company_id", "database_name")
    if not rows or any(name not in rows[0] for name in names):
        raise UsageError(
            "The routes are no CSV with the columns company_id and database_name.",
            hint="The first line names the columns: company_id,database_name",
        )
    return [{name: str(row[name] or "") for name in names} for row in rows]


def _sent_at(body: Mapping[str, Any], now: datetime) -> datetime:
    try:
        return parse_time(str(body["_sent_at"]))
    except (KeyError, ValueError, OverflowError):
        return now.astimezone(UTC)
