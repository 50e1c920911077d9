"""Who reconciles an environment from this machine: one at a time, and a person before what runs by itself.

Two that look at once would judge by what the other has just replaced. Whoever takes turns holds the lease for a turn, and gives the turn up before
the next span where it was taken away; a person takes it at once. Over a store that can't be written there is nothing to share.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from lpmops.errors import StoreError
from lpmops.store import lease
from lpmops.store.connection import Store

# A span is two statements of ninety seconds at the worst; the lease is renewed before each.
_SECONDS = 600.0


def new_owner() -> str:
    """A name that no other has."""
    return f"{os.getpid()}-{uuid.uuid4()}"


def take(store: Store, environment: str, owner: str, now: datetime) -> bool:
    """Take or renew the lease; False where somebody else holds it. Raises StoreError."""
    return lease.take(store, _name(environment), owner, now, _SECONDS)


def keeps(store: Store, environment: str, owner: str, now: datetime) -> bool:
    """Renew the lease; False where it was taken away, be it that it is free again. Raises StoreError."""
    return lease.holder(store, _name(environment), now) == owner and take(store, environment, owner, now)


def release(store: Store, environment: str, owner: str) -> None:
    """Give it back, as far as the store can be written."""
    with contextlib.suppress(StoreError):
        lease.release(store, _name(environment), owner)


@contextmanager
def ahead(store: Store, environment: str, now: Callable[[], datetime]) -> Iterator[Callable[[], None]]:
    """Hold the lease ahead of whoever takes turns; gives what renews it. Raises StoreError."""
    if not store.writable:
        yield lambda: None
        return
    owner, name = new_owner(), _name(environment)
    with store.writing():
        holder = lease.holder(store, name, now())
        if holder is not None:
            lease.release(store, name, holder)
        take(store, environment, owner, now())

    def renew() -> None:
        # A store that is locked for a moment ends no look of a person.
        with contextlib.suppress(StoreError):
            take(store, environment, owner, now())

    try:
        yield renew
    finally:
        release(store, environment, owner)


def _name(environment: str) -> str:
    return f"reconcile {environment}"
