"""One Databricks workspace: its tables, warehouse, jobs, volumes and faults, behind one object.

The world holds it, feeds its `tick` about each 200 ms, asks `stream_arguments` before each step of the stream, and breaks or mends it. What it keeps
(jobs, runs, grants) lies in its folder. Thread-safe.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lpmops.sandbox.azure.faults import HttpFault, WireFaults
from lpmops.sandbox.azure.identity import Principal
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks.calls import OperationTable
from lpmops.sandbox.databricks.catalog import OWNER, Catalog
from lpmops.sandbox.databricks.directory import Directory
from lpmops.sandbox.databricks.job_routes import JobRoutes
from lpmops.sandbox.databricks.jobs import Durations, Jobs, RunTask
from lpmops.sandbox.databricks.sqlerrors import table_not_found
from lpmops.sandbox.databricks.statements import Statements
from lpmops.sandbox.databricks.volumes import Volumes
from lpmops.sandbox.databricks.warehouse import Warehouse
from lpmops.sandbox.lake.table import ChangeTable

FAULT_KINDS = ("throttle", "slow", "server_error", "html")
_NAMESPACE = uuid.UUID("00000000-0000-4000-8000-0000000000db")

# Whose token it is; raises TokenError (lpmops.sandbox.azure.identity).
Authorize = Callable[[str], Principal]


class Workspace:
    """A workspace. `tables` go by full name; `volumes` holds catalog/schema/volume folders; `run_task` executes what is not the stream job.

    On its first start the continuous job of `stream_settings` is created and runs `stream_files`, as the application `run_as`, with these levels on
    it; later its jobs are as they were left. `directory` are the groups of everybody by name, `credentials` the access connector behind each service
    credential.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        folder: Path,
        workspace_id: str,
        warehouse_id: str,
        tables: Mapping[str, ChangeTable],
        volumes: Path,
        stream_job: str,
        stream_settings: Mapping[str, Any],
        authorize: Authorize,
        base_url: str,
        durations: Durations | None = None,
        run_task: RunTask | None = None,
        grants: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        directory: Mapping[str, Sequence[str]] | None = None,
        credentials: Mapping[str, str] | None = None,
        stream_files: Mapping[str, str] | None = None,
        run_as: str = "",
        job_levels: Mapping[str, str] | None = None,
    ) -> None:
        durations = durations or Durations()
        folder.mkdir(parents=True, exist_ok=True)
        volumes.mkdir(parents=True, exist_ok=True)
        self.id, self.base_url, self.authorize, self.faults = workspace_id, base_url, authorize, WireFaults()
        self.jobs = Jobs(clock, folder, stream_job, durations, run_task)
        self.warehouse = Warehouse(warehouse_id, clock, durations.warehouse_start, base_url)
        metastore_id = str(uuid.uuid5(_NAMESPACE, workspace_id))
        self.directory = Directory(directory or {})
        self.catalog = Catalog(tables, volumes, folder, metastore_id, grants, self.directory, credentials or {})
        self._volumes = Volumes(volumes)
        self._statements = Statements(clock, self.warehouse, self._find)
        self.operations = OperationTable(
            [
                *self.directory.operations(),
                *self._statements.operations(),
                *self.warehouse.operations(),
                *JobRoutes(self.jobs, base_url, workspace_id).operations(),
                *self.catalog.operations(),
                *self._volumes.operations(),
            ]
        )
        if not (folder / "jobs.json").exists():
            self._deploy(stream_settings, stream_files or {}, run_as, job_levels or {})

    def _deploy(
        self, settings: Mapping[str, Any], files: Mapping[str, str], run_as: str, levels: Mapping[str, str]
    ) -> None:
        """The stream's code in its volume and the job that runs it, as a team would have left them."""
        for path, text in files.items():
            target = self._volumes.place(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        identity = {"run_as": {"service_principal_name": run_as}} if run_as else {}
        job = self.jobs.create({**identity, **settings, "continuous": {"pause_status": "UNPAUSED"}}, OWNER)
        self.jobs.permit(job, dict(levels))

    def _find(self, parts: Sequence[str]) -> ChangeTable:
        name = ".".join(part for part in parts if part)
        table = self.catalog.find(name)
        if table is None:
            raise table_not_found(name)
        return table

    def close(self) -> None:
        """End all statements; jobs stay as they are for the next start."""
        self._statements.close()

    # The world's seam

    def set_job_levels(self, name: str, levels: Mapping[str, str]) -> None:
        """Who may do what with a job, instead of what was so before; nothing happens where there is no such job."""
        for job in self.jobs.jobs():
            if job.name == name:
                self.jobs.permit(job.job_id, levels, whole=True)

    def tick(self) -> None:
        """Move the life cycles on; call it about each 200 ms."""
        self.jobs.tick()

    def stream_arguments(self) -> Sequence[str] | None:
        """What the run of the stream job that is at work was told; None where none is."""
        return self.jobs.stream_arguments()

    def fail_run(self, message: str) -> None:
        """End the stream job's run as failed; a continuous job restarts after its back-off."""
        self.jobs.fail_stream(message)

    def break_runs(self, message: str) -> None:
        """Let every run of the stream job fail shortly after its start."""
        self.jobs.break_stream(message)

    def mend_runs(self) -> None:
        """Undo `break_runs`: the next restart, a back-off away at most, works again."""
        self.jobs.break_stream(None)

    def break_http(self, fault: HttpFault) -> int:
        """Break the API; the number heals it. Raises ValueError for a kind of fault that this API does not have."""
        if fault.kind not in FAULT_KINDS:
            raise ValueError(f"a workspace has no fault {fault.kind}; there are: {', '.join(FAULT_KINDS)}")
        return self.faults.add("*", fault)

    def mend_http(self, number: int | None = None) -> None:
        """Heal one fault of the API, or all of them."""
        if number is None:
            self.faults.clear()
        else:
            self.faults.remove(number)
