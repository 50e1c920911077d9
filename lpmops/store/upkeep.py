"""The hourly upkeep of an environment's history: seal what is past, drop what is too old."""

from __future__ import annotations

from datetime import datetime

from lpmops.store import marks, samples, snapshots
from lpmops.store.connection import Store


def keep(store: Store, environment: str, now: datetime, keep_days: int, *, expiring: bool = True) -> None:
    """Seal everything of one environment, and drop what is too old unless `now` can't be trusted for that (`expiring`). Raises StoreError."""
    samples.seal(store, environment, now)
    marks.seal(store, environment, now)
    if not expiring:
        return
    samples.expire(store, environment, now, keep_days)
    marks.expire(store, environment, now, keep_days)
    snapshots.expire(store, environment, now, keep_days)
