"""Resource Manager's own view of what an environment is made of: read as it is, and written one request at a time.

A resource is named by its kind and the names along its path; what comes back is the API's document, and None for what is not there. Event Hubs
2024-01-01, Stream Analytics 2020-03-01, Authorization 2022-04-01, Insights 2021-05-01-preview. A write goes out once; what became of it is read from
the resource. No secret is in any of these documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from lpmops.config import Environment
from lpmops.errors import ForbiddenError, ServiceError, ServiceNotFoundError, SignInError, ThrottledError
from lpmops.model import Receipt
from lpmops.routing.landscape import Kind
from lpmops.services import lro
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.redact import clean
from lpmops.services.resourcemanager import group_path, resource_manager
from lpmops.services.transport import Client, Transport

_HUBS = "Microsoft.EventHub/namespaces"
# The types along a resource's path, and the API version. A role and a diagnostic setting hang on the resource that is their first name.
_TYPES: Mapping[Kind, tuple[tuple[str, ...], str]] = {
    Kind.NAMESPACE: ((_HUBS,), "2024-01-01"),
    Kind.HUB: ((_HUBS, "eventhubs"), "2024-01-01"),
    Kind.GROUP: ((_HUBS, "eventhubs", "consumergroups"), "2024-01-01"),
    Kind.JOB: (("Microsoft.StreamAnalytics/streamingjobs",), "2020-03-01"),
    Kind.ROLE: (("Microsoft.Authorization/roleAssignments",), "2022-04-01"),
    Kind.SETTING: (("Microsoft.Insights/diagnosticSettings",), "2021-05-01-preview"),
}
_HANGING = frozenset({Kind.ROLE, Kind.SETTING})
_SERVICES = {Kind.JOB: "streamanalytics", Kind.ROLE: "authorization", Kind.SETTING: "monitor"}
_READS, _WRITES = "Reader on the resource group", "Contributor on the resource group"
_RIGHTS = {Kind.ROLE: "Role Based Access Control Administrator on the hub"}


def path_of(environment: Environment, kind: Kind, *names: str) -> str:
    """The id of a resource."""
    types, _ = _TYPES[kind]
    base = group_path(environment)
    if kind in _HANGING:
        base, *rest = names
        names = tuple(rest)
    pairs = "/".join(f"{part}/{quote(name, safe='$')}" for part, name in zip(types, names, strict=True))
    return f"{base}/providers/{pairs}"


class ResourceService:
    """The resource group of one environment."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._environment = environment
        self._subscription = f"/subscriptions/{environment.subscription_id}"
        self._group = group_path(environment)

        def client(service: str, rights: str) -> Client:
            return resource_manager(environment, transport, credential, service, rights)

        self._readers = {kind: client(_SERVICES.get(kind, "eventhub"), _READS) for kind in Kind}
        self._writers = {kind: client(_SERVICES.get(kind, "eventhub"), _RIGHTS.get(kind, _WRITES)) for kind in Kind}
        self._manager = client("resourcemanager", _READS)

    def path(self, kind: Kind, *names: str) -> str:
        """The id of a resource."""
        return path_of(self._environment, kind, *names)

    def group(self) -> str:
        """The region of the resource group. Raises ServiceNotFoundError."""
        return (
            self._ask(self._manager, self._group, "2022-09-01", "resource group").fields().maybe_text("location") or ""
        )

    def get(self, kind: Kind, *names: str) -> Mapping[str, Any] | None:
        """A resource's document; None where there is none."""
        _, version = _TYPES[kind]
        try:
            return _document(self._ask(self._readers[kind], self.path(kind, *names), version, kind.value).fields())
        except ServiceNotFoundError:
            return None

    def every(self, kind: Kind, *parent: str) -> tuple[Mapping[str, Any], ...]:
        """All of a kind below a parent: the consumer groups of a hub, the settings of a resource; nothing where there is no such parent."""
        _, version = _TYPES[kind]
        listed = self.path(kind, *parent, "x").rpartition("/")[0]
        try:
            found = self._pages(self._readers[kind], listed, version, f"{kind.value}s")
        except ServiceNotFoundError:
            return ()
        return tuple({**_document(fields), "name": fields.text("name")} for fields in found)

    def assignments(self) -> tuple[Mapping[str, Any], ...]:
        """The role assignments that hold in the resource group: given above it, on it, and below it."""
        path = f"{self._group}/providers/Microsoft.Authorization/roleAssignments"
        return tuple(map(_document, self._pages(self._readers[Kind.ROLE], path, "2022-04-01", "role assignments")))

    def permissions(self, scope: str = "") -> tuple[Mapping[str, Any], ...]:
        """What the signed-in identity may do at a resource, or in the resource group: lists of `actions` and `notActions`."""
        path = f"{scope or self._group}/providers/Microsoft.Authorization/permissions"
        found = self._pages(self._readers[Kind.ROLE], path, "2022-04-01", "permissions")
        return tuple(
            {name: [str(word) for word in fields.items(name)] for name in ("actions", "notActions")} for fields in found
        )

    def workspace(self, customer: str) -> str:
        """The id of the resource group's Log Analytics workspace that queries know by that id; empty where it has none such."""
        path = f"{self._group}/providers/Microsoft.OperationalInsights/workspaces"
        for found in self._pages(self._readers[Kind.SETTING], path, "2022-10-01", "workspaces"):
            if (found.object("properties").maybe_text("customerId") or "").lower() == customer.lower():
                return found.text("id")
        return ""

    def name_refusal(self, namespace: str) -> str:
        """Why nobody can make a namespace of that name; empty where it is free."""
        answer = self._readers[Kind.NAMESPACE].read(
            f"{self._subscription}/providers/Microsoft.EventHub/checkNameAvailability",
            {"name": namespace},
            operation="check a name",
            deadline=Deadline.after(self._seconds),
            params={"api-version": "2024-01-01"},
        )
        fields = answer.fields()
        return (
            ""
            if fields.flag("nameAvailable")
            else clean(fields.maybe_text("message") or fields.maybe_text("reason") or "it is taken")
        )

    def put(self, kind: Kind, names: tuple[str, ...], body: Mapping[str, Any], *, new: bool = False) -> Receipt:
        """Make or replace a resource. Raises ConflictError, PreconditionError where a `new` job is there already."""
        headers = {"If-None-Match": "*"} if new and kind is Kind.JOB else {}
        return self._write("PUT", kind, names, body, headers)

    def patch(self, kind: Kind, names: tuple[str, ...], body: Mapping[str, Any]) -> Receipt:
        """Change what the body names. Raises ConflictError."""
        return self._write("PATCH", kind, names, body, {})

    def failure(self, location: str) -> str | None:
        """Why the write that is followed at `location` failed; None while it goes on, once it went well, and where nobody knows any more."""
        try:
            deadline = Deadline.after(self._seconds)
            lro.look(self._manager, location, operation="operation", deadline=deadline, by_status=True)
        except (SignInError, ForbiddenError, ServiceNotFoundError, ThrottledError):
            return None
        except ServiceError as error:
            return error.message if error.settled else None
        return None

    def _write(self, method: str, kind: Kind, names: tuple[str, ...], body: Any, headers: Mapping[str, str]) -> Receipt:
        _, version = _TYPES[kind]
        answer = self._writers[kind].write(
            method,
            self.path(kind, *names),
            body,
            operation=f"{method.lower()} {kind.value}",
            deadline=Deadline.after(self._seconds),
            params={"api-version": version},
            headers=headers,
        )
        found = answer.headers
        return Receipt(answer.request_id, found.get("azure-asyncoperation") or found.get("location"))

    def _ask(self, client: Client, path: str, version: str, operation: str) -> Answer:
        deadline = Deadline.after(self._seconds)
        return client.get(path, operation=operation, deadline=deadline, params={"api-version": version})

    def _pages(self, client: Client, path: str, version: str, operation: str) -> tuple[Fields, ...]:
        deadline = Deadline.after(self._seconds)
        return tuple(client.pages(path, operation=operation, deadline=deadline, params={"api-version": version}))


def _document(fields: Fields) -> Mapping[str, Any]:
    """A resource's document in which what is read of any kind has its type. Raises BadAnswerError."""
    fields.object("tags")
    fields.object("sku").maybe_number("capacity")
    properties = fields.object("properties")
    properties.object("jobStorageAccount")
    properties.object("retentionDescription").maybe_number("retentionTimeInHours")
    for log in properties.objects("logs"):
        log.maybe_text("category")
    return fields.values
