"""Links: one direction of messages between a peer and a hub.

`IncomingLink` puts fragments together, grants credit and settles; `IngestLink` appends what comes to a hub.
`OutgoingLink` sends within the peer's credit and the session's window, in fragments where a frame is too small;
`ConsumerLink` sends a partition's events from a position on. A message never takes more memory than the limit that
the link announced, and a peer that does not read is not read for. Request and response links are in `nodes`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from lpmops.sandbox.hub.amqp import conditions
from lpmops.sandbox.hub.amqp.codec import Buffer, DecodeError, Timestamp
from lpmops.sandbox.hub.amqp.conditions import LinkFailure, Rejection, SessionFailure
from lpmops.sandbox.hub.amqp.message import BATCH_FORMAT, delivery_annotations, ingest, ingest_batch, outgoing
from lpmops.sandbox.hub.amqp.performatives import (
    Attach,
    Flow,
    Transfer,
    accepted,
    capability_names,
    rejected,
    write_detach,
    write_disposition,
    write_flow,
    write_transfer,
)
from lpmops.sandbox.hub.amqp.service import SENDER_CREDIT
from lpmops.sandbox.hub.log import MAX_EVENT_BYTES, Hub
from lpmops.sandbox.hub.model import (
    NEVER_MS,
    EventTooLarge,
    HubError,
    HubStorageError,
    OutgoingEvent,
    ServerBusy,
    StoredEvent,
)

if TYPE_CHECKING:
    from lpmops.sandbox.hub.amqp.session import Session

EPOCH = "com.microsoft:epoch"
RECEIVER_NAME = "com.microsoft:receiver-name"
RUNTIME_METRIC = "com.microsoft:enable-receiver-runtime-metric"

# The head of a transfer frame, with room to spare.
_OVERHEAD = 64
_BATCH = 200
_BATCH_BYTES = 1 << 20
_SERIAL = 1 << 32


class Link:
    """What all links are: a handle in a session, and the claim on a path that they need. As it stands, a refused link that ignores what comes."""

    def __init__(self, session: Session, attach: Attach, path: str = "", claim: str | None = None) -> None:
        self.session = session
        self.handle = attach.handle
        self.name = attach.name
        self.path = path
        self.claim = claim
        self.closing = False

    def attached(self) -> None:
        """The peer knows of the link: begin."""

    def on_transfer(self, transfer: Transfer, payload: Buffer) -> None:
        """A transfer came. Raises a failure."""
        del transfer, payload
        raise SessionFailure(conditions.NOT_ALLOWED, "A transfer came on a link on which the peer receives.")

    def on_flow(self, flow: Flow) -> None:
        """Credit changed."""

    def pump(self) -> None:
        """Send what may be sent."""

    def released(self) -> None:
        """The link is over, whoever ended it."""

    def fail(self, failure: LinkFailure) -> None:
        """Detach with an error; nothing happens to a link that is over already."""
        if self.closing:
            return
        self.closing = True
        self.released()
        tracked = LinkFailure(failure.condition, self.session.service.tracked(failure.description))
        self.session.send(write_detach(self.handle, tracked.encoded()))

    def expel(self, failure: LinkFailure) -> None:
        """Detach from outside of the session's own turn."""
        self.fail(failure)


