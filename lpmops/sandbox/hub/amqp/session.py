"""A session: links by handle, and the windows that bound what is on the way in each direction.

A failure of a link detaches that link, a failure of the session ends it; what the peer still sends to either before
it knows is passed over. Windows are counted in transfers, as the specification says. Ours, like the credit of senders,
is granted again while half is left, so that a peer never has to wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lpmops.sandbox.hub.amqp import conditions
from lpmops.sandbox.hub.amqp.codec import Buffer, DecodeError
from lpmops.sandbox.hub.amqp.conditions import ConnectionFailure, LinkFailure, SessionFailure
from lpmops.sandbox.hub.amqp.links import ConsumerLink, IngestLink, Link
from lpmops.sandbox.hub.amqp.nodes import CBS, MANAGEMENT, RequestLink, ResponseLink
from lpmops.sandbox.hub.amqp.performatives import (
    SOURCE,
    TARGET,
    Attach,
    Begin,
    Detach,
    Disposition,
    Flow,
    Transfer,
    accepted,
    frame,
    read_terminus,
    write_attach,
    write_begin,
    write_detach,
    write_disposition,
    write_end,
    write_flow,
)
from lpmops.sandbox.hub.amqp.selector import starting_point
from lpmops.sandbox.hub.amqp.service import HANDLE_MAX, SESSION_WINDOW, Service
from lpmops.sandbox.hub.amqp.tokens import LISTEN, SEND, entity_path
from lpmops.sandbox.hub.log import MAX_EVENT_BYTES, Hub

if TYPE_CHECKING:
    from lpmops.sandbox.hub.amqp.connection import Connection

_SERIAL = 1 << 32
_SETTLED, _MIXED = 1, 2


class Session:
    """One session of one connection, on the channel that the peer chose."""

    def __init__(self, connection: Connection, channel: int, begin: Begin) -> None:
        self.connection = connection
        self.channel = channel
        self.links: dict[int, Link] = {}
        self.ended = False
        self._next_incoming = begin.next_outgoing_id
        self._incoming_left = SESSION_WINDOW
        self._next_outgoing = 0
        self._next_delivery = 0
        self._remote_window = begin.incoming_window
        self.send(write_begin(channel, self._next_outgoing, SESSION_WINDOW, SESSION_WINDOW, HANDLE_MAX))

    @property
    def service(self) -> Service:
        """What the namespace's connections share."""
        return self.connection.service

    @property
    def frame_payload(self) -> int:
        """Bytes that one frame to the peer may hold after its header."""
        return self.connection.frame_payload

    @property
    def has_window(self) -> bool:
        """Whether the peer lets one more transfer through."""
        return self._remote_window > 0

    @property
    def writable(self) -> bool:
        """Whether the peer reads what was sent to it."""
        return self.connection.writable

    def windows(self) -> tuple[int, int, int, int]:
        """The session part of a flow."""
        return self._next_incoming, self._incoming_left, self._next_outgoing, SESSION_WINDOW

    def next_delivery(self) -> int:
        """An id for the next delivery."""
        delivery, self._next_delivery = self._next_delivery, (self._next_delivery + 1) % _SERIAL
        return delivery

    def take_window(self) -> bool:
        """Use one transfer of the peer's window, where there is one."""
        if self._remote_window <= 0:
            return False
        self._remote_window -= 1
        self._next_outgoing = (self._next_outgoing + 1) % _SERIAL
        return True

    def send(self, body: bytes) -> None:
        """Send a frame on this channel."""
        self.connection.send(frame(self.channel, body))

    def run(self, action: Callable[[], None]) -> None:
        """Do something from outside of the peer's turn, such as on a timer."""
        if not self.ended:
            self.connection.run(action)

    def handle(self, performative: Any, payload: Buffer) -> None:
        """One frame from the peer. Raises ConnectionFailure."""
        if self.ended:
            return
        try:
            match performative:
                case Transfer():
                    self._on_transfer(performative, payload)
                case Flow():
                    self._on_flow(performative)
                case Disposition():
                    self._on_disposition(performative)
                case Attach():
                    self._on_attach(performative)
                case Detach():
                    self._on_detach(performative)
                case _:
                    raise ConnectionFailure(
                        conditions.NOT_ALLOWED, f"{type(performative).__name__} does not belong to a session."
                    )
        except SessionFailure as failure:
            self.fail(failure)

    def fail(self, failure: SessionFailure) -> None:
        """End the session with an error."""
        self.release()
        self.send(write_end(failure.encoded()))

    def release(self) -> None:
        """The session is over: so are its links."""
        self.ended = True
        for link in self.links.values():
            if not link.closing:
                link.closing = True
                link.released()
        self.links.clear()

    def _link(self, handle: int) -> Link:
        link = self.links.get(handle)
        if link is None:
            raise SessionFailure(conditions.UNATTACHED_HANDLE, f"No link is attached with handle {handle}.")
        return link

    def _on_transfer(self, transfer: Transfer, payload: Buffer) -> None:
        self._next_incoming = (self._next_incoming + 1) % _SERIAL
        self._incoming_left -= 1
        link = self._link(transfer.handle)
        if not link.closing:
            try:
                link.on_transfer(transfer, payload)
            except LinkFailure as failure:
                link.fail(failure)
        if self._incoming_left <= SESSION_WINDOW // 2:
            self._incoming_left = SESSION_WINDOW
            self.send(write_flow(self.windows()))

    def _on_flow(self, flow: Flow) -> None:
        begun = 0 if flow.next_incoming_id is None else flow.next_incoming_id
        window = (begun + flow.incoming_window - self._next_outgoing) % _SERIAL
        # A window that the peer has shrunk below what is on the way counts as none.
        self._remote_window = 0 if window >= _SERIAL // 2 and flow.incoming_window < _SERIAL // 2 else window
        if flow.handle is not None:
            link = self._link(flow.handle)
            if not link.closing:
                link.on_flow(flow)
        elif flow.echo:
            self.send(write_flow(self.windows()))
        self.pump()

    def pump(self) -> None:
        """Let every link send what it may."""
        for link in list(self.links.values()):
            if not link.closing:
                link.pump()

    def _on_disposition(self, disposition: Disposition) -> None:
        """Everything is sent settled, so nothing waits for this; a peer that waits for ours in turn gets it."""
        if disposition.role and not disposition.settled:
            last = disposition.first if disposition.last is None else disposition.last
            self.send(write_disposition(disposition.first, last, accepted(), as_receiver=False))

    def _on_detach(self, detach: Detach) -> None:
        link = self._link(detach.handle)
        del self.links[detach.handle]
        if not link.closing:
            link.closing = True
            link.released()
            self.send(write_detach(detach.handle, closed=detach.closed))

    def _on_attach(self, attach: Attach) -> None:
        if attach.handle > HANDLE_MAX:
            raise ConnectionFailure(
                conditions.FRAMING, f"Handle {attach.handle} is above the handle-max of {HANDLE_MAX}."
            )
        known = self.links.get(attach.handle)
        if known is not None and not known.closing:
            raise SessionFailure(conditions.HANDLE_IN_USE, f"Handle {attach.handle} is in use.")
        try:
            link = self._make_link(attach)
            if isinstance(link, ConsumerLink):
                self.service.receivers.join(link)
        except (LinkFailure, DecodeError) as error:
            self._refuse(
                attach, error if isinstance(error, LinkFailure) else LinkFailure(conditions.DECODE, str(error))
            )
            return
        self.links[attach.handle] = link
        mode = _SETTLED if attach.role else min(attach.snd_settle_mode, _MIXED)
        self.send(write_attach(attach, refused=False, snd_settle_mode=mode, max_message_size=MAX_EVENT_BYTES))
        link.attached()

    def _refuse(self, attach: Attach, failure: LinkFailure) -> None:
        """An attach without source and target, then a detach that says why.

        A link that ignores everything keeps the handle until the peer lets go.
        """
        self.service.counters.add({"UserErrors": 1})
        self.send(write_attach(attach, refused=True, snd_settle_mode=_SETTLED, max_message_size=MAX_EVENT_BYTES))
        link = self.links[attach.handle] = Link(self, attach)
        link.fail(failure)

    def _make_link(self, attach: Attach) -> Link:
        terminus = read_terminus(attach.source, SOURCE) if attach.role else read_terminus(attach.target, TARGET)
        if terminus.address is None:
            raise LinkFailure(conditions.INVALID_FIELD, "The link names no address.")
        path = entity_path(terminus.address)
        if path in (CBS, MANAGEMENT):
            return ResponseLink(self, attach, path) if attach.role else RequestLink(self, attach, path)
        claim = LISTEN if attach.role else SEND
        if claim not in self.connection.claims(path):
            raise LinkFailure(conditions.UNAUTHORIZED, conditions.claims_required(claim, self.service.address(path)))
        hub, rest = self._entity(path)
        if not attach.role:
            return IngestLink(self, attach, path, claim, hub, self._partition(hub, rest, path) if rest else None)
        if len(rest) != 4 or rest[0].lower() != "consumergroups" or not hub.has_consumer_group(rest[1]):
            raise LinkFailure(conditions.NOT_FOUND, conditions.entity_not_found(self.service.address(path)))
        partition = self._partition(hub, rest[2:], path)
        self.service.watch(hub)
        after = starting_point(terminus.filters, hub, partition)
        return ConsumerLink(self, attach, path, claim, hub, (rest[1], partition, after))

    def _entity(self, path: str) -> tuple[Hub, list[str]]:
        name, *rest = path.split("/")
        hub = self.service.hub(name)
        if hub is None:
            raise LinkFailure(conditions.NOT_FOUND, conditions.entity_not_found(self.service.address(path)))
        if rest and rest[0].lower() == "publishers":
            raise LinkFailure(conditions.NOT_IMPLEMENTED, "Publisher endpoints are not supported.")
        return hub, rest

    def _partition(self, hub: Hub, rest: list[str], path: str) -> int:
        known = len(rest) == 2 and rest[0].lower() == "partitions" and rest[1].isascii() and rest[1].isdigit()
        if not known or int(rest[1][:6]) >= hub.partition_count:
            raise LinkFailure(conditions.NOT_FOUND, conditions.entity_not_found(self.service.address(path)))
        return int(rest[1])

    def response_link(self, node: str, reply_to: str | None) -> ResponseLink | None:
        """Where an answer of this node goes."""
        for session in (self, *self.connection.sessions()):
            for link in reversed(session.links.values()):
                if (
                    isinstance(link, ResponseLink)
                    and link.node == node
                    and not link.closing
                    and reply_to in (None, link.target)
                ):
                    return link
        return None
