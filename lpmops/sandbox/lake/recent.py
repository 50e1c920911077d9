"""Cheap updates of recent rows: copy-on-write over the last few minutes' files, in memory and in the log.

delta-rs' MERGE rewrites whole files, joins what one commit touched into one file, and lists the log: at 1,000 changes a second that is a
quarter of a core and gigabytes an hour, growing. `RecentFiles` keeps the rows of the files it wrote lately, so a commit rewrites just the
small files whose rows change, and writes the commit file itself as the protocol says (add, remove, cdc; operation MERGE). Rows it does
not know are merged by delta-rs. Files that are old enough leave its memory and are compacted in tiers, so that a day of writing is some
hundred files. One writer thread; other handles may commit beside it.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lpmops.sandbox.lake.feed import CHANGE_TYPE
from lpmops.sandbox.lake.log import feed_is_on
from lpmops.sandbox.lake.table import OPERATION, ChangeTable, Conflict

# (files below this many bytes, how many of them become one): the files of seconds, then those of minutes. Larger ones stay, so memory stays small.
_TIERS = ((1_000_000, 48), (24_000_000, 16))
# Dictionaries for the other columns, whose values hardly repeat, cost a quarter of the writing time.
_REPEATING = ("info_companyid", "disposition", "trunk", "queue", CHANGE_TYPE.name)
_ROW_GROUP = 16_000
_STATISTICS = ("tdr_id", "info_companyid", "disposition")


@dataclass(frozen=True, slots=True)
class _File:
    """A data file of the table: where it is, its rows, and the number of the writer's commit that made it."""

    path: str
    size: int
    rows: pa.Table
    commit: int
    statistics: str


