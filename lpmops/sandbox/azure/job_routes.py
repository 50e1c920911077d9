"""The operations of Microsoft.StreamAnalytics, answered as recorded.

ETags are bare GUIDs in the header; inside `properties` they are shown only in lists and in expanded jobs. Long operations answer 202 with a Location,
polls answer 202 with a fresh Location until they answer 200 with an empty body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.calls import Answer, Call, Operation
from lpmops.sandbox.azure.errors import stream_analytics_error
from lpmops.sandbox.azure.job_schema import bad
from lpmops.sandbox.azure.jobs import Child, Job, JobKey, Kind, Match
from lpmops.sandbox.azure.stamps import milliseconds
from lpmops.sandbox.azure.stream_analytics import CLUSTERS_QUOTA, JOB_TYPE, UNITS_QUOTA

STABLE = frozenset({"2020-03-01"})
PREVIEW = frozenset({"2021-10-01-preview"})
READ = STABLE | PREVIEW
KINDS: tuple[Kind, ...] = ("inputs", "outputs", "functions", "transformations")
_EXPANDABLE = frozenset({"inputs", "outputs", "functions", "transformation"})
_SUBSCRIPTION = "/subscriptions/{subscription}"
_JOBS = f"{_SUBSCRIPTION}/resourceGroups/{{group}}/providers/Microsoft.StreamAnalytics/streamingjobs"
_JOB = f"{_JOBS}/{{job}}"


def job_operations(account: Account) -> list[Operation]:
    """Everything under Microsoft.StreamAnalytics that the sandbox answers."""
    routes = JobRoutes(account)

    def at(method: str, template: str, action: str, handler: Any) -> Operation:
        versions = READ if method == "GET" else STABLE
        return Operation(method, template, f"Microsoft.StreamAnalytics/{action}", versions, handler)

    operations = [
        at(
            "GET",
            f"{_SUBSCRIPTION}/providers/Microsoft.StreamAnalytics/locations/{{location}}/quotas",
            "locations/quotas/Read",
            routes.quotas,
        ),
        at(
            "GET",
            f"{_SUBSCRIPTION}/providers/Microsoft.StreamAnalytics/streamingjobs",
            "streamingjobs/Read",
            routes.list_jobs,
        ),
        # specification streamanalytics/preview/2021-10-01-preview, subscriptions.json; testQuery writes to a storage account, which is not here.
        Operation(
            "POST",
            f"{_SUBSCRIPTION}/providers/Microsoft.StreamAnalytics/locations/{{location}}/compileQuery",
            "Microsoft.StreamAnalytics/locations/CompileQuery/action",
            PREVIEW,
            routes.compile_query,
        ),
        at("GET", _JOBS, "streamingjobs/Read", routes.list_jobs),
        at("GET", _JOB, "streamingjobs/Read", routes.get_job),
        at("PUT", _JOB, "streamingjobs/Write", routes.put_job),
        at("PATCH", _JOB, "streamingjobs/Write", routes.patch_job),
        at("DELETE", _JOB, "streamingjobs/Delete", routes.delete_job),
        at("POST", f"{_JOB}/start", "streamingjobs/Start/action", routes.start),
        at("POST", f"{_JOB}/stop", "streamingjobs/Stop/action", routes.stop),
        at("POST", f"{_JOB}/scale", "streamingjobs/Scale/action", routes.scale),
        at("GET", f"{_JOB}/OperationResults/{{operation}}", "streamingjobs/Read", routes.poll),
    ]
    for kind in KINDS:
        operations += _child_operations(routes, kind, at)
    return operations


def _child_operations(routes: JobRoutes, kind: Kind, at: Any) -> list[Operation]:
    right, many, one = f"streamingjobs/{kind}", f"{_JOB}/{kind}", f"{_JOB}/{kind}/{{child}}"
    children = ChildRoutes(routes, kind)
    found = [
        at("GET", one, f"{right}/Read", children.get),
        at("PUT", one, f"{right}/Write", children.put),
        at("PATCH", one, f"{right}/Write", children.patch),
    ]
    if kind != "transformations":
        found += [
            at("GET", many, f"{right}/Read", children.list_all),
            at("DELETE", one, f"{right}/Delete", children.delete),
            at("POST", f"{one}/test", f"{right}/Test/action", children.test),
            at("GET", f"{one}/OperationResults/{{operation}}", f"{right}/Read", routes.poll),
        ]
    return list(found)


def key_of(call: Call) -> JobKey:
    """The job a path names."""
    return JobKey(call.subscription, call.names["group"], call.names["job"])


def match_of(call: Call) -> Match:
    """The conditions a write carries."""
    return Match(call.headers.get("if-match"), call.headers.get("if-none-match"))


class JobRoutes:
    """Handlers for jobs over one account's `StreamAnalytics`."""

    def __init__(self, account: Account) -> None:
        self.state = account.stream_analytics
        self._account = account

    def quotas(self, call: Call) -> Answer:
        """What the subscription may use, and uses."""
        start = f"/subscriptions/{call.subscription}/providers/Microsoft.StreamAnalytics/locations/{call.names['location']}/quotas"
        used = {
            "StreamingUnits": (UNITS_QUOTA, self.state.units_in_use(call.subscription)),
            "StreamingClusters": (CLUSTERS_QUOTA, 0),
        }
        value = [
            {
                "id": f"{start}/{name}",
                "name": name,
                "type": "Microsoft.StreamAnalytics/quotas",
                "properties": {"maxCount": most, "currentCount": now},
            }
            for name, (most, now) in used.items()
        ]
        return Answer({"value": value})

    def compile_query(self, call: Call) -> Answer:
        """A text compiled for its own sake: 200, whether or not errors were found."""
        return Answer(self.state.compile(call.object_body()))

    def list_jobs(self, call: Call) -> Answer:
        """Of a group, or of the subscription when the path names no group."""
        expand = _expand(call)
        jobs = self.state.jobs(call.subscription, call.names.get("group"))
        return Answer({"value": [_job(job, expand, with_etag=True) for job in jobs], "nextLink": None})

    def get_job(self, call: Call) -> Answer:
        """One job; children only when $expand names them."""
        key = key_of(call)
        return _with_etag(self.state.job(key.subscription, key.group, key.name), _expand(call))

    def put_job(self, call: Call) -> Answer:
        """Create or replace; the answer shows all children."""
        key = key_of(call)
        group = self._account.group(key.subscription, key.group)
        named = JobKey(key.subscription, group.name if group else key.group, key.name)
        return _with_etag(self.state.put(named, call.object_body(), match_of(call)), _EXPANDABLE)

    def patch_job(self, call: Call) -> Answer:
        """Change settings or tags."""
        return _with_etag(self.state.patch(key_of(call), call.object_body(), match_of(call)), frozenset())

    def delete_job(self, call: Call) -> Answer:
        """200 as recorded; 204 when there was none."""
        return Answer(None, 200 if self.state.delete(key_of(call)) else 204)

    def start(self, call: Call) -> Answer:
        """Start; without a body the mode is JobStartTime, the SDK's default."""
        body = call.body if isinstance(call.body, dict) else {}
        mode = body.get("outputStartMode") or "JobStartTime"
        return self.accepted(call, self.state.start(key_of(call), str(mode), body.get("outputStartTime")))

    def stop(self, call: Call) -> Answer:
        """Stop."""
        return self.accepted(call, self.state.stop(key_of(call)))

    def scale(self, call: Call) -> Answer:
        """Change streaming units."""
        units = call.body.get("streamingUnits") if isinstance(call.body, dict) else None
        return self.accepted(call, self.state.scale(key_of(call), units))

    def poll(self, call: Call) -> Answer:
        """How a long operation goes."""
        pending = self.state.operation(key_of(call), call.names["operation"])
        if pending is None:
            raise stream_analytics_error(404, "NotFound", "The operation is not known.")  # assumed: the wording
        if not pending.done:
            return self.accepted(call, call.names["operation"])
        if pending.error is not None:
            raise pending.error
        empty = {"Content-Type": "application/json; charset=utf-8"}
        return Answer(pending.result, 200) if pending.result is not None else Answer(None, 200, empty)

    def accepted(self, call: Call, operation: str) -> Answer:
        """202 and where to ask."""
        start = call.path if "/operationresults/" in call.path.lower() else call.path.rstrip("/").rpartition("/")[0]
        start = start[: start.lower().index("/operationresults/")] if "/operationresults/" in start.lower() else start
        # The recorder strips Retry-After; that the service sends it is concluded from the gaps between its polls.
        headers = {
            "Location": f"{call.origin}{start}/OperationResults/{operation}?api-version={call.api_version}",
            "Retry-After": str(self._account.durations.retry_after),
        }
        return Answer(None, 202, headers)


