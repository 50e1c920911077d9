"""The hub's newest events for somebody who looks again and again: each look adds what has come, and nobody looking for a while ends the reading.

A consumer group has room for five readers of a partition, so none is held longer than somebody looks. Bounded, masked, safe from any thread.
"""

from __future__ import annotations

import threading
from collections import deque

from lpmops.config import Routing
from lpmops.control import hubevents
from lpmops.control.hubevents import Following, Wanted
from lpmops.control.sources import HubPartitions
from lpmops.errors import LpmopsError
from lpmops.model import HubEvent

KEPT = 200
IDLE_SECONDS = 20.0
_TAKE_SECONDS = 0.3
_ROUNDS = 8


class HubWatch:
    """The events of one company, or of all, of one hub."""

    def __init__(
        self, hub: HubPartitions, company_id: str | None, routing: Routing, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._hub, self._routing, self._idle_seconds = hub, routing, idle_seconds
        self._wanted = Wanted(company_id, last=KEPT)
        self._held: deque[HubEvent] = deque(maxlen=KEPT)
        self._following: Following | None = None
        self._ending: threading.Timer | None = None
        self._lock = threading.Lock()

    def look(self) -> tuple[HubEvent, ...]:
        """The newest events, newest first. Raises lpmops.errors types; the next look then begins anew."""
        with self._lock:
            if self._ending is not None:
                self._ending.cancel()
            try:
                self._read()
            except LpmopsError:
                self._stop()
                raise
            self._ending = threading.Timer(self._idle_seconds, self.close)
            self._ending.daemon = True
            self._ending.start()
            return tuple(reversed(self._held))

    def close(self) -> None:
        """Let go of the readers; a later look begins anew."""
        with self._lock:
            if self._ending is not None:
                self._ending.cancel()
            self._stop()

    def _read(self) -> None:
        if self._following is None:
            found = hubevents.newest(self._hub, self._wanted, self._routing)
            self._held.clear()
            self._held.extend(found.events)
            self._following = Following(self._hub, self._wanted, self._routing, found.ends)
            return
        for number in range(_ROUNDS):
            looked_at = self._following.looked_at
            self._held.extend(self._following.take(0.0 if number else _TAKE_SECONDS))
            if self._following.looked_at == looked_at:
                return

    def _stop(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.close()
