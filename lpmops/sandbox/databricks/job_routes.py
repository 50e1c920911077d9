"""The Jobs API 2.2 (and 2.1, which answers alike here): create, get, list, update, reset, delete, run-now and runs/*.

Limits, orders and page tokens are those of the docstrings of databricks-sdk 0.156 `JobsAPI`. Permissions 2.0 of jobs stand
beside it (docstrings of `PermissionsAPI`). Not there: repair, export.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lpmops.sandbox.databricks.calls import Answer, Call, Handler, identifier, text
from lpmops.sandbox.databricks.errors import ApiError, invalid, malformed
from lpmops.sandbox.databricks.jobs import Job, Jobs
from lpmops.sandbox.databricks.runs import Run, error_trace, run_document, task_document

_TOKEN_LENGTH = 64
_RUN_FIELDS = (
    "job_parameters", "notebook_params", "python_params", "python_named_params", "jar_params", "spark_submit_params", "sql_params", "dbt_commands",
    "pipeline_params",
)  # fmt: skip
_PRINCIPALS = ("user_name", "group_name", "service_principal_name")
_LEVELS = ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER")
_Item = TypeVar("_Item")


class JobRoutes:
    """Handlers over the jobs of one workspace."""

    def __init__(self, jobs: Jobs, base_url: str, workspace_id: str) -> None:
        self._jobs, self._base_url, self._workspace_id = jobs, base_url, workspace_id

    def operations(self) -> list[tuple[str, str, Handler]]:
        """Every operation, in both versions."""
        listed: list[tuple[str, str, Handler]] = [
            ("POST", "create", self._create),
            ("GET", "get", self._get),
            ("GET", "list", self._list),
            ("POST", "update", self._update),
            ("POST", "reset", self._reset),
            ("POST", "delete", self._delete),
            ("POST", "run-now", self._run_now),
            ("POST", "runs/submit", self._submit),
            ("GET", "runs/get", self._run),
            ("GET", "runs/list", self._runs),
            ("GET", "runs/get-output", self._output),
            ("POST", "runs/cancel", self._cancel),
            ("POST", "runs/cancel-all", self._cancel_all),
            ("POST", "runs/delete", self._delete_run),
        ]
        permissions = "/api/2.0/permissions/jobs/{job}"
        return [
            *(
                (method, f"/api/{version}/jobs/{path}", handler)
                for version in ("2.2", "2.1")
                for method, path, handler in listed
            ),
            ("GET", permissions, self._permissions),
            ("PATCH", permissions, self._permit),
            ("PUT", permissions, self._permit),
        ]

    def _permissions(self, call: Call) -> Answer:
        job = self._jobs.job(identifier(call.names, "job"))
        # The creator's own right is what the API calls IS_OWNER.
        entries = {f"user_name:{job.creator}": "IS_OWNER", **job.permissions}
        return Answer(
            {
                "object_id": f"/jobs/{job.job_id}",
                "object_type": "job",
                "access_control_list": [_access(key, level) for key, level in entries.items()],
            }
        )

    def _permit(self, call: Call) -> Answer:
        listed = call.body().get("access_control_list", [])
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise malformed("Could not parse request object: Expected 'access_control_list' to be an array of maps")
        given: dict[str, str] = {}
        for entry in listed:
            kinds = [kind for kind in _PRINCIPALS if kind in entry]
            level = text(entry, "permission_level")
            if len(kinds) != 1 or level not in _LEVELS:
                raise invalid("An entry names one principal, and a permission_level of a job.")  # assumed: the wording
            given[f"{kinds[0]}:{text(entry, kinds[0])}"] = level
        self._jobs.permit(identifier(call.names, "job"), given, whole=call.method == "PUT")
        return self._permissions(call)

    def _create(self, call: Call) -> Answer:
        return Answer({"job_id": self._jobs.create(call.body(), call.principal.name)})

    def _get(self, call: Call) -> Answer:
        job = self._jobs.job(identifier(call.query, "job_id"))
        wished = job.settings.get("run_as") or {}
        runs_as = wished.get("service_principal_name") or wished.get("user_name") or job.creator
        return Answer({**_job(job, True), "run_as_user_name": runs_as})

    def _list(self, call: Call) -> Answer:
        limit = call.number("limit", 20, 1, 100)
        name = call.query.get("name")
        found = [job for job in self._jobs.jobs() if name is None or job.name.lower() == name.lower()]
        page, links = _page(call, found, limit)
        jobs = [_job(job, call.flag("expand_tasks")) for job in page]
        return Answer({**({"jobs": jobs} if jobs else {}), **links})

    def _update(self, call: Call) -> Answer:
        body = call.body()
        removed = body.get("fields_to_remove", [])
        if not isinstance(removed, list) or not all(isinstance(one, str) for one in removed):
            raise malformed("Could not parse request object: Expected 'fields_to_remove' to be an array of strings")
        self._jobs.update(identifier(body, "job_id"), _settings(body, {}), removed)
        return Answer()

    def _reset(self, call: Call) -> Answer:
        body = call.body()
        self._jobs.reset(identifier(body, "job_id"), _settings(body, None))
        return Answer()

    def _delete(self, call: Call) -> Answer:
        self._jobs.delete(identifier(call.body(), "job_id"))
        return Answer()

    def _run_now(self, call: Call) -> Answer:
        body = call.body()
        parameters = {name: body[name] for name in _RUN_FIELDS if name in body}
        run = self._jobs.run_now(identifier(body, "job_id"), _token(body), parameters, call.principal.name)
        return Answer({"run_id": run.run_id, "number_in_job": run.number})

    def _submit(self, call: Call) -> Answer:
        body = call.body()
        run = self._jobs.submit(
            text(body, "run_name", "Untitled"), body.get("tasks", []), _token(body), call.principal.name
        )
        return Answer({"run_id": run.run_id})

    def _run(self, call: Call) -> Answer:
        run_id = identifier(call.query, "run_id")
        run = self._jobs.run(run_id)
        if run_id != run.run_id:
            return Answer({**self._document(run, False), **self._task(run, run_id), "job_run_id": run.run_id})
        return Answer(self._document(run, True))

    def _runs(self, call: Call) -> Answer:
        limit = call.number("limit", 20, 1, 25)
        if call.flag("active_only") and call.flag("completed_only"):
            raise invalid("Only one of active_only and completed_only can be true.")
        found = [run for run in self._jobs.runs() if _wanted(run, call)]
        page, links = _page(call, found, limit)
        runs = [self._document(run, call.flag("expand_tasks")) for run in page]
        return Answer({**({"runs": runs} if runs else {}), **links})

    def _output(self, call: Call) -> Answer:
        run_id = identifier(call.query, "run_id")
        run = self._jobs.run(run_id)
        if run_id == run.run_id and len(run.tasks) > 1:
            raise ApiError(
                400,
                "INVALID_PARAMETER_VALUE",
                "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the output of each individual task run instead.",
            )
        output: dict[str, Any] = {"metadata": self._document(run, True)}
        if run.output is not None:
            output["notebook_output"] = {"result": run.output, "truncated": False}
        if run.result in ("FAILED", "LOST") and not run.is_active:
            output["error"] = run.message
            # databricks-sdk 0.156 `RunOutput`: any available stack traces.
            if trace := error_trace(run):
                output["error_trace"] = trace
        return Answer(output)

    def _cancel(self, call: Call) -> Answer:
        self._jobs.cancel(identifier(call.body(), "run_id"))
        return Answer()

    def _cancel_all(self, call: Call) -> Answer:
        self._jobs.cancel_all(identifier(call.body(), "job_id"))
        return Answer()

    def _delete_run(self, call: Call) -> Answer:
        self._jobs.delete_run(identifier(call.body(), "run_id"))
        return Answer()

    def _document(self, run: Run, with_tasks: bool) -> dict[str, Any]:
        return run_document(run, self._base_url, self._workspace_id, self._jobs.settings_of(run), with_tasks)

    def _task(self, run: Run, run_id: int) -> dict[str, Any]:
        task = next(task for task in run.tasks if run.task_ids[task["task_key"]] == run_id)
        return task_document(run, task, self._base_url, self._workspace_id)


def _job(job: Job, with_tasks: bool) -> dict[str, Any]:
    hidden = () if with_tasks else ("tasks", "job_clusters", "parameters", "environments")
    settings = {name: value for name, value in job.settings.items() if name not in hidden}
    return {
        "job_id": job.job_id,
        "created_time": job.created_ms,
        "creator_user_name": job.creator,
        "settings": settings,
    }


def _access(key: str, level: str) -> dict[str, Any]:
    kind, _, name = key.partition(":")
    return {kind: name, "display_name": name, "all_permissions": [{"permission_level": level, "inherited": False}]}


def _settings(body: Mapping[str, Any], default: Any) -> dict[str, Any]:
    settings = body.get("new_settings", default)
    if not isinstance(settings, dict):
        raise invalid("Missing required field: new_settings")
    return settings


def _token(body: Mapping[str, Any]) -> str:
    token = text(body, "idempotency_token", "")
    if len(token) > _TOKEN_LENGTH:
        raise invalid(f"The idempotency token must have at most {_TOKEN_LENGTH} characters.")
    return token


def _wanted(run: Run, call: Call) -> bool:
    if "job_id" in call.query and run.job_id != identifier(call.query, "job_id"):
        return False
    if (call.flag("active_only") and not run.is_active) or (call.flag("completed_only") and run.is_active):
        return False
    if "run_type" in call.query and call.query["run_type"] != ("SUBMIT_RUN" if run.submitted else "JOB_RUN"):
        return False
    earliest = call.number("start_time_from", 0, 0, 2**53)
    latest = call.number("start_time_to", 2**53, 0, 2**53)
    return earliest <= run.start_ms <= latest


def _page(call: Call, items: Sequence[_Item], limit: int) -> tuple[Sequence[_Item], dict[str, Any]]:
    """One page, and what leads to its neighbours; the token is opaque and holds an offset, which the API takes too."""
    start = call.number("offset", 0, 0, 10_000)
    token = call.query.get("page_token")
    if token:
        try:
            start = int(base64.b64decode(token.encode(), b"-_", validate=True).decode("ascii"))
        except (binascii.Error, ValueError):
            raise invalid(f"Invalid page token: {token}") from None
    following = start + limit < len(items)
    links: dict[str, Any] = {"has_more": following}
    if following:
        links["next_page_token"] = _encoded(start + limit)
    if start > 0:
        links["prev_page_token"] = _encoded(max(0, start - limit))
    return items[max(0, start) : max(0, start) + limit], links


def _encoded(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()
