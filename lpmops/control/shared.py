"""The services of an environment, opened once for all who look at it at the same time.

The poller and whoever asks a closer question share connections, tokens and the count of calls. Each opens and closes for itself; the services are
opened for the first and closed after the last. Safe to use from many threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from lpmops.config import Environment
from lpmops.control.sources import (
    CallTotal,
    CredentialSource,
    DatabricksSource,
    EnvironmentServices,
    EventHubSource,
    MonitorSource,
    SqlSource,
    StreamAnalyticsSource,
)


class SharedServices:
    """Hands out one opening of each environment. `open` has the signature of the opener that it stands before."""

    def __init__(self, opener: Callable[[Environment, float], EnvironmentServices]) -> None:
        self._opener = opener
        self._lock = threading.Lock()
        self._opened: dict[str, tuple[EnvironmentServices, int]] = {}

    def open(self, environment: Environment, deadline: float) -> EnvironmentServices:
        """The services of `environment`, to be closed by whoever asked. Raises what the opener raises."""
        with self._lock:
            services, users = self._opened.get(environment.name) or (self._opener(environment, deadline), 0)
            self._opened[environment.name] = (services, users + 1)
        return _Lent(services, lambda: self._give_back(environment.name))

    def _give_back(self, name: str) -> None:
        with self._lock:
            services, users = self._opened[name]
            if users > 1:
                self._opened[name] = (services, users - 1)
                return
            del self._opened[name]
        services.close()


def whole(services: EnvironmentServices) -> EnvironmentServices:
    """The bundle behind somebody's view of it: that knows more than looking needs. It is not to be closed."""
    return services._services if isinstance(services, _Lent) else services


class _Lent:
    """One user's view of shared services; closing it twice counts once."""

    def __init__(self, services: EnvironmentServices, give_back: Callable[[], None]) -> None:
        self._services = services
        self._give_back: Callable[[], None] | None = give_back
        self._lock = threading.Lock()

    @property
    def calls(self) -> CallTotal:
        return self._services.calls

    @property
    def credential(self) -> CredentialSource:
        return self._services.credential

    @property
    def databricks(self) -> DatabricksSource:
        return self._services.databricks

    @property
    def eventhubs(self) -> EventHubSource:
        return self._services.eventhubs

    @property
    def streamanalytics(self) -> StreamAnalyticsSource:
        return self._services.streamanalytics

    @property
    def monitor(self) -> MonitorSource:
        return self._services.monitor

    @property
    def sql(self) -> SqlSource:
        return self._services.sql

    def close(self) -> None:
        with self._lock:
            give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()
