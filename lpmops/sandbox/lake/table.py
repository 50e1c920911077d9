"""A Delta table with a change feed that answers as Databricks does.

`ChangeTable` is one table in a folder. Its commits pass one lock and carry the sandbox clock's time to the millisecond, in the protocol's
`inCommitTimestamp`, taken when the commit is prepared. SQL-like commits (insert, merge, update, delete, properties, vacuum) are made by
delta-rs; `commit_files` takes data files that a writer made itself. `changes` gives the feed in commit order and refuses by Delta's error
class, also where delta-rs is laxer. Reads are safe beside writers, from any thread. Nothing here runs by itself.

delta-rs refuses `delta.enableInCommitTimestamps` as a property but reads and keeps the stamp itself, so the table does not claim the
property.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake import errors, feed, log
from lpmops.sandbox.lake.ranges import Ranges
from lpmops.sandbox.lake.schema import RECORD_SCHEMA

# Delta keeps files 7 days and the log 30; here an hour, so that a sandbox at full rate stays within a few gigabytes of history.
DEFAULT_PROPERTIES = {
    log.FEED_PROPERTY: "true",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    "delta.logRetentionDuration": "interval 1 hours",
}
# Source: docs.delta.io/table-properties. Those that delta-rs cannot honour (column mapping, deletion vectors, row tracking, in-commit timestamps) are
# left out, so that setting them is refused and not believed.
KNOWN_PROPERTIES = frozenset(
    "delta." + name
    for name in (
        "appendOnly autoOptimize.autoCompact autoOptimize.optimizeWrite checkpointInterval checkpointPolicy checkpoint.writeStatsAsJson "
        "checkpoint.writeStatsAsStruct dataSkippingNumIndexedCols dataSkippingStatsColumns deletedFileRetentionDuration enableChangeDataFeed "
        "enableExpiredLogCleanup isolationLevel logRetentionDuration minReaderVersion minWriterVersion randomizeFilePrefixes randomPrefixLength "
        "setTransactionRetentionDuration targetFileSize tuneFileSizesForRewrites"
    ).split()
)
OPERATION = "_operation"
_WRITER = WriterProperties(compression="ZSTD")
_ATTEMPTS = 3
_Result = TypeVar("_Result")


class Conflict(Exception):
    """Files that a commit would replace were replaced by another one first; nothing was committed."""


class ChangeTable:
    """One Delta table. `full_name` is catalog.schema.table. Raises DeltaFeedError DELTA_TABLE_NOT_FOUND where the folder holds none."""

    def __init__(self, folder: Path, full_name: str, clock: Clock) -> None:
        self.folder = folder
        self.full_name = full_name
        self._clock = clock
        # Held by whoever commits; a writer that decides by what it read takes it around both.
        self.writing = threading.RLock()
        self._open()

    @classmethod
    def create(
        cls,
        folder: Path,
        full_name: str,
        clock: Clock,
        schema: pa.Schema = RECORD_SCHEMA,
        properties: Mapping[str, str] | None = None,
    ) -> ChangeTable:
        """A new, empty table; its feed is on unless `properties` says otherwise. Raises FileExistsError where there is one."""
        if DeltaTable.is_deltatable(str(folder)):
            raise FileExistsError(folder)
        _create(folder, schema, {**DEFAULT_PROPERTIES, **(properties or {})}, clock)
        return cls(folder, full_name, clock)

    def _open(self) -> None:
        try:
            self._earliest, self._latest = log.kept_versions(self.folder)
        except FileNotFoundError as error:
            raise errors.table_not_found(self.full_name) from error
        self._last_ms = log.commit_ms(self.folder, self._latest)
        self._described: tuple[str, pa.Schema, dict[str, str]] | None = None
        self.ranges = Ranges(self)

    def recreate(self) -> None:
        """Drop the table and make it anew, empty and with another id, as DROP and CREATE do."""
        with self.writing:
            _, schema, configuration = self._describe()
            shutil.rmtree(self.folder)
            _create(self.folder, schema, configuration, self._clock)
            self._open()

    # What the table says about itself

    @property
    def table_id(self) -> str:
        """The id in the table's metadata, which a stream's checkpoint holds as reservoirId."""
        return self._describe()[0]

    def arrow_schema(self) -> pa.Schema:
        """The columns, as Arrow."""
        return self._describe()[1]

    def properties(self) -> dict[str, str]:
        """The table properties that are set."""
        return dict(self._describe()[2])

    def _describe(self) -> tuple[str, pa.Schema, dict[str, str]]:
        described = self._described
        if described is None:
            with self.writing:
                table = self.snapshot()
                metadata = table.metadata()
                configuration = {name: str(value) for name, value in metadata.configuration.items()}
                described = self._described = (str(metadata.id), pa.schema(table.schema().to_arrow()), configuration)
        return described

    def latest_version(self) -> int:
        """The newest version."""
        latest = self._latest
        if not log.commit_path(self.folder, latest).exists():
            # Nobody asked for so long that the log was cleaned up past what was known.
            latest = log.kept_versions(self.folder)[1]
        while log.commit_path(self.folder, latest + 1).exists():
            latest += 1
        self._latest = max(self._latest, latest)
        return latest

    def earliest_version(self) -> int:
        """The oldest version whose log is kept."""
        if not log.commit_path(self.folder, self._earliest).exists():
            self._earliest = log.kept_versions(self.folder)[0]
        return self._earliest

    def commit_time(self, version: int) -> datetime:
        """When a version was committed. Raises FileNotFoundError where its log was cleaned up."""
        return datetime.fromtimestamp(log.commit_ms(self.folder, version) / 1000, UTC)

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Newest first, with the columns of DESCRIBE HISTORY; times are aware, metrics are text under Databricks' names."""
        latest, earliest = self.latest_version(), self.earliest_version()
        lowest = earliest if limit is None else max(earliest, latest - limit + 1)
        return [
            _history_row(version, log.actions(self.folder, version, "commitInfo")["commitInfo"][0])
            for version in range(latest, lowest - 1, -1)
        ]

    def detail(self) -> dict[str, Any]:
        """What DESCRIBE DETAIL says."""
        snapshot = self.snapshot()
        metadata, protocol = snapshot.metadata(), snapshot.protocol()
        sizes = [size for _, size in _active_files(snapshot)]
        return {
            "format": "delta",
            "id": str(metadata.id),
            "name": self.full_name,
            "description": metadata.description,
            "location": self.folder.as_uri(),
            "createdAt": datetime.fromtimestamp(metadata.created_time / 1000, UTC),
            "lastModified": self.commit_time(snapshot.version()),
            "partitionColumns": list(metadata.partition_columns),
            "clusteringColumns": [],
            "numFiles": len(sizes),
            "sizeInBytes": sum(sizes),
            "properties": {name: str(value) for name, value in metadata.configuration.items()},
            "minReaderVersion": protocol.min_reader_version,
            "minWriterVersion": protocol.min_writer_version,
            "tableFeatures": ["appendOnly", "changeDataFeed", "checkConstraints", "generatedColumns", "invariants"],
            "statistics": {},
        }

    def snapshot(self, version: int | None = None) -> DeltaTable:
        """A delta-rs handle of its own on one version (the latest). Raises DELTA_VERSION_NOT_FOUND."""
        try:
            return DeltaTable(str(self.folder), version=version)
        except DeltaError as error:
            # delta-rs finds no table either where only the version's log is gone.
            try:
                earliest, latest = log.kept_versions(self.folder)
            except FileNotFoundError:
                raise errors.table_not_found(self.full_name) from error
            raise errors.version_not_found(version if version is not None else latest, earliest, latest) from error

    def data_files(self) -> list[tuple[str, int]]:
        """The files of the latest version as (path, bytes)."""
        return _active_files(self.snapshot())

    def files_between(self, first: int, last: int) -> tuple[dict[str, int], set[str]]:
        """The files (path: bytes) that versions [first, last] added and still hold, and the paths that they removed."""
        added: dict[str, int] = {}
        removed: set[str] = set()
        for version in range(first, last + 1):
            found = log.actions(self.folder, version, "add", "remove")
            for action in found["remove"]:
                removed.add(unquote(action["path"]))
                added.pop(unquote(action["path"]), None)
            added.update((unquote(action["path"]), action["size"]) for action in found["add"])
        return added, removed

    # Commits

    def insert(self, rows: pa.Table) -> int:
        """Append rows in one commit; gives its version."""
        return self._commit(
            lambda table, stamp: write_deltalake(
                table, rows, mode="append", writer_properties=_WRITER, commit_properties=stamp
            )
        )[1]

    def merge(self, source: pa.Table, target_rows: str = "TRUE") -> dict[str, Any]:
        """One MERGE on tdr_id: rows of `source` are inserted, updated or deleted as its column `_operation` says; gives the operation's
        metrics.

        `target_rows` is a condition on `target` that holds for every row to be updated or deleted, to read less of a large table. Rows to
        be updated or deleted that are not there are left out, as with a MERGE whose WHEN clauses carry conditions.
        """
        # What a writer still gives of a column that was dropped goes nowhere.
        columns = {name: f"source.`{name}`" for name in source.column_names if name in self.arrow_schema().names}

        def write(table: DeltaTable, stamp: CommitProperties) -> dict[str, Any]:
            merger = table.merge(
                source,
                f"target.tdr_id = source.tdr_id AND {target_rows}",
                source_alias="source",
                target_alias="target",
                streamed_exec=False,
                writer_properties=_WRITER,
                commit_properties=stamp,
            )
            merger = merger.when_matched_update(columns, predicate=f"source.{OPERATION} = 'update'")
            merger = merger.when_matched_delete(predicate=f"source.{OPERATION} = 'delete'")
            return dict(merger.when_not_matched_insert(columns, predicate=f"source.{OPERATION} = 'insert'").execute())

        return self._commit(write)[0]

    def update(self, assignments: Mapping[str, str], predicate: str | None = None) -> dict[str, Any]:
        """UPDATE by SQL expressions; gives the operation's metrics."""
        return self._commit(
            lambda table, stamp: table.update(dict(assignments), predicate=predicate, commit_properties=stamp)
        )[0]

    def delete(self, predicate: str | None = None) -> dict[str, Any]:
        """DELETE by a SQL condition; gives the operation's metrics."""
        return self._commit(
            lambda table, stamp: table.delete(predicate, writer_properties=_WRITER, commit_properties=stamp)
        )[0]

    def set_properties(self, properties: Mapping[str, str]) -> int:
        """ALTER TABLE SET TBLPROPERTIES; gives the version. Raises DELTA_UNKNOWN_CONFIGURATION for a delta.* name that Delta does not
        know.
        """
        unknown = next(
            (name for name in properties if name.startswith("delta.") and name not in KNOWN_PROPERTIES), None
        )
        if unknown is not None:
            raise errors.unknown_property(unknown)
        return self._commit(
            lambda table, stamp: table.alter.set_table_properties(
                dict(properties), raise_if_not_exists=False, commit_properties=stamp
            )
        )[1]

    def compact(self, target_bytes: int = 16_000_000) -> dict[str, Any]:
        """OPTIMIZE into files of about `target_bytes`; rows and feed are unchanged."""
        return self._commit(
            lambda table, stamp: dict(
                table.optimize.compact(target_size=target_bytes, writer_properties=_WRITER, commit_properties=stamp)
            )
        )[0]

    def vacuum(self, retention_hours: int | None = None) -> int:
        """Remove files that no kept version needs and that are past their retention (the table's own unless given, 0 for all); gives
        their number.

        Works beside writers. Change files go too, which is what ends the feed of old versions.
        """
        return len(
            self.snapshot().vacuum(
                retention_hours,
                dry_run=False,
                enforce_retention_duration=False,
                full=True,
                commit_properties=self._stamp(),
            )
        )

    def checkpoint(self) -> None:
        """Write a checkpoint of the log, and remove the commit files that are past delta.logRetentionDuration and that it covers. Works
        beside writers.
        """
        table = self.snapshot()
        table.create_checkpoint()
        table.cleanup_metadata()

    def commit_files(
        self,
        operation: str,
        parameters: Mapping[str, str],
        metrics: Mapping[str, str],
        actions: Sequence[Mapping[str, Any]],
        read_version: int,
    ) -> int:
        """Commit files that are already written, by their actions; gives the version. `read_version` is the one they were made from.

        Raises Conflict where a commit since then removed a file that this one removes.
        """
        removes = {unquote(action["remove"]["path"]) for action in actions if "remove" in action}
        with self.writing:
            while True:
                latest = self.latest_version()
                if removes and latest > read_version and removes & self.files_between(read_version + 1, latest)[1]:
                    raise Conflict(f"{operation} on {self.full_name} met a commit that changed the same files")
                info = {
                    "timestamp": int(time.time() * 1000),
                    "inCommitTimestamp": self._next_ms(),
                    "operation": operation,
                    "operationParameters": dict(parameters),
                    "operationMetrics": dict(metrics),
                    "readVersion": latest,
                    "isBlindAppend": not removes,
                    "engineInfo": "lpmops-sandbox",
                    "txnId": str(uuid.uuid4()),
                }
                if _put_commit(self.folder, latest + 1, [{"commitInfo": info}, *actions]):
                    self._latest = latest + 1
                    if any("metaData" in action for action in actions):
                        self._described = None
                    return latest + 1

    def _commit(self, write: Callable[[DeltaTable, CommitProperties], _Result]) -> tuple[_Result, int]:
        with self.writing:
            for attempt in range(_ATTEMPTS):
                table = self.snapshot()
                try:
                    result = write(table, self._stamp())
                except CommitFailedError:
                    # A vacuum's own commits came in between: look again and redo.
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                self._described = None
                return result, int(table.version())
        raise AssertionError("unreachable")

    def _stamp(self) -> CommitProperties:
        return CommitProperties(custom_metadata={"inCommitTimestamp": self._next_ms()}, max_commit_retries=15)

    def _next_ms(self) -> int:
        with self.writing:
            # Delta's in-commit time only grows, also where two commits fall in one millisecond.
            self._last_ms = max(int(self._clock.time() * 1000), self._last_ms + 1)
            return self._last_ms

    # The change feed

    def changes(self, start: int, end: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The feed of versions [start, end], both inclusive, in commit order, with `_change_type`, `_commit_version` and
        `_commit_timestamp` (UTC).

        `end` None is the latest version. Raises DeltaFeedError DELTA_CDC_START_VERSION_AFTER_LATEST, DELTA_INVALID_CDC_RANGE,
        DELTA_VERSION_NOT_FOUND, DELTA_MISSING_CHANGE_DATA, DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE or _DATA_SCHEMA, or
        DELTA_CHANGE_DATA_FILE_NOT_FOUND.
        """
        end = self.ranges.checked(start, end)
        schema = feed.feed_schema(self.ranges.columns(end), columns)
        return pa.concat_tables([schema.empty_table(), *self._read(start, end, schema)])

    def change_reader(
        self, start: int, end: int | None = None, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """The same as a stream, for a range that should not be held in memory; a file missing on the way is raised while reading."""
        end = self.ranges.checked(start, end)
        schema = feed.feed_schema(self.ranges.columns(end), columns)
        return pa.RecordBatchReader.from_batches(
            schema, (batch for rows in self._read(start, end, schema) for batch in rows.to_batches())
        )

    def _read(self, start: int, end: int, schema: pa.Schema) -> Iterator[pa.Table]:
        for version in range(start, end + 1):
            try:
                yield from feed.changes_of(self.folder, version, schema)
            except FileNotFoundError as error:
                raise errors.version_not_found(version, self.earliest_version(), self.latest_version()) from error

    def version_of(self, moment: datetime, *, starting: bool) -> int:
        """The version that a timestamp means: as a start the first at or after it, as an end the last at or before it.

        Raises DELTA_TIMESTAMP_GREATER_THAN_COMMIT or, for an end, DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION. A start before the
        retained log is its first version, as in Delta's CDCReader.
        """
        earliest, latest = self.earliest_version(), self.latest_version()
        asked_ms = round(moment.timestamp() * 1000)
        found = log.version_at_or_after(self.folder, asked_ms, earliest, latest)
        exact = found <= latest and log.commit_ms(self.folder, found) == asked_ms
        if found > latest:
            raise errors.timestamp_after_latest(_sql_time(moment), _sql_time(self.commit_time(latest)))
        if starting or exact:
            return found
        if found == earliest:
            raise errors.timestamp_before_log(_sql_time(moment), _sql_time(self.commit_time(earliest)))
        return found - 1


def _create(folder: Path, schema: pa.Schema, configuration: Mapping[str, str], clock: Clock) -> None:
    stamp = CommitProperties(custom_metadata={"inCommitTimestamp": int(clock.time() * 1000)})
    table = DeltaTable.create(
        str(folder),
        schema=schema,
        configuration={name: value for name, value in configuration.items() if name.startswith("delta.")},
        commit_properties=stamp,
    )
    # delta-rs takes a site's own properties in a later commit only.
    others = {name: value for name, value in configuration.items() if not name.startswith("delta.")}
    if others:
        table.alter.set_table_properties(others, raise_if_not_exists=False, commit_properties=stamp)


def _put_commit(folder: Path, version: int, actions: Sequence[Mapping[str, Any]]) -> bool:
    """Make a commit visible, whole; False where the version is taken."""
    draft = folder / "_delta_log" / f"_commit_{uuid.uuid4()}.json.tmp"
    try:
        draft.write_text(
            "".join(json.dumps(action, separators=(",", ":")) + "\n" for action in actions), encoding="utf-8"
        )
        # A link fails where the name exists, which a rename would overwrite.
        os.link(draft, log.commit_path(folder, version))
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _active_files(table: DeltaTable) -> list[tuple[str, int]]:
    actions = pa.table(table.get_add_actions())
    return list(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))


def _sql_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


_METRICS = {"num_added_rows": "numOutputRows", "num_added_files": "numFiles", "num_removed_files": "numRemovedFiles"}


def _history_row(version: int, commit: Mapping[str, Any]) -> dict[str, Any]:
    metrics = commit.get("operationMetrics") or {}
    return {
        "version": version,
        "timestamp": datetime.fromtimestamp(commit.get("inCommitTimestamp", commit["timestamp"]) / 1000, UTC),
        "userId": None,
        "userName": None,
        "operation": commit["operation"],
        "operationParameters": {name: str(value) for name, value in (commit.get("operationParameters") or {}).items()},
        "job": None,
        "notebook": None,
        "clusterId": None,
        "readVersion": commit.get("readVersion"),
        "isolationLevel": "WriteSerializable",
        "isBlindAppend": commit["operation"] == "WRITE",
        "operationMetrics": {_METRICS.get(name, _camel(name)): str(value) for name, value in metrics.items()},
        "userMetadata": None,
        "engineInfo": commit.get("engineInfo"),
    }


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
