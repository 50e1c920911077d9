"""A batch of changes on its way: written as events, ordered, sent; what is too large is put aside.

`Sender` holds what all batches of a run share. The feed is read once for a batch, and twice for one with an event that is too large. A batch that is
tried again is put aside once only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.storagelevel import StorageLevel

from . import events, failures, hub, source


@dataclass(frozen=True, slots=True)
class Sender:
    """Where events go and how. `tasks` is how many connections send at once; `application` names the run's batches in the quarantine table."""

    sink: Mapping[str, str]
    record: str
    company: str
    quarantine: str
    application: str
    tasks: int

    def send(self, feed: DataFrame, number: int) -> None:
        """Send a batch of the feed, whole or not at all as far as anybody who waits for it can tell."""
        self.send_rows(events.changes(feed, self.company), number)

    def send_rows(self, rows: DataFrame, number: int, replay_id: str | None = None) -> int:
        """Send rows that are chosen; returns how many were put aside."""
        now = datetime.now(UTC)
        made = events.outgoing(rows, self.record, self.company, now, replay_id)
        try:
            # A row that is too large fails the batch before it is put in order, and so before its first event leaves: the many batches without
            # one are read, written as JSON and sent in one go, and nothing of them is kept or counted.
            hub.send(events.in_order(events.refusing_too_large(made), self.tasks), self.sink)
        except failures.SPARK_ERRORS as error:
            if events.TOO_LARGE not in str(error):
                raise
            return self._send_what_fits(made, now, number)
        return 0

    def _send_what_fits(self, made: DataFrame, now: datetime, number: int) -> int:
        # Kept meanwhile, because it is read more than once.
        made.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            hub.send(events.in_order(made.where(~events.is_too_large()), self.tasks), self.sink)
            source.append(events.quarantined(made, now), self.quarantine, self.application, number)
            return int(made.where(events.is_too_large()).count())
        finally:
            made.unpersist()
