"""A workspace on a loopback port, with a real Delta table and the official SDK."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import uvicorn
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from starlette.applications import Starlette

from lpmops.sandbox.azure.identity import DATABRICKS, Principal, TokenAuthority
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks import Durations, RunTask, Workspace, workspace_routes
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable

TABLE = "lpm_dev.gold.tdr_streaming"
JOB = "lpm-tdr-stream-dev"
WAREHOUSE = "0123456789abcdef"
STREAM = {
    "name": JOB,
    "max_concurrent_runs": 1,
    "tasks": [
        {
            "task_key": "tdr_stream",
            "spark_python_task": {"python_file": "/Workspace/Shared/lpm/tdr_stream.py", "source": "WORKSPACE"},
            "job_cluster_key": "stream",
        }
    ],
    "job_clusters": [
        {
            "job_cluster_key": "stream",
            "new_cluster": {"spark_version": "16.4.x-scala2.12", "node_type_id": "Standard_D4ds_v5", "num_workers": 1},
        }
    ],
}
APPLICATION = "00000000-0000-4000-8000-000000000ab1"
CONNECTOR = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/accessConnectors/dbac-lpm-dev"
TENANT = "00000000-0000-4000-8000-0000000000aa"
START = datetime(2026, 11, 23, 4, 5, 6, 789012, UTC)


def rows(*ids: str, company: str = "1001", **values: Any) -> pa.Table:
    """Records that began at START."""
    sipreq = {"method": "INVITE", "cseq": 7, "via": ["a", "b"], "from": 'sip:"o\'hare"@a.example'}
    made = [
        {
            "tdr_id": one,
            "info_companyid": company,
            "call_started_at": START,
            "sipreq": sipreq,
            "duration_seconds": 1.5,
            **values,
        }
        for one in ids
    ]
    return pa.Table.from_pylist(made, schema=RECORD_SCHEMA)


class World:
    """A workspace that is served, and what stands around it."""

    def __init__(self, folder: Path, durations: Durations | None = None, run_task: RunTask | None = None) -> None:
        self.folder = folder
        self.clock = Clock()
        self.authority = TokenAuthority(self.clock, TENANT)
        self.authority.register(
            Principal("00000000-0000-4000-8000-000000000b01", "operator@lpm.example", "User", "client-1")
        )
        self.token = self.new_token()
        path = folder / "table"
        new = not (path / "_delta_log").exists()
        self.table = (ChangeTable.create if new else ChangeTable)(path, TABLE, self.clock)
        self.volume = folder / "volumes" / "lpm_dev" / "ops" / "checkpoints"
        self.volume.mkdir(parents=True, exist_ok=True)
        # Without proto, asyncio does not switch Nagle's algorithm off.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.workspace = Workspace(
            clock=self.clock,
            folder=folder / "workspace",
            workspace_id="7405600000000001",
            warehouse_id=WAREHOUSE,
            tables={TABLE: self.table},
            volumes=folder / "volumes",
            stream_job=JOB,
            stream_settings=STREAM,
            authorize=lambda token: self.authority.check(token, DATABRICKS, "dev"),
            base_url=self.url,
            durations=durations,
            run_task=run_task,
            directory={"dana@lpm.example": ("users", "lpm-operators"), APPLICATION: ("users",)},
            credentials={"lpm-eventhub": CONNECTOR},
            run_as=APPLICATION,
            job_levels={"group_name:lpm-operators": "CAN_MANAGE_RUN"},
        )
        app = Starlette(routes=workspace_routes(self.workspace))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()

    def is_streaming(self) -> bool:
        """Whether a run of the stream job works."""
        return self.workspace.stream_arguments() is not None

    def new_token(self, audience: str = DATABRICKS) -> str:
        return self.authority.issue("00000000-0000-4000-8000-000000000b01", audience).token

    def sdk(self) -> WorkspaceClient:
        config = Config(
            host=self.url, token=self.token, auth_type="pat", retry_timeout_seconds=5, http_timeout_seconds=10
        )
        return WorkspaceClient(config=config)

    def pass_time(self, seconds: float, step: float = 0.2) -> None:
        """Let sandbox time pass as the world does it, tick by tick."""
        passed = 0.0
        while passed < seconds:
            self.clock.advance(step)
            self.workspace.tick()
            passed += step

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self.workspace.close()
        self._socket.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Worlds over one folder; all are closed at the end."""
    made: list[World] = []

    def make(**given: Any) -> World:
        made.append(World(tmp_path, **given))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with three commits that its tests only read."""
    world = World(tmp_path_factory.mktemp("still"))
    world.table.insert(rows("a", "b"))
    world.table.update({"disposition": "'answered'"}, "tdr_id = 'a'")
    yield world
    world.close()


@pytest.fixture(scope="module")
def sdk(still: World) -> WorkspaceClient:
    """The official client on the still world."""
    return still.sdk()


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """True as soon as a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.01)
    return True
