"""The Azure account: subscriptions and everything in them, as plain thread-safe objects over which the routes are laid.

The world builds one `Account`, adds subscriptions and what is in them, and hands over the data plane through four seams: `HubProvider` (the hubs),
`runtimes` (a JobRuntime for each job), `compiler` (diagnostics of a Stream Analytics text) and `probe` (does a data source answer). State that
operators made (jobs, namespaces, settings, assignments) lies in `folder` and survives a restart.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lpmops.sandbox.azure.access import Access
from lpmops.sandbox.azure.activity import ActivityLog
from lpmops.sandbox.azure.diagnostic_settings import DiagnosticSettings
from lpmops.sandbox.azure.documents import Documents
from lpmops.sandbox.azure.event_hubs import EventHubs, HubProvider
from lpmops.sandbox.azure.faults import WireFaults
from lpmops.sandbox.azure.identity import TokenAuthority
from lpmops.sandbox.azure.jobs import Compiler, Probe, RuntimeFactory, no_diagnostics, probe_nothing
from lpmops.sandbox.azure.logs import LogStore
from lpmops.sandbox.azure.metrics import Metrics
from lpmops.sandbox.azure.stream_analytics import StreamAnalytics
from lpmops.sandbox.azure.throttle import TokenBuckets
from lpmops.sandbox.clock import Clock

_SUBSCRIPTION = re.compile(r"^/subscriptions/([^/]+)", re.IGNORECASE)
_WORKSPACE = re.compile(r"^/v1/workspaces/([^/]+)", re.IGNORECASE)
_WORKSPACE_TYPE = "Microsoft.OperationalInsights/workspaces"
_BATCHED = re.compile(r'"workspace"\s*:\s*"([^"]+)"')


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """A folder for resources."""

    name: str
    location: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One environment's subscription; `name` is what people see."""

    id: str
    name: str
    environment: str


@dataclass(frozen=True, slots=True)
class Durations:
    """How long operations take, in sandbox seconds.

    Shorter than in Azure (a start took 78 s and a stop 23 s in the recordings), so the figures are assumed; `retry_after` is in real seconds.
    """

    start: float = 6.0
    stop: float = 3.0
    scale: float = 3.0
    test: float = 1.0
    namespace: float = 2.0
    retry_after: int = 2


