"""What the stories of the Stream Analytics engine share: a hub in memory, tables that break on command, the record, and the query that routes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lpmops.sandbox.asa import (
    CompiledQuery,
    Executor,
    InputEvent,
    InputKind,
    JobDefinition,
    JobSettings,
    LogRecord,
    OutputBatch,
    StreamingJob,
    compile_query,
)
from lpmops.sandbox.clock import Clock

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)

ROUTING = """
-- One hub, one step, one output a company database.
WITH tdr AS (
    SELECT CAST(source.info_companyid AS nvarchar(max)) AS company_id, source.tdr_id AS record_id,
        CAST(source._commit_version AS bigint) AS commit_version, source._change_type AS change_type,
        CAST(source._commit_timestamp AS datetime) AS commit_timestamp, CAST(source._sent_at AS datetime) AS sent_at,
        source.EventEnqueuedUtcTime AS enqueued_at,
        CAST(GetMetadataPropertyValue(source, '[EventHub].[PartitionId]') AS bigint) AS hub_partition,
        CAST(GetMetadataPropertyValue(source, '[EventHub].[SequenceNumber]') AS bigint) AS hub_sequence,
        source.beat_id AS beat_id, source.disposition AS disposition, TRY_CAST(source.duration_seconds AS float) AS duration_seconds,
        source.sipreq AS sipreq, source.sipreq.call_id AS sip_call_id, GetRecordPropertyValue(source.sipreq, 'method') AS sip_method,
        GetArrayElement(source.sipreq.via, 0) AS first_via
    FROM [tdr-hub] AS source /* read once */
),
routed AS (
    SELECT tdr.*, route.database_name AS database_name
    FROM tdr LEFT JOIN [route] AS route ON tdr.company_id = route.company_id
)
SELECT company_id, record_id, commit_version, change_type, hub_partition, hub_sequence, sipreq, sip_call_id, sip_method, first_via
INTO [lpm-01] FROM routed WHERE database_name = 'lpm-01' AND change_type <> 'heartbeat'
SELECT company_id, record_id, commit_version, change_type, hub_partition, hub_sequence, sipreq, sip_call_id, sip_method, first_via
INTO [lpm-02] FROM routed WHERE database_name = 'lpm-02' AND change_type <> 'heartbeat' -- the second
SELECT company_id, record_id, commit_version, change_type, commit_timestamp, enqueued_at INTO [unrouted]
FROM routed WHERE database_name IS NULL AND change_type <> 'heartbeat'
SELECT beat_id, sent_at, enqueued_at INTO [heartbeat] FROM tdr WHERE change_type = 'heartbeat'
SELECT company_id, System.Timestamp() AS window_end, COUNT(*) AS calls, SUM(CASE WHEN disposition = 'answered' THEN 1 ELSE 0 END) AS answered,
    AVG(duration_seconds) AS mean_duration_seconds, PERCENTILE_CONT(0.95) OVER (ORDER BY duration_seconds) AS p95_duration_seconds
INTO [kpi] FROM tdr WHERE change_type IN ('insert', 'update_postimage') GROUP BY company_id, TumblingWindow(minute, 1)
"""
OUTPUTS = ("lpm-01", "lpm-02", "unrouted", "heartbeat", "kpi")
ROUTES = ({"company_id": "1001", "database_name": "lpm-01"}, {"company_id": "1002", "database_name": "lpm-02"})


def record(number: int, company: Any = "1001", **fields: Any) -> dict[str, Any]:
    """A change of the record as it is sent."""
    sip = {"method": "INVITE", "call_id": f"sip-{number}", "via": ["SIP/2.0/TLS 192.0.2.1", "SIP/2.0/TLS 192.0.2.2"]}
    changed = {
        "tdr_id": f"tdr-{number}",
        "info_companyid": company,
        "disposition": "answered",
        "duration_seconds": 12.5,
        "sipreq": sip,
        "_change_type": "insert",
        "_commit_version": number,
        "_commit_timestamp": "2026-03-02T11:59:58.123456Z",
        "_sent_at": "2026-03-02T11:59:59Z",
    }
    return changed | fields


def event(body: Any, second: float = 0.0, sequence: int = 0, partition: int = 0, key: str | None = None) -> InputEvent:
    """An event enqueued some seconds after noon; `body` is bytes or what becomes JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return InputEvent(raw, NOON + timedelta(seconds=second), partition, sequence, str(sequence * 100), key)


def events(*bodies: Any) -> list[InputEvent]:
    """Events a second apart, beginning a second after noon."""
    return [event(body, number, number) for number, body in enumerate(bodies, start=1)]


def compiled(query: str, outputs: Sequence[str] = ("out", "other"), references: Sequence[str] = ()) -> CompiledQuery:
    """A query over the stream input `hub`."""
    inputs: dict[str, InputKind] = {"hub": "stream"}
    for name in references:
        inputs[name] = "reference"
    return compile_query(query, inputs, outputs)


def run(query: str, *bodies: Any, fuse: bool = True) -> dict[str, OutputBatch]:
    """What a query over `hub` gives for these bodies, windows closed an hour later."""
    executor = Executor(compiled(query), fuse=fuse)
    made = executor.process(events(*bodies))
    return made | executor.advance(NOON + timedelta(hours=1))


def rows(batches: Mapping[str, OutputBatch], output: str = "out") -> list[dict[str, Any]]:
    """The rows of an output by column."""
    batch = batches.get(output)
    return [] if batch is None else [dict(zip(batch.columns, row, strict=True)) for row in batch.rows]


