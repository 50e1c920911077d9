"""What was seen before, from the local store alone: the snapshot of a moment, the turns of events, and lines of numbers.

No service is asked and no configuration is needed, so both faces answer with it at once, also where nothing can be reached. A moment at which nobody
looked is unknown, never as well as it was before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from lpmops.control import freshness
from lpmops.model import STAGES, Snapshot, Turn
from lpmops.store import samples, snapshots
from lpmops.store.connection import Store
from lpmops.store.snapshots import Change

# Old looks are thinned out to one in five minutes; what is older than that at the asked moment was a time without looking.
UNSEEN_AFTER = timedelta(minutes=6)
_RATES_REACH = timedelta(minutes=5)


class StoredPast:
    """The past of every environment in `store`; without a store there is none. Every method may raise StoreError."""

    def __init__(self, store: Store | None) -> None:
        self._store = store

    def extent(self, environment: str) -> tuple[datetime, datetime] | None:
        """The oldest and the newest moment that can be shown, None where nothing was kept."""
        return None if self._store is None else snapshots.extent(self._store, environment)

    def at(self, environment: str, moment: datetime) -> Snapshot | None:
        """What was known at `moment`: the newest snapshot that is not later (None before the first), with health unknown where nobody looked."""
        found = None if self._store is None else snapshots.at(self._store, environment, moment)
        return None if found is None else freshness.as_of(found, moment, UNSEEN_AFTER)

    def rates_until(self, environment: str, moment: datetime) -> Mapping[str, Sequence[float | None]]:
        """Events a second by stage over the minutes before `moment`, oldest first."""
        if self._store is None:
            return {}
        return {
            stage: [value for _, value in self.series(environment, f"{stage}.rate", moment - _RATES_REACH, moment)]
            for stage in STAGES
        }

    def turns(self, environment: str, start: datetime, end: datetime) -> Sequence[Turn]:
        """What became otherwise between two moments, oldest first."""
        if self._store is None:
            return ()
        found = snapshots.changes(self._store, environment, start, end)
        return [turn for change in found for turn in _turns(environment, change)]

    def series(self, environment: str, name: str, start: datetime, end: datetime) -> Sequence[tuple[datetime, float]]:
        """A series by its name, oldest first, at most some hundreds of points: a lag or latency at its highest, a rate at its mean."""
        if self._store is None:
            return ()
        return [(point.at, point.value) for point in samples.drawn(self._store, environment, name, start, end)]


def _turns(environment: str, change: Change) -> Iterator[Turn]:
    """The turns of one look: the health first, then what began, then what ended."""
    before, after = change.before, change.after
    if before.health is not after.health:
        yield Turn(change.at, environment, "health", after.health.value, after.health)
    for name in after.suspects:
        if name not in before.suspects:
            yield Turn(change.at, environment, "suspect", name, after.health)
    for name in before.suspects:
        if name not in after.suspects:
            yield Turn(change.at, environment, "suspect", name, after.health, began=False)
