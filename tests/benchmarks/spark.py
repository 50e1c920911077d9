"""The stream job's figures: commit to broker at 100 and 1,000 changes a second, and the most it sustains beside a bare read of the same feed.

Run by `make bench-spark`. Latency is the broker's own time less the commit's, with the default trigger, a commit a second by delta-rs and the job in
a process of its own. Throughput is rows by batch time over a feed that is written before, each measured after a first run that warms the JVM. All of
it on this machine: broker, writer and Spark share its cores.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path
from statistics import quantiles

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.records import CallRecords, companies_of
from lpmops.sandbox.lake.table import ChangeTable
from lpmops.streamjob import events, progress, source, stream
from tests.spark import engine
from tests.spark.broker import Broker, wait_until
from tests.spark.driver import Driver
from tests.spark.here import hub_of, settings_of
from tests.spark.lake import Lake

SECONDS = 60
WARM_COMMITS = 15
VERSIONS, ROWS = 40, 5_000


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory(prefix="lpmops-spark-") as name:
        folder = Path(name)
        (folder / "broker").mkdir()
        broker = Broker(folder / "broker", engine.jars() / "broker")
        broker.start()
        try:
            engine.configure(folder / "conf", broker.truststore, memory="2g", more="")
            for rate in (100, 1_000):
                _latency(folder / f"latency-{rate}", folder / "conf", broker, rate)
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


def _throughput(folder: Path, broker: Broker) -> None:
    os.environ |= {"SPARK_CONF_DIR": str(folder / "conf"), "PYSPARK_PYTHON": sys.executable}
    os.environ["HUB_SECRET"] = broker.connection_string
    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    lake = Lake(spark, folder / "tdr_streaming").create()
    for number in range(VERSIONS):
        lake.insert(number * ROWS, ROWS, companies=50)
    bare = [_bare(spark, lake, folder / f"bare-{n}") for n in range(2)][-1]
    made = [_made(spark, lake, folder / f"made-{n}") for n in range(2)][-1]
    ours = [_ours(spark, lake, broker, folder / f"ours-{n}") for n in range(2)][-1]
    print(f"a bare read of the feed            {bare:10,.0f} changes/s")
    print(f"put in order and written as JSON   {made:10,.0f} changes/s   {made / bare:.2f} of it")
    print(f"the stream job, to the broker      {ours:10,.0f} changes/s   {ours / bare:.2f} of it")
    spark.stop()


def _bare(spark: SparkSession, lake: Lake, folder: Path) -> float:
    feed: DataFrame = source.follow(spark, str(lake.path), str(folder), 1)
    return _drained(feed.writeStream.format("noop").option("checkpointLocation", str(folder)).start())


def _made(spark: SparkSession, lake: Lake, folder: Path) -> float:
    """The events, made and not sent."""

    def batch(rows: DataFrame, _: int) -> None:
        ordered = events.in_order(events.changes(rows, "info_companyid"), "tdr_id", 2)
        made = events.outgoing(ordered, "tdr_id", "info_companyid", clock.now())
        made.write.format("noop").mode("overwrite").save()

    clock = Clock()
    feed = source.follow(spark, str(lake.path), str(folder), 1)
    return _drained(feed.writeStream.foreachBatch(batch).option("checkpointLocation", str(folder)).start())


def _drained(query: StreamingQuery) -> float:
    """Changes a second of a query that reads all that is there."""
    query.processAllAvailable()
    took = sum(one.durationMs["triggerExecution"] for one in query.recentProgress if one.numInputRows)
    query.stop()
    return VERSIONS * ROWS / took * 1000


def _ours(spark: SparkSession, lake: Lake, broker: Broker, folder: Path) -> float:
    topic = f"throughput-{uuid.uuid4()}"
    broker.create(topic, 4)
    folder.mkdir()
    settings = settings_of(lake.path, hub_of(broker, topic))
    settings = replace(settings, checkpoint=str(folder / "checkpoint"), quarantine=str(folder / "quarantine"))
    stop = threading.Event()
    found: dict[int, int] = {}

    def done() -> bool:
        newest = -1
        for query in spark.streams.active:
            if query.name == progress.QUERY_NAME:
                for one in query.recentProgress:
                    if one.numInputRows:
                        found[one.batchId] = one.durationMs["triggerExecution"]
                        newest = max(newest, progress.next_version(json.loads(one.sources[0].endOffset)))
        return newest > VERSIONS

    thread = threading.Thread(target=stream.run, args=(spark, settings, stop))
    thread.start()
    wait_until(done, 600, "all is sent")
    stop.set()
    thread.join()
    return VERSIONS * ROWS / sum(found.values()) * 1000


if __name__ == "__main__":
    main()
