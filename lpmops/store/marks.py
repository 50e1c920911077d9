"""How far each company database has been read, what was counted up to there, and the latencies that were found on the way.

A `Mark` is a promise: every row that landed before `at`, outside `gaps`, is counted exactly once. Several processes may
read the same database, so `advance` writes only where nobody wrote since the mark was read (its revision), and an
increment that lost is dropped with its latencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lpmops.store import codec
from lpmops.store.connection import Store
from lpmops.store.failures import believing
from lpmops.store.rollups import HOUR, MINUTE

COMPANY_LATENCY_DAYS = 2

Histogram = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """Rows counted per company up to `at` (store time); `gaps` are half-open spans before it that are not counted yet, 0 being the beginning.

    `last_landed` is per company, `sequences` and `enqueued` (the newest landed) per hub partition.
    """

    at: int
    gaps: tuple[tuple[int, int], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    last_landed: Mapping[str, int] = field(default_factory=dict)
    sequences: Mapping[str, int] = field(default_factory=dict)
    enqueued: Mapping[str, int] = field(default_factory=dict)
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Increment:
    """What landed in one database from `start` to `end` (store times): events, and latency histograms by hop and by company."""

    start: int
    end: int
    events: int = 0
    hops: Mapping[str, Histogram] = field(default_factory=dict)
    companies: Mapping[str, Histogram] = field(default_factory=dict)


def read(store: Store, environment: str) -> dict[str, Mark]:
    """The mark of each database of an environment. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        rows = connection.execute(
            "SELECT database, revision, at, body FROM high_water WHERE environment = ?", (environment,)
        ).fetchall()
        return {
            database: _mark(codec.unpack_json(body), database, at, revision) for database, revision, at, body in rows
        }


def advance(
    store: Store, environment: str, at: datetime, steps: Mapping[str, tuple[Mark, Increment | None]]
) -> set[str]:
    """Write the new mark of each database where its revision is still the stored one; the names of those that were.

    A step's mark carries the revision it was read with. Raises StoreError.
    """
    written: set[str] = set()
    with store.writing() as connection, believing(store.path):
        revisions = dict(
            connection.execute(
                "SELECT database, revision FROM high_water WHERE environment = ?", (environment,)
            ).fetchall()
        )
        for database, (mark, _) in steps.items():
            if revisions.get(database, 0) != mark.revision:
                continue
            connection.execute(
                "INSERT OR REPLACE INTO high_water (environment, database, revision, at, body) VALUES (?, ?, ?, ?, ?)",
                (
                    environment,
                    database,
                    mark.revision + 1,
                    mark.at,
                    codec.pack_json(_mark_data(mark, database), level=1),
                ),
            )
            written.add(database)
        increments = {
            database: step[1]
            for database, step in steps.items()
            if database in written and step[1] is not None and step[1].events
        }
        if increments:
            _append_latency(
                store,
                environment,
                codec.milliseconds(at),
                {name: item for name, item in increments.items() if item is not None},
            )
    return written


def recent(store: Store, environment: str, since: datetime) -> list[tuple[str, Increment]]:
    """The increments that ended after `since`, oldest first, each with its database; what is sealed already is left out. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        rows = connection.execute(
            "SELECT body FROM latency_tick WHERE environment = ? AND at >= ? ORDER BY at",
            (environment, codec.milliseconds(since)),
        ).fetchall()
        return [(database, _increment(data)) for (body,) in rows for database, data in codec.unpack_json(body).items()]


def latency_minutes(
    store: Store, environment: str, start: datetime, end: datetime
) -> dict[datetime, dict[str, dict[int, int]]]:
    """The sealed latency histograms of an environment: minute, then hop, then bucket edge in milliseconds to events. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        rows = connection.execute(
            "SELECT minute, body FROM latency_minute WHERE environment = ? AND minute BETWEEN ? AND ? ORDER BY minute",
            (environment, codec.milliseconds(start), codec.milliseconds(end)),
        ).fetchall()
        return {
            codec.moment(minute): {hop: _buckets(data) for hop, data in codec.unpack_json(body)["hops"].items()}
            for minute, body in rows
        }


