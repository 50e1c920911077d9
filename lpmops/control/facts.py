"""What one look at an environment found, before anybody judges it: the values that health rules and the diagnosis read.

Pure values. None is unknown; `problems` says for each source that could not be read why. Sources are named
`credential`, `databricks.table|run|progress`, `eventhub.namespace|hub|partitions`, `asa.jobs`,
`monitor.asa|hub|hub_capacity`, `control.routes|heartbeat|unrouted` and `sql.DATABASE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lpmops.control.lock import Pause
from lpmops.control.probes import Problem
from lpmops.control.reconcile_standing import Standing
from lpmops.model import (
    Credential,
    HubState,
    Kind,
    Latency,
    NamespaceState,
    PartitionState,
    Percentiles,
    StreamingJob,
    StreamProgress,
    StreamRun,
    TableState,
)
from lpmops.store.proofs import OpenGap, Unreadable


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A row of the route table. `since` is when it last changed, None where that was not read in this run."""

    company_id: str
    company: str
    database: str
    state: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The newest beat that came through. `age` is what the server's clock says has passed since it was sent."""

    age: float | None
    enqueued_at: datetime | None
    landed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unrouted:
    """Records that no route took in the recent past, by company id, most first."""

    events: int
    companies: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Database:
    """One company database as seen: whether it answered, and what it said last."""

    name: str
    reachable: bool | None
    companies: tuple[str, ...] = ()
    last_landed_at: datetime | None = None
    rate: float | None = None
    rows: int | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """The newest minute of one metric that had data."""

    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class JobLoad:
    """What Azure Monitor says of one job, one to three minutes late."""

    watermark_delay: Metric | None = None
    units_percent: Metric | None = None
    backlog: Metric | None = None
    errors: Metric | None = None
    conversion_errors: Metric | None = None
    input_events: Metric | None = None
    output_events: Metric | None = None


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far the newest landed event is behind the end of a partition; `lost` are events that expired unread."""

    partition: str
    events: int | None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """One look."""

    environment: str
    kind: Kind
    taken_at: datetime
    problems: Mapping[str, Problem] = field(default_factory=dict)
    credential: Credential = field(default_factory=Credential)
    table: TableState | None = None
    run: StreamRun | None = None
    progress: StreamProgress | None = None
    namespace: NamespaceState | None = None
    hub: HubState | None = None
    partitions: tuple[PartitionState, ...] | None = None
    lags: tuple[PartitionLag, ...] = ()
    hub_rate: float | None = None
    throttled_requests: Metric | None = None
    quota_errors: Metric | None = None
    jobs: tuple[StreamingJob, ...] | None = None
    jobs_at: datetime | None = None
    loads: Mapping[str, JobLoad] = field(default_factory=dict)
    databases: tuple[Database, ...] = ()
    routes: tuple[RouteRow, ...] | None = None
    heartbeat: Heartbeat | None = None
    landed_enqueued_at: datetime | None = None
    unrouted: Unrouted | None = None
    latency: Latency = field(default_factory=Latency)
    recent_hops: Mapping[str, Percentiles] = field(default_factory=dict)
    landed_rate: float | None = None
    clock_skew: float | None = None
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    gaps: tuple[OpenGap, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    standing: Standing | None = None

    def versions_behind(self) -> int | None:
        """Versions of the table that the stream has not planned yet."""
        if self.table is None or self.progress is None:
            return None
        return max(0, self.table.latest_version - self.progress.version)

    def hub_lag(self) -> int | None:
        """Events in the hub that have not landed; None where no partition can be told."""
        known = [lag.events for lag in self.lags if lag.events is not None]
        return sum(known) if known else None

    def newest_enqueued_at(self) -> datetime | None:
        """When the hub last took an event."""
        times = [
            item.last_enqueued_at
            for item in self.partitions or ()
            if item.last_enqueued_at is not None and not item.is_empty
        ]
        return max(times, default=None)

    def newest_landed_at(self) -> datetime | None:
        """When a company database last took a record."""
        return max((item.last_landed_at for item in self.databases if item.last_landed_at is not None), default=None)

    def age(self, moment: datetime | None) -> float | None:
        """Seconds from `moment` to this look, never negative."""
        return None if moment is None else max(0.0, (self.taken_at - moment) / timedelta(seconds=1))

    def unreachable(self) -> tuple[Database, ...]:
        """The company databases that did not answer."""
        return tuple(item for item in self.databases if item.reachable is False)

    def stall(self) -> float | None:
        """Seconds by which the newest landed event (a heartbeat counts) is older than the newest in the hub."""
        newest = self.newest_enqueued_at()
        if newest is None or self.landed_enqueued_at is None:
            return None
        return max(0.0, (newest - self.landed_enqueued_at) / timedelta(seconds=1))

    def worst_watermark(self) -> float | None:
        """The longest watermark delay of any job, in seconds."""
        return max(
            (load.watermark_delay.value for load in self.loads.values() if load.watermark_delay is not None),
            default=None,
        )
