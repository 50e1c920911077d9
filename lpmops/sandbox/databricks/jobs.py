"""Jobs and their runs, kept in a file, and the life cycle that `tick` drives.

The stream job is the one of a given name: its runs go on until something ends them, and the world streams while `stream_arguments`.
Every other run is handed to `run_task` on a thread of its own while it is RUNNING; where there is none the run fails, saying that the
sandbox cannot execute it. A continuous job always has one active run: after a failure the service waits longer each time, and `run_now`
ends the wait (docs, Jobs "continuous"). Thread-safe. Times are those of the sandbox clock.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks import runs as life
from lpmops.sandbox.databricks.errors import ApiError, invalid
from lpmops.sandbox.databricks.runs import Run
from lpmops.sandbox.databricks.settings import checked, checked_tasks, is_continuous, updated, waits_in_queue
from lpmops.sandbox.files import write_whole

log = logging.getLogger(__name__)

RUNS_KEPT = 300


@dataclass(frozen=True, slots=True)
class Durations:
    """Sandbox seconds. Databricks takes minutes where these take seconds; a back-off there starts below a minute and is unlimited."""

    run_start: float = 0.6
    run_stop: float = 0.3
    broken_run: float = 0.4
    first_back_off: float = 1.0
    longest_back_off: float = 4.0
    healthy: float = 30.0
    warehouse_start: float = 3.0


@dataclass(frozen=True, slots=True)
class Job:
    """A job. `restart_ms` is when the service starts the next run of a continuous one, `failures` how many ended badly in a row.

    `permissions` are the levels beside the owner's, by `kind:name`.
    """

    job_id: int
    created_ms: int
    creator: str
    settings: Mapping[str, Any]
    runs: int = 0
    failures: int = 0
    restart_ms: int = 0
    permissions: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.settings["name"])


@dataclass(frozen=True, slots=True)
class TaskRun:
    """What a run asks to be executed; `cancelled` is set when nobody wants it any more."""

    run_id: int
    job_name: str
    tasks: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    cancelled: threading.Event


RunTask = Callable[[TaskRun], str]


class Jobs:
    """All jobs of a workspace. `run_task` gives a task's output and raises to fail the run."""

    def __init__(
        self, clock: Clock, folder: Path, stream_job: str, durations: Durations, run_task: RunTask | None = None
    ) -> None:
        self._clock, self._durations, self._run_task = clock, durations, run_task
        self._file = folder / "jobs.json"
        self._stream_job = stream_job
        self._lock = threading.RLock()
        self._jobs: dict[int, Job] = {}
        self._runs: dict[int, Run] = {}
        self._tokens: dict[str, int] = {}
        self._next_id = 100_000_001
        self._broken: str | None = None
        self._cancels: dict[int, threading.Event] = {}
        self._ended: dict[int, tuple[str, str, str | None]] = {}
        self._changed = False
        if self._file.exists():
            self._load()

    # State

    def _load(self) -> None:
        state = json.loads(self._file.read_text(encoding="utf-8"))
        self._next_id, self._tokens, self._broken = state["next_id"], dict(state["tokens"]), state["broken"]
        self._jobs = {one["job_id"]: Job(**one) for one in state["jobs"]}
        self._runs = {one["run_id"]: life.restored(one) for one in state["runs"]}
        for run in self._runs.values():
            if run.phase == life.RUNNING and not self._is_stream(run):
                self._end(run, "LOST", "The process that executed this run has ended.")

    def _save(self) -> None:
        if not self._changed:
            return
        state = {
            "next_id": self._next_id,
            "tokens": self._tokens,
            "broken": self._broken,
            "jobs": [asdict(job) for job in self._jobs.values()],
            "runs": [run.saved() for run in self._runs.values()],
        }
        write_whole(self._file, json.dumps(state, separators=(",", ":")))
        self._changed = False

    def _put(self, run: Run) -> Run:
        self._runs[run.run_id] = run
        self._changed = True
        return run

    def _put_job(self, job: Job) -> Job:
        self._jobs[job.job_id] = job
        self._changed = True
        return job

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _now(self) -> int:
        return int(self._clock.time() * 1000)

    def _is_stream(self, run: Run) -> bool:
        return not run.submitted and run.name == self._stream_job

    # Jobs

    def create(self, settings: Mapping[str, Any], creator: str) -> int:
        """A new job's id; a continuous one starts at once. Raises ApiError."""
        with self._lock:
            job = self._put_job(Job(self._id(), self._now(), creator, checked(settings)))
            self._advance()
            return job.job_id

    def job(self, job_id: int) -> Job:
        """One job. Raises ApiError in the words that the SDK turns into ResourceDoesNotExist."""
        with self._lock:
            self._advance()
            return self._job(job_id)

    def _job(self, job_id: int) -> Job:
        if job_id not in self._jobs:
            raise invalid(f"Job {job_id} does not exist.")
        return self._jobs[job_id]

    def jobs(self) -> list[Job]:
        """All jobs, newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: -job.job_id)

    def update(self, job_id: int, changes: Mapping[str, Any], removed: Sequence[str]) -> None:
        """Change some settings. An active run keeps going with the old ones (terraform-provider-databricks#2466)."""
        with self._lock:
            job = self._job(job_id)
            self._put_job(replace(job, settings=updated(job.settings, changes, removed)))
            self._advance()

    def permit(self, job_id: int, given: Mapping[str, str], *, whole: bool = False) -> None:
        """Give rights on a job, by `kind:name`; `whole` takes all others away."""
        with self._lock:
            job = self._job(job_id)
            self._put_job(replace(job, permissions={**({} if whole else job.permissions), **given}))
            self._advance()

    def reset(self, job_id: int, settings: Mapping[str, Any]) -> None:
        """Replace all settings."""
        with self._lock:
            self._put_job(replace(self._job(job_id), settings=checked(settings)))
            self._advance()

    def delete(self, job_id: int) -> None:
        """Delete a job and cancel its runs."""
        with self._lock:
            self._job(job_id)
            for run in self._active(job_id):
                self._cancel(run)
            del self._jobs[job_id]
            self._changed = True
            self._advance()

    # Runs

    def run_now(self, job_id: int, token: str, parameters: Mapping[str, Any], creator: str) -> Run:
        """A new run, or the one that an earlier call with this token made. Raises ApiError.

        On a continuous job it replaces the active run and ends the back-off (databricks/cli#1849).
        """
        with self._lock:
            self._advance()
            known = self._by_token(f"run-now/{token}") if token else None
            if known is not None:
                return known
            job = self._job(job_id)
            trigger = "ONE_TIME"
            if is_continuous(job.settings):
                trigger = "CONTINUOUS_RESTART"
                for run in self._active(job_id):
                    self._cancel(run)
                job = self._put_job(replace(job, failures=0, restart_ms=0))
            run = self._start(job, trigger, creator, parameters)
            if token:
                self._tokens[f"run-now/{token}"] = run.run_id
            self._advance()
            return run

    def submit(self, name: str, tasks: Any, token: str, creator: str) -> Run:
        """A one-time run without a job."""
        with self._lock:
            self._advance()
            known = self._by_token(f"submit/{token}") if token else None
            if known is not None:
                return known
            tasks = checked_tasks(tasks)
            if not tasks:
                raise invalid("At least one task must be given.")
            task_ids = {task["task_key"]: self._id() for task in tasks}
            now, run_id = self._now(), self._id()
            run = Run(
                run_id, run_id, 1, name, "ONE_TIME", creator, life.PENDING, now, now, tasks, task_ids, submitted=True
            )
            if token:
                self._tokens[f"submit/{token}"] = run_id
            self._put(run)
            self._advance()
            return run

    def _by_token(self, key: str) -> Run | None:
        if key not in self._tokens:
            return None
        if self._tokens[key] not in self._runs:
            raise invalid(
                f"The run with the idempotency token '{key.partition('/')[2]}' was deleted."
            )  # assumed: the text
        return self._runs[self._tokens[key]]

    def _start(self, job: Job, trigger: str, creator: str, parameters: Mapping[str, Any]) -> Run:
        active = [run for run in self._active(job.job_id) if run.phase not in (life.QUEUED, life.TERMINATING)]
        tasks = job.settings.get("tasks", [])
        now = self._now()
        run = Run(
            run_id=self._id(),
            job_id=job.job_id,
            number=job.runs + 1,
            name=job.name,
            trigger=trigger,
            creator=creator,
            phase=life.PENDING,
            start_ms=now,
            phase_ms=now,
            tasks=tasks,
            task_ids={task["task_key"]: self._id() for task in tasks},
            parameters=parameters,
        )
        self._put_job(replace(job, runs=job.runs + 1))
        if len(active) >= int(job.settings["max_concurrent_runs"]):
            if waits_in_queue(job.settings):
                run = replace(run, phase=life.QUEUED)
            else:
                message = f"Run skipped because the limit of {job.settings['max_concurrent_runs']} maximum concurrent runs has been reached."
                run = replace(
                    run, phase=life.SKIPPED, end_ms=now, result="MAXIMUM_CONCURRENT_RUNS_REACHED", message=message
                )
        return self._put(run)

    def run(self, run_id: int) -> Run:
        """A run by its id or the id of one of its tasks. Raises ApiError."""
        with self._lock:
            self._advance()
            if run_id in self._runs:
                return self._runs[run_id]
            found = next((run for run in self._runs.values() if run_id in run.task_ids.values()), None)
            if found is None:
                raise invalid(f"Run {run_id} does not exist.")
            return found

    def runs(self) -> list[Run]:
        """All runs that are kept, newest first."""
        with self._lock:
            self._advance()
            return sorted(self._runs.values(), key=lambda run: -run.run_id)

    def settings_of(self, run: Run) -> Mapping[str, Any]:
        """The settings of a run's job as they are now; empty where it has none."""
        with self._lock:
            return self._jobs[run.job_id].settings if run.job_id in self._jobs else {}

    def cancel(self, run_id: int) -> None:
        """End a run; one that has ended stays as it is."""
        with self._lock:
            self._cancel(self.run(run_id))
            self._advance()

    def cancel_all(self, job_id: int) -> None:
        """End every active run of a job."""
        with self._lock:
            self._job(job_id)
            for run in self._active(job_id):
                self._cancel(run)
            self._advance()

    def delete_run(self, run_id: int) -> None:
        """Forget a run that has ended. Raises ApiError for an active one."""
        with self._lock:
            run = self.run(run_id)
            if run.is_active:
                raise ApiError(
                    400, "INVALID_STATE", f"Run {run_id} is active and cannot be deleted."
                )  # assumed: the text
            del self._runs[run.run_id]
            self._changed = True
            self._save()

    def _active(self, job_id: int) -> list[Run]:
        return [run for run in self._runs.values() if run.job_id == job_id and run.is_active]

    def _cancel(self, run: Run) -> None:
        if run.phase in (life.QUEUED, life.PENDING):
            self._end(run, "CANCELED", "Run cancelled.")
        elif run.phase == life.RUNNING:
            self._stop(run, "CANCELED", "Run cancelled.")

    def _stop(self, run: Run, result: str, message: str, output: str | None = None) -> None:
        """RUNNING to TERMINATING."""
        if (event := self._cancels.pop(run.run_id, None)) is not None:
            event.set()
        now = self._now()
        self._put(
            replace(
                run,
                phase=life.TERMINATING,
                phase_ms=now,
                stopping_ms=now,
                result=result,
                message=message,
                output=output,
            )
        )

    def _end(self, run: Run, result: str, message: str) -> None:
        """To TERMINATED; a continuous job's next run is planned."""
        now = self._now()
        ended = self._put(replace(run, phase=life.TERMINATED, phase_ms=now, end_ms=now, result=result, message=message))
        job = self._jobs.get(run.job_id)
        if job is None or not is_continuous(job.settings):
            return
        stood = ended.running_ms is not None and now - ended.running_ms >= self._durations.healthy * 1000
        failures = 0 if result in ("CANCELED", "SUCCESS") else (0 if stood else job.failures) + 1
        wait = self._durations.first_back_off * 2 ** min(max(failures - 1, 0), 20)
        wait = min(wait, self._durations.longest_back_off)
        self._put_job(replace(job, failures=failures, restart_ms=now + int(wait * 1000)))

    # The world's seam

    def stream_arguments(self) -> Sequence[str] | None:
        """The arguments of the stream job's run that works; None where none does, one that is about to fail neither."""
        with self._lock:
            if self._broken is not None:
                return None
            for run in self._runs.values():
                if run.phase == life.RUNNING and self._is_stream(run):
                    python = [task["spark_python_task"] for task in run.tasks if "spark_python_task" in task]
                    return [str(word) for word in (python[0].get("parameters") if python else None) or ()]
            return None

    def fail_stream(self, message: str) -> None:
        """End the stream job's running run as failed."""
        with self._lock:
            for run in list(self._runs.values()):
                if run.phase == life.RUNNING and self._is_stream(run):
                    self._end(replace(run, stopping_ms=self._now()), "FAILED", message)
            self._advance()

    def break_stream(self, message: str | None) -> None:
        """Let each run of the stream job fail with a message, or (None) run again: a waiting restart then comes within its first
        back-off.
        """
        with self._lock:
            self._broken, self._changed = message, True
            soon = self._now() + int(self._durations.first_back_off * 1000)
            for job in list(self._jobs.values()):
                if message is None and job.name == self._stream_job:
                    self._put_job(replace(job, failures=0, restart_ms=min(job.restart_ms, soon)))
            self._advance()

    def tick(self) -> None:
        """Move every life cycle on to the present."""
        with self._lock:
            self._advance()

    # Life cycle

    def _advance(self) -> None:
        now = self._now()
        for run in sorted(self._runs.values(), key=lambda run: run.run_id):
            if run.is_active:
                self._advance_run(run, now)
        for job in list(self._jobs.values()):
            if is_continuous(job.settings) and now >= job.restart_ms and not self._active(job.job_id):
                self._start(job, "CONTINUOUS", job.creator, {})
        self._prune()
        self._save()

    def _advance_run(self, run: Run, now: int) -> None:
        aged = (now - run.phase_ms) / 1000
        if run.phase == life.QUEUED:
            ahead = [other for other in self._active(run.job_id) if other.run_id < run.run_id]
            limit = int(self._jobs[run.job_id].settings["max_concurrent_runs"]) if run.job_id in self._jobs else 1
            if len(ahead) < limit:
                self._put(replace(run, phase=life.PENDING, phase_ms=now))
        elif run.phase == life.PENDING:
            waits = any(
                other.phase == life.TERMINATING and other.run_id < run.run_id for other in self._active(run.job_id)
            )
            if aged >= self._durations.run_start and not waits:
                self._begin(self._put(replace(run, phase=life.RUNNING, phase_ms=now, running_ms=now)))
        elif run.phase == life.RUNNING:
            if self._is_stream(run):
                if self._broken is not None and aged >= self._durations.broken_run:
                    self._end(replace(run, stopping_ms=now), "FAILED", self._broken)
            elif run.run_id in self._ended:
                self._stop(run, *self._ended.pop(run.run_id))
        elif run.phase == life.TERMINATING and aged >= self._durations.run_stop:
            self._end(run, run.result, run.message)

    def _begin(self, run: Run) -> None:
        """Execute a run that is not the stream's."""
        if self._is_stream(run):
            return
        if self._run_task is None:
            kinds = {kind for task in run.tasks for kind in task if kind.endswith("_task")}
            named = ", ".join(sorted(kinds)) or "no task"
            self._ended[run.run_id] = "FAILED", f"The sandbox does not execute this job: {named}.", None
            return
        event = self._cancels[run.run_id] = threading.Event()
        asked = TaskRun(run.run_id, run.name, run.tasks, run.parameters, event)
        threading.Thread(
            target=self._execute, args=(self._run_task, asked), name=f"run {run.run_id}", daemon=True
        ).start()

    def _execute(self, run_task: RunTask, asked: TaskRun) -> None:
        try:
            ending: tuple[str, str, str | None] = ("SUCCESS", "", run_task(asked))
        except Exception as error:  # noqa: BLE001  # the edge of the run's thread; the run shows the failure
            log.warning("run %s of %s failed: %s", asked.run_id, asked.job_name, error)
            ending = ("FAILED", str(error) or type(error).__name__, None)
        with self._lock:
            self._cancels.pop(asked.run_id, None)
            if self._runs.get(asked.run_id) is not None and self._runs[asked.run_id].phase == life.RUNNING:
                self._ended[asked.run_id] = ending
                self._advance()

    def _prune(self) -> None:
        ended = [run_id for run_id in sorted(self._runs) if not self._runs[run_id].is_active]
        for run_id in ended[: max(0, len(ended) - RUNS_KEPT)]:
            del self._runs[run_id]
            self._changed = True
