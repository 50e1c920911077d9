"""What the app needs from the rest of lpmops, as a protocol.

The app is given one `SnapshotFeed` and nothing else: no store, no poller, no SDK. `environments` and `now` answer
from memory; every other method may block or hang, so the app calls them on daemon threads only. `subscribe`'s
callback may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lpmops.model import Kind, Snapshot


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as old and as late, in seconds: `refresh` between two looks, `latency` promised, `stretch` wished for."""

    refresh: float = 5.0
    latency: float = 60.0
    stretch: float = 15.0


class SnapshotFeed(Protocol):
    """Snapshots of every environment, newest first paint from the store and then live."""

    def environments(self) -> Sequence[tuple[str, Kind]]:
        """The configured environments in the order they are drawn; from memory."""
        ...

    def now(self) -> datetime:
        """The aware UTC time that ages are counted to; from memory."""
        ...

    def latest(self, environment: str) -> Snapshot | None:
        """The last snapshot in the local store, or None; no service is asked."""
        ...

    def rates(self, environment: str) -> Mapping[str, Sequence[float | None]]:
        """Recent events a second by stage, oldest first, as recorded in the local store; empty where nothing is."""
        ...

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Calls `callback` with every new snapshot, from any thread, until the returned function is called."""
        ...

    def refresh(self, environment: str) -> None:
        """Asks for a new snapshot now; it arrives through the subscription."""
        ...

    def close(self) -> None:
        """Ends the reading. The app does not wait for it."""
        ...