class IncomingLink(Link, ABC):
    """A link on which the peer sends."""

    def __init__(self, session: Session, attach: Attach, path: str, claim: str | None) -> None:
        super().__init__(session, attach, path, claim)
        self._count = attach.initial_delivery_count or 0
        self._credit = 0
        self._first: Transfer | None = None
        self._payload = bytearray()
        self._size = 0
        self._settled = False

    def attached(self) -> None:
        """Grant the first credit."""
        self._grant()

    def _grant(self) -> None:
        self._credit = SENDER_CREDIT
        self.session.send(write_flow(self.session.windows(), (self.handle, self._count, self._credit, 0)))

    def on_flow(self, flow: Flow) -> None:
        """A sender's flow changes nothing but may ask for ours."""
        if flow.echo:
            self._grant()

    def on_transfer(self, transfer: Transfer, payload: Buffer) -> None:
        """Put fragments together; take the message when it is whole."""
        if self._first is None:
            if transfer.delivery_id is None:
                raise SessionFailure(conditions.INVALID_FIELD, "The first transfer of a delivery has no delivery-id.")
            self._first, self._size, self._settled = transfer, 0, False
            self._payload = bytearray()
        self._settled = self._settled or bool(transfer.settled)
        self._size += len(payload)
        if self._size <= MAX_EVENT_BYTES:
            self._payload += payload
        else:
            self._payload = bytearray()
        if transfer.aborted:
            self._first = None
        elif not transfer.more:
            self._complete(self._first)

    def _complete(self, first: Transfer) -> None:
        self._first = None
        self._count = (self._count + 1) % _SERIAL
        self._credit -= 1
        delivery = first.delivery_id or 0
        try:
            if self._size > MAX_EVENT_BYTES:
                raise Rejection(
                    conditions.MESSAGE_SIZE, conditions.message_too_large(delivery, self._size, MAX_EVENT_BYTES)
                )
            self.take(first.message_format or 0, bytes(self._payload))
            outcome = accepted()
        except DecodeError as error:
            outcome = rejected(Rejection(conditions.DECODE, f"The message could not be decoded: {error}.").encoded())
        except Rejection as rejection:
            outcome = rejected(
                Rejection(rejection.condition, self.session.service.tracked(rejection.description)).encoded()
            )
        self._payload = bytearray()
        if not self._settled:
            self.session.send(write_disposition(delivery, delivery, outcome))
        if self._credit <= SENDER_CREDIT // 2:
            self._grant()

    @abstractmethod
    def take(self, message_format: int, message: bytes) -> None:
        """A whole message. Raises Rejection or DecodeError."""


class IngestLink(IncomingLink):
    """A link that appends to a hub, or to one partition of it."""

    def __init__(
        self, session: Session, attach: Attach, path: str, claim: str, hub: Hub, partition: int | None
    ) -> None:
        super().__init__(session, attach, path, claim)
        self._hub = hub
        self._partition = partition

    def take(self, message_format: int, message: bytes) -> None:
        """Append one message, or each of a batch."""
        found = ingest_batch(message) if message_format == BATCH_FORMAT else [ingest(message)]
        try:
            self._hub.append([OutgoingEvent(one.sections, one.key) for one in found], self._partition)
        except ServerBusy as busy:
            raise Rejection(conditions.SERVER_BUSY, conditions.server_busy()) from busy
        except EventTooLarge as error:
            raise Rejection(conditions.MESSAGE_SIZE, f"The received message ({error}).") from error
        except HubError as error:
            # Assumed: the service never says that its disk is full.
            raise Rejection(
                conditions.INTERNAL,
                f"The service was unable to process the request; please retry the operation. ({error})",
            ) from error


class OutgoingLink(Link):
    """A link on which the peer receives. Everything is sent settled: an Event Hub keeps no state of what a consumer has done."""

    def __init__(self, session: Session, attach: Attach, path: str, claim: str | None) -> None:
        super().__init__(session, attach, path, claim)
        self._credit = 0
        self._count = 0
        self._drain = False
        self._rest: Buffer = b""
        self._delivery = 0

    def on_flow(self, flow: Flow) -> None:
        """The peer's credit, counted from the deliveries that it has seen."""
        if flow.link_credit is not None:
            seen = self._count if flow.delivery_count is None else flow.delivery_count
            credit = (seen + flow.link_credit - self._count) % _SERIAL
            self._credit = 0 if credit >= _SERIAL // 2 else credit
        self._drain = flow.drain
        self.pump()
        if flow.echo and not self.closing:
            self._tell()

    def _tell(self) -> None:
        self.session.send(
            write_flow(self.session.windows(), (self.handle, self._count, self._credit, 0), drain=self._drain)
        )

    def drained(self) -> None:
        """Nothing more to send: where the peer asked to drain, use its credit up and say so."""
        if self._drain and self._credit > 0:
            self._count, self._credit = (self._count + self._credit) % _SERIAL, 0
            self._tell()

    def deliver(self, message: bytes) -> None:
        """Begin to send a message, which takes one credit; `flush` sends what the window does not let through now."""
        self._credit -= 1
        self._count = (self._count + 1) % _SERIAL
        self._delivery = self.session.next_delivery()
        self._rest = memoryview(message)
        self.flush()

    def flush(self) -> bool:
        """Send more of the message that was begun; whether it is sent whole."""
        room = self.session.frame_payload - _OVERHEAD
        # Settled deliveries may share a tag; a short one that comes again keeps Microsoft's Python client, which remembers every tag, small.
        tag = (self._delivery & 0xFF).to_bytes(1, "big")
        while self._rest and self.session.take_window():
            part, self._rest = self._rest[:room], self._rest[room:]
            self.session.send(write_transfer(self.handle, self._delivery, tag, more=bool(self._rest)) + part)
        return not self._rest


