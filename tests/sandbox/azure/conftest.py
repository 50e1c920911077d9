"""A small Azure on a loopback port: one account with two subscriptions, stand-ins for hubs, jobs and the compiler, and official SDK clients."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import uvicorn
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.eventhub import EventHubManagementClient
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.streamanalytics import StreamAnalyticsManagementClient
from azure.monitor.query import LogsQueryClient
from azure.monitor.querymetrics import MetricsClient
from starlette.applications import Starlette

from lpmops.sandbox.azure import (
    Account,
    AzureGateway,
    Durations,
    JobDefinition,
    JobKey,
    Principal,
    ResourceGroup,
    Subscription,
    TokenAuthority,
    azure_routes,
)
from lpmops.sandbox.azure.jobs import Compilation
from lpmops.sandbox.clock import Clock
from tests.azure_specs import CheckedTraffic, checker, specifications_are_here

SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
OTHER_SUBSCRIPTION = "00000000-0000-4000-8000-000000000003"
TENANT = "00000000-0000-4000-8000-0000000000aa"
GROUP = "rg-lpm-tdr-dev"
NAMESPACE = "evhns-lpm-tdr-dev"
JOB = "asa-lpm-tdr-dev-01"
WORKSPACE = "00000000-0000-4000-8000-0000000000bb"
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
JOB_ID = f"{GROUP_ID}/providers/Microsoft.StreamAnalytics/streamingjobs/{JOB}"
NAMESPACE_ID = f"{GROUP_ID}/providers/Microsoft.EventHub/namespaces/{NAMESPACE}"
SECRET = "identity-secret-of-the-test"


@dataclass
class StandInHub:
    """What the control plane needs of a hub, and nothing behind it."""

    partition_count: int
    retention: timedelta
    created_at: datetime
    throughput_units: float = 1
    consumer_groups: list[str] = field(default_factory=lambda: ["$Default"])

    def add_consumer_group(self, name: str) -> None:
        self.consumer_groups.append(name)

    def remove_consumer_group(self, name: str) -> None:
        self.consumer_groups.remove(name)


class StandInHubs:
    """Hubs by namespace."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.held: dict[str, dict[str, StandInHub]] = {}

    def hubs(self, namespace: str) -> Mapping[str, StandInHub]:
        return self.held.get(namespace, {})

    def create(self, namespace: str, name: str, partition_count: int, retention: timedelta) -> StandInHub:
        hub = StandInHub(partition_count, retention, self._clock.now())
        self.held.setdefault(namespace, {})[name] = hub
        return hub

    def delete(self, namespace: str, name: str) -> None:
        del self.held[namespace][name]


class StandInRuntime:
    """A job that only remembers how it was started."""

    def __init__(self) -> None:
        self.starts: list[tuple[JobDefinition, str, datetime]] = []
        self.stops = 0
        self.state = "Running"
        self.last_output_event_time: datetime | None = None
        self.refuses: Exception | None = None

    def start(self, definition: JobDefinition, mode: str, time: datetime) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.starts.append((definition, mode, time))

    def stop(self) -> None:
        self.stops += 1


def complain_of_selec(text: str, inputs: Mapping[str, str], outputs: Sequence[str] | None) -> Compilation:
    """A compiler that knows one fault: SELECT without its T."""
    for number, line in enumerate(text.splitlines(), 1):
        at = line.find("SELEC ")
        if at >= 0:
            return Compilation([SimpleNamespace(message="Syntax error near 'SELEC'.", line=number, column=at + 1)])
    return Compilation((), list(inputs), outputs or ())


class LoopbackHttp(SansIOHTTPPolicy[Any, Any]):
    """Lets azure-core send its token over plain http to loopback, and nowhere else."""

    def on_request(self, request: Any) -> None:
        address = urlsplit(request.http_request.url)
        assert address.hostname == "127.0.0.1", f"a client tried to leave loopback: {address.hostname}"
        request.context.options["enforce_https"] = False


class AuthorityCredential:
    """Tokens straight from the sandbox's authority, for whatever scope a client asks."""

    def __init__(self, authority: TokenAuthority, principal: Principal) -> None:
        self._authority = authority
        self._principal = principal

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        issued = self._authority.issue(self._principal.id, scopes[0])
        return AccessToken(issued.token, issued.expires_on)


