"""The routing jobs as Stream Analytics knows them: state, query, inputs, outputs, ETag; and starting and stopping them.

REST 2020-03-01 (learn.microsoft.com/rest/api/streamanalytics). A write goes out once and comes back when the service has taken it (202 with a
Location); what became of it is read from the job. One list call gives every job of the environment whole. The service never returns secrets; keys
that are named like one are dropped all the same. An unknown state or data source passes through as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from lpmops.config import Environment
from lpmops.errors import ForbiddenError, ServiceError, ServiceNotFoundError, SignInError, ThrottledError
from lpmops.model import Condition, JobPart, QueryError, Receipt, StreamingJob, to_data
from lpmops.services import lro
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.redact import clean
from lpmops.services.resourcemanager import group_path, resource_manager
from lpmops.services.transport import Transport

_VERSION = {"api-version": "2020-03-01"}
_PREVIEW = {"api-version": "2021-10-01-preview"}
_WHOLE = {**_VERSION, "$expand": "inputs,outputs,transformation"}
_PARTS = frozenset({"inputs", "outputs", "functions", "transformation", "etag"})
# What the service tells of a part, and nobody sets.
_SHOWN = frozenset({"etag", "diagnostics", "lastOutputEventTimestamps"})
_SECRET = re.compile(r"password|secret|accountkey|sharedaccesspolicykey|apikey|token", re.IGNORECASE)


class StreamAnalyticsService:
    """The jobs whose name is the configured prefix and a two-digit shard number."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._prefix = environment.streamanalytics.job_prefix
        self._path = f"{group_path(environment)}/providers/Microsoft.StreamAnalytics/streamingjobs"
        self._client = resource_manager(
            environment, transport, credential, "streamanalytics", "Reader on the resource group of the jobs"
        )
        self._orders = resource_manager(
            environment,
            transport,
            credential,
            "streamanalytics",
            "Contributor on the jobs, or a role that writes, starts and stops them",
        )

        region = quote(environment.streamanalytics.region, safe="")
        self._compile_path = f"/subscriptions/{environment.subscription_id}/providers/Microsoft.StreamAnalytics/locations/{region}/compileQuery"
        self._compiler = resource_manager(
            environment, transport, credential, "streamanalytics", "Stream Analytics Query Tester on the subscription"
        )

    def jobs(self) -> tuple[StreamingJob, ...]:
        """The environment's jobs, by name; their ETags are those of the list, None where it gives none."""
        pages = self._client.pages(self._path, operation="jobs", deadline=Deadline.after(self._seconds), params=_WHOLE)
        found = (_job(fields, None) for fields in pages)
        return tuple(sorted((job for job in found if self._is_ours(job.name)), key=lambda job: job.name))

    def job(self, name: str) -> StreamingJob:
        """One job, with the ETag of the answer's header. Raises ServiceNotFoundError."""
        answer = self._client.get(
            f"{self._path}/{quote(name, safe='')}",
            operation="job",
            deadline=Deadline.after(self._seconds),
            params=_WHOLE,
        )
        return _job(answer.fields(), answer)

    def start(self, name: str, mode: str, at: datetime | None = None) -> Receipt:
        """Begin to start a job. `mode` is JobStartTime, CustomTime (from `at`) or LastOutputEventTime.

        Raises ConflictError while it runs, IncompleteError.
        """
        body = {"outputStartMode": mode, **({"outputStartTime": to_data(at)} if at is not None else {})}
        return self._order(name, "start", body)

    def stop(self, name: str) -> Receipt:
        """Begin to stop a job. Raises ConflictError where it does not run."""
        return self._order(name, "stop", None)

    def scale(self, name: str, units: int) -> Receipt:
        """Begin to give a job other streaming units, running or not. Raises ConflictError while it starts or stops."""
        return self._order(name, "scale", {"streamingUnits": units})

    def change(self, name: str, settings: Mapping[str, Any], etag: str | None) -> Receipt:
        """Change a stopped job's own settings. Raises ConflictError while it runs, PreconditionError where `etag` is not its own any more."""
        return self._write("PATCH", self._at(name), {"properties": dict(settings)}, "change job", etag)

    def part_etag(self, job: str, collection: str, name: str) -> str | None:
        """The ETag of an input, an output or a transformation; None where there is none of that name."""
        try:
            answer = self._client.get(
                self._at(job, collection, name),
                operation=f"{collection} of a job",
                deadline=Deadline.after(self._seconds),
                params=_VERSION,
            )
        except ServiceNotFoundError:
            return None
        return answer.headers.get("etag") or "*"

    def put_part(
        self, job: str, collection: str, name: str, properties: Mapping[str, Any], etag: str | None
    ) -> Receipt:
        """Make (`etag` None) or replace a part of a stopped job.

        Raises ConflictError while it runs, PreconditionError where somebody made or changed the part meanwhile, IncompleteError.
        """
        body = {"properties": dict(properties)}
        return self._write("PUT", self._at(job, collection, name), body, f"put {collection} of a job", etag, new=True)

    def delete_part(self, job: str, collection: str, name: str) -> Receipt:
        """Take an input or output out of a stopped job; one that is gone stays so. Raises ConflictError while it runs."""
        return self._write("DELETE", self._at(job, collection, name), None, f"delete {collection} of a job", None)

    def test_output(self, job: str, name: str, properties: Mapping[str, Any]) -> str:
        """Let the service try whether it reaches an output, whether the job has it already or not: why not, empty where it does.

        Changes nothing. Raises DeadlineError where the service takes too long to say.
        """
        deadline = Deadline.after(self._seconds)
        path = f"{self._at(job, 'outputs', name)}/test"
        body = {"properties": dict(properties)}
        first = self._orders.post(path, body, operation="test of an output", deadline=deadline, params=_VERSION)
        try:
            ended = lro.wait(self._client, first, operation="the test of an output", deadline=deadline, interval=1.0)
        except ServiceError as error:
            if type(error) is not ServiceError:
                raise
            # The test ended and says why: that is its answer.
            return error.message
        return "" if (ended.fields().maybe_text("status") or "").lower() == "testsucceeded" else "it gives no reason"

    def compile(self, query: str, inputs: Mapping[str, str]) -> tuple[QueryError, ...]:
        """What the service's own compiler says of a text whose inputs are named (to Stream or Reference); nothing where it takes it.

        An API in preview (2021-10-01-preview) of the subscription: raises ServiceNotFoundError, ForbiddenError where it can't be had.
        """
        body = {
            "query": query,
            "inputs": [{"name": name, "type": kind} for name, kind in inputs.items()],
            "jobType": "Cloud",
            "compatibilityLevel": "1.2",
        }
        answer = self._compiler.read(
            self._compile_path,
            body,
            operation="compile query",
            deadline=Deadline.after(self._seconds),
            params=_PREVIEW,
        )
        return tuple(
            QueryError(
                clean(fields.maybe_text("message") or "no reason given"),
                _whole(fields.maybe_integer("startLine")),
                _whole(fields.maybe_integer("startColumn")),
            )
            for fields in answer.fields().objects("errors")
        )

    def failure(self, location: str) -> str | None:
        """Why the start or stop that is followed at `location` failed; None while it goes on, once it went well, and where nobody knows any more."""
        try:
            lro.look(self._client, location, operation="operation", deadline=Deadline.after(self._seconds))
        except (SignInError, ForbiddenError, ServiceNotFoundError, ThrottledError):
            # About the question, not about the operation.
            return None
        except ServiceError as error:
            return error.message if error.settled else None
        return None

    def _at(self, *names: str) -> str:
        return "/".join((self._path, *(quote(name, safe="") for name in names)))

    def _write(
        self, method: str, path: str, body: Any, operation: str, etag: str | None, *, new: bool = False
    ) -> Receipt:
        headers = {"If-Match": etag} if etag else {"If-None-Match": "*"} if new else {}
        answer = self._orders.write(
            method,
            path,
            body,
            operation=operation,
            deadline=Deadline.after(self._seconds),
            params=_VERSION,
            headers=headers,
        )
        return Receipt(answer.request_id, answer.headers.get("location"))

    def _order(self, name: str, verb: str, body: Any) -> Receipt:
        answer = self._orders.post(
            f"{self._path}/{quote(name, safe='')}/{verb}",
            body,
            operation=f"{verb} job",
            deadline=Deadline.after(self._seconds),
            params=_VERSION,
        )
        return Receipt(answer.request_id, answer.headers.get("location"))

    def _is_ours(self, name: str) -> bool:
        return re.fullmatch(rf"{re.escape(self._prefix)}[0-9]{{2}}", name, re.IGNORECASE) is not None


