"""What of an environment is there: each wanted resource held against what Resource Manager shows, each database against the statements that make it.

Reading only. A database that can't be looked at is named and left out; everything else that can't be read is an error, as half a look is no ground
to change something on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lpmops.actions.action import Bench
from lpmops.control import routes
from lpmops.errors import ServiceError
from lpmops.model import StreamingJob
from lpmops.routing import columns as landing
from lpmops.routing import fields, landscape, schema
from lpmops.routing import job as definitions
from lpmops.routing.landscape import Kind, Wanted


@dataclass(frozen=True, slots=True)
class Found:
    """A wanted resource and what is there of it: None for nothing, else its document; `differences` are (field, before, after)."""

    item: Wanted
    live: Mapping[str, Any] | None
    differences: tuple[tuple[str, Any, Any], ...] = ()

    @property
    def state(self) -> str:
        """there, drifted or lacking."""
        return "lacking" if self.live is None else "drifted" if self.differences else "there"


@dataclass(frozen=True, slots=True)
class Database:
    """A database and what it lacks, as statements by what they make; `trouble` is why it could not be looked at."""

    name: str
    lacking: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """The whole look. `jobs` are those that are there, `groups` all consumer groups of the hub."""

    found: tuple[Found, ...]
    databases: tuple[Database, ...]
    jobs: tuple[StreamingJob, ...]
    groups: tuple[str, ...]
    workspace: str


def look(bench: Bench) -> World:
    """Read everything that provisioning is about. Raises ServiceError types."""
    environment, resources = bench.environment, bench.services.resources
    resources.group()
    jobs = tuple(bench.services.streamanalytics.jobs())
    workspace = workspace_of(bench)
    items = landscape.wanted(environment, job_groups(bench, jobs), workspace, key_fingerprint(bench))
    reader = _Reader(bench, {job.name.lower(): job for job in jobs}, {item.key: item for item in items})
    groups = reader.groups(items)
    found = tuple(reader.found(item) for item in items)
    return World(found, databases(bench), jobs, groups, workspace)


def workspace_of(bench: Bench) -> str:
    """The id of the Log Analytics workspace that logs go to; empty where none is configured or found."""
    settings = bench.environment.monitor
    if settings.workspace_resource_id or not settings.log_analytics_workspace:
        return settings.workspace_resource_id
    return str(bench.services.resources.workspace(settings.log_analytics_workspace))


def storage_key(bench: Bench) -> str:
    """The key with which the jobs reach their storage account, read now. Raises ConfigError, ServiceError types."""
    return str(bench.services.secret(bench.environment.streamanalytics.storage_account_key))


def key_fingerprint(bench: Bench) -> str:
    """What is kept of that key; empty where there is none."""
    settings = bench.environment.streamanalytics
    if not settings.storage_account_key:
        return ""
    return fields.fingerprint(
        storage_key(bench), f"{bench.environment.subscription_id}/{settings.storage_account}".lower()
    )


def job_groups(bench: Bench, jobs: Sequence[StreamingJob]) -> dict[str, str]:
    """The jobs there should be with the consumer group of each: its own where it is deployed."""
    people = bench.environment.eventhub.consumer_group
    present = {job.name: definitions.consumer_group(definitions.deployed(job), job.name[-2:], people) for job in jobs}
    return landscape.job_groups(bench.environment, present)


def job_document(job: StreamingJob) -> dict[str, Any]:
    """What provisioning compares of a job."""
    return {
        "location": job.location,
        "identity": {"type": "SystemAssigned"} if job.principal_id else None,
        "properties": {"jobStorageAccount": job.settings.get("jobStorageAccount")},
        "tags": dict(job.tags),
    }


def path_of(bench: Bench, item: Wanted) -> tuple[str, ...]:
    """The names with which the resource service reaches an item: those of what hangs on another begin with that one's id."""
    if item.kind not in (Kind.SETTING, Kind.ROLE):
        return item.names
    service, environment = bench.services.resources, bench.environment
    if item.scope.startswith("jobs."):
        scope = service.path(Kind.JOB, item.scope.removeprefix("jobs."))
    elif item.scope == "hub":
        scope = service.path(Kind.HUB, environment.eventhub.namespace_name, environment.eventhub.hub)
    else:
        scope = service.path(Kind.NAMESPACE, environment.eventhub.namespace_name)
    return (scope, *item.names)


def live_of(bench: Bench, item: Wanted) -> Mapping[str, Any] | None:
    """One wanted resource as it is now; None where it is not there."""
    service = bench.services.resources
    names = path_of(bench, item)
    if item.kind is Kind.ROLE:
        principal = principal_of(bench, item)
        return role_of(service.assignments(), names[0], item, principal) if principal else None
    if item.kind is Kind.SETTING:
        return setting_of(service.every(Kind.SETTING, names[0]), item)
    return service.get(item.kind, *names)


def principal_of(bench: Bench, item: Wanted) -> str | None:
    """Who a role is for; None while the job has no identity, or is not there."""
    if not item.holder:
        return str(item.body["principalId"])
    document = bench.services.resources.get(Kind.JOB, item.holder.removeprefix("jobs."))
    identity = (document or {}).get("identity")
    return str(identity["principalId"]) if isinstance(identity, Mapping) and identity.get("principalId") else None


def role_of(
    assignments: Sequence[Mapping[str, Any]], scope: str, item: Wanted, principal: str
) -> Mapping[str, Any] | None:
    """An assignment that gives a role to somebody at a scope or above it."""
    for assignment in assignments:
        given = assignment.get("properties")
        if not isinstance(given, Mapping):
            continue
        role = str(given.get("roleDefinitionId")).rpartition("/")[2].lower()
        above = str(given.get("scope")).lower().rstrip("/")
        held = (role, str(given.get("principalId")).lower()) == (item.body["roleDefinitionId"], principal.lower())
        if held and (scope.lower() == above or scope.lower().startswith(above + "/")) and not given.get("condition"):
            return assignment
    return None


