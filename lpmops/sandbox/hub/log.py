"""The hub: partitions, throughput units, consumer groups and counters behind one thread-safe object.

Events come in by `append` and are read by position; nothing is removed by reading. The log survives a restart and
kill -9 of the process (what `append` has returned is with the operating system; `fsync=True` also survives the
machine), sequence numbers go on where they were even after everything has expired. One process at a time may hold a
hub's folder. Protocol servers stand on this and hold no events themselves.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time as real_time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.hub.counters import Counters
from lpmops.sandbox.hub.model import (
    Appended,
    EventTooLarge,
    HubStorageError,
    HubStorageFull,
    OutgoingEvent,
    PartitionProperties,
    ServerBusy,
    StoredEvent,
    UnknownPartition,
)
from lpmops.sandbox.hub.partition import SEGMENT_BYTES, Partition
from lpmops.sandbox.hub.partitioning import partition_of
from lpmops.sandbox.hub.quota import ThroughputUnits

# "1 MB" of a Standard namespace; the attach of a sender link announces the same.
MAX_EVENT_BYTES = 1_048_576
DEFAULT_CONSUMER_GROUP = "$Default"

Listener = Callable[[int], None]


class Hub:
    """A partitioned log in `folder`. Every method may be called from any thread.

    Raises HubStorageError where the folder holds a hub of another name or number of partitions (a Standard hub can change neither), or damaged files.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        partitions: int,
        clock: Clock,
        *,
        retention: timedelta = timedelta(days=7),
        throughput_units: float = 2,
        consumer_groups: Iterable[str] = (),
        fsync: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        if partitions < 1:
            raise ValueError("a hub has at least one partition")
        self.name = name
        self.clock = clock
        self.counters = Counters(clock)
        self.created_at = _identify(folder, name, partitions, clock)
        self._units = ThroughputUnits(throughput_units, clock)
        self._retention = retention
        self._passing: timedelta | None = None
        milliseconds = int(retention.total_seconds() * 1000)
        self._partitions = [
            Partition(folder / str(n), n, clock, milliseconds, fsync, segment_bytes) for n in range(partitions)
        ]
        self._groups = {group.lower(): group for group in (DEFAULT_CONSUMER_GROUP, *consumer_groups)}
        self._listeners: tuple[Listener, ...] = ()
        self._next = 0
        self._lock = threading.Lock()

    @property
    def partition_count(self) -> int:
        """How many partitions the hub has; their ids are 0 and up."""
        return len(self._partitions)

    @property
    def throughput_units(self) -> float:
        """The throughput units; may be set to any positive number at any time, 0.01 for a hub that refuses nearly everything."""
        return self._units.units

    @throughput_units.setter
    def throughput_units(self, units: float) -> None:
        self._units.units = units

    @property
    def retention(self) -> timedelta:
        """How long events are kept; may be set at any time."""
        return self._retention

    @retention.setter
    def retention(self, retention: timedelta) -> None:
        self._retention = retention
        self._keep()

    @property
    def passing(self) -> timedelta | None:
        """In how short a time the whole retention passes, for events now in the hub and to come; None where it takes its own time."""
        return self._passing

    @passing.setter
    def passing(self, passing: timedelta | None) -> None:
        self._passing = passing
        self._keep()

    def _keep(self) -> None:
        kept = self._retention if self._passing is None else min(self._passing, self._retention)
        for partition in self._partitions:
            partition.retention_ms = int(kept.total_seconds() * 1000)
        self.expire()

    @property
    def consumer_groups(self) -> tuple[str, ...]:
        """The consumer groups; `$Default` is always among them."""
        with self._lock:
            return tuple(self._groups.values())

    def has_consumer_group(self, name: str) -> bool:
        """Whether there is such a consumer group; case does not matter."""
        return name.lower() in self._groups

    def add_consumer_group(self, name: str) -> None:
        """Add a consumer group; nothing happens where it exists."""
        with self._lock:
            self._groups.setdefault(name.lower(), name)

    def remove_consumer_group(self, name: str) -> None:
        """Remove a consumer group; its receivers are detached. Raises ValueError for `$Default`."""
        if name.lower() == DEFAULT_CONSUMER_GROUP.lower():
            raise ValueError("the default consumer group cannot be removed")
        with self._lock:
            self._groups.pop(name.lower(), None)

    def append(self, events: Sequence[OutgoingEvent], partition: int | None = None) -> list[Appended]:
        """Append a batch; return where its parts went.

        Without a partition, events with a key go where the key belongs and those without go together to the next partition in turn.
        Raises ServerBusy and EventTooLarge, and then keeps nothing; HubStorageFull, and then keeps what had gone to other partitions.
        """
        size = 0
        for event in events:
            length = len(event.sections) + (len(event.key) if event.key else 0)
            if length > MAX_EVENT_BYTES:
                self.counters.add({"IncomingRequests": 1, "UserErrors": 1})
                raise EventTooLarge(length, MAX_EVENT_BYTES)
            size += length
        parts = self._spread(events, partition)
        try:
            self._units.admit(len(events), size)
        except ServerBusy:
            self.counters.add({"IncomingRequests": 1, "ThrottledRequests": 1})
            raise
        try:
            appended = [self._partitions[number].append(part) for number, part in parts.items()]
        except HubStorageFull:
            self.counters.add({"IncomingRequests": 1, "ServerErrors": 1})
            raise
        self.counters.add(
            {"IncomingRequests": 1, "SuccessfulRequests": 1, "IncomingMessages": len(events), "IncomingBytes": size}
        )
        for listener in self._listeners:
            for number in parts:
                listener(number)
        return appended

    def _spread(self, events: Sequence[OutgoingEvent], partition: int | None) -> dict[int, list[OutgoingEvent]]:
        if partition is not None:
            self._get(partition)
            return {partition: list(events)} if events else {}
        parts: dict[int, list[OutgoingEvent]] = {}
        turn: int | None = None
        for event in events:
            if event.key is not None:
                number = partition_of(event.key, len(self._partitions))
            elif turn is None:
                number = turn = self._take_turn()
            else:
                number = turn
            parts.setdefault(number, []).append(event)
        return parts

    def _take_turn(self) -> int:
        with self._lock:
            self._next = (self._next + 1) % len(self._partitions)
            return self._next

    def _get(self, partition: int) -> Partition:
        if not 0 <= partition < len(self._partitions):
            raise UnknownPartition(f"hub {self.name} has no partition {partition}")
        return self._partitions[partition]

    def read(self, partition: int, after_sequence: int, limit: int) -> list[StoredEvent]:
        """Up to `limit` events after a sequence number (-1 for all), oldest first.

        Egress beyond the throughput units is not refused but held back: fewer events than there are, or none; `egress_delay` says for how long.
        """
        source = self._get(partition)
        events = source.read(after_sequence, min(limit, self._units.egress_allowance()))
        if events:
            size = sum(len(event.sections) for event in events)
            self._units.emit(len(events), size)
            self.counters.add(
                {"IncomingRequests": 1, "SuccessfulRequests": 1, "OutgoingMessages": len(events), "OutgoingBytes": size}
            )
        return events

    def egress_delay(self) -> float:
        """Sandbox seconds until `read` gives events again; zero where nothing holds it back."""
        return self._units.egress_delay()

    def partition(self, partition: int) -> PartitionProperties:
        """What a partition says about itself. Raises UnknownPartition."""
        return self._get(partition).properties()

    def position_at(self, partition: int, enqueued_time: datetime) -> int:
        """The sequence number to read after, to get every event enqueued at or after this time."""
        return self._get(partition).before_time(int(enqueued_time.timestamp() * 1000))

    def position_before_offset(self, partition: int, offset: int) -> int:
        """The sequence number to read after, to get every event at or after this offset."""
        return self._get(partition).before_offset(offset)

    def wait(self, partition: int, after_sequence: int, timeout: float) -> bool:
        """Wait up to `timeout` real seconds until `read` after this sequence number would give something; say whether it would."""
        deadline = real_time.monotonic() + timeout
        if not self._get(partition).wait(after_sequence, timeout):
            return False
        while (delay := self.clock.real_seconds(self.egress_delay())) > 0:
            left = deadline - real_time.monotonic()
            if left <= 0:
                return False
            # Throughput units may be raised while we wait.
            real_time.sleep(min(delay, left, 0.25))
        return True

    async def wait_async(self, partition: int, after_sequence: int, timeout: float) -> bool:
        """`wait` for a coroutine."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()

        def notice(number: int) -> None:
            if number == partition:
                loop.call_soon_threadsafe(arrived.set)

        forget = self.add_listener(notice)
        try:
            async with asyncio.timeout(timeout):
                while self.partition(partition).last_enqueued_sequence_number <= after_sequence:
                    await arrived.wait()
                    arrived.clear()
                while (delay := self.clock.real_seconds(self.egress_delay())) > 0:
                    await asyncio.sleep(min(delay, 0.25))
        except TimeoutError:
            return False
        finally:
            forget()
        return True

    def add_listener(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(partition)` after every append, on the thread that appended: it must be quick. Returns what ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def forget() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return forget

    def expire(self) -> int:
        """Forget what is older than the retention; return how many events. Every other method does it too, at most once a second."""
        return sum(partition.expire() for partition in self._partitions)

    def size(self) -> int:
        """Bytes the log takes on disk."""
        return sum(partition.size() for partition in self._partitions)

    def close(self) -> None:
        """Let go of the files and wake every waiting reader."""
        for partition in self._partitions:
            partition.close()


def _identify(folder: Path, name: str, partitions: int, clock: Clock) -> datetime:
    """When the hub in this folder was created; a new folder becomes this hub's."""
    path = folder / "hub.json"
    if not path.exists():
        created = {"name": name, "partitions": partitions, "created_ms": int(clock.time() * 1000)}
        write_whole(path, json.dumps(created))
    try:
        found = json.loads(path.read_text())
        held, created_ms = (found["name"], found["partitions"]), int(found["created_ms"])
    except (ValueError, KeyError, TypeError) as error:
        raise HubStorageError(f"{path} does not describe a hub") from error
    if held != (name, partitions):
        raise HubStorageError(f"{folder} holds hub {held[0]} with {held[1]} partitions, not {name} with {partitions}")
    return datetime.fromtimestamp(created_ms / 1000, UTC)
