"""Services that answer as if everything were well in an environment, for what asks them all at once; any of them may be broken, or say otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from lpmops.errors import ForbiddenError, UnreachableError
from lpmops.model import (
    Credential,
    FeedState,
    HubState,
    JobPart,
    MetricPoint,
    MetricSeries,
    NamespaceState,
    PartitionState,
    StreamingJob,
    StreamJob,
    StreamProgress,
    StreamRun,
)
from lpmops.principals import Assignment, Principal, Role, Securable
from lpmops.services.sqlservers import DatabaseSettings
from tests.actions.cloud import environment

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

PLACE = environment()
GROUP = f"/subscriptions/{PLACE.subscription_id}/resourceGroups/{PLACE.resource_group}"
EVERYTHING = Role("o", "Owner", ("*",), (), ("*",))


def row(what: str, principal: str, **given: str) -> dict[str, str | None]:
    """A row of access_held."""
    names = ("role", "permission", "state", "scope", "schema_name", "object_name")
    return {"what": what, "principal": principal, **dict.fromkeys(names), **given}


JOB = "asa-lpm-tdr-prod-01"
HELD = [
    row("user", JOB),
    row("member", JOB, role="writers"),
    row("member", "writers", role="db_datawriter"),
    row("permission", JOB, permission="SELECT", state="GRANT", scope="SCHEMA", schema_name="lpm"),
    row("permission", JOB, permission="SELECT", state="GRANT", scope="SCHEMA", schema_name="lpmops"),
]
OWN = dict.fromkeys(
    ("object_select", "object_insert", "object_update", "object_delete", "view_state", "alter_any_user", "create_table", "control"), 1
)  # fmt: skip


class World:
    """Services that answer as everything were well, but for what is set otherwise."""

    def __init__(self) -> None:
        self.environment = PLACE
        self.broken: dict[str, Callable[[], Any]] = {}
        self.held = list(HELD)
        self.roles: dict[str, tuple[Assignment, ...]] = {
            "me": (Assignment("1", GROUP, EVERYTHING, "me"), Assignment("2", GROUP.partition("/resourceGroups")[0], EVERYTHING, "me")),
            "sender": (Assignment("3", GROUP, EVERYTHING, "sender"),),
            "job": (Assignment("4", GROUP, EVERYTHING, "job"),),
        }  # fmt: skip
        self.levels = {"ops@lpm.example": "CAN_MANAGE", "users": "CAN_USE", "lpm-operators": "CAN_MANAGE_RUN"}
        self.owner = "engineers"
        self.privileges = {"account users": frozenset({"ALL_PRIVILEGES"})}
        self.job = StreamingJob(
            JOB, f"{GROUP}/x", "Running", "westeurope", 3.0, principal_id="job", compatibility_level="1.2", output_error_policy="Stop",
            inputs=(JobPart("route", "Microsoft.Sql/Server/Database", {"database": "lpm-control", "refreshRate": "00:01:00"}),),
            outputs=(JobPart("lpm-01", "Microsoft.Sql/Server/Database", {"database": "lpm-01", "table": "lpm.tdr"}),),
            settings={"eventsLateArrivalMaxDelayInSeconds": 5, "eventsOutOfOrderMaxDelayInSeconds": 0},
        )  # fmt: skip
        self.stream = StreamJob("7", "job", True, False, StreamRun("7", "job", "running"))
        self.settings: dict[str, Any] = {
            "tasks": [{"spark_python_task": {"parameters": ["stream", "--table", "t"]}, "job_cluster_key": "s"}],
            "job_clusters": [
                {"job_cluster_key": "s", "new_cluster": {"node_type_id": "Standard_D4ds_v5", "num_workers": 1}}
            ],
        }
        self.feed = FeedState("delta", 9, NOW, retention=604_800.0, writer_version=4, features=("changeDataFeed",))
        self.namespace = NamespaceState("ns", f"{GROUP}/ns", "Standard", 2, "Active")
        self.hub = HubState("tdr", 4, 604_800.0, "Active")
        self.groups = ["$Default", "asa-01", "people"]
        self.incoming = 600_000.0
        self.ahead: float | None = 0.0
        self.batch_seconds = 3.0
        self.databases = {
            name: DatabaseSettings(name, "Online", "GeneralPurpose", "GP_Gen5_2", None)
            for name in ("lpm-control", "lpm-01")
        }
        self.logged = ["Execution", "Authoring"]
        self.calls: list[tuple[str, str]] = []
        self.authorization = self._room(
            "azure",
            me=lambda: Principal("ops@lpm.example", "me", "User"),
            assignments=lambda who, _beside="": self.roles[who],
            connector_principal=lambda _connector, _identity: "sender",
        )
        self.resources = self._room(
            "azure",
            workspace=lambda _: f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs",
            every=lambda _kind, _job: (
                {"properties": {"logs": [{"category": name, "enabled": True} for name in self.logged]}},
            ),
        )
        self.unity = self._room(
            "unity",
            me=lambda: Principal("ops@lpm.example", "me", "", ("users",)),
            principal=lambda name: Principal(name, "", "ServicePrincipal", ("users",)),
            securable=lambda kind, name: Securable(kind, name, self.owner, self.privileges),
            service_credential=lambda _: SimpleNamespace(connector="c", identity=""),
            levels=lambda _kind, _identifier: self.levels,
            run_as=lambda _: "00000000-0000-4000-8000-00000000000a",
        )
        self.databricks = self._room(
            "databricks",
            stream_job=lambda: self.stream,
            job_settings=lambda _: self.settings,
            feed=lambda: self.feed,
            warehouse=lambda: {"state": "RUNNING"},
            progress=lambda: StreamProgress(9, batch_seconds=self.batch_seconds),
            workspace_id=lambda: "1003",
        )
        self.streamanalytics = self._room("asa", jobs=lambda: (self.job,))
        self.eventhubs = self._room(
            "hub",
            namespace=lambda: self.namespace,
            hub=lambda: self.hub,
            consumer_groups=lambda: self.groups,
            partitions=lambda: (PartitionState("0", 0, 9, NOW, False),),
        )
        series = MetricSeries("ns", "IncomingBytes", "total", {}, (MetricPoint(NOW, self.incoming),))
        self.monitor = self._room("monitor", metrics=lambda *_: (series,), logs=lambda *_: [])
        self.sqlservers = self._room("servers", databases=lambda: self.databases)
        self.sql = self._room("sql", rows=self._rows)
        self.credential = SimpleNamespace(
            state=lambda: Credential("ok", "ops@lpm.example", NOW + timedelta(minutes=41), "az login")
        )
        manager = self._room("azure", tenant=lambda: PLACE.tenant_id, ahead=lambda: self.ahead)
        self.tenant_id, self.clock_ahead = manager.tenant, manager.ahead

    def _rows(self, database: str, name: str, _parameters: Any = ()) -> list[dict[str, Any]]:
        self.calls.append((database, name))
        answers: dict[str, Any] = {"access_own": [OWN], "server_name": [{"server_name": PLACE.sql.server_name}]}
        found: list[dict[str, Any]] = answers.get(name, self.held)
        return found

    def close(self) -> None:
        """Nothing is open."""

    def _room(self, name: str, **answers: Callable[..., Any]) -> Any:
        def guarded(answer: Callable[..., Any]) -> Callable[..., Any]:
            def ask(*arguments: Any) -> Any:
                if name in self.broken:
                    self.broken[name]()
                return answer(*arguments)

            return ask

        return SimpleNamespace(**{key: guarded(answer) for key, answer in answers.items()})


def refused() -> None:
    """A service that refuses to be asked."""
    raise ForbiddenError("no right to ask", service="x")


def away() -> None:
    """A service that nobody reaches."""
    raise UnreachableError("nobody answers there", service="x")


@contextmanager
def hanging() -> Iterator[Callable[[], None]]:
    """A service that takes questions and does not answer before the block ends."""
    let_go = threading.Event()
    try:
        yield lambda: cast(None, let_go.wait())
    finally:
        let_go.set()
