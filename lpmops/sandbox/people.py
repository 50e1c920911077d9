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


def job_levels() -> dict[str, str]:
    """Who may do what with the stream job."""
    return {f"user_name:{OPERATOR.name}": "CAN_MANAGE", f"group_name:{OPERATORS}": "CAN_MANAGE_RUN"}


def give_roles(account: Account, plan: Environment, jobs: Iterable[str]) -> None:
    """The role assignments of an environment. `jobs` are the object ids of the identities of its Stream Analytics jobs."""
    now = ticks(account.clock.now())
    subscription = f"/subscriptions/{plan.subscription_id}"
    group = f"{subscription}/resourceGroups/{plan.resource_group}"
    namespace = f"{group}/providers/Microsoft.EventHub/namespaces/{plan.namespace}"
    hub = f"{namespace}/eventhubs/{plan.hub}"
    workspace = f"{group}/providers/Microsoft.OperationalInsights/workspaces/log-lpm-{plan.name}"
    mine = (
        (subscription, "Monitoring Reader"),
        (group, "Contributor"),
        (group, "Role Based Access Control Administrator"),
        (namespace, "Azure Event Hubs Data Owner"),
        (workspace, "Log Analytics Reader"),
    )
    for scope, role in mine:
        account.access.assign(scope, role_id(role), OPERATOR.id, "User", now)
    sender = crew_of(plan.name).connector_id
    account.access.assign(hub, role_id("Azure Event Hubs Data Sender"), sender, "ServicePrincipal", now)
    for principal in jobs:
        account.access.assign(hub, role_id("Azure Event Hubs Data Receiver"), principal, "ServicePrincipal", now)


def give_databases(plan: Environment, execute: Callable[[str, str], object]) -> None:
    """The users of the jobs' identities, each with what its outputs and its reference input take."""
    for job in plan.jobs:
        user = job.name.replace("]", "]]")
        for database in (plan.control_database, *job.databases):
            execute(database, f"CREATE USER [{user}] FROM EXTERNAL PROVIDER")
        for database in job.databases:
            execute(database, f"GRANT SELECT, INSERT ON OBJECT::[lpm].[tdr] TO [{user}]")
        for table in ("unrouted", "heartbeat", "kpi_minute"):
            execute(plan.control_database, f"GRANT SELECT, INSERT ON OBJECT::[lpmops].[{table}] TO [{user}]")
        execute(plan.control_database, f"GRANT SELECT ON OBJECT::[lpmops].[route] TO [{user}]")