class RecentFiles:
    """Writes inserts, updates and deletes of records, keyed by tdr_id, one commit a call. `keep_commits` is how long a row can be changed
    cheaply.
    """

    def __init__(self, table: ChangeTable, keep_commits: int = 150) -> None:
        self._table = table
        self._keep = keep_commits
        self._cold_lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._files: dict[str, _File] = {}
        self._where: dict[str, str] = {}
        self._commits = 0
        with self._table.writing, self._cold_lock:
            self._table_id = self._table.table_id
            self._cold = dict(self._table.data_files())
            self._seen = self._table.latest_version()

    def commit(self, inserts: pa.Table, updates: pa.Table, deletes: pa.Table) -> int:
        """Commit the changes; gives the version. Of `deletes` only tdr_id matters. An id is in one of the three, once."""
        with self._table.writing:
            self._drop_rewritten()
            while not all((changed := self._known(updates)) + (erased := self._known(deletes))):
                self._merge_by_delta_rs(_where(updates, changed, False), _where(deletes, erased, False))
                updates, deletes = _where(updates, changed, True), _where(deletes, erased, True)
            if inserts.num_rows + updates.num_rows + deletes.num_rows == 0:
                return self._table.latest_version()
            return self._commit(inserts, updates, deletes)

    def _known(self, rows: pa.Table) -> list[bool]:
        return [record_id in self._where for record_id in rows["tdr_id"].to_pylist()]

    def _commit(self, inserts: pa.Table, updates: pa.Table, deletes: pa.Table) -> int:
        known = [self._where[record_id] for rows in (updates, deletes) for record_id in rows["tdr_id"].to_pylist()]
        touched = list(dict.fromkeys(known))
        changed = pa.chunked_array([*updates["tdr_id"].chunks, *deletes["tdr_id"].chunks], pa.string()).combine_chunks()
        adds: list[_File] = []
        images: list[pa.Table] = []
        self._commits += 1
        for path in touched:
            old = self._files[path].rows
            hit = pc.is_in(old["tdr_id"], value_set=changed)
            images.append(_typed(old.filter(hit), "update_preimage"))
            mine = updates.filter(pc.is_in(updates["tdr_id"], value_set=old["tdr_id"].combine_chunks()))
            left = pa.concat_tables([old.filter(pc.invert(hit)), mine]).combine_chunks()
            if left.num_rows:
                adds.append(self._write(left, ""))
        if inserts.num_rows:
            adds.append(self._write(inserts, ""))
        recorded = touched and feed_is_on(self._table.properties())
        feed = _images(inserts, updates, deletes, images) if recorded else None
        version = self._table.commit_files(
            operation="MERGE" if touched else "WRITE",
            parameters={"predicate": '["(target.tdr_id = source.tdr_id)"]'} if touched else {"mode": "Append"},
            metrics=_metrics(inserts, updates, deletes, adds, touched),
            actions=[
                *(_remove(self._files[path]) for path in touched),
                *(_add(file, True) for file in adds),
                *([_cdc(self._write(feed, "_change_data/"))] if feed is not None else []),
            ],
            read_version=self._seen,
        )
        self._remember(touched, adds, deletes)
        self._seen = version
        return version

    def _write(self, rows: pa.Table, folder: str) -> _File:
        path = f"{folder}part-00000-{uuid.uuid4()}-c000.zstd.parquet"
        size, statistics = write_parquet(self._table.folder / path, [rows])
        return _File(path, size, rows, self._commits, statistics)

    def _remember(self, gone: Iterable[str], adds: Iterable[_File], deletes: pa.Table) -> None:
        for path in gone:
            del self._files[path]
        for record_id in deletes["tdr_id"].to_pylist():
            del self._where[record_id]
        for file in adds:
            self._files[file.path] = file
            self._where.update(dict.fromkeys(file.rows["tdr_id"].to_pylist(), file.path))
        old = [file for file in self._files.values() if file.commit <= self._commits - self._keep]
        for file in old:
            self._forget(file.path)
            with self._cold_lock:
                self._cold[file.path] = file.size

    def _forget(self, path: str) -> None:
        for record_id in self._files.pop(path).rows["tdr_id"].to_pylist():
            self._where.pop(record_id, None)

    def _drop_rewritten(self) -> None:
        """Forget files that another commit (an UPDATE, a compaction by delta-rs) has replaced since; all of them where the table was made anew."""
        latest = self._table.latest_version()
        if self._table.table_id != self._table_id:
            self._start()
        if latest == self._seen:
            return
        added, removed = self._table.files_between(self._seen + 1, latest)
        for path in removed:
            if path in self._files:
                self._forget(path)
        with self._cold_lock:
            for path in removed:
                self._cold.pop(path, None)
            self._cold.update({path: size for path, size in added.items() if path not in self._files})
        self._seen = latest

    def _merge_by_delta_rs(self, updates: pa.Table, deletes: pa.Table) -> None:
        parts = ((updates, "update"), (deletes, "delete"))
        tagged = [rows.append_column(OPERATION, pa.repeat(pa.scalar(kind), rows.num_rows)) for rows, kind in parts]
        self._table.merge(pa.concat_tables(tagged))
        self._drop_rewritten()

    def compact(self) -> bool:
        """Join the files of the first tier that is due into one; False where none is, or where another commit changed them first.

        May run on a thread beside the writer.
        """
        read_version = self._table.latest_version()
        with self._cold_lock:
            chosen = _due_tier(self._cold)
        if not chosen:
            return False
        schema = self._table.arrow_schema()
        path = f"part-00000-{uuid.uuid4()}-c000.zstd.parquet"
        parts = (pq.read_table(self._table.folder / name, schema=schema, use_threads=False) for name in chosen)
        size, statistics = write_parquet(self._table.folder / path, _gathered(parts))
        whole = _File(path, size, schema.empty_table(), 0, statistics)
        metrics = {
            "numAddedFiles": "1",
            "numRemovedFiles": str(len(chosen)),
            "numAddedBytes": str(whole.size),
            "numRemovedBytes": str(sum(chosen.values())),
        }
        actions = [*(_removal(name, size, False) for name, size in chosen.items()), _add(whole, False)]
        try:
            self._table.commit_files("OPTIMIZE", {"predicate": "[]", "auto": "false"}, metrics, actions, read_version)
        except Conflict:
            return False
        with self._cold_lock:
            for name in chosen:
                self._cold.pop(name, None)
            self._cold[path] = whole.size
        return True


def _where(rows: pa.Table, mask: Sequence[bool], wanted: bool) -> pa.Table:
    return rows.filter(pa.array([one is wanted for one in mask], pa.bool_()))


def _due_tier(files: Mapping[str, int]) -> dict[str, int]:
    floor = 0
    for limit, count in _TIERS:
        tier = [(path, size) for path, size in files.items() if floor <= size < limit]
        if len(tier) >= count:
            return dict(tier[: 4 * count])
        floor = limit
    return {}


