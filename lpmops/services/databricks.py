"""The source table and its streaming job: Unity Catalog, table history and change feed, job and newest run, how far the query is.

Spoken over REST directly (Unity Catalog 2.1, Jobs 2.2, Statements and Files 2.0): the SDK re-sends writes and costs seconds to import. What the
stream has read comes from the progress file that the stream job keeps beside its checkpoint, or from the checkpoint itself, without a cluster.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from posixpath import dirname
from typing import Any
from urllib.parse import quote

from lpmops import resources
from lpmops.config import Environment
from lpmops.errors import BadAnswerError, ServiceError, ServiceNotFoundError, StatementError
from lpmops.model import (
    Commit,
    FeedState,
    Receipt,
    StreamEnding,
    StreamJob,
    StreamProgress,
    StreamRun,
    TableDefinition,
    TableState,
)
from lpmops.routing.quoting import spark_literal, spark_path
from lpmops.routing.source import SourceColumn
from lpmops.services import deltahistory, statements, streamprogress
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import SEARCH_SECONDS, Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.redact import clean, clean_lines
from lpmops.services.sqltext import without_comments
from lpmops.services.transport import Transport

# The application id of Azure Databricks, the same in every tenant.
SCOPE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default"
_PAGE_LIMIT = 50
_RUNS = 25
# The newest run, one that it replaces and the one that ended before it.
_NEWEST_RUNS = 3
_ACTIVE = ("starting", "running", "stopping")
_OUTPUTS = 5
_TRACE_LINES = 24
_TEXT_LENGTH = 1_000
RIGHTS = "SELECT on the table, CAN USE on the warehouse, CAN VIEW on the job and READ VOLUME on the checkpoint's volume"
_ORDERING = "CAN MANAGE on the job, and to deploy it WRITE VOLUME beside the checkpoint"
_STARTING = {"PENDING", "QUEUED", "BLOCKED", "WAITING", "WAITING_FOR_RETRY"}
# How far back the switch of the change feed is looked for: a history may hold a month of commits of every few seconds.
_FEED_HISTORY = 1_000
# Over how long arrivals are counted: the first of these that the change feed has.
_ARRIVAL_SPANS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=5), timedelta(seconds=20))
_TOO_EARLY = frozenset(
    {"DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION", "DELTA_MISSING_CHANGE_DATA", "DELTA_VERSION_NOT_FOUND"}
)
_IDS_A_STATEMENT = 200
_ARRIVALS_SECONDS = 120.0


class DatabricksService:
    """One workspace, one table, one job."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._settings = environment.databricks
        self._arrivals: dict[tuple[str, int], tuple[float, dict[str, float]]] = {}
        self._client = transport.client(
            "databricks", self._settings.host, credential=credential, scope=SCOPE, advice=credential.advice(RIGHTS)
        )

        self._orders = transport.client(
            "databricks", self._settings.host, credential=credential, scope=SCOPE, advice=credential.advice(_ORDERING)
        )

    def table(self) -> TableState:
        """The table with its newest version: one look into Unity Catalog, one statement."""
        deadline = Deadline.after(self._seconds)
        fields = self._catalog(deadline)
        newest = self._commits(1, deadline)
        if not newest:
            raise BadAnswerError(
                f"{self._settings.table} has no history.", service="databricks", hint="Check that it is a Delta table."
            )
        properties = fields.texts("properties")
        return TableState(
            table_id=fields.text("table_id"),
            full_name=fields.maybe_text("full_name") or self._settings.table,
            latest_version=newest[0].version,
            latest_commit_at=newest[0].at,
            change_feed=deltahistory.change_feed(properties),
            properties=properties,
        )

    def properties(self) -> Mapping[str, str]:
        """The table's properties, from Unity Catalog alone: no warehouse is woken."""
        return self._catalog(Deadline.after(self._seconds)).texts("properties")

    def columns(self) -> tuple[SourceColumn, ...]:
        """The table's columns in order, from Unity Catalog alone: no warehouse is woken."""
        return tuple(
            SourceColumn(
                column.text("name"),
                column.text("type_text"),
                "nullable" not in column.values or column.flag("nullable"),
            )
            for column in self._catalog(Deadline.after(self._seconds)).objects("columns")
        )

    def definition(self) -> TableDefinition:
        """What the table is, from Unity Catalog alone: a view, a foreign table, one of another format."""
        fields = self._catalog(Deadline.after(self._seconds))
        columns = tuple(column.text("name") for column in fields.objects("columns"))
        return TableDefinition(
            fields.maybe_text("table_type") or "", fields.maybe_text("data_source_format") or "", columns
        )

    def history(self, limit: int) -> list[Commit]:
        """The newest commits, newest first."""
        return self._commits(limit, Deadline.after(self._seconds))

    def workspace_id(self) -> str | None:
        """The id that the workspace itself says in its answers."""
        path = f"/api/2.1/unity-catalog/tables/{quote(self._settings.table, safe='.')}"
        answer = self._client.get(path, operation="table", deadline=Deadline.after(self._seconds))
        return answer.headers.get("x-databricks-org-id")

    def feed(self) -> FeedState:
        """The change feed: whether it is on, since which version, and how long its versions last. Two statements."""
        deadline = Deadline.after(self._seconds)
        text = without_comments(resources.query("databricks/table_detail.sql"))
        (detail,) = self._run(text.format(table=spark_path(self._settings.table)), deadline) or ({},)
        given = detail.get("properties")
        properties = {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        history = self._history(_FEED_HISTORY, deadline)
        if not history:
            raise BadAnswerError(
                f"{self._settings.table} has no history.", service="databricks", hint="Check that it is a Delta table."
            )
        kind, newest = deltahistory.change_feed(properties), deltahistory.commit(history[0])
        first = deltahistory.first_recorded(history) if kind == "delta" else None
        features = detail.get("tableFeatures")
        reader, writer = detail.get("minReaderVersion"), detail.get("minWriterVersion")
        return FeedState(
            kind=kind,
            latest_version=newest.version,
            latest_commit_at=newest.at,
            table_id=str(detail.get("id") or ""),
            oldest_version=deltahistory.commit(history[-1]).version if len(history) < _FEED_HISTORY else None,
            first_version=first.version if first is not None else None,
            first_commit_at=first.at if first is not None else None,
            retention=deltahistory.interval(properties.get("delta.deletedFileRetentionDuration", "interval 7 days")),
            reader_version=reader if isinstance(reader, int) else None,
            writer_version=writer if isinstance(writer, int) else None,
            features=tuple(str(item) for item in features) if isinstance(features, list) else (),
            properties=properties,
        )

    def enable_feed(self) -> Receipt:
        """Record every change of the table from now on: one ALTER TABLE, sent once. Raises StatementError with Delta's error class."""
        text = without_comments(resources.query("databricks/enable_change_feed.sql"))
        self._run(text.format(table=spark_path(self._settings.table)), Deadline.after(self._seconds))
        return Receipt()

    def query(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a statement on the warehouse, `:name` marks bound to `parameters`. Raises StatementError with Delta's error class."""
        return statements.run(
            self._client, self._settings.warehouse, statement, parameters or {}, Deadline.after(self._seconds)
        )

    def company_records(self, key: str, company_ids: Sequence[str], key_type: str = "string") -> dict[str, int]:
        """How many records the table has of each of these companies; one without any is left out.

        `key` is the column that says whose a record is, compared as what it is, so that the warehouse reads no more files than it must.
        """
        text, mark = without_comments(resources.query("databricks/company_records.sql")), ":{}"
        if key_type == "number":
            mark = "CAST(:{} AS BIGINT)"
        found: dict[str, int] = {}
        for start in range(0, len(company_ids), _IDS_A_STATEMENT):
            named = {f"id{n}": each for n, each in enumerate(company_ids[start : start + _IDS_A_STATEMENT])}
            marks = ", ".join(mark.format(name) for name in named)
            statement = text.format(key=spark_path(key), table=spark_path(self._settings.table), companies=marks)
            found |= {str(row["company_id"]): int(row["records"]) for row in self._searched(statement, named)}
        return found

    def company_arrivals(self, key: str, limit: int = 10_000) -> dict[str, float]:
        """New records a day by company, the busiest first, counted over the last day or what the change feed has of it.

        The warehouse reads a day of changes for it, so an answer counts for two minutes: a plan is made more than once.
        """
        kept = self._arrivals.get((key, limit))
        if kept is not None and time.monotonic() - kept[0] < _ARRIVALS_SECONDS:
            return kept[1]
        found = self._count_arrivals(key, limit)
        self._arrivals[key, limit] = (time.monotonic(), found)
        return found

    def _count_arrivals(self, key: str, limit: int) -> dict[str, float]:
        newest = self._commits(1, Deadline.after(self._seconds))
        text = without_comments(resources.query("databricks/company_arrivals.sql"))
        for span in _ARRIVAL_SPANS if newest else ():
            since = (newest[0].at - span).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
            statement = text.format(
                key=spark_path(key),
                table=spark_literal(self._settings.table),
                since=spark_literal(since),
                limit=int(limit),
            )
            try:
                rows = self._searched(statement, {})
            except StatementError as error:
                # A young table, or one whose feed was switched on today: a shorter span is asked for.
                if error.error_class in _TOO_EARLY and span is not _ARRIVAL_SPANS[-1]:
                    continue
                raise
            # A feed that begins later than was asked for is counted over what it has.
            begins = min((row["first_at"] for row in rows), default=newest[0].at - span)
            days = max(newest[0].at - begins, timedelta(seconds=1)) / timedelta(days=1)
            return {str(row["company_id"]): round(int(row["records"]) / days, 1) for row in rows if row["company_id"]}
        return {}

    def _searched(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a statement that reads much: it is given longer than a look at the state of things."""
        deadline = Deadline.after(max(self._seconds, SEARCH_SECONDS))
        return statements.run(self._client, self._settings.warehouse, statement, parameters, deadline)

    def stream_run(self) -> StreamRun:
        """The job of the configured name (or id) and its newest run; state absent where there is no such job."""
        found = self.stream_job()
        return found.run if found else StreamRun(None, self._settings.job, "absent", "There is no job of that name.")

    def stream_job(self) -> StreamJob | None:
        """The same with how the job is set up; None where there is no such job."""
        deadline = Deadline.after(self._seconds)
        job = self._job(deadline)
        if job is None:
            return None
        job_id = str(job.integer("job_id"))
        settings = job.object("settings")
        is_paused = any(
            settings.object(trigger).maybe_text("pause_status") == "PAUSED" for trigger in ("continuous", "schedule")
        )
        answer = self._client.get(
            "/api/2.2/jobs/runs/list",
            operation="runs",
            deadline=deadline,
            params={"job_id": job_id, "limit": str(_NEWEST_RUNS)},
        )
        runs = answer.fields().objects("runs")
        name = settings.maybe_text("name") or self._settings.job
        idle = StreamRun(job_id, name, "paused" if is_paused else "stopped", "It has never run.")
        read = [_run(job_id, name, fields, is_paused) for fields in runs]
        before = next((run for run in read[1:] if run.state not in _ACTIVE), None)
        run = replace(read[0], before=before) if read else idle
        return StreamJob(
            job_id,
            name,
            settings.values.get("continuous") is not None,
            is_paused,
            run,
            settings.object("continuous").values,
        )

    def set_paused(self, job_id: str, continuity: Mapping[str, Any], paused: bool) -> Receipt:
        """Let the service keep a continuous job running, or not: one change of its settings; a run that is under way goes on.

        `continuity` is what stands there now: the service replaces it whole.
        """
        changed = {**continuity, "pause_status": "PAUSED" if paused else "UNPAUSED"}
        body = {"job_id": int(job_id), "new_settings": {"continuous": changed}}
        return self._order("jobs/update", body, "change job")

    def cancel_run(self, run_id: str) -> Receipt:
        """Begin to end a run; one that has ended stays as it is."""
        return self._order("jobs/runs/cancel", {"run_id": int(run_id)}, "cancel run")

    def run_job(self, job_id: str, token: str) -> Receipt:
        """Begin a new run, which replaces that of a continuous job. Of a `token` (64 characters) the service makes one run, however often asked."""
        return self._order("jobs/run-now", {"job_id": int(job_id), "idempotency_token": token}, "run job")

    def job_settings(self, job_id: str) -> Mapping[str, Any]:
        """A job's settings whole, with its tasks, as the service gives them. Raises ServiceNotFoundError."""
        answer = self._client.get(
            "/api/2.2/jobs/get",
            operation="job",
            deadline=Deadline.after(self._seconds),
            params={"job_id": job_id},
        )
        return answer.fields().object("settings").values

    def other_jobs(self, job_id: str) -> tuple[str, ...]:
        """Names and ids of the other jobs whose arguments say that they stream the same table. Reads every job of the workspace that one may see."""
        deadline = Deadline.after(self._seconds)
        found: list[str] = []
        parameters = {"limit": "100", "expand_tasks": "true"}
        for _ in range(_PAGE_LIMIT):
            page = self._client.get(
                "/api/2.2/jobs/list", operation="jobs", deadline=deadline, params=parameters
            ).fields()
            for job in page.objects("jobs"):
                number, settings = str(job.integer("job_id")), job.object("settings")
                if number != job_id and any(self._streams(task) for task in settings.objects("tasks")):
                    found.append(f"{settings.maybe_text('name') or '-'} ({number})")
            following = page.maybe_text("next_page_token")
            if not following:
                break
            parameters = {**parameters, "page_token": following}
        return tuple(found)

    def _streams(self, task: Fields) -> bool:
        given = task.object("spark_python_task").values.get("parameters")
        words = [str(word) for word in given] if isinstance(given, list) else []
        pairs = dict(zip(words[1::2], words[2::2], strict=False))
        return words[:1] == ["stream"] and pairs.get("--table", "").lower() == self._settings.table.lower()

    def create_job(self, settings: Mapping[str, Any]) -> Receipt:
        """Make a job. The service makes another one each time it is asked, whatever its name."""
        return self._order("jobs/create", settings, "create job")

    def update_job(self, job_id: str, settings: Mapping[str, Any]) -> Receipt:
        """Change some of a job's settings; a run that is under way goes on with the old ones."""
        return self._order("jobs/update", {"job_id": int(job_id), "new_settings": dict(settings)}, "change job")

    def warehouse(self) -> Mapping[str, Any]:
        """The warehouse as the service gives it: `state`, `auto_stop_mins`, `enable_serverless_compute` and so on. Does not start it."""
        answer = self._client.get(
            f"/api/2.0/sql/warehouses/{quote(self._settings.warehouse, safe='')}",
            operation="warehouse",
            deadline=Deadline.after(self._seconds),
        )
        return answer.fields().values

    def file_hash(self, path: str) -> str | None:
        """The SHA-256 of a file in a volume; None where there is none."""
        answer = self._file(path, Deadline.after(self._seconds))
        return None if answer is None else hashlib.sha256(answer.body).hexdigest()

    def put_file(self, path: str, content: bytes) -> Receipt:
        """Write a file in a volume, with the folders above it, over what is there."""
        deadline = Deadline.after(self._seconds)
        self._orders.write(
            "PUT", f"/api/2.0/fs/directories{quote(dirname(path))}", None, operation="make folder", deadline=deadline
        )
        answer = self._orders.write(
            "PUT",
            f"/api/2.0/fs/files{quote(path)}",
            content,
            operation="put file",
            deadline=deadline,
            params={"overwrite": "true"},
            headers={"Content-Type": "application/octet-stream"},
        )
        return Receipt(answer.request_id)

    def _order(self, path: str, body: Mapping[str, Any], operation: str) -> Receipt:
        answer = self._orders.post(
            f"/api/2.2/{path}", body, operation=operation, deadline=Deadline.after(self._seconds)
        )
        return Receipt(answer.request_id)

    def endings(self, until: datetime | None = None) -> tuple[StreamEnding, ...]:
        """The newest 25 runs of the job, newest first, the last five failures with what their output says; none that started after `until`.

        Raises ServiceNotFoundError where there is no such job.
        """
        deadline = Deadline.after(self._seconds)
        job = self._job(deadline)
        if job is None:
            raise ServiceNotFoundError(
                f"There is no job {self._settings.job!r}.",
                service="databricks",
                hint="Check databricks.job in lpmops.toml: it takes the job's name or its id.",
            )
        name = job.object("settings").maybe_text("name") or self._settings.job
        parameters = {"job_id": str(job.integer("job_id")), "limit": str(_RUNS), "expand_tasks": "true"}
        if until is not None:
            parameters["start_time_to"] = str(int(until.timestamp() * 1000))
        answer = self._client.get("/api/2.2/jobs/runs/list", operation="runs", deadline=deadline, params=parameters)
        found: list[StreamEnding] = []
        outputs = 0
        for fields in answer.fields().objects("runs"):
            run = _run(parameters["job_id"], name, fields, is_paused=False)
            failed = run.state == "failed" and outputs < _OUTPUTS
            outputs += failed
            error, trace = self._output(fields, deadline) if failed else ("", "")
            found.append(StreamEnding(run, fields.maybe_text("trigger") or "", _ending_code(fields), error, trace))
        return tuple(found)

    def _output(self, run: Fields, deadline: Deadline) -> tuple[str, str]:
        """Error and trace of a failed run: of its task, as a run of several has no output of its own."""
        tasks = [task for task in run.objects("tasks") if _run("", "", task, is_paused=False).state == "failed"]
        number = (tasks[0] if tasks else run).integer("run_id")
        try:
            output = self._client.get(
                "/api/2.2/jobs/runs/get-output",
                operation="output",
                deadline=deadline,
                params={"run_id": str(number)},
            ).fields()
        except ServiceError as error:
            # The run is told about all the same: outputs are kept for 60 days and need a right of their own.
            return f"Its output could not be read: {error.message}", ""
        return (
            clean(output.maybe_text("error") or "", _TEXT_LENGTH),
            clean_lines(output.maybe_text("error_trace") or "", _TRACE_LINES),
        )

    def progress(self) -> StreamProgress | None:
        """How far the stream is; None where it has left no trace yet."""
        deadline = Deadline.after(self._seconds)
        folder, _, checkpoint = self._settings.checkpoint.rstrip("/").rpartition("/")
        written = self._file(f"{folder}/progress/tdr_stream.json", deadline)
        if written is not None and streamprogress.belongs_to(written, checkpoint):
            return streamprogress.written(written)
        newest = self._newest_offset(deadline)
        if newest is None:
            return None
        number, path = newest
        offsets = self._file(path, deadline)
        return None if offsets is None else streamprogress.planned(offsets, number)

    def _catalog(self, deadline: Deadline) -> Fields:
        path = f"/api/2.1/unity-catalog/tables/{quote(self._settings.table, safe='.')}"
        return self._client.get(path, operation="table", deadline=deadline).fields()

    def _commits(self, limit: int, deadline: Deadline) -> list[Commit]:
        return [deltahistory.commit(row) for row in self._history(limit, deadline)]

    def _history(self, limit: int, deadline: Deadline) -> list[dict[str, Any]]:
        text = without_comments(resources.query("databricks/table_history.sql"))
        return self._run(text.format(table=spark_path(self._settings.table), limit=int(limit)), deadline)

    def _run(self, statement: str, deadline: Deadline) -> list[dict[str, Any]]:
        return statements.run(self._client, self._settings.warehouse, statement, {}, deadline)

    def _job(self, deadline: Deadline) -> Fields | None:
        name = self._settings.job
        if name.isascii() and name.isdigit():
            try:
                return self._client.get(
                    "/api/2.2/jobs/get", operation="job", deadline=deadline, params={"job_id": name}
                ).fields()
            except ServiceNotFoundError:
                return None
        answer = self._client.get(
            "/api/2.2/jobs/list", operation="job", deadline=deadline, params={"name": name, "limit": "2"}
        )
        # The service compares names without regard to case.
        jobs = [job for job in answer.fields().objects("jobs") if job.object("settings").maybe_text("name") == name]
        if len(jobs) > 1:
            answer.refuse(
                f"names two jobs {name!r}, and two streams send every event twice",
                "Put the job's id in lpmops.toml and stop the other one.",
            )
        return jobs[0] if jobs else None

    def _newest_offset(self, deadline: Deadline) -> tuple[int, str] | None:
        """Number and path of the newest batch that the checkpoint plans."""
        path = f"/api/2.0/fs/directories{quote(self._settings.checkpoint.rstrip('/'))}/offsets"
        found: list[tuple[int, str]] = []
        parameters: dict[str, str] = {}
        for _ in range(_PAGE_LIMIT):
            try:
                page = self._client.get(path, operation="checkpoint", deadline=deadline, params=parameters).fields()
            except ServiceNotFoundError:
                return None
            for entry in page.objects("contents"):
                name = entry.maybe_text("name") or entry.text("path").rpartition("/")[2]
                if re.fullmatch(r"[0-9]{1,18}", name) and not entry.flag("is_directory"):
                    found.append((int(name), entry.text("path")))
            following = page.maybe_text("next_page_token")
            if not following:
                break
            parameters = {"page_token": following}
        return max(found, default=None)

    def _file(self, path: str, deadline: Deadline) -> Answer | None:
        try:
            return self._client.get(
                f"/api/2.0/fs/files{quote(path)}",
                operation="file",
                deadline=deadline,
                headers={"Accept": "application/octet-stream"},
            )
        except ServiceNotFoundError:
            return None


def _run(job_id: str, name: str, run: Fields, is_paused: bool) -> StreamRun:
    """The newest run in our words. Jobs 2.2 says `status`; the older `state` stands beside it and fills in what it lacks."""
    status, older = run.object("status"), run.object("state")
    phase = status.maybe_text("state") or older.maybe_text("life_cycle_state") or ""
    ending = status.object("termination_details")
    code = _ending_code(run)
    ended_at = run.maybe_epoch_milliseconds("end_time")
    message = ending.maybe_text("message") or older.maybe_text("state_message") or ""
    if phase == "RUNNING":
        state = "running"
    elif phase in _STARTING:
        state = "starting"
    elif phase == "TERMINATING":
        state = "stopping"
    elif phase == "INTERNAL_ERROR" or code not in {
        "",
        "SUCCESS",
        "USER_CANCELED",
        "CANCELED",
        "USER_CANCELLED",
        "CANCELLED",
    }:
        state = "failed"
    else:
        state = "paused" if is_paused else "stopped"
    return StreamRun(
        job_id=job_id,
        name=name,
        state=state,
        message=clean(message),
        run_id=str(run.integer("run_id")),
        started_at=run.maybe_epoch_milliseconds("start_time"),
        ended_at=ended_at,
        url=run.maybe_text("run_page_url") or "",
    )


def _ending_code(run: Fields) -> str:
    """The service's word for how a run ended; empty while it goes on."""
    newer = run.object("status").object("termination_details").maybe_text("code")
    return newer or run.object("state").maybe_text("result_state") or ""
