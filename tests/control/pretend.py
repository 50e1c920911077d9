"""A small pretend environment for the control plane: plain objects that answer as the services do, with faults to switch on.

`World.step` lets seconds pass: records are committed, sent, enqueued and land, unless a fault is in the way. It holds no rule of lpmops.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from lpmops.config import Databricks, Environment, EventHub, Sql, StreamAnalytics
from lpmops.control.latency import bucket
from lpmops.control.sources import EventHubSource
from lpmops.errors import (
    DatabaseUnavailableError,
    LpmopsError,
    SignInError,
    StatementError,
    ThrottledError,
)
from lpmops.model import (
    ActivityEvent,
    Credential,
    HubState,
    JobPart,
    Kind,
    MetricPoint,
    MetricSeries,
    NamespaceState,
    PartitionState,
    StreamEnding,
    StreamingJob,
    StreamProgress,
    StreamRun,
    TableState,
    parse_time,
)

FAULTS = (
    "asa.stopped",
    "hub.throttled",
    "sql.unreachable",
    "cdf.job_failed",
    "auth.expired",
    "arm.throttled",
    "arm.slow",
)
SETTLE = timedelta(seconds=5)
JOB_ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.StreamAnalytics/streamingjobs/asa-lpm-tdr-test-01"


def environment(name: str = "test", databases: Sequence[str] = ("lpm-01", "lpm-02")) -> Environment:
    return Environment(
        name=name,
        kind=Kind.TEST,
        tenant_id="00000000-0000-4000-8000-0000000000aa",
        subscription_id="00000000-0000-4000-8000-000000000002",
        resource_group="rg-lpm-tdr-test",
        databricks=Databricks(
            "https://dbx.example",
            "0123456789abcdef",
            "lpm.gold.tdr_streaming",
            "lpm-tdr-stream",
            "/Volumes/lpm/ops/tdr",
        ),
        eventhub=EventHub("evhns-lpm-tdr-test", "tdr"),
        streamanalytics=StreamAnalytics("asa-lpm-tdr-test-", "westeurope"),
        sql=Sql("sql-lpm.example", tuple(databases)),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A record on its way; times None until it got there."""

    company: str
    database: str
    sequence: int
    committed: datetime
    sent: datetime
    enqueued: datetime
    landed: datetime
    replay: bool = False


