"""The bounded replay: the changes of some versions, of some companies, sent again, marked with the replay's id and no faster than its rate.

It goes chunk by chunk and writes down each that is done in `FOLDER/REPLAY_ID.json`, so that a replay that was cut short goes on where it was: the
chunk under way is sent again, which the landing tables' unique key takes. It knows no checkpoint and leaves the stream's alone.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from . import events, failures, hub, progress, source
from .arguments import ReplaySettings
from .failures import JobError
from .sending import Sender

_PACE_SECONDS = 1.0
_SLICE = "_slice"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Versions [from_version, to_version]; `rows` were sent and `quarantined` put aside once `state` is done."""

    n: int
    from_version: int
    to_version: int
    rows: int = 0
    quarantined: int = 0
    state: str = "waiting"


def chunks(first: int, last: int, size: int) -> list[Chunk]:
    """The versions [first, last] in steps of `size`."""
    starts = range(first, last + 1, size)
    return [Chunk(n, start, min(start + size - 1, last)) for n, start in enumerate(starts)]


def run(spark: SparkSession, settings: ReplaySettings, stop: threading.Event) -> None:
    """Send what is asked for and not done yet. Returns when all is, or between two slices once `stop` is set. Raises JobError, ValueError."""
    try:
        _run(spark, settings, stop)
    except failures.SPARK_ERRORS as error:
        raise failures.explain(error) from None


def _run(spark: SparkSession, settings: ReplaySettings, stop: threading.Event) -> None:
    path = os.path.join(settings.folder, f"{settings.replay_id}.json")
    known = _resumed(path, settings)
    events.check_columns(source.columns(spark, settings.table), settings.record, settings.company)
    [newest] = source.commits(spark, settings.table, 1)
    if settings.last > newest.version:
        # Delta would read as far as it can, and the replay would be called done.
        raise JobError(
            "REPLAY_RANGE_NOT_THERE", f"The table's newest version is {newest.version}; {settings.last} is yet to come."
        )
    plan = known or chunks(settings.first, settings.last, settings.chunk)
    sink = hub.options(settings.hub, hub.read_secret(spark, settings.hub.secret) if settings.hub.secret else "")
    application = f"lpmops-replay-{settings.replay_id}"
    sender = Sender(sink, settings.record, settings.company, settings.quarantine, application, settings.tasks)
    _write(path, settings, plan, "running")
    for place, chunk in enumerate(plan):
        if chunk.state == "done":
            continue
        try:
            done = _send(spark, settings, sender, chunk, stop)
        except (*failures.SPARK_ERRORS, JobError) as error:
            _write(path, settings, plan, "failed", str(failures.explain(error)))
            raise
        if done is None:
            _write(path, settings, plan, "stopped")
            return
        plan[place] = done
        _write(path, settings, plan, "running" if place + 1 < len(plan) else "done")
        log.info("replay %s: versions %d to %d sent", settings.replay_id, done.from_version, done.to_version)


def _send(
    spark: SparkSession, settings: ReplaySettings, sender: Sender, chunk: Chunk, stop: threading.Event
) -> Chunk | None:
    """Send a chunk slice by slice; None where a stop came first."""
    feed = source.between(spark, settings.table, chunk.from_version, chunk.to_version)
    sliced = in_slices(events.changes(feed, settings.company, settings.companies), settings.record, settings.rate)
    sliced.persist(StorageLevel.DISK_ONLY)
    try:
        # Read whole before the first event leaves: a version that cannot be read stops the chunk, not half of it.
        [found] = sliced.agg(
            F.count(F.lit(1)).alias("rows"), F.coalesce(F.max(_SLICE), F.lit(-1)).alias("last")
        ).collect()
        quarantined = 0
        for number in range(found["last"] + 1):
            if stop.is_set():
                return None
            rows = sliced.where(F.col(_SLICE) == number).drop(_SLICE)
            quarantined += sender.send_rows(rows, chunk.n * 1_000_000 + number, settings.replay_id)
            # A whole second after the last of the slice has arrived: no second ever sees more than the rate.
            stop.wait(_PACE_SECONDS)
    finally:
        sliced.unpersist()
    return Chunk(chunk.n, chunk.from_version, chunk.to_version, found["rows"] - quarantined, quarantined, "done")


def in_slices(rows: DataFrame, record: str, rate: int) -> DataFrame:
    """Rows with the number of their slice: `rate` rows each but the last, earlier versions first, which keeps each record's order."""
    deleted_first = F.when(F.col("_change_type") == "delete", 0).otherwise(1)
    place = F.row_number().over(Window.orderBy("_commit_version", deleted_first, F.col("`" + record + "`")))
    return rows.withColumn(_SLICE, ((place - 1) / F.lit(rate)).cast("int"))


def _resumed(path: str, settings: ReplaySettings) -> list[Chunk] | None:
    """The chunks of a replay that began before; None for a new one. Raises JobError where the id belongs to another replay."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        asked = {name: document[name] for name in ("table", "from_version", "to_version", "companies")}
        known = [Chunk(**one) for one in document["chunks"]]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise JobError("REPLAY_FILE_DAMAGED", f"{path} is not a replay's: {error}. Take another --replay-id.") from None
    if asked != _asked(settings):
        raise JobError(
            "REPLAY_ID_TAKEN",
            f"The replay {settings.replay_id} was asked for other versions, companies or another table. Take another --replay-id.",
        )
    return known


def _asked(settings: ReplaySettings) -> dict[str, Any]:
    return {
        "table": settings.table,
        "from_version": settings.first,
        "to_version": settings.last,
        "companies": list(settings.companies),
    }


def _write(path: str, settings: ReplaySettings, plan: list[Chunk], state: str, error: str = "") -> None:
    document = {
        "id": settings.replay_id,
        "state": state,
        **_asked(settings),
        "chunks": [asdict(chunk) for chunk in plan],
        "error": error,
    }
    progress.write(path, document)
