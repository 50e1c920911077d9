"""Streaming jobs: their definitions, their states, and the operations that take time.

A clerk thread carries long operations out when they are due on the sandbox's clock, whether or not somebody polls. A write while a job moves is
409, a stale If-Match 412, a job without input, output or query 422. Every change is on disk before it is answered; a job that ran when the process
ended is taken up at its last output time by `start_clerk`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from lpmops.sandbox.azure.clerk import Clerk, Pending, carry_out
from lpmops.sandbox.azure.documents import Documents
from lpmops.sandbox.azure.errors import (
    ApiError,
    arm_error,
    not_found,
    stream_analytics_error,
    unprocessable,
    wrong_state,
)
from lpmops.sandbox.azure.job_documents import from_document, to_document
from lpmops.sandbox.azure.job_schema import bad, check_count, check_units, child_properties, job_properties, missing
from lpmops.sandbox.azure.jobs import (
    MOVING,
    STANDING,
    Child,
    Compiler,
    Diagnostic,
    Job,
    JobKey,
    JobRuntime,
    Kind,
    Match,
    Probe,
    RuntimeFactory,
    definition_of,
)
from lpmops.sandbox.azure.stamps import new_guid, parse_time
from lpmops.sandbox.clock import Clock

JOB_TYPE = "Microsoft.StreamAnalytics/streamingjobs"
UNITS_QUOTA = 500
CLUSTERS_QUOTA = 5


class StreamAnalytics:
    """All jobs of the account; thread-safe. Durations are sandbox seconds."""

    def __init__(
        self,
        clock: Clock,
        documents: Documents,
        runtimes: RuntimeFactory,
        compiler: Compiler,
        probe: Probe,
        tenant_id: str,
        start_seconds: float,
        stop_seconds: float,
        scale_seconds: float,
        test_seconds: float,
    ) -> None:
        self._clock = clock
        self._documents = documents
        self._runtime_factory = runtimes
        self._compiler = compiler
        self._probe = probe
        self._tenant_id = tenant_id
        self._start_seconds, self._stop_seconds = start_seconds, stop_seconds
        self._scale_seconds, self._test_seconds = scale_seconds, test_seconds
        self._lock = threading.RLock()
        self._jobs = {key: from_document(document) for key, document in documents.load().items()}
        self._runtimes: dict[str, JobRuntime] = {}
        self._clerk = Clerk(clock, self._remember_outputs)

    def start_clerk(self) -> None:
        """Take up what ran before, and carry out operations from now on."""
        self._recover()
        self._clerk.start()

    def stop_clerk(self) -> None:
        """Stop carrying out operations and stop what runs; jobs stay marked as running."""
        self._clerk.close()
        self._remember_outputs()
        for runtime in list(self._runtimes.values()):
            runtime.stop()
        self._runtimes.clear()

    def job(self, subscription: str, group: str, name: str) -> Job:
        """A job with the state of this moment. Raises 404."""
        with self._lock:
            job = self._jobs.get(JobKey(subscription, group, name).text)
            if job is None:
                raise not_found(JOB_TYPE, name, group)
            return self._live(job)

    def jobs(self, subscription: str, group: str | None = None) -> list[Job]:
        """Jobs of a group, or of the whole subscription."""
        start = f"{subscription}/{group}/".lower() if group else f"{subscription}/".lower()
        with self._lock:
            return [self._live(job) for key, job in self._jobs.items() if key.startswith(start)]

    def put(self, key: JobKey, body: Mapping[str, Any], match: Match) -> Job:
        """Create or replace a job, with its children where the body has them. Raises 400, 409, 412, 422."""
        with self._lock:
            present = self._jobs.get(key.text)
            match.check(present.etag if present else None, key.name)
            self._require_standing(present)
            if present is None and not re.fullmatch(r"[A-Za-z0-9_-]{3,63}", key.name):
                # The rule is documented (resource-name-rules); its wording is assumed.
                raise bad(f"The streaming job name '{key.name}' is not valid: 3 to 63 letters, digits, - and _.")
            location = body.get("location") or (present.location if present else None)
            if not isinstance(location, str):
                raise arm_error(400, "LocationRequired", "The location property is required for this definition.")
            wished = _section(body)
            job = Job(
                key=present.key if present else key,
                location=location,
                tags=body.get("tags") or {},
                identity=self._identity(body.get("identity"), present),
                job_id=present.job_id if present else new_guid(),
                created_at=present.created_at if present else self._clock.now(),
                etag=new_guid(),
                properties=job_properties(wished, None),
                state=present.state if present else "Created",
                last_output_event_time=present.last_output_event_time if present else None,
            )
            for kind in ("inputs", "outputs", "functions"):
                job = self._with_wished(job, kind, wished.get(kind), present)
            job = self._with_wished(
                job, "transformations", [wished["transformation"]] if wished.get("transformation") else None, present
            )
            self._compile(job, 400)
            return self._store(job)

    def patch(self, key: JobKey, body: Mapping[str, Any], match: Match) -> Job:
        """Change a job's own settings or tags; children are changed by their own addresses."""
        with self._lock:
            present = self.job(key.subscription, key.group, key.name)
            match.check(present.etag, key.name)
            wished = _section(body)
            if wished or body.get("identity") is not None:
                self._require_standing(present)
            changed = replace(
                present,
                tags=body["tags"] if isinstance(body.get("tags"), dict) else present.tags,
                identity=self._identity(body["identity"], present)
                if body.get("identity") is not None
                else present.identity,
                properties=job_properties(wished, present.properties),
                etag=new_guid(),
            )
            return self._store(changed)

    def delete(self, key: JobKey) -> bool:
        """Remove a job, stopping it first; False when there was none."""
        with self._lock:
            if key.text not in self._jobs:
                return False
            self._documents.delete(key.text)
            del self._jobs[key.text]
            self._clerk.forget(key.text)
            runtime = self._runtimes.pop(key.text, None)
        if runtime is not None:
            runtime.stop()
        return True

    def child(self, key: JobKey, kind: Kind, name: str) -> Child:
        """One input, output, function or transformation. Raises 404."""
        job = self.job(key.subscription, key.group, key.name)
        child = job.children(kind).get(name.lower())
        if child is None:
            message = (
                f"The resource '{name}' of type '{JOB_TYPE}/{kind}' was not found in the streaming job '{key.name}'."
            )
            raise stream_analytics_error(404, "NotFound", message)  # assumed: no recording of a missing child is known
        return child

    def put_child(
        self, key: JobKey, kind: Kind, name: str, body: Mapping[str, Any], match: Match, patch: bool = False
    ) -> Child:
        """Create, replace or (with `patch`) change a child. A text that doesn't compile is refused. Raises 400, 404, 409, 412, 422."""
        with self._lock:
            job = self.job(key.subscription, key.group, key.name)
            self._require_standing(job)
            children = job.children(kind)
            present = self.child(key, kind, name) if patch else children.get(name.lower())
            match.check(present.etag if present else None, name)
            if kind == "transformations" and children and present is None:
                raise bad("A streaming job can have only one transformation.")  # assumed: the wording
            properties = child_properties(kind, _section(body), present.properties if present and patch else None)
            child = Child(present.name if present else name, properties, new_guid())
            check_count(kind, len({*children, name.lower()}))
            changed = job.with_children(kind, {**children, name.lower(): child}, new_guid())
            if kind == "transformations":
                self._compile(changed, 400)
            self._store(changed)
            return child

    def delete_child(self, key: JobKey, kind: Kind, name: str) -> bool:
        """Remove a child; False when there was none. Raises 409 while the job moves."""
        with self._lock:
            job = self.job(key.subscription, key.group, key.name)
            children = job.children(kind)
            if name.lower() not in children:
                return False
            self._require_standing(job)
            del children[name.lower()]
            self._store(job.with_children(kind, children, new_guid()))
            return True

    def start(self, key: JobKey, mode: str, time: str | None) -> str:
        """Begin to start a job: the operation's id. Raises 400, 409, 422."""
        with self._lock:
            job = self.job(key.subscription, key.group, key.name)
            self._require_standing(job)
            self._require_complete(job)
            self._compile(job, 400)
            moment = self._start_moment(job, mode, time)
            starting = replace(job, state="Starting", start_mode=mode, start_time=moment)
            self._store(starting)
            return self._clerk.schedule(key.text, self._start_seconds, lambda: self._run(key, mode, moment))

    def stop(self, key: JobKey) -> str:
        """Begin to stop a job: the operation's id. Raises 409 when it does not move."""
        with self._lock:
            job = self.job(key.subscription, key.group, key.name)
            if job.state not in MOVING:
                raise wrong_state()
            self._store(replace(job, state="Stopping"))
            return self._clerk.schedule(key.text, self._stop_seconds, lambda: self._halt(key))

    def scale(self, key: JobKey, units: Any) -> str:
        """Begin to change a job's streaming units: the operation's id. Raises 400, 409, 422."""
        if not isinstance(units, int) or isinstance(units, bool):
            raise missing("streamingUnits")
        check_units(units)
        with self._lock:
            job = self.job(key.subscription, key.group, key.name)
            if job.transformation is None:
                raise unprocessable("The streaming job should have a transformation defined")  # assumed: the wording
            if job.state not in STANDING | {"Running", "Degraded"}:
                raise wrong_state()
            before = job.state
            if before not in STANDING:
                self._store(replace(job, state="Scaling"))
            return self._clerk.schedule(key.text, self._scale_seconds, lambda: self._rescale(key, units, before))

    def test(self, key: JobKey, kind: Kind, name: str, body: Mapping[str, Any] | None) -> str:
        """Begin to test a data source, the one in the body or the stored one: the operation's id. Raises 400, 404, 422."""
        wished = _section(body or {})
        if wished:
            self.job(key.subscription, key.group, key.name)
            properties: Mapping[str, Any] = child_properties(kind, wished, None)
        else:
            properties = self.child(key, kind, name).properties
        return self._clerk.schedule(key.text, self._test_seconds, lambda: self._tested(kind, name, properties))

    def operation(self, key: JobKey, operation: str) -> Pending | None:
        """A long operation of a job; None when there is no such operation."""
        return self._clerk.find(key.text, operation)

    def units_in_use(self, subscription: str) -> int:
        """Streaming units of the jobs that move."""
        return sum(job.streaming_units for job in self.jobs(subscription) if job.state not in STANDING)

    def fail(self, key: JobKey) -> None:
        """Put a job into Failed, as a critical runtime error does, for drills. Raises 404."""
        self._force(key, "Failed")

    def halt(self, key: JobKey) -> None:
        """Stop a job at once, as somebody with the portal open would, for drills. Raises 404."""
        self._force(key, "Stopped")

    def summaries(self, subscription: str, group: str) -> list[dict[str, Any]]:
        """Jobs as a resource list shows them."""
        return [
            {"id": j.id, "name": j.key.name, "type": JOB_TYPE, "location": j.location, "tags": dict(j.tags)}
            for j in self.jobs(subscription, group)
        ]

    def location_of(self, resource_id: str) -> str | None:
        """Where a job is; None when the id is none."""
        with self._lock:
            return next((job.location for job in self._jobs.values() if job.id.lower() == resource_id.lower()), None)

    def _with_wished(
        self, job: Job, kind: Kind, wished: Sequence[Mapping[str, Any]] | None, present: Job | None
    ) -> Job:
        if wished is None:
            return job.with_children(kind, present.children(kind), job.etag) if present else job
        check_count(kind, len(wished))
        children: dict[str, Child] = {}
        for each in wished:
            name = each.get("name")
            if not isinstance(name, str) or not name:
                raise missing("name")
            children[name.lower()] = Child(name, child_properties(kind, each.get("properties") or {}, None), new_guid())
        return job.with_children(kind, children, job.etag)

    def _identity(self, wished: Any, present: Job | None) -> Mapping[str, Any] | None:
        if not isinstance(wished, dict) or wished.get("type") in (None, "None"):
            return None
        # A job that is created again is another principal: every grant to the old one is void.
        held = present.identity if present and present.identity else {"principalId": new_guid()}
        return {"type": wished["type"], "tenantId": self._tenant_id, "principalId": held["principalId"]}

    def _require_standing(self, job: Job | None) -> None:
        if job is not None and self._live(job).state not in STANDING:
            raise wrong_state()

    def _require_complete(self, job: Job) -> None:
        # The first is the service's wording (provider-upjet-azure#322), the other two are assumed to follow it.
        if not any(child.properties.get("type") == "Stream" for child in job.inputs.values()):
            raise unprocessable("The streaming job should have at least one input defined")
        if not job.outputs:
            raise unprocessable("The streaming job should have at least one output defined")
        if not job.query:
            raise unprocessable("The streaming job should have a transformation defined")

    def compile(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the compiler says of a text that belongs to no job: any output will do. Raises 400."""
        text, given = body.get("query"), body.get("inputs") or []
        if not isinstance(text, str):
            raise missing("query")
        if body.get("jobType") not in ("Cloud", "Edge"):
            raise missing("jobType")
        if not isinstance(given, list) or not all(
            isinstance(item, dict) and isinstance(item.get("name"), str) and item.get("type") in ("Stream", "Reference")
            for item in given
        ):
            raise bad("Each of 'inputs' has a name and a type, Stream or Reference.")  # assumed: the wording
        if body.get("functions"):
            raise bad("This sandbox's Stream Analytics engine has no user-defined functions.")
        found = self._compiler(text, {item["name"]: item["type"].lower() for item in given}, None)
        errors = [
            {"message": each.message, "startLine": each.line, "startColumn": each.column, "isGlobal": False}
            for each in found.diagnostics
        ]
        return {
            "errors": errors,
            "warnings": [],
            "inputs": list(found.inputs),
            "outputs": list(found.outputs),
            "functions": [],
        }

    def _compile(self, job: Job, status: int) -> None:
        """Assumed: the real service finds these faults only at the start; here they are found as soon as a text has inputs and outputs."""
        if not job.query or not job.inputs or not job.outputs:
            return
        kinds = {child.name: str(child.properties["type"]).lower() for child in job.inputs.values()}
        found = self._compiler(job.query, kinds, [child.name for child in job.outputs.values()]).diagnostics
        if found:
            message = "Query compilation error: " + " ".join(_said(each) for each in found)
            raise stream_analytics_error(status, "BadRequest", message)

    def _start_moment(self, job: Job, mode: str, time: str | None) -> datetime:
        if mode == "JobStartTime":
            return self._clock.now()
        if mode == "CustomTime":
            if not time:
                raise missing("outputStartTime")
            try:
                return parse_time(time)
            except ValueError:
                raise bad(
                    f"The value '{time}' of property 'outputStartTime' is not a valid date."
                ) from None  # assumed: the wording
        if mode == "LastOutputEventTime":
            if job.last_output_event_time is None:
                # That it is refused is documented (start-job); status and wording are assumed.
                raise unprocessable(
                    "The outputStartMode 'LastOutputEventTime' can't be used: the streaming job has not produced any output since it was created"
                )
            return job.last_output_event_time
        raise bad(
            f"The value '{mode}' of property 'outputStartMode' is not one of JobStartTime, CustomTime, LastOutputEventTime."
        )  # assumed

    def _run(self, key: JobKey, mode: str, moment: datetime) -> None:
        with self._lock:
            job = self._jobs.get(key.text)
            if job is None or job.state != "Starting":
                return
        runtime = self._runtime_factory(job.key)
        try:
            runtime.start(definition_of(job), mode, moment)
        except Exception as error:
            with self._lock:
                self._store(replace(job, state="Failed"))
            if isinstance(error, ApiError):
                raise
            # assumed: a start that fails ends the polling with 400 and leaves the job Failed
            raise stream_analytics_error(400, "BadRequest", f"The streaming job failed to start: {error}") from error
        with self._lock:
            present = self._jobs.get(key.text)
            if present is not None and present.job_id == job.job_id and present.state == "Starting":
                self._runtimes[key.text] = runtime
                self._store(replace(present, state="Running"))
                return
        runtime.stop()

    def _halt(self, key: JobKey) -> None:
        with self._lock:
            runtime = self._runtimes.get(key.text)
        if runtime is not None:
            runtime.stop()
        with self._lock:
            job = self._jobs.get(key.text)
            if job is not None:
                last = (runtime.last_output_event_time if runtime else None) or job.last_output_event_time
                self._store(replace(job, state="Stopped", last_output_event_time=last))
            self._runtimes.pop(key.text, None)

    def _rescale(self, key: JobKey, units: int, before: str) -> None:
        with self._lock:
            job = self._jobs.get(key.text)
            if job is None or job.transformation is None:
                return
            properties = {**job.transformation.properties, "streamingUnits": units}
            child = Child(job.transformation.name, properties, new_guid())
            state = before if job.state == "Scaling" else job.state
            self._store(replace(job, transformation=child, state=state, etag=new_guid()))

    def _tested(self, kind: Kind, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        if kind == "functions":
            problem: str | None = (
                f"Test operation is not supported for function type: {properties['properties']['binding']['type']}"
            )
        else:
            problem = self._probe(kind, properties)
        if problem is None:
            return {"status": "TestSucceeded", "error": None, "diagnostics": None}
        error = {"code": "BadRequest", "message": f"[{kind}: {name}] {problem}", "details": None}
        return {"status": "TestFailed", "error": error}

    def _force(self, key: JobKey, state: str) -> None:
        self.job(key.subscription, key.group, key.name)
        self._halt(key)
        with self._lock:
            self._store(replace(self._jobs[key.text], state=state))

    def _live(self, job: Job) -> Job:
        runtime = self._runtimes.get(job.key.text)
        if runtime is None:
            return job
        last = runtime.last_output_event_time or job.last_output_event_time
        state = runtime.state if job.state == "Running" and runtime.state in MOVING | {"Failed"} else job.state
        return replace(job, state=state, last_output_event_time=last)

    def _remember_outputs(self) -> None:
        with self._lock:
            for key, job in list(self._jobs.items()):
                runtime = self._runtimes.get(key)
                last = runtime.last_output_event_time if runtime else None
                if last is not None and last != job.last_output_event_time:
                    self._store(replace(job, last_output_event_time=last))

    def _recover(self) -> None:
        """Jobs that were changing when the process ended fall to the state they were heading for."""
        with self._lock:
            left = [job for job in self._jobs.values() if job.state not in STANDING]
        for job in left:
            if job.state == "Stopping":
                self._store(replace(job, state="Stopped"))
                continue
            moment = job.last_output_event_time or job.start_time or self._clock.now()
            mode = "LastOutputEventTime" if job.last_output_event_time else job.start_mode or "JobStartTime"
            with self._lock:
                self._store(replace(job, state="Starting"))
            carry_out(Pending(0.0, partial(self._run, job.key, mode, moment)))

    def _store(self, job: Job) -> Job:
        self._documents.save(job.key.text, to_document(job))
        self._jobs[job.key.text] = job
        return job


def _section(body: Mapping[str, Any]) -> dict[str, Any]:
    properties = body.get("properties")
    return dict(properties) if isinstance(properties, Mapping) else {}


def _said(diagnostic: Diagnostic) -> str:
    return f"Line {diagnostic.line}, column {diagnostic.column}: {diagnostic.message}"
