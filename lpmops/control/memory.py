"""What the collector knows from one look to the next, and keeps in the store for the next process: marks, latency windows, routes, hub positions.

It belongs to one thread. A store that can't be written costs the memory, never the look: what went wrong is one
warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lpmops.control import reconcile_standing
from lpmops.control.facts import RouteRow
from lpmops.control.landing import BEGINNING, WINDOW_MILLISECONDS, Gap, Landed, advance, fill
from lpmops.control.latency import Window, combine
from lpmops.control.reconcile_standing import Standing
from lpmops.errors import StoreError
from lpmops.model import PartitionState, Snapshot
from lpmops.store import codec, marks, proofs, samples, snapshots, upkeep
from lpmops.store.connection import Store
from lpmops.store.marks import Increment, Mark
from lpmops.store.proofs import OpenGap, Unreadable

RECENT_MILLISECONDS = 30_000
_RATE_REACH = timedelta(minutes=5)
_STEADY_HOURS = 24
# After one look; thousands of series take several.
_UPKEEP_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class _HubPosition:
    at: datetime
    sequences: Mapping[str, int]


class Memory:
    """The past of one environment, as far as the next look needs it."""

    def __init__(self, environment: str, store: Store | None, now: datetime, keep_days: int) -> None:
        self.environment, self.keep_days = environment, keep_days
        self.store = store if store is not None and store.writable else None
        self.warning = ""
        self.marks: dict[str, Mark] = {}
        self.windows: dict[str, Window] = {}
        self.routes: tuple[RouteRow, ...] | None = None
        self.databases: tuple[str, ...] = ()
        self._hub: _HubPosition | None = None
        self._steps: dict[str, Increment | None] = {}
        self._upkeep_hour: int | None = None
        if store is not None:
            try:
                self._load(store, now)
            except StoreError as error:
                self._lose(error)

    def _load(self, store: Store, now: datetime) -> None:
        self._load_marks(store, now)
        if (routes := marks.recall(store, self.environment, "routes")) is not None:
            self.routes = tuple(RouteRow(*row) for row in routes[1])
        if (databases := marks.recall(store, self.environment, "databases")) is not None:
            self.databases = tuple(databases[1])
        if (hub := marks.recall(store, self.environment, "hub")) is not None:
            self._hub = _HubPosition(hub[0], hub[1])
        if (kept := marks.recall(store, self.environment, "upkeep")) is not None:
            self._upkeep_hour = int(kept[1])

    def open_gaps(self, table_id: str | None) -> tuple[OpenGap, ...]:
        """What reconciliations of a table left open; none where the table is not known."""
        if self.store is None or not table_id:
            return ()
        try:
            return proofs.gaps(self.store, self.environment, table_id)
        except StoreError as error:
            self._lose(error)
            return ()

    def unreadable(self, table_id: str | None) -> tuple[Unreadable, ...]:
        """The versions of a table whose changes can't be read any more, as far as somebody tried."""
        if self.store is None or not table_id:
            return ()
        try:
            return proofs.unreadable(self.store, self.environment, table_id)
        except StoreError as error:
            self._lose(error)
            return ()

    def standing(self) -> Standing | None:
        """How far the environment is proven, as the last turn of reconciling left it."""
        if self.store is None:
            return None
        try:
            return reconcile_standing.recall(self.store, self.environment)
        except StoreError as error:
            self._lose(error)
            return None

    def _load_marks(self, store: Store, now: datetime) -> None:
        self.marks = marks.read(store, self.environment)
        self.windows = {}
        for database, increment in marks.recent(
            store, self.environment, now - timedelta(milliseconds=WINDOW_MILLISECONDS)
        ):
            self._window(database).add(increment)

    def _window(self, database: str) -> Window:
        return self.windows.setdefault(database, Window(WINDOW_MILLISECONDS))

    def landed(self, answer: Landed) -> None:
        """Take in what one database said; an answer from before a mark that has moved since is dropped, as its rows are counted already."""
        mark = self.marks.get(answer.database)
        if (None if mark is None else mark.at) != answer.asked_from:
            return
        self.marks[answer.database] = advance(mark, answer)
        self._steps[answer.database] = answer.increment
        self._window(answer.database).add(answer.increment)

    def slide(self, now: datetime) -> None:
        """Let go what is older than the window, also where nothing new came."""
        for window in self.windows.values():
            window.slide(codec.milliseconds(now))

    def counted(self, gap: Gap) -> None:
        """Take in the rows of a gap."""
        mark = self.marks.get(gap.database)
        if mark is not None and gap.span in mark.gaps:
            self.marks[gap.database] = fill(mark, gap)
            self._steps.setdefault(gap.database, None)

    def check(self, database: str, rows: int | None) -> None:
        """Count a database anew where its table holds clearly fewer rows than were counted: somebody deleted some."""
        mark = self.marks.get(database)
        if mark is None or mark.gaps or rows is None or sum(mark.counts.values()) <= rows * 1.01 + 100:
            return
        self._count_anew(database, mark)

    def take_routes(self, rows: tuple[RouteRow, ...]) -> None:
        """Take in the route table. A database to which a company has moved is counted anew: its earlier rows came with it."""
        before = {row.company_id: row.database for row in self.routes or ()}
        self.routes = rows
        for database in {row.database for row in rows if before.get(row.company_id, row.database) != row.database}:
            mark = self.marks.get(database)
            if mark is not None and not mark.gaps:
                self._count_anew(database, mark)

    def _count_anew(self, database: str, mark: Mark) -> None:
        self.marks[database] = replace(mark, gaps=((BEGINNING, mark.at),), counts={})
        self._steps.setdefault(database, None)

    def gap_of(self, database: str) -> tuple[int, int] | None:
        """The span of a database that waits to be counted."""
        mark = self.marks.get(database)
        return mark.gaps[0] if mark is not None and mark.gaps else None

    def hops(self) -> dict[str, dict[int, int]]:
        """The latency histograms of all databases over the window, `total` and each hop."""
        return combine(window.hops for window in self.windows.values())

    def recent_hops(self) -> dict[str, dict[int, int]]:
        """The hop histograms of about the last half minute that is settled."""
        return combine(window.recent(RECENT_MILLISECONDS) for window in self.windows.values())

    def landed_rate(self) -> float | None:
        """Events a second of about the last half minute, as the other hops' rates are of now; None where nothing is covered."""
        rates = [window.recent_rate(RECENT_MILLISECONDS) for window in self.windows.values()]
        known = [rate for rate in rates if rate is not None]
        return sum(known) if known else None

    def newest(self, part: str) -> dict[str, int]:
        """The newest landed `sequences` or `enqueued` per hub partition, over all databases."""
        found: dict[str, int] = {}
        for mark in self.marks.values():
            for partition, value in getattr(mark, part).items():
                found[partition] = max(value, found.get(partition, value))
        return found

    def hub_rate(self, partitions: Sequence[PartitionState], at: datetime) -> float | None:
        """Events a second that the hub took since the last look; None at the first one, after a pause or where a partition began anew."""
        before, self._hub = self._hub, _HubPosition(at, {item.partition: item.last_sequence for item in partitions})
        if (
            before is None
            or not timedelta(0) < at - before.at <= _RATE_REACH
            or before.sequences.keys() != self._hub.sequences.keys()
        ):
            return None
        taken = sum(self._hub.sequences[name] - before.sequences[name] for name in before.sequences)
        return taken / ((at - before.at) / timedelta(seconds=1)) if taken >= 0 else None

    def record(self, snapshot: Snapshot) -> None:
        """Keep the look and everything new in the store, as one transaction."""
        if self.store is None:
            return
        try:
            self._record(self.store, snapshot)
            self.warning = ""
        except StoreError as error:
            self._lose(error)

    def _record(self, store: Store, snapshot: Snapshot) -> None:
        values = series_of(snapshot)
        samples.name_series(store, self.environment, values)
        steps = {database: (self.marks[database], increment) for database, increment in self._steps.items()}
        with store.writing():
            written = marks.advance(store, self.environment, snapshot.taken_at, steps)
            snapshots.save(store, snapshot)
            samples.append(store, self.environment, snapshot.taken_at, values)
            if self._hub is not None:
                marks.remember(store, self.environment, "hub", self._hub.at, dict(self._hub.sequences))
            if self.routes is not None:
                rows = [(row.company_id, row.company, row.database, row.state) for row in self.routes]
                marks.remember(store, self.environment, "routes", snapshot.taken_at, rows)
            marks.remember(store, self.environment, "databases", snapshot.taken_at, list(self.databases))
        self._steps.clear()
        for database in written:
            self.marks[database] = replace(self.marks[database], revision=self.marks[database].revision + 1)
        if written != steps.keys():
            # Another process counted these rows first: its marks and latencies hold, ours would count them twice.
            self._load_marks(store, snapshot.taken_at)
        self._keep_up(store, snapshot.taken_at)

    def _keep_up(self, store: Store, now: datetime) -> None:
        hour = int(now.timestamp()) // 3600
        if hour != self._upkeep_hour:
            # A clock that has just leapt may leap back: an hour later is soon enough to drop what it makes too old.
            steady = self._upkeep_hour is not None and abs(hour - self._upkeep_hour) <= _STEADY_HOURS
            if upkeep.keep(store, self.environment, now, self.keep_days, expiring=steady, seconds=_UPKEEP_SECONDS):
                marks.remember(store, self.environment, "upkeep", now, hour)
                self._upkeep_hour = hour

    def _lose(self, error: StoreError) -> None:
        self.warning = f"{error.message} {error.hint}".strip()


def series_of(snapshot: Snapshot) -> dict[str, float]:
    """The numbers of a snapshot that are worth a line over time, by series name; unknown ones are left out.

    In thousandths, which is as fine as the stamps are, and lets the store keep months of them in little room.
    """
    found: dict[str, float | None] = {
        "latency.p50": snapshot.latency.p50,
        "latency.p95": snapshot.latency.p95,
        "latency.p99": snapshot.latency.p99,
        "heartbeat.age": snapshot.heartbeat_age,
    }
    for hop, percentiles in snapshot.latency.hops.items():
        found[f"latency.{hop}.p95"] = percentiles.p95
    for name, stage in snapshot.stages.items():
        found[f"{name}.lag"], found[f"{name}.rate"] = stage.lag, stage.rate
    for route in snapshot.routes:
        found[f"company.{route.company_id}.rows_per_minute"] = route.rows_per_minute
        found[f"company.{route.company_id}.latency_p95"] = route.latency_p95
    return {name: round(float(value), 3) for name, value in found.items() if value is not None}
