"""What is true, as values: everything that moves between the services, the control plane, the store and the faces.

Immutable, free of I/O, free of SDK types. Times are aware UTC datetimes, durations and lags are seconds as floats, `None` means unknown and is never
written as zero. `to_data` turns any of these into plain JSON values, the shapes that scripts read.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

STAGES = ("cdf", "eventhub", "asa", "sql")
HOPS = ("commit_to_sent", "sent_to_enqueued", "enqueued_to_landed")


class Kind(StrEnum):
    """What an environment is for; prod is guarded."""

    DEV = "dev"
    TEST = "test"
    PROD = "prod"


class Health(StrEnum):
    """How a stage or environment is; unknown is its own answer, never a green one."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How far the evidence carries a suspicion."""

    SURE = "sure"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """One value as it was read: when, and from where."""

    name: str
    value: float | int | str | None
    unit: str
    at: datetime | None
    source: str


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """One hop of the record's way. `lag` is in `lag_unit` (s, events or versions), `rate` in events a second."""

    name: str
    health: Health
    state: str
    reason: str = ""
    lag: float | None = None
    lag_unit: str = "s"
    rate: float | None = None
    readings: tuple[Reading, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Latency:
    """Commit to landed over the recent window, `events` of them, and the same for each hop by name."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    events: int = 0
    hops: Mapping[str, Percentiles] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """A company and where its records land. state: flowing, quiet, late (held back by the stream), paused, unreachable or unknown."""

    company_id: str
    company: str
    database: str
    state: str
    rows: int | None = None
    rows_per_minute: float | None = None
    last_landed_at: datetime | None = None
    latency_p95: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Suspect:
    """What is probably wrong. `id` is stable (`asa.stopped`); `next` are commands or steps, best first."""

    id: str
    stage: str
    confidence: Confidence
    summary: str
    evidence: tuple[str, ...] = ()
    next: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """The identity in use. state: ok, expiring, expired, missing or unknown; `remedy` is the exact command."""

    state: str = "unknown"
    identity: str = ""
    expires_at: datetime | None = None
    remedy: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known about one environment at one moment."""

    environment: str
    kind: Kind
    taken_at: datetime
    health: Health
    stages: Mapping[str, Stage]
    latency: Latency = dataclasses.field(default_factory=Latency)
    routes: tuple[Route, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    credential: Credential = dataclasses.field(default_factory=Credential)
    calls: int = 0
    seconds: float = 0.0
    heartbeat_age: float | None = None


# What is asked for when somebody looks closer ---------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class LandedRecord:
    """One change of one record as it stands in its company's database.

    The stamps are those of the record's way (`commit_at` to `landed_at`); `values` are the landed columns by name, with
    personal data masked where they were read. `replay_id` is None for what came live.
    """

    company_id: str
    record_id: str
    commit_version: int
    change_type: str
    commit_at: datetime | None
    sent_at: datetime | None
    enqueued_at: datetime | None
    landed_at: datetime | None
    partition: int | None = None
    sequence: int | None = None
    replay_id: str | None = None
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class LogLine:
    """One thing that a service wrote down. `level` is info, warning or error; `subject` the job, run or hub; `count` how often it was written."""

    at: datetime | None
    source: str
    level: str
    subject: str
    text: str
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class CallMinute:
    """The calls of one company in the minute that ends `at`; durations in seconds, None where no call had one."""

    at: datetime
    calls: int
    answered: int
    failed: int
    mean_duration: float | None = None
    p95_duration: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class CompanyCalls:
    """The calls of one company over a span: `windows` minutes of it were counted. `mean_duration` is by answered calls; percentiles do not add up,
    so `highest_p95` is that of the worst minute.
    """

    company_id: str
    calls: int
    answered: int
    failed: int
    mean_duration: float | None = None
    highest_p95: float | None = None
    windows: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as the hub holds it, personal data included: it stays in this process. `sequence` counts within its partition."""

    partition: str
    sequence: int
    offset: str
    enqueued_at: datetime | None
    key: str | None
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class HubEvent:
    """An event of the hub as it may be shown: the stamps of the record's way so far, and its fields with personal data masked.

    `size` is in bytes. `problem` says why the body is no record; then nothing but the hub's own stamps is known.
    """

    partition: str
    sequence: int
    enqueued_at: datetime | None
    size: int
    company_id: str | None = None
    record_id: str | None = None
    change_type: str = ""
    commit_version: int | None = None
    commit_at: datetime | None = None
    sent_at: datetime | None = None
    replay_id: str | None = None
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    problem: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A turn of events: at this moment something of an environment became otherwise.

    `kind` is health or suspect; `what` the new health or the suspect's id; `began` False where a suspicion ended.
    """

    at: datetime
    environment: str
    kind: str
    what: str
    health: Health
    began: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class QueryError:
    """What a compiler says of a query's text: lines and columns count from 1, None where it is about the whole."""

    message: str
    line: int | None = None
    column: int | None = None


# What the services read ------------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class TableState:
    """The source table. `change_feed` is delta (recorded at write), automatic (row tracking) or off."""

    table_id: str
    full_name: str
    latest_version: int
    latest_commit_at: datetime
    change_feed: str
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Commit:
    """One row of the table's history; `rows` is what its metrics say was written, where they say."""

    version: int
    at: datetime
    operation: str
    rows: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class StreamRun:
    """The streaming job and its newest run. state: running, starting, stopping, stopped, failed, paused or absent.

    `before` is the run that ended last before it, None where none is known.
    """

    job_id: str | None
    name: str
    state: str
    message: str = ""
    run_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    url: str = ""
    before: StreamRun | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ReplayRun:
    """A bounded run that sends versions again. `state` is running, done or failed, as which a cancelled one counts; `message` the service's words.

    `first`, `last` and `companies` (none: every company) are what its arguments say, None where they say nothing; `by` is who submitted it.
    """

    run_id: str
    name: str
    state: str
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    url: str = ""
    first: int | None = None
    last: int | None = None
    companies: tuple[str, ...] = ()
    by: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay is, in its own words: waiting, running, stopped, failed or done; `rows` were sent and `quarantined` put aside so far."""

    state: str
    rows: int
    quarantined: int = 0
    error: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class StreamEnding:
    """One run of the streaming job for its log: what set it off, the service's word for how it ended, and what its output says where it failed."""

    run: StreamRun
    trigger: str = ""
    code: str = ""
    error: str = ""
    trace: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class StreamJob:
    """The streaming job as it is set up, with its newest run. `continuous` jobs are kept running by the service unless `paused`.

    `continuity` are the settings of that, as the service gives them.
    """

    job_id: str
    name: str
    continuous: bool
    paused: bool
    run: StreamRun
    continuity: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class StreamProgress:
    """How far the streaming query is: the version it has planned, its rates (rows a second) and its newest batch.

    `unreadable` says in words which parts of it were there and could not be read; they are None here.
    """

    version: int
    table_id: str | None = None
    batch: int | None = None
    at: datetime | None = None
    input_rate: float | None = None
    processed_rate: float | None = None
    batch_seconds: float | None = None
    backlog_bytes: int | None = None
    unreadable: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class NamespaceState:
    """The Event Hubs namespace. `status` is its provisioning state."""

    name: str
    resource_id: str
    tier: str
    throughput_units: int
    status: str
    auto_inflate: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class HubState:
    """The hub: how many partitions, and for how many seconds it keeps an event."""

    name: str
    partitions: int
    retention: float
    status: str


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition's ends, read live."""

    partition: str
    begin_sequence: int
    last_sequence: int
    last_enqueued_at: datetime | None
    is_empty: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """What a service says of itself that deserves attention, and since when."""

    since: datetime | None
    code: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class JobPart:
    """An input or output of a job. `kind` is the service's own type name; `details` holds no secret, and neither does `properties`, the same as it
    is written back."""

    name: str
    kind: str
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    etag: str | None = None
    conditions: tuple[Condition, ...] = ()
    properties: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class StreamingJob:
    """A Stream Analytics job as deployed. `state` is the service's own word (Running, Stopped, Failed, Degraded, ...).

    `settings` are the job's own, under the service's names and without secrets; `transformation` is the name of what holds the query;
    `principal_id` is the identity that the service gave it, None where it has none.
    """

    name: str
    resource_id: str
    state: str
    location: str
    streaming_units: float | None = None
    last_output_at: datetime | None = None
    started_at: datetime | None = None
    start_mode: str | None = None
    query: str = ""
    inputs: tuple[JobPart, ...] = ()
    outputs: tuple[JobPart, ...] = ()
    compatibility_level: str | None = None
    output_error_policy: str | None = None
    etag: str | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    transformation: str = "Transformation"
    principal_id: str | None = None
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class ActivityEvent:
    """An entry of the Azure activity log. `level` and `status` are the service's own words, `message` what it says beyond the operation."""

    at: datetime
    level: str
    operation: str
    status: str
    resource_id: str
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class FeedState:
    """The source table's change feed. `kind` is delta, automatic or off; `first_version` the first that is recorded, as far as the history tells.

    `table_id` is the one that a stream's checkpoint holds, `oldest_version` the oldest that the history still has, None where it was not looked that
    far back. `retention` is how many seconds a version's changes outlast it at least. The protocol is `reader_version`, `writer_version` and
    `features`.
    """

    kind: str
    latest_version: int
    latest_commit_at: datetime
    table_id: str = ""
    oldest_version: int | None = None
    first_version: int | None = None
    first_commit_at: datetime | None = None
    retention: float | None = None
    reader_version: int | None = None
    writer_version: int | None = None
    features: tuple[str, ...] = ()
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class TableDefinition:
    """What Unity Catalog says a table is: its type (MANAGED, EXTERNAL, VIEW ...), its format (DELTA ...), its columns; empty is not said."""

    type: str
    format: str
    columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Receipt:
    """What a service answered to a write: the id its support asks for, and the address at which a long-running operation is followed."""

    request_id: str | None = None
    location: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class MetricPoint:
    """One minute of one metric; `value` None where the service has no data."""

    at: datetime
    value: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class MetricSeries:
    """One metric of one resource, for one set of dimension values."""

    resource_id: str
    metric: str
    aggregation: str
    dimensions: Mapping[str, str]
    points: tuple[MetricPoint, ...]

    def newest(self) -> MetricPoint | None:
        """The newest point that has data."""
        return next((point for point in reversed(self.points) if point.value is not None), None)


def to_data(value: Any) -> Any:
    """`value` as plain JSON: times as RFC 3339 UTC with Z, enums as their words, dataclasses as objects, tuples as lists, NaN as null."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, StrEnum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_data(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def parse_time(text: str) -> datetime:
    """An RFC 3339 time as an aware UTC datetime; a time without an offset is read as UTC, as several Azure APIs write it.

    Digits beyond the microsecond are cut. Raises ValueError.
    """
    cleaned = text.strip()
    if cleaned.endswith(("Z", "z")):
        cleaned = cleaned[:-1] + "+00:00"
    head, dot, tail = cleaned.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        cleaned = f"{head}.{tail[: min(digits, 6)].ljust(6, '0')}{tail[digits:]}"
    parsed = datetime.fromisoformat(cleaned)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
