"""Reads one environment into a snapshot, as often as it is asked to: `Collector.refresh` is the control plane's one look at the world.

Each source is read on its own and may fail on its own; what fails is unknown in the snapshot and a problem that the diagnosis reads. The number of
calls depends on the databases and never on the companies. States and stamps are read each time, what changes slowly (metrics, tiers, routes) every
`slow_interval`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar, cast

from lpmops.config import Environment, Refresh, Thresholds
from lpmops.control import assemble, health, landing, readers, routes
from lpmops.control.diagnose import diagnose
from lpmops.control.facts import Facts
from lpmops.control.landing import Gap, Landed
from lpmops.control.memory import Memory
from lpmops.control.probes import Probe, Probes
from lpmops.control.sources import EnvironmentServices
from lpmops.model import Snapshot, StreamingJob
from lpmops.store.connection import Store

T = TypeVar("T")


def utc_now() -> datetime:
    """Now, aware."""
    return datetime.now(UTC)


class Collector:
    """Looks at one environment again and again; belongs to one thread, apart from `close`."""

    def __init__(
        self,
        environment: Environment,
        services: EnvironmentServices,
        *,
        thresholds: Thresholds | None = None,
        refresh: Refresh | None = None,
        store: Store | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.environment = environment
        self._services, self._now = services, now
        self._thresholds, self._refresh = thresholds or Thresholds(), refresh or Refresh()
        self.memory = Memory(environment.name, store, now(), self._refresh.keep_days)
        self._pool = Probes(environment.name, now)
        self._probes = self._make_probes()
        self._seen: dict[str, int] = {}
        self._counted = services.calls.total

    def _make_probes(self) -> dict[str, Probe]:
        services, slow = self._services, self._refresh.slow_interval
        sql = self.environment.sql
        probes = [
            Probe("credential", lambda: services.credential.state()),
            Probe("databricks.table", lambda: services.databricks.table()),
            Probe("databricks.run", lambda: services.databricks.stream_run()),
            Probe("databricks.progress", lambda: services.databricks.progress()),
            Probe("eventhub.partitions", lambda: tuple(services.eventhubs.partitions())),
            Probe("eventhub.namespace", lambda: services.eventhubs.namespace(), slow),
            Probe("eventhub.hub", lambda: services.eventhubs.hub(), slow),
            Probe("asa.jobs", lambda: tuple(services.streamanalytics.jobs())),
            Probe("monitor.hub", lambda: readers.read_hub_metrics(services.monitor, self.environment), slow),
            Probe("monitor.asa", lambda: readers.read_job_metrics(services.monitor, self._known_jobs()), slow),
            Probe(
                "control.heartbeat",
                lambda: readers.read_control(services.sql, sql.control_database, self._now()),
                0.0,
                "sql",
            ),
            Probe("control.routes", lambda: readers.read_routes(services.sql, sql.control_database), slow, "sql"),
            Probe(
                "control.databases",
                lambda: routes.read_databases(services.sql, sql.control_database, sql.databases),
                slow,
                "sql",
            ),
        ]
        for database in self.databases:
            probes += self._database_probes(database, slow)
        return {probe.name: probe for probe in probes}

    @property
    def databases(self) -> tuple[str, ...]:
        """The company databases: those of the configuration, and those that were brought on since, as far as is known."""
        return routes.known(self.environment.sql.databases, self.memory.databases)

    def _database_probes(self, database: str, slow: float) -> list[Probe]:
        sql = self._services.sql

        def count_gap() -> Gap | None:
            span = self.memory.gap_of(database)
            return None if span is None else landing.read_gap(sql, database, span)

        return [
            Probe(
                f"sql.{database}",
                lambda: landing.read_landed(sql, database, self.memory.marks.get(database), self._now()),
                0.0,
                "sql",
            ),
            Probe(f"rows.{database}", lambda: readers.read_table_rows(sql, database), slow, "sql"),
            Probe(f"gap.{database}", count_gap, 0.0, "sql"),
        ]

    def refresh(self, patience: float) -> Snapshot:
        """One look: wait for the sources no longer than `patience` seconds, judge, keep it in the store. Never raises for a source that fails."""
        began = time.monotonic()
        self._pool.refresh([probe for name, probe in self._probes.items() if not self._comes_second(name)], patience)
        self._take_in_landed()
        left = max(0.0, patience - (time.monotonic() - began))
        self._pool.refresh(
            [probe for name, probe in self._probes.items() if self._comes_second(name) and self._is_wanted(name)], left
        )
        self._take_in_gaps()
        facts = self._facts()
        by_stage = health.stages(facts, self._thresholds)
        # Calls between two looks are counted too: somebody asked a closer question.
        counted, self._counted = self._counted, self._services.calls.total
        snapshot = Snapshot(
            environment=self.environment.name,
            kind=self.environment.kind,
            taken_at=facts.taken_at,
            health=health.overall(facts, by_stage, self._thresholds),
            stages=by_stage,
            latency=facts.latency,
            routes=assemble.routes(facts, self.memory, self._thresholds),
            suspects=diagnose(facts, self.environment, self._thresholds),
            credential=facts.credential,
            calls=self._counted - counted,
            seconds=time.monotonic() - began,
            heartbeat_age=facts.heartbeat.age if facts.heartbeat is not None else None,
        )
        self.memory.record(snapshot)
        return snapshot

    def answered(self) -> bool:
        """Whether any source has ever answered."""
        return any(probe.at is not None for name, probe in self._probes.items() if name != "credential")

    def close(self) -> None:
        """Stop waiting at once; calls that hang are left behind in daemon threads."""
        self._pool.close()

    def _comes_second(self, name: str) -> bool:
        """Those that need what the first round finds: which jobs there are, and which rows no increment counted."""
        return name == "monitor.asa" or name.startswith("gap.")

    def _is_wanted(self, name: str) -> bool:
        if name == "monitor.asa":
            return bool(self._known_jobs())
        return self.memory.gap_of(name.removeprefix("gap.")) is not None

    def _known_jobs(self) -> Sequence[StreamingJob]:
        return cast(Sequence[StreamingJob], self._probes["asa.jobs"].value or ())

    def _new(self, name: str) -> object | None:
        """A value that came since it was last asked for here."""
        probe = self._probes[name]
        if self._seen.get(name) == probe.changes:
            return None
        self._seen[name] = probe.changes
        return cast(object, probe.value)

    def _take_in_landed(self) -> None:
        now = self._now()
        databases = self._new("control.databases")
        if isinstance(databases, tuple):
            self.memory.databases = databases
            for database in self.databases:
                if f"sql.{database}" not in self._probes:
                    # Looked at from the next refresh on.
                    new = self._database_probes(database, self._refresh.slow_interval)
                    self._probes |= {probe.name: probe for probe in new}
        for database in self.databases:
            answer = self._new(f"sql.{database}")
            if isinstance(answer, Landed):
                self.memory.landed(answer)
            counted = self._new(f"rows.{database}")
            if isinstance(counted, int):
                self.memory.check(database, counted)
        self.memory.slide(now)
        rows = self._new("control.routes")
        if isinstance(rows, tuple):
            self.memory.take_routes(rows)

    def _take_in_gaps(self) -> None:
        for database in self.databases:
            gap = self._new(f"gap.{database}")
            if isinstance(gap, Gap):
                self.memory.counted(gap)

    def _facts(self) -> Facts:
        now = self._now()
        limits = assemble.Limits(
            quick=max(30.0, 3 * self._refresh.interval), slow=30.0 + 2 * self._refresh.slow_interval
        )
        view = assemble.View(self.environment, self.databases, self._probes, self.memory, now, limits)
        facts = assemble.facts(view)
        standing = self.memory.standing()
        # The id that the stream's checkpoint holds, by which proofs are kept; while that can't be read, the one that was proven last.
        table_id = facts.progress.table_id if facts.progress is not None else None
        table_id = table_id or (standing.table_id if standing is not None else None)
        gaps = self.memory.open_gaps(table_id)
        unreadable = self.memory.unreadable(table_id) if any(gap.repairable < gap.missing for gap in gaps) else ()
        return replace(facts, gaps=gaps, unreadable=unreadable, standing=standing)