@dataclass
class Azure:
    """The running account and everything a test holds on to."""

    address: str
    account: Account
    clock: Clock
    hubs: StandInHubs
    runtimes: dict[str, StandInRuntime]
    principal: Principal
    folder: Path
    traffic: CheckedTraffic | None = None

    @property
    def runtime(self) -> StandInRuntime:
        """The stand-in behind the one job."""
        return self.runtimes[JobKey(SUBSCRIPTION, GROUP, JOB).text]

    def client_options(self) -> dict[str, Any]:
        return {
            "per_call_policies": [LoopbackHttp(), *([self.traffic.policy] if self.traffic else [])],
            "use_env_settings": False,
            "retry_total": 0,
            "connection_timeout": 5,
            "read_timeout": 10,
            "polling_interval": 0,
        }

    def credential(self) -> AuthorityCredential:
        return AuthorityCredential(self.account.authority, self.principal)

    def event_hubs(self, **options: Any) -> EventHubManagementClient:
        merged = {"api_version": "2024-01-01", **self.client_options(), **options}
        return EventHubManagementClient(self.credential(), SUBSCRIPTION, base_url=self.address, **merged)

    def stream_analytics(self, **options: Any) -> StreamAnalyticsManagementClient:
        return StreamAnalyticsManagementClient(
            self.credential(), SUBSCRIPTION, base_url=self.address, **{**self.client_options(), **options}
        )

    def monitor(self, **options: Any) -> MonitorManagementClient:
        return MonitorManagementClient(
            self.credential(), SUBSCRIPTION, base_url=self.address, **{**self.client_options(), **options}
        )

    def metrics(self, **options: Any) -> MetricsClient:
        return MetricsClient(self.address, self.credential(), **{**self.client_options(), **options})

    def logs(self, **options: Any) -> LogsQueryClient:
        return LogsQueryClient(self.credential(), endpoint=self.address, **{**self.client_options(), **options})

    def token(self, audience: str = "https://management.azure.com") -> str:
        return self.account.authority.issue(self.principal.id, audience).token

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """One plain request, with a Resource Manager token unless `headers` has its own."""
        headers = {"Authorization": f"Bearer {self.token()}", **options.pop("headers", {})}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, self.address + path, json=body, headers=headers, timeout=10, **options)
        if self.traffic and answer.headers.get("content-type", "json").find("json") >= 0:
            self.traffic.check(
                method,
                answer.url,
                body,
                answer.status_code,
                answer.json() if answer.content else None,
                dict(answer.headers),
            )
        return answer


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Served:
    """uvicorn on a free loopback port, in a thread."""

    def __init__(self, app: Any) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()


def build_account(
    folder: Path, clock: Clock, hubs: StandInHubs, runtimes: dict[str, StandInRuntime], authority: TokenAuthority
) -> Account:
    """An account with two subscriptions and nothing in them."""
    account = Account(
        clock=clock,
        authority=authority,
        folder=folder,
        hubs=hubs,
        runtimes=lambda key: runtimes.setdefault(key.text, StandInRuntime()),
        compiler=complain_of_selec,
        probe=lambda _, properties: "the server is away" if "away" in str(properties) else None,
        durations=Durations(start=60, stop=30, scale=30, test=10, namespace=30, retry_after=0),
        identity_secret=SECRET,
    )
    for subscription, environment in ((SUBSCRIPTION, "dev"), (OTHER_SUBSCRIPTION, "prod")):
        account.add_subscription(Subscription(subscription, f"lpm {environment}", environment))
        account.add_group(subscription, ResourceGroup(f"rg-lpm-tdr-{environment}", "westeurope"))
    account.add_workspace(SUBSCRIPTION, GROUP, "log-lpm-tdr-dev", "westeurope", WORKSPACE)
    return account


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Azure]:
    """A running account; its clock is 200 times as fast, so that operations of a minute end while a client polls."""
    clock = Clock(speed=200.0, start=datetime(2026, 11, 2, 12, 0, tzinfo=UTC).timestamp())
    authority = TokenAuthority(clock, TENANT, lifetime=1e6)
    principal = authority.register(Principal("00000000-0000-4000-8000-0000000000cc", "operator", "User", "lpmops"))
    hubs, runtimes = StandInHubs(clock), dict[str, StandInRuntime]()
    account = build_account(tmp_path, clock, hubs, runtimes, authority)
    account.start()
    served = Served(AzureGateway(Starlette(routes=azure_routes(account)), account))
    traffic = CheckedTraffic() if specifications_are_here() else None
    yield Azure(served.address, account, clock, hubs, runtimes, principal, tmp_path, traffic)
    served.close()
    account.close()
    assert not (traffic and traffic.issues), "\n".join(traffic.issues if traffic else ())


@pytest.fixture
def checked_azure(azure: Azure) -> Azure:
    """The same for tests whose point is that the exchanges agree with the specifications: skipped where those are absent."""
    checker()
    return azure