class ConsumerLink(OutgoingLink):
    """A link that sends a partition's events after a position, within one consumer group."""

    def __init__(
        self, session: Session, attach: Attach, path: str, claim: str, hub: Hub, place: tuple[str, int, int]
    ) -> None:
        super().__init__(session, attach, path, claim)
        self.hub_name = hub.name
        self.group, self.partition, self._after = place
        self._hub = hub
        properties = attach.properties or {}
        epoch = properties.get(EPOCH)
        if epoch is not None and not isinstance(epoch, int):
            raise LinkFailure(conditions.INVALID_FIELD, f"The link property {EPOCH} is no number.")
        self.epoch: int | None = None if epoch is None else int(epoch)
        self.label = str(properties.get(RECEIVER_NAME) or "nil")
        self._metrics = RUNTIME_METRIC in capability_names(attach.desired_capabilities)
        self._again: asyncio.Handle | None = None
        self._mean = 1024

    def released(self) -> None:
        """Leave the partition to others."""
        self.session.service.receivers.leave(self)
        if self._again is not None:
            self._again.cancel()

    def pump(self) -> None:
        """Send events while there are any, the peer has credit, the session has room and the socket takes it; come back later for the rest."""
        if self.closing or not self.flush():
            return
        if self._credit <= 0 or not self.session.has_window or not self.session.writable:
            return
        try:
            events = self._hub.read(
                self.partition, self._after, max(1, min(self._credit, _BATCH, _BATCH_BYTES // self._mean))
            )
        except HubStorageError as error:
            self._hub.counters.add({"ServerErrors": 1})
            self.fail(LinkFailure(conditions.INTERNAL, f"The partition cannot be read: {error}."))
            return
        if not events:
            self._rest_until_more()
            return
        self._send(events)
        self._schedule(0)

    def _send(self, events: list[StoredEvent]) -> None:
        extra = self._runtime_metric() if self._metrics else b""
        size = 0
        for event in events:
            # The session's window may close within a batch: what is not sent is read again.
            if self._rest or not self.session.has_window:
                break
            message = outgoing(event.sections, event.sequence_number, event.offset, event.enqueued_ms, event.key, extra)
            size += len(message)
            self._after = event.sequence_number
            self.deliver(message)
        self._mean = max(256, size // len(events))

    def _rest_until_more(self) -> None:
        delay = self._hub.egress_delay()
        if delay > 0:
            self._schedule(max(0.01, min(self._hub.clock.real_seconds(delay), 0.25)))
        self.drained()

    def _schedule(self, delay: float) -> None:
        if self._again is not None:
            self._again.cancel()
        loop = asyncio.get_running_loop()
        self._again = (
            loop.call_later(delay, self.session.run, self.pump)
            if delay
            else loop.call_soon(self.session.run, self.pump)
        )

    def expel(self, failure: LinkFailure) -> None:
        """Detach because another receiver took the partition."""
        self.session.run(lambda: self.fail(failure))

    def _runtime_metric(self) -> bytes:
        now = self._hub.partition(self.partition)
        last_ms = NEVER_MS if now.last_enqueued_at is None else round(now.last_enqueued_at.timestamp() * 1000)
        values: dict[str, Any] = {
            "last_enqueued_sequence_number": now.last_enqueued_sequence_number,
            "last_enqueued_offset": now.last_enqueued_offset,
            "last_enqueued_time_utc": Timestamp(last_ms),
            "runtime_info_retrieval_time_utc": Timestamp(int(self._hub.clock.time() * 1000)),
        }
        return delivery_annotations(values)
