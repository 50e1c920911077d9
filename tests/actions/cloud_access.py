"""Who may do what in the pretend cloud: privileges as they lie in its thing `access`, levels as they lie in `stream`, and the users of its databases.

Everything but what a case takes away was given. Each write is noted and may be troubled, as every other of the cloud.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from lpmops.control.access import held_of
from lpmops.control.rights import database
from lpmops.model import Receipt
from lpmops.principals import Assignment, Principal, Role, Securable
from lpmops.services.unity import ServiceCredential

if TYPE_CHECKING:
    from tests.actions.cloud import Cloud

CONTROL, JOB, RUN_AS = "lpm-control", "asa-lpm-tdr-prod-01", "application-1"
RIGHTS = ["ACCESS", "MODIFY", "READ_VOLUME", "SELECT", "USE_CATALOG", "USE_SCHEMA", "WRITE_VOLUME"]


def given() -> dict[str, list[str]]:
    """The privileges of the first day, by who has them."""
    return {"account users": RIGHTS, "ops@lpm.example": ["MANAGE"], RUN_AS: []}


def without_rights(cloud: Cloud) -> None:
    """Somebody let nobody but one read the table."""
    few = [right for right in RIGHTS if right != "SELECT"]
    cloud.put("access", privileges={**given(), "account users": few, "ops@lpm.example": ["MANAGE", "SELECT"]})


def without_sender(cloud: Cloud) -> None:
    """Nobody at Azure may send to the hub any more."""
    cloud.put("access", sends=False)


def without_users(cloud: Cloud) -> None:
    """The control database gave all that the job takes; a company's knows no such user, as when the job was made again."""
    cloud.statement(CONTROL, f"CREATE USER [{JOB}] FROM EXTERNAL PROVIDER")
    cloud.statement(CONTROL, f"GRANT SELECT, INSERT ON SCHEMA::[lpmops] TO [{JOB}]")


def job_may_write(cloud: Cloud) -> bool:
    """Whether the job's user is there once, with both permissions on the landing table."""
    rights = held_of(cloud.rows("lpm-01", "access_held"))
    return all(database(wanted, "lpm.tdr", JOB, rights).state == "has" for wanted in ("SELECT", "INSERT"))


class Rooms:
    """What the desk is given of the services that know about rights."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.unity = SimpleNamespace(
            me=lambda: Principal("ops@lpm.example", "", "", ("users",)),
            principal=lambda name: Principal(name, "", "ServicePrincipal", ("users",)),
            run_as=lambda _job: RUN_AS,
            securable=self._securable,
            levels=lambda _kind, _job: {"ops@lpm.example": "CAN_MANAGE", **cloud.permissions("77")},
            permit=lambda _kind, _job, who, level: cloud.permit("77", who.name, level),
            grant=self._grant,
            service_credential=lambda _name: ServiceCredential(""),
        )
        self.authorization = SimpleNamespace(assignments=self._assignments)

    def _assignments(self, who: str, beside: str = "") -> tuple[Assignment, ...]:
        """Whoever is asked about may send, unless nobody may."""
        del beside
        role = Role("sender", "Azure Event Hubs Data Sender", data_actions=("*",))
        scope = self._cloud.environment.group_id
        return (Assignment("1", scope, role, who),) if self._cloud.get("access").get("sends", True) else ()

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
