"""What the faults do to an environment: the verbs of `faults.Breakable`, each what the real trouble does to the part that it breaks.

Nothing here knows which faults are on; the board does, and calls a verb again to heal. From any thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from lpmops.sandbox import people
from lpmops.sandbox.azure.activity import Happening
from lpmops.sandbox.azure.faults import HttpFault
from lpmops.sandbox.azure.jobs import STANDING
from lpmops.sandbox.azure.stream_analytics import JOB_TYPE
from lpmops.sandbox.databricks.catalog import EVERYONE
from lpmops.sandbox.lake.records import day_curve

if TYPE_CHECKING:
    from lpmops.sandbox.environment import SandboxEnvironment

# A throttled hub takes a fifth of what comes in.
_THROTTLED_SHARE = 0.2
_EVENTS_PER_UNIT = 1_000.0
_HANG_SECONDS = 300.0
# How long an event waits in the hub while its events expire: seconds in the place of days, and longer than a job that runs takes to read it.
_PASSING = timedelta(seconds=15)
# How far back rows are lost.
_ROWS_LOST = timedelta(minutes=5)
# assumed: the service's text for a job that it gives up
_ENGINE_FAILED = "The streaming job failed: the job has exceeded its memory limit. Increase the streaming units of the job, then start it again."
_JOB_FAILED = (
    "[STREAM_FAILED] Query tdr_stream terminated with exception: the driver ran out of memory. SQLSTATE: XXKST"
)


class Breaking:
    """The verbs, for one environment, which has joined its account before the first of them is called."""

    def __init__(self, environment: SandboxEnvironment) -> None:
        self.name = environment.name
        self._environment = environment
        self._faults: dict[str, int] = {}

    def database_of(self, company: str) -> str | None:
        """The database that a company is routed to."""
        return self._environment.database_of(company)

    def stop_analytics(self) -> None:
        """Stop the jobs at once, whatever they were about to do, as somebody with the portal open would."""
        for job in self._environment.deployed_jobs():
            self._environment.account.stream_analytics.halt(job.key)
            for status in ("Accepted", "Succeeded"):
                self._environment.account.activity.write(
                    Happening(job.id, f"{JOB_TYPE}/stop/action", status, caller="operator@lpm.example")
                )

    def fail_analytics(self) -> None:
        """Put the jobs into Failed, as an error does that the engine can't get over, and write down why."""
        for job in self._environment.deployed_jobs():
            self._environment.account.stream_analytics.fail(job.key)
            if (runtime := self._environment.runtimes.get(job.key.text)) is not None:
                runtime.complain("Process Events", _ENGINE_FAILED)

    def start_analytics(self) -> None:
        """Start them again where they left off; one that somebody else has started meanwhile is left alone."""
        for job in self._environment.deployed_jobs():
            if job.state not in STANDING:
                continue
            if job.last_output_event_time is not None:
                self._environment.account.stream_analytics.start(job.key, "LastOutputEventTime", None)
            elif job.start_time is not None:
                # It never wrote anything: what came in since it was first started still waits.
                self._environment.account.stream_analytics.start(job.key, "CustomTime", job.start_time.isoformat())

    def throttle_hub(self, on: bool) -> None:
        """Leave the hub a part of what comes in at this hour, or as much as the namespace was given."""
        events = self._environment.plan.rate * day_curve(self._environment.clock.now())
        self._environment.hub.throughput_units = (
            events * _THROTTLED_SHARE / _EVENTS_PER_UNIT if on else self._capacity()
        )

    def lose_events(self, companies: frozenset[str], on: bool) -> None:
        """Let the events of companies (all where none is named) get their numbers and come to no reader; what was lost stays lost."""
        self._environment.sender.lose(companies, on)

    def double_events(self, on: bool) -> None:
        """Send each event twice."""
        self._environment.sender.double(on)

    def break_replays(self, on: bool) -> None:
        """Let each bounded run end midway."""
        self._environment.bounded_runs.breaks = on

    def expire_events(self, on: bool) -> None:
        """Let the hub's events expire within seconds, or after its retention again; what has expired stays gone."""
        self._environment.hub.passing = _PASSING if on else None

    def lose_rows(self, companies: frozenset[str]) -> None:
        """Delete what landed in the last minutes for companies (all where none is named), as a careless hand would. Raises SqlError."""
        since = (self._environment.clock.now() - _ROWS_LOST).replace(tzinfo=None)
        for company in companies:
            self._environment.execute(
                self.database_of(company) or "",
                "DELETE FROM lpm.tdr WHERE company_id = @id AND landed_at >= @since",
                {"id": company, "since": since},
            )
        for database in () if companies else self._environment.plan.databases:
            self._environment.execute(database, "DELETE FROM lpm.tdr WHERE landed_at >= @since", {"since": since})

    def close_databases(self, names: Iterable[str], on: bool) -> None:
        """Make databases refuse every login."""
        for name in list(names) or self._environment.plan.databases:
            self._environment.sql.database(name).state = "unavailable" if on else "online"

    def fail_stream_job(self, on: bool) -> None:
        """Let every run of the streaming job fail."""
        if on:
            self._environment.workspace.break_runs(_JOB_FAILED)
        else:
            self._environment.workspace.mend_runs()

    def expire_sign_in(self, on: bool) -> None:
        """Refuse every token here."""
        if on:
            self._environment.authority.expire_sign_in(environment=self.name)
        else:
            self._environment.authority.renew_sign_in(environment=self.name)

    def throttle_management(self, on: bool) -> None:
        """Answer 429."""
        self._wire_fault("throttle", HttpFault("throttle", seconds=5.0), on)

    def hang_management(self, on: bool) -> None:
        """Take calls and keep silent."""
        self._wire_fault("slow", HttpFault("slow", seconds=_HANG_SECONDS), on)

    def take_right(self, kind: str, databases: Iterable[str], on: bool) -> None:
        """Take a right away, or give it back: asa, monitor, eventhub, send, operator (all of the operator's in Azure), unity, jobs or sql."""
        if kind == "unity":
            self._environment.workspace.catalog.allow(
                self._environment.plan.table.partition(".")[0], EVERYONE, "SELECT", not on
            )
        elif kind == "jobs":
            self._environment.workspace.set_job_levels(
                self._environment.plan.stream_job, people.job_levels(group=not on)
            )
        elif kind == "sql":
            (people.take_users if on else people.give_users)(
                self._environment.plan, list(databases) or self._environment.plan.databases, self._environment.run_sql
            )
        else:
            identities = [
                str(job.identity["principalId"])
                for job in self._environment.deployed_jobs()
                if job.identity is not None
            ]
            held = people.roles(self._environment.plan, identities)
            given = [*held["operator"], *held["asa"], *held["monitor"]] if kind == "operator" else held[kind]
            (people.take_roles if on else people.give_roles)(self._environment.account, given)

    def _wire_fault(self, name: str, fault: HttpFault, on: bool) -> None:
        if name in self._faults:
            self._environment.account.faults.remove(self._faults.pop(name))
        if on:
            self._faults[name] = self._environment.account.faults.add(self._environment.plan.subscription_id, fault)

    def _capacity(self) -> float:
        plan = self._environment.plan
        namespace = self._environment.account.event_hubs.namespace(
            plan.subscription_id, plan.resource_group, plan.namespace
        )
        return float(namespace["sku"]["capacity"])
