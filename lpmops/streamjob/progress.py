"""How far a run is, written where lpmops reads it without a cluster: `progress/tdr_stream.json` beside the checkpoint.

The document is Spark's own StreamingQueryProgress, with the name of the checkpoint that it belongs to. Where the engine does not say how far the
table itself is (`latestOffset`, what is outstanding), that is filled in from the table's history. A file is replaced whole, so that a reader never
sees half of it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from pyspark.sql.streaming import StreamingQuery

from .source import Commit

QUERY_NAME = "tdr_stream"


def path_beside(checkpoint: str) -> str:
    """Where the progress of the stream with this checkpoint is written."""
    return os.path.join(os.path.dirname(checkpoint.rstrip("/")), "progress", f"{QUERY_NAME}.json")


def owner(checkpoint: str) -> dict[str, Any]:
    """Which of the checkpoints of its folder a progress belongs to: a new one beside an old one begins anew."""
    return {"checkpoint": os.path.basename(checkpoint.rstrip("/"))}


def latest(query: StreamingQuery) -> dict[str, Any] | None:
    """The query's newest progress as a document; None before its first."""
    newest = query.lastProgress
    if newest is None:
        return None
    document = json.loads(newest.json) if hasattr(newest, "json") else dict(newest)
    for source in document.get("sources", []):
        for name in ("startOffset", "endOffset", "latestOffset"):
            if isinstance(source.get(name), str):
                source[name] = json.loads(source[name])
    return document


def completed(document: dict[str, Any], commits: Sequence[Commit]) -> dict[str, Any]:
    """The document with how far the table is, from its newest commits, where the engine left that out.

    What is outstanding counts commits as files, and of those that `commits` names.
    """
    sources = []
    for source in document["sources"]:
        end = source.get("endOffset")
        if isinstance(end, dict) and commits:
            following = next_version(end)
            source = {"metrics": outstanding(following, commits), **source}
            if source.get("latestOffset") is None:
                # The stream may have read on since the history was asked for.
                newest = max(following, commits[0].version + 1)
                source["latestOffset"] = end | {"reservoirVersion": newest, "index": -1}
        sources.append(source)
    return document | {"sources": sources}


def next_version(offset: dict[str, Any]) -> int:
    """The first version that is not read: Delta writes it with a negative index, or the version read with the index of its last file."""
    version, index = int(offset["reservoirVersion"]), int(offset["index"])
    return version if index < 0 else version + 1


def outstanding(first: int, commits: Sequence[Commit]) -> dict[str, str]:
    """What is not read from version `first` on, as Databricks' metrics name it."""
    behind = [commit for commit in commits if commit.version >= first]
    return {
        "numFilesOutstanding": str(len(behind)),
        "numBytesOutstanding": str(sum(commit.bytes for commit in behind)),
    }


def write(path: str, document: dict[str, Any]) -> None:
    """Replace a file, whole."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    os.replace(draft, path)
