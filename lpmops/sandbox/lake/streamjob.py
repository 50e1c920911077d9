"""The stand-in for the Structured Streaming job: change feed to hub, at least once.

`StreamJob.step` runs one micro-batch: plan it in the checkpoint, read the feed, send, commit. Whatever stops it between sending and
committing makes the next run send the batch again. A new checkpoint needs a starting version, because without one Spark sends the whole
table first. What is too large to send goes to the quarantine table with its reason. Delta's refusals end the run with their class in the
message; the job's life cycle (databricks.jobs) decides whether `step` is called. One thread calls it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.lake import errors, log
from lpmops.sandbox.lake.checkpoint import Checkpoint, SourceOffset
from lpmops.sandbox.lake.events import EVENT_BYTES_AT_MOST, EventWriter, OutgoingEvent, Oversized, heartbeat
from lpmops.sandbox.lake.schema import MOMENT
from lpmops.sandbox.lake.table import ChangeTable

QUERY_NAME = "tdr_stream"
# Beside the checkpoint, in the same volume.
PROGRESS_FILE = Path("progress") / f"{QUERY_NAME}.json"
HEARTBEAT_SECONDS = 10.0
VERSIONS_PER_BATCH = 10
EVENTS_PER_SEND = 500
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("quarantined_at", MOMENT),
        pa.field("tdr_id", pa.string()),
        pa.field("info_companyid", pa.string()),
        pa.field("change_type", pa.string()),
        pa.field("commit_version", pa.int64()),
        pa.field("size_bytes", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("record", pa.string()),
    ]
)

Append = Callable[[Sequence[OutgoingEvent]], object]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step did. `throttled_seconds` is how long (sandbox time) the hub asked to wait; the rest of the batch is then sent later."""

    batch: int
    end_version: int
    latest_version: int
    events: int
    quarantined: int
    heartbeat: bool
    throttled_seconds: float | None


@dataclass(slots=True)
class _Batch:
    """A planned batch under way."""

    number: int
    start: int
    end: int
    events: list[OutgoingEvent]
    quarantined: int
    started: float
    sent: int = 0


