"""A closer look at one environment, when somebody opens it: the last records of a company, its calls, what the services wrote down.

Nothing is asked before the first question. Answers are bounded, masked and as of a moment where one is named. Every call ends within the configured
deadline; what can't be asked raises the LpmopsError that says what to do. Safe to call from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from lpmops.config import Config, Environment
from lpmops.control import kpi, logs, masking
from lpmops.control.hubwatch import HubWatch
from lpmops.control.landing import timestamp
from lpmops.control.shared import whole
from lpmops.control.sources import EnvironmentServices
from lpmops.errors import BadAnswerError, LpmopsError, NotFoundError, StoreError, UsageError
from lpmops.model import CallMinute, HubEvent, LandedRecord, LogLine
from lpmops.routing.columns import landing_columns

_HOUR = 60
if TYPE_CHECKING:
    from lpmops.control.access_rows import Right
    from lpmops.control.findings import Finding
    from lpmops.control.hands import StopRequest
    from lpmops.control.reconciled import Asked, Reconciliation
    from lpmops.control.versionline import VersionLine
    from lpmops.services.cloud import EnvironmentServices as Bundle
    from lpmops.store.connection import Store
    from lpmops.versions import Versions


class Inspector:
    """Answers questions about the environments of `config`; `opener` gives an environment's services, closed by `close`."""

    def __init__(
        self,
        config: Config,
        opener: Callable[[Environment, float], EnvironmentServices],
        now: Callable[[], datetime],
        store: Store | None = None,
    ) -> None:
        self._config, self._opener, self._now, self._store = config, opener, now, store
        self._columns = tuple(column.name for column in landing_columns(config.columns, config.routing))
        self._lock = threading.Lock()
        self._opened: dict[str, EnvironmentServices] = {}
        self._watches: dict[tuple[str, str], HubWatch] = {}
        self._closed = False
        self._lines: dict[str, VersionLine] = {}
        self._databases: dict[tuple[str, str], str] = {}

    def records(self, environment: str, company_id: str, until: datetime | None = None) -> tuple[LandedRecord, ...]:
        """The newest changes that landed for a company, at most 40, newest first, without personal data. Raises lpmops.errors types."""
        services = self._services(environment)
        database = self._database_of(services, environment, company_id)
        rows = services.sql.rows(database, "records_of_company", (company_id, until))
        found = [_record(row, self._columns) for row in rows]
        return tuple(sorted(found, key=_newest_first, reverse=True))

    def calls(self, environment: str, company_id: str, until: datetime | None = None) -> tuple[CallMinute, ...]:
        """The calls of a company by the minute over an hour, oldest first; a minute without a call is not there. Raises lpmops.errors types."""
        services, own = self._services(environment), self._config.kpi.output == "company"
        control = self._config.environment(environment).sql.control_database
        database = self._database_of(services, environment, company_id) if own else control
        return kpi.minutes_of(services.sql, database, company_id, _HOUR, until, own=own)

    def all_calls(self, environment: str, until: datetime | None = None) -> tuple[CallMinute, ...]:
        """The calls of all companies by the minute over an hour, oldest first. Raises lpmops.errors types, also where only some could be read."""
        found = kpi.read(self._services(environment).sql, self._config, environment, _HOUR, until or self._now())
        for name, why in found.unread.items():
            # A sum without one of its parts would look like fewer calls.
            raise LpmopsError(f"The calls in {name} can't be read: {why}", hint=f"lpmops kpi show -e {environment}")
        return found.minutes

    def events(self, environment: str, company_id: str = "") -> tuple[HubEvent, ...]:
        """The newest events of the hub, of one company or all, at most 200, newest first, without personal data. Raises lpmops.errors types."""
        services = self._services(environment)
        with self._lock:
            watch = self._watches.get((environment, company_id))
            if watch is None:
                watch = HubWatch(services.eventhubs, company_id or None, self._config.routing)
                self._watches[environment, company_id] = watch
        return watch.look()

    def log_sources(self, environment: str) -> tuple[str, ...]:
        """What `logs` can be asked for."""
        del environment
        return tuple(logs.SOURCES)

    def logs(self, environment: str, source: str, until: datetime | None = None) -> tuple[LogLine, ...]:
        """What that source wrote in the last hours, newest first, at most 300 lines, without personal data. Raises lpmops.errors types."""
        if source not in logs.SOURCES:
            raise UsageError(f"There is no log {source!r}.", hint=f"There are: {', '.join(logs.SOURCES)}.")
        question = logs.Question(self._services(environment), self._config.environment(environment), self._now(), until)
        lines = logs.SOURCES[source](question)
        return tuple(logs.newest_first(lines)[: logs.MOST_LINES])

    def assessment(self, environment: str) -> list[Finding]:
        """What is wrong with an environment, and what is well; each service fails alone. Raises LpmopsError while this closes."""
        from lpmops.control import doctor

        return doctor.examine(self._whole(environment), self._config, self._now)

    def rights(self, environment: str) -> tuple[Right, ...]:
        """Who has which right there, and what gives what lacks; each service fails alone. Raises LpmopsError while this closes."""
        from lpmops.control import access

        return access.look(self._whole(environment), self._now)

    def versions(self, environment: str) -> VersionLine:
        """The source table's versions with what is proven of them. Raises lpmops.errors types."""
        from lpmops.control import versionline

        table = self._config.environment(environment).databricks.table
        before = self._lines.get(environment)
        found = versionline.read(self._whole(environment).databricks, self._store, environment, table, before)
        self._lines[environment] = found
        return found

    def changes_in(self, environment: str, versions: Versions) -> Mapping[str, int]:
        """How many changes each company has in these versions; '' are those that name none. Raises lpmops.errors types."""
        found = self._whole(environment).changes.counts(self._config.routing, versions)
        return {company_id: tally.changes for company_id, tally in found.items()}

    def reconcile(
        self, environment: str, asked: Asked, tell: Callable[[str], None], stop: StopRequest
    ) -> Reconciliation:
        """Hold the source's changes against what landed, and remember what that shows. Raises lpmops.errors types."""
        from lpmops.control.reconcile import reconcile

        if self._store is None:
            raise StoreError(
                "There is no local store, so nothing that is found could be remembered.",
                hint="What is wrong with it stands among the settings: ,",
            )
        settings = self._config.environment(environment)
        services = self._whole(environment)
        return reconcile(self._config, settings, services, self._store, asked, now=self._now, tell=tell, stop=stop)

    def _whole(self, environment: str) -> Bundle:
        """The services whole: what opens them names only what looking needs."""
        return cast("Bundle", whole(self._services(environment)))

    def close(self) -> None:
        """Let go of the services; calls under way end by themselves."""
        with self._lock:
            self._closed = True
            opened, watches = list(self._opened.values()), list(self._watches.values())
            self._opened.clear()
        for watch in watches:
            # A look that is under way holds it, and may take as long as the hub does.
            threading.Thread(target=watch.close, daemon=True).start()
        for services in opened:
            services.close()

    def _services(self, environment: str) -> EnvironmentServices:
        settings = self._config.environment(environment)
        with self._lock:
            if self._closed:
                raise LpmopsError("lpmops is closing.")
            if environment not in self._opened:
                self._opened[environment] = self._opener(settings, self._config.refresh.deadline)
            return self._opened[environment]

    def _database_of(self, services: EnvironmentServices, environment: str, company_id: str) -> str:
        """Where a company lands; what was known last, while the control database does not answer."""
        key = (environment, company_id)
        control = self._config.environment(environment).sql.control_database
        try:
            rows = services.sql.rows(control, "route_of_company", (company_id,))
        except LpmopsError:
            if key in self._databases:
                return self._databases[key]
            raise
        if not rows:
            raise NotFoundError(
                f"No route leads company {company_id} anywhere in {environment}.",
                hint=f"The companies that have one: lpmops status -e {environment}",
            )
        self._databases[key] = str(rows[0]["database_name"])
        return self._databases[key]


