"""Which of a stage's readings are worth the room in its column, in which order, and in whose words.

`details` is pure. Readings of several jobs are told as one, sums of what adds up and the worst of what does not; what
the column says elsewhere (its rate, its lag, its state) is left out. Every name has a short form, so that a label is
never cut in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lpmops.model import Reading, Stage
from lpmops.tui import paint, words

_SAID_ELSEWHERE = frozenset(
    (
        "rate lag state reachable job proven_from missing missing_companies next_reconcile_at reconcile_statements reconcile_seconds reconcile"
    ).split()
)
_ADDS_UP = frozenset({"units", "events", "per minute", "rows", "bytes"})
_ORDER = (
    "commit_age", "batch_seconds", "latest_version", "version", "stream_version", "change_feed", "streaming_units", "units_percent",
    "watermark_delay", "throughput_units", "retention", "partitions", "databases", "rows", "heartbeat_age",
)  # fmt: skip
# By name: the long label and the short one.
_LABELS = {
    "batch_seconds": ("batch takes", "batch"),
    "change_feed": ("change feed", "feed"),
    "clock_skew": ("clock skew", "skew"),
    "commit_age": ("commit age", "commit"),
    "conversion_errors": ("conversion errors", "not taken"),
    "event_age": ("newest event", "event"),
    "heartbeat_age": ("heartbeat", "beat"),
    "latest_version": ("version",),
    "proven_to": ("proven to", "proven"),
    "quota_errors": ("quota errors", "over quota"),
    "stream_version": ("stream at",),
    "streaming_units": ("streaming units", "units"),
    "throttled_requests": ("throttled", "throttled"),
    "throughput_units": ("throughput units", "units"),
    "units_percent": ("units used", "used"),
    "watermark_delay": ("watermark delay", "watermark"),
}


class Detail(NamedTuple):
    """A reading with the names it is drawn under, the longest first."""

    labels: tuple[str, ...]
    reading: Reading


def details(stage: Stage) -> list[Detail]:
    """The readings of a stage, the most telling first; each keeps its place from look to look."""
    by_name: dict[str, list[Reading]] = {}
    for reading in stage.readings:
        by_name.setdefault(reading.name.rpartition(".")[2], []).append(reading)
    kept = [name for name in by_name if name not in _SAID_ELSEWHERE]
    kept.sort(key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    return [Detail(labels(name), _databases(by_name) if name == "databases" else _one(by_name[name])) for name in kept]


def labels(name: str) -> tuple[str, ...]:
    """What a reading is called, the longest name first."""
    said = paint.piece(name.replace("_", " ")).text
    return _LABELS.get(name, (said, said.partition(" ")[0]))


def _one(readings: list[Reading]) -> Reading:
    """Several jobs' readings of one thing as one, as old as the oldest of them."""
    first = readings[0]
    if len(readings) == 1:
        return first
    numbers = [
        float(item.value) for item in readings if isinstance(item.value, float | int) and words.known(item.value)
    ]
    if not numbers:
        return first
    value = sum(numbers) if first.unit in _ADDS_UP else max(numbers)
    times = [item.at for item in readings if item.at is not None]
    return Reading(first.name, value, first.unit, min(times, default=None), first.source)


def _databases(by_name: dict[str, list[Reading]]) -> Reading:
    total, reachable = by_name["databases"][0], _value(by_name.get("reachable", ()))
    if reachable is None or total.value is None:
        return total
    return Reading("databases", f"{words.count(reachable)} of {total.value}", "", total.at, total.source)


def _value(readings: Iterable[Reading]) -> float | None:
    return next((float(item.value) for item in readings if isinstance(item.value, float | int)), None)
