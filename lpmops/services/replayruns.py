"""Bounded runs of the stream job's code, made with `runs/submit`: each sends some versions again and belongs to no job.

A run is known by its name. Of an `idempotency_token` the service makes one run, however often it is asked, so a submission whose answer was lost
harms nobody; nothing here is sent twice by itself. How far a run is stands in the file that the replay keeps beside the stream's checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from posixpath import dirname
from typing import Any
from urllib.parse import quote

from lpmops.config import Environment
from lpmops.errors import ServiceNotFoundError
from lpmops.model import Receipt, ReplayProgress, ReplayRun
from lpmops.services.answers import Fields
from lpmops.services.bounded import Deadline
from lpmops.services.databricks import SCOPE
from lpmops.services.identity import CachedCredential
from lpmops.services.redact import clean
from lpmops.services.transport import Transport

_RIGHTS = "CAN VIEW on the runs and READ VOLUME on the checkpoint's volume"
_ORDERING = (
    "to submit runs on the stream job's compute as its identity: a workspace admin grants CAN ATTACH TO on its cluster, or the entitlement to "
    "create clusters; whoever manages the service principal that it runs as grants Service Principal User on that"
)
_PAGE, _PAGES = 25, 40
# How far the workspace's clock may be behind that of the machine which asks.
_CLOCKS_DIFFER = timedelta(hours=1)
_OVER = {"TERMINATED", "SKIPPED", "INTERNAL_ERROR"}
# What a task of a bounded run may hold beside what it runs: no retries, which would send twice without a word.
_OF_TASK = ("existing_cluster_id", "new_cluster", "environment_key", "libraries")


class ReplayRunService:
    """The bounded runs of one workspace."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._folder = folder_of(environment)
        host = environment.databricks.host
        self._client = transport.client(
            "databricks", host, credential=credential, scope=SCOPE, advice=credential.advice(_RIGHTS)
        )
        self._orders = transport.client(
            "databricks", host, credential=credential, scope=SCOPE, advice=credential.advice(_ORDERING)
        )

    def submit(self, body: Mapping[str, Any]) -> Receipt:
        """Begin a run; `body` is what `submission` made. Its receipt's location is the run's id."""
        answer = self._orders.post(
            "/api/2.2/jobs/runs/submit", body, operation="submit run", deadline=Deadline.after(self._seconds)
        )
        return Receipt(answer.request_id, str(answer.fields().integer("run_id")))

    def submitted(self, prefix: str, since: datetime) -> Iterator[ReplayRun]:
        """The runs whose name begins so, newest first, that began since a moment of this machine's clock; read no further than it is asked for."""
        began = int((since - _CLOCKS_DIFFER).timestamp() * 1000)
        return (run for run in self._runs({"start_time_from": str(began)}) if run.name.startswith(prefix))

    def active(self, prefix: str) -> list[ReplayRun]:
        """The runs that are not over and whose name begins so."""
        return [
            run for run in self._runs({"active_only": "true", "expand_tasks": "true"}) if run.name.startswith(prefix)
        ]

    def cancel(self, run_id: str) -> Receipt:
        """Begin to end a run; one that has ended stays as it is."""
        answer = self._orders.post(
            "/api/2.2/jobs/runs/cancel",
            {"run_id": int(run_id)},
            operation="cancel run",
            deadline=Deadline.after(self._seconds),
        )
        return Receipt(answer.request_id)

    def progress(self, replay_id: str) -> ReplayProgress | None:
        """How far a replay is; None where it has written nothing yet. Raises BadAnswerError for a file that is none of a replay."""
        try:
            fields = self._client.get(
                f"/api/2.0/fs/files{quote(f'{self._folder}/{replay_id}.json')}",
                operation="replay progress",
                deadline=Deadline.after(self._seconds),
                headers={"Accept": "application/octet-stream"},
            ).fields()
        except ServiceNotFoundError:
            return None
        chunks = fields.objects("chunks")
        return ReplayProgress(
            fields.text("state"),
            sum(chunk.integer("rows") for chunk in chunks),
            sum(chunk.maybe_integer("quarantined") or 0 for chunk in chunks),
            clean(fields.maybe_text("error") or ""),
        )

    def _runs(self, more: Mapping[str, str]) -> Iterator[ReplayRun]:
        deadline = Deadline.after(self._seconds)
        parameters = {"run_type": "SUBMIT_RUN", "limit": str(_PAGE), **more}
        for _ in range(_PAGES):
            page = self._client.get(
                "/api/2.2/jobs/runs/list", operation="runs", deadline=deadline, params=parameters
            ).fields()
            yield from (_run(fields) for fields in page.objects("runs"))
            following = page.maybe_text("next_page_token")
            if not following:
                return
            parameters = {**parameters, "page_token": following}