def seal(store: Store, environment: str, now: datetime) -> None:
    """Gather the latency ticks of past hours into minutes. Raises StoreError."""
    this_hour = codec.milliseconds(now) // HOUR * HOUR
    with store.writing() as connection, believing(store.path):
        rows = connection.execute(
            "SELECT at, body FROM latency_tick WHERE environment = ? AND at < ? ORDER BY at", (environment, this_hour)
        ).fetchall()
        by_minute: dict[int, list[Increment]] = {}
        for at, body in rows:
            found = by_minute.setdefault(at // MINUTE * MINUTE, [])
            found += [_increment(data) for data in codec.unpack_json(body).values()]
        for minute, increments in by_minute.items():
            row = connection.execute(
                "SELECT body FROM latency_minute WHERE environment = ? AND minute = ?", (environment, minute)
            ).fetchone()
            if row is not None:
                increments.append(_increment({"start": minute, "end": minute, **codec.unpack_json(row[0])}))
            hops, companies = (
                add_histograms(item.hops for item in increments),
                add_histograms(item.companies for item in increments),
            )
            body = codec.pack_json(
                {"events": sum(item.events for item in increments), "hops": hops, "companies": companies}
            )
            connection.execute(
                "INSERT OR REPLACE INTO latency_minute (environment, minute, body) VALUES (?, ?, ?)",
                (environment, minute, body),
            )
        connection.execute("DELETE FROM latency_tick WHERE environment = ? AND at < ?", (environment, this_hour))


def expire(store: Store, environment: str, now: datetime, keep_days: int) -> None:
    """Drop latencies beyond `keep_days`, and their part by company after two days. Raises StoreError."""
    oldest = codec.milliseconds(now - timedelta(days=keep_days))
    stripped_to = codec.milliseconds(now - timedelta(days=COMPANY_LATENCY_DAYS))
    with store.writing() as connection, believing(store.path):
        connection.execute("DELETE FROM latency_minute WHERE environment = ? AND minute < ?", (environment, oldest))
        # Only the hour that crossed the line since the last call: `expire` runs hourly, and a day's slack covers nights off.
        rows = connection.execute(
            "SELECT minute, body FROM latency_minute WHERE environment = ? AND minute BETWEEN ? AND ?",
            (environment, stripped_to - 24 * HOUR, stripped_to),
        ).fetchall()
        for minute, body in rows:
            data = codec.unpack_json(body)
            if data["companies"]:
                connection.execute(
                    "UPDATE latency_minute SET body = ? WHERE environment = ? AND minute = ?",
                    (codec.pack_json({**data, "companies": {}}), environment, minute),
                )


def remember(store: Store, environment: str, name: str, at: datetime, value: Any) -> None:
    """Keep one small JSON value for the next process, such as the routes seen last. Raises StoreError."""
    with store.writing() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO remembered (environment, name, at, body) VALUES (?, ?, ?, ?)",
            (environment, name, codec.milliseconds(at), codec.pack_json(value)),
        )


def recall(store: Store, environment: str, name: str) -> tuple[datetime, Any] | None:
    """What was remembered, and when. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        row = connection.execute(
            "SELECT at, body FROM remembered WHERE environment = ? AND name = ?", (environment, name)
        ).fetchone()
        return None if row is None else (codec.moment(row[0]), codec.unpack_json(row[1]))


def add_histograms(many: Iterable[Mapping[str, Histogram]]) -> dict[str, dict[int, int]]:
    """The sum of several sets of histograms, key by key and bucket by bucket."""
    total: dict[str, dict[int, int]] = {}
    for one in many:
        for key, histogram in one.items():
            into = total.setdefault(key, {})
            for edge, events in histogram.items():
                into[edge] = into.get(edge, 0) + events
    return total


def _append_latency(store: Store, environment: str, at: int, increments: Mapping[str, Increment]) -> None:
    connection = store.connection()
    data = {
        database: {
            "start": item.start,
            "end": item.end,
            "events": item.events,
            "hops": item.hops,
            "companies": item.companies,
        }
        for database, item in increments.items()
    }
    taken = connection.execute(
        "SELECT MAX(at) FROM latency_tick WHERE environment = ? AND at BETWEEN ? AND ?", (environment, at, at + 1000)
    ).fetchone()[0]
    connection.execute(
        "INSERT INTO latency_tick (environment, at, body) VALUES (?, ?, ?)",
        (environment, at if taken is None else taken + 1, codec.pack_json(data, level=1)),
    )


def _buckets(data: Mapping[str, int]) -> dict[int, int]:
    return {int(edge): events for edge, events in data.items()}


def _increment(data: Mapping[str, Any]) -> Increment:
    return Increment(
        data["start"],
        data["end"],
        data["events"],
        {hop: _buckets(found) for hop, found in data["hops"].items()},
        {company: _buckets(found) for company, found in data["companies"].items()},
    )


def _mark_data(mark: Mark, database: str) -> dict[str, Any]:
    return {
        "database": database,
        "at": mark.at,
        "gaps": mark.gaps,
        "counts": mark.counts,
        "last_landed": mark.last_landed,
        "sequences": mark.sequences,
        "enqueued": mark.enqueued,
    }


def _mark(data: Mapping[str, Any], database: str, at: int, revision: int) -> Mark:
    if data["database"] != database or data["at"] != at:
        raise ValueError("a mark stands under another name or time")
    gaps = tuple((start, end) for start, end in data["gaps"])
    return Mark(at, gaps, data["counts"], data["last_landed"], data["sequences"], data["enqueued"], revision)