def value(expression: str, *bodies: Any) -> Any:
    """An expression for one event, `{}` where none is given."""
    found = rows(run(f"SELECT {expression} AS x INTO out FROM hub", *(bodies or ({},))))
    return found[0]["x"] if len(found) == 1 else [row["x"] for row in found]


@dataclass(frozen=True)
class Kept:
    """An event in the hub."""

    partition: int
    sequence_number: int
    offset: str
    enqueued_at: datetime
    key: str | None
    body: bytes


@dataclass(frozen=True)
class End:
    """Where a partition ends."""

    last_enqueued_sequence_number: int


@dataclass
class MemoryHub:
    """A hub in memory."""

    clock: Clock
    partition_count: int = 2
    log: list[list[Kept]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = [[] for _ in range(self.partition_count)]

    def send(self, *bodies: Any, partition: int = 0) -> None:
        """Append bodies, each a millisecond after the other."""
        for body in bodies:
            self.clock.advance(0.001)
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            number = len(self.log[partition])
            self.log[partition].append(Kept(partition, number, str(number), self.clock.now(), None, raw))
        self.clock.advance(0.002)

    def read(self, partition: int, after_sequence: int, limit: int) -> Sequence[Kept]:
        """Events after a sequence number."""
        return self.log[partition][after_sequence + 1 : after_sequence + 1 + limit]

    def position_at(self, partition: int, enqueued_time: datetime) -> int:
        """Where events at or after a time begin."""
        return sum(1 for one in self.log[partition] if one.enqueued_at < enqueued_time) - 1

    def partition(self, partition: int) -> End:
        """Where a partition ends."""
        return End(len(self.log[partition]) - 1)


class SqlProblem(Exception):
    """An error with a SQL Server number."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message or f"error {number}")
        self.number = number


@dataclass
class Table:
    """A table that takes rows whole or not at all, and breaks on command. `ignore` is the key under which IGNORE_DUP_KEY swallows rows."""

    ignore: tuple[str, ...] = ()
    rows: list[dict[str, Any]] = field(default_factory=list)
    writes: list[list[dict[str, Any]]] = field(default_factory=list)
    down: Exception | None = None
    after_adding: Exception | None = None
    refuses: Any = None

    def write(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> int:
        """Add rows; return how many."""
        if self.down is not None:
            raise self.down
        wanted = [dict(zip(columns, row, strict=True)) for row in rows]
        if self.refuses is not None:
            for row in wanted:
                self.refuses(row, self.rows)
        self.writes.append(wanted)
        known = {self._key(row) for row in self.rows}
        added = 0
        for row in wanted:
            if self.ignore and self._key(row) in known:
                continue
            known.add(self._key(row))
            self.rows.append(row)
            added += 1
        lost, self.after_adding = self.after_adding, None
        if lost is not None:
            raise lost
        return added

    def _key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in self.ignore)

    def column(self, name: str) -> list[Any]:
        """One column of what is in the table."""
        return [row[name] for row in self.rows]


class Bench:
    """A hub, tables and the routing job around one clock that only moves when told to, or a little for every event."""

    def __init__(self, folder: Path, query: str = ROUTING, outputs: Sequence[str] = OUTPUTS, **settings: Any) -> None:
        self.clock = Clock(start=NOON.timestamp(), speed=1e-9)
        self.hub = MemoryHub(self.clock)
        key = ("company_id", "record_id", "commit_version", "change_type")
        self.tables = {name: Table(ignore=key if name.startswith(("lpm", "unrouted")) else ()) for name in outputs}
        self.routes: list[dict[str, Any]] = list(ROUTES)
        self.routes_down = False
        self.log: list[LogRecord] = []
        self.folder, self.query = folder, query
        self.settings = JobSettings(**({"redelivery": 0.0} | settings))
        self.policy: Any = "Stop"
        self.job = self.make()

    def make(self) -> StreamingJob:
        """The job as a new process would make it."""
        references = {"route": self._read_routes} if "[route]" in self.query else {}
        definition = JobDefinition(self.query, {"tdr-hub": self.hub}, dict(self.tables), references, self.policy)
        return StreamingJob(
            "asa-lpm-tdr-dev-01", definition, self.clock, self.folder, settings=self.settings, log=self.log.append
        )

    def _read_routes(self) -> list[dict[str, Any]]:
        if self.routes_down:
            raise ConnectionError("the control database is unreachable")
        return list(self.routes)

    def start(self, mode: Any = "JobStartTime", time: datetime | None = None) -> None:
        """Start and let the starting pass."""
        self.job.start(mode, time)
        self.clock.advance(self.settings.start_seconds)
        self.job.step()

    def stop(self) -> None:
        """Stop and let the stopping pass."""
        self.job.stop()
        self.clock.advance(self.settings.stop_seconds)
        self.job.step()

    def steps(self, count: int = 10, seconds: float = 0.1) -> None:
        """Some steps with time between them."""
        for _ in range(count):
            self.clock.advance(seconds)
            self.job.step()

    def landed(self, table: str = "lpm-01") -> list[str]:
        """The records in a company's table, in order of arrival."""
        return [str(one) for one in self.tables[table].column("record_id")]

    def total(self, name: str, logical_name: str | None = None) -> float:
        """A metric over all partitions, the largest value where it is one of now."""
        values = [one for one in self.job.metrics() if one.name == name and logical_name in (None, one.logical_name)]
        if any(one.aggregation == "Maximum" for one in values):
            return max(one.value for one in values)
        return sum(one.value for one in values)
