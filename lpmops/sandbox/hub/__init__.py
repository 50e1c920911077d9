"""An Event Hub on one machine: a durable partitioned log, and an AMQP 1.0 namespace that Microsoft's own clients connect to unmodified.

Protocol: AMQP 1.0 (OASIS) with the Event Hubs conventions on top: SASL ANONYMOUS, PLAIN and MSSBCBS; claims-based
security at `$cbs` (shared access signatures, JWTs); `$management` READ of hubs and partitions; senders to `hub` and
`hub/Partitions/n`, one message or a batch (format 0x80013700); receivers from `hub/ConsumerGroups/group/Partitions/n`
with the selector filters on offset, sequence number and time, `-1` and `@latest`; epochs (owner levels) that steal;
five receivers without epoch; throughput units that refuse with com.microsoft:server-busy 50002.

The log: segments of checksummed records per partition, contiguous sequence numbers that survive everything but
deleting the folder, offsets that are byte positions, retention, the service's own hash from key to partition.

Not here, and refused by name or by the protocol's own means: Kafka (its own endpoint in the service), AMQP over
WebSockets, publisher endpoints, transactions, link resumption, capture, schema registry, geo-replication,
consumer-group operations (they belong to the resource manager).

Evidence: azure-eventhub 5.15.1 (`_pyamqp`, `_client_base`, `_consumer`, `_producer`), which the tests run against
this server; the service's words as posted in public threads, each named where it stands (`amqp/conditions.py`);
limits of learn.microsoft.com/azure/event-hubs/event-hubs-quotas and event-hubs-scalability. What has no such evidence
says "assumed" where it stands.
"""

from lpmops.sandbox.hub.amqp.namespace import AmqpNamespace
from lpmops.sandbox.hub.amqp.tokens import Authorize, SharedAccessKey, TokenRefused
from lpmops.sandbox.hub.counters import Counters
from lpmops.sandbox.hub.log import DEFAULT_CONSUMER_GROUP, MAX_EVENT_BYTES, Hub
from lpmops.sandbox.hub.model import (
    Appended,
    EventTooLarge,
    HubError,
    HubStorageError,
    HubStorageFull,
    OutgoingEvent,
    PartitionProperties,
    ServerBusy,
    StoredEvent,
    UnknownPartition,
)

__all__ = [
    "DEFAULT_CONSUMER_GROUP",
    "MAX_EVENT_BYTES",
    "AmqpNamespace",
    "Appended",
    "Authorize",
    "Counters",
    "EventTooLarge",
    "Hub",
    "HubError",
    "HubStorageError",
    "HubStorageFull",
    "OutgoingEvent",
    "PartitionProperties",
    "ServerBusy",
    "SharedAccessKey",
    "StoredEvent",
    "TokenRefused",
    "UnknownPartition",
]
