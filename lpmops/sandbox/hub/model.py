"""What goes into a hub, what comes out of it, and what it says when it cannot.

Values only. An event's payload travels as encoded AMQP sections, so that what an AMQP client sent comes back to the
byte; `body` and `application_properties` read them when asked. Events are tuples, which are made in a third of the
time of a frozen dataclass. Sequence numbers start at 0 and have no gaps; offsets are text, as in the service since
2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lpmops.sandbox.hub.amqp.message import make_sections, read_application_properties, read_body

# What the service reports as the time of the last event where there never was one: year 1.
NEVER_MS = -62_135_596_800_000


class HubError(Exception):
    """Something a hub refuses or cannot do."""


class ServerBusy(HubError):
    """The throughput units are used up; try again in `retry_after` sandbox seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the throughput units are used up; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class EventTooLarge(HubError):
    """One event is larger than a publication may be."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"an event of {size} bytes exceeds the limit of {limit} bytes")
        self.size, self.limit = size, limit


class HubStorageFull(HubError):
    """The disk under the hub is full; nothing of the batch was kept and the log is whole."""


class HubStorageError(HubError):
    """The files under the hub are not what they were: a segment is damaged before its end, or belongs to another hub."""


class UnknownPartition(HubError, LookupError):
    """The hub has no such partition."""


class OutgoingEvent(NamedTuple):
    """An event to append: its encoded sections, and the partition key that chooses its partition."""

    sections: bytes
    key: str | None = None

    @classmethod
    def of(
        cls, body: bytes, key: str | None = None, application_properties: Mapping[str, Any] | None = None
    ) -> OutgoingEvent:
        """An event with a binary body; property values are str, bytes, bool, int, float, uuid or None."""
        return cls(make_sections(body, application_properties), key)


class StoredEvent(NamedTuple):
    """An event as the log holds it. `enqueued_ms` is milliseconds since the epoch on the sandbox's clock."""

    partition: int
    sequence_number: int
    offset: str
    enqueued_ms: int
    key: str | None
    sections: bytes

    @property
    def body(self) -> bytes:
        """The body as bytes."""
        return read_body(self.sections)

    @property
    def application_properties(self) -> dict[str, Any]:
        """What the sender attached beside the body."""
        return read_application_properties(self.sections)

    @property
    def enqueued_at(self) -> datetime:
        """When the hub took it, aware UTC."""
        return datetime.fromtimestamp(self.enqueued_ms / 1000, UTC)


@dataclass(frozen=True, slots=True)
class PartitionProperties:
    """What a partition says about itself; sequence number -1 and offset "-1" where it never held an event, and then no time."""

    partition: int
    beginning_sequence_number: int
    last_enqueued_sequence_number: int
    last_enqueued_offset: str
    last_enqueued_at: datetime | None
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a batch, or the part of it that went to one partition, was put."""

    partition: int
    first_sequence_number: int
    last_sequence_number: int
