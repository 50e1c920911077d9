"""Who may do what in the pretend cloud: roles, privileges and levels as they lie in its thing `access`, and the users of its databases.

Everything but what a case takes away was given. Each write is noted and may be troubled, as every other of the cloud.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lpmops.errors import ConflictError
from lpmops.model import Receipt
from lpmops.principals import Assignment, Principal, Role, Securable
from lpmops.routing.landscape import Kind as Resource
from lpmops.sandbox.azure.access import ROLES

if TYPE_CHECKING:
    from tests.actions.cloud import Cloud

OPERATOR, SENDER, JOB_IDENTITY, RUN_AS = "operator-1", "sender-1", "job-1", "application-1"
OWNER, RECEIVER, SENDING = (
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
    "2b629674-e913-4c01-ae53-ef4638d8f975",
)
RIGHTS = ["ACCESS", "MODIFY", "READ_VOLUME", "SELECT", "USE_CATALOG", "USE_SCHEMA", "WRITE_VOLUME"]


def given(cloud: Cloud) -> dict[str, Any]:
    """What was given on the first day."""
    subscription = f"/subscriptions/{cloud.environment.subscription_id}"
    return {
        "roles": {OPERATOR: {OWNER: subscription}, SENDER: {SENDING: subscription}, JOB_IDENTITY: {RECEIVER: subscription}},
        "privileges": {"account users": RIGHTS, "ops@lpm.example": ["MANAGE"], RUN_AS: []},
    }


def without_rights(cloud: Cloud) -> None:
    """Somebody took the job's role at the hub, and let nobody but some read the table."""
    held = given(cloud)
    del held["roles"][JOB_IDENTITY]
    held["privileges"]["account users"] = [right for right in RIGHTS if right != "SELECT"]
    held["privileges"]["ops@lpm.example"] = ["MANAGE", "SELECT"]
    cloud.put("access", **held)


class Rooms:
    """What the desk is given of the services that know about rights."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.authorization = SimpleNamespace(
            me=lambda: Principal("ops@lpm.example", OPERATOR, "User"),
            assignments=self._assignments,
            connector_principal=lambda _connector, _identity: SENDER,
        )
        self.unity = SimpleNamespace(
            me=lambda: Principal("ops@lpm.example", "", "", ("users",)),
            principal=lambda name: Principal(name, "", "ServicePrincipal", ("users",)),
            run_as=lambda _job: RUN_AS,
            securable=self._securable,
            service_credential=lambda _: SimpleNamespace(connector="connector", identity=""),
            levels=lambda _kind, _job: {"ops@lpm.example": "CAN_MANAGE", **cloud.permissions()},
            permit=lambda _kind, _job, who, level: cloud.permit(who.name, level),
            grant=self._grant,
        )

    def _assignments(self, principal: str, beside: str = "") -> tuple[Assignment, ...]:
        self._cloud.trouble("before", "assignments")
        held = self._cloud.get("access")["roles"].get(principal, {})
        return tuple(Assignment(f"{scope}/{guid}", scope, _role(guid), principal) for guid, scope in held.items())

    def _securable(self, kind: str, name: str) -> Securable:
        self._cloud.trouble("before", "securable")
        held = self._cloud.get("access")["privileges"]
        return Securable(kind, name, "engineers", {who: frozenset(rights) for who, rights in held.items()})

    def _grant(self, kind: str, name: str, principal: str, privilege: str) -> Receipt:
        self._cloud.trouble("before", "grant")
        held = self._cloud.get("access")["privileges"]
        rights = sorted({*held.get(principal, ()), privilege})
        self._cloud.did("grant", "access", privileges={**held, principal: rights})
        self._cloud.trouble("after", "grant")
        return Receipt()

    def give(self, kind: Resource, names: tuple[str, ...], body: dict[str, Any]) -> Receipt:
        """A role assignment, as Resource Manager makes it."""
        assert kind is Resource.ROLE
        scope, wished = names[0], body["properties"]
        role, principal = wished["roleDefinitionId"].rpartition("/")[2], wished["principalId"]
        self._cloud.trouble("before", "give_role")
        held = self._cloud.get("access")["roles"]
        if role in held.get(principal, {}):
            raise ConflictError("The role assignment already exists.", service="authorization", status=409)
        roles = {**held, principal: {**held.get(principal, {}), role: scope}}
        self._cloud.did("give_role", "access", roles=roles)
        self._cloud.trouble("after", "give_role")
        return Receipt()


def _role(guid: str) -> Role:
    known = ROLES[guid]
    return Role(guid, known.name, known.actions, known.not_actions, known.data_actions)
