"""Everything the app asks of its feed, on daemon threads, and the answers as changes to a view.

A `Change` is a function from an environment's view to its next one, so that whatever a thread learns is applied by
the loop and nothing is shared. A fault stays with the environment it was met in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from lpmops.model import Snapshot
from lpmops.tui.aside import Aside
from lpmops.tui.faults import report, sentence_of
from lpmops.tui.feed import SnapshotFeed
from lpmops.tui.inbox import Inbox
from lpmops.tui.view import EnvironmentView, with_history, with_snapshot

_CLOSING = 0.25


@dataclass(frozen=True, slots=True)
class Change:
    """What became known of one environment. `live` where it came from the subscription, which a held display keeps back."""

    environment: str
    apply: Callable[[EnvironmentView], EnvironmentView]
    live: bool = False


class Reader:
    """Reads a feed. `failed` is called on a working thread with what was being done and the error, where no environment's view can say it."""

    def __init__(self, feed: SnapshotFeed, wake: Callable[[], None], failed: Callable[[str, Exception], None]) -> None:
        self._feed = feed
        self._aside = Aside(failed)
        self._unsubscribe: Callable[[], None] | None = None
        self.inbox: Inbox[Change] = Inbox(wake)

    def read_store(self, environment: str) -> None:
        """Starts reading what the local store knows of `environment`."""
        self._aside.run(f"reading the local store for {environment}", partial(self._read_store, environment))

    def subscribe(self) -> None:
        """Starts following the feed, unless that was done; a feed that refused is asked again at the next call."""
        if self._unsubscribe is None:
            self._aside.run("following the environments", self._subscribe)

    def refresh(self, environment: str) -> bool:
        """Asks for a new snapshot; False where an earlier request is still under way."""
        return self._aside.run(f"refreshing {environment}", partial(self._refresh, environment))

    def close(self) -> None:
        """Ends the reading, waiting only a moment for it."""
        self._aside.run("closing", self._close)
        self._aside.wait("closing", _CLOSING)

    def _read_store(self, environment: str) -> None:
        try:
            snapshot = self._feed.latest(environment)
            rates = {name: tuple(values) for name, values in self._feed.rates(environment).items()}
        except Exception as error:  # noqa: BLE001 the edge of a thread: the fault is logged, and shown in its environment
            sentence = sentence_of("the local store", error)
            self._put(
                "store", environment, lambda view: replace(view, fault="" if view.live else sentence, settled=True)
            )
            report(None, f"reading the local store for {environment}", error)
            return

        def apply(view: EnvironmentView) -> EnvironmentView:
            known = with_history(view, rates)
            # A live snapshot that was quicker than the store is the truth.
            return (
                replace(known, settled=True)
                if view.live or snapshot is None
                else with_snapshot(known, snapshot, live=False)
            )

        self._put("store", environment, apply)

    def _subscribe(self) -> None:
        self._unsubscribe = self._feed.subscribe(self._arrived)

    def _arrived(self, snapshot: Snapshot) -> None:
        self._put("live", snapshot.environment, lambda view: with_snapshot(view, snapshot), live=True)

    def _refresh(self, environment: str) -> None:
        self._put("asked", environment, lambda view: replace(view, reading=True))
        try:
            self._feed.refresh(environment)
        except Exception as error:  # noqa: BLE001 the edge of a thread: the fault is logged, and shown in its environment
            sentence = sentence_of("the refresh failed", error)
            self._put("refused", environment, lambda view: replace(view, fault=sentence))
            report(None, f"refreshing {environment}", error)
        finally:
            self._put("answered", environment, lambda view: replace(view, reading=False))

    def _close(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._feed.close()

    def _put(
        self, what: str, environment: str, apply: Callable[[EnvironmentView], EnvironmentView], *, live: bool = False
    ) -> None:
        self.inbox.put((what, environment), Change(environment, apply, live))
