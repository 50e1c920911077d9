"""What the app needs from the rest of lpmops, as protocols.

The app is given one `Feed` and nothing else: no store, no poller, no SDK. `environments`, `now` and `places` answer
from memory; every other method may block or hang, so the app calls them on daemon threads only, and may raise
LpmopsError. `subscribe`'s callback may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from lpmops.model import CallMinute, HubEvent, Kind, LandedRecord, LogLine, Snapshot, Turn

if TYPE_CHECKING:
    from lpmops.control.access_rows import Right
    from lpmops.control.findings import Finding
    from lpmops.control.hands import StopRequest
    from lpmops.control.reconciled import Asked, Reconciliation
    from lpmops.control.versionline import VersionLine
    from lpmops.versions import Versions


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


class Past(Protocol):
    """What was seen before, from the local store alone; no service is asked."""

    def extent(self, environment: str) -> tuple[datetime, datetime] | None:
        """The oldest and the newest moment that can be shown, None where nothing was kept."""
        ...

    def at(self, environment: str, moment: datetime) -> Snapshot | None:
        """What was known of `environment` at `moment`: the newest snapshot that is not later, None where there is none."""
        ...

    def rates_until(self, environment: str, moment: datetime) -> Mapping[str, Sequence[float | None]]:
        """The same as `rates`, for the minutes before `moment`."""
        ...

    def turns(self, environment: str, start: datetime, end: datetime) -> Sequence[Turn]:
        """What became otherwise between two moments, oldest first."""
        ...

    def series(self, environment: str, name: str, start: datetime, end: datetime) -> Sequence[tuple[datetime, float]]:
        """A series of numbers by its name (`company.1001.rows_per_minute`), oldest first, at most some hundreds of points."""
        ...


class Questions(Protocol):
    """A closer look, asked of the services when somebody opens it. `until` None is now, else nothing later is shown."""

    def records(self, environment: str, company_id: str, until: datetime | None = None) -> Sequence[LandedRecord]:
        """The newest changes that landed for a company, newest first, at most some dozens."""
        ...

    def calls(self, environment: str, company_id: str, until: datetime | None = None) -> Sequence[CallMinute]:
        """The calls of a company by the minute over the last hour, oldest first."""
        ...

    def all_calls(self, environment: str, until: datetime | None = None) -> Sequence[CallMinute]:
        """The calls of all companies together by the minute over the last hour, oldest first."""
        ...

    def events(self, environment: str, company_id: str = "") -> Sequence[HubEvent]:
        """The newest events of the hub, of one company or all, newest first, callers masked; at most some hundreds."""
        ...

    def log_sources(self, environment: str) -> Sequence[str]:
        """The sources that `logs` can be asked for, from memory: asa, databricks, eventhub."""
        ...

    def logs(self, environment: str, source: str, until: datetime | None = None) -> Sequence[LogLine]:
        """What that source wrote, newest first, at most some hundreds of lines."""
        ...

    def assessment(self, environment: str) -> Sequence[Finding]:
        """What is wrong with an environment, and what is well; asks every service, each failing alone."""
        ...

    def rights(self, environment: str) -> Sequence[Right]:
        """Who has which right there, and what gives what lacks."""
        ...


class Table(Protocol):
    """The source table's versions, and holding them against what landed. Asked when somebody opens them."""

    def versions(self, environment: str) -> VersionLine:
        """The newest versions with what is proven of them, at most 10,000."""
        ...

    def changes_in(self, environment: str, versions: Versions) -> Mapping[str, int]:
        """How many changes each company has in these versions, '' those that name none; reads the change feed."""
        ...

    def reconcile(
        self, environment: str, asked: Asked, tell: Callable[[str], None], stop: StopRequest
    ) -> Reconciliation:
        """Holds source against landing tables and remembers what that shows; `tell` hears how far it is, `stop` ends it after a span."""
        ...


class Feed(SnapshotFeed, Past, Questions, Table, Protocol):
    """All of it."""

    def places(self) -> Sequence[tuple[str, str]]:
        """Where the files are, as pairs of what and where, from memory."""
        ...

    def warnings(self) -> Sequence[str]:
        """What is wrong with the store or the reading, from memory."""
        ...
