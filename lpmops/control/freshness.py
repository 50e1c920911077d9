"""What may still be said of an environment when the newest look is old or failed: its values with their age, never that it is healthy.

Kept apart from the collector, so that answering from the store loads nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lpmops.model import Health, Snapshot

STORED_LIMIT = timedelta(seconds=60)


def as_of(snapshot: Snapshot, now: datetime, limit: timedelta = STORED_LIMIT) -> Snapshot:
    """The snapshot, with every health unknown where it is older than `limit`, or from a future that a clock set back made."""
    return snapshot if abs(now - snapshot.taken_at) <= limit else unknown(snapshot)


def unknown(snapshot: Snapshot) -> Snapshot:
    """The same values with nothing claimed about how things are."""
    stages = {name: replace(stage, health=Health.UNKNOWN) for name, stage in snapshot.stages.items()}
    return replace(snapshot, health=Health.UNKNOWN, stages=stages)


def fall_back(live: Snapshot, stored: Snapshot | None) -> Snapshot:
    """What is known when a live look found nothing: the stored values, and from the live look why it found nothing; never how things are."""
    if stored is None:
        return unknown(live)
    return replace(
        unknown(stored), suspects=live.suspects, credential=live.credential, calls=live.calls, seconds=live.seconds
    )
