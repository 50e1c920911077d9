"""Runs a Stream Analytics job that was deployed through Resource Manager: its data sources are looked up among the sandbox's own hubs and databases.

The control plane decides when a job starts and stops and how long that takes; here it only begins and ends to read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from lpmops.sandbox.asa import seams
from lpmops.sandbox.asa.compiler import InputKind, compile_query
from lpmops.sandbox.asa.diagnostics import CompileError
from lpmops.sandbox.asa.joblog import JobLog, LogRecord
from lpmops.sandbox.asa.metrics import MetricValue
from lpmops.sandbox.asa.runtime import AT_WORK, JobState, StreamingJob
from lpmops.sandbox.asa.seams import JobSettings
from lpmops.sandbox.azure.jobs import Compilation, JobDefinition, JobKey
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub import Hub
from lpmops.sandbox.sql import SqlServer

HubFinder = Callable[[str, str], Hub]
_HUB_TYPES = ("microsoft.eventhub/eventhub", "microsoft.servicebus/eventhub")


class TableOutput:
    """An output onto a table of the environment's SQL server."""

    def __init__(self, server: SqlServer, database: str, table: str) -> None:
        self._server, self._database, self._table = server, database, table

    def write(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert in bulk; how many rows were new. Raises SqlError."""
        return self._server.database(self._database).bulk_insert(self._table, columns, rows)


class AnalyticsRuntime:
    """One job's engine as the control plane drives it. `step` is called by the environment's own thread, everything else by any."""

    def __init__(
        self,
        key: JobKey,
        server: SqlServer,
        find_hub: HubFinder,
        clock: Clock,
        folder: Path,
        write_log: Callable[[LogRecord], None],
        seed: int,
    ) -> None:
        self.key = key
        self._server, self._find_hub, self._clock, self._folder = server, find_hub, clock, folder
        self._write_log = write_log
        self._seed = seed
        self._job: StreamingJob | None = None
        self._lock = threading.Lock()

    def start(self, definition: JobDefinition, mode: str, time: datetime) -> None:
        """Begin at `time`. A job that ran when the process ended goes on from its own checkpoint. Raises CompileError, InvalidStart, LookupError."""
        settings = JobSettings(start_seconds=0.0, stop_seconds=0.0, seed=self._seed)
        job = StreamingJob(
            self.key.name, self._resolve(definition), self._clock, self._folder, settings=settings, log=self._write_log
        )
        if job.state not in {JobState.STARTING, *AT_WORK}:
            self._begin(job, mode, time)
        with self._lock:
            self._job = job

    @staticmethod
    def _begin(job: StreamingJob, mode: str, time: datetime) -> None:
        if mode == "LastOutputEventTime" and job.last_output_event_time is not None:
            job.start("LastOutputEventTime")
        else:
            # JobStartTime too: the moment is that of the request, and what comes in while the job is still starting is not skipped.
            job.start("CustomTime", time)

    def stop(self) -> None:
        """End: nothing more is read, and the place is kept."""
        with self._lock:
            job, self._job = self._job, None
        if job is not None:
            if job.state in {JobState.STARTING, *AT_WORK}:
                job.stop()
                job.step()
            job.close()

    def step(self) -> int:
        """Do some work; how many events were read."""
        with self._lock:
            job = self._job
        return job.step() if job is not None else 0

    def complain(self, operation: str, message: str) -> None:
        """Write an error into the job's execution log."""
        JobLog(self.key.name, self._write_log).error(self._clock.now(), operation, self.key.name, message)

    def close(self) -> None:
        """Let go as the process ends; the job goes on when it is started again."""
        with self._lock:
            job, self._job = self._job, None
        if job is not None:
            job.close()

    @property
    def state(self) -> str:
        """The engine's word for how it is; Running while nothing else is known."""
        job = self._job
        if job is None or job.state is JobState.STARTING:
            return "Running"
        return job.state.value

    @property
    def last_output_event_time(self) -> datetime | None:
        """The newest event time that reached an output."""
        job = self._job
        return job.last_output_event_time if job is not None else None

    def metrics(self) -> list[MetricValue]:
        """What the job has counted; nothing while it is stopped."""
        job = self._job
        return job.metrics() if job is not None else []

    def _resolve(self, definition: JobDefinition) -> seams.JobDefinition:
        inputs: dict[str, Hub] = {}
        references: dict[str, seams.ReferenceSource] = {}
        for name, properties in definition.inputs.items():
            kind, source = _datasource(properties)
            if str(properties.get("type")) == "Reference":
                references[name] = self._reference(source)
            elif kind in _HUB_TYPES:
                inputs[name] = self._find_hub(str(source["serviceBusNamespace"]), str(source["eventHubName"]))
            else:
                raise LookupError(f"the sandbox has no input of type {kind}")
        outputs = {name: self._output(properties) for name, properties in definition.outputs.items()}
        policy = cast(seams.ErrorPolicy, str(definition.properties.get("outputErrorPolicy") or "Stop"))
        return seams.JobDefinition(definition.query, inputs, outputs, references, policy, definition.streaming_units)

    def _output(self, properties: Mapping[str, Any]) -> TableOutput:
        kind, source = _datasource(properties)
        if kind != "microsoft.sql/server/database":
            raise LookupError(f"the sandbox has no output of type {kind}")
        return TableOutput(self._server, str(source["database"]), str(source["table"]))

    def _reference(self, source: Mapping[str, Any]) -> seams.ReferenceSource:
        database, text = str(source["database"]), str(source["fullSnapshotQuery"])

        def rows() -> list[dict[str, Any]]:
            result = self._server.database(database).execute(text)[-1]
            names = [column.name for column in result.columns]
            return [dict(zip(names, row, strict=True)) for row in result.rows]

        return rows


def diagnose(text: str, inputs: Mapping[str, str], outputs: Sequence[str] | None) -> Compilation:
    """What is wrong with a query text, for the control plane to refuse it at deployment; without `outputs` it may name any."""
    kinds: dict[str, InputKind] = {
        name: "reference" if kind.lower() == "reference" else "stream" for name, kind in inputs.items()
    }
    try:
        found = compile_query(text, kinds, outputs)
    except CompileError as error:
        return Compilation(error.diagnostics)
    return Compilation((), [*found.paths, *sorted(found.references)], found.outputs)


def _datasource(properties: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    source = properties.get("datasource") or {}
    return str(source.get("type", "")).lower(), source.get("properties") or {}
