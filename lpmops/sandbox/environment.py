"""One environment of the sandbox: a table, a job, a hub, Stream Analytics and databases, and the threads that move records through them.

One thread commits, one streams the change feed into the hub, one runs the Stream Analytics jobs, one measures. A part that fails is reported in the
log and tried again; what a fault breaks is exactly what the real trouble breaks.
"""

from __future__ import annotations

import logging
import shutil
import threading
from argparse import ArgumentError
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from lpmops.sandbox import deploy, people
from lpmops.sandbox.analytics import AnalyticsRuntime
from lpmops.sandbox.asa.joblog import LogRecord
from lpmops.sandbox.azure.account import Account, ResourceGroup, Subscription
from lpmops.sandbox.azure.identity import DATABRICKS, TokenAuthority
from lpmops.sandbox.azure.jobs import Job, JobKey, Match
from lpmops.sandbox.bounded_runs import BoundedRuns
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks import Workspace
from lpmops.sandbox.databricks.errors import ApiError
from lpmops.sandbox.databricks.volumes import Volumes
from lpmops.sandbox.deployment import Environment
from lpmops.sandbox.growth import CompanySource, Newcomers
from lpmops.sandbox.hub import Hub
from lpmops.sandbox.hub_errors import CATEGORY, TABLE, HubErrors
from lpmops.sandbox.hub_provider import LiveHubs, Namespaces
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.feeder import Feeder
from lpmops.sandbox.lake.records import CallRecords, Company
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.streamjob import NoStartingVersion
from lpmops.sandbox.lake.table import ChangeTable
from lpmops.sandbox.metering import Meter
from lpmops.sandbox.sending import Sender
from lpmops.sandbox.sql import SqlServer
from lpmops.sandbox.streaming import Streaming

log = logging.getLogger(__name__)

PARTITIONS = 4
# Of the SQL server, beside one for each company database.
CONNECTIONS = 20
RETENTION = timedelta(days=7)
# Real seconds between two looks for work; the latency of the stream is made of these.
_BUSY_PAUSE, _IDLE_PAUSE, _AFTER_FAILURE = 0.02, 0.1, 1.0
_METER_SECONDS = 5.0


