"""The continuous stream: the feed's query, the heartbeat's query beside it, and who watches both.

`run` returns after a clean stop and raises JobError for everything else. A stop lets the batch under way finish and be written down, so that the next
run sends nothing twice. A change of the table's columns ends the query; it is begun again with the new columns here, without waiting for the service
to start another run, unless nothing moved in between.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from . import events, failures, hub, progress, source
from .arguments import StreamSettings
from .failures import JobError
from .sending import Sender

HEARTBEAT_SECONDS = 10
HEARTBEAT_NAME = "tdr_heartbeat"
_POLL_SECONDS = 0.5
# How often the table's history is asked how far the table is, and how much of the time the asking may take: far behind, it reads a thousand commits.
_TABLE_SECONDS = 5.0
_ASKING_SHARE = 0.05
_COMMITS_COUNTED = 1000
# A batch that hangs on the hub for longer is cut short, and sent again by the next run.
_STOP_SECONDS = 60.0
_STOPPING = "STREAM_IS_STOPPING"

log = logging.getLogger(__name__)


def run(spark: SparkSession, settings: StreamSettings, stop: threading.Event) -> None:
    """Follow the feed until `stop` is set. Raises JobError, ValueError for settings that do not fit the table."""
    tried: int | None = None
    while True:
        try:
            _follow(spark, settings, stop)
            return
        except (*failures.SPARK_ERRORS, JobError) as error:
            found = failures.error_class(error)
            place = _finished(settings.checkpoint)
            if found not in failures.RESTARTS or place == tried:
                raise failures.explain(error) from None
            tried = place
            log.warning("the table's columns changed (%s); the query begins again with the new ones", found)


def _follow(spark: SparkSession, settings: StreamSettings, stop: threading.Event) -> None:
    start = source.start_of(settings.checkpoint, settings.starting_version)
    events.check_columns(source.columns(spark, settings.table), settings.record, settings.company)
    sink = hub.options(settings.hub, hub.read_secret(spark, settings.hub.secret) if settings.hub.secret else "")
    feed = source.follow(spark, settings.table, settings.checkpoint, start, settings.accepted_schema_version)
    gate, beats, reporter = _Gate(), _Gate(), _Reporter(spark, settings)
    query = _begin(feed, settings, sink, gate)
    try:
        beat = _begin_heartbeat(spark, settings, sink, beats)
        try:
            _watch(reporter, query, beat, stop)
        finally:
            _end(beat, beats, _beside(settings.checkpoint))
    finally:
        _end(query, gate, settings.checkpoint)
    reporter.report(query)


class _Gate:
    """Lets batches through one at a time until it is closed, and knows which was sent last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.closed = threading.Event()
        self.last: int | None = None

    def through(self, number: int, send: Callable[[], object]) -> None:
        """Send a batch. Raises JobError once the gate is closed."""
        with self._lock:
            if self.closed.is_set():
                raise JobError(_STOPPING, "No batch begins any more.")
            send()
            self.last = number

    def close(self) -> None:
        """Let no further batch through, and wait for the one under way."""
        self.closed.set()
        if self._lock.acquire(timeout=_STOP_SECONDS):
            self._lock.release()


def _begin(feed: DataFrame, settings: StreamSettings, sink: dict[str, str], gate: _Gate) -> StreamingQuery:
    query: StreamingQuery | None = None
    started = threading.Event()

    def batch(rows: DataFrame, number: int) -> None:
        started.wait()
        assert query is not None
        sender = Sender(
            sink, settings.record, settings.company, settings.quarantine, f"lpmops-{query.id}", settings.tasks
        )
        gate.through(number, lambda: sender.send(rows, number))

    writer = feed.writeStream.queryName(progress.QUERY_NAME).option("checkpointLocation", settings.checkpoint)
    if settings.trigger_seconds:
        writer = writer.trigger(processingTime=f"{settings.trigger_seconds} seconds")
    query = writer.foreachBatch(batch).start()
    started.set()
    return query