class ChildRoutes:
    """Handlers for one kind of child."""

    def __init__(self, routes: JobRoutes, kind: Kind) -> None:
        self._routes = routes
        self._state = routes.state
        self._kind: Kind = kind

    def list_all(self, call: Call) -> Answer:
        """All of a job's, each with its etag."""
        key = key_of(call)
        job = self._state.job(key.subscription, key.group, key.name)
        children = job.children(self._kind).values()
        return Answer({"value": [_child(job, self._kind, each, with_etag=True) for each in children], "nextLink": None})

    def get(self, call: Call) -> Answer:
        """One, with its ETag."""
        return self._shown(call, self._state.child(key_of(call), self._kind, call.names["child"]))

    def put(self, call: Call) -> Answer:
        """Create or replace."""
        name = call.names["child"]
        return self._shown(
            call, self._state.put_child(key_of(call), self._kind, name, call.object_body(), match_of(call))
        )

    def patch(self, call: Call) -> Answer:
        """Change what the body names."""
        name = call.names["child"]
        return self._shown(
            call, self._state.put_child(key_of(call), self._kind, name, call.object_body(), match_of(call), patch=True)
        )

    def delete(self, call: Call) -> Answer:
        """200 as recorded; 204 when there was none."""
        return Answer(None, 200 if self._state.delete_child(key_of(call), self._kind, call.names["child"]) else 204)

    def test(self, call: Call) -> Answer:
        """Whether the data source answers."""
        body = call.body if isinstance(call.body, dict) else None
        return self._routes.accepted(call, self._state.test(key_of(call), self._kind, call.names["child"], body))

    def _shown(self, call: Call, child: Child) -> Answer:
        key = key_of(call)
        job = self._state.job(key.subscription, key.group, key.name)
        return Answer(_child(job, self._kind, child), 200, {"ETag": child.etag})


