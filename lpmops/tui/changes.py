"""What can be said of one change that landed: where its time went, what kind it is, and its values as plain data. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from lpmops.model import HOPS, LandedRecord, to_data
from lpmops.tui.marks import Mark

STAMPS = ("commit_at", "sent_at", "enqueued_at", "landed_at")
_ENDS = dict(zip(HOPS, pairwise(STAMPS), strict=True))
_KINDS = {
    "insert": Mark("+", "insert", "ok", 0),
    "update_postimage": Mark("~", "update", "text", 0),
    "delete": Mark("×", "delete", "warn", 0),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took over several records, in seconds; `number` of them were measured."""

    p50: float | None = None
    p95: float | None = None
    most: float | None = None
    number: int = 0


def kind_of(change_type: str) -> Mark:
    """The mark of a kind of change; one this version does not know says its own name."""
    return _KINDS.get(change_type, Mark("?", change_type, "unknown", 0))


def key(record: LandedRecord) -> str:
    """What names a change among those of its company."""
    return f"{record.record_id}/{record.commit_version}/{record.change_type}/{record.partition}/{record.sequence}"


def seconds(record: LandedRecord, hop: str) -> float | None:
    """How long a hop took, None where a stamp is missing; negative where two clocks differ."""
    start, end = _ENDS[hop]
    return _between(getattr(record, start), getattr(record, end))


def total(record: LandedRecord) -> float | None:
    """Seconds from commit to landed."""
    return _between(record.commit_at, record.landed_at)


def live(records: Sequence[LandedRecord]) -> list[LandedRecord]:
    """Those that came live: the age of what was replayed says nothing about the stream."""
    return [record for record in records if record.replay_id is None]


def spread_of(values: Iterable[float | None]) -> Spread:
    """Percentiles by nearest rank of the values that are known."""
    known = sorted(value for value in values if value is not None and math.isfinite(value))
    if not known:
        return Spread()
    rank = {share: known[max(0, math.ceil(share * len(known)) - 1)] for share in (0.5, 0.95)}
    return Spread(rank[0.5], rank[0.95], known[-1], len(known))


def data(record: LandedRecord) -> Any:
    """The record as plain JSON values."""
    return {**to_data(record), "values": plain_value(record.values)}


def plain_value(value: Any) -> Any:
    """A landed value as JSON can hold it; what it can't hold is written as text, a time without a zone as it stands."""
    if isinstance(value, Mapping):
        return {str(name): plain_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        return to_data(value) if value.tzinfo else value.isoformat(sep=" ", timespec="milliseconds")
    return str(value)


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()