def _job(fields: Fields, answer: Answer | None) -> StreamingJob:
    properties = fields.object("properties")
    transformation = properties.object("transformation").object("properties")
    header = answer.headers.get("etag") if answer is not None else None
    return StreamingJob(
        name=fields.text("name"),
        resource_id=fields.text("id"),
        state=properties.maybe_text("jobState") or "Unknown",
        location=fields.maybe_text("location") or "",
        streaming_units=transformation.maybe_number("streamingUnits"),
        last_output_at=properties.maybe_time("lastOutputEventTime"),
        started_at=properties.maybe_time("outputStartTime"),
        start_mode=properties.maybe_text("outputStartMode"),
        query=transformation.maybe_text("query") or "",
        inputs=tuple(_part(part) for part in properties.objects("inputs")),
        outputs=tuple(_part(part) for part in properties.objects("outputs")),
        compatibility_level=properties.maybe_text("compatibilityLevel"),
        output_error_policy=properties.maybe_text("outputErrorPolicy"),
        etag=header or properties.maybe_text("etag"),
        settings=_without_secrets({name: value for name, value in properties.values.items() if name not in _PARTS}),
        transformation=properties.object("transformation").maybe_text("name") or "Transformation",
        principal_id=fields.object("identity").maybe_text("principalId"),
        tags=fields.texts("tags"),
    )


def _whole(number: int | None) -> int | None:
    """A line or a column; the service writes 0 for one that it does not know."""
    return number or None


def _part(fields: Fields) -> JobPart:
    properties = fields.object("properties")
    source = properties.object("datasource")
    details = {
        **{name: value for name, value in properties.values.items() if name not in _SHOWN and name != "datasource"},
        **source.object("properties").values,
    }
    return JobPart(
        name=fields.text("name"),
        kind=source.maybe_text("type") or "",
        details=_without_secrets(details),
        etag=properties.maybe_text("etag"),
        conditions=tuple(
            Condition(
                since=condition.maybe_time("since"),
                code=condition.maybe_text("code") or "",
                message=clean(condition.maybe_text("message") or ""),
            )
            for condition in properties.object("diagnostics").objects("conditions")
        ),
        properties=_without_secrets({name: value for name, value in properties.values.items() if name not in _SHOWN}),
    )


def _without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_secrets(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if not _SECRET.search(name)
    }