def _newest_first(record: LandedRecord) -> tuple[float, int, int]:
    landed = record.landed_at.timestamp() if record.landed_at is not None else 0.0
    return landed, record.commit_version, record.sequence or 0


def _record(row: Mapping[str, Any], columns: Sequence[str]) -> LandedRecord:
    held = {name.lower(): value for name, value in row.items()}
    try:
        return LandedRecord(
            company_id=str(held["company_id"]),
            record_id=str(held["record_id"]),
            commit_version=int(held["commit_version"]),
            change_type=str(held["change_type"]),
            commit_at=timestamp(held["commit_timestamp"]),
            sent_at=timestamp(held["sent_at"]),
            enqueued_at=timestamp(held["enqueued_at"]),
            landed_at=timestamp(held["landed_at"]),
            partition=None if held["hub_partition"] is None else int(held["hub_partition"]),
            sequence=None if held["hub_sequence"] is None else int(held["hub_sequence"]),
            replay_id=None if held["replay_id"] is None else str(held["replay_id"]),
            # A column that the table does not have yet is left out, as no value is not null.
            values=masking.record({name: held[name.lower()] for name in columns if name.lower() in held}),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _unlike("lpm.tdr", error) from error


def _unlike(table: str, error: Exception) -> BadAnswerError:
    # Only what kind of error it was: its own text may hold the value.
    return BadAnswerError(
        f"The table {table} is not as lpmops makes it ({type(error).__name__}).",
        service="azuresql",
        hint="Compare its columns with those that the configuration names.",
    )
