"""Who holds which role where: role assignments, as Microsoft.Authorization lists them.

A principal that is `governed` may do what its roles allow, at their scopes and below; for everybody else assignments are only shown and kept, and
what they may do is the TokenAuthority's business. Thread-safe; survives a restart.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from lpmops.sandbox.azure.documents import Documents
from lpmops.sandbox.azure.stamps import new_guid


@dataclass(frozen=True, slots=True)
class BuiltInRole:
    """What a role allows: on resources, and on what is in them (data actions)."""

    name: str
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()


_SUPPORT = "Microsoft.Support/*"
_SUBSCRIPTION_READ = "Microsoft.Resources/subscriptions/read"
# The built-in roles the product speaks of (azure-docs/role-based-access-control/built-in-roles).
ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": BuiltInRole("Owner", ("*",)),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": BuiltInRole(
        "Contributor",
        ("*",),
        (
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ),
    ),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": BuiltInRole("Reader", ("*/read",)),
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": BuiltInRole(
        "User Access Administrator", ("*/read", "Microsoft.Authorization/*", _SUPPORT)
    ),
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": BuiltInRole(
        "Role Based Access Control Administrator",
        (
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            _SUPPORT,
        ),
    ),
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05": BuiltInRole(
        "Monitoring Reader", ("*/read", "Microsoft.OperationalInsights/workspaces/search/action", _SUPPORT)
    ),
    "73c42c96-874c-492b-b04d-ab87d138a893": BuiltInRole(
        "Log Analytics Reader",
        (
            "*/read",
            "Microsoft.OperationalInsights/workspaces/analytics/query/action",
            "Microsoft.OperationalInsights/workspaces/search/action",
            _SUPPORT,
        ),
        ("Microsoft.OperationalInsights/workspaces/sharedKeys/read",),
    ),
    "f526a384-b230-433a-b45c-95f59c4a2dec": BuiltInRole(
        "Azure Event Hubs Data Owner", ("Microsoft.EventHub/*",), (), ("Microsoft.EventHub/*",)
    ),
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": BuiltInRole(
        "Azure Event Hubs Data Receiver",
        ("Microsoft.EventHub/*/eventhubs/consumergroups/read",),
        (),
        ("Microsoft.EventHub/*/receive/action",),
    ),
    "2b629674-e913-4c01-ae53-ef4638d8f975": BuiltInRole(
        "Azure Event Hubs Data Sender",
        ("Microsoft.EventHub/*/eventhubs/read",),
        (),
        ("Microsoft.EventHub/*/send/action",),
    ),
    "1ec5b3c1-b17e-4e25-8312-2acb3c3c5abf": BuiltInRole(
        "Stream Analytics Query Tester",
        (
            "Microsoft.StreamAnalytics/locations/TestQuery/action",
            "Microsoft.StreamAnalytics/locations/CompileQuery/action",
        ),
    ),
}
_BY_NAME = {role.name: guid for guid, role in ROLES.items()}


def role_id(name: str) -> str:
    """The GUID of a built-in role. KeyError for one that is not known."""
    return _BY_NAME[name]


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
        self._governed: set[str] = set()

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

    def govern(self, principal_id: str) -> None:
        """From now on this principal may do what its roles allow and nothing else."""
        with self._lock:
            self._governed.add(principal_id)

    def may(self, principal_id: str, action: str, scope: str, *, data: bool = False) -> bool:
        """Whether a principal's roles allow an action (a data action) at a scope; one that is not governed may do anything."""
        with self._lock:
            if principal_id not in self._governed:
                return True
            mine = [item for item in self._held.values() if item.principal_id == principal_id]
        if action == _SUBSCRIPTION_READ:
            # Whoever holds anything in a subscription sees that it is there.
            return any(_covers(scope.lower(), item.scope) or _covers(item.scope, scope) for item in mine)
        roles = [ROLES[item.role] for item in mine if _covers(item.scope, scope)]
        return any(
            _named(role.data_actions if data else role.actions, action) and not _named(role.not_actions, action)
            for role in roles
        )

    def granted(self, principal_id: str, scope: str) -> list[BuiltInRole] | None:
        """The roles that hold for a governed principal at a scope; None for one that is not governed."""
        with self._lock:
            if principal_id not in self._governed:
                return None
            held = self._held.values()
            return [ROLES[i.role] for i in held if i.principal_id == principal_id and _covers(i.scope, scope)]

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


def _named(patterns: Iterable[str], action: str) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def _covers(upper: str, lower: str) -> bool:
    upper, lower = upper.lower().rstrip("/"), lower.lower().rstrip("/")
    return lower == upper or lower.startswith(upper + "/") or not upper
