"""Who reconciles an environment from this machine: one at a time, and a person before what runs by itself.

Two that look at once would judge by what the other has just replaced. Whoever takes turns holds the lease for a turn; a person takes it at once, also
from another. Whoever lost it ends at the next statement, page or note, and notes nothing more. A lease that has lapsed and that nobody took is still
one's own. Over a store that can't be written there is nothing to share.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from lpmops.control.remedies import command
from lpmops.errors import LockedError, StoreError
from lpmops.store import lease
from lpmops.store.connection import Store

# Between two renewals lie a few statements of ninety seconds at the worst.
_SECONDS = 600.0
# What was renewed so lately is looked at, and not written again.
_FRESH = timedelta(seconds=30)


class TakenAwayError(LockedError):
    """Somebody else has begun to look: what this one has read may be older than what is noted by now."""

    code = "reconcile.overtaken"


class Lease:
    """The lease of an environment for one who looks at it from this machine."""

    def __init__(self, store: Store, environment: str, now: Callable[[], datetime]) -> None:
        self._store, self._environment, self._now = store, environment, now
        self._name, self._owner = f"reconcile {environment}", f"{os.getpid()}-{uuid.uuid4()}"
        self._renewed: datetime | None = None

    def take(self) -> bool:
        """Take it for a turn; False where somebody else holds it. Raises StoreError."""
        now = self._now()
        taken = lease.take(self._store, self._name, self._owner, now, _SECONDS)
        self._renewed = now if taken else None
        return taken

    def take_ahead(self) -> None:
        """Take it from whoever holds it. Raises StoreError."""
        with self._store.writing():
            holder = lease.holder(self._store, self._name, self._now())
            if holder is not None:
                lease.release(self._store, self._name, holder)
            self.take()

    def renew(self) -> None:
        """Go on holding it, for another ten minutes. Raises TakenAwayError where another took it, be it that it is free again."""
        # A store that is locked for a moment ends no look: what is noted next says so if it lasts.
        with contextlib.suppress(StoreError):
            if not self._keeps():
                raise TakenAwayError(
                    f"Another reconciliation of {self._environment} began on this machine and took the place of this one. "
                    "What this one had looked at is remembered.",
                    hint=f"Go on where this one was: {command('lpmops', 'reconcile', '-e', self._environment)}",
                )

    def _keeps(self) -> bool:
        if self._renewed is not None and abs(self._now() - self._renewed) < _FRESH:
            return lease.taker(self._store, self._name) == self._owner
        with self._store.writing():
            return lease.taker(self._store, self._name) == self._owner and self.take()

    def release(self) -> None:
        """Give it back, as far as the store can be written."""
        with contextlib.suppress(StoreError):
            lease.release(self._store, self._name, self._owner)


@contextmanager
def ahead(store: Store, environment: str, now: Callable[[], datetime]) -> Iterator[Callable[[], None]]:
    """Hold the lease ahead of whoever takes turns or looks; gives what renews it. Raises StoreError."""
    if not store.writable:
        yield lambda: None
        return
    held = Lease(store, environment, now)
    held.take_ahead()
    try:
        yield held.renew
    finally:
        held.release()
