"""A hub of plain lists, for whoever reads events: partitions that grow, end early or break, as a test wants it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lpmops.errors import LpmopsError
from lpmops.model import PartitionState, RawEvent

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def body(company: Any = "1001", record: str = "r1", **more: Any) -> bytes:
    values = {
        "tdr_id": record,
        "info_companyid": company,
        "caller_number": "+1-202-555-0143",
        "_change_type": "insert",
        "_commit_version": 7,
        "_commit_timestamp": "2026-11-23T11:59:58.000000Z",
        "_sent_at": "2026-11-23T11:59:59.000000Z",
        **more,
    }
    return json.dumps(values).encode()


def heartbeat() -> bytes:
    return json.dumps({"_change_type": "heartbeat", "beat_id": "b"}).encode()


@dataclass
class Hub:
    """Partitions by id, each a list of bodies; the n-th event of any was enqueued n seconds after START. `dropped` went by retention."""

    partitions_held: dict[str, list[bytes]] = field(default_factory=lambda: {"0": [], "1": []})
    dropped: dict[str, int] = field(default_factory=dict)
    asked: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    tails: list[Tail] = field(default_factory=list)
    broken: list[LpmopsError] = field(default_factory=list)

    def partitions(self) -> Sequence[PartitionState]:
        return [
            PartitionState(
                name,
                self.dropped.get(name, 0),
                len(held) - 1,
                START + timedelta(seconds=len(held) - 1) if held else None,
                len(held) <= self.dropped.get(name, 0),
            )
            for name, held in self.partitions_held.items()
        ]

    def positions(self, partitions: Sequence[PartitionState], moment: datetime) -> Mapping[str, int]:
        seconds = max(0, int((moment - START).total_seconds()))
        return {item.partition: min(seconds, item.last_sequence + 1) for item in partitions}

    def events(self, spans: Mapping[str, tuple[int, int]]) -> Sequence[RawEvent]:
        self.asked.append(dict(spans))
        return [self.event(name, at) for name, (first, last) in spans.items() for at in range(first, last + 1)]

    def tail(self, places: Mapping[str, int]) -> Tail:
        if self.broken:
            raise self.broken.pop(0)
        self.tails.append(Tail(self, dict(places)))
        return self.tails[-1]

    def event(self, name: str, at: int) -> RawEvent:
        held = self.partitions_held[name][at]
        return RawEvent(name, at, str(at * 100), START + timedelta(seconds=at), "k", held)


@dataclass
class Tail:
    """Hands out what is there; `errors` are raised first."""

    hub: Hub
    places: dict[str, int]
    errors: list[LpmopsError] = field(default_factory=list)
    closed: bool = False
    waits: threading.Event = field(default_factory=threading.Event)

    def take(self, seconds: float) -> Sequence[RawEvent]:
        if self.errors:
            raise self.errors.pop(0)
        found = []
        for name, place in self.places.items():
            end = len(self.hub.partitions_held[name])
            found += [self.hub.event(name, at) for at in range(place, end)]
            self.places[name] = end
        return found

    def close(self) -> None:
        self.closed = True