class SandboxEnvironment:
    """One environment. Built, then `deploy`ed once in its life, then `start`ed; `close` keeps everything for the next time."""

    def __init__(
        self,
        plan: Environment,
        folder: Path,
        clock: Clock,
        companies: Sequence[Company],
        seed: int,
        namespaces: Namespaces,
        authority: TokenAuthority,
        more_companies: CompanySource,
    ) -> None:
        self.name = plan.name
        self.plan = plan
        self.clock = clock
        self.authority = authority
        self._namespaces = namespaces
        self._companies = {company.id: company for company in companies}
        self._databases = {
            company.id: plan.databases[number % len(plan.databases)] for number, company in enumerate(companies)
        }
        self.folder = folder
        if self.is_new:
            # A process that died while it deployed left a part of it, and nothing has flowed yet.
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._newcomers = Newcomers(folder, more_companies, len(companies))
        self.units = max(2, round(plan.rate / 400))
        self.hub = namespaces.open(plan.namespace, plan.hub, PARTITIONS, RETENTION, plan.consumer_groups, self.units)
        # One for each database that is written to all the time: a file that is closed and opened again for each batch costs more than the batch.
        connections = CONNECTIONS + len(plan.databases)
        self.sql = SqlServer(folder / "sql", clock, name=f"sql-lpm-{plan.name}", connections=connections)
        self.table = _table(folder / "lake" / "tdr_streaming", plan.table, clock)
        self._calls = CallRecords(seed, (*companies, *self._newcomers.come()))
        self.feeder = Feeder(self.table, self._calls, clock, plan.rate)
        volumes = folder / "volumes"
        place = Volumes(volumes).place
        checkpoint = volumes / plan.checkpoint.removeprefix("/Volumes/")
        self.sender = Sender(self.hub)
        self._streaming = Streaming(self.table, self.sender.send, place, clock, checkpoint)
        self.bounded_runs = BoundedRuns(self.table, self.sender.send, self._streaming.put_aside, place, clock)
        self.workspace = Workspace(
            clock=clock,
            folder=folder / "workspace",
            workspace_id=plan.workspace_id,
            warehouse_id=plan.warehouse,
            tables={plan.table: self.table},
            volumes=volumes,
            stream_job=plan.stream_job,
            stream_settings=plan.stream_settings,
            stream_files=plan.stream_files,
            authorize=lambda token: authority.check(token, DATABRICKS, self.name),
            base_url=f"http://127.0.0.1:{plan.databricks_port}",
            run_task=self.bounded_runs.execute,
            grants=people.grants(plan.table.partition(".")[0]),
            directory=people.directory(plan.name),
            credentials={people.CREDENTIAL: self._connector},
            run_as=people.crew_of(plan.name).application,
            job_levels=people.job_levels(),
        )
        self.runtimes: dict[str, AnalyticsRuntime] = {}
        self._account: Account | None = None
        self._meters: list[tuple[Meter, Hub | AnalyticsRuntime]] = []
        self._made_meters: dict[str, Meter] = {}
        self._hub_errors: HubErrors | None = None
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._troubles: dict[str, str] = {}

    # Building ----------------------------------------------------------------------------------------------------------------------------------

    @property
    def is_new(self) -> bool:
        """Whether nothing was deployed here yet."""
        return not (self.folder / "deployed").exists()

    def deploy_data(self) -> None:
        """Make the databases with their tables and routes. Raises SqlError, OSError."""
        for database in (self.plan.control_database, *self.plan.databases):
            self.sql.create_database(database)
        deploy.deploy_databases(self.plan, list(self._companies.values()), self._databases, self.execute)
        people.give_databases(self.plan, self.run_sql)

    def run_sql(self, database: str, statement: str) -> object:
        """Execute a statement in a database as its owner. Raises SqlError."""
        return self.execute(database, statement, {})

    def execute(self, database: str, statement: str, parameters: Mapping[str, Any]) -> object:
        """The same with parameters."""
        return self.sql.database(database).execute(statement, parameters)

    def join(self, account: Account) -> None:
        """Make this environment known to the account: subscription, group, workspace, servers."""
        self._account = account
        plan = self.plan
        account.add_subscription(Subscription(plan.subscription_id, f"lpm-{plan.name}", plan.name))
        account.add_group(plan.subscription_id, ResourceGroup(plan.resource_group, plan.region))
        account.add_workspace(
            plan.subscription_id, plan.resource_group, f"log-lpm-{plan.name}", plan.region, plan.log_analytics_workspace
        )
        namespace = f"{self._providers}/Microsoft.EventHub/namespaces/{plan.namespace}"
        self._meters.append((Meter(account.metrics, namespace), self.hub))
        self._hub_errors = HubErrors(
            plan.namespace,
            self.hub,
            self.clock,
            lambda row, at: account.write_log(namespace, CATEGORY, TABLE, row, at.timestamp()),
        )
        crew = people.crew_of(plan.name)
        account.add_access_connector(
            plan.subscription_id, plan.resource_group, crew.connector, plan.region, crew.connector_id
        )
        account.add_sql_server(plan.subscription_id, plan.resource_group, self.sql.name, plan.region)
        there = (database.name for database in self.sql.databases() if database.name != "master")
        for name in dict.fromkeys((plan.control_database, *plan.databases, *there)):
            self._show_database(account, name)

    @property
    def account(self) -> Account:
        """The account that it has joined."""
        assert self._account is not None
        return self._account

    def _show_database(self, account: Account, name: str) -> None:
        plan = self.plan
        account.add_sql_database(
            plan.subscription_id, plan.resource_group, self.sql.name, name, plan.region, self._status_of(name)
        )

    def _status_of(self, database: str) -> Callable[[], str]:
        return lambda: "Paused" if self.sql.database(database).state == "paused" else "Online"

    def deploy_services(self, account: Account) -> None:
        """Deploy the namespace and the Stream Analytics jobs, send their logs to the workspace, and start them."""
        plan = self.plan
        account.event_hubs.put(
            plan.subscription_id, plan.resource_group, plan.namespace,
            {"location": plan.region, "sku": {"name": "Standard", "tier": "Standard", "capacity": self.units}},
        )  # fmt: skip
        account.diagnostics.put(
            f"{self._providers}/Microsoft.EventHub/namespaces/{plan.namespace}",
            "lpmops",
            {**self._to_workspace(CATEGORY), "logAnalyticsDestinationType": "Dedicated"},
        )
        identities: list[str] = []
        for job in plan.jobs:
            key = JobKey(plan.subscription_id, plan.resource_group, job.name)
            account.stream_analytics.delete(key)
            made = account.stream_analytics.put(key, deploy.job_document(plan, job), Match())
            identities.append(str((made.identity or {})["principalId"]))
            account.diagnostics.put(
                f"{self._providers}/Microsoft.StreamAnalytics/streamingjobs/{job.name}",
                "lpmops",
                self._to_workspace("Execution", "Authoring"),
            )
            account.stream_analytics.start(key, "JobStartTime", None)
        for given in people.roles(plan, identities).values():
            people.give_roles(account, given)
        (self.folder / "deployed").write_text(self.clock.now().isoformat(), encoding="utf-8")

    def _to_workspace(self, *categories: str) -> dict[str, Any]:
        """The properties of a diagnostic setting that sends these logs to the environment's workspace."""
        return {
            "workspaceId": f"{self._providers}/Microsoft.OperationalInsights/workspaces/log-lpm-{self.plan.name}",
            "logs": [{"category": name, "enabled": True} for name in categories],
        }

    def runtime(self, key: JobKey, write_log: Callable[[JobKey, LogRecord], None]) -> AnalyticsRuntime:
        """The engine of one of this environment's jobs."""
        seed = len(self.runtimes)
        runtime = AnalyticsRuntime(
            key,
            self.sql,
            self.find_hub,
            self.clock,
            self.folder / "jobs" / key.name,
            lambda record: write_log(key, record),
            seed,
        )
        self.runtimes[key.text] = runtime
        if self._account is not None:
            self._meters.append(
                (
                    Meter(
                        self._account.metrics, f"{self._providers}/Microsoft.StreamAnalytics/streamingjobs/{key.name}"
                    ),
                    runtime,
                )
            )
        return runtime

    @property
    def _connector(self) -> str:
        return f"{self._providers}/Microsoft.Databricks/accessConnectors/{people.crew_of(self.plan.name).connector}"

    @property
    def _providers(self) -> str:
        return f"/subscriptions/{self.plan.subscription_id}/resourceGroups/{self.plan.resource_group}/providers"

    def find_hub(self, namespace: str, name: str) -> Hub:
        """A hub of a namespace of this environment's subscription."""
        known = {self.plan.namespace.lower(), *(item.lower() for item in self.made_namespaces())}
        found = self._namespaces.hubs(namespace).get(name) if namespace.lower() in known else None
        if found is None:
            raise LookupError(f"there is no hub {name} in namespace {namespace}")
        return found

    def made_namespaces(self) -> list[str]:
        """The namespaces that somebody made in this environment's subscription, beside its own."""
        if self._account is None:
            return []
        held = self._account.event_hubs.namespaces(self.plan.subscription_id)
        return [str(each["name"]) for each in held if str(each["name"]).lower() != self.plan.namespace.lower()]

    def hubs_of(self, namespace: str) -> LiveHubs:
        """The hubs of one of them, as they are at each look."""
        return self._namespaces.live(namespace)

    # Growing -----------------------------------------------------------------------------------------------------------------------------------

    def welcome(self, count: int) -> Sequence[Company]:
        """Let so many customers call who have no route yet; who they are."""
        came = self._newcomers.more(count)
        self._calls.admit(came)
        return came

    @property
    def callers(self) -> tuple[str, ...]:
        """The ids of the companies whose calls come, with a route or without."""
        return self._calls.callers

    def make_database(self, name: str, collation: str, max_size_bytes: int) -> None:
        """An empty database on the server, as somebody with the portal open would make it. Raises SqlError."""
        self.sql.create_database(name, collation=collation, max_size_bytes=max_size_bytes)
        self._show_database(self.account, name)

    # Moving records ----------------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let records flow."""
        parts = {"source": self._commit, "stream": self._stream, "analytics": self._analyse, "metrics": self._measure}
        self._threads = [
            threading.Thread(target=self._loop, args=(part, work), name=f"{self.name}-{part}", daemon=True)
            for part, work in parts.items()
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop the threads and let go of every file."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)
        self.feeder.finish()
        for runtime in self.runtimes.values():
            runtime.close()
        self.workspace.close()
        self.sql.close()

    def _loop(self, part: str, work: Callable[[], float]) -> None:
        """Call `work` again and again; it returns how many real seconds to wait before the next time."""
        while not self._stopping.is_set():
            try:
                wait = work()
                self._troubles.pop(part, None)
            except Exception as error:
                trouble = f"{type(error).__name__}: {error}"
                if self._troubles.get(part) != trouble:
                    # Once: a disk that is full is not made fuller.
                    log.exception("%s: %s failed and is tried again", self.name, part)
                self._troubles[part] = trouble
                wait = _AFTER_FAILURE
            self._stopping.wait(wait)

    def _commit(self) -> float:
        self.feeder.step()
        return max(_BUSY_PAUSE, min(self.feeder.seconds_until_due(), 0.5))

    def _stream(self) -> float:
        self.workspace.tick()
        arguments = self.workspace.stream_arguments()
        if arguments is None:
            return _IDLE_PAUSE
        try:
            progress = self._streaming.step(arguments)
        except (DeltaFeedError, NoStartingVersion, ApiError, ArgumentError) as error:
            self.workspace.fail_run(str(error))
            return _IDLE_PAUSE
        return _BUSY_PAUSE if progress is not None and progress.events else _IDLE_PAUSE

    def _analyse(self) -> float:
        read = sum(runtime.step() for runtime in list(self.runtimes.values()))
        return _BUSY_PAUSE if read else _IDLE_PAUSE

    def _measure(self) -> float:
        for meter, source in self._meters:
            meter.read_hub(source) if isinstance(source, Hub) else meter.read_job(source.metrics())
        if self._hub_errors is not None:
            self._hub_errors.step()
        self.hub.expire()
        self._measure_made()
        return _METER_SECONDS

    def _measure_made(self) -> None:
        """The same for the namespaces that somebody made."""
        for document in self.account.event_hubs.namespaces(self.plan.subscription_id):
            if str(document["name"]).lower() == self.plan.namespace.lower():
                continue
            meter = self._made_meters.setdefault(document["id"], Meter(self.account.metrics, document["id"]))
            for hub in self.hubs_of(document["name"]).values():
                meter.read_hub(hub)
                hub.expire()

    def status(self, faults: Iterable[str]) -> dict[str, Any]:
        """What is going on, for people and tests."""
        tables = [database for database in self.sql.databases() if database.catalog.find("lpm", "tdr") is not None]
        landed = sum(database.row_count("lpm.tdr") for database in tables)
        states = [f"{job.key.name} {job.state}" for job in self.deployed_jobs()]
        return {
            "environment": self.name,
            "version": self.table.latest_version(),
            "sent": self.sender.sent,
            "landed": landed,
            "jobs": states,
            "faults": sorted(faults),
            "troubles": dict(self._troubles),
        }

    def database_of(self, company: str) -> str | None:
        """The database that a company is routed to, or None where there is no such company."""
        statement = "SELECT database_name FROM lpmops.route WHERE company_id = @id"
        rows = self.sql.database(self.plan.control_database).execute(statement, {"id": company})[-1].rows
        return str(rows[0][0]) if rows else None

    def deployed_jobs(self) -> list[Job]:
        """The planned jobs that nobody has deleted."""
        names = {job.name.lower() for job in self.plan.jobs}
        found: list[Job] = self.account.stream_analytics.jobs(self.plan.subscription_id, self.plan.resource_group)
        return [job for job in found if job.key.name.lower() in names]


def _table(folder: Path, name: str, clock: Clock) -> ChangeTable:
    if (folder / "_delta_log").exists():
        return ChangeTable(folder, name, clock)
    return ChangeTable.create(folder, name, clock, RECORD_SCHEMA)
