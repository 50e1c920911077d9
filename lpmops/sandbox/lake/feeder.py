"""What writes the table: so many changes a second, one commit about each second, and the upkeep that keeps commits cheap for days.

Each commit goes through `recent`, so its cost follows the change and not the table. Upkeep (compaction, checkpoints of the log, vacuum)
runs on a thread of its own beside the writing. One thread calls `step`; nothing is written unless it is called.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake import records
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.recent import RecentFiles
from lpmops.sandbox.lake.records import CallRecords
from lpmops.sandbox.lake.schema import IN_PROGRESS, RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable

log = logging.getLogger(__name__)

UPKEEP_EVERY_COMMITS = 50
VACUUM_EVERY_COMMITS = 600
# After a pause the writer does not make up for all that it missed.
_CATCH_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Committed:
    """One step of the feeder: the version it made and the changes in it."""

    version: int
    inserts: int
    updates: int
    deletes: int


class Feeder:
    """Commits `rate` changes a second of sandbox time to a table; `curve` shapes the rate over a day.

    Calls that an earlier life left in progress in the table are ended first. `rate` may be changed at any time; 0 is a quiet source.
    Raises ValueError for a negative rate.
    """

    def __init__(
        self,
        table: ChangeTable,
        source: CallRecords,
        clock: Clock,
        rate: float,
        *,
        commit_seconds: float = 1.0,
        curve: Callable[[datetime], float] = records.day_curve,
    ) -> None:
        if rate < 0 or commit_seconds <= 0:
            raise ValueError("a rate is not negative and a commit interval is above zero")
        self.rate = rate
        self._table, self._source, self._clock = table, source, clock
        self._interval, self._curve = commit_seconds, curve
        self._last = self._next = clock.time()
        self._owed = 0.0
        self._commits = self._vacuumed = 0
        self._upkeep: threading.Thread | None = None
        self._recent = RecentFiles(table)
        left = _in_progress(table)
        if left.num_rows:
            none = RECORD_SCHEMA.empty_table()
            self._recent.commit(none, source.close(left, clock.now()), none)

    def seconds_until_due(self) -> float:
        """Real seconds to wait before `step` has something to do; 0 when it has."""
        return max(0.0, self._clock.real_seconds(self._next - self._clock.time()))

    def step(self) -> Committed | None:
        """Commit what is due by the clock; None when it is too early or nothing is due.

        Raises what the table raises (OSError for a full disk): that batch is then lost, never torn.
        """
        now = self._clock.time()
        if now < self._next:
            return None
        passed = min(now - self._last, _CATCH_UP_SECONDS)
        self._last = now
        # On the beat where it can be kept, and a whole interval later where it was missed.
        self._next = self._next + self._interval if self._next + self._interval > now else now + self._interval
        self._owed += passed * self.rate * self._curve(self._clock.now())
        count = int(self._owed)
        self._owed -= count
        if count == 0:
            return None
        batch = self._source.next_changes(count, self._clock.now())
        version = self._recent.commit(batch.inserts, batch.updates, batch.deletes)
        self._commits += 1
        if self._commits % UPKEEP_EVERY_COMMITS == 0:
            self._keep_up()
        return Committed(version, batch.inserts.num_rows, batch.updates.num_rows, batch.deletes.num_rows)

    def _keep_up(self) -> None:
        if self._upkeep is not None and self._upkeep.is_alive():
            return
        vacuum = self._commits - self._vacuumed >= VACUUM_EVERY_COMMITS
        if vacuum:
            self._vacuumed = self._commits
        self._upkeep = threading.Thread(target=self._clean, args=(vacuum,), name="delta-upkeep", daemon=True)
        self._upkeep.start()

    def _clean(self, vacuum: bool) -> None:
        try:
            while self._recent.compact():
                pass
            self._table.checkpoint()
            if vacuum:
                self._table.vacuum()
        except (DeltaError, DeltaFeedError, OSError, pa.ArrowException):
            # The next round tries again; until then the table is only larger than it need be.
            log.exception("upkeep of %s failed", self._table.full_name)

    def finish(self, timeout: float = 10.0) -> None:
        """Wait (real seconds) for upkeep that is under way."""
        if self._upkeep is not None:
            self._upkeep.join(timeout)


def _in_progress(table: ChangeTable) -> pa.Table:
    """The calls that have not ended, found batch by batch: a filter given to the dataset fails on statistics that some log checkpoints hold."""
    dataset = table.snapshot().to_pyarrow_dataset()
    # A column that was dropped is NULL to a writer that still knows it.
    names = [name for name in RECORD_SCHEMA.names if name in dataset.schema.names]
    batches = dataset.to_batches(columns=names)
    open_calls = [batch.filter(pc.equal(batch.column("disposition"), IN_PROGRESS)) for batch in batches]
    found = [_whole(batch) for batch in open_calls if batch.num_rows]
    return pa.concat_tables(found) if found else RECORD_SCHEMA.empty_table()


def _whole(batch: pa.RecordBatch) -> pa.Table:
    """A batch with all of a record's columns."""
    columns = [
        batch.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in RECORD_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=RECORD_SCHEMA)
