"""A streaming query's checkpoint on disk, in the layout of Spark Structured Streaming.

`metadata` holds the query's id; `offsets/<n>` is written before batch n is sent and `commits/<n>` after, so that a crash in between sends
the batch again. Files begin with `v1` and hold one JSON document a line; a Delta source's offset is sourceVersion, reservoirId (the
table's id), reservoirVersion (the next version to read), index and isStartingVersion. The last 100 batches are kept. Sources: github
apache/spark OffsetSeqLog, CommitLog; delta-io/delta DeltaSourceOffset (source version 1).
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpmops.sandbox.files import write_whole

BATCHES_KEPT = 100


@dataclass(frozen=True, slots=True)
class SourceOffset:
    """How far the feed has been read: every version below `next_version` of the table with this id."""

    table_id: str
    next_version: int

    def document(self) -> dict[str, Any]:
        """As Delta writes it. Index -1 is before the first file of the version."""
        return {
            "sourceVersion": 1,
            "reservoirId": self.table_id,
            "reservoirVersion": self.next_version,
            "index": -1,
            "isStartingVersion": False,
        }


class Checkpoint:
    """The checkpoint in a folder, made where there is none. Raises ValueError for files that are not a checkpoint's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "offsets").mkdir(parents=True, exist_ok=True)
        (folder / "commits").mkdir(exist_ok=True)
        if not (folder / "metadata").exists():
            write_whole(folder / "metadata", json.dumps({"id": str(uuid.uuid4())}))
        self.query_id = str(json.loads((folder / "metadata").read_text(encoding="utf-8"))["id"])

    def latest_batch(self) -> int | None:
        """The newest batch that was planned; None for a new checkpoint."""
        return max(_batches(self._folder / "offsets"), default=None)

    def is_committed(self, batch: int) -> bool:
        """Whether a batch was sent to its end."""
        return (self._folder / "commits" / str(batch)).exists()

    def offset(self, batch: int) -> SourceOffset:
        """Where a batch ends. Raises FileNotFoundError, ValueError."""
        path = self._folder / "offsets" / str(batch)
        version, *lines = path.read_text(encoding="utf-8").splitlines()
        if version != "v1" or len(lines) != 2:
            raise ValueError(f"{path} is not an offset file of version v1")
        document = json.loads(lines[1])
        return SourceOffset(str(document["reservoirId"]), int(document["reservoirVersion"]))

    def plan(self, batch: int, end: SourceOffset, now_ms: int) -> None:
        """Write down where a batch will end, before anything of it is sent."""
        head = {
            "batchWatermarkMs": 0,
            "batchTimestampMs": now_ms,
            "conf": {"spark.sql.streaming.stateStore.maintenanceInterval": "60s"},
        }
        write_whole(self._folder / "offsets" / str(batch), f"v1\n{_compact(head)}\n{_compact(end.document())}")

    def commit(self, batch: int) -> None:
        """Write down that a batch was sent, and drop what is older than the batches kept."""
        write_whole(self._folder / "commits" / str(batch), 'v1\n{"nextBatchWatermarkMs":0}')
        for kind in ("offsets", "commits"):
            (self._folder / kind / str(batch - BATCHES_KEPT)).unlink(missing_ok=True)


def _batches(folder: Path) -> list[int]:
    return [int(name) for name in os.listdir(folder) if name.isdigit()]


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))
