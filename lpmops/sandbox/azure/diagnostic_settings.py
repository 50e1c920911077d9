"""Diagnostic settings: which log categories of a resource go to which workspace.

Off by default, as in Azure: without a setting a resource's logs go nowhere. Thread-safe; survives a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from lpmops.sandbox.azure.documents import Documents

CATEGORIES = {
    "microsoft.streamanalytics/streamingjobs": (("Execution", "Authoring"), ("AllMetrics",)),
    "microsoft.eventhub/namespaces": (
        (
            "ArchiveLogs", "OperationalLogs", "AutoScaleLogs", "KafkaCoordinatorLogs", "KafkaUserErrorLogs", "EventHubVNetConnectionEvent",
            "CustomerManagedKeyUserLogs", "RuntimeAuditLogs", "ApplicationMetricsLogs", "DataDRLogs", "DiagnosticErrorLogs",
        ),
        ("AllMetrics",),
    ),
}  # fmt: skip


def type_of(resource_id: str) -> str:
    """A resource's type from its id, in lower case: `microsoft.eventhub/namespaces`."""
    parts = resource_id.strip("/").lower().rpartition("providers/")[2].split("/")
    return "/".join([parts[0], *parts[1::2]])


class DiagnosticSettings:
    """All settings of the account, by resource."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._lock = threading.Lock()
        self._held = documents.load()

    def put(self, resource_id: str, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace a setting."""
        document = {"resource_id": resource_id.strip("/"), "name": name, "properties": dict(properties)}
        key = _key(resource_id, name)
        with self._lock:
            self._documents.save(key, document)
            self._held[key] = document
        return document

    def get(self, resource_id: str, name: str) -> dict[str, Any] | None:
        """A setting, or None."""
        with self._lock:
            return self._held.get(_key(resource_id, name))

    def of(self, resource_id: str) -> list[dict[str, Any]]:
        """All settings of a resource."""
        wanted = resource_id.strip("/").lower()
        with self._lock:
            return [document for document in self._held.values() if document["resource_id"].lower() == wanted]

    def delete(self, resource_id: str, name: str) -> bool:
        """Remove a setting; False when there was none."""
        key = _key(resource_id, name)
        with self._lock:
            self._documents.delete(key)
            return self._held.pop(key, None) is not None

    def workspaces_for(self, resource_id: str, category: str) -> list[str]:
        """The workspaces (resource ids) that a category of a resource's logs goes to."""
        found = []
        for setting in self.of(resource_id):
            properties = setting["properties"]
            on = any(
                log.get("enabled")
                and (log.get("category") == category or str(log.get("categoryGroup")).lower() == "alllogs")
                for log in properties.get("logs") or []
            )
            if on and properties.get("workspaceId"):
                found.append(str(properties["workspaceId"]))
        return found


def _key(resource_id: str, name: str) -> str:
    return f"{resource_id.strip('/')}#{name}".lower()
