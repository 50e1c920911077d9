"""Who holds which Azure role, as Resource Manager knows it (Microsoft.Authorization 2022-04-01), and giving one.

`assignedTo` finds what a principal holds itself and through its groups, on the whole subscription in one call; what a role allows is read once a role
and kept. An assignment is made under a name that is made of its scope, role and principal, so that asking twice makes one.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from urllib.parse import quote

from lpmops.config import Environment
from lpmops.model import Receipt
from lpmops.principals import Assignment, Principal, Role
from lpmops.services.answers import Fields
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.resourcemanager import manager_scope, resource_manager
from lpmops.services.transport import Transport

_VERSION = {"api-version": "2022-04-01"}
_CONNECTORS = {"api-version": "2023-05-01"}
_WORKSPACES = {"api-version": "2022-10-01"}
_AUTHORIZATION = "providers/Microsoft.Authorization"
# The namespace of names made here, so that each lpmops gives the same assignment the same name.
_NAMES = uuid.UUID("5a4c21c7-28a5-4a2e-8f0e-3a0f0d1c7f5e")


class AuthorizationService:
    """The role assignments of one environment's subscription."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._subscription = f"/subscriptions/{environment.subscription_id}"
        self._workspace = environment.monitor.log_analytics_workspace.lower()
        self._client = resource_manager(
            environment, transport, credential, "authorization", "Reader on the subscription"
        )
        self._orders = resource_manager(
            environment,
            transport,
            credential,
            "authorization",
            "Role Based Access Control Administrator, User Access Administrator or Owner at the scope",
        )
        self._credential, self._scope = credential, manager_scope(environment)
        self._lock = threading.Lock()
        self._roles: dict[str, Role] = {}

    def me(self) -> Principal:
        """Who asks, by the token that Resource Manager is given. Raises SignInError."""
        return self._credential.subject(self._scope, Deadline.after(self._seconds))

    def assignments(self, principal_id: str) -> tuple[Assignment, ...]:
        """What a principal holds anywhere in the subscription, and what it inherits there from above. Raises ServiceError types."""
        deadline = Deadline.after(self._seconds)
        parameters = {**_VERSION, "$filter": f"assignedTo('{principal_id}')"}
        pages = self._client.pages(
            f"{self._subscription}/{_AUTHORIZATION}/roleAssignments",
            operation="role assignments",
            deadline=deadline,
            params=parameters,
        )
        return tuple(self._assignment(fields, deadline) for fields in pages)

    def assign(self, scope: str, role_id: str, principal_id: str, kind: str) -> Receipt:
        """Give a role at a scope. `kind` is User, Group or ServicePrincipal. Raises ConflictError where the principal holds it there already."""
        name = uuid.uuid5(_NAMES, f"{scope}|{role_id}|{principal_id}".lower())
        body = {
            "properties": {
                "roleDefinitionId": f"{self._subscription}/{_AUTHORIZATION}/roleDefinitions/{role_id}",
                "principalId": principal_id,
                "principalType": kind,
            }
        }
        answer = self._orders.write(
            "PUT",
            f"{scope}/{_AUTHORIZATION}/roleAssignments/{name}",
            body,
            operation="assign role",
            deadline=Deadline.after(self._seconds),
            params=_VERSION,
        )
        return Receipt(answer.request_id)

    def connector_principal(self, connector_id: str, identity_id: str = "") -> str:
        """The object id behind an access connector: its system-assigned identity, or the user-assigned one of that resource id; empty for none."""
        fields = self._client.get(
            connector_id, operation="access connector", deadline=Deadline.after(self._seconds), params=_CONNECTORS
        ).fields()
        identity = fields.object("identity")
        if not identity_id:
            return identity.maybe_text("principalId") or ""
        given = {name.lower(): value for name, value in identity.object("userAssignedIdentities").values.items()}
        found = given.get(identity_id.lower())
        return str(found.get("principalId") or "") if isinstance(found, dict) else ""

    def workspace_resource(self) -> str:
        """The resource id of the configured Log Analytics workspace; empty where the subscription shows none of that id."""
        pages = self._client.pages(
            f"{self._subscription}/providers/Microsoft.OperationalInsights/workspaces",
            operation="workspaces",
            deadline=Deadline.after(self._seconds),
            params=_WORKSPACES,
        )
        for fields in pages:
            if (fields.object("properties").maybe_text("customerId") or "").lower() == self._workspace:
                return fields.text("id")
        return ""

    def _assignment(self, fields: Fields, deadline: Deadline) -> Assignment:
        properties = fields.object("properties")
        return Assignment(
            id=fields.text("id"),
            scope=properties.text("scope"),
            role=self._role(properties.text("roleDefinitionId"), deadline),
            principal_id=properties.text("principalId"),
        )

    def _role(self, definition: str, deadline: Deadline) -> Role:
        """What a role allows; read once."""
        with self._lock:
            known = self._roles.get(definition.lower())
        if known is not None:
            return known
        path = f"{self._subscription}/{_AUTHORIZATION}/roleDefinitions/{quote(definition.rpartition('/')[2], safe='')}"
        fields = self._client.get(path, operation="role", deadline=deadline, params=_VERSION).fields()
        properties = fields.object("properties")
        allowed = properties.objects("permissions")
        role = Role(
            id=fields.text("name"),
            name=properties.maybe_text("roleName") or fields.text("name"),
            actions=_words(allowed, "actions"),
            not_actions=_words(allowed, "notActions"),
            data_actions=_words(allowed, "dataActions"),
            not_data_actions=_words(allowed, "notDataActions"),
        )
        with self._lock:
            self._roles[definition.lower()] = role
        return role


def _words(permissions: Sequence[Fields], key: str) -> tuple[str, ...]:
    return tuple(str(word) for item in permissions for word in item.items(key))
