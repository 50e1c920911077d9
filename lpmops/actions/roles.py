"""Giving an Azure role: the one way in which every action does it."""

from __future__ import annotations

import uuid

from lpmops.actions.action import Bench
from lpmops.model import Receipt
from lpmops.routing.landscape import Kind

# A namespace of names of its own, so that each lpmops gives the same assignment the same name.
_SPACE = uuid.UUID("5f0f8a52-6a0a-5d5c-9d59-4a2f2c0f7c11")


def give(bench: Bench, scope: str, role: str, principal: str, kind: str) -> Receipt:
    """Give a role (its GUID) at a scope. The assignment's name follows from who, what and where, so that a second request is the first one's.

    `kind` is User, Group or ServicePrincipal. Raises ConflictError where it is held there already, under another name.
    """
    subscription = f"/subscriptions/{bench.environment.subscription_id}"
    given = {
        "roleDefinitionId": f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}",
        "principalId": principal,
        "principalType": kind,
    }
    return bench.services.resources.put(Kind.ROLE, (scope, given_name(scope, principal, role)), {"properties": given})


def given_name(scope: str, principal: str, role: str) -> str:
    """What the assignment of a role is called."""
    return str(uuid.uuid5(_SPACE, f"{scope.lower()} {principal.lower()} {role}"))
