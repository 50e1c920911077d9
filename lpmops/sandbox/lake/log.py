"""The transaction log as files: which versions are kept, when each was committed, and where the change feed was on.

Reads `_delta_log/<version>.json` and nothing else; never writes. delta-rs checks the feed only at commits that carry table metadata (a
range that starts before the feed was enabled comes back as if it had been on), so the enabled versions are computed here, as Delta's
CDCReader does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FEED_PROPERTY = "delta.enableChangeDataFeed"


def commit_path(folder: Path, version: int) -> Path:
    """The file of one commit."""
    return folder / "_delta_log" / f"{version:020d}.json"


def kept_versions(folder: Path) -> tuple[int, int]:
    """The earliest and latest version whose commit file is kept. Raises FileNotFoundError where there is no log."""
    names = [name for name in os.listdir(folder / "_delta_log") if len(name) == 25 and name.endswith(".json")]
    if not names:
        raise FileNotFoundError(folder / "_delta_log")
    return int(min(names)[:20]), int(max(names)[:20])


def actions(folder: Path, version: int, *kinds: str) -> dict[str, list[dict[str, Any]]]:
    """The actions of the named kinds ("commitInfo", "metaData", "cdc" ...) in one commit. Raises FileNotFoundError."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    with commit_path(folder, version).open(encoding="utf-8") as lines:
        for line in lines:
            kind = line[2 : line.index('"', 2)]
            if kind in found:
                found[kind].append(json.loads(line)[kind])
    return found


def commit_ms(folder: Path, version: int) -> int:
    """When a version was committed, milliseconds since the epoch: its inCommitTimestamp, or where it has none the time in its commitInfo."""
    info = actions(folder, version, "commitInfo")["commitInfo"][0]
    return int(info.get("inCommitTimestamp", info["timestamp"]))


def feed_is_on(configuration: Mapping[str, str | None]) -> bool:
    """Whether a table configuration records changes."""
    return str(configuration.get(FEED_PROPERTY)).lower() == "true"


def metadata_between(folder: Path, start: int, end: int) -> list[tuple[int, dict[str, Any]]]:
    """The commits in [start, end] that carry table metadata, each with it."""
    return [
        (version, metadata)
        for version in range(start, end + 1)
        for metadata in actions(folder, version, "metaData")["metaData"]
    ]


def feed_switches(metadata: Sequence[tuple[int, Mapping[str, Any]]]) -> list[tuple[int, bool]]:
    """Of such commits the versions, each with whether the feed is on from there."""
    return [(version, feed_is_on(one.get("configuration", {}))) for version, one in metadata]


def version_at_or_after(folder: Path, moment_ms: int, earliest: int, latest: int) -> int:
    """The first kept version committed at or after a moment; `latest + 1` where there is none. Commit times only grow."""
    low, high = earliest, latest + 1
    while low < high:
        middle = (low + high) // 2
        if commit_ms(folder, middle) < moment_ms:
            low = middle + 1
        else:
            high = middle
    return low
