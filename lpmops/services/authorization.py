"""Who holds which Azure role, as Resource Manager knows it (Microsoft.Authorization 2022-04-01).

`assignedTo` finds what a principal holds itself and through its groups, on a whole resource group in one call; what a role allows is read once a role
and kept. A role is given through `resources`, as any other thing of an environment.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from urllib.parse import quote

from lpmops.config import Environment
from lpmops.principals import Assignment, Principal, Role
from lpmops.services.answers import Fields
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.resourcemanager import group_path, manager_scope, resource_manager
from lpmops.services.transport import Transport

_VERSION = {"api-version": "2022-04-01"}
_CONNECTORS = {"api-version": "2023-05-01"}
_AUTHORIZATION = "providers/Microsoft.Authorization"


class AuthorizationService:
    """The role assignments of one environment's subscription."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._group = group_path(environment)
        self._client = resource_manager(
            environment, transport, credential, "authorization", "Reader on the resource group"
        )
        self._credential, self._scope = credential, manager_scope(environment)
        self._lock = threading.Lock()
        self._roles: dict[str, Role] = {}

    def me(self) -> Principal:
        """Who asks, by the token that Resource Manager is given. Raises SignInError."""
        return self._credential.subject(self._scope, Deadline.after(self._seconds))

    def assignments(self, principal_id: str, beside: str = "") -> tuple[Assignment, ...]:
        """What a principal holds in the environment's resource group, above it and below it; and at a resource `beside` it, where one is named.

        Raises ServiceError types.
        """
        deadline = Deadline.after(self._seconds)
        found: dict[str, Assignment] = {}
        # An id comes as it was answered; OData doubles the quote that would end the text.
        quoted = principal_id.replace("'", "''")
        for scope in filter(None, (self._group, beside)):
            pages = self._client.pages(
                f"{scope}/{_AUTHORIZATION}/roleAssignments",
                operation="role assignments",
                deadline=deadline,
                params={**_VERSION, "$filter": f"assignedTo('{quoted}')"},
            )
            for fields in pages:
                assignment = self._assignment(fields, deadline)
                found[assignment.id.lower()] = assignment
        return tuple(found.values())

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
        path = f"{self._group}/{_AUTHORIZATION}/roleDefinitions/{quote(definition.rpartition('/')[2], safe='')}"
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