def _begin_heartbeat(
    spark: SparkSession, settings: StreamSettings, sink: dict[str, str], gate: _Gate
) -> StreamingQuery:
    """A query whose batches each send one event, whatever was missed meanwhile."""

    def send(rows: DataFrame) -> None:
        [newest] = source.commits(rows.sparkSession, settings.table, 1)
        key, body = events.heartbeat(datetime.now(UTC), newest.version, newest.at)
        hub.send(rows.sparkSession.range(1).select(F.lit(key).alias("key"), F.lit(body).alias("value")), sink)

    def beat(rows: DataFrame, number: int) -> None:
        if not gate.closed.is_set():
            gate.through(number, lambda: send(rows))

    ticks = spark.readStream.format("rate").option("rowsPerSecond", "1").option("numPartitions", "1").load()
    writer = ticks.writeStream.queryName(HEARTBEAT_NAME).trigger(processingTime=f"{HEARTBEAT_SECONDS} seconds")
    return writer.option("checkpointLocation", _beside(settings.checkpoint)).foreachBatch(beat).start()


def _beside(checkpoint: str) -> str:
    """The heartbeat's own checkpoint."""
    return os.path.join(os.path.dirname(checkpoint), HEARTBEAT_NAME)


def _watch(reporter: _Reporter, query: StreamingQuery, beat: StreamingQuery, stop: threading.Event) -> None:
    """Write progress until a stop is asked for. Raises what ended a query."""
    while not stop.wait(_POLL_SECONDS):
        for one in (query, beat):
            if not one.isActive:
                error = one.exception()
                if error is not None:
                    raise error
                raise JobError("QUERY_STOPPED", f"The query {one.name} was stopped by something other than this job.")
        reporter.report(query)


@dataclass(slots=True)
class _Reporter:
    """Writes the newest progress when it is new, and as often as `pause_after` lets it asks how far the table is."""

    spark: SparkSession
    settings: StreamSettings
    written: tuple[object, object] | None = None
    due: float = 0.0
    known: tuple[source.Commit, ...] = ()

    def report(self, query: StreamingQuery) -> None:
        document = progress.latest(query)
        if document is None or not document.get("sources") or not document["sources"][0].get("endOffset"):
            return
        seen = (document["batchId"], document["timestamp"])
        began = time.monotonic()
        is_due = began >= self.due
        if seen == self.written and not is_due:
            return
        if is_due:
            if not document["sources"][0].get("metrics"):
                self.known = self._commits(progress.next_version(document["sources"][0]["endOffset"]))
            ended = time.monotonic()
            self.due = ended + pause_after(ended - began)
        self.written = seen
        written = progress.completed(document, self.known) | progress.owner(self.settings.checkpoint)
        progress.write(progress.path_beside(self.settings.checkpoint), written)

    def _commits(self, first: int) -> tuple[source.Commit, ...]:
        [newest] = source.commits(self.spark, self.settings.table, 1)
        behind = min(newest.version - first + 1, _COMMITS_COUNTED)
        return tuple(source.commits(self.spark, self.settings.table, behind)) if behind > 1 else (newest,)


def pause_after(took: float) -> float:
    """Seconds until the table's history is asked again, where asking took so many."""
    return max(_TABLE_SECONDS, took / _ASKING_SHARE)


def _end(query: StreamingQuery, gate: _Gate, checkpoint: str) -> None:
    """Stop the query between two batches: after the one that was sent is written down, and before another is begun.

    A query that is stopped inside a batch sends it again; and Spark 4.0 overflows its stack over the message that Python then gives it.
    """
    gate.close()
    ends = time.monotonic() + _STOP_SECONDS
    written = os.path.join(checkpoint, "commits", str(gate.last))
    while gate.last is not None and query.isActive and not os.path.exists(written) and time.monotonic() < ends:
        time.sleep(0.05)
    query.stop()


def _finished(checkpoint: str) -> int:
    """The newest batch that was finished; -1 where none was."""
    try:
        return max(
            (int(name) for name in os.listdir(os.path.join(checkpoint, "commits")) if name.isdigit()), default=-1
        )
    except FileNotFoundError:
        return -1
