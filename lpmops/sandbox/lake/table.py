"""A Delta table with a change feed that answers as Databricks does.

`ChangeTable` wraps one delta-rs table in a folder. Commits (insert, merge, update, delete, properties, compaction) pass one lock and carry the sandbox
clock's time to the millisecond, in the protocol's `inCommitTimestamp`, taken when the commit is prepared. `changes` gives the feed in commit order and
refuses by Delta's error class, also where delta-rs is laxer (`log`). Reads are safe beside writers, from any thread. Nothing here runs by itself.

delta-rs refuses `delta.enableInCommitTimestamps` as a property but reads and keeps the stamp itself, so the table does not claim the property.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake import errors, log
from lpmops.sandbox.lake.schema import IN_PROGRESS, MOMENT, PARTITION_COLUMN, RECORD_SCHEMA

# Delta keeps files 7 days and the log 30; here an hour, because a commit's cost grows by 10 ms with each 1,000 commit files that are kept.
DEFAULT_PROPERTIES = {
    log.FEED_PROPERTY: "true",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.checkpointInterval": "100",
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
_META = ("_change_type", "_commit_version", "_commit_timestamp")
_WRITER = WriterProperties(compression="ZSTD")
_ATTEMPTS = 3
_Result = TypeVar("_Result")


class ChangeTable:
    """One Delta table. `full_name` is catalog.schema.table. Raises DeltaFeedError DELTA_TABLE_NOT_FOUND where the folder holds none."""

    def __init__(self, folder: Path, full_name: str, clock: Clock) -> None:
        self.folder = folder
        self.full_name = full_name
        self._clock = clock
        self._writing = threading.RLock()
        self._reading = threading.Lock()
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
            self._writer = DeltaTable(str(self.folder))
            self._reader = DeltaTable(str(self.folder))
        except TableNotFoundError as error:
            raise errors.table_not_found(self.full_name) from error
        self._last_ms = log.commit_ms(self.folder, self._writer.version())
        self._partitioned = PARTITION_COLUMN in self._writer.metadata().partition_columns
        self._feed_seen: tuple[int, bool] | None = None

    def recreate(self) -> None:
        """Drop the table and make it anew, empty and with another id, as CREATE OR REPLACE after DROP does."""
        with self._writing, self._reading:
            schema, configuration = self.arrow_schema(), dict(self._writer.metadata().configuration)
            shutil.rmtree(self.folder)
            _create(self.folder, schema, {k: v for k, v in configuration.items() if v is not None}, self._clock)
            self._open()

    # What the table says about itself

    @property
    def table_id(self) -> str:
        """The id in the table's metadata, which a stream's checkpoint holds as reservoirId."""
        with self._writing:
            return str(self._writer.metadata().id)

    def arrow_schema(self) -> pa.Schema:
        """The columns, as Arrow."""
        with self._writing:
            return pa.schema(self._writer.schema().to_arrow())

    def latest_version(self) -> int:
        """The newest version."""
        with self._reading:
            self._reader.update_incremental()
            return int(self._reader.version())

    def earliest_version(self) -> int:
        """The oldest version whose log is kept."""
        return log.kept_versions(self.folder)[0]

    def commit_time(self, version: int) -> datetime:
        """When a version was committed. Raises FileNotFoundError where its log was cleaned up."""
        return datetime.fromtimestamp(log.commit_ms(self.folder, version) / 1000, UTC)

    def properties(self) -> dict[str, str]:
        """The table properties that are set."""
        with self._writing:
            self._writer.update_incremental()
            return {name: str(value) for name, value in self._writer.metadata().configuration.items()}

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Newest first, with the columns of DESCRIBE HISTORY; times are aware, metrics are text under Databricks' names."""
        with self._reading:
            self._reader.update_incremental()
            commits = self._reader.history(limit)
        return [_history_row(commit) for commit in commits]

    def detail(self) -> dict[str, Any]:
        """What DESCRIBE DETAIL says."""
        snapshot = self.snapshot()
        metadata, protocol = snapshot.metadata(), snapshot.protocol()
        files = pa.table(snapshot.get_add_actions())
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
            "numFiles": files.num_rows,
            "sizeInBytes": sum(files["size_bytes"].to_pylist()),
            "properties": {name: str(value) for name, value in metadata.configuration.items()},
            "minReaderVersion": protocol.min_reader_version,
            "minWriterVersion": protocol.min_writer_version,
            "tableFeatures": ["appendOnly", "changeDataFeed", "checkConstraints", "generatedColumns", "invariants"],
            "statistics": {},
        }

    def snapshot(self, version: int | None = None) -> DeltaTable:
        """A handle of its own on one version, for a long read that must not hold up anyone. Raises DELTA_VERSION_NOT_FOUND."""
        try:
            return DeltaTable(str(self.folder), version=version)
        except DeltaError as error:
            earliest, latest = log.kept_versions(self.folder)
            raise errors.version_not_found(version if version is not None else latest, earliest, latest) from error

    # Commits

    def insert(self, rows: pa.Table) -> int:
        """Append rows in one commit; gives its version."""
        return self._commit(lambda table, stamp: write_deltalake(table, rows, mode="append", writer_properties=_WRITER, commit_properties=stamp))[1]

    def merge(self, source: pa.Table, target_rows: str = "TRUE") -> dict[str, Any]:
        """One MERGE on tdr_id: rows of `source` are inserted, updated or deleted as its column `_operation` says; gives the operation's metrics.

        `target_rows` is a condition on `target` that holds for every row to be updated or deleted: it is what keeps a merge cheap on a large table. Rows
        to be updated or deleted that are not there are left out, as with a MERGE whose WHEN clauses carry conditions.
        """
        columns = {name: f"source.`{name}`" for name in source.column_names if name != OPERATION}

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
        return self._commit(lambda table, stamp: table.update(dict(assignments), predicate=predicate, commit_properties=stamp))[0]

    def delete(self, predicate: str | None = None) -> dict[str, Any]:
        """DELETE by a SQL condition; gives the operation's metrics."""
        return self._commit(lambda table, stamp: table.delete(predicate, writer_properties=_WRITER, commit_properties=stamp))[0]

    def set_properties(self, properties: Mapping[str, str]) -> int:
        """ALTER TABLE SET TBLPROPERTIES; gives the version. Raises DELTA_UNKNOWN_CONFIGURATION for a delta.* name that Delta does not know."""

        unknown = next((name for name in properties if name.startswith("delta.") and name not in KNOWN_PROPERTIES), None)
        if unknown is not None:
            raise errors.unknown_property(unknown)
        return self._commit(
            lambda table, stamp: table.alter.set_table_properties(dict(properties), raise_if_not_exists=False, commit_properties=stamp)
        )[1]

    def compact(self, target_bytes: int = 16_000_000) -> dict[str, Any]:
        """OPTIMIZE the settled records into files of about `target_bytes`; rows and feed are unchanged."""
        filters = [(PARTITION_COLUMN, "!=", IN_PROGRESS)] if self._partitioned else None
        return self._commit(
            lambda table, stamp: table.optimize.compact(
                partition_filters=filters, target_size=target_bytes, writer_properties=_WRITER, commit_properties=stamp
            )
        )[0]

    def vacuum(self, retention_hours: float | None = None) -> int:
        """Remove files that no kept version needs and that are past their retention (the table's own unless given, 0 for all); gives their number.

        Works beside writers. Change files go too, which is what ends the feed of old versions.
        """
        hours = None if retention_hours is None else int(retention_hours)
        own = DeltaTable(str(self.folder))
        return len(own.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True, commit_properties=self._stamp()))

    def clean_log(self) -> None:
        """Remove commit files past delta.logRetentionDuration that a checkpoint covers, as Delta does by itself at each checkpoint."""
        with self._writing:
            self._writer.update_incremental()
            self._writer.create_checkpoint()
            self._writer.cleanup_metadata()

    def _commit(self, write: Callable[[DeltaTable, CommitProperties], _Result]) -> tuple[_Result, int]:
        with self._writing:
            for attempt in range(_ATTEMPTS):
                try:
                    result = write(self._writer, self._stamp())
                    return result, int(self._writer.version())
                except CommitFailedError:
                    # Another handle (vacuum, a compaction elsewhere) committed in between: look again and redo.
                    self._writer.update_incremental()
                    if attempt == _ATTEMPTS - 1:
                        raise
        raise AssertionError("unreachable")

    def _stamp(self) -> CommitProperties:
        with self._writing:
            # Delta's in-commit time only grows, also where two commits fall in one millisecond.
            self._last_ms = max(int(self._clock.time() * 1000), self._last_ms + 1)
            return CommitProperties(custom_metadata={"inCommitTimestamp": self._last_ms}, max_commit_retries=15)

    # The change feed

    def changes(self, start: int, end: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The feed of versions [start, end], both inclusive, in commit order, with `_change_type`, `_commit_version` and `_commit_timestamp` (UTC).

        `end` None is the latest version. Raises DeltaFeedError DELTA_CDC_START_VERSION_AFTER_LATEST, DELTA_INVALID_CDC_RANGE, DELTA_VERSION_NOT_FOUND,
        DELTA_MISSING_CHANGE_DATA or DELTA_CHANGE_DATA_FILE_NOT_FOUND.
        """
        try:
            rows = pa.table(self.change_reader(start, end, columns))
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise _read_error(error) from error
        return _normal(rows).sort_by("_commit_version")

    def change_reader(self, start: int, end: int | None = None, columns: Sequence[str] | None = None) -> Any:
        """The same as an Arrow stream in no order, for a range that should not be held in memory; files missing on the way are the reader's OSError."""
        end = self._checked_range(start, end)
        # delta-rs drops the feed's own columns unless they are named.
        named = None if columns is None else [*dict.fromkeys([*columns, *_META])]
        with self._reading:
            try:
                return self._reader.load_cdf(starting_version=start, ending_version=end, columns=named)
            except DeltaError as error:
                raise _read_error(error) from error

    def _checked_range(self, start: int, end: int | None) -> int:
        latest = self.latest_version()
        earliest = self.earliest_version()
        if start > latest:
            raise errors.start_after_latest(start, latest)
        if end is None:
            end = latest
        if end < start:
            raise errors.invalid_range(start, end)
        if end > latest:
            # Documented as an error; that it is this class is assumed.
            raise errors.version_not_found(end, earliest, latest)
        if start < earliest:
            raise errors.version_not_found(start, earliest, latest)
        off = self._first_version_without_feed(start, end)
        if off is not None:
            raise errors.missing_change_data(start, end, off)
        return end

    def _first_version_without_feed(self, start: int, end: int) -> int | None:
        """The first version in [start, end] at which the feed was off; a commit that switches it on counts as on."""
        if not self._feed_on_at(start):
            return start
        switches = log.feed_switches(self.folder, start + 1, end)
        off = next((version for version, on in switches if not on), None)
        # A stream asks for one range after the other: the next one is answered from the few commits in between.
        self._feed_seen = (end, switches[-1][1] if switches else True)
        return off

    def _feed_on_at(self, version: int) -> bool:
        seen = self._feed_seen
        if seen is None or not max(seen[0], self.earliest_version()) <= version <= seen[0] + 100:
            return log.feed_is_on(self.snapshot(version).metadata().configuration)
        switches = log.feed_switches(self.folder, seen[0] + 1, version)
        return switches[-1][1] if switches else seen[1]

    def first_version_with_feed(self, start: int) -> int | None:
        """The first version at or after `start` from which the feed has been on without a gap; None where it is off now."""
        latest, first = self.latest_version(), max(start, self.earliest_version())
        switches = log.feed_switches(self.folder, first + 1, latest) if first <= latest else []
        state, since = self._feed_on_at(min(first, latest)), first
        for version, on in switches:
            state, since = on, since if on and state else version
        return since if state else None

    def version_of(self, moment: datetime, *, starting: bool) -> int:
        """The version that a timestamp means: as a start the first at or after it, as an end the last at or before it.

        Raises DELTA_TIMESTAMP_GREATER_THAN_COMMIT or, for an end, DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION. A start before the retained log is its
        first version, as in Delta's CDCReader.
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
    DeltaTable.create(
        str(folder),
        schema=schema,
        partition_by=[PARTITION_COLUMN] if PARTITION_COLUMN in schema.names else None,
        configuration=dict(configuration),
        commit_properties=CommitProperties(custom_metadata={"inCommitTimestamp": int(clock.time() * 1000)}),
    )


def _normal(rows: pa.Table) -> pa.Table:
    """Plain strings, int versions and aware times, whatever delta-rs chose to read them as."""
    for index, field in enumerate(rows.schema):
        if field.name == "_commit_timestamp":
            rows = rows.set_column(index, field.name, rows.column(index).cast(pa.timestamp("us")).cast(MOMENT))
        elif field.type == pa.string_view():
            rows = rows.set_column(index, field.name, rows.column(index).cast(pa.string()))
        elif field.type == pa.uint64():
            rows = rows.set_column(index, field.name, rows.column(index).cast(pa.int64()))
    return rows


def _read_error(error: Exception) -> Exception:
    """A missing file is Delta's error class; anything else stays what it is."""
    text = str(error)
    if "not found" in text.lower() or isinstance(error, FileNotFoundError):
        path = next((part.strip("'\"`,:") for part in text.split() if ".parquet" in part), "of the requested versions")
        return errors.change_file_not_found(path)
    return error


def _sql_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


_METRICS = {"num_added_rows": "numOutputRows", "num_added_files": "numFiles", "num_removed_files": "numRemovedFiles"}


def _history_row(commit: Mapping[str, Any]) -> dict[str, Any]:
    metrics = commit.get("operationMetrics") or {}
    return {
        "version": commit["version"],
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
