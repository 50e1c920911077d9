"""Changes as the JSON events that go to the hub: one event a change, key = tdr_id, at most 1,000,000 bytes.

The columns of the row in the table's order, then `_change_type`, `_commit_version`, `_commit_timestamp`, `_sent_at` and, in a replay,
`_replay_id`. Times are ISO 8601 in UTC with Z and six digits; NULL is written as null. Preimages are left out. DuckDB does the writing,
a thousand rows in a few milliseconds. Nothing is sent here.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

# One publication may have 1 MB with its headers (Event Hubs, Standard tier).
EVENT_BYTES_AT_MOST = 1_000_000
PREIMAGE = "update_preimage"
HEARTBEAT = "heartbeat"
STAMPS = ("_sent_at", "_replay_id")


class OutgoingEvent(NamedTuple):
    """An event to send: its JSON in UTF-8, and the key that chooses its partition."""

    body: bytes
    key: str


@dataclass(frozen=True, slots=True)
class Oversized:
    """A change whose event is too large to send."""

    tdr_id: str
    company_id: str
    change_type: str
    commit_version: int
    size: int
    record: str


class EventWriter:
    """Turns rows of the change feed into events. One thread at a time. `record` and `company` name the columns of a change's record and company."""

    def __init__(self, record: str = "tdr_id", company: str = "info_companyid") -> None:
        self._record, self._company = record, company
        self._duckdb = duckdb.connect(config={"threads": 1})

    def write(
        self, changes: pa.Table, sent_at: datetime, replay_id: str | None = None
    ) -> tuple[list[OutgoingEvent], list[Oversized]]:
        """The events of `changes` (as ChangeTable.changes gives them) in their order, and what is too large to be one."""
        rows = changes.filter(pc.not_equal(changes["_change_type"], PREIMAGE))
        if rows.num_rows == 0:
            return [], []
        extra = {"_sent_at": iso(sent_at)} | ({} if replay_id is None else {"_replay_id": replay_id})
        self._duckdb.register("changes", _without_zones(rows))
        try:
            bodies: Any = self._duckdb.sql(
                _query(rows.schema, self._record, tuple(extra)), params=list(extra.values())
            ).to_arrow_table()
        finally:
            self._duckdb.unregister("changes")
        events: list[OutgoingEvent] = []
        oversized: list[Oversized] = []
        for index, (key, body) in enumerate(zip(bodies["key"].to_pylist(), bodies["body"].to_pylist(), strict=True)):
            encoded = body.encode()
            if len(encoded) <= EVENT_BYTES_AT_MOST:
                events.append(OutgoingEvent(encoded, key))
            else:
                facts = {name: rows[name][index].as_py() for name in (self._company, "_change_type", "_commit_version")}
                oversized.append(
                    Oversized(
                        key,
                        facts[self._company],
                        facts["_change_type"],
                        facts["_commit_version"],
                        len(encoded),
                        body,
                    )
                )
        return events, oversized


def _without_zones(rows: pa.Table) -> pa.Table:
    """Times as naive UTC, which DuckDB formats without looking up a zone."""
    for index, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(
                index, field.name, rows.column(index).cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
            )
    return rows


@lru_cache(maxsize=16)
def _query(schema: pa.Schema, record: str, extra: tuple[str, ...]) -> str:
    parts = []
    for field in schema:
        name = _quoted(field.name)
        parts.append(
            f"{name} := strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ')"
            if pa.types.is_timestamp(field.type)
            else f"{name} := {name}"
        )
    parts.extend(f"{name} := ?::VARCHAR" for name in extra)
    return f"SELECT {_quoted(record)}::VARCHAR AS key, to_json(struct_pack({', '.join(parts)}))::VARCHAR AS body FROM changes"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def heartbeat(sent_at: datetime, commit_version: int, committed_at: datetime) -> OutgoingEvent:
    """The event that tells a quiet stream from a broken one; its version and time are those of the newest commit."""
    body = {
        "_change_type": HEARTBEAT,
        "beat_id": str(uuid.uuid4()),
        "_sent_at": iso(sent_at),
        "_commit_timestamp": iso(committed_at),
        "_commit_version": commit_version,
    }
    return OutgoingEvent(json.dumps(body, separators=(",", ":")).encode(), HEARTBEAT)


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC with Z and six digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