@dataclass
class World:
    """The pretend environment; `calls` counts what was asked, `faults` is what is broken, `silent` are calls that never return."""

    environment: Environment = field(default_factory=environment)
    companies: int = 4
    per_second: int = 2
    now: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    faults: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    broken: dict[str, LpmopsError] = field(default_factory=dict)
    landed: list[Row] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)
    release: threading.Event = field(default_factory=threading.Event)
    asked: Counter[str] = field(default_factory=Counter)
    version: int = 100
    sent_version: int = 100
    sequence: int = 0
    enqueued_at: datetime | None = None
    beat: datetime | None = None
    unrouted: list[tuple[str, int]] = field(default_factory=list)
    added_databases: list[str] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    changed: dict[str, datetime] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    conversion_errors: float = 0.0
    watermark_delay: float = 2.0
    throttled_requests: float = 0.0
    minutes: list[Mapping[str, Any]] = field(default_factory=list)
    written: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    activities: list[ActivityEvent] = field(default_factory=list)
    runs: list[StreamEnding] = field(default_factory=list)
    untils: list[object] = field(default_factory=list)
    pauses: list[Mapping[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.beat = self.now
        self.step(120)

    @property
    def databases(self) -> tuple[str, ...]:
        return (*self.environment.sql.databases, *self.added_databases)

    def company_database(self, number: int) -> str:
        return self.databases[number % len(self.databases)]

    def step(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            self.version += 1
            if "cdf.job_failed" in self.faults:
                continue
            self.sent_version = self.version
            self.enqueued_at = self.now
            slow = 20 if "hub.throttled" in self.faults else 0
            for _ in range(self.per_second):
                self.sequence += 1
                if "asa.stopped" in self.faults:
                    continue
                company = self.sequence % self.companies
                database = self.company_database(company)
                if database in self.unreachable():
                    continue
                enqueued = self.now - timedelta(milliseconds=800)
                sent = enqueued - timedelta(milliseconds=300, seconds=slow)
                self.landed.append(
                    Row(
                        str(1001 + company),
                        database,
                        self.sequence,
                        sent - timedelta(seconds=3),
                        sent,
                        enqueued,
                        self.now,
                    )
                )
            if "asa.stopped" not in self.faults:
                self.beat = self.now

    def unreachable(self) -> set[str]:
        return self.dead | ({self.databases[0]} if "sql.unreachable" in self.faults else set())

    # what the services are -------------------------------------------------------------------------------------------

    def ask(self, source: str, service: str, *, arm: bool = False) -> None:
        with self.lock:
            self.asked[source] += 1
        if source in self.hanging or (arm and "arm.slow" in self.faults):
            self.release.wait(30)
        if source in self.broken:
            raise self.broken[source]
        if arm and "arm.throttled" in self.faults:
            raise ThrottledError("Azure asks to slow down.", service=service, status=429, retry_after=7.0)
        if "auth.expired" in self.faults:
            raise SignInError("AADSTS700082: the refresh token has expired.", service=service, hint="az login")

    @property
    def calls(self) -> World:
        return self

    @property
    def total(self) -> int:
        return self.asked.total()

    @property
    def credential(self) -> World:
        return self

    @property
    def databricks(self) -> World:
        return self

    @property
    def eventhubs(self) -> EventHubSource:
        # It holds no events, and whoever reads some fails at once.
        return cast(EventHubSource, self)

    @property
    def streamanalytics(self) -> World:
        return self

    @property
    def monitor(self) -> World:
        return self

    @property
    def sql(self) -> World:
        return self

    def close(self) -> None:
        self.release.set()

    def state(self) -> Credential:
        expired = "auth.expired" in self.faults
        return Credential(
            "expired" if expired else "ok", "ops@lpm.example", None, "az login --tenant T" if expired else ""
        )

    def table(self) -> TableState:
        self.ask("table", "databricks")
        return TableState("t", self.environment.databricks.table, self.version, self.now, "delta")

    def stream_run(self) -> StreamRun:
        self.ask("run", "databricks")
        failed = "cdf.job_failed" in self.faults
        return StreamRun(
            "77",
            "lpm-tdr-stream",
            "failed" if failed else "running",
            "Task failed" if failed else "",
            "9",
            self.now - timedelta(hours=5),
        )

    def progress(self) -> StreamProgress:
        self.ask("progress", "databricks")
        return StreamProgress(self.sent_version, at=self.now, input_rate=2.0)

    def endings(self, until: datetime | None = None) -> tuple[StreamEnding, ...]:
        self.ask("endings", "databricks")
        self.untils.append(until)
        return tuple(self.runs)

    def logs(self, query: str, minutes: int, until: datetime | None = None) -> list[Mapping[str, Any]]:
        """Rows by a word of the query's text; a workspace without them has none."""
        self.ask("logs", "monitor")
        self.untils.append(until)
        return next((rows for word, rows in self.written.items() if word in query), [])

    def activity(self, minutes: int, until: datetime | None = None) -> tuple[ActivityEvent, ...]:
        self.ask("activity", "monitor", arm=True)
        self.untils.append(until)
        return tuple(self.activities)

    def namespace(self) -> NamespaceState:
        self.ask("namespace", "eventhub", arm=True)
        return NamespaceState("evhns-lpm-tdr-test", "id", "Standard", 2, "Succeeded")

    def hub(self) -> HubState:
        self.ask("hub", "eventhub", arm=True)
        return HubState("tdr", 1, 604_800.0, "Active")

    def partitions(self) -> tuple[PartitionState, ...]:
        self.ask("partitions", "eventhub")
        return (PartitionState("0", 1, self.sequence, self.enqueued_at, False),)

    def jobs(self) -> tuple[StreamingJob, ...]:
        self.ask("jobs", "streamanalytics", arm=True)
        outputs = tuple(JobPart(name, "Microsoft.Sql/Server/Database") for name in self.databases)
        state = "Stopped" if "asa.stopped" in self.faults else "Running"
        return (
            StreamingJob(
                "asa-lpm-tdr-test-01",
                JOB_ID,
                state,
                "westeurope",
                3.0,
                self.now - timedelta(minutes=3),
                outputs=outputs,
            ),
        )

    def metrics(
        self,
        namespace: str,
        resource_ids: Sequence[str],
        names: Sequence[str],
        minutes: int,
        aggregation: str,
        split_by: str | None = None,
        until: datetime | None = None,
    ) -> tuple[MetricSeries, ...]:
        self.ask("metrics", "monitor", arm=True)
        minute = self.now.replace(second=0, microsecond=0) - timedelta(minutes=2)
        values = {
            "OutputEvents": 120.0,
            "ConversionErrors": self.conversion_errors,
            "OutputWatermarkDelaySeconds": self.watermark_delay,
            "ThrottledRequests": self.throttled_requests,
        }
        return tuple(
            MetricSeries(
                resource,
                name,
                aggregation,
                {},
                (MetricPoint(minute, values.get(name, 0.0)), MetricPoint(minute + timedelta(minutes=1), None)),
            )
            for resource in resource_ids
            for name in names
        )

    def rows(self, database: str, query_name: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        self.ask(f"{query_name}:{database}" if f"{query_name}:{database}" in self.hanging else query_name, "azuresql")
        if database in self.unreachable():
            raise DatabaseUnavailableError(
                f"{database} at sql-lpm.example is not available (40613).", service="azuresql", status=40613
            )
        if query_name in self.missing:
            raise StatementError(f"Invalid object name of {query_name}.", service="azuresql", status=208)
        answer: Callable[[str, Sequence[object]], list[Mapping[str, Any]]] = getattr(self, f"_{query_name}")
        return answer(database, parameters)

    def _routes(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        return [
            {
                "company_id": str(1001 + n),
                "company": f"County {n}",
                "database_name": self.company_database(n),
                "state": self.states.get(str(1001 + n), "active"),
                "changed_at": self.changed.get(str(1001 + n), datetime(2026, 11, 1, tzinfo=UTC)),
            }
            for n in range(self.companies)
        ]

    def _company_databases(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        return [{"database_name": name} for name in self.added_databases]

    def _route_of_company(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        return [
            {"database_name": row["database_name"]}
            for row in self._routes(database, ())
            if row["company_id"] == parameters[0]
        ]

    def _records_of_company(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        company, until = parameters
        assert until is None or isinstance(until, datetime)
        found = [
            row
            for row in self.landed
            if (row.company, row.database) == (company, database) and (until is None or row.landed <= until)
        ]
        return [
            {
                "company_id": row.company,
                "record_id": f"r{row.sequence}",
                "commit_version": row.sequence,
                "change_type": "insert",
                "commit_timestamp": row.committed.replace(tzinfo=None),
                "sent_at": row.sent.replace(tzinfo=None),
                "enqueued_at": row.enqueued.replace(tzinfo=None),
                "landed_at": row.landed.replace(tzinfo=None),
                "hub_partition": 0,
                "hub_sequence": row.sequence,
                "replay_id": "r-1" if row.replay else None,
                "caller_number": "+1-202-555-0143",
                "sipreq": '{"method":"INVITE","from":"<sip:+12025550143@esinet.example>"}',
                "of_nobody": "not configured",
            }
            for row in found[-40:]
        ]

    def _calls_of_company(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        self.untils += parameters[2:]
        return [row for row in self.minutes if row["company_id"] == parameters[0]]

    def _landing_calls_of_company(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        return [row for row in self.minutes if row["company_id"] == parameters[0] and row["database"] == database]

    def _heartbeat(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        beat = self.beat
        return [
            {
                "server_time": self.now,
                "hub_partition": 0,
                "hub_sequence": 0,
                "sent_at": beat,
                "enqueued_at": beat,
                "landed_at": beat,
            },
        ]

    def _unrouted_since(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        return [
            {
                "company_id": company,
                "hub_partition": 0,
                "events": events,
                "hub_sequence": 1,
                "enqueued_at": self.now,
                "landed_at": self.now,
            }
            for company, events in self.unrouted
        ]

    def _pauses(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        return self.pauses

    def _rows_by_table(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        return [{"row_count": sum(row.database == database for row in self.landed)}]

    def _landed_between(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        low, high = (parse_time(str(value)) for value in parameters)
        found = [row for row in self.landed if row.database == database and low <= row.landed < high]
        counts = Counter(row.company for row in found)
        return [
            {
                "company_id": company,
                "events": events,
                "landed_at": max(row.landed for row in found if row.company == company),
            }
            for company, events in counts.items()
        ]

    def _landed_since(self, database: str, parameters: Sequence[object]) -> list[Mapping[str, Any]]:
        since, settled_at = parse_time(str(parameters[0])), self.now - SETTLE
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.landed:
            if row.database != database or row.landed < since:
                continue
            settled = int(row.landed < settled_at)
            spans = {
                "total": row.landed - row.committed,
                "commit_to_sent": row.sent - row.committed,
                "sent_to_enqueued": row.enqueued - row.sent,
                "enqueued_to_landed": row.landed - row.enqueued,
            }
            groups.setdefault(("partition", None, 0, settled, -1), []).append(row)
            for measure, span in spans.items():
                edge = -1 if row.replay else bucket(span // timedelta(milliseconds=1))
                groups.setdefault(
                    (measure, row.company if measure == "total" else None, None, settled, edge), []
                ).append(row)
        head = {"server_time": self.now.replace(tzinfo=None), "settled_at": settled_at.replace(tzinfo=None)}
        nothing = {
            "measure": "total",
            "company_id": None,
            "hub_partition": None,
            "settled": 0,
            "bucket": -1,
            "events": 0,
        }
        found: list[Mapping[str, Any]] = [
            {
                **head,
                "measure": measure,
                "company_id": company,
                "hub_partition": partition,
                "settled": settled,
                "bucket": edge,
                "events": len(rows),
                "hub_sequence": max(row.sequence for row in rows),
                "enqueued_at": max(row.enqueued for row in rows).replace(tzinfo=None),
                "landed_at": max(row.landed for row in rows).replace(tzinfo=None),
            }
            for (measure, company, partition, settled, edge), rows in groups.items()
        ]
        return found or [{**head, **nothing}]
