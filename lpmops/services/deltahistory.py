"""What a Delta table's properties and history say: which change feed it has and since when, its commits, its intervals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lpmops.errors import BadAnswerError
from lpmops.model import Commit

_FEED_SWITCH = re.compile(r"delta\.enableChangeDataFeed\W+(true|false)", re.IGNORECASE)
_REMADE = {"CREATE TABLE", "CREATE OR REPLACE TABLE", "REPLACE TABLE"}
_UNIT_SECONDS = {"week": 604_800.0, "day": 86_400.0, "hour": 3_600.0, "minute": 60.0, "second": 1.0}
_ROW_METRICS = (
    ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted"),
    ("numUpdatedRows",),
    ("numDeletedRows",),
    ("numOutputRows",),
)


def change_feed(properties: Mapping[str, str]) -> str:
    """How the table's changes can be read: delta (recorded at write), automatic (from row tracking) or off."""
    if properties.get("delta.enableChangeDataFeed", "").lower() == "true":
        return "delta"
    return "automatic" if properties.get("delta.enableRowTracking", "").lower() == "true" else "off"


def first_recorded(history: list[dict[str, Any]]) -> Commit | None:
    """The commit since which every change is recorded, from a history that begins with the newest: the last that switched the feed on.

    None where the history does not reach back to it: then the feed is older than all of it.
    """
    since: Commit | None = None
    for row in history:
        words = _FEED_SWITCH.findall(str(row.get("operationParameters") or ""))
        if words and words[-1].lower() == "true":
            since = commit(row)
        elif words or row.get("operation") in _REMADE:
            return since
    return since


def interval(text: str) -> float | None:
    """Seconds of a Delta interval such as `interval 7 days`; None for one that is not understood."""
    found = re.fullmatch(r"(?:interval )?([0-9]{1,6}) (week|day|hour|minute|second)s?", text.strip().lower())
    return float(found[1]) * _UNIT_SECONDS[found[2]] if found else None


def commit(row: Mapping[str, Any]) -> Commit:
    """A row of the history. Raises BadAnswerError for one without version or time."""
    version, at, metrics = row.get("version"), row.get("timestamp"), row.get("operationMetrics")
    if not isinstance(version, int) or not isinstance(at, datetime):
        raise BadAnswerError(
            "The table's history has a row without version or time.", service="databricks", hint="Try again."
        )
    return Commit(
        version, at, str(row.get("operation") or ""), _rows_written(metrics if isinstance(metrics, dict) else {})
    )


def _rows_written(metrics: Mapping[str, Any]) -> int | None:
    for names in _ROW_METRICS:
        counts = [str(metrics[name]) for name in names if name in metrics]
        if counts and all(re.fullmatch(r"[0-9]{1,18}", count) for count in counts):
            return sum(int(count) for count in counts)
    return None
