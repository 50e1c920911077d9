"""What stands in the hub, event by event: the last ones, and those that come, of one company or all, without personal data.

The hub keeps no order by company, so the newest events of one are found by looking back in growing steps, up to a bound that is said. `shown` is the
one way from an event's bytes to what a person may see. Reading disturbs nobody: readers without an epoch in the group that people read with.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lpmops.config import Routing
from lpmops.control import masking
from lpmops.control.sources import HubPartitions, HubTail
from lpmops.errors import LpmopsError, ThrottledError, UnreachableError
from lpmops.model import HubEvent, RawEvent, parse_time

HEARTBEAT = "heartbeat"
LOOKED_AT_MOST = 20_000
_STEP = 4
_FIRST_STEP = 64
_STAMPS = frozenset({"_change_type", "_commit_version", "_commit_timestamp", "_sent_at", "_replay_id"})
_SHOWN_OF_A_BROKEN_BODY = 200
_RETRY_SECONDS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of one company (all where it is None), the newest `last`, none from before `since`."""

    company_id: str | None = None
    last: int = 20
    since: datetime | None = None
    heartbeats: bool = False

    def takes(self, company_id: str | None, event: HubEvent) -> bool:
        """Whether an event is one of them; `company_id` as it stands in the hub."""
        if event.change_type == HEARTBEAT:
            return self.heartbeats and self.company_id is None
        return self.company_id is None or company_id == self.company_id


@dataclass(frozen=True, slots=True)
class Found:
    """The events, oldest first, with how many were looked at for them and where the hub ended then.

    `complete` is False where older ones may be there that were not looked at.
    """

    events: tuple[HubEvent, ...]
    looked_at: int
    complete: bool
    ends: Mapping[str, int]


def shown(event: RawEvent, routing: Routing) -> tuple[str | None, HubEvent]:
    """Whose an event is, as the hub holds it, and the event without personal data. Never raises, whatever the body holds."""
    where = (event.partition, event.sequence, event.enqueued_at)
    size = len(event.body)
    try:
        body = event.body.decode("utf-8").removeprefix("\ufeff")
        values = json.loads(body)
        if not isinstance(values, dict):
            raise ValueError("not one JSON object")
    except (ValueError, RecursionError) as error:
        # Zero bytes stand between the digits of a number in UTF-16, and would hide it from the masking.
        text = event.body[: _SHOWN_OF_A_BROKEN_BODY * 4].decode("utf-8", "replace").replace("\0", "")
        held = {"body": masking.text(text)[:_SHOWN_OF_A_BROKEN_BODY]} if text else {}
        why = "it is not one JSON object" if not isinstance(error, UnicodeDecodeError) else "it is not UTF-8"
        return None, HubEvent(*where, size, values=held, problem=why)
    masked = masking.record(values)
    version = values.get("_commit_version")
    return _text(at_path(values, routing.key)), HubEvent(
        *where,
        size,
        company_id=_text(at_path(masked, routing.key)),
        record_id=_text(at_path(masked, routing.record)),
        change_type=_text(masked.get("_change_type")) or "",
        commit_version=version if isinstance(version, int) and not isinstance(version, bool) else None,
        commit_at=_time(values.get("_commit_timestamp")),
        sent_at=_time(values.get("_sent_at")),
        replay_id=_text(masked.get("_replay_id")),
        values={name: value for name, value in masked.items() if name not in _STAMPS},
    )


