"""Who holds which role where: role assignments, as Microsoft.Authorization lists them.

Assignments are only shown and kept; what a principal may really do is the TokenAuthority's business. Thread-safe; survives a restart.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass

from lpmops.sandbox.azure.documents import Documents
from lpmops.sandbox.azure.stamps import new_guid

# The built-in roles the product speaks of (azure-docs/role-based-access-control/built-in-roles).
ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": ("Owner", ("*",)),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": ("Contributor", ("*",)),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": ("Reader", ("*/read",)),
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05": (
        "Monitoring Reader",
        ("*/read", "Microsoft.OperationalInsights/workspaces/search/action"),
    ),
    "73c42c96-874c-492b-b04d-ab87d138a893": (
        "Log Analytics Reader",
        ("*/read", "Microsoft.OperationalInsights/workspaces/search/action"),
    ),
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": (
        "Azure Event Hubs Data Receiver",
        ("Microsoft.EventHub/*/eventhubs/consumergroups/read",),
    ),
    "2b629674-e913-4c01-ae53-ef4638d8f975": ("Azure Event Hubs Data Sender", ("Microsoft.EventHub/*/eventhubs/read",)),
    "1ec5b3c1-b17e-4e25-8312-2acb3c3c5abf": (
        "Stream Analytics Query Tester",
        (
            "Microsoft.StreamAnalytics/locations/TestQuery/action",
            "Microsoft.StreamAnalytics/locations/CompileQuery/action",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """One principal, one role (its GUID), one scope."""

    name: str
    scope: str
    role: str
    principal_id: str
    principal_type: str
    created_on: str

    @property
    def id(self) -> str:
        """The resource id."""
        return f"{self.scope}/providers/Microsoft.Authorization/roleAssignments/{self.name}"


class Access:
    """All assignments of the account."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._lock = threading.Lock()
        self._held = {key: RoleAssignment(**document) for key, document in documents.load().items()}

    def assign(
        self, scope: str, role: str, principal_id: str, principal_type: str, created_on: str, name: str = ""
    ) -> RoleAssignment:
        """Give a role. The same role for the same principal at the same scope is given once. KeyError for a role that is not known."""
        if role not in ROLES:
            raise KeyError(role)
        with self._lock:
            for held in self._held.values():
                if (held.scope.lower(), held.role, held.principal_id) == (scope.lower(), role, principal_id):
                    return held
            made = RoleAssignment(name or new_guid(), scope.rstrip("/"), role, principal_id, principal_type, created_on)
            self._documents.save(made.name, asdict(made))
            self._held[made.name] = made
            return made

    def remove(self, name: str) -> RoleAssignment | None:
        """Take an assignment away: it, or None when there was none."""
        with self._lock:
            self._documents.delete(name)
            return self._held.pop(name, None)

    def find(self, name: str) -> RoleAssignment | None:
        """By its GUID."""
        with self._lock:
            return self._held.get(name)

    def at(self, scope: str, above_only: bool = False) -> list[RoleAssignment]:
        """What holds at a scope: inherited from above it and, unless `above_only`, given below it."""
        wanted = scope.lower().rstrip("/")
        with self._lock:
            return [
                a
                for a in self._held.values()
                if _covers(a.scope, wanted) or (not above_only and _covers(wanted, a.scope.lower()))
            ]


def _covers(upper: str, lower: str) -> bool:
    upper, lower = upper.lower().rstrip("/"), lower.lower().rstrip("/")
    return lower == upper or lower.startswith(upper + "/") or not upper
