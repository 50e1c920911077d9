"""What a job stands on: a hub to read, reference data to ask for, outputs to write to. Anything of these shapes will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol


class HubEvent(Protocol):
    """An event as a hub keeps it; `enqueued_at` is aware UTC."""

    @property
    def partition(self) -> int:
        """Its partition, from 0."""
        ...

    @property
    def sequence_number(self) -> int:
        """Its place among the events of the partition."""
        ...

    @property
    def offset(self) -> str:
        """Its place in the partition, as text."""
        ...

    @property
    def enqueued_at(self) -> datetime:
        """When the hub took it."""
        ...

    @property
    def key(self) -> str | None:
        """The partition key it was sent with."""
        ...

    @property
    def body(self) -> bytes:
        """What was sent."""
        ...


class PartitionEnd(Protocol):
    """The newest sequence number of a partition, -1 where it never held an event."""

    @property
    def last_enqueued_sequence_number(self) -> int:
        """The newest one."""
        ...


class HubReader(Protocol):
    """A hub, as a consumer sees it."""

    @property
    def partition_count(self) -> int:
        """How many partitions there are; their numbers begin at 0."""
        ...

    def read(self, partition: int, after_sequence: int, limit: int) -> Sequence[HubEvent]:
        """Up to `limit` events after a sequence number (-1 for all), oldest first, without waiting."""
        ...

    def position_at(self, partition: int, enqueued_time: datetime) -> int:
        """The sequence number to read after, to get every event enqueued at or after a time."""
        ...

    def partition(self, partition: int) -> PartitionEnd:
        """Where a partition ends."""
        ...


class OutputWriter(Protocol):
    """Where an output's rows go; all rows of a call are added, or none is."""

    def write(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> int:
        """Add rows; return how many were added. An error with a SQL Server `number` says what is wrong; any other passes by itself."""
        ...


ReferenceSource = Callable[[], Sequence[Mapping[str, Any]]]
ErrorPolicy = Literal["Stop", "Drop"]


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """What is deployed: the query, and what its inputs and outputs are by name. The policy Stop is what the portal calls Retry."""

    query: str
    inputs: Mapping[str, HubReader]
    outputs: Mapping[str, OutputWriter]
    references: Mapping[str, ReferenceSource] = field(default_factory=dict)
    output_error_policy: ErrorPolicy = "Stop"
    streaming_units: float = 3


@dataclass(frozen=True, slots=True)
class JobSettings:
    """How the service behaves around a job; seconds are the sandbox's.

    `start_seconds` and `stop_seconds` are how long a job takes to start (1-2 minutes in the service) and stop; `events_per_streaming_unit` is
    what one unit takes in a second (assumed: far more than a loopback job needs); `redelivery` is how often a batch is written twice in good
    health.
    """

    start_seconds: float = 5.0
    stop_seconds: float = 2.0
    events_per_streaming_unit: float = 10_000.0
    events_per_step: int = 5_000
    rows_per_write: int = 10_000
    writes_per_step: int = 200
    redelivery: float = 0.002
    reference_seconds: float = 60.0
    checkpoint_seconds: float = 5.0
    first_retry_seconds: float = 2.0
    longest_retry_seconds: float = 30.0
    seed: int = 0
