"""All environments of a configuration as one feed: first what the local store remembers, then what the pollers see.

This is what a face that stays open is given. `latest` and `rates` ask the store alone; reading the clouds happens in the pollers' own threads, and
`close` returns at once whatever hangs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lpmops.config import Config
from lpmops.control.access_rows import Right
from lpmops.control.collect import utc_now
from lpmops.control.findings import Finding
from lpmops.control.inspect import Inspector
from lpmops.control.past import StoredPast
from lpmops.control.places import places
from lpmops.control.poller import Opener, Poller, open_services
from lpmops.control.reconcile_turns import ReconcileTurns
from lpmops.control.shared import SharedServices
from lpmops.errors import StoreError
from lpmops.model import CallMinute, HubEvent, Kind, LandedRecord, LogLine, Snapshot, Turn
from lpmops.store import snapshots
from lpmops.store.connection import Store

if TYPE_CHECKING:
    from lpmops.control.hands import StopRequest
    from lpmops.control.reconciled import Asked, Reconciliation
    from lpmops.control.versionline import VersionLine
    from lpmops.versions import Versions


class PolledFeed:
    """Snapshots of every environment of `config`. Without a store there is no memory, and everything else works."""

    def __init__(
        self, config: Config, store: Store | None, *, opener: Opener = open_services, warning: str = ""
    ) -> None:
        self._config, self._store, self._warning = config, store, warning
        self._past = StoredPast(store)
        shared = SharedServices(opener)
        self._pollers = {
            name: Poller(environment, config, store, opener=shared.open)
            for name, environment in config.environments.items()
        }
        # Each beside its poller, and never in its way.
        self._turns = [ReconcileTurns(poller, config, store, opener=shared.open) for poller in self._pollers.values()]
        self._inspector = Inspector(config, shared.open, utc_now, store)
        self._started = False
        self._lock = threading.Lock()

    def environments(self) -> Sequence[tuple[str, Kind]]:
        """The environments in the order of the configuration."""
        return [(environment.name, environment.kind) for environment in self._config.environments.values()]

    def now(self) -> datetime:
        """The time that ages are counted to."""
        return utc_now()

    def latest(self, environment: str) -> Snapshot | None:
        """The newest snapshot that the store remembers, or None. Raises StoreError."""
        if self._store is None:
            return None
        found = snapshots.latest(self._store, [environment])
        return found[0] if found else None

    def rates(self, environment: str) -> Mapping[str, Sequence[float | None]]:
        """Events a second of the last minutes by stage, oldest first. Raises StoreError."""
        return self._past.rates_until(environment, utc_now())

    def extent(self, environment: str) -> tuple[datetime, datetime] | None:
        """The oldest and the newest moment that can be shown, None where nothing was kept. Raises StoreError."""
        return self._past.extent(environment)

    def at(self, environment: str, moment: datetime) -> Snapshot | None:
        """What was known of an environment at `moment`. Raises StoreError."""
        return self._past.at(environment, moment)

    def rates_until(self, environment: str, moment: datetime) -> Mapping[str, Sequence[float | None]]:
        """The same as `rates`, for the minutes before `moment`. Raises StoreError."""
        return self._past.rates_until(environment, moment)

    def turns(self, environment: str, start: datetime, end: datetime) -> Sequence[Turn]:
        """What became otherwise between two moments, oldest first. Raises StoreError."""
        return self._past.turns(environment, start, end)

    def series(self, environment: str, name: str, start: datetime, end: datetime) -> Sequence[tuple[datetime, float]]:
        """A series of numbers as a line, oldest first. Raises StoreError."""
        return self._past.series(environment, name, start, end)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Call back with every new snapshot, from the pollers' threads; the first subscriber sets them to work."""
        ends = [poller.subscribe(callback) for poller in self._pollers.values()]
        with self._lock:
            if not self._started:
                self._started = True
                for poller in self._pollers.values():
                    poller.start()
                for turns in self._turns:
                    turns.start()

        def unsubscribe() -> None:
            for end in ends:
                end()

        return unsubscribe

    def refresh(self, environment: str) -> None:
        """Ask for a new snapshot of one environment."""
        self._pollers[environment].refresh_now()

    def records(self, environment: str, company_id: str, until: datetime | None = None) -> Sequence[LandedRecord]:
        """The newest changes that landed for a company, newest first. Raises lpmops.errors types."""
        return self._inspector.records(environment, company_id, until)

    def calls(self, environment: str, company_id: str, until: datetime | None = None) -> Sequence[CallMinute]:
        """The calls of a company by the minute over an hour, oldest first. Raises lpmops.errors types."""
        return self._inspector.calls(environment, company_id, until)

    def all_calls(self, environment: str, until: datetime | None = None) -> Sequence[CallMinute]:
        """The calls of all companies by the minute over an hour, oldest first. Raises lpmops.errors types."""
        return self._inspector.all_calls(environment, until)

    def events(self, environment: str, company_id: str = "") -> Sequence[HubEvent]:
        """The newest events of the hub, of one company or all, newest first, callers masked; at most some hundreds."""
        return self._inspector.events(environment, company_id)

    def log_sources(self, environment: str) -> Sequence[str]:
        """What `logs` can be asked for."""
        return self._inspector.log_sources(environment)

    def logs(self, environment: str, source: str, until: datetime | None = None) -> Sequence[LogLine]:
        """What that source wrote, newest first. Raises lpmops.errors types."""
        return self._inspector.logs(environment, source, until)

    def assessment(self, environment: str) -> Sequence[Finding]:
        """What is wrong with an environment, and what is well. Never raises for what can't be asked."""
        return self._inspector.assessment(environment)

    def rights(self, environment: str) -> Sequence[Right]:
        """Who has which right there. Never raises for what can't be asked."""
        return self._inspector.rights(environment)

    def versions(self, environment: str) -> VersionLine:
        """The source table's versions with what is proven of them. Raises lpmops.errors types."""
        return self._inspector.versions(environment)

    def changes_in(self, environment: str, versions: Versions) -> Mapping[str, int]:
        """How many changes each company has in these versions. Raises lpmops.errors types."""
        return self._inspector.changes_in(environment, versions)

    def reconcile(
        self, environment: str, asked: Asked, tell: Callable[[str], None], stop: StopRequest
    ) -> Reconciliation:
        """Hold the source's changes against what landed. Raises lpmops.errors types."""
        return self._inspector.reconcile(environment, asked, tell, stop)

    def places(self) -> Sequence[tuple[str, str]]:
        """Where the files are, as pairs of what and where."""
        return places(self._config)

    def warnings(self) -> list[str]:
        """What is wrong with the store or the pollers; each once, however many of them say it."""
        of_store = self._store.warnings if self._store is not None else ()
        said = [self._warning, *of_store]
        said += [poller.warning for poller in self._pollers.values()]
        said += [turns.warning for turns in self._turns]
        return list(dict.fromkeys(each for each in said if each))

    def close(self) -> None:
        """End all pollers within a moment; those that hang are left behind."""
        self._inspector.close()
        for turns in self._turns:
            turns.close()
        closing = [threading.Thread(target=poller.close, daemon=True) for poller in self._pollers.values()]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(0.5)


def open_feed(config: Config, open_store: Callable[[str], Store]) -> PolledFeed:
    """A feed over the store of `config`; what is wrong with the store is a warning of the feed, since looking works without one."""
    try:
        store = open_store(config.state_directory)
    except StoreError as error:
        return PolledFeed(config, None, warning=f"{error.message} {error.hint}".strip())
    return PolledFeed(config, store)
