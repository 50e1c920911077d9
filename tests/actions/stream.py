"""A pretend cloud through which records really flow: a hub, and jobs that are the sandbox's own Stream Analytics engine, onto its own SQL server.

Time passes only in `pass_time`, in which calls come in and every job that runs reads them; so minutes of waiting for the route table cost nothing,
and no slow machine changes what happens. Each change of the source is known by its key, so that both ends can be held beside each other.
"""

from __future__ import annotations

import json
import random
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from lpmops.config import Environment
from lpmops.model import Receipt, StreamingJob, parse_time, to_data
from lpmops.routing import job as definitions
from lpmops.routing import shards
from lpmops.routing.routes import Route
from lpmops.routing.schema import landing_statements
from lpmops.sandbox.analytics import AnalyticsRuntime
from lpmops.sandbox.azure.jobs import JobDefinition, JobKey
from tests.actions.cloud import CONTROL, Cloud, config, environment

# company, record, commit version
Key = tuple[str, str, int]
PARTITIONS = 2
_STEP = 10.0
# How long a job stands still that is stopped and started again, in seconds.
_STANDSTILL = 60.0
# How far apart two jobs read the route table, in seconds.
_APART = 23.0


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a hub keeps it."""

    partition: int
    sequence_number: int
    enqueued_at: datetime
    body: bytes
    key: str | None = None

    @property
    def offset(self) -> str:
        return str(self.sequence_number)


@dataclass(frozen=True, slots=True)
class End:
    last_enqueued_sequence_number: int


class MemoryHub:
    """A hub in memory, as a job reads it."""

    partition_count = PARTITIONS

    def __init__(self) -> None:
        self._events: list[list[Event]] = [[] for _ in range(PARTITIONS)]

    def send(self, body: Mapping[str, Any], at: datetime) -> None:
        partition = zlib.crc32(str(body.get("tdr_id")).encode()) % PARTITIONS
        kept = self._events[partition]
        kept.append(Event(partition, len(kept), at, json.dumps(body).encode()))

    def read(self, partition: int, after_sequence: int, limit: int) -> Sequence[Event]:
        return self._events[partition][after_sequence + 1 : after_sequence + 1 + limit]

    def position_at(self, partition: int, enqueued_time: datetime) -> int:
        return sum(event.enqueued_at < enqueued_time for event in self._events[partition]) - 1

    def partition(self, partition: int) -> End:
        return End(len(self._events[partition]) - 1)


def world(databases: int) -> Environment:
    """The environment with so many company databases."""
    place = environment()
    names = tuple(f"lpm-{number:02}" for number in range(1, databases + 1))
    return replace(place, sql=replace(place.sql, databases=names))


class Stream(Cloud):
    """`companies` are spread over the databases, these over `jobs` jobs; `strangers` have no route. `seed` decides who calls and what comes twice.

    Those in `busy` call all the time.
    """

    def __init__(
        self, folder: Path, place: Environment, companies: int, jobs: int, strangers: Sequence[str], seed: int
    ) -> None:
        super().__init__(folder, place)
        self.hub_events, self.chance, self._folder = MemoryHub(), random.Random(seed), folder
        self.sent: Counter[Key] = Counter()
        self.version = 0
        self.runtimes: dict[str, AnalyticsRuntime] = {}
        self.routed = [str(2001 + number) for number in range(companies)]
        self.callers = [*self.routed, *strangers]
        self.busy: list[str] = []
        self._settle_in(jobs)
        self.pass_time(10)

    def _settle_in(self, jobs: int) -> None:
        place, names = self.environment, self.environment.sql.databases
        for name in names[1:]:
            self.make_landing(name)
        self.statement(CONTROL, "DELETE FROM lpmops.route")
        routes = [
            Route(company, f"County {company}", names[number % len(names)])
            for number, company in enumerate(self.routed)
        ]
        listed = [
            {"company_id": each.company_id, "company": each.company, "database": each.database} for each in routes
        ]
        self.rows(CONTROL, "routes_add", (json.dumps(listed), None, "x", json.dumps(listed)))
        self.statement(CONTROL, "UPDATE lpmops.route SET changed_at = DATEADD(HOUR, -1, changed_at)")
        prefix = place.streamanalytics.job_prefix
        share = -(-len(names) // jobs)
        present = {
            f"{prefix}{number + 1:02}": shards.Present(
                names[number * share : (number + 1) * share], number == 0, f"asa-{number + 1:02}"
            )
            for number in range(jobs)
        }
        plan = shards.plan(
            names, shards.Settings.of(config(place), place, jobs_may_come=False), routes=routes, present=present
        )
        assert not plan.refusals
        for shard in plan.shards:
            made = definitions.wished(config(place), place, shard.share, shard.consumer_group)
            self.put(
                shard.job, resource_id=f"/jobs/{shard.job}", state="Stopped", mode="JobStartTime", started_at=None, last_output_at=None,
                location="West Europe", query=made.query, inputs=made.inputs, outputs=made.outputs, settings=made.settings,
                streaming_units=float(made.streaming_units),
            )  # fmt: skip
            self._begin(shard.job, "JobStartTime", self.now())
            self.part()

    def make_landing(self, name: str) -> None:
        """A database with its landing table."""
        self.make_database(name)
        for statement in landing_statements((), config(self.environment).routing):
            self.statement(name, statement)

    # Time ------------------------------------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._sql.clock.now()

    def pass_time(self, seconds: float) -> None:
        """Let calls come in and every job that runs read them."""
        left = seconds
        while left > 0:
            self._sql.clock.advance(min(_STEP, left))
            left -= _STEP
            for company in (*self.busy, *self.chance.choices(self.callers, k=max(3, len(self.callers) // 20))):
                self.call(company)
            self.beat()
            self.work()

    def work(self) -> None:
        """Let every job read and write what there is."""
        for runtime in list(self.runtimes.values()):
            for _ in range(20):
                if not runtime.step():
                    break

    def call(self, company: str) -> None:
        """One change of a company's; one in ten is sent twice, as delivery is at least once."""
        self.version += 1
        at = self.now()
        body = {
            "info_companyid": company,
            "tdr_id": f"r{self.version:06}",
            "_change_type": "insert",
            "_commit_version": self.version,
            "_commit_timestamp": to_data(at),
            "_sent_at": to_data(at),
        }
        for _ in range(2 if self.chance.random() < 0.1 else 1):
            self.hub_events.send(body, at)
        self.sent[company, body["tdr_id"], self.version] = 1

    def beat(self) -> None:
        at = to_data(self.now())
        beat = {"_change_type": "heartbeat", "beat_id": f"b{at}", "_commit_timestamp": at, "_sent_at": at}
        self.hub_events.send(beat, self.now())

    def part(self) -> None:
        """Let a job read the route table, and the next one at another moment of the minute: no two jobs read it together."""
        self.work()
        self._sql.clock.advance(_APART)

    def crash(self) -> None:
        """Every job's process dies and goes on from its checkpoint: what came since is read and written again."""
        for name, runtime in list(self.runtimes.items()):
            runtime.close()
            self._begin(name, "JobStartTime", self.now())
            self.part()

    # Jobs ------------------------------------------------------------------------------------------------------------------------------------------

    def _begin(self, name: str, mode: str, at: datetime) -> None:
        held, key = self.get(name), JobKey(self.environment.subscription_id, "rg", name)
        runtime = AnalyticsRuntime(
            key,
            self._sql,
            lambda *_: cast(Any, self.hub_events),
            self._sql.clock,
            self._folder / "jobs" / name,
            lambda _: None,
            1,
        )
        definition = JobDefinition(
            key, held["inputs"], held["outputs"], {}, held["query"], int(held["streaming_units"]), held["settings"]
        )
        runtime.start(definition, mode, at)
        self.runtimes[name] = runtime
        self.put(name, state="Running", mode=mode, started_at=to_data(at))

    def job(self, name: str) -> StreamingJob:
        found = super().job(name)
        runtime = self.runtimes.get(name)
        last = runtime.last_output_event_time if runtime is not None else None
        if last is not None:
            self.put(name, last_output_at=to_data(last))
        return found if last is None else replace(found, last_output_at=last)

    def stop(self, name: str) -> Receipt:
        self.job(name)
        self.runtimes.pop(name).stop()
        self.put(name, state="Stopped")
        return Receipt()

    def start(self, name: str, mode: str, at: datetime | None = None) -> Receipt:
        # Calls come in while a job stands still, and the other jobs read them.
        self.pass_time(_STANDSTILL)
        if self.get(name).get("broken"):
            self.put(name, state="Failed", broken=False, started_at=to_data(self.now()))
            return Receipt()
        last = self.get(name)["last_output_at"]
        self._begin(name, mode, at or (parse_time(last) if last else self.now()))
        return Receipt()

    def positions(self, partitions: Sequence[Any], moment: datetime) -> dict[str, int]:
        return {"0": 0}

    def company_arrivals(self, key: str, limit: int = 10_000) -> dict[str, float]:
        return dict.fromkeys(self.callers, 100.0)

    # Both ends -------------------------------------------------------------------------------------------------------------------------------------

    def everywhere(self) -> dict[str, Counter[Key]]:
        """The rows of every database."""
        names = [database.name for database in self._sql.databases() if database.name not in ("master", CONTROL)]
        return {name: Counter(self.landed(name)) for name in names if self._has_table(name)}

    def _has_table(self, name: str) -> bool:
        return self._sql.database(name).catalog.find("lpm", "tdr") is not None

    def unrouted(self) -> Counter[Key]:
        """The changes that no route took, each once."""
        rows = self.query("SELECT company_id, record_id, commit_version FROM lpmops.unrouted")
        return Counter(set(rows))

    def places(self) -> dict[str, str]:
        """Where each company lands by the route table, or landed until it was paused or removed."""
        return dict(self.query("SELECT company_id, database_name FROM lpmops.route"))
