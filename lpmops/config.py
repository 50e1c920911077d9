"""The configuration: what `lpmops.toml` may say, as types.

Every setting is a field here, with its default and, in `meta`, what it must look like; `config_reader` turns a file into these values and names file,
line, key and the nearest known key when it cannot. No field holds a secret: where one is needed the file names a reference (`env:NAME`, `file:/path`
or `keyvault:https://VAULT/secrets/NAME`) that is read at the step that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lpmops.errors import NotFoundError
from lpmops.model import Kind

SECRET_REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+|keyvault:https://[^/]+/secrets/[A-Za-z0-9-]+)")
_URL = re.compile(r"https://[^\s/]+(/\S*)?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?")
_TABLE = re.compile(r"[^.\s]+\.[^.\s]+\.[^.\s]+")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


# What the landing table, its view and the text of a job have of their own; no configured column can have one of these names.
OWN_COLUMNS = frozenset(
    (
        "company_id record_id commit_version change_type commit_timestamp sent_at enqueued_at hub_partition hub_sequence replay_id landed_at "
        "age_rank beat_id kpi_disposition kpi_duration_seconds route_database route_also route_unsettled"
    ).split()
)


def meta(
    pattern: re.Pattern[str] | None = None,
    says: str = "",
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    off: bool = False,
) -> Mapping[str, Any]:
    """What a field accepts: a whole-match pattern (of each, where it is a list) with the words for it, a list of choices, a lowest and a highest
    number; with `off` also 0, which switches it off.
    """
    return {"pattern": pattern, "says": says, "choices": choices, "low": low, "high": high, "off": off}


_GUID_META = meta(_GUID, "an id such as 00000000-0000-4000-8000-000000000001")
_URL_META = meta(_URL, "an https address (http only on this machine)")
_SECRET_META = meta(
    SECRET_REFERENCE,
    "a reference: env:NAME, file:/path or keyvault:https://VAULT/secrets/NAME, never the secret itself",
)

_SENDER_META = meta(
    re.compile(r"|service-credential:[^:\s]+|sas:[^/:\s]+/[^:\s]+|entra:[A-Za-z0-9._-]+:[^/:\s]+/[^:\s]+"),
    "service-credential:NAME, sas:SCOPE/KEY or entra:CLIENT_ID:SCOPE/KEY, never the secret itself",
)

_PRINCIPALS_META = meta(
    re.compile(rf"(user|group|service):{_GUID.pattern}"),
    "a list of object ids, each as user:ID, group:ID or service:ID",
)
_WORKSPACE_META = meta(
    re.compile(
        r"|/subscriptions/[^/\s]+/resourceGroups/[^/\s]+/providers/Microsoft\.OperationalInsights/workspaces/[^/\s]+",
        re.IGNORECASE,
    ),
    "/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.OperationalInsights/workspaces/NAME",
)


@dataclass(frozen=True, slots=True)
class Databricks:
    """The workspace, the source table and the streaming job that reads its change feed.

    `sign_in` is how a job that lpmops deploys signs in to the hub, `operators` the group that may start and stop it.
    """

    host: str = field(metadata=_URL_META)
    warehouse: str
    table: str = field(metadata=meta(_TABLE, "catalog.schema.table"))
    job: str
    checkpoint: str = field(metadata=meta(re.compile(r"/Volumes/.+"), "a path under /Volumes"))
    workspace_id: str = ""
    sign_in: str = field(default="", metadata=_SENDER_META)
    operators: str = ""


@dataclass(frozen=True, slots=True)
class EventHub:
    """The hub, and how large it should be. `consumer_group` is the one people read with, never a job's.

    `region` is that of Stream Analytics where it is empty. A `maximum_throughput_units` above 0 lets the namespace grow to that by itself.
    `senders` and `receivers` are who may send to the hub and read from it, beside the jobs.
    """

    namespace: str
    hub: str
    consumer_group: str = "people"
    auth: str = field(default="entra", metadata=meta(choices=("entra", "connection-string")))
    connection_string: str = field(default="", metadata=_SECRET_META)
    region: str = ""
    tier: str = field(default="Standard", metadata=meta(choices=("Standard", "Premium")))
    throughput_units: int = field(default=2, metadata=meta(low=1))
    maximum_throughput_units: int = field(default=0, metadata=meta(low=0))
    partitions: int = field(default=4, metadata=meta(low=1))
    retention_days: int = field(default=7, metadata=meta(low=1))
    senders: tuple[str, ...] = field(default=(), metadata=_PRINCIPALS_META)
    receivers: tuple[str, ...] = field(default=(), metadata=_PRINCIPALS_META)

    @property
    def namespace_name(self) -> str:
        """The namespace's own name, where the configuration gives its address."""
        return self.namespace.partition(".")[0]


