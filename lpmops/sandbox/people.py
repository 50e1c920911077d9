"""Who there is in the sandbox: the operator that signs in, and the identities under which an environment's stream works, with what they are given.

Everything a team would have given on its first day is given here; what somebody takes away later stays away.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lpmops.sandbox.azure.access import role_id
from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.identity import Principal
from lpmops.sandbox.azure.stamps import ticks
from lpmops.sandbox.databricks.catalog import DEFAULT_PRIVILEGES, EVERYONE
from lpmops.sandbox.deployment import Environment

OPERATOR = Principal(
    "00000000-0000-4000-8000-0000000000b1", "operator@lpm.example", "User", "00000000-0000-4000-8000-0000000000b2"
)
CREDENTIAL = "lpm-eventhub"
OPERATORS = "lpm-operators"
_NAMES = uuid.UUID("00000000-0000-4000-8000-0000000000d1")


@dataclass(frozen=True, slots=True)
class Crew:
    """The identities of one environment's stream: the application that the job runs as, and the access connector that it signs in to the hub with."""

    application: str
    application_id: str
    connector: str
    connector_id: str


def crew_of(environment: str) -> Crew:
    """The same for the same environment, always."""

    def made(what: str) -> str:
        return str(uuid.uuid5(_NAMES, f"{environment} {what}"))

    return Crew(made("application"), made("application object"), f"dbac-lpm-{environment}", made("connector object"))


def directory(environment: str) -> dict[str, tuple[str, ...]]:
    """The groups of everybody that the workspace knows, by mail address or application id."""
    return {OPERATOR.name: ("users", OPERATORS), crew_of(environment).application: ("users",)}


def grants(catalog: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """What Unity Catalog has given in an environment's catalog."""
    return {catalog: {EVERYONE: DEFAULT_PRIVILEGES, OPERATOR.name: ("MANAGE",)}}


def job_levels(*, group: bool = True) -> dict[str, str]:
    """Who may do what with the stream job: the operator, and the group of operators."""
    return {
        f"user_name:{OPERATOR.name}": "CAN_MANAGE",
        **({f"group_name:{OPERATORS}": "CAN_MANAGE_RUN"} if group else {}),
    }


@dataclass(frozen=True, slots=True)
class Given:
    """One role of one principal at one scope."""

    scope: str
    role: str
    principal: str
    kind: str = "ServicePrincipal"


def roles(plan: Environment, jobs: Iterable[str]) -> dict[str, tuple[Given, ...]]:
    """The role assignments of an environment by what they are for. `jobs` are the object ids of its Stream Analytics jobs' identities."""
    subscription = f"/subscriptions/{plan.subscription_id}"
    group = f"{subscription}/resourceGroups/{plan.resource_group}"
    namespace = f"{group}/providers/Microsoft.EventHub/namespaces/{plan.namespace}"
    hub = f"{namespace}/eventhubs/{plan.hub}"
    workspace = f"{group}/providers/Microsoft.OperationalInsights/workspaces/log-lpm-{plan.name}"

    def mine(scope: str, role: str) -> Given:
        return Given(scope, role, OPERATOR.id, "User")

    return {
        "monitor": (mine(subscription, "Monitoring Reader"),),
        "asa": (mine(group, "Contributor"),),
        "operator": (
            mine(group, "Role Based Access Control Administrator"),
            mine(namespace, "Azure Event Hubs Data Owner"),
            mine(workspace, "Log Analytics Reader"),
        ),
        "send": (Given(hub, "Azure Event Hubs Data Sender", crew_of(plan.name).connector_id),),
        "eventhub": tuple(Given(hub, "Azure Event Hubs Data Receiver", job) for job in jobs),
    }


def give_roles(account: Account, given: Iterable[Given]) -> None:
    """Give roles; one that is held stays as it is."""
    now = ticks(account.clock.now())
    for each in given:
        account.access.assign(each.scope, role_id(each.role), each.principal, each.kind, now)


def take_roles(account: Account, given: Iterable[Given]) -> None:
    """Take roles away, whoever gave them."""
    for each in given:
        for held in account.access.at(each.scope):
            if (held.scope.lower(), held.role, held.principal_id) == (
                each.scope.lower(),
                role_id(each.role),
                each.principal,
            ):
                account.access.remove(held.name)


def give_users(plan: Environment, databases: Iterable[str], execute: Callable[[str, str], object]) -> None:
    """The users of the jobs' identities in company databases, each with what its outputs take."""
    for database in databases:
        for job in plan.jobs:
            if database in job.databases:
                user = _bracketed(job.name)
                execute(database, f"DROP USER IF EXISTS {user}")
                execute(database, f"CREATE USER {user} FROM EXTERNAL PROVIDER")
                execute(database, f"GRANT SELECT, INSERT ON OBJECT::[lpm].[tdr] TO {user}")


def take_users(plan: Environment, databases: Iterable[str], execute: Callable[[str, str], object]) -> None:
    """Drop those users, as when a job was made again and is another identity of the same name."""
    for database in databases:
        for job in plan.jobs:
            execute(database, f"DROP USER IF EXISTS {_bracketed(job.name)}")


def give_databases(plan: Environment, execute: Callable[[str, str], object]) -> None:
    """The users of the jobs' identities everywhere: in company databases, and with what they take in the control database."""
    give_users(plan, plan.databases, execute)
    for job in plan.jobs:
        user = _bracketed(job.name)
        execute(plan.control_database, f"CREATE USER {user} FROM EXTERNAL PROVIDER")
        for table in ("unrouted", "heartbeat", "kpi_minute"):
            execute(plan.control_database, f"GRANT SELECT, INSERT ON OBJECT::[lpmops].[{table}] TO {user}")
        execute(plan.control_database, f"GRANT SELECT ON OBJECT::[lpmops].[route] TO {user}")


def _bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"
