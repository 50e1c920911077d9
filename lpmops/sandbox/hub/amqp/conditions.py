"""What a refusal says: AMQP error conditions, the service's own words, and how far the damage goes.

A failure is raised where the fact is known and answered where its scope ends: Rejection settles one message,
LinkFailure detaches one link, SessionFailure ends one session, ConnectionFailure closes the connection. The texts are
those of the real service as people have posted them (threads of Azure/azure-sdk-for-python, -java, -js, -net,
azure-event-hubs-*); what has no such evidence is marked assumed.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from lpmops.sandbox.hub.amqp.codec import Described, Symbol, ULong

INTERNAL = "amqp:internal-error"
NOT_FOUND = "amqp:not-found"
UNAUTHORIZED = "amqp:unauthorized-access"
DECODE = "amqp:decode-error"
RESOURCE_LIMIT = "amqp:resource-limit-exceeded"
NOT_ALLOWED = "amqp:not-allowed"
INVALID_FIELD = "amqp:invalid-field"
NOT_IMPLEMENTED = "amqp:not-implemented"
RESOURCE_DELETED = "amqp:resource-deleted"
ILLEGAL_STATE = "amqp:illegal-state"
FORCED = "amqp:connection:forced"
FRAMING = "amqp:connection:framing-error"
HANDLE_IN_USE = "amqp:session:handle-in-use"
UNATTACHED_HANDLE = "amqp:session:unattached-handle"
MESSAGE_SIZE = "amqp:link:message-size-exceeded"
STOLEN = "amqp:link:stolen"
SERVER_BUSY = "com.microsoft:server-busy"
ARGUMENT_ERROR = "com.microsoft:argument-error"


class AmqpFailure(Exception):
    """A condition and its description, on their way to the peer."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(f"{condition}: {description}")
        self.condition = condition
        self.description = description

    def encoded(self) -> Described:
        """The AMQP error; all three fields are present because Microsoft's Python client indexes them."""
        return Described(_ERROR, [Symbol(self.condition), self.description, None])


class ConnectionFailure(AmqpFailure):
    """Closes the connection."""


class SessionFailure(AmqpFailure):
    """Ends the session."""


class LinkFailure(AmqpFailure):
    """Refuses or detaches the link."""


class Rejection(AmqpFailure):
    """Rejects one message."""


_ERROR = ULong(0x1D)


def tracked(text: str, now: datetime, system: str) -> str:
    """The description with the tail that support asks for."""
    return f"{text} TrackingId:{uuid.uuid4()}_B0, SystemTracker:{system}, Timestamp:{now:%Y-%m-%dT%H:%M:%S}"


def entity_not_found(address: str) -> str:
    """No such hub, partition or consumer group (azure-event-hubs-node #133 for the first sentence)."""
    return f"The messaging entity '{address}' could not be found. To know more visit https://aka.ms/sbResourceMgrExceptions."


def claims_required(claim: str, address: str) -> str:
    """The identity may not do this here."""
    return f"Unauthorized access. '{claim}' claim(s) are required to perform this operation. Resource: '{address}'."


def server_busy() -> str:
    """Throttled (azure-event-hubs-spark #576)."""
    return (
        "The request was terminated because the entity is being throttled. Error code : 50002. Please wait 4 seconds and try again. "
        "To know more visit https://aka.ms/sbResourceMgrExceptions"
    )


def message_too_large(delivery_id: int, size: int, limit: int) -> str:
    """A publication above the link's limit (azure-event-hubs-python #106)."""
    return (
        f"The received message (delivery-id:{delivery_id}, size:{size} bytes) exceeds the limit ({limit} bytes) "
        "currently allowed on the link."
    )


def too_many_receivers(limit: int, names: list[str]) -> str:
    """A sixth receiver without epoch (MicrosoftDocs/azure-docs #24985: the condition is amqp:resource-limit-exceeded)."""
    listed = ", ".join(names)
    return (
        f"Exceeded the maximum number of allowed receivers per partition in a consumer group which is {limit}. "
        f"List of connected receivers - {listed}."
    )


def receiver_stolen(new: str, new_epoch: int, old: str, old_epoch: int | None) -> str:
    """A receiver loses its partition to one of the same or a higher epoch (azure-sdk-for-js #25940)."""
    # What is said to a receiver without epoch is assumed.
    old_text = "" if old_epoch is None else old_epoch
    return (
        f"New receiver '{new}' with higher epoch of '{new_epoch}' is created hence current receiver '{old}' with epoch "
        f"'{old_text}' is getting disconnected. If you are recreating the receiver, make sure a higher epoch is used."
    )


def epoch_too_low(old: str, old_epoch: int, new: str, new_epoch: int) -> str:
    """A receiver of a lower epoch is refused (azure-sdk-for-java #26583)."""
    return (
        f"Receiver '{old}' with a higher epoch '{old_epoch}' already exists. Receiver '{new}' with epoch {new_epoch} "
        "cannot be created. Make sure you are creating receiver with increasing epoch value to ensure connectivity, or "
        "ensure all old epoch receivers are closed or disconnected."
    )


def epoch_required(epoch: int) -> str:
    """A receiver without epoch is refused where one with epoch reads (azure-event-hubs-go #181)."""
    return (
        f"At least one receiver for the endpoint is created with epoch of '{epoch}', and so non-epoch receiver is not "
        "allowed. Either reconnect with a higher epoch, or make sure all epoch receivers are closed or disconnected."
    )


def position_invalid(kind: str, given: str, last: str) -> str:
    """A start beyond the end (azure-event-hubs-python #13 for offsets; the like for sequence numbers is assumed)."""
    return f"The supplied {kind} '{given}' is invalid. The last {kind} in the system is '{last}'"


def idle(milliseconds: int) -> str:
    """A connection on which nothing came for too long."""
    return f"The connection was inactive for more than the allowed {milliseconds} milliseconds and is closed by container 'LinkTracker'."