def setting_of(settings: Sequence[Mapping[str, Any]], item: Wanted) -> Mapping[str, Any] | None:
    """The diagnostic setting that sends what is wanted where it is wanted; else one that sends anything there, as no log goes there by two; else the
    one of our name; else None."""
    wanted = landscape.fields(item.kind, item.body)

    def sends_there(setting: Mapping[str, Any]) -> bool:
        found = landscape.fields(item.kind, setting)["workspaceId"]
        return fields.same("workspaceId", wanted["workspaceId"], found, item.rules)

    choices = (
        lambda setting: not fields.unlike(wanted, landscape.fields(item.kind, setting), item.rules),
        sends_there,
        lambda setting: str(setting.get("name")).lower() == item.names[0].lower(),
    )
    return next((setting for fits in choices for setting in settings if fits(setting)), None)


class _Reader:
    """Reads each thing once."""

    def __init__(self, bench: Bench, jobs: Mapping[str, StreamingJob], items: Mapping[str, Wanted]) -> None:
        self._bench, self._jobs, self._items = bench, jobs, items
        self._assignments: list[tuple[Mapping[str, Any], ...]] = []
        self._live: dict[str, Mapping[str, Any] | None] = {}
        self._groups: dict[str, Mapping[str, Any]] = {}

    def groups(self, items: Sequence[Wanted]) -> tuple[str, ...]:
        """The names of the hub's consumer groups, read with the hub."""
        hub = next(item for item in items if item.kind is Kind.HUB)
        namespace = next(item for item in items if item.kind is Kind.NAMESPACE)
        service = self._bench.services.resources
        self._live[namespace.key] = service.get(Kind.NAMESPACE, *namespace.names)
        self._live[hub.key] = service.get(Kind.HUB, *hub.names) if self._live[namespace.key] else None
        if self._live[hub.key]:
            self._groups = {str(each["name"]).lower(): each for each in service.every(Kind.GROUP, *hub.names)}
        return tuple(str(each["name"]) for each in self._groups.values())

    def found(self, item: Wanted) -> Found:
        live = self._read(item)
        self._live[item.key] = live
        if live is None:
            return Found(item, None)
        unlike = fields.unlike(landscape.fields(item.kind, item.body), landscape.fields(item.kind, live), item.rules)
        return Found(item, live, tuple(unlike))

    def _read(self, item: Wanted) -> Mapping[str, Any] | None:
        if item.kind is Kind.JOB:
            job = self._jobs.get(item.names[0].lower())
            return None if job is None else job_document(job)
        if item.kind is Kind.GROUP:
            return self._groups.get(item.names[-1].lower())
        if item.kind is Kind.ROLE:
            principal = self._principal(item)
            return role_of(self._given(), path_of(self._bench, item)[0], item, principal) if principal else None
        if item.kind is Kind.SETTING:
            if self._live.get(item.scope) is None:
                return None
            scope = path_of(self._bench, item)[0]
            return setting_of(self._bench.services.resources.every(Kind.SETTING, scope), item)
        return self._live[item.key]

    def _principal(self, item: Wanted) -> str:
        if not item.holder:
            return str(item.body["principalId"])
        job = self._jobs.get(item.holder.removeprefix("jobs.").lower())
        return job.principal_id or "" if job is not None else ""

    def _given(self) -> tuple[Mapping[str, Any], ...]:
        if not self._assignments:
            self._assignments.append(tuple(self._bench.services.resources.assignments()))
        return self._assignments[0]


# Databases -----------------------------------------------------------------------------------------------------------------------------------------


def statements(bench: Bench, database: str) -> tuple[str, ...]:
    """The statements that make what a database of the environment should hold."""
    if database == bench.environment.sql.control_database:
        return schema.control_statements()
    return schema.landing_statements(bench.config.columns, bench.config.routing, bench.config.kpi)


def objects(bench: Bench, database: str) -> frozenset[str]:
    """What a database holds, by the names that `schema.makes` gives. Raises ServiceError types."""
    return frozenset(str(row["object_name"]) for row in bench.services.sql.rows(database, "schema_objects"))


def databases(bench: Bench) -> tuple[Database, ...]:
    """The control database, which must answer, and the company databases. Raises ServiceError types."""
    sql = bench.environment.sql
    found = [_database(bench, sql.control_database)]
    for name in routes.read_databases(bench.services.sql, sql.control_database, sql.databases):
        try:
            found.append(_database(bench, name))
        except ServiceError as error:
            found.append(Database(name, trouble=error.message))
    return tuple(found)


def _database(bench: Bench, name: str) -> Database:
    present = objects(bench, name)
    lacking = schema.lacking(statements(bench, name), present)
    refusals = [
        f"{made.removesuffix(schema.IGNORES_DUPLICATES)} of {name} does not ignore duplicates: drop it, then repeat this."
        for made in lacking
        if made.removesuffix(schema.IGNORES_DUPLICATES) in present
    ]
    warnings = list[str]()
    if name != bench.environment.sql.control_database and "table lpm.tdr" in present:
        expected = landing.landing_columns(bench.config.columns, bench.config.routing)
        warnings = [
            f"lpm.tdr of {name} has no column {column.name}: add it as {column.type} NULL before a job writes it."
            for column in expected
            if f"column lpm.tdr.{column.name}" not in present
        ]
    return Database(name, lacking, tuple(warnings), tuple(refusals))
