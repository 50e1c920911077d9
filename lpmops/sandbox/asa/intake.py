"""Reading a job's inputs: a position and a watermark for each partition.

The watermark of a partition is the time up to which every event of it has been read: that of the last event read, or now where nothing is left to
read. So a quiet partition holds nothing back, and one that is behind does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lpmops.sandbox.asa.events import InputEvent
from lpmops.sandbox.asa.seams import HubReader

# Hubs stamp in milliseconds, so another event may still come with the time of the last one.
_TICK = timedelta(milliseconds=1)


@dataclass(slots=True)
class Place:
    """One partition of one input: `read` and `written` are sequence numbers; up to `rebuild` rows were written before and only windows need them."""

    input_name: str
    partition: int
    read: int
    written: int
    rebuild: int
    seen: datetime
    watermark: datetime


@dataclass(frozen=True, slots=True)
class Read:
    """Events of one input: those that are only for windows, and those whose rows are to be written."""

    input_name: str
    rebuilt: list[InputEvent]
    fresh: list[InputEvent]


class Intake:
    """All partitions of all inputs that a query reads."""

    def __init__(
        self,
        hubs: Mapping[str, HubReader],
        output_start: datetime,
        longest_window: int,
        positions: Mapping[str, Mapping[int, int]] | None = None,
        watermark: datetime | None = None,
    ) -> None:
        """Begin at `output_start`, or after `positions` where a job resumes whose windows are written up to `watermark`.

        `longest_window` is in microseconds: windows that are open there are filled from before.
        """
        self._hubs, self._output_start = hubs, output_start
        begin = max(output_start, watermark or output_start)
        back = begin - timedelta(microseconds=longest_window)
        self.places: list[Place] = []
        for name, hub in hubs.items():
            for partition in range(hub.partition_count):
                start = hub.position_at(partition, output_start)
                if positions is not None:
                    # A hub made anew begins again at 0.
                    start = min(
                        positions.get(name, {}).get(partition, start),
                        hub.partition(partition).last_enqueued_sequence_number,
                    )
                first = min(start, hub.position_at(partition, back)) if longest_window else start
                self.places.append(Place(name, partition, first, start, start, begin, begin))
        self._turn = 0

    def read(self, limit: int, now: datetime) -> list[Read]:
        """Up to `limit` events over all partitions, in turn; `now` must be from before the call."""
        found: dict[str, Read] = {}
        share = max(1, limit // max(1, len(self.places)))
        self._turn += 1
        for index in range(len(self.places)):
            place = self.places[(index + self._turn) % len(self.places)]
            if limit <= 0:
                break
            count = self._read(place, min(share, limit), now, found)
            limit -= count
        return list(found.values())

    def _read(self, place: Place, limit: int, now: datetime, found: dict[str, Read]) -> int:
        hub = self._hubs[place.input_name]
        events = hub.read(place.partition, place.read, limit)
        into = found.setdefault(place.input_name, Read(place.input_name, [], []))
        for event in events:
            held = InputEvent(
                event.body, event.enqueued_at, event.partition, event.sequence_number, event.offset, event.key
            )
            old = held.sequence <= place.rebuild or held.enqueued_at < self._output_start
            (into.rebuilt if old else into.fresh).append(held)
        if events:
            place.read = events[-1].sequence_number
            place.seen = max(place.seen, events[-1].enqueued_at - _TICK)
        if place.read >= hub.partition(place.partition).last_enqueued_sequence_number:
            place.seen = max(place.seen, now - _TICK)
        return len(events)

    @property
    def seen(self) -> datetime:
        """The time up to which all events of all partitions have been read."""
        return min((place.seen for place in self.places), default=self._output_start)

    def commit(self) -> None:
        """What was read is written."""
        for place in self.places:
            place.written, place.watermark = max(place.written, place.read), place.seen

    def positions(self) -> dict[str, dict[int, int]]:
        """Up to where each partition is written."""
        found: dict[str, dict[int, int]] = {}
        for place in self.places:
            found.setdefault(place.input_name, {})[place.partition] = place.written
        return found

    def backlog(self) -> Iterator[tuple[Place, int]]:
        """How many events of each partition are not read yet."""
        for place in self.places:
            end = self._hubs[place.input_name].partition(place.partition).last_enqueued_sequence_number
            yield place, max(0, end - place.read)
