"""The change feed of single commits, read from the files that the log names.

The protocol's rule (delta-io/delta PROTOCOL.md, "Change Data Files"): where a commit names change files, they are its changes; otherwise
the rows of the files it adds are inserts and those of the files it removes are deletes, unless they are marked as no change of data
(compaction). Reads the commits asked for and no others, so that following a table costs the same whatever its size. Tables without
partitions, column mapping and deletion vectors only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from lpmops.sandbox.lake import errors, log
from lpmops.sandbox.lake.schema import MOMENT

CHANGE_TYPE = pa.field("_change_type", pa.string())
COMMIT_VERSION = pa.field("_commit_version", pa.int64())
COMMIT_TIMESTAMP = pa.field("_commit_timestamp", MOMENT)


def feed_schema(table: pa.Schema, columns: Sequence[str] | None = None) -> pa.Schema:
    """The columns of the feed: the table's (or those of `columns` that it has), then the feed's own three."""
    chosen = [field for field in table if columns is None or field.name in columns]
    return pa.schema([*chosen, CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP])


def changes_of(folder: Path, version: int, schema: pa.Schema) -> Iterator[pa.Table]:
    """The changes of one commit under `schema` (of `feed_schema`), a table a file.

    Raises DELTA_CHANGE_DATA_FILE_NOT_FOUND for a file that was vacuumed, FileNotFoundError where the commit itself is gone.
    """
    found = log.actions(folder, version, "commitInfo", "cdc", "add", "remove")
    info = found["commitInfo"][0]
    moment = datetime.fromtimestamp(int(info.get("inCommitTimestamp", info["timestamp"])) / 1000, UTC)
    if found["cdc"]:
        for action in found["cdc"]:
            yield _rows(folder, action, schema, None, version, moment)
        return
    for kind, change in (("remove", "delete"), ("add", "insert")):
        for action in found[kind]:
            if action.get("dataChange", True):
                yield _rows(folder, action, schema, change, version, moment)


def _rows(
    folder: Path, action: dict[str, Any], schema: pa.Schema, change: str | None, version: int, moment: datetime
) -> pa.Table:
    path = unquote(action["path"])
    stored = [field for field in schema if field.name not in (COMMIT_VERSION.name, COMMIT_TIMESTAMP.name)]
    if change is not None:
        stored = [field for field in stored if field.name != CHANGE_TYPE.name]
    try:
        # Columns that the file is older than come back as NULL.
        rows = pq.read_table(
            folder / path, schema=pa.schema(stored), columns=[field.name for field in stored], use_threads=False
        )
    except FileNotFoundError as error:
        raise errors.change_file_not_found(path) from error
    count = rows.num_rows
    if change is not None:
        rows = rows.append_column(CHANGE_TYPE, pa.repeat(pa.scalar(change, pa.string()), count))
    rows = rows.append_column(COMMIT_VERSION, pa.repeat(pa.scalar(version, pa.int64()), count))
    return rows.append_column(COMMIT_TIMESTAMP, pa.repeat(pa.scalar(moment, MOMENT), count))