@dataclass(frozen=True, slots=True)
class StreamAnalytics:
    """The routing jobs: `job_prefix` plus a two-digit shard number.

    They reach `storage_account`, which reference data needs, by their own identity, or by `storage_account_key` where that is given.
    """

    job_prefix: str
    region: str
    storage_account: str = ""
    storage_account_key: str = field(default="", metadata=_SECRET_META)
    streaming_units: str = field(
        default="1/3", metadata=meta(choices=("1/3", "2/3", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"))
    )
    strategy: str = field(default="reference", metadata=meta(choices=("reference", "query")))


@dataclass(frozen=True, slots=True)
class Sql:
    """The logical server with the control database and the company databases.

    `server_name` is its name in Azure, where the address does not begin with it (a private endpoint, an alias).
    """

    server: str
    databases: tuple[str, ...]
    control_database: str = "lpm-control"
    port: int = field(default=1433, metadata=meta(low=1))
    auth: str = field(default="entra", metadata=meta(choices=("entra", "password")))
    user: str = ""
    password: str = field(default="", metadata=_SECRET_META)
    trust_server_certificate: bool = False
    driver: str = field(default="auto", metadata=meta(choices=("auto", "odbc", "python-tds")))
    server_name: str = ""
    resource_group: str = ""


@dataclass(frozen=True, slots=True)
class Monitor:
    """Where diagnostic logs go; empty where there is none.

    `log_analytics_workspace` is the id that queries name. `workspace_resource_id` is where it is, for a workspace of another resource group.
    """

    log_analytics_workspace: str = ""
    workspace_resource_id: str = field(default="", metadata=_WORKSPACE_META)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The cloud's own addresses; other clouds and private gateways name theirs. `{region}` is filled in."""

    resource_manager: str = field(default="https://management.azure.com", metadata=_URL_META)
    metrics: str = field(default="https://{region}.metrics.monitor.azure.com", metadata=_URL_META)
    logs: str = field(default="https://api.loganalytics.azure.com", metadata=_URL_META)


@dataclass(frozen=True, slots=True)
class Identity:
    """How lpmops signs in. `token-endpoint` speaks the App Service managed identity protocol."""

    credential: str = field(
        default="default",
        metadata=meta(
            choices=("default", "azure-cli", "environment", "managed-identity", "workload-identity", "token-endpoint")
        ),
    )
    client_id: str = ""
    endpoint: str = field(default="", metadata=_URL_META)
    header: str = field(default="", metadata=_SECRET_META)


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment with its pinned ids: a live id that differs refuses every write."""

    name: str
    kind: Kind
    tenant_id: str = field(metadata=_GUID_META)
    subscription_id: str = field(metadata=_GUID_META)
    resource_group: str
    databricks: Databricks
    eventhub: EventHub
    streamanalytics: StreamAnalytics
    sql: Sql
    monitor: Monitor = field(default_factory=Monitor)
    endpoints: Endpoints = field(default_factory=Endpoints)
    identity: Identity = field(default_factory=Identity)

    @property
    def group_id(self) -> str:
        """The resource group's id, as Azure writes ids: what is put into an address is quoted first."""
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"

    @property
    def namespace_id(self) -> str:
        """The Event Hubs namespace's id."""
        return f"{self.group_id}/providers/Microsoft.EventHub/namespaces/{self.eventhub.namespace_name}"


@dataclass(frozen=True, slots=True)
class Routing:
    """Which source columns say whose a record is, which record it is, and (`sipreq`) where its SIP request stands.

    `key_type` is what a company id is in the source: with "number", 7, 7.0 and "007" are one company.
    """

    key: str = "info_companyid"
    record: str = "tdr_id"
    sip_request: str = "sipreq"
    key_type: str = field(default="string", metadata=meta(choices=("string", "number")))


@dataclass(frozen=True, slots=True)
class Kpi:
    """How KPI are counted per company and minute, from the source's columns."""

    output: str = field(default="control", metadata=meta(choices=("control", "company")))
    disposition: str = "disposition"
    answered: str = "answered"
    failed: str = "failed"
    duration_seconds: str = "duration_seconds"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a hop counts as behind, in seconds unless the name says otherwise."""

    latency: float = field(default=60.0, metadata=meta(low=0))
    latency_stretch: float = field(default=15.0, metadata=meta(low=0))
    versions_behind: int = field(default=20, metadata=meta(low=1))
    hub_events_behind: int = field(default=10_000, metadata=meta(low=1))
    watermark_delay: float = field(default=30.0, metadata=meta(low=0))
    streaming_unit_percent: float = field(default=80.0, metadata=meta(low=1))
    heartbeat_age: float = field(default=120.0, metadata=meta(low=1))
    quiet_after: float = field(default=900.0, metadata=meta(low=1))


@dataclass(frozen=True, slots=True)
class Slo:
    """The promise: this share of records lands within `latency` seconds, over `days`."""

    target: float = field(default=0.99, metadata=meta(low=0))
    latency: float = field(default=60.0, metadata=meta(low=0))
    days: int = field(default=30, metadata=meta(low=1))


@dataclass(frozen=True, slots=True)
class Refresh:
    """How often and how long lpmops looks, in seconds."""

    interval: float = field(default=5.0, metadata=meta(low=2))
    slow_interval: float = field(default=30.0, metadata=meta(low=5))
    deadline: float = field(default=15.0, metadata=meta(low=1))
    keep_days: int = field(default=30, metadata=meta(low=1))


@dataclass(frozen=True, slots=True)
class Reconcile:
    """How often the app, `lpmops record` and `status --watch` hold the source against what landed by themselves, in seconds; 0 is never.

    `interval` is between turns that look at what was committed since, `again_interval` between looks at what was proven before. A turn costs the
    warehouse some statements, and none where nothing was committed. It starts no warehouse that stands and keeps none awake that would have stopped:
    the looks beside it ask the warehouse for the newest commit every few seconds as long as they go on.
    """

    interval: float = field(default=300.0, metadata=meta(low=60, high=86_400, off=True))
    again_interval: float = field(default=1_800.0, metadata=meta(low=60, high=604_800, off=True))


@dataclass(frozen=True, slots=True)
class Column:
    """A source column that lands: its T-SQL type, and the path in the source where that differs from its name."""

    name: str
    type: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. `path` is where it was read; `origins` says for each dotted key the line it stands on.

    `state_directory` moves the local store, so that environments of one name in two files never share a history.
    """

    environments: Mapping[str, Environment]
    state_directory: str = ""
    routing: Routing = field(default_factory=Routing)
    columns: tuple[Column, ...] = ()
    kpi: Kpi = field(default_factory=Kpi)
    thresholds: Thresholds = field(default_factory=Thresholds)
    slo: Slo = field(default_factory=Slo)
    refresh: Refresh = field(default_factory=Refresh)
    reconcile: Reconcile = field(default_factory=Reconcile)
    path: Path | None = None
    origins: Mapping[str, int] = field(default_factory=dict)

    def environment(self, name: str) -> Environment:
        """The environment of that name. Raises NotFoundError naming those that exist, nearest first."""
        if name in self.environments:
            return self.environments[name]
        import difflib

        near = difflib.get_close_matches(name, self.environments, n=1, cutoff=0.4)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise NotFoundError(
            f"There is no environment {name!r} in {self.path or 'the configuration'}.{meant}",
            hint=f"It has: {', '.join(self.environments)}.",
        )
