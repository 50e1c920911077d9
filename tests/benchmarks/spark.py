"""The stream job's figures: commit to broker at 100 and 1,000 changes a second, and the most it sustains beside a bare read of the same feed.

Run by `make bench-spark` (or one of them: `python -m tests.benchmarks.spark latency`, `throughput`). Latency is the broker's own time less the
commit's, with the default trigger, a commit a second by delta-rs and the job in a process of its own.

Throughput drains a feed that is written before, in two layouts, by six queries in turn, round by round after rounds that warm the JVM; each figure is
the best of its rounds, as whatever else the machine does only adds to it:

- `bare`: readChangeFeed to `noop`, none of our code;
- `floor`: readChangeFeed to Spark's own Kafka sink, the record id and a constant of as many bytes as our events: the least that sending can cost;
- `plain`: readChangeFeed to the same sink, `to_json` of the row as it is, in no order: the least that sending the changes as JSON can cost;
- `made`: our events, written and put in order, to `noop`;
- `sent`: our batches, to the broker;
- `job`: the same by the whole job, whose heartbeat and progress cost by the minute and not by the change.

Changes a second are rows by batch time, and there the broker takes its share of the same cores. Processor time a change is that of the Spark JVM and
the Python driver alone: the broker has no part in it, and other work on the machine lengthens it far less than the clock's. Its ratio to the bare
read's is the ratio of what the two sustain where processors limit them and the broker is elsewhere, as Event Hubs is.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.records import CallRecords, companies_of
from lpmops.sandbox.lake.table import ChangeTable
from lpmops.streamjob import events, hub, progress, source, stream
from lpmops.streamjob.sending import Sender
from tests.spark import engine
from tests.spark.broker import Broker, wait_until
from tests.spark.driver import Driver
from tests.spark.here import hub_of, settings_of

SECONDS = 60
WARM_COMMITS = 15
LAYOUTS = {"commits as a live table has them": (200, 1_000), "a backlog of large commits": (40, 5_000)}
ROUNDS, WARM = 5, 2
EVENT_BYTES = 850


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory(prefix="lpmops-spark-") as name:
        folder = Path(name)
        (folder / "broker").mkdir()
        broker = Broker(folder / "broker", engine.jars() / "broker")
        broker.start()
        try:
            engine.configure(folder / "conf", broker.truststore, memory="2g", more="")
            if "throughput" not in sys.argv[1:]:
                for rate in (100, 1_000):
                    _latency(folder / f"latency-{rate}", folder / "conf", broker, rate)
            if "latency" not in sys.argv[1:]:
                _throughput(folder, broker)
        finally:
            broker.stop()


def _latency(folder: Path, conf: Path, broker: Broker, rate: int) -> None:
    folder.mkdir()
    topic = f"latency-{rate}"
    broker.create(topic)
    clock = Clock()
    table = ChangeTable.create(folder / "tdr_streaming", "lpm_dev.gold.tdr_streaming", clock)
    records = CallRecords(7, companies_of(20))
    driver = Driver(folder, conf, broker, topic, table.folder)
    table.insert(_rows(records, rate, clock))
    driver.stream()
    driver.wait_for(driver.progress)
    due = time.monotonic()
    for _ in range(WARM_COMMITS + SECONDS):
        table.insert(_rows(records, rate, clock))
        due += 1.0
        time.sleep(max(0.0, due - time.monotonic()))
    last = table.latest_version()
    driver.wait_for(lambda: progress.next_version(driver.progress()["sources"][0]["endOffset"]) > last, 300)
    driver.stop()
    took = []
    for event in broker.read(topic):
        body = event.body
        if body["_change_type"] != events.HEARTBEAT and body["_commit_version"] > 1 + WARM_COMMITS:
            committed = table.commit_time(body["_commit_version"]).timestamp()
            took.append(event.at_ms / 1000 - committed)
    cuts = quantiles(took, n=100)
    print(
        f"commit to broker at {rate:5,} changes/s   p50 {cuts[49]:5.2f} s   p99 {cuts[98]:5.2f} s   {len(took):,} changes",
        flush=True,
    )


def _rows(records: CallRecords, count: int, clock: Clock) -> pa.Table:
    """So many rows as they look in every state of a call, all to be inserted: a commit of one small file."""
    made = records.next_changes(count, clock.now())
    return pa.concat_tables([made.inserts, made.updates, made.deletes])


@dataclass(frozen=True)
class Drained:
    """What it took to read a feed to its end: seconds of batches, and of processors by the job (Spark's JVM, this driver) and by the broker."""

    batches: float
    job: float
    broker: float


@dataclass(frozen=True)
class Bench:
    """A table to drain: `versions` commits of `rows` changes each, from version 1 on."""

    spark: SparkSession
    broker: Broker
    folder: Path
    table: Path
    versions: int
    rows: int

    def measured(self, drain: Callable[[Path], float]) -> Drained:
        """Run a drain that gives its seconds of batches, its checkpoint in a folder of its own."""
        self.spark._jvm.System.gc()
        place = self.folder / f"{drain.__name__}-{uuid.uuid4()}"
        place.mkdir()
        spark, broker = self._processors()
        batches = drain(place)
        spark_after, broker_after = self._processors()
        return Drained(batches, spark_after - spark, broker_after - broker)

    def _processors(self) -> tuple[float, float]:
        jvm = _processor_seconds(int(self.spark._jvm.java.lang.ProcessHandle.current().pid()))
        return jvm + time.process_time(), _processor_seconds(self.broker.pid)

    def bare(self, place: Path) -> float:
        return _drained(self._feed(place).writeStream.format("noop").option("checkpointLocation", str(place)).start())

    def floor(self, place: Path) -> float:
        return self._to_kafka(place, F.concat("tdr_id", F.lit("x" * (EVENT_BYTES - 40))))

    def plain(self, place: Path) -> float:
        return self._to_kafka(place, F.to_json(F.struct("*")))

    def _to_kafka(self, place: Path, value: Column) -> float:
        rows = self._feed(place).select(F.col("tdr_id").alias("key"), value.alias("value"))
        writer = rows.writeStream.format("kafka").options(**self._sink())
        return _drained(writer.option("checkpointLocation", str(place)).start())

    def made(self, place: Path) -> float:
        def batch(rows: DataFrame, _: int) -> None:
            changes = events.changes(rows, "info_companyid")
            made = events.refusing_too_large(events.outgoing(changes, "tdr_id", "info_companyid", datetime.now(UTC)))
            events.in_order(made, 2).select("key", "value").write.format("noop").mode("overwrite").save()

        writer = self._feed(place).writeStream.foreachBatch(batch)
        return _drained(writer.option("checkpointLocation", str(place)).start())

    def sent(self, place: Path) -> float:
        sender = Sender(self._sink(), "tdr_id", "info_companyid", str(place / "quarantine"), "bench", 2)
        writer = self._feed(place).writeStream.foreachBatch(sender.send)
        return _drained(writer.option("checkpointLocation", str(place / "checkpoint")).start())

    def job(self, place: Path) -> float:
        settings = settings_of(self.table, hub_of(self.broker, self._topic()))
        settings = replace(settings, checkpoint=str(place / "checkpoint"), quarantine=str(place / "quarantine"))
        stop, written = threading.Event(), Path(progress.path_beside(settings.checkpoint))

        def is_done() -> bool:
            # The file, because asking Spark ten times a second would cost what is measured.
            document = json.loads(written.read_text()) if written.exists() else {"sources": []}
            return any(progress.next_version(one["endOffset"]) > self.versions for one in document["sources"])

        thread = threading.Thread(target=stream.run, args=(self.spark, settings, stop))
        thread.start()
        wait_until(is_done, 600, "all is sent")
        [query] = [one for one in self.spark.streams.active if one.name == progress.QUERY_NAME]
        took = sum(one.durationMs["triggerExecution"] for one in query.recentProgress if one.numInputRows)
        stop.set()
        thread.join()
        return float(took) / 1000

    def _feed(self, place: Path) -> DataFrame:
        return source.follow(self.spark, str(self.table), str(place), 1)

    def _sink(self) -> dict[str, str]:
        return hub.options(hub_of(self.broker, self._topic()), self.broker.connection_string)

    def _topic(self) -> str:
        topic = f"throughput-{uuid.uuid4()}"
        self.broker.create(topic, 4)
        return topic


def _throughput(folder: Path, broker: Broker) -> None:
    os.environ |= {"SPARK_CONF_DIR": str(folder / "conf"), "PYSPARK_PYTHON": sys.executable}
    os.environ["HUB_SECRET"] = broker.connection_string
    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    for number, (layout, (versions, rows)) in enumerate(LAYOUTS.items()):
        place = folder / f"throughput-{number}"
        place.mkdir()
        clock = Clock()
        table = ChangeTable.create(place / "tdr_streaming", "lpm_dev.gold.tdr_streaming", clock)
        records = CallRecords(7, companies_of(50))
        for _ in range(versions):
            table.insert(_rows(records, rows, clock))
        bench = Bench(spark, broker, place, table.folder, versions, rows)
        drains = (bench.bare, bench.floor, bench.plain, bench.made, bench.sent, bench.job)
        found: dict[str, list[Drained]] = {drain.__name__: [] for drain in drains}
        for turn in range(ROUNDS):
            for drain in drains:
                one = bench.measured(drain)
                if turn >= WARM:
                    found[drain.__name__].append(one)
        _print(layout, versions, rows, found)
    spark.stop()


def _print(layout: str, versions: int, rows: int, found: dict[str, list[Drained]]) -> None:
    changes = versions * rows
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{layout}: {versions} commits of {rows:,} changes (load of the machine {load})")
    best = {
        name: Drained(*(min(getattr(one, field.name) for one in runs) for field in fields(Drained)))
        for name, runs in found.items()
    }
    bare = best["bare"]
    for name, one in best.items():
        print(
            f"  {name:6}{changes / one.batches:10,.0f} changes/s   {bare.batches / one.batches:.2f} of bare"
            f"   {one.job / changes * 1e6:6.1f} us of processor a change   {bare.job / one.job:.2f} of bare"
            f"   broker {one.broker / changes * 1e6:4.1f} us",
            flush=True,
        )


def _processor_seconds(process: int) -> float:
    """What a process has taken of processors so far, all its threads, in user and in system."""
    fields_after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields_after_name[11]) + int(fields_after_name[12])) / os.sysconf("SC_CLK_TCK")


def _drained(query: StreamingQuery) -> float:
    """Seconds of batches of a query that reads all that is there."""
    query.processAllAvailable()
    took = sum(one.durationMs["triggerExecution"] for one in query.recentProgress if one.numInputRows)
    query.stop()
    return float(took) / 1000


if __name__ == "__main__":
    main()
