"""One environment's services in one bundle, each built at its first use.

Opening costs nothing and reaches nobody. Members may be asked for from many threads; `close` ends what is open. The control plane knows this
module and the services' methods, and nothing of what is below them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from lpmops.config import Environment
from lpmops.services.calls import CallCounter

if TYPE_CHECKING:
    from lpmops.services.authorization import AuthorizationService
    from lpmops.services.azuresql import SqlService
    from lpmops.services.changes import ChangeService
    from lpmops.services.databricks import DatabricksService
    from lpmops.services.eventhubs import EventHubService
    from lpmops.services.identity import CachedCredential
    from lpmops.services.monitor import MonitorService
    from lpmops.services.replayruns import ReplayRunService
    from lpmops.services.resources import ResourceService
    from lpmops.services.secrets import SecretReader
    from lpmops.services.sqlservers import SqlServerService
    from lpmops.services.streamanalytics import StreamAnalyticsService
    from lpmops.services.transport import Transport
    from lpmops.services.unity import UnityService

T = TypeVar("T")


class _Lazy(Generic[T]):
    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: list[T] = []

    def get(self) -> T:
        with self._lock:
            if not self._built:
                self._built.append(self._build())
            return self._built[0]

    def built(self) -> list[T]:
        with self._lock:
            return list(self._built)


class EnvironmentServices:
    """What can be asked about one environment. Every call of every member ends within `deadline` seconds."""

    def __init__(self, environment: Environment, deadline: float, calls: CallCounter) -> None:
        self.environment = environment
        self.deadline = deadline
        self.calls = calls
        self._transport = _Lazy(self._build_transport)
        self._credential = _Lazy(self._build_credential)
        self._databricks = _Lazy(self._build_databricks)
        self._replays = _Lazy(self._build_replays)
        self._changes = _Lazy(self._build_changes)
        self._eventhubs = _Lazy(self._build_eventhubs)
        self._streamanalytics = _Lazy(self._build_streamanalytics)
        self._monitor = _Lazy(self._build_monitor)
        self._resources = _Lazy(self._build_resources)
        self._sql = _Lazy(self._build_sql)
        self._authorization = _Lazy(self._build_authorization)
        self._unity = _Lazy(self._build_unity)
        self._sqlservers = _Lazy(self._build_sqlservers)

    @property
    def transport(self) -> Transport:
        """The HTTP pipeline that the members share."""
        return self._transport.get()

    @property
    def credential(self) -> CachedCredential:
        """The identity in use."""
        return self._credential.get()

    @property
    def secrets(self) -> SecretReader:
        """Reads what the configuration refers to."""
        from lpmops.services.secrets import SecretReader

        return SecretReader(self.transport, self.credential)

    def secret(self, reference: str) -> str:
        """The secret behind a reference of the configuration, read now. Raises ConfigError, or the errors of Key Vault."""
        from lpmops.services.bounded import Deadline

        return self.secrets.read(reference, Deadline.after(self.deadline))

    @property
    def databricks(self) -> DatabricksService:
        """The source table, the streaming job and its progress."""
        return self._databricks.get()

    @property
    def replays(self) -> ReplayRunService:
        """The bounded runs that send versions of the source table again."""
        return self._replays.get()

    @property
    def changes(self) -> ChangeService:
        """The source table's changes: counted by company, and key by key."""
        return self._changes.get()

    @property
    def eventhubs(self) -> EventHubService:
        """The namespace, the hub and its partitions."""
        return self._eventhubs.get()

    @property
    def streamanalytics(self) -> StreamAnalyticsService:
        """The routing jobs."""
        return self._streamanalytics.get()

    @property
    def monitor(self) -> MonitorService:
        """Metrics and logs."""
        return self._monitor.get()

    @property
    def resources(self) -> ResourceService:
        """What the resource group is made of."""
        return self._resources.get()

    @property
    def sql(self) -> SqlService:
        """The control database and the company databases."""
        return self._sql.get()

    @property
    def authorization(self) -> AuthorizationService:
        """Who holds which Azure role."""
        return self._authorization.get()

    @property
    def unity(self) -> UnityService:
        """Who may do what in the workspace and its catalog."""
        return self._unity.get()

    @property
    def sqlservers(self) -> SqlServerService:
        """The databases as their server keeps them, without connecting."""
        return self._sqlservers.get()

    def clock_ahead(self) -> float | None:
        """Seconds that this machine's clock is ahead of Resource Manager's, to a second; None where that does not say. Raises ServiceError types."""
        from lpmops.services.resourcemanager import clock_ahead

        return clock_ahead(self.environment, self.transport, self.credential, self.deadline)

    def tenant_id(self) -> str | None:
        """The tenant of the configured subscription, as Resource Manager says it. Raises ServiceError types."""
        from lpmops.services.resourcemanager import tenant_of_subscription

        return tenant_of_subscription(self.environment, self.transport, self.credential, self.deadline)

    def close(self) -> None:
        """Close what was opened; returns at once, calls under way end by themselves."""
        for sql in self._sql.built():
            sql.close()
        for eventhubs in self._eventhubs.built():
            eventhubs.close()
        for transport in self._transport.built():
            transport.close()

    def _build_transport(self) -> Transport:
        from lpmops.services.transport import Transport

        return Transport(self.calls)

    def _build_credential(self) -> CachedCredential:
        from lpmops.services.identity import CachedCredential

        return CachedCredential(self.environment, self.transport)

    def _build_databricks(self) -> DatabricksService:
        from lpmops.services.databricks import DatabricksService

        return DatabricksService(self.environment, self.transport, self.credential, self.deadline)

    def _build_replays(self) -> ReplayRunService:
        from lpmops.services.replayruns import ReplayRunService

        return ReplayRunService(self.environment, self.transport, self.credential, self.deadline)

    def _build_changes(self) -> ChangeService:
        from lpmops.services.changes import ChangeService

        return ChangeService(self.environment, self.transport, self.credential, self.deadline)

    def _build_eventhubs(self) -> EventHubService:
        from lpmops.services.eventhubs import EventHubService

        return EventHubService(self.environment, self.transport, self.credential, self.secrets, self.deadline)

    def _build_streamanalytics(self) -> StreamAnalyticsService:
        from lpmops.services.streamanalytics import StreamAnalyticsService

        return StreamAnalyticsService(self.environment, self.transport, self.credential, self.deadline)

    def _build_monitor(self) -> MonitorService:
        from lpmops.services.monitor import MonitorService

        return MonitorService(self.environment, self.transport, self.credential, self.deadline)

    def _build_resources(self) -> ResourceService:
        from lpmops.services.resources import ResourceService

        return ResourceService(self.environment, self.transport, self.credential, self.deadline)

    def _build_sql(self) -> SqlService:
        from lpmops.services.azuresql import SqlService

        return SqlService(self.environment, self.calls, self.credential, self.secrets, self.deadline)

    def _build_authorization(self) -> AuthorizationService:
        from lpmops.services.authorization import AuthorizationService

        return AuthorizationService(self.environment, self.transport, self.credential, self.deadline)

    def _build_unity(self) -> UnityService:
        from lpmops.services.unity import UnityService

        return UnityService(self.environment, self.transport, self.credential, self.deadline)

    def _build_sqlservers(self) -> SqlServerService:
        from lpmops.services.sqlservers import SqlServerService

        return SqlServerService(self.environment, self.transport, self.credential, self.deadline)


def open_environment(
    environment: Environment, *, deadline: float, calls: CallCounter | None = None
) -> EnvironmentServices:
    """The services of `environment`; `deadline` is the most seconds that one call of any of them may take."""
    return EnvironmentServices(environment, deadline, calls or CallCounter())