def folder_of(environment: Environment) -> str:
    """Where replays keep how far they are: beside the stream's checkpoint."""
    return f"{dirname(environment.databricks.checkpoint.rstrip('/'))}/replays"


def submission(
    name: str, token: str, job: Mapping[str, Any], parameters: Sequence[str], operators: str
) -> dict[str, Any]:
    """The body of a run that does the one task of a deployed job with other arguments, on the compute and as the identity of that job.

    `operators` is the group that may work the run, "" for none. A cluster that the job's tasks share stands in the task itself: a bounded run has no
    `job_clusters`.
    """
    given = (job.get("tasks") or [{}])[0]
    task: dict[str, Any] = {key: given[key] for key in _OF_TASK if given.get(key)}
    shared = {each.get("job_cluster_key"): each.get("new_cluster") for each in job.get("job_clusters") or ()}
    if (cluster := shared.get(given.get("job_cluster_key"))) is not None:
        task["new_cluster"] = cluster
    python = {**(given.get("spark_python_task") or {}), "parameters": list(parameters)}
    body = {
        "run_name": name,
        "idempotency_token": token,
        "tasks": [{"task_key": "replay", **task, "spark_python_task": python}],
    }
    body |= {key: job[key] for key in ("run_as", "environments") if job.get(key)}
    if operators:
        body["access_control_list"] = [{"group_name": operators, "permission_level": "CAN_MANAGE_RUN"}]
    return body


def options(words: Iterable[str]) -> list[tuple[str, str]]:
    """The options of a command line and their values, written as one word (`--company=1001`) or as two."""
    left, found = iter(words), list[tuple[str, str]]()
    for word in left:
        flag, equals, value = word.partition("=")
        if word.startswith("--"):
            found.append((flag, value if equals else next(left, "")))
    return found


def _run(fields: Fields) -> ReplayRun:
    """A run in our words. Jobs 2.2 says `status`; the older `state` stands beside it and fills in what it lacks."""
    status, older = fields.object("status"), fields.object("state")
    phase = status.maybe_text("state") or older.maybe_text("life_cycle_state") or ""
    ending = status.object("termination_details")
    code = ending.maybe_text("code") or older.maybe_text("result_state") or ""
    message = ending.maybe_text("message") or older.maybe_text("state_message") or ""
    state = "running" if phase not in _OVER else "done" if code == "SUCCESS" and phase == "TERMINATED" else "failed"
    if state == "failed" and code.upper() in ("USER_CANCELED", "CANCELED", "USER_CANCELLED", "CANCELLED"):
        message = message or "it was cancelled"
    first, last, companies = _asked(fields)
    return ReplayRun(
        run_id=str(fields.integer("run_id")),
        name=fields.maybe_text("run_name") or "",
        state=state,
        message=clean(message or code),
        started_at=fields.maybe_epoch_milliseconds("start_time"),
        ended_at=fields.maybe_epoch_milliseconds("end_time"),
        url=fields.maybe_text("run_page_url") or "",
        first=first,
        last=last,
        companies=companies,
        by=clean(fields.maybe_text("creator_user_name") or ""),
    )


def _asked(fields: Fields) -> tuple[int | None, int | None, tuple[str, ...]]:
    """Versions and companies of a run's arguments."""
    tasks = fields.objects("tasks")
    given = tasks[0].object("spark_python_task").values.get("parameters") if tasks else None
    pairs = options([str(word) for word in given[1:]] if isinstance(given, list) else [])
    found = dict(pairs)

    def number(flag: str) -> int | None:
        text = found.get(flag, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    companies = tuple(value for flag, value in pairs if flag == "--company")
    return number("--from-version"), number("--to-version"), companies
