"""One partition: its segments on disk, its recent events in memory, and the two ends of what it still holds.

Appends give contiguous sequence numbers and times that never go back, also over a restart on a clock that does.
Events older than the retention are gone within a second of the sandbox's clock: every call looks first. Memory is
bounded by `CACHE_BYTES` of recent events and a sparse index. Thread-safe: one condition guards everything and tells
waiting readers of new events.
"""

from __future__ import annotations

import threading
import time as real_time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub.model import (
    NEVER_MS,
    Appended,
    HubError,
    HubStorageFull,
    OutgoingEvent,
    PartitionProperties,
    StoredEvent,
)
from lpmops.sandbox.hub.segment import Segment, Start, encode_record, read_start

SEGMENT_BYTES = 64 << 20
CACHE_BYTES = 8 << 20
# What an event costs in memory beside its payload.
_EVENT_OVERHEAD = 300


class Partition:
    """A partition in its own folder. Raises HubStorageError where the files are damaged."""

    def __init__(
        self,
        folder: Path,
        number: int,
        clock: Clock,
        retention_ms: int,
        fsync: bool,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.number = number
        self.retention_ms = retention_ms
        self._folder = folder
        self._clock = clock
        self._fsync = fsync
        self._segment_bytes = segment_bytes
        self._changed = threading.Condition()
        self._segments = _load(folder)
        self._beginning = self._segments[0].start.base_sequence
        self._recent: list[StoredEvent] = []
        self._recent_bytes = 0
        self._closed = False
        self._next_expiry_ms = NEVER_MS
        with self._changed:
            self._expire()

    @property
    def _active(self) -> Segment:
        return self._segments[-1]

    def append(self, events: Sequence[OutgoingEvent]) -> Appended:
        """Append a batch whole. Raises HubStorageFull, and then nothing of it was kept."""
        with self._changed:
            if self._closed:
                raise HubError("the hub is closed")
            self._expire()
            now = max(int(self._clock.time() * 1000), self._active.last_ms)
            if self._active.size >= self._segment_bytes:
                self._roll()
            first = self._active.next_sequence
            records = [encode_record(event, first + place, now) for place, event in enumerate(events)]
            was_empty = first == self._beginning
            offsets = self._active.append(records, now, self._fsync)
            self._remember(events, first, offsets, now)
            if was_empty:
                self._next_expiry_ms = now + self.retention_ms
            self._changed.notify_all()
            return Appended(self.number, first, first + len(records) - 1)

    def _remember(self, events: Sequence[OutgoingEvent], first: int, offsets: Sequence[int], now: int) -> None:
        for place, (event, offset) in enumerate(zip(events, offsets, strict=True)):
            self._recent.append(StoredEvent(self.number, first + place, str(offset), now, event.key, event.sections))
            self._recent_bytes += len(event.sections) + _EVENT_OVERHEAD
        if self._recent_bytes > CACHE_BYTES:
            cut = 0
            while self._recent_bytes > CACHE_BYTES // 2 and cut < len(self._recent) - 1:
                self._recent_bytes -= len(self._recent[cut].sections) + _EVENT_OVERHEAD
                cut += 1
            del self._recent[:cut]

    def _roll(self) -> None:
        following = Segment.create(self._folder, self._active.next_start())
        self._active.close()
        self._segments.append(following)

    def read(self, after_sequence: int, limit: int) -> list[StoredEvent]:
        """Up to `limit` events after a sequence number, oldest first; what has expired is passed over."""
        with self._changed:
            self._expire()
            sequence = max(after_sequence + 1, self._beginning)
            events: list[StoredEvent] = []
            while limit > len(events) and sequence < self._active.next_sequence:
                found = self._read_from(sequence, limit - len(events))
                # An event without sections was numbered and lost: nobody gets it.
                events += [event for event in found if event.sections]
                sequence += len(found)
            return events

    def _read_from(self, sequence: int, limit: int) -> list[StoredEvent]:
        if self._recent and sequence >= self._recent[0].sequence_number:
            start = sequence - self._recent[0].sequence_number
            return self._recent[start : start + limit]
        place = bisect_right(self._segments, sequence, key=lambda segment: segment.start.base_sequence) - 1
        return self._segments[place].read(self.number, sequence, limit)

    def properties(self) -> PartitionProperties:
        """What the partition says about itself."""
        with self._changed:
            self._expire()
            active = self._active
            last_at = datetime.fromtimestamp(active.last_ms / 1000, UTC) if active.last_ms != NEVER_MS else None
            empty = self._beginning == active.next_sequence
            return PartitionProperties(
                self.number, self._beginning, active.next_sequence - 1, str(active.last_offset), last_at, empty
            )

    def size(self) -> int:
        """Bytes on disk."""
        with self._changed:
            return sum(segment.size for segment in self._segments)

    def before_time(self, enqueued_ms: int) -> int:
        """The sequence number after which events at or after this time come."""
        with self._changed:
            self._expire()
            place = bisect_left(self._segments, enqueued_ms, key=lambda segment: segment.last_ms)
            if place == len(self._segments):
                return self._active.next_sequence - 1
            sequence = max(self._segments[place].near_time(enqueued_ms), self._beginning)
            return self._walk(sequence, lambda event: event.enqueued_ms >= enqueued_ms)

    def before_offset(self, offset: int) -> int:
        """The sequence number after which events at or after this offset come."""
        with self._changed:
            self._expire()
            place = max(0, bisect_right(self._segments, offset, key=lambda segment: segment.start.base_offset) - 1)
            sequence = max(self._segments[place].near_offset(offset), self._beginning)
            return self._walk(sequence, lambda event: int(event.offset) >= offset)

    def _walk(self, sequence: int, wanted: Callable[[StoredEvent], bool]) -> int:
        while sequence < self._active.next_sequence:
            for event in self._read_from(sequence, 128):
                if wanted(event):
                    return event.sequence_number - 1
                sequence = event.sequence_number + 1
        return self._active.next_sequence - 1

    def wait(self, after_sequence: int, timeout: float) -> bool:
        """Wait up to `timeout` real seconds for an event after this sequence number; say whether there is one. Returns at once when closed."""
        deadline = real_time.monotonic() + timeout
        with self._changed:
            while self._active.next_sequence - 1 <= after_sequence and not self._closed:
                left = deadline - real_time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return self._active.next_sequence - 1 > after_sequence

    def expire(self) -> int:
        """Forget what is older than the retention; return how many events."""
        with self._changed:
            self._next_expiry_ms = NEVER_MS
            return self._expire()

    def _expire(self) -> int:
        now = int(self._clock.time() * 1000)
        if now < self._next_expiry_ms or self._closed:
            return 0
        horizon, before = now - self.retention_ms, self._beginning
        while (
            self._segments[0].last_ms < horizon
            and self._segments[0].next_sequence > self._segments[0].start.base_sequence
        ):
            if len(self._segments) == 1 and not self._try_roll():
                break
            self._segments.pop(0).remove()
        self._beginning = max(self._beginning, self._segments[0].start.base_sequence)
        # A segment from before a restart is not looked at whole just to find that nothing in it is old.
        if self._beginning < self._active.next_sequence and self._oldest_ms() < horizon:
            near = max(self._segments[0].near_time(horizon), self._beginning)
            self._beginning = self._walk(near, lambda event: event.enqueued_ms >= horizon) + 1
        self._forget_recent()
        # Looking reads the oldest segment from disk, so it is done once a second at most.
        self._next_expiry_ms = max(self._oldest_ms() + self.retention_ms, now + 999) + 1
        return self._beginning - before

    def _try_roll(self) -> bool:
        """Whether a new segment could be made; on a full disk the old one stays, though nothing in it is shown any more."""
        try:
            self._roll()
        except HubStorageFull:
            return False
        return True

    def _forget_recent(self) -> None:
        if self._recent and self._recent[0].sequence_number < self._beginning:
            cut = self._beginning - self._recent[0].sequence_number
            self._recent_bytes -= sum(len(event.sections) + _EVENT_OVERHEAD for event in self._recent[:cut])
            del self._recent[:cut]

    def _oldest_ms(self) -> int:
        """The time of the oldest event, or far from now where there is none."""
        if self._beginning == self._active.next_sequence:
            return 1 << 60
        first = self._segments[0]
        if self._beginning == first.start.base_sequence:
            return first.first_ms()
        return self._read_from(self._beginning, 1)[0].enqueued_ms

    def close(self) -> None:
        """Let go of the files and wake every waiting reader. Nothing is lost: appends are in the files already."""
        with self._changed:
            self._closed = True
            self._active.close()
            self._changed.notify_all()


def _load(folder: Path) -> list[Segment]:
    """The segments in a folder, oldest first; a new one where there are none. Raises HubStorageError."""
    for part in folder.glob("*.part"):
        part.unlink()
    paths = sorted(folder.glob("*.log"))
    if not paths:
        return [Segment.create(folder, Start(0, 0, -1, NEVER_MS))]
    starts = [read_start(path) for path in paths]
    sealed = [Segment.sealed(path, following) for path, following in zip(paths, starts[1:], strict=False)]
    return [*sealed, Segment.recover(paths[-1])]
