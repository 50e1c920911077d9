"""What every connection of one namespace shares: the hubs, the gate, the receivers, the counters and the limits it announces.

The limits are those that the service announces (frames of 65,536 bytes, 5,000 channels, sessions of 5,000 transfers,
256 handles, 300 credits); read from traces in Azure/azure-event-hubs-go #121 and azure-sdk-for-python issues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub.amqp.conditions import tracked
from lpmops.sandbox.hub.amqp.receivers import Receivers
from lpmops.sandbox.hub.amqp.tokens import Gatekeeper
from lpmops.sandbox.hub.counters import Counters
from lpmops.sandbox.hub.log import Hub

MAX_FRAME_SIZE = 65_536
CHANNEL_MAX = 4_999
HANDLE_MAX = 255
SESSION_WINDOW = 5_000
SENDER_CREDIT = 300


@dataclass(frozen=True, slots=True)
class Service:
    """The shared part of a namespace; `watch` makes sure that appends to a hub wake its receivers."""

    name: str
    hubs: Mapping[str, Hub]
    gate: Gatekeeper
    counters: Counters
    clock: Clock
    idle_milliseconds: int
    watch: Callable[[Hub], None]
    receivers: Receivers = field(default_factory=Receivers)

    def hub(self, name: str) -> Hub | None:
        """A hub by name; case does not matter."""
        found = self.hubs.get(name)
        return found or next((hub for key, hub in self.hubs.items() if key.lower() == name.lower()), None)

    def address(self, path: str) -> str:
        """How an entity is called in a description."""
        return f"sb://{self.name}/{path}"

    def tracked(self, text: str) -> str:
        """A description with the tail that support asks for."""
        return tracked(text, self.clock.now(), self.name)
