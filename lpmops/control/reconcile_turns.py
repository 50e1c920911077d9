"""Reconciles an environment by itself, beside whoever looks at it: turn after turn at a low rate, in a thread of its own.

A turn looks at what was committed and has settled since the last one, a bounded part of it, and now and then once more at what was proven before, as
rows can be taken away afterwards. One process of a machine takes the turns of an environment, by a lease. A turn gives way while a source fails, and
starts no warehouse that stands. What it finds are proofs and open gaps in the store, which the next look reads; no look waits for a turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, cast

from lpmops.config import Config, Environment
from lpmops.control import reconcile_standing as standings
from lpmops.control.collect import utc_now
from lpmops.control.hands import StopRequest
from lpmops.control.reconcile_lease import Lease, TakenAwayError
from lpmops.control.reconcile_range import LANDING
from lpmops.control.reconcile_standing import Standing
from lpmops.control.reconciled import Asked, Reconciliation
from lpmops.control.shared import whole
from lpmops.control.sources import EnvironmentServices
from lpmops.errors import LpmopsError
from lpmops.model import Health, Snapshot
from lpmops.store import proofs
from lpmops.store.connection import Store
from lpmops.store.proofs import EVERY_COMPANY
from lpmops.versions import Versions, within, without

if TYPE_CHECKING:
    from lpmops.services.cloud import EnvironmentServices as Bundle

Opener = Callable[[Environment, float], EnvironmentServices]
# What one turn reads at most: spans of a quarter of a million rows, or two thousand versions.
SPANS_A_TURN = 4
_SPAN_OF_VERSIONS = 2_000
# The first looks go first, so that what is seen at a start is not held up.
_FIRST_SECONDS, _GLANCE_SECONDS = 15.0, 10.0
_LONGEST_BACK_OFF, _STALE = timedelta(hours=1), timedelta(minutes=2)
_TROUBLES = frozenset({"sql.unreachable", "sql.throttled", "sql.paused", "auth.expired", "auth.forbidden"})
# In what health of a stage no turn is taken: the source and what landed must be readable, and what is late anywhere would be taken for lost.
_WAITED_FOR: Mapping[str, tuple[Health, ...]] = {
    "cdf": (Health.UNKNOWN,),
    "eventhub": (Health.DEGRADED,),
    "asa": (Health.DEGRADED, Health.DOWN, Health.UNKNOWN),
    "sql": (Health.DEGRADED, Health.DOWN, Health.UNKNOWN),
}
_STANDING_WAREHOUSE = frozenset({"STOPPED", "STOPPING", "DELETING", "DELETED"})


class Watcher(Protocol):
    """Who looks at an environment all the time."""

    @property
    def environment(self) -> Environment:
        """Which one."""
        ...

    @property
    def latest(self) -> Snapshot | None:
        """What was seen last; None before the first look."""
        ...


class ReconcileTurns:
    """The turns of the environment that `watcher` looks at; `warning` is what a face should tell about the turns themselves."""

    def __init__(
        self,
        watcher: Watcher,
        config: Config,
        store: Store | None,
        *,
        opener: Opener,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.warning = ""
        self._watcher, self._environment, self._config, self._store = watcher, watcher.environment, config, store
        self._opener, self._now = opener, now
        self._turn_ends, self._woken = StopRequest(), threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"lpmops-reconcile-{self._environment.name}", daemon=True
        )

    def start(self) -> None:
        """Begin to take turns, unless they are switched off or could not be remembered."""
        if self._config.reconcile.interval and self._store is not None and self._store.writable:
            self._thread.start()

    def close(self) -> None:
        """End after the statement that is under way; nobody waits for it."""
        self._woken.set()
        self._turn_ends.requested = True

    def _run(self) -> None:
        seconds = _FIRST_SECONDS
        while not self._woken.wait(seconds):
            try:
                self.take_turn()
                self.warning = ""
            except LpmopsError as error:
                self.warning = f"{error.message} {error.hint}".strip()
            except Exception as error:  # noqa: BLE001 - the edge of the thread: said to the face, tried again
                self.warning = f"lpmops failed to reconcile {self._environment.name}: {type(error).__name__}: {error}"
            seconds = _GLANCE_SECONDS

    def take_turn(self) -> Standing | None:
        """Take a turn where one is due and no other process takes it; what is known afterwards, None where it was not taken. Raises StoreError."""
        store, name = self._store, self._environment.name
        if store is None or not self._config.reconcile.interval:
            return None
        now, before = self._now(), standings.recall(store, name)
        if before is not None and not self._is_due(before, now):
            return None
        lease = Lease(store, name, self._now)
        if not lease.take():
            return None
        self._turn_ends.requested = self._woken.is_set()
        try:
            after = self._turn(store, lease, before or Standing(now), now)
            if after != before:
                standings.keep(store, name, after)
            return after
        finally:
            lease.release()

    def _is_due(self, before: Standing, now: datetime) -> bool:
        """A turn from a future that a clock set back made is no reason to wait for it."""
        return before.next_at is None or before.next_at <= now or before.at > now

    def _turn(self, store: Store, lease: Lease, known: Standing, now: datetime) -> Standing:
        newest = self._watcher.latest
        if (trouble := in_the_way(newest, now)) is not None:
            return replace(known, trouble=trouble)
        fresh = self._is_anything_new(store, known, newest)
        if not fresh and self._window(store, known) is None:
            return replace(known, at=now, next_at=now + self._interval, statements=0, seconds=0.0, trouble="")
        services = self._opener(self._environment, self._config.refresh.deadline)
        try:
            bundle = cast("Bundle", whole(services))
            state = str(bundle.databricks.warehouse().get("state") or "")
            if state.upper() in _STANDING_WAREHOUSE:
                why = f"the warehouse is {state.lower()}, and is not started for this"
                return replace(known, trouble=why, next_at=now + self._interval)
            return self._looked(store, lease, bundle, known, fresh=fresh)
        except TakenAwayError:
            return replace(known, trouble="somebody looks at this moment", next_at=now + LANDING)
        except LpmopsError as error:
            failures = known.failures + 1
            back_off = min(self._interval * 2 ** min(failures, 10), max(_LONGEST_BACK_OFF, self._interval))
            return replace(known, trouble=error.message, failures=failures, next_at=now + back_off)
        finally:
            services.close()

    @property
    def _interval(self) -> timedelta:
        return timedelta(seconds=self._config.reconcile.interval)

    def _is_anything_new(self, store: Store, known: Standing, newest: Snapshot | None) -> bool:
        """Whether there may be versions that nobody looked at, or a gap is open that may have been filled."""
        if known.proven is None or known.left:
            return True
        if any(gap.repairable or not gap.missing for gap in proofs.gaps(store, self._environment.name, known.table_id)):
            return True
        return newest is None or newest_version(newest) != known.proven.last

    def _window(self, store: Store, known: Standing) -> Versions | None:
        """What is due to be looked at once more: the proven versions below those of the last time, and after the oldest the newest again.

        What is known to be unreadable is no part of it.
        """
        pause, now = self._config.reconcile.again_interval, self._now()
        remembered = proofs.read(store, self._environment.name, known.table_id)
        proven = without(remembered.of(EVERY_COMPANY), (each.versions for each in remembered.unreadable))
        if not pause or not proven or known.again_at is None:
            return None
        if timedelta(0) <= now - known.again_at < timedelta(seconds=pause):
            return None
        last = known.again.first - 1 if known.again is not None else -1
        below = within(proven, Versions(0, last)) if last >= 0 else ()
        newest = (below or proven)[-1]
        return Versions(max(newest.first, newest.last - _SPAN_OF_VERSIONS + 1), newest.last)

    def _looked(self, store: Store, lease: Lease, services: Bundle, known: Standing, *, fresh: bool) -> Standing:
        found: list[Reconciliation] = []
        settled: Versions | None = None
        waits = ""
        if fresh:
            found.append(self._reconcile(store, lease, services, Asked(spans=SPANS_A_TURN)))
            settled = found[0].versions
            waits = found[0].warnings[-1] if settled is None and found[0].warnings else ""
            if found[0].table_id != known.table_id:
                known = replace(known, table_id=found[0].table_id, left=0, again=None, again_at=self._now())
        window = self._window(store, known)
        if window is not None and not self._turn_ends.requested:
            found.append(self._reconcile(store, lease, services, Asked(window, again=True, spans=1)))
            known = self._after_looking_again(known, found[-1])
        name, now = self._environment.name, self._now()
        remembered = proofs.read(store, name, known.table_id)
        proven, gaps = remembered.of(EVERY_COMPANY), remembered.gaps
        gone = without((each.versions for each in remembered.unreadable), proven)
        left = known.left
        if settled is not None and proven:
            # As far back as a turn looks: the history and the first turn bound it.
            reach = within([settled], Versions(min(proven[0].first, settled.last), settled.last))
            left = sum(len(each) for each in without(reach, [*proven, *gone]))
        return replace(
            known,
            at=now,
            next_at=now + (self._interval if proven else min(self._interval, LANDING)),
            proven=proven[-1] if proven else None,
            left=left,
            gone=sum(len(each) for each in gone),
            missing=sum(gap.missing for gap in gaps),
            doubled=sum(gap.doubled for gap in gaps),
            extra=sum(gap.extra for gap in gaps),
            companies=len({gap.company_id for gap in gaps}),
            statements=sum(each.statements for each in found),
            seconds=round(sum(each.warehouse_seconds for each in found), 3),
            trouble=waits,
            failures=0,
        )

    def _after_looking_again(self, known: Standing, found: Reconciliation) -> Standing:
        seen = found.looked_at
        if seen:
            return replace(known, again=Versions(seen[0].first, seen[-1].last), again_at=self._now())
        if any(not each.later for each in found.unreadable):
            # Here VACUUM has come: whatever is older went before, so that the next time begins with the newest.
            return replace(known, again=None, again_at=self._now())
        return known if self._turn_ends.requested else replace(known, again_at=self._now())

    def _reconcile(self, store: Store, lease: Lease, services: Bundle, asked: Asked) -> Reconciliation:
        # The app loads this room at its start, and what reads millions of keys when it is needed.
        from lpmops.control.reconcile import look

        return look(
            self._config, self._environment, services, store, asked, now=self._now, renew=lease.renew, stop=self._turn_ends
        )  # fmt: skip


def in_the_way(snapshot: Snapshot | None, now: datetime) -> str | None:
    """Why now is no time to read much, as the last look has it; None where it is."""
    if snapshot is None or abs(now - snapshot.taken_at) > _STALE:
        return "it waits for a look"
    for suspect in snapshot.suspects:
        if suspect.id in _TROUBLES:
            return f"it waits while {suspect.id} lasts"
    for name, waited_for in _WAITED_FOR.items():
        stage = snapshot.stages.get(name)
        if stage is None or stage.health in waited_for:
            return f"it waits while {name} is {'unknown' if stage is None else stage.health.value}"
    return None


def newest_version(snapshot: Snapshot) -> int | None:
    """The table's newest version as a look saw it."""
    readings = snapshot.stages["cdf"].readings
    return next(
        (each.value for each in readings if each.name == "latest_version" and isinstance(each.value, int)), None
    )
