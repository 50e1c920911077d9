"""A batch of changes on its way: ordered, written as events, sent; what is too large is put aside.

`Sender` holds what all batches of a run share. The feed is read once for a batch. A batch that is tried again is put aside once only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from . import events, hub, source


@dataclass(frozen=True, slots=True)
class Sent:
    """How many events were sent and how many were put aside."""

    events: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Sender:
    """Where events go and how. `tasks` is how many connections send at once; `application` names the run's batches in the quarantine table."""

    sink: Mapping[str, str]
    record: str
    company: str
    quarantine: str
    application: str
    tasks: int

    def send(self, feed: DataFrame, number: int) -> Sent:
        """Send a batch of the feed, whole or not at all as far as anybody who waits for it can tell."""
        rows = events.in_order(events.changes(feed, self.company), self.record, self.tasks)
        return self.send_rows(rows, number)

    def send_rows(self, rows: DataFrame, number: int, replay_id: str | None = None) -> Sent:
        """Send rows that are chosen and in order."""
        now = datetime.now(UTC)
        made = events.outgoing(rows, self.record, self.company, now, replay_id)
        # Kept meanwhile, as it is read twice: to be sent, and to be counted. (An Observation is not told of what the Kafka sink reads.)
        made.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            hub.send(made.where(~events.is_too_large()), self.sink)
            too_large = F.coalesce(F.sum(events.is_too_large().cast("long")), F.lit(0))
            [found] = made.agg(F.count(F.lit(1)).alias("rows"), too_large.alias("too_large")).collect()
            if found["too_large"]:
                source.append(events.quarantined(made, now), self.quarantine, self.application, number)
        finally:
            made.unpersist()
        return Sent(found["rows"] - found["too_large"], found["too_large"])