def _expand(call: Call) -> frozenset[str]:
    asked = {part.strip() for part in call.query.get("$expand", "").split(",") if part.strip()}
    if asked - _EXPANDABLE:
        raise bad(
            f"The $expand value '{', '.join(sorted(asked - _EXPANDABLE))}' is not one of {', '.join(sorted(_EXPANDABLE))}."
        )  # assumed
    return frozenset(asked)


def _with_etag(job: Job, expand: frozenset[str]) -> Answer:
    return Answer(_job(job, expand), 200, {"ETag": job.etag})


def _job(job: Job, expand: frozenset[str], with_etag: bool = False) -> dict[str, Any]:
    own = dict(job.properties)
    properties: dict[str, Any] = {
        "sku": own.pop("sku"),
        "jobId": job.job_id,
        "provisioningState": "Succeeded",
        "jobState": job.state,
        **own,
        "createdDate": milliseconds(job.created_at),
    }
    if job.start_mode is not None:
        properties["outputStartMode"] = job.start_mode
    if job.start_time is not None:
        properties["outputStartTime"] = milliseconds(job.start_time)
    if job.last_output_event_time is not None:
        properties["lastOutputEventTime"] = milliseconds(job.last_output_event_time)
    for kind in ("inputs", "functions", "outputs"):
        if kind in expand:
            properties[kind] = [_child(job, kind, child, with_etag=True) for child in job.children(kind).values()]
    if "transformation" in expand and job.transformation is not None:
        properties["transformation"] = _child(job, "transformations", job.transformation, with_etag=True)
    if with_etag:
        properties["etag"] = job.etag
    shown: dict[str, Any] = {"id": job.id, "name": job.key.name, "type": JOB_TYPE, "location": _display(job.location)}
    if job.tags:
        shown["tags"] = dict(job.tags)
    if job.identity is not None:
        shown["identity"] = dict(job.identity)
    return {**shown, "properties": properties}


def _child(job: Job, kind: Kind, child: Child, with_etag: bool = False) -> dict[str, Any]:
    properties: Mapping[str, Any] = {**child.properties, "etag": child.etag} if with_etag else child.properties
    return {
        "id": f"{job.id}/{kind}/{child.name}",
        "name": child.name,
        "type": f"{JOB_TYPE}/{kind}",
        "properties": properties,
    }


_REGIONS = {
    "westus": "West US", "westus2": "West US 2", "eastus": "East US", "eastus2": "East US 2", "westeurope": "West Europe",
    "northeurope": "North Europe", "centralus": "Central US", "southcentralus": "South Central US",
}  # fmt: skip


def _display(location: str) -> str:
    """Stream Analytics answers a region by its display name, whatever was sent (recorded)."""
    return _REGIONS.get(location.lower().replace(" ", ""), location)
