"""The streaming job's way into the hub, and what may go wrong on it: events that are lost or come twice.

A lost event gets its number and comes to no reader, ever; a doubled one comes twice, as from a sender that never heard its answer. Called from the
stream's thread and from those of bounded runs; what is lost or doubled is decided when an event is sent, so that healing changes nothing of before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from lpmops.sandbox.hub import Appended, Hub, OutgoingEvent, ServerBusy
from lpmops.sandbox.lake import events as lake

# The hub's own words are "Please wait 4 seconds and try again" (error code 50002).
_BUSY_SECONDS = 4.0


class Sender:
    """Sends to one hub. `sent` counts the events that were given to it, however often each was sent."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._losing: frozenset[frozenset[str]] = frozenset()
        self._times = 1
        self.sent = 0

    def send(self, events: Sequence[lake.OutgoingEvent]) -> list[Appended]:
        """Send events. Raises ServerBusy with the seconds that the hub asks to wait, and what else the hub raises."""
        outgoing = [
            OutgoingEvent(b"", event.key) if self._loses(event.body) else OutgoingEvent.of(event.body, event.key)
            for event in events
            for _ in range(self._times)
        ]
        try:
            appended = self._hub.append(outgoing)
        except ServerBusy as busy:
            raise ServerBusy(min(busy.retry_after, _BUSY_SECONDS)) from None
        self.sent += len(events)
        return appended

    def _loses(self, body: bytes) -> bool:
        """Whether the hub gives this event to no reader."""
        if not (losing := self._losing):
            return False
        company = json.loads(body).get("info_companyid")
        return any(not companies or company in companies for companies in losing)

    def lose(self, companies: frozenset[str], on: bool) -> None:
        """Let the events of companies (all where none is named) get their numbers and come to no reader; what was lost stays lost."""
        self._losing = self._losing | {companies} if on else self._losing - {companies}

    def double(self, on: bool) -> None:
        """Send each event twice."""
        self._times = 2 if on else 1