def _gathered(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Small tables joined into row groups of a decent size, without holding all of them."""
    waiting: list[pa.Table] = []
    for part in parts:
        waiting.append(part)
        if sum(rows.num_rows for rows in waiting) >= _ROW_GROUP:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def write_parquet(path: Path, groups: Iterable[pa.Table]) -> tuple[int, str]:
    """Write a data file, one row group each, whole or not at all; gives its bytes and its statistics as the log holds them."""
    path.parent.mkdir(exist_ok=True)
    writer: pq.ParquetWriter | None = None
    bounds: dict[str, list[Any]] = {}
    count = 0
    try:
        for rows in groups:
            if writer is None:
                repeating = [name for name in _REPEATING if name in rows.column_names]
                writer = pq.ParquetWriter(path, rows.schema, compression="zstd", use_dictionary=repeating)
            writer.write_table(rows)
            count += rows.num_rows
            for name in _STATISTICS:
                found = pc.min_max(rows[name]).as_py()
                known = bounds.setdefault(name, [found["min"], found["max"], 0])
                known[:] = [min(known[0], found["min"]), max(known[1], found["max"]), known[2] + rows[name].null_count]
        if writer is None:
            raise ValueError("a data file needs rows")
        writer.close()
    except OSError:
        path.unlink(missing_ok=True)
        raise
    statistics = {
        "numRecords": count,
        "minValues": {name: known[0] for name, known in bounds.items()},
        "maxValues": {name: known[1] for name, known in bounds.items()},
        "nullCount": {name: known[2] for name, known in bounds.items()},
    }
    return path.stat().st_size, json.dumps(statistics, separators=(",", ":"))


def _typed(rows: pa.Table, change: str) -> pa.Table:
    return rows.append_column(CHANGE_TYPE, pa.repeat(pa.scalar(change, pa.string()), rows.num_rows))


def _images(inserts: pa.Table, updates: pa.Table, deletes: pa.Table, before: Sequence[pa.Table]) -> pa.Table:
    """All rows of the commit's change file."""
    preimages = pa.concat_tables(before)
    erased = pc.is_in(preimages["tdr_id"], value_set=deletes["tdr_id"].combine_chunks())
    deleted = preimages.filter(erased).drop_columns([CHANGE_TYPE.name])
    parts = [
        _typed(inserts, "insert"),
        preimages.filter(pc.invert(erased)),
        _typed(updates, "update_postimage"),
        _typed(deleted, "delete"),
    ]
    return pa.concat_tables(parts).combine_chunks()


def _add(file: _File, data_change: bool) -> dict[str, Any]:
    return {
        "add": {
            "path": file.path,
            "partitionValues": {},
            "size": file.size,
            "modificationTime": int(time.time() * 1000),
            "dataChange": data_change,
            "stats": file.statistics,
        }
    }


def _remove(file: _File) -> dict[str, Any]:
    return _removal(file.path, file.size, True)


def _removal(path: str, size: int, data_change: bool) -> dict[str, Any]:
    # Retention is about files on this machine, so it counts on the machine's clock.
    deleted = int(time.time() * 1000)
    return {
        "remove": {
            "path": path,
            "deletionTimestamp": deleted,
            "dataChange": data_change,
            "extendedFileMetadata": True,
            "partitionValues": {},
            "size": size,
        }
    }


def _cdc(file: _File) -> dict[str, Any]:
    return {"cdc": {"path": file.path, "partitionValues": {}, "size": file.size, "dataChange": False}}


def _metrics(
    inserts: pa.Table, updates: pa.Table, deletes: pa.Table, adds: Sequence[_File], touched: Sequence[str]
) -> dict[str, str]:
    """operationMetrics under the names that Databricks shows for MERGE and WRITE."""
    output = sum(file.rows.num_rows for file in adds)
    if not touched:
        return {
            "numFiles": str(len(adds)),
            "numOutputRows": str(output),
            "numOutputBytes": str(sum(file.size for file in adds)),
        }
    return {
        "numSourceRows": str(inserts.num_rows + updates.num_rows + deletes.num_rows),
        "numTargetRowsInserted": str(inserts.num_rows),
        "numTargetRowsUpdated": str(updates.num_rows),
        "numTargetRowsDeleted": str(deletes.num_rows),
        "numTargetRowsCopied": str(output - inserts.num_rows - updates.num_rows),
        "numOutputRows": str(output),
        "numTargetFilesAdded": str(len(adds)),
        "numTargetFilesRemoved": str(len(touched)),
    }
