"""The live tail of a hub: several partitions read side by side, each over a connection of its own, into one bounded queue.

Readers without an epoch: they displace nobody and keep no place. A queue that is full holds the readers back, and so the hub; whoever takes from it
is told of a partition's error once, and then opens another tail. One client over several partitions would look at them in turn and triple the delay.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from lpmops.errors import DeadlineError, LpmopsError
from lpmops.model import RawEvent
from lpmops.services.bounded import Deadline

EVENTS_AT_MOST = 4_000
BYTES_AT_MOST = 32_000_000
# Of a partition, on the way: an event has up to a megabyte.
_PREFETCH = 100


class HubTail:
    """Reads on from `places` (partition to the sequence number of the first event wanted) until closed; safe to close from any thread."""

    def __init__(
        self,
        clients: Mapping[str, Any],
        places: Mapping[str, int],
        *,
        explain: Callable[[Exception], LpmopsError],
        what: str,
    ) -> None:
        self._clients, self._explain, self._what = clients, explain, what
        self._held: deque[RawEvent] = deque()
        self._bytes = 0
        self._error: LpmopsError | None = None
        self._is_closed = False
        self._changed = threading.Condition()
        for partition, client in clients.items():
            threading.Thread(
                target=self._read,
                args=(partition, client, places[partition]),
                name=f"lpmops eventhub tail {partition}",
                daemon=True,
            ).start()

    def take(self, seconds: float) -> list[RawEvent]:
        """What has come since the last call, waiting up to `seconds` for the first. Raises the LpmopsError of a partition that can't be read on."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._held) or self._error is not None or self._is_closed, seconds)
            taken = list(self._held)
            self._held.clear()
            self._bytes = 0
            self._changed.notify_all()
            if not taken and self._error is not None:
                raise self._error
            return taken

    def until(self, ends: Mapping[str, int], deadline: Deadline) -> list[RawEvent]:
        """The events up to these sequence numbers, partition by partition. Raises DeadlineError where they do not all come in time."""
        found: dict[str, list[RawEvent]] = {partition: [] for partition in ends}
        waiting = set(ends)
        while waiting:
            taken = self.take(deadline.left())
            if not taken and deadline.left() <= 0:
                raise DeadlineError(
                    f"{self._what} did not come within {deadline.seconds:g} s.",
                    service="eventhub",
                    hint="Try again, ask for fewer of them (--last), or raise refresh.deadline in lpmops.toml.",
                )
            for event in taken:
                if event.sequence <= ends[event.partition]:
                    found[event.partition].append(event)
                if event.sequence >= ends[event.partition]:
                    waiting.discard(event.partition)
        return [event for partition in ends for event in found[partition]]

    def close(self) -> None:
        """Stop reading; returns at once."""
        with self._changed:
            self._is_closed = True
            self._held.clear()
            self._changed.notify_all()
        for client in self._clients.values():
            # Closing talks to the server, which may be the one that hangs.
            threading.Thread(target=_close, args=(client,), name="lpmops eventhub close", daemon=True).start()

    def _read(self, partition: str, client: Any, place: int) -> None:
        try:
            client.read_on(partition, place, lambda events: self._put(partition, events), _PREFETCH)
        except Exception as error:  # noqa: BLE001 - the edge of this thread: reported to whoever takes
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        found = error if isinstance(error, LpmopsError) else self._explain(error)
        with self._changed:
            if not self._is_closed and self._error is None:
                found.__cause__ = error if found is not error else None
                self._error = found
            self._changed.notify_all()

    def _put(self, partition: str, events: list[Any]) -> None:
        for event in events:
            raw = _raw(partition, event)
            with self._changed:
                self._changed.wait_for(self._has_room)
                if self._is_closed:
                    return
                self._held.append(raw)
                self._bytes += len(raw.body)
                self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._is_closed or (len(self._held) < EVENTS_AT_MOST and self._bytes < BYTES_AT_MOST)


def _raw(partition: str, event: Any) -> RawEvent:
    body = event.body
    at, key = event.enqueued_time, event.partition_key
    return RawEvent(
        partition=partition,
        sequence=int(event.sequence_number),
        offset=str(event.offset),
        enqueued_at=at,
        key=key.decode("utf-8", "replace") if isinstance(key, bytes) else key,
        body=body if isinstance(body, bytes) else b"".join(body),
    )


def _close(client: Any) -> None:
    try:
        client.close()
    except Exception:  # noqa: BLE001 - the edge of a thread that only tidies up: there is nobody to report to and nothing to do
        return
