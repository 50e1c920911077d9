"""Changes as the events that go to the hub: DataFrame in, DataFrame out, nothing read and nothing sent.

An event is JSON: the columns of the row in the table's order, then `_change_type`, `_commit_version`, `_commit_timestamp`, `_sent_at` and, in a
replay, `_replay_id`. Times are ISO 8601 in UTC with Z and six digits; NULL is written as null. Its key is the record's id. Preimages are left out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# One publication may have 1 MB with its key and headers (Event Hubs, Standard tier).
EVENT_BYTES_AT_MOST = 1_000_000
KEY_BYTES_AT_MOST = 30_000
PREIMAGE = "update_preimage"
HEARTBEAT = "heartbeat"
TOO_LARGE = "lpmops: an event of this batch is too large"
FEED_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")
STAMPS = ("_sent_at", "_replay_id")
_MOMENT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
_JSON = {"ignoreNullFields": "false", "timestampFormat": _MOMENT, "timestampNTZFormat": _MOMENT, "timeZone": "UTC"}


def check_columns(columns: Iterable[str], record: str, company: str) -> None:
    """Raise ValueError for a table whose rows cannot become events: no record or company column, or one named as a stamp is."""
    have = list(columns)
    for wanted in (record, company):
        if wanted not in have:
            raise ValueError(f"the table has no column {wanted!r}; it has {', '.join(have)}")
    taken = [name for name in have if name.casefold() in STAMPS]
    if taken:
        raise ValueError(f"the table has a column {taken[0]!r}, which is the name of a stamp that every event carries")


def changes(feed: DataFrame, company: str, companies: Sequence[str] = ()) -> DataFrame:
    """The rows of the feed that are events: no preimages, and only of `companies` where some are named."""
    kept = feed.where(F.col("_change_type") != PREIMAGE)
    return kept.where(_named(company).isin(list(companies))) if companies else kept


def outgoing(rows: DataFrame, record: str, company: str, sent_at: datetime, replay_id: str | None = None) -> DataFrame:
    """One row an event: `key` and `value` (its JSON), `size` in bytes, and what a quarantined record is known by.

    Columns: key, value, size, company_id, change_type, commit_version; the order of rows is kept.
    """
    stamps = [F.lit(iso(sent_at)).alias("_sent_at")]
    if replay_id is not None:
        stamps.append(F.lit(replay_id).alias("_replay_id"))
    body = F.struct(*(_named(name) for name in rows.columns), *stamps)
    made = rows.select(
        _named(record).cast("string").alias("key"),
        F.to_json(body, _JSON).alias("value"),
        _named(company).cast("string").alias("company_id"),
        F.col("_change_type").alias("change_type"),
        F.col("_commit_version").alias("commit_version"),
    )
    return made.withColumn("size", F.octet_length("value"))


def in_order(made: DataFrame, tasks: int) -> DataFrame:
    """Rows of `outgoing` in `tasks` parts, all of a key in one part and its versions in order, a delete before what follows it in the same commit.

    Without this, files that are read side by side would reach a partition of the hub in any order.
    """
    # One whole number to sort by, because Spark sorts by a single one without comparing rows.
    place = F.col("commit_version") * 2 + F.when(F.col("change_type") == "delete", 0).otherwise(1)
    return made.repartition(tasks, "key").sortWithinPartitions(place)


def is_too_large() -> Column:
    """Whether a row of `outgoing` is more than the hub takes in one publication."""
    return (F.col("size") > EVENT_BYTES_AT_MOST) | (F.coalesce(F.octet_length("key"), F.lit(0)) > KEY_BYTES_AT_MOST)


def refusing_too_large(made: DataFrame) -> DataFrame:
    """The rows of `outgoing`, whose reading fails with `TOO_LARGE` in its message as soon as one of them is too large."""
    refused = F.when(is_too_large(), F.raise_error(TOO_LARGE)).otherwise(F.col("value"))
    return made.withColumn("value", refused)


def quarantined(made: DataFrame, moment: datetime) -> DataFrame:
    """The rows of `outgoing` that are too large, as rows of the quarantine table, each with its reason."""
    reason = F.when(
        F.col("size") > EVENT_BYTES_AT_MOST, f"the event is larger than {EVENT_BYTES_AT_MOST} bytes"
    ).otherwise(f"the record id is larger than {KEY_BYTES_AT_MOST} bytes")
    return made.where(is_too_large()).select(
        F.lit(moment).alias("quarantined_at"),
        F.col("key").alias("tdr_id"),
        F.col("company_id").alias("info_companyid"),
        "change_type",
        "commit_version",
        F.col("size").cast("bigint").alias("size_bytes"),
        reason.alias("reason"),
        F.col("value").alias("record"),
    )


def heartbeat(sent_at: datetime, commit_version: int, committed_at: datetime) -> tuple[str, str]:
    """Key and JSON of the event that tells a quiet stream from a broken one; its version and time are those of the newest commit."""
    body = {
        "_change_type": HEARTBEAT,
        "beat_id": str(uuid.uuid4()),
        "_sent_at": iso(sent_at),
        "_commit_timestamp": iso(committed_at),
        "_commit_version": commit_version,
    }
    return HEARTBEAT, json.dumps(body, separators=(",", ":"))


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC with Z and six digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _named(column: str) -> Column:
    """The top-level column of this very name, dots and quotes in it included."""
    return F.col("`" + column.replace("`", "``") + "`")