def at_path(values: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path such as `sipreq.method`; None where there is none."""
    found: Any = values
    for part in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def newest(hub: HubPartitions, wanted: Wanted, routing: Routing, *, most: int = LOOKED_AT_MOST) -> Found:
    """The newest wanted events that stand in the hub now. Raises lpmops.errors types."""
    raw, found, complete, ends = _looked_back(hub, wanted, routing, most)
    return Found(tuple(event for _, event in found), raw, complete, ends)


def sample(hub: HubPartitions, wanted: Wanted, routing: Routing, *, most: int = LOOKED_AT_MOST) -> tuple[RawEvent, ...]:
    """The same events as the hub holds them, personal data included, for a trial on this machine. Raises lpmops.errors types."""
    _, found, _, _ = _looked_back(hub, wanted, routing, most)
    return tuple(event for event, _ in found)


_Pair = tuple[RawEvent, HubEvent]


def _looked_back(
    hub: HubPartitions, wanted: Wanted, routing: Routing, most: int
) -> tuple[int, list[_Pair], bool, dict[str, int]]:
    partitions = hub.partitions()
    ends = {item.partition: item.last_sequence for item in partitions}
    floors = {item.partition: item.begin_sequence for item in partitions if not item.is_empty}
    if wanted.since is not None:
        begins = hub.positions(partitions, wanted.since)
        floors = {partition: max(floor, begins[partition]) for partition, floor in floors.items()}
    tops = {partition: ends[partition] for partition in floors}
    found: list[_Pair] = []
    looked_at, step = 0, max(_FIRST_STEP, wanted.last)
    while True:
        open_ones = {partition: top for partition, top in tops.items() if top >= floors[partition]}
        if not open_ones or len(found) >= wanted.last or looked_at >= most:
            break
        share = min(step, max(1, (most - looked_at) // len(open_ones)))
        spans = {partition: (max(floors[partition], top - share + 1), top) for partition, top in open_ones.items()}
        for event in hub.events(spans):
            looked_at += 1
            company, seen = shown(event, routing)
            if wanted.takes(company, seen):
                found.append((event, seen))
        tops |= {partition: span[0] - 1 for partition, span in spans.items()}
        step *= _STEP
    found.sort(key=_by_time)
    complete = len(found) >= wanted.last or all(tops[partition] < floors[partition] for partition in tops)
    return looked_at, found[-wanted.last :] if wanted.last else [], complete, ends


def _by_time(pair: _Pair) -> tuple[float, int, str, int]:
    event = pair[0]
    at = event.enqueued_at.timestamp() if event.enqueued_at is not None else 0.0
    return at, len(event.partition), event.partition, event.sequence


class Following:
    """The wanted events as they come. `notices` are sentences about the reading, for whoever shows it."""

    def __init__(self, hub: HubPartitions, wanted: Wanted, routing: Routing, ends: Mapping[str, int]) -> None:
        """Begin after those ends; nothing is opened yet."""
        self._hub, self._wanted, self._routing = hub, wanted, routing
        self._places = {partition: end + 1 for partition, end in ends.items()}
        self._tail: HubTail | None = None
        self._failures = 0
        self._open_at = 0.0
        self._closed = threading.Event()
        self.looked_at = 0
        self.notices: list[str] = []

    def take(self, seconds: float) -> list[HubEvent]:
        """The wanted ones of what has come, waiting up to `seconds`; after a lost connection reading goes on where it was.

        Raises lpmops.errors types for what does not mend by itself: no reader free, no right, no such hub.
        """
        if self._tail is None and not self._open(seconds):
            return []
        tail = self._tail
        if tail is None:
            return []
        try:
            raw = tail.take(seconds)
        except (UnreachableError, ThrottledError) as error:
            self._lose(error)
            return []
        if raw:
            self._failures = 0
        found = []
        for event in raw:
            self._places[event.partition] = event.sequence + 1
            self.looked_at += 1
            company, seen = shown(event, self._routing)
            if self._wanted.takes(company, seen):
                found.append(seen)
        return found

    def __iter__(self) -> Iterator[HubEvent]:
        """Each event until closed."""
        while not self._closed.is_set():
            yield from self.take(0.2)

    def close(self) -> None:
        """Stop reading; returns at once."""
        self._closed.set()
        tail, self._tail = self._tail, None
        if tail is not None:
            tail.close()

    def _open(self, seconds: float) -> bool:
        wait = self._open_at - time.monotonic()
        if wait > 0:
            self._closed.wait(min(wait, seconds))
            return False
        try:
            self._tail = self._hub.tail(self._places)
        except (UnreachableError, ThrottledError) as error:
            self._lose(error)
            return False
        if self._closed.is_set():
            # Closed from another thread meanwhile, which saw no tail to close.
            self._tail.close()
        return True

    def _lose(self, error: LpmopsError) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            tail.close()
        pause = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        self._open_at = time.monotonic() + pause
        self.notices.append(f"{error.message} It is tried again in {pause:g} s, from where it was.")


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _time(value: Any) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
