"""The sandbox whole: one account over three environments, and the listeners through which it is reached.

Opened on the event loop with the sockets that the process holds; what takes time to build is built off the loop. One principal signs in: the operator
for whom the token endpoint speaks.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.types import ASGIApp

from lpmops.sandbox.analytics import diagnose
from lpmops.sandbox.asa.joblog import LogRecord
from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.activity import Happening
from lpmops.sandbox.azure.gateway import AzureGateway
from lpmops.sandbox.azure.identity import EVENT_HUBS, SQL, TokenAuthority, TokenError
from lpmops.sandbox.azure.jobs import JobKey
from lpmops.sandbox.azure.routes import azure_routes
from lpmops.sandbox.breaking import Breaking
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.control import control_routes
from lpmops.sandbox.databricks import workspace_routes
from lpmops.sandbox.deployment import Deployment
from lpmops.sandbox.environment import SandboxEnvironment
from lpmops.sandbox.faults import FaultBoard
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.hub import AmqpNamespace, SharedAccessKey, TokenRefused
from lpmops.sandbox.hub_provider import Namespaces
from lpmops.sandbox.lake.records import companies_of
from lpmops.sandbox.made_namespaces import MadeNamespaces
from lpmops.sandbox.people import OPERATOR
from lpmops.sandbox.sql import errors as sql_errors
from lpmops.sandbox.sql.session import Login, SqlPrincipal
from lpmops.sandbox.sql.tds import TdsListener

ServeHttp = Callable[[ASGIApp, socket.socket], None]


class World:
    """Everything behind the wire. Call `open` on the event loop, then `close`."""

    def __init__(self, folder: Path, plan: Deployment) -> None:
        self._plan = plan
        self.clock = Clock(plan.speed)
        self._authority = TokenAuthority(self.clock, plan.tenant_id, _token_key(folder / "secrets" / "tokens"))
        self._authority.register(OPERATOR)
        self._namespaces = Namespaces(folder / "namespaces", self.clock)
        companies = companies_of(plan.companies, plan.seed)
        self.environments = {
            environment.name: SandboxEnvironment(
                environment,
                folder / environment.name,
                self.clock,
                companies,
                plan.seed * 100 + number,
                self._namespaces,
                self._authority,
                lambda count: companies_of(count, plan.seed),
            )
            for number, environment in enumerate(plan.environments)
        }
        self._by_subscription = {item.plan.subscription_id.lower(): item for item in self.environments.values()}
        self.account = Account(
            clock=self.clock,
            authority=self._authority,
            folder=folder / "account",
            hubs=self._namespaces,
            runtimes=self._runtime,
            compiler=diagnose,
            identity_secret=Path(plan.identity_header_file).read_text(encoding="utf-8").strip(),
        )
        self.account.access.govern(OPERATOR.id)
        self.board = FaultBoard(map(Breaking, self.environments.values()), folder / "faults.json")
        self._made = MadeNamespaces(
            self.environments.values(),
            self.account.event_hubs,
            self.clock,
            Path(plan.identity_header_file).parent,
            self._amqp_judge,
        )
        self._amqp: list[AmqpNamespace] = []
        self._tds: list[TdsListener] = []
        self._started_at = datetime.now(UTC)

    def _runtime(self, key: JobKey) -> Any:
        environment = self._by_subscription[key.subscription.lower()]
        return environment.runtime(key, self._write_log)

    def _write_log(self, key: JobKey, record: LogRecord) -> None:
        """A record of a job's execution log; it reaches a workspace where a diagnostic setting sends it."""
        resource = f"/subscriptions/{key.subscription}/resourceGroups/{key.group}/providers/Microsoft.StreamAnalytics/streamingjobs/{key.name}"
        fields = {
            "OperationName": record.operation_name,
            "Level": record.level,
            "status_s": record.status,
            "properties_s": json.dumps(record.properties),
        }
        if record.level == "Error":
            # azure-docs stream-analytics-job-diagnostic-logs: the activity log has such an operation too, with these properties.
            said = {name: str(record.properties.get(name) or "") for name in ("Message", "Type", "Error")}
            said["Correlation ID"] = str(record.properties.get("CorrelationId") or "")
            self.account.activity.write(Happening(resource, record.operation_name, "Failed", "Error", properties=said))
        self.account.write_log(resource, record.category, "AzureDiagnostics", fields, record.time.timestamp())

    async def open(
        self, sockets: Mapping[int, socket.socket], serve_http: ServeHttp, stop: Callable[[], None], token: str
    ) -> None:
        """Build what is new, start what runs, and listen."""
        await asyncio.to_thread(self._build)
        control = control_routes(self.board, self.environments, self.status, stop, token)
        azure = AzureGateway(Starlette(routes=[*control, *azure_routes(self.account)]), self.account)
        serve_http(azure, sockets[self._plan.http_port])
        for environment in self.environments.values():
            plan = environment.plan
            serve_http(Starlette(routes=workspace_routes(environment.workspace)), sockets[plan.databricks_port])
            await self._open_amqp(environment, sockets[plan.amqp_port])
            await self._open_tds(environment, sockets[plan.tds_port])
        await self._made.start()
        for environment in self.environments.values():
            environment.start()

    def _build(self) -> None:
        for environment in self.environments.values():
            environment.join(self.account)
            if environment.is_new:
                environment.deploy_data()
                environment.deploy_services(self.account)
        # Jobs that were told to start are taken up here at once: the first day is a good day.
        self.account.start()
        self.board.heal_what_was_left()

    async def _open_amqp(self, environment: SandboxEnvironment, listener: socket.socket) -> None:
        plan = environment.plan
        namespace = AmqpNamespace(
            self._namespaces.live(plan.namespace),
            self._amqp_judge(environment.name),
            clock=self.clock,
            name=plan.namespace,
            keys=[_shared_key(Path(plan.connection_string_file))],
        )
        await namespace.start(listener)
        self._amqp.append(namespace)

    def _amqp_judge(self, environment: str) -> Callable[[str, str], bool]:
        def judge(token: str, _: str) -> bool:
            try:
                self._authority.check(token, EVENT_HUBS, environment)
            except TokenError as error:
                raise TokenRefused(str(error)) from error
            return True

        return judge

    async def _open_tds(self, environment: SandboxEnvironment, listener: socket.socket) -> None:
        def sign_in(login: Login) -> SqlPrincipal:
            if not login.token:
                user = environment.sql.contained_user(login)
                if user is None:
                    raise sql_errors.login_failed(login.user)
                return user
            try:
                principal = self._authority.check(login.token, SQL, environment.name)
            except TokenError as error:
                raise sql_errors.login_failed("<token-identified principal>") from error
            return SqlPrincipal(principal.name, is_owner=True)

        tds = TdsListener(environment.sql, sign_in, environment.folder, require_encryption=True)
        await tds.start(listener)
        self._tds.append(tds)

    def status(self) -> dict[str, Any]:
        """What is going on in each environment."""
        active = self.board.active()
        return {
            "started_at": self._started_at.isoformat(),
            "environments": [
                {
                    **item.status(fault.name for fault in active if fault.environment == item.name),
                    "namespaces": self._made.places(item),
                }
                for item in self.environments.values()
            ],
        }

    async def close(self) -> None:
        """Stop the flow, close every connection, and let go of every file; all of it is there at the next start."""
        self.board.close()
        await self._made.close()
        for namespace in self._amqp:
            await namespace.close()
        for listener in self._tds:
            await listener.close()
        await asyncio.to_thread(self._close_data)

    def _close_data(self) -> None:
        self.account.close()
        for environment in self.environments.values():
            environment.close()
        self._namespaces.close()


def _token_key(path: Path) -> bytes:
    """The key that signs tokens, kept so that a token outlives a restart."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, secrets.token_bytes(32), mode=0o600)
    return path.read_bytes()


def _shared_key(path: Path) -> SharedAccessKey:
    parts = dict(part.partition("=")[::2] for part in path.read_text(encoding="utf-8").strip().split(";") if part)
    return SharedAccessKey(parts["SharedAccessKeyName"], unquote(parts["SharedAccessKey"]))
