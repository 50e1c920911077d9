"""End to end: Spark's events, read from the real broker, through the generated query as the sandbox executes it, land as the sandbox's own do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lpmops.config import Column, Kpi, Routing
from lpmops.routing.query import INPUT, REFERENCE, UNROUTED, job_query
from lpmops.routing.schema import control_statements, landing_statements
from lpmops.sandbox.analytics import TableOutput
from lpmops.sandbox.asa import JobDefinition, JobSettings, StreamingJob
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.events import OutgoingEvent
from lpmops.sandbox.lake.streamjob import StreamJob
from lpmops.sandbox.lake.table import ChangeTable
from lpmops.sandbox.sql import SqlServer
from tests.sandbox.asa.kit import MemoryHub
from tests.spark.broker import Broker
from tests.spark.driver import Driver
from tests.spark.lake import Lake

COLUMNS = (
    Column("call_id", "NVARCHAR(128)"),
    Column("call_started_at", "DATETIME2(6)"),
    Column("call_answered_at", "DATETIME2(6)"),
    Column("disposition", "NVARCHAR(20)"),
    Column("duration_seconds", "FLOAT"),
    Column("queue", "NVARCHAR(64)"),
    Column("caller_latitude", "FLOAT"),
    Column("sip_method", "NVARCHAR(20)", "sipreq.method"),
)
ROUTES = ({"company_id": "1001", "database_name": "lpm-01"}, {"company_id": "1002", "database_name": "lpm-02"})
# When and on what way an event came is its own; all else is the record's.
OF_THE_WAY = {"sent_at", "enqueued_at", "hub_partition", "hub_sequence", "landed_at"}
Rows = list[tuple[tuple[str, Any], ...]]


class Landing:
    """A server with the landing tables, and the routing job that fills them from a hub."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.hub = MemoryHub(self.clock)
        self.server = SqlServer(folder / "sql", self.clock)
        for name in ("lpm-01", "lpm-02"):
            self._make(name, landing_statements(COLUMNS, Routing()))
        self._make("lpm-control", control_statements())
        tables = {"lpm-01": "lpm.tdr", "lpm-02": "lpm.tdr"}
        control = {UNROUTED: "lpmops.unrouted", "heartbeat": "lpmops.heartbeat", "kpi": "lpmops.kpi_minute"}
        outputs = {name: TableOutput(self.server, name, table) for name, table in tables.items()}
        outputs |= {name: TableOutput(self.server, "lpm-control", table) for name, table in control.items()}
        definition = JobDefinition(
            job_query(tables, COLUMNS, Routing(), Kpi()), {INPUT: self.hub}, outputs, {REFERENCE: lambda: ROUTES}
        )
        settings = JobSettings(start_seconds=0.0, stop_seconds=0.0)
        self.job = StreamingJob("asa-01", definition, self.clock, folder / "asa", settings=settings)
        self.job.start("CustomTime", datetime(2020, 1, 1, tzinfo=UTC))

    def _make(self, database: str, statements: Iterable[str]) -> None:
        made = self.server.create_database(database)
        for statement in statements:
            made.execute(statement)

    def take(self, bodies: Iterable[tuple[int, bytes]]) -> None:
        """Events with their partitions: into the hub and through the job."""
        count = 0
        for partition, body in bodies:
            self.hub.send(body, partition=partition)
            count += 1
        for _ in range(3 + count // 100):
            self.clock.advance(1.0)
            self.job.step()

    def landed(self) -> Mapping[str, Rows]:
        """The rows of each table without what is of their way."""
        tables = {"lpm-01": "lpm.tdr", "lpm-02": "lpm.tdr", "lpm-control": "lpmops.unrouted"}
        return {name: self._rows(name, table) for name, table in tables.items()}

    def heartbeats(self) -> int:
        """How many heartbeats arrived."""
        return len(self.server.database("lpm-control").execute("SELECT * FROM lpmops.heartbeat")[0].rows)

    def _rows(self, database: str, table: str) -> Rows:
        result = self.server.database(database).execute(f"SELECT * FROM {table}")[0]
        names = [column.name for column in result.columns]
        rows = (dict(zip(names, row, strict=True)) for row in result.rows)
        kept = [tuple((name, value) for name, value in row.items() if name not in OF_THE_WAY) for row in rows]
        return sorted(kept, key=str)


@pytest.fixture
def new_landing(tmp_path: Path) -> Callable[[str], Landing]:
    return lambda name: Landing(tmp_path / name)


def test_records_land_as_the_sandboxs_own_do(
    spark: SparkSession,
    lake: Lake,
    driver: Driver,
    broker: Broker,
    topic: str,
    tmp_path: Path,
    new_landing: Callable[[str], Landing],
) -> None:
    lake.create()
    lake.insert(0, 40)
    lake.sql(
        "UPDATE {t} SET disposition = 'answered', call_answered_at = timestamp_micros(1772452801234567) WHERE tdr_id < 'r2'"
    )
    lake.sql("UPDATE {t} SET sipreq = null, duration_seconds = 0.1 WHERE tdr_id = 'r3'")
    lake.sql("DELETE FROM {t} WHERE tdr_id = 'r4'")
    lake.sql(f"INSERT INTO {{t}} SELECT {', '.join(['null'] * 14)}")
    truth = lake.changes()
    driver.stream()
    driver.wait_for(lambda: len([event for event in broker.read(topic) if event.key != "heartbeat"]) >= len(truth))
    driver.wait_for(lambda: any(event.key == "heartbeat" for event in broker.read(topic)))
    assert driver.stop() == 0, driver.log

    real = new_landing("real")
    real.take((event.partition, event.value) for event in broker.read(topic))
    own = new_landing("own")
    sent: list[OutgoingEvent] = []
    table = ChangeTable(lake.path, "lpm_dev.gold.tdr_streaming", own.clock)
    stream = StreamJob(table, sent.extend, tmp_path / "own-checkpoint", own.clock, starting_version=1)
    while (moved := stream.step()) is not None and moved.end_version < moved.latest_version:
        pass
    own.take((len(event.key or "") % 2, event.body) for event in sent)

    landed = real.landed()
    assert landed == own.landed()
    assert len(landed["lpm-01"]) + len(landed["lpm-02"]) + len(landed["lpm-control"]) == len(truth)
    assert len(landed["lpm-control"]) > 1
    assert real.heartbeats() >= 1

    # Sent again, nothing lands again.
    real.take((event.partition, event.value) for event in broker.read(topic) if b'"1001"' in event.value)
    assert real.landed()["lpm-01"] == landed["lpm-01"]
    assert json.loads(dict(landed["lpm-01"][0])["sipreq"] or "{}").get("method") == "INVITE"
