"""The two nodes that answer requests: `$cbs` takes tokens, `$management` tells of hubs and partitions.

A request comes on one link and its answer goes on another to the same node: the one whose target the request names in
reply-to, else the newest of the same session. Anything but put-token and READ is refused by name. Source: OASIS AMQP
CBS 1.0; `_client_base.py` and `_pyamqp/cbs.py` in azure-eventhub 5.15.1 for names and types of the fields;
azure-event-hubs-node #133 for the shape of the answers.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from lpmops.sandbox.hub.amqp import conditions
from lpmops.sandbox.hub.amqp.codec import Array, Int, Symbol, Timestamp
from lpmops.sandbox.hub.amqp.conditions import Rejection
from lpmops.sandbox.hub.amqp.links import IncomingLink, OutgoingLink
from lpmops.sandbox.hub.amqp.message import Request, read_request, response
from lpmops.sandbox.hub.amqp.performatives import TARGET, Attach, read_terminus
from lpmops.sandbox.hub.amqp.tokens import TokenRefused, entity_path
from lpmops.sandbox.hub.log import Hub
from lpmops.sandbox.hub.model import NEVER_MS, UnknownPartition

if TYPE_CHECKING:
    from lpmops.sandbox.hub.amqp.session import Session

CBS, MANAGEMENT = "$cbs", "$management"
_HUB_TYPE, _PARTITION_TYPE = "com.microsoft:eventhub", "com.microsoft:partition"
# A peer that asks and does not read its answers.
_MAX_WAITING = 1000


class ResponseLink(OutgoingLink):
    """A link on which a node answers."""

    def __init__(self, session: Session, attach: Attach, node: str) -> None:
        super().__init__(session, attach, node, None)
        self.node = node
        self.target = read_terminus(attach.target, TARGET).address
        self._waiting: deque[bytes] = deque()

    def answer(self, message: bytes) -> None:
        """Send an answer as soon as the peer has credit for it. Raises Rejection where too many wait."""
        if len(self._waiting) >= _MAX_WAITING:
            raise Rejection(conditions.RESOURCE_LIMIT, "Too many answers wait to be read.")
        self._waiting.append(message)
        self.pump()

    def pump(self) -> None:
        """Send what waits."""
        while self.flush() and self._waiting and self._credit > 0 and self.session.has_window:
            self.deliver(self._waiting.popleft())
        if not self._waiting:
            self.drained()


class RequestLink(IncomingLink):
    """A link on which a peer asks a node."""

    def __init__(self, session: Session, attach: Attach, node: str) -> None:
        super().__init__(session, attach, node, None)
        self._node = node

    def take(self, message_format: int, message: bytes) -> None:
        """Answer one request."""
        del message_format
        request = read_request(message)
        link = self.session.response_link(self._node, request.reply_to)
        if link is None:
            raise Rejection(
                conditions.NOT_ALLOWED, f"No link from {self._node} is attached that could take the answer."
            )
        link.answer(_put_token(self.session, request) if self._node == CBS else _manage(self.session, request))


def _status(request: Request, code: int, text: str, value: Any = None, condition: str | None = None) -> bytes:
    properties: dict[str, Any] = {"status-code": Int(code), "status-description": text}
    if condition is not None:
        properties["error-condition"] = Symbol(condition)
    return response(request.message_id, properties, value)


def _put_token(session: Session, request: Request) -> bytes:
    operation, token_type, audience = (request.properties.get(name) for name in ("operation", "type", "name"))
    if operation != "put-token":
        return _status(request, 400, f"The operation '{str(operation)[:60]}' is not supported.")
    token = request.value.decode("utf-8", "replace") if isinstance(request.value, bytes) else request.value
    if not isinstance(token_type, str) or not isinstance(audience, str) or not isinstance(token, str):
        return _status(request, 400, "put-token needs a type, a name and a token.")
    service = session.service
    try:
        grant = service.gate.grant(token_type, token, audience)
        hub = entity_path(audience).partition("/")[0]
        if hub and service.hub(hub) is None:
            raise TokenRefused(conditions.entity_not_found(service.address(hub)), 404)
    except TokenRefused as refused:
        # No error-condition: with one, Microsoft's Python client loses the status and its text.
        service.counters.add({"UserErrors": 1})
        return _status(request, refused.status, service.tracked(str(refused)))
    session.connection.admit(grant)
    return _status(request, 202, "Accepted")


def _manage(session: Session, request: Request) -> bytes:
    operation, entity_type, name, partition = (
        request.properties.get(key) for key in ("operation", "type", "name", "partition")
    )
    if operation != "READ" or entity_type not in (_HUB_TYPE, _PARTITION_TYPE):
        text = f"The operation '{str(operation)[:60]}' on type '{str(entity_type)[:60]}' is not supported."
        return _status(request, 501, text, condition=conditions.NOT_IMPLEMENTED)
    service = session.service
    hub = service.hub(name) if isinstance(name, str) else None
    if hub is None:
        service.counters.add({"UserErrors": 1})
        text = service.tracked(conditions.entity_not_found(service.address(str(name)[:200])))
        return _status(request, 404, text, condition=conditions.NOT_FOUND)
    if not session.connection.claims(hub.name):
        hub.counters.add({"UserErrors": 1})
        text = service.tracked(conditions.claims_required("Manage,Listen", service.address(hub.name)))
        return _status(request, 401, text, condition=conditions.UNAUTHORIZED)
    if entity_type == _HUB_TYPE:
        return _status(request, 200, "OK", _describe_hub(hub))
    try:
        return _status(request, 200, "OK", _describe_partition(hub, partition))
    except (ValueError, UnknownPartition):
        hub.counters.add({"UserErrors": 1})
        # Assumed: the text for a partition that does not exist.
        text = service.tracked(
            f"The specified partition is invalid for an EventHub partition sender or receiver: '{str(partition)[:20]}'."
        )
        return _status(request, 404, text, condition=conditions.NOT_FOUND)


def _describe_hub(hub: Hub) -> dict[str, Any]:
    return {
        "name": hub.name,
        "type": _HUB_TYPE,
        "created_at": Timestamp(round(hub.created_at.timestamp() * 1000)),
        "partition_count": Int(hub.partition_count),
        "partition_ids": Array(0xA1, tuple(str(number) for number in range(hub.partition_count))),
    }


def _describe_partition(hub: Hub, partition: Any) -> dict[str, Any]:
    now = hub.partition(int(partition) if isinstance(partition, str) else -1)
    last_ms = NEVER_MS if now.last_enqueued_at is None else round(now.last_enqueued_at.timestamp() * 1000)
    return {
        "name": hub.name,
        "type": _PARTITION_TYPE,
        "partition": str(now.partition),
        "begin_sequence_number": now.beginning_sequence_number,
        "last_enqueued_sequence_number": now.last_enqueued_sequence_number,
        "last_enqueued_offset": now.last_enqueued_offset,
        "last_enqueued_time_utc": Timestamp(last_ms),
        "is_partition_empty": now.is_empty,
    }
