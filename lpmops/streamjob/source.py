"""Where the changes come from: the feed of one Delta table, followed by a stream or read between two versions.

A table is named catalog.schema.table, or by the absolute path of its folder. A new checkpoint needs a starting version, because without one Spark
sends the whole table first; a checkpoint that has begun keeps its own place, and Spark ignores the starting version.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

from .failures import JobError


@dataclass(frozen=True, slots=True)
class Commit:
    """A version of the table; `at` is aware UTC."""

    version: int
    at: datetime
    bytes: int


def quoted(table: str) -> str:
    """The table as SQL names it."""
    if table.startswith("/"):
        return "delta.`" + table.replace("`", "``") + "`"
    return ".".join("`" + part.replace("`", "``") + "`" for part in table.split("."))


def start_of(checkpoint: str, starting_version: int | None) -> int | None:
    """The version to begin at; None where the checkpoint knows its place.

    A checkpoint whose first batch was cut short begins at the starting version again. Raises JobError for a start that would send the whole table
    or lose the stream's place.
    """
    planned, finished = (_numbers(os.path.join(checkpoint, kind)) for kind in ("offsets", "commits"))
    if finished and not planned:
        raise JobError(
            "CHECKPOINT_DAMAGED",
            f"{checkpoint} has finished batches but no offsets, so the stream would begin anew. Restore the folder offsets, or start a new "
            "checkpoint at a version that you choose.",
        )
    if finished:
        return None
    if starting_version is None:
        raise JobError(
            "STARTING_VERSION_NEEDED",
            f"{checkpoint} has no finished batch and needs --starting-version: without one the whole table would be sent.",
        )
    return starting_version


def follow(
    spark: SparkSession,
    table: str,
    checkpoint: str,
    starting_version: int | None,
    accepted_schema_version: int | None = None,
) -> DataFrame:
    """The feed as a stream, from `start_of` the checkpoint.

    Where columns are mapped, schema changes are tracked in the checkpoint, as Delta demands there.
    """
    reader = spark.readStream.format("delta").option("readChangeFeed", "true")
    if starting_version is not None:
        reader = reader.option("startingVersion", str(starting_version))
    if has_column_mapping(spark, table):
        reader = reader.option("schemaTrackingLocation", os.path.join(checkpoint, "_schema_tracking"))
        if accepted_schema_version is not None:
            for change in ("Rename", "Drop", "TypeChange"):
                reader = reader.option(f"allowSourceColumn{change}", str(accepted_schema_version))
    return reader.load(table) if table.startswith("/") else reader.table(table)


def between(spark: SparkSession, table: str, first: int, last: int) -> DataFrame:
    """The feed of the versions [first, last], both included."""
    reader = spark.read.format("delta").option("readChangeFeed", "true")
    reader = reader.option("startingVersion", str(first)).option("endingVersion", str(last))
    return reader.load(table) if table.startswith("/") else reader.table(table)


def columns(spark: SparkSession, table: str) -> list[str]:
    """The table's columns."""
    return list((spark.read.format("delta").load(table) if table.startswith("/") else spark.table(table)).columns)


def commits(spark: SparkSession, table: str, limit: int) -> list[Commit]:
    """The newest commits, newest first."""
    rows = spark.sql(f"DESCRIBE HISTORY {quoted(table)} LIMIT {limit:d}").collect()
    return [
        Commit(int(row["version"]), row["timestamp"].astimezone(UTC), _bytes(row["operationMetrics"] or {}))
        for row in rows
    ]


def has_column_mapping(spark: SparkSession, table: str) -> bool:
    """Whether columns can be renamed and dropped without rewriting the table."""
    rows = spark.sql(f"SHOW TBLPROPERTIES {quoted(table)}").collect()
    return any(row["key"] == "delta.columnMapping.mode" and row["value"] != "none" for row in rows)


def append(rows: DataFrame, table: str, application: str, number: int) -> None:
    """Append rows to a table, made where there is none, once for each number of an application however often it is tried."""
    writer: DataFrameWriter = rows.write.format("delta").mode("append")
    writer = writer.option("txnAppId", application).option("txnVersion", str(number))
    if table.startswith("/"):
        writer.save(table)
    else:
        writer.saveAsTable(table)


def _numbers(folder: str) -> list[int]:
    try:
        return [int(name) for name in os.listdir(folder) if name.isdigit()]
    except FileNotFoundError:
        return []


def _bytes(metrics: dict[str, str]) -> int:
    names = ("numOutputBytes", "numTargetBytesAdded", "numAddedBytes")
    return next((int(metrics[name]) for name in names if str(metrics.get(name, "")).isdigit()), 0)
