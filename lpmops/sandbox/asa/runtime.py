"""A Stream Analytics job: it starts, runs step by step, and stops, as the service's jobs do.

States, start modes and their consequences follow azure-docs/stream-analytics (job-states, start-job, stream-analytics-concepts-checkpoint-
replay). A job reads nothing more while an output owes rows, so one unreachable database stalls the whole job. A job that ran when the process
ended goes on from its checkpoint and repeats some. `step` belongs to one thread; everything else may be called from any.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

from lpmops.sandbox.asa.checkpoint import Checkpoint, CheckpointFile
from lpmops.sandbox.asa.compiler import InputKind, compile_query
from lpmops.sandbox.asa.diagnostics import CompileError, QueryRuntimeError
from lpmops.sandbox.asa.joblog import JobLog, LogRecord, LogSink
from lpmops.sandbox.asa.metrics import MetricValue, Totals
from lpmops.sandbox.asa.plan import CompiledQuery
from lpmops.sandbox.asa.seams import JobDefinition, JobSettings
from lpmops.sandbox.asa.session import Session
from lpmops.sandbox.clock import Clock

StartMode = Literal["JobStartTime", "CustomTime", "LastOutputEventTime"]


class JobState(StrEnum):
    """The states that this job takes; the service has a few more that only it can cause."""

    CREATED = "Created"
    STARTING = "Starting"
    RUNNING = "Running"
    DEGRADED = "Degraded"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


IDLE = frozenset({JobState.CREATED, JobState.FAILED, JobState.STOPPED})
AT_WORK = frozenset({JobState.RUNNING, JobState.DEGRADED})

# Assumed: the pages give no figures. An output that failed this often in a row, or a bad event this recently, degrades a job.
_DEGRADED_FAILURES = 3
_DEGRADED_AFTER_BAD_EVENT = timedelta(seconds=60)


class InvalidJobState(Exception):
    """The job is not in a state in which this can be done."""


class InvalidStart(Exception):
    """A start mode that can't be used now, or without its time."""