class NoStartingVersion(ValueError):
    """A checkpoint without a finished batch and nothing that says where to begin."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__(
            f"[STARTING_VERSION_NEEDED] {checkpoint.name} has no finished batch and needs --starting-version: "
            "without one the whole table would be sent."
        )


class StreamJob:
    """Streams one table. `append` takes a sequence of events and raises an exception with `retry_after` (seconds) when the hub is
    throttled.

    `starting_version` counts for a new checkpoint only, as in Spark. `quarantine` is made beside the table when it is first needed.
    Raises NoStartingVersion for a new checkpoint without a starting version.
    """

    def __init__(
        self,
        table: ChangeTable,
        append: Append,
        checkpoint_folder: Path,
        clock: Clock,
        *,
        starting_version: int | None = None,
        quarantine: ChangeTable | None = None,
    ) -> None:
        self._table, self._append, self._clock = table, append, clock
        self._folder, self._starting_version, self._quarantine = checkpoint_folder, starting_version, quarantine
        self._writer = EventWriter()
        self._next_beat = clock.time()
        self._not_before = 0.0
        self._idle_report = self._last_batch = clock.time()
        self._outstanding: dict[int, tuple[int, int]] = {}
        self._start_run()

    def _start_run(self) -> None:
        """Read the checkpoint as a new run does."""
        self.run_id = str(uuid.uuid4())
        self._checkpoint = Checkpoint(self._folder)
        self._batch: _Batch | None = None
        self._broken = False
        latest = self._checkpoint.latest_batch()
        if latest is None and self._starting_version is None:
            raise NoStartingVersion(self._folder)
        self._number = 0 if latest is None else latest + self._checkpoint.is_committed(latest)
        if self._number > 0:
            self._offset: SourceOffset | None = self._checkpoint.offset(self._number - 1)
        else:
            self._offset = None
        self._replanned = self._checkpoint.offset(latest) if latest is not None and latest == self._number else None
        if self._offset is None and self._starting_version is None:
            raise NoStartingVersion(self._folder)

    @property
    def query_id(self) -> str:
        """The query's id, which outlives its runs."""
        return self._checkpoint.query_id

    @property
    def next_version(self) -> int:
        """The next version to be read."""
        return self._offset.next_version if self._offset is not None else int(self._starting_version or 0)

    def step(self) -> Progress | None:
        """One micro-batch, or a heartbeat, or what a throttled hub left over; None when there is nothing to do yet.

        Raises DeltaFeedError where the feed cannot be followed, and what `append` raises; the next call starts from the checkpoint, as a
        new run.
        """
        if self._broken:
            self._start_run()
        now = self._clock.time()
        if now < self._not_before:
            return None
        with self._ends_run():
            beat, throttled = self._beat(now)
            batch = self._batch or (None if throttled else self._plan())
            if batch is None:
                return self._idle(now, beat, throttled)
            throttled = throttled or self._send(batch)
            if throttled is None:
                self._finish(batch)
            return Progress(
                batch.number,
                batch.end,
                self._table.latest_version(),
                batch.sent,
                batch.quarantined,
                beat,
                throttled,
            )

    @contextmanager
    def _ends_run(self) -> Iterator[None]:
        self._broken = True
        yield
        self._broken = False

    # Heartbeat

    def _beat(self, now: float) -> tuple[bool, float | None]:
        if now < self._next_beat:
            return False, None
        latest = self._table.latest_version()
        throttled = self._try([heartbeat(self._clock.now(), latest, self._table.commit_time(latest))])
        if throttled is None:
            self._next_beat = max(self._next_beat + HEARTBEAT_SECONDS, now)
        return throttled is None, throttled

    # Batches

    def _plan(self) -> _Batch | None:
        table_id = self._table.table_id
        if self._offset is not None and self._offset.table_id != table_id:
            raise errors.different_table(table_id, self._offset.table_id)
        start, latest = self.next_version, self._table.latest_version()
        if self._offset is not None and start < self._table.earliest_version():
            raise errors.log_not_found_for_stream()
        if self._replanned is not None:
            end = self._replanned.next_version - 1
        else:
            end = self._batch_end(start, min(latest, start + VERSIONS_PER_BATCH - 1))
        if end < start:
            return None
        started = time.perf_counter()
        if self._replanned is None:
            self._checkpoint.plan(self._number, SourceOffset(table_id, end + 1), int(self._clock.time() * 1000))
            self._replanned = SourceOffset(table_id, end + 1)
        events, oversized = self._writer.write(self._table.changes(start, end), self._clock.now())
        if oversized:
            self.put_aside(oversized)
        self._batch = _Batch(self._number, start, end, events, len(oversized), started)
        return self._batch

    def _batch_end(self, start: int, end: int) -> int:
        """Where a batch ends: before a change of the table's columns, which begins the next, as once somebody has agreed to it."""
        divided = self._table.ranges.changed_at(start, end)
        return end if divided is None else divided - 1

    def _send(self, batch: _Batch) -> float | None:
        while batch.sent < len(batch.events):
            part = batch.events[batch.sent : batch.sent + EVENTS_PER_SEND]
            throttled = self._try(part)
            if throttled is not None:
                return throttled
            batch.sent += len(part)
        return None

    def _try(self, events: Sequence[OutgoingEvent]) -> float | None:
        """Send; the seconds to wait where the hub is throttled."""
        try:
            self._append(events)
        except Exception as error:
            retry_after = getattr(error, "retry_after", None)
            if retry_after is None:
                raise
            self._not_before = self._clock.time() + float(retry_after)
            return float(retry_after)
        return None

    def _finish(self, batch: _Batch) -> None:
        self._checkpoint.commit(batch.number)
        start = self._offset
        self._offset = SourceOffset(self._table.table_id, batch.end + 1)
        self._batch = self._replanned = None
        self._number += 1
        self._report(batch, start, self._offset)

    def put_aside(self, oversized: Sequence[Oversized]) -> None:
        """Keep what is too large to be sent in the quarantine table, made where there is none yet."""
        now = self._clock.now()
        if self._quarantine is None:
            self._quarantine = quarantine_of(self._table, self._clock)
        reason = f"the event is larger than {EVENT_BYTES_AT_MOST} bytes"
        rows = [
            {
                "quarantined_at": now,
                "tdr_id": one.tdr_id,
                "info_companyid": one.company_id,
                "change_type": one.change_type,
                "commit_version": one.commit_version,
                "size_bytes": one.size,
                "reason": reason,
                "record": one.record,
            }
            for one in oversized
        ]
        self._quarantine.insert(pa.Table.from_pylist(rows, schema=QUARANTINE_SCHEMA))

    # Progress

    def _idle(self, now: float, beat: bool, throttled: float | None) -> Progress | None:
        if self._offset is not None and now >= self._idle_report + HEARTBEAT_SECONDS:
            self._report(None, self._offset, self._offset)
        if not beat and throttled is None:
            return None
        at = self.next_version - 1
        return Progress(self._number, at, self._table.latest_version(), 0, 0, beat, throttled)

    def _report(self, batch: _Batch | None, start: SourceOffset | None, end: SourceOffset) -> None:
        """Write the latest StreamingQueryProgress where it can be read without a cluster."""
        now = self._clock.time()
        rows = 0 if batch is None else len(batch.events) + batch.quarantined
        took = 0.0 if batch is None else time.perf_counter() - batch.started
        rates = {
            "inputRowsPerSecond": round(rows / max(now - self._last_batch, 0.001), 3),
            "processedRowsPerSecond": round(rows / max(took, 0.001), 3),
        }
        self._idle_report = now
        if batch is not None:
            self._last_batch = now
        latest = SourceOffset(end.table_id, self._table.latest_version() + 1)
        files, size = self._behind(end.next_version, latest.next_version)
        milliseconds = int(took * 1000)
        document: dict[str, Any] = {
            "id": self.query_id,
            "runId": self.run_id,
            "name": QUERY_NAME,
            "checkpoint": self._folder.name,
            "timestamp": self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "batchId": self._number if batch is None else batch.number,
            "batchDuration": milliseconds,
            "numInputRows": rows,
            **rates,
            "durationMs": {"addBatch": milliseconds, "triggerExecution": milliseconds},
            "stateOperators": [],
            "sources": [
                {
                    "description": f"DeltaSource[{self._table.folder.as_uri()}]",
                    "startOffset": None if start is None else start.document(),
                    "endOffset": end.document(),
                    "latestOffset": latest.document(),
                    "numInputRows": rows,
                    **rates,
                    "metrics": {"numBytesOutstanding": str(size), "numFilesOutstanding": str(files)},
                }
            ],
            "sink": {"description": "org.apache.spark.sql.kafka010.KafkaSourceProvider$$anon$2", "numOutputRows": rows},
        }
        write_whole(self._folder.parent / PROGRESS_FILE, json.dumps(document, indent=1))

    def _behind(self, first: int, end: int) -> tuple[int, int]:
        """Files and bytes of the feed that are not read yet; each commit is looked at once."""
        self._outstanding = {version: known for version, known in self._outstanding.items() if version >= first}
        for version in range(max(first, self._table.earliest_version()), end):
            if version not in self._outstanding:
                found = log.actions(self._table.folder, version, "cdc", "add")
                files = found["cdc"] or [action for action in found["add"] if action.get("dataChange", True)]
                self._outstanding[version] = len(files), sum(action["size"] for action in files)
        return sum(files for files, _ in self._outstanding.values()), sum(
            size for _, size in self._outstanding.values()
        )


def quarantine_of(table: ChangeTable, clock: Clock) -> ChangeTable:
    """The quarantine table of a table, made where there is none: `<full name>_quarantine`, in a folder beside it."""
    folder, name = table.folder.with_name(table.folder.name + "_quarantine"), table.full_name + "_quarantine"
    try:
        return ChangeTable(folder, name, clock)
    except errors.DeltaFeedError:
        return ChangeTable.create(folder, name, clock, QUARANTINE_SCHEMA)
