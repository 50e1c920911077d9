"""Writing to an output at least once.

A write that failed, or of which nobody knows, is repeated whole until it succeeds: an error that passes by itself is retried with growing pauses and
blocks everything behind it. A row that does not fit is retried forever too (policy Stop) or dropped (Drop). Rows that violate a unique key are
found by halving the batch, and skipped. Source: azure-docs/stream-analytics, stream-analytics-output-error-policy and stream-analytics-sql-
output-perf.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lpmops.sandbox.asa.joblog import JobLog
from lpmops.sandbox.asa.metrics import Totals
from lpmops.sandbox.asa.produced import OutputBatch
from lpmops.sandbox.asa.seams import ErrorPolicy, JobSettings, OutputWriter

TYPE_CONVERSION = "OutputDataConversionError.TypeConversionError"

# Microsoft's "Database Engine events and errors": duplicate keys; then conversion, overflow, truncation, and constraints that a row violates.
DUPLICATE_KEYS = frozenset({2601, 2627})
CONVERSIONS = frozenset({220, 232, 241, 242, 244, 245, 248, 257, 295, 296, 515, 547, 2628, 8114, 8115, 8152, 8169})


@dataclass(frozen=True, slots=True)
class _Chunk:
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    repeated: bool = False


class OutputPort:
    """One output of a running job, and the rows that it still owes."""

    def __init__(
        self,
        name: str,
        writer: OutputWriter,
        policy: ErrorPolicy,
        settings: JobSettings,
        log: JobLog,
        totals: Totals,
        chance: random.Random,
    ) -> None:
        self.name = name
        self.last_time: datetime | None = None
        self.failures = 0
        self._writer, self._policy, self._settings = writer, policy, settings
        self._log, self._totals, self._chance = log, totals, chance
        self._owed: deque[_Chunk] = deque()
        self._batch: OutputBatch | None = None
        self._retry_at: datetime | None = None

    @property
    def blocked(self) -> bool:
        """Whether rows wait for a write to succeed."""
        return bool(self._owed)

    def put(self, batch: OutputBatch) -> None:
        """Owe these rows; only when none are owed."""
        size = self._settings.rows_per_write
        self._owed.extend(
            _Chunk(batch.columns, batch.rows[start : start + size]) for start in range(0, len(batch.rows), size)
        )
        self._batch = batch

    def flush(self, now: datetime) -> bool:
        """Write what is owed; whether nothing is owed any more. Does nothing before a retry is due."""
        if self._retry_at is not None and now < self._retry_at:
            return False
        for _ in range(self._settings.writes_per_step):
            if not self._owed:
                break
            if not self._write(now):
                return False
        if self._owed:
            return False
        self._done()
        return True

    def _write(self, now: datetime) -> bool:
        """Try the first chunk; whether to go on with the next."""
        chunk = self._owed[0]
        try:
            self._writer.write(chunk.columns, chunk.rows)
        except Exception as error:  # noqa: BLE001 - whatever an output raises is an output error: it is logged, counted and retried
            return self._failed(now, chunk, error)
        self._owed.popleft()
        self.failures, self._retry_at = 0, None
        if not chunk.repeated and self._chance.random() < self._settings.redelivery:
            # Delivery is at least once (asa-query/event-delivery-guarantees); real duplicates keep tables honest.
            self._owed.appendleft(_Chunk(chunk.columns, chunk.rows, repeated=True))
        return True

    def _failed(self, now: datetime, chunk: _Chunk, error: Exception) -> bool:
        number = getattr(error, "number", None)
        if number in DUPLICATE_KEYS or (number in CONVERSIONS and self._policy == "Drop"):
            self._owed.popleft()
            if len(chunk.rows) > 1:
                middle = len(chunk.rows) // 2
                self._owed.appendleft(_Chunk(chunk.columns, chunk.rows[middle:], chunk.repeated))
                self._owed.appendleft(_Chunk(chunk.columns, chunk.rows[:middle], chunk.repeated))
            elif number in CONVERSIONS:
                self._totals.add("ConversionErrors", self.name, None, 1)
                self._data_error(now, chunk, error)
            return True
        self.failures += 1
        if number in CONVERSIONS:
            self._totals.add("ConversionErrors", self.name, None, 1)
            self._data_error(now, chunk, error)
        else:
            message = f"Encountered error trying to write {len(chunk.rows)} event(s) to output '{self.name}': {_first_line(error)}"
            self._log.error(
                now, f"Send Events: SQL Output write failure to {self.name}", self.name, message, type(error).__name__
            )
        self._totals.add("Errors", self.name, None, 1)
        pause = self._settings.first_retry_seconds * 2.0 ** min(self.failures - 1, 20)
        self._retry_at = now + timedelta(seconds=min(pause, self._settings.longest_retry_seconds))
        return False

    def _data_error(self, now: datetime, chunk: _Chunk, error: Exception) -> None:
        example = json.dumps(dict(zip(chunk.columns, chunk.rows[0], strict=True)), default=str, ensure_ascii=False)
        message = f"Output '{self.name}': a row does not fit the table: {_first_line(error)}"
        level = "Warning" if self._policy == "Drop" else "Error"
        self._log.data_error(
            now,
            level,
            f"Send Events: SQL Output write failure to {self.name}",
            self.name,
            TYPE_CONVERSION,
            message,
            example,
        )

    def _done(self) -> None:
        batch, self._batch = self._batch, None
        if batch is None:
            return
        for partition, count in batch.by_partition.items():
            self._totals.add("OutputEvents", self.name, partition, count)
        self._totals.add("OutputEvents", self.name, None, len(batch.rows) - sum(batch.by_partition.values()))
        self.last_time = batch.last_time if self.last_time is None else max(self.last_time, batch.last_time)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
