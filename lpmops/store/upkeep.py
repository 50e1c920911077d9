"""The hourly upkeep of an environment's history: seal what is past, drop what is too old."""

from __future__ import annotations

import math
from datetime import datetime

from lpmops.store import marks, sealing, snapshots
from lpmops.store.connection import Store


def keep(
    store: Store, environment: str, now: datetime, keep_days: int, *, expiring: bool = True, seconds: float = math.inf
) -> bool:
    """Seal everything of one environment, and drop what is too old unless `now` can't be trusted for that (`expiring`).

    True when all is done, False where about `seconds` were not enough: go on with it after the next look. Raises StoreError.
    """
    if not sealing.seal(store, environment, now, seconds):
        return False
    marks.seal(store, environment, now)
    if expiring:
        sealing.expire(store, environment, now, keep_days)
        marks.expire(store, environment, now, keep_days)
        snapshots.expire(store, environment, now, keep_days)
    return True
