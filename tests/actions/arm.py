"""Resource Manager of the pretend cloud: documents by path in the same file as everything else, every write counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lpmops.errors import PreconditionError
from lpmops.model import Receipt
from lpmops.routing.landscape import Kind
from lpmops.services.resources import path_of

if TYPE_CHECKING:
    from tests.actions.cloud import Cloud

PRINCIPAL = "00000000-0000-4000-8000-0000000000e1"
# What the service fills in.
_SHOWN = {"zoneRedundant": True, "kafkaEnabled": True, "disableLocalAuth": False}


class Arm:
    """What the desk is given as the service of resources."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def path(self, kind: Kind, *names: str) -> str:
        return path_of(self._cloud.environment, kind, *names)

    def group(self) -> str:
        self._cloud.trouble("before", "group")
        return "westeurope"

    def get(self, kind: Kind, *names: str) -> Mapping[str, Any] | None:
        self._cloud.trouble("before", "get_resource")
        if kind is Kind.JOB:
            held = self._cloud.get(names[0])
            principal = held.get("principal")
            identity = {"type": "SystemAssigned", "principalId": principal} if principal else None
            shown = {"name": names[0], "location": held.get("location"), "identity": identity, "tags": held.get("tags")}
            account = held.get("settings", {}).get("jobStorageAccount")
            return {**shown, "properties": {"jobStorageAccount": account}} if held else None
        path = self.path(kind, *names)
        found = self._cloud.get(path)
        if found and found["properties"].get("provisioningState") == "Creating":
            # What was ordered is done by the next look.
            self._cloud.put(path, properties={**found["properties"], "provisioningState": "Succeeded"})
        return found or None

    def every(self, kind: Kind, *parent: str) -> tuple[Mapping[str, Any], ...]:
        self._cloud.trouble("before", "every_resource")
        return self._below(self.path(kind, *parent, "x")[:-1])

    def assignments(self) -> tuple[Mapping[str, Any], ...]:
        self._cloud.trouble("before", "assignments")
        return tuple(self._cloud.get(name) for name in self._cloud.names("") if "/roleAssignments/" in name)

    def permissions(self, scope: str = "") -> tuple[Mapping[str, Any], ...]:
        self._cloud.trouble("before", "permissions")
        return ({"actions": ["*"], "notActions": self._cloud.get("rights").get("denied", [])},)

    def workspace(self, customer: str) -> str:
        self._cloud.trouble("before", "workspace_id")
        return str(self._cloud.get("workspace").get(customer, ""))

    def name_refusal(self, namespace: str) -> str:
        self._cloud.trouble("before", "name")
        return str(self._cloud.get("taken").get(namespace, ""))

    def put(self, kind: Kind, names: tuple[str, ...], body: Mapping[str, Any], *, new: bool = False) -> Receipt:
        verb, path = f"put_{kind.name.lower()}", self.path(kind, *names)
        self._cloud.trouble("before", verb)
        if kind is Kind.JOB:
            self._make_job(names[0], body, new)
        else:
            self._write(verb, kind, path, body)
        self._cloud.trouble("after", verb)
        return Receipt("request-9")

    def patch(self, kind: Kind, names: tuple[str, ...], body: Mapping[str, Any]) -> Receipt:
        verb, path = f"patch_{kind.name.lower()}", self.path(kind, *names)
        self._cloud.trouble("before", verb)
        if kind is Kind.JOB:
            self._cloud.did(verb, names[0], **self._changed_job(names[0], self._cloud.get(names[0]), body))
        else:
            self._write(verb, kind, path, body)
        self._cloud.trouble("after", verb)
        return Receipt("request-10")

    def failure(self, location: str) -> str | None:
        self._cloud.trouble("before", "resource_failure")
        return None

    def _write(self, verb: str, kind: Kind, path: str, body: Mapping[str, Any]) -> None:
        held = self._cloud.get(path)
        properties = {**held.get("properties", {}), **body.get("properties", {})}
        if kind is Kind.NAMESPACE:
            properties |= {**_SHOWN, "provisioningState": "Creating"}
        if kind is Kind.ROLE:
            properties["scope"] = path.partition("/providers/Microsoft.Authorization")[0]
        self._cloud.did(verb, path, **{**body, "name": path.rpartition("/")[2], "id": path, "properties": properties})

    def _changed_job(self, name: str, held: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """As the service does it: the key of a storage account is taken and never shown."""
        account = dict(body.get("properties", {}).get("jobStorageAccount") or {})
        if key := account.pop("accountKey", None):
            self._cloud.put("keys", **{name: key})
        settings = {**held["settings"], **({"jobStorageAccount": account} if account else {})}
        return {"principal": PRINCIPAL, "settings": settings, "tags": body.get("tags", held.get("tags"))}

    def _make_job(self, name: str, body: Mapping[str, Any], new: bool) -> None:
        if new and self._cloud.get(name):
            raise PreconditionError("There is a job of that name.", service="streamanalytics", status=412)
        settings = {"compatibilityLevel": "1.0", "outputErrorPolicy": "Stop"}
        empty = {"query": "", "inputs": {}, "outputs": {}, "settings": settings, "streaming_units": 0.0}
        never = {"mode": None, "started_at": None, "last_output_at": None}
        place = {"location": "West Europe", "resource_id": self.path(Kind.JOB, name)}
        made = {"state": "Created", **empty, **never, **place}
        self._cloud.did("put_job", name, **{**made, **self._changed_job(name, made, body)})

    def _below(self, prefix: str) -> tuple[Mapping[str, Any], ...]:
        found = (self._cloud.get(name) for name in self._cloud.names(prefix) if "/" not in name[len(prefix) :])
        return tuple(found)