@dataclass(frozen=True, slots=True)
class GenericResource:
    """A resource that is only shown: SQL servers and databases, workspaces. `properties` is called at each GET, so state is live."""

    subscription: str
    group: str
    type: str
    name: str
    location: str
    properties: Callable[[], Mapping[str, Any]]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The resource id; a nested type interleaves with a nested name (`servers/databases`, `one/two`)."""
        namespace, *types = self.type.split("/")
        pairs = zip(types, self.name.split("/"), strict=True)
        path = "/".join(f"{kind}/{name}" for kind, name in pairs)
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{namespace}/{path}"

    @property
    def own_name(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


class Account:
    """Everything the Azure routes answer from. Call `start` before serving and `close` after."""

    def __init__(
        self,
        *,
        clock: Clock,
        authority: TokenAuthority,
        folder: Path,
        hubs: HubProvider,
        runtimes: RuntimeFactory,
        compiler: Compiler = no_diagnostics,
        probe: Probe = probe_nothing,
        durations: Durations | None = None,
        metric_delay: float = 90.0,
        log_delay: float = 60.0,
        identity_secret: str = "",
    ) -> None:
        self.clock = clock
        self.authority = authority
        self.durations = durations or Durations()
        # Without a secret of the caller nobody can guess one: the token endpoint is never open.
        self.identity_secret = identity_secret or secrets.token_urlsafe(24)
        self.subscriptions: dict[str, Subscription] = {}
        self._groups: dict[tuple[str, str], ResourceGroup] = {}
        self._resources: dict[str, GenericResource] = {}
        self.faults = WireFaults()
        self.buckets = TokenBuckets(clock)
        self.metrics = Metrics(clock, metric_delay)
        self.logs = LogStore(clock, log_delay)
        self.activity = ActivityLog(clock, log_delay)
        self.access = Access(Documents(folder / "access"))
        self.diagnostics = DiagnosticSettings(Documents(folder / "diagnostic-settings"))
        self.event_hubs = EventHubs(clock, Documents(folder / "namespaces"), hubs, self.durations.namespace)
        self.stream_analytics = StreamAnalytics(
            clock, Documents(folder / "jobs"), runtimes, compiler, probe, authority.tenant_id,
            self.durations.start, self.durations.stop, self.durations.scale, self.durations.test,
        )  # fmt: skip

    def start(self) -> None:
        """Take up running jobs where they were, and let long operations proceed on their own."""
        self.stream_analytics.start_clerk()

    def close(self) -> None:
        """Stop the background thread; what is running stays marked as running, so the next start takes it up."""
        self.stream_analytics.stop_clerk()

    def add_subscription(self, subscription: Subscription) -> Subscription:
        """Make a subscription known."""
        self.subscriptions[subscription.id.lower()] = subscription
        return subscription

    def add_group(self, subscription: str, group: ResourceGroup) -> ResourceGroup:
        """Make a resource group known."""
        self._groups[(subscription.lower(), group.name.lower())] = group
        return group

    def add_resource(self, resource: GenericResource) -> GenericResource:
        """Show a resource (SQL server, database, workspace)."""
        self._resources[resource.id.lower()] = resource
        return resource

    def add_workspace(
        self, subscription: str, group: str, name: str, location: str, customer_id: str
    ) -> GenericResource:
        """A Log Analytics workspace; `customer_id` is the id that queries name."""
        self.logs.add_workspace(customer_id, subscription)
        return self.add_resource(
            GenericResource(
                subscription,
                group,
                _WORKSPACE_TYPE,
                name,
                location,
                lambda: {
                    "customerId": customer_id,
                    "provisioningState": "Succeeded",
                    "sku": {"name": "PerGB2018"},
                    "retentionInDays": 30,
                },
            )
        )

    def add_access_connector(
        self, subscription: str, group: str, name: str, location: str, principal_id: str
    ) -> GenericResource:
        """An access connector of Databricks with a system-assigned identity."""
        identity = {"type": "SystemAssigned", "tenantId": self.authority.tenant_id, "principalId": principal_id}
        return self.add_resource(
            GenericResource(
                subscription,
                group,
                "Microsoft.Databricks/accessConnectors",
                name,
                location,
                lambda: {"provisioningState": "Succeeded"},
                {"identity": identity},
            )
        )

    def add_sql_server(self, subscription: str, group: str, name: str, location: str) -> GenericResource:
        """A logical SQL server."""
        return self.add_resource(
            GenericResource(
                subscription,
                group,
                "Microsoft.Sql/servers",
                name,
                location,
                lambda: {
                    "administratorLogin": "sandbox",
                    "version": "12.0",
                    "state": "Ready",
                    "fullyQualifiedDomainName": f"{name}.database.windows.net",
                    "privateEndpointConnections": [],
                    "minimalTlsVersion": "1.2",
                    "publicNetworkAccess": "Enabled",
                },
                {"kind": "v12.0"},
            )
        )

    def add_sql_database(
        self, subscription: str, group: str, server: str, name: str, location: str, status: Callable[[], str]
    ) -> GenericResource:
        """A database; `status` says Online, Paused, Resuming ... each time somebody asks."""
        return self.add_resource(
            GenericResource(
                subscription,
                group,
                "Microsoft.Sql/servers/databases",
                f"{server}/{name}",
                location,
                lambda: {
                    "collation": "SQL_Latin1_General_CP1_CI_AS",
                    "status": status(),
                    "autoPauseDelay": 60,
                    "minCapacity": 0.5,
                    "currentServiceObjectiveName": "GP_S_Gen5_2",
                    "requestedServiceObjectiveName": "GP_S_Gen5_2",
                },
                {"sku": {"name": "GP_S_Gen5", "tier": "GeneralPurpose", "family": "Gen5", "capacity": 2}},
            )
        )

    def group(self, subscription: str, name: str) -> ResourceGroup | None:
        """A resource group, names without case; None when there is none."""
        return self._groups.get((subscription.lower(), name.lower()))

    def groups(self, subscription: str) -> list[ResourceGroup]:
        """All groups of a subscription."""
        return [group for (where, _), group in self._groups.items() if where == subscription.lower()]

    def resource(self, resource_id: str) -> GenericResource | None:
        """A shown resource by id, without case."""
        return self._resources.get(resource_id.lower())

    def resources(self, prefix: str, kind: str = "") -> list[GenericResource]:
        """Shown resources below an id, of one type when `kind` names it."""
        start = prefix.lower().rstrip("/") + "/"
        found = [r for key, r in self._resources.items() if key.startswith(start)]
        return [r for r in found if not kind or r.type.lower() == kind.lower()]

    def all_resources(self, subscription: str, group: str) -> list[dict[str, Any]]:
        """Everything in a group as Resource Manager lists it: id, name, type, location, tags."""
        listed = [
            *self.event_hubs.summaries(subscription, group),
            *self.stream_analytics.summaries(subscription, group),
        ]
        for shown in self.resources(f"/subscriptions/{subscription}/resourceGroups/{group}"):
            listed.append(
                {"id": shown.id, "name": shown.name, "type": shown.type, "location": shown.location, **shown.extra}
            )
        return listed

    def location_of(self, resource_id: str) -> str | None:
        """Where a resource is, or None when there is no such resource."""
        shown = self.resource(resource_id)
        if shown is not None:
            return shown.location
        return self.event_hubs.location_of(resource_id) or self.stream_analytics.location_of(resource_id)

    def write_log(
        self, resource_id: str, category: str, table: str, fields: Mapping[str, Any], at: float | None = None
    ) -> bool:
        """A resource log line: it reaches a workspace only where a diagnostic setting sends its category there. True when one does."""
        sent = False
        for workspace_id in self.diagnostics.workspaces_for(resource_id, category):
            shown = self.resource(workspace_id)
            if shown is not None:
                self.logs.write(str(shown.properties()["customerId"]), table, resource_id, category, fields, at)
                sent = True
        return sent

    def subscription_of(self, path: str, body: bytes = b"") -> str:
        """The subscription a request is about, in lower case; a log query belongs to its workspace's, a batch of them to the first one's."""
        found = _SUBSCRIPTION.match(path)
        if found:
            return found.group(1).lower()
        batch = path.lower().startswith("/v1/$batch")
        workspace = _BATCHED.search(body.decode("utf-8", "replace")) if batch else _WORKSPACE.match(path)
        return self.logs.subscription_of(workspace.group(1)).lower() if workspace else ""

    def scope_of(self, path: str) -> str:
        """The scope at which a request needs its right: a log query that of its workspace, anything else its own path."""
        found = _WORKSPACE.match(path)
        if found is None:
            return path
        wanted = found.group(1).lower()
        workspaces = [item for item in self._resources.values() if item.type == _WORKSPACE_TYPE]
        return next((item.id for item in workspaces if item.properties()["customerId"].lower() == wanted), path)

    def environment_of(self, subscription: str) -> str:
        """The environment behind a subscription; empty when there is none."""
        known = self.subscriptions.get(subscription.lower())
        return known.environment if known else ""
