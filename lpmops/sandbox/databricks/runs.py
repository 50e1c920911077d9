"""One run of a job: a value that moves through its life, and how the Jobs API shows it.

Life: QUEUED -> PENDING -> RUNNING -> TERMINATING -> TERMINATED, or SKIPPED at once. Each run is shown with both the older `state` and the newer
`status` object, as Jobs 2.2 does (databricks-sdk 0.156 `Run`, `RunState`, `RunStatus`). Times are epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

QUEUED, PENDING, RUNNING = "QUEUED", "PENDING", "RUNNING"
TERMINATING, TERMINATED, SKIPPED = "TERMINATING", "TERMINATED", "SKIPPED"
ACTIVE = frozenset({QUEUED, PENDING, RUNNING, TERMINATING})
_CODES = {
    "SUCCESS": ("SUCCESS", "SUCCESS"),
    "FAILED": ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    "CANCELED": ("USER_CANCELED", "CLIENT_ERROR"),
    "LOST": ("DRIVER_ERROR", "CLOUD_FAILURE"),
    "MAXIMUM_CONCURRENT_RUNS_REACHED": ("MAX_CONCURRENT_RUNS_EXCEEDED", "CLIENT_ERROR"),
}


@dataclass(frozen=True, slots=True)
class Run:
    """A run. `result` is what it ended with (or, while TERMINATING, will end with); `task_ids` are the run ids of its tasks by key."""

    run_id: int
    job_id: int
    number: int
    name: str
    trigger: str
    creator: str
    phase: str
    start_ms: int
    phase_ms: int
    tasks: Sequence[Mapping[str, Any]]
    task_ids: Mapping[str, int]
    running_ms: int | None = None
    stopping_ms: int | None = None
    end_ms: int | None = None
    result: str = ""
    message: str = ""
    output: str | None = None
    submitted: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.phase in ACTIVE

    def saved(self) -> dict[str, Any]:
        """As the state file holds it."""
        return asdict(self)


def restored(document: Mapping[str, Any]) -> Run:
    """A run of the state file; fields of another version are left out."""
    known = {one.name for one in fields(Run)}
    return Run(**{name: value for name, value in document.items() if name in known})


def run_document(
    run: Run, base_url: str, workspace_id: str, settings: Mapping[str, Any], with_tasks: bool = True
) -> dict[str, Any]:
    """A run as runs/get shows it; runs/list leaves the tasks out unless asked."""
    document: dict[str, Any] = {
        "job_id": run.job_id,
        "run_id": run.run_id,
        "job_run_id": run.run_id,
        "number_in_job": run.number,
        "original_attempt_run_id": run.run_id,
        "creator_user_name": run.creator,
        "run_name": run.name,
        "run_type": "SUBMIT_RUN" if run.submitted else "JOB_RUN",
        "trigger": run.trigger,
        "format": "MULTI_TASK",
        "run_page_url": _page(run, run.run_id, base_url, workspace_id),
        **_life(run),
    }
    overriding = {name: value for name, value in run.parameters.items() if name != "job_parameters"}
    if overriding:
        document["overriding_parameters"] = overriding
    if run.parameters.get("job_parameters"):
        given = run.parameters["job_parameters"]
        document["job_parameters"] = [{"name": name, "value": value} for name, value in given.items()]
    if settings.get("schedule"):
        document["schedule"] = settings["schedule"]
    if with_tasks:
        document["tasks"] = [task_document(run, task, base_url, workspace_id) for task in run.tasks]
    return document


def task_document(run: Run, task: Mapping[str, Any], base_url: str, workspace_id: str) -> dict[str, Any]:
    """A task of a run, which has a run id of its own and shares the run's life."""
    run_id = run.task_ids[task["task_key"]]
    page = _page(run, run_id, base_url, workspace_id)
    return {**task, "run_id": run_id, "attempt_number": 0, "run_page_url": page, **_life(run)}


def error_trace(run: Run) -> str:
    """The stack trace of a run that failed with one of Spark's error classes, [NAME], in a file; empty for any other. Its frames are assumed."""
    files = [task["spark_python_task"]["python_file"] for task in run.tasks if "spark_python_task" in task]
    if run.result != "FAILED" or run.is_active or not files or not run.message.startswith("["):
        return ""
    frame = f'  File "{files[0]}", line 1, in <module>\n    query.awaitTermination()'
    return f"Traceback (most recent call last):\n{frame}\npyspark.errors.exceptions.captured.StreamingQueryException: {run.message}"


def _page(run: Run, run_id: int, base_url: str, workspace_id: str) -> str:
    return f"{base_url}/?o={workspace_id}#job/{run.job_id}/run/{run_id}"


def _life(run: Run) -> dict[str, Any]:
    begun = run.running_ms if run.running_ms is not None else run.end_ms
    executed = run.stopping_ms or run.end_ms
    life: dict[str, Any] = {
        "start_time": run.start_ms,
        "setup_duration": 0 if begun is None else begun - run.start_ms,
        "execution_duration": 0 if run.running_ms is None or executed is None else executed - run.running_ms,
        "cleanup_duration": 0 if run.end_ms is None or run.stopping_ms is None else run.end_ms - run.stopping_ms,
        "end_time": run.end_ms or 0,
        "state": _state(run),
        "status": _status(run),
    }
    if run.end_ms is not None:
        life["run_duration"] = run.end_ms - run.start_ms
    return life


def _state(run: Run) -> dict[str, Any]:
    state: dict[str, Any] = {
        "life_cycle_state": run.phase,
        "state_message": run.message,
        "user_cancelled_or_timedout": run.result == "CANCELED",
    }
    if run.result and not run.is_active:
        state["result_state"] = "FAILED" if run.result == "LOST" else run.result
        if run.result == "LOST":
            state["life_cycle_state"] = "INTERNAL_ERROR"
    if run.phase == QUEUED:
        state["queue_reason"] = _QUEUE_REASON
    return state


def _status(run: Run) -> dict[str, Any]:
    status: dict[str, Any] = {"state": TERMINATED if run.phase == SKIPPED else run.phase}
    if run.result:
        code, kind = _CODES[run.result]
        status["termination_details"] = {"code": code, "type": kind, "message": run.message}
    if run.phase == QUEUED:
        status["queue_details"] = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": _QUEUE_REASON}
    return status


_QUEUE_REASON = "Queued due to reaching the maximum number of concurrent runs of the job."