class StreamingJob:
    """One job. `folder` holds what survives the process; `log` gets execution log records on the thread that steps."""

    def __init__(
        self,
        name: str,
        definition: JobDefinition,
        clock: Clock,
        folder: Path,
        *,
        settings: JobSettings | None = None,
        log: LogSink | None = None,
    ) -> None:
        """Take up a job where it was left. Raises DamagedCheckpoint."""
        self.name = name
        self._definition, self._clock = definition, clock
        self._settings = settings or JobSettings()
        self._log = JobLog(name, log or _discard)
        self._file = CheckpointFile(folder)
        self._kept = self._file.load()
        self._totals = Totals()
        self._chance = random.Random(f"{self._settings.seed}:{name}")
        self._session: Session | None = None
        self._due = clock.now()
        self._lock = threading.RLock()
        self._resume()

    @property
    def state(self) -> JobState:
        """The state now."""
        with self._lock:
            return JobState(self._kept.state)

    @property
    def failure(self) -> str | None:
        """Why the job failed, where it did."""
        return self._kept.failure

    @property
    def definition(self) -> JobDefinition:
        """What is deployed."""
        return self._definition

    @property
    def last_output_event_time(self) -> datetime | None:
        """The time of the latest row of any output, aware UTC; None before the first."""
        return max(self.last_output_times.values(), default=None)

    @property
    def last_output_times(self) -> Mapping[str, datetime]:
        """The same for each output."""
        with self._lock:
            return dict(self._kept.last_output) | (self._session.last_times() if self._session else {})

    @property
    def watermark(self) -> datetime | None:
        """The time up to which every event is read and every row written, aware UTC."""
        with self._lock:
            return self._session.watermark if self._session else self._kept.watermark

    def define(self, definition: JobDefinition) -> None:
        """Deploy something else. Raises InvalidJobState unless the job is stopped."""
        with self._lock:
            if JobState(self._kept.state) not in IDLE:
                raise InvalidJobState(f"{self.name} is {self._kept.state}; stop it first")
            self._definition = definition

    def scale(self, streaming_units: float) -> None:
        """Give the job other streaming units, also while it runs."""
        with self._lock:
            held = self._definition
            self._definition = JobDefinition(
                held.query, held.inputs, held.outputs, held.references, held.output_error_policy, streaming_units
            )
            if self._session is not None:
                self._session.scale(streaming_units)

    def start(self, mode: StartMode = "JobStartTime", time: datetime | None = None) -> None:
        """Begin to start; steps do the rest.

        JobStartTime skips what was enqueued before now, CustomTime what was before `time` (aware), LastOutputEventTime goes on where the last
        output was, and repeats some. Raises InvalidJobState, InvalidStart, CompileError.
        """
        with self._lock:
            if JobState(self._kept.state) not in IDLE:
                raise InvalidJobState(f"{self.name} is {self._kept.state}")
            begin = self._begin(mode, time)
            query = self._compile()
            last_output = {
                name: self._kept.last_output[name]
                for name in self._kept.last_output
                if name in self._definition.outputs
            }
            self._kept = Checkpoint(JobState.STARTING, output_start=begin, watermark=None, last_output=last_output)
            self._session = self._open(query)
            self._due = self._clock.now() + timedelta(seconds=self._settings.start_seconds)
            # A crash from here on must find the place again, and a later end of the partitions would be another place.
            self._save()

    def stop(self) -> None:
        """Begin to stop; nothing is read or written from now on. Raises InvalidJobState where the job doesn't run."""
        with self._lock:
            if JobState(self._kept.state) not in {JobState.STARTING, *AT_WORK}:
                raise InvalidJobState(f"{self.name} is {self._kept.state}")
            self._save(JobState.STOPPING)
            self._leave()
            self._due = self._clock.now() + timedelta(seconds=self._settings.stop_seconds)

    def step(self) -> int:
        """Do some work, if any is to be done; return how many events were read."""
        with self._lock:
            now, state = self._clock.now(), JobState(self._kept.state)
            if state is JobState.STOPPING and now >= self._due:
                self._save(JobState.STOPPED)
            elif state is JobState.STARTING and now >= self._due:
                self._save(JobState.RUNNING)
            elif state in AT_WORK and self._session is not None:
                return self._work(self._session, now)
            return 0

    def close(self) -> None:
        """Let go, as the process ends: a running job goes on when it is made again."""
        with self._lock:
            if self._session is not None:
                self._save()
                self._leave()

    def metrics(self) -> list[MetricValue]:
        """Totals since the process began, and the values of now while the job runs: a stopped job has none."""
        with self._lock:
            running = self._session is not None and JobState(self._kept.state) in AT_WORK
            gauges = self._session.gauges(self._clock.now()) if running and self._session is not None else []
            return self._totals.values() + gauges

    def _work(self, session: Session, now: datetime) -> int:
        try:
            count = session.step(now)
        except QueryRuntimeError as error:
            self._fail(now, str(error))
            return 0
        bad = session.last_bad_event
        degraded = session.failures >= _DEGRADED_FAILURES or (bad is not None and now - bad < _DEGRADED_AFTER_BAD_EVENT)
        state = JobState.DEGRADED if degraded else JobState.RUNNING
        if state != self._kept.state or now >= self._due:
            self._save(state)
            self._due = now + timedelta(seconds=self._settings.checkpoint_seconds)
        self._log.flush(now)
        return count

    def _fail(self, now: datetime, message: str) -> None:
        self._totals.add("Errors", self.name, None, 1)
        self._log.error(
            now, "Process Events: Processing events failed", self.name, f"The job stopped at a runtime error: {message}"
        )
        self._kept.failure = message
        self._save(JobState.FAILED)
        self._leave()

    def _begin(self, mode: StartMode, time: datetime | None) -> datetime:
        if mode == "JobStartTime":
            return self._clock.now()
        if mode == "CustomTime":
            if time is None or time.tzinfo is None:
                raise InvalidStart("CustomTime needs an output start time with its zone")
            return time
        last = self.last_output_event_time
        if last is None:
            raise InvalidStart("LastOutputEventTime needs a job that was started before and has written an output")
        # What is later than the watermark is not written on every output and partition yet.
        return min(last, self._kept.watermark or last)

    def _compile(self) -> CompiledQuery:
        held = self._definition
        kinds: dict[str, InputKind] = dict.fromkeys(held.inputs, "stream")
        kinds |= dict.fromkeys(held.references, "reference")
        return compile_query(held.query, kinds, list(held.outputs))

    def _open(self, query: CompiledQuery, resumed: bool = False) -> Session:
        return Session(
            query,
            self._definition,
            self._settings,
            self._kept,
            resumed,
            self._clock,
            self._log,
            self._totals,
            self._chance,
        )

    def _resume(self) -> None:
        """Take up what a process that ended has left."""
        state = JobState(self._kept.state)
        if state is JobState.STOPPING:
            self._save(JobState.STOPPED)
        elif state is JobState.STARTING or state in AT_WORK:
            try:
                self._session = self._open(self._compile(), resumed=True)
            except CompileError as error:
                self._kept.failure = f"The query no longer compiles: {error}"
                self._save(JobState.FAILED)

    def _save(self, state: JobState | None = None) -> None:
        if state is not None:
            self._kept.state = state
        if self._session is not None:
            self._kept.positions = self._session.positions()
            self._kept.watermark = self._session.watermark
            self._kept.last_output |= self._session.last_times()
        self._file.save(self._kept)

    def _leave(self) -> None:
        if self._session is not None:
            self._log.flush(self._clock.now(), everything=True)
            self._session.close()
            self._session = None


def _discard(_: LogRecord) -> None:
    """For a job of which no one keeps the log."""
