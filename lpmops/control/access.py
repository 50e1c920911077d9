"""Who has what: asks every system at once for the rights of the operator and of each service identity, and holds them against the table of needs.

Each question fails alone: a right that could not be asked about is unknown, with why, and never lacking. Nothing is written anywhere. What a right
looks like as a row, with the words that give it, is made in `access_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from lpmops.config import Environment
from lpmops.control import access_rows, questions, rights
from lpmops.control.access_rows import Right, securables
from lpmops.control.questions import Asked, Once
from lpmops.control.rights import ASA, NEEDS, STREAM, AzureRole, Level, Need, Privilege
from lpmops.errors import ConfigError, LpmopsError, ServiceNotFoundError
from lpmops.model import StreamingJob, StreamJob
from lpmops.principals import Assignment, DatabasePermission, DatabaseRights, Principal, Securable

if TYPE_CHECKING:
    from lpmops.services.cloud import EnvironmentServices

PATIENCE = 12.0
_CONTROL_OBJECTS = ("lpmops.route", "lpmops.lock", "lpmops.pause")
_LANDING = "lpm.tdr"


def look(
    services: EnvironmentServices,
    now: Callable[[], datetime],
    patience: float = PATIENCE,
    needs: Sequence[Need] = NEEDS,
) -> tuple[Right, ...]:
    """Every needed right of an environment with how it stands. Comes back within `patience` seconds, and never raises for what can't be asked."""
    environment = services.environment
    wanted = {name: question for name, question in asked(services).items() if _is_wanted(name, needs)}
    answers = questions.ask(f"{environment.name}-access", wanted, patience, now)
    return access_rows.rows(environment, answers, needs)


def chosen(identities: Sequence[str], systems: Sequence[str]) -> tuple[Need, ...]:
    """The needs of some kinds of identity in some systems; of all where none is named."""
    return tuple(
        need
        for need in NEEDS
        if (not identities or need.identity in identities) and (not systems or need.system in systems)
    )


def asked(services: EnvironmentServices) -> dict[str, Asked]:
    """The questions by name, each with its system."""
    environment = services.environment
    return {
        **_who(services, environment),
        **{
            f"unity.{on}": ("databricks", partial(_securable, services, kind, name))
            for on, (kind, name) in securables(environment).items()
        },
        **_databases(services, environment),
    }


def _is_wanted(question: str, needs: Sequence[Need]) -> bool:
    """Whether an answer is looked at for any of the needs."""
    return any(question.startswith(_prefixes(need)) for need in needs)


def _prefixes(need: Need) -> tuple[str, ...]:
    """With what the names of the questions begin whose answers a need is told from."""
    who = {STREAM: ("stream",), ASA: ("asa",)}.get(need.identity, ())
    if isinstance(need.how, Privilege):
        return ("me", "unity.", *who)
    if isinstance(need.how, Level):
        return ("me", "job", f"levels.{need.how.on}", *who)
    if isinstance(need.how, AzureRole):
        senders = ("senders",) if need.identity == STREAM else ()
        place = ("workspace",) if need.how.scope == "workspace" else ()
        return ("azure.me", "roles.operator", f"roles.{need.identity}", *senders, *place, *who)
    return ("me", "own.", *(("asa", "held.") if need.identity == ASA else ()))


def _securable(services: EnvironmentServices, kind: str, name: str) -> Securable:
    return services.unity.securable(kind, name)


def _who(services: EnvironmentServices, environment: Environment) -> dict[str, Asked]:
    """Who everybody is, which roles each has in Azure, and who has which level on job and warehouse."""
    operator = Once(lambda: services.authorization.me())
    job = Once(lambda: services.databricks.stream_job())
    senders = Once(lambda: senders_of(services, environment))
    jobs = Once(lambda: services.streamanalytics.jobs())
    workspace = Once(lambda: workspace_of(services, environment))

    def beside() -> str:
        """The workspace, where it lies in another resource group; one that can't be found keeps nothing else from being known."""
        try:
            found = workspace()
        except LpmopsError:
            return ""
        return "" if rights.covers(environment.group_id, found) else found

    return {
        "me": ("databricks", lambda: services.unity.me()),
        "azure.me": ("azure", operator),
        "roles.operator": ("azure", lambda: services.authorization.assignments(operator().id, beside())),
        "job": ("databricks", job),
        "stream": (
            "databricks",
            lambda: services.unity.principal(services.unity.run_as(_there(job(), environment).job_id)),
        ),
        "senders": ("azure", senders),
        "roles.stream": ("azure", lambda: {who.name: services.authorization.assignments(who.id) for who in senders()}),
        "levels.job": ("databricks", lambda: services.unity.levels("jobs", _there(job(), environment).job_id)),
        "levels.warehouse": (
            "databricks",
            lambda: services.unity.levels("warehouses", environment.databricks.warehouse),
        ),
        "asa": ("jobs", jobs),
        "roles.asa": ("jobs", lambda: roles_of(services, jobs())),
        "workspace": ("azure", workspace),
    }


def _databases(services: EnvironmentServices, environment: Environment) -> dict[str, Asked]:
    """What the operator may do in each database, and what everybody else was given there."""
    settings = environment.sql

    def own(database: str, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        return {name: dict(services.sql.rows(database, "access_own", (name,) * 4)[0]) for name in names}

    def held(database: str) -> DatabaseRights:
        return held_of(services.sql.rows(database, "access_held", ()))

    found: dict[str, Asked] = {}
    for database in dict.fromkeys((settings.control_database, *settings.databases)):
        names = _CONTROL_OBJECTS if database == settings.control_database else (_LANDING,)
        found[f"own.{database}"] = ("sql", partial(own, database, names))
        found[f"held.{database}"] = ("sql", partial(held, database))
    return found


def senders_of(services: EnvironmentServices, environment: Environment) -> tuple[Principal, ...]:
    """As whom the stream job sends: what stands behind its service credential, else who is configured to send.

    Raises ConfigError where neither is said, ServiceError types.
    """
    how, _, rest = environment.databricks.sign_in.partition(":")
    if how == "service-credential":
        behind = services.unity.service_credential(rest)
        if behind.connector:
            found = services.authorization.connector_principal(behind.connector, behind.identity)
            if found:
                return (Principal(rest, found, "ServicePrincipal"),)
    kinds = {"user": "User", "group": "Group", "service": "ServicePrincipal"}
    parts = [text.partition(":") for text in environment.eventhub.senders]
    if not parts:
        raise ConfigError(
            "Who sends to the hub can't be looked up from databricks.sign_in, and eventhub.senders names nobody.",
            hint='Name its object id in lpmops.toml: senders = ["service:OBJECT_ID"]',
        )
    return tuple(Principal(identifier, identifier, kinds[kind]) for kind, _, identifier in parts)


def workspace_of(services: EnvironmentServices, environment: Environment) -> str:
    """The resource id of the Log Analytics workspace; empty where there is none or it is of another group and not configured."""
    settings = environment.monitor
    if settings.workspace_resource_id or not settings.log_analytics_workspace:
        return settings.workspace_resource_id
    return services.resources.workspace(settings.log_analytics_workspace)


def roles_of(services: EnvironmentServices, jobs: Sequence[StreamingJob]) -> dict[str, tuple[Assignment, ...]]:
    """The role assignments of each job's identity, by the job's name."""
    return {job.name: services.authorization.assignments(job.principal_id) for job in jobs if job.principal_id}


def held_of(rows: Sequence[Mapping[str, Any]]) -> DatabaseRights:
    """The rows of `access_held` in order: users, roles with those that they are in themselves, permissions by whose they are."""
    users = {str(row["principal"]).lower() for row in rows if row["what"] == "user"}
    direct: dict[str, set[str]] = {}
    permissions: dict[str, list[DatabasePermission]] = {}
    for row in rows:
        name = str(row["principal"]).lower()
        if row["what"] == "member":
            direct.setdefault(name, set()).add(str(row["role"]).lower())
        elif row["what"] == "permission":
            permissions.setdefault(name, []).append(_permission(row))
    return DatabaseRights(
        frozenset(users),
        {name: frozenset(_all_roles(name, direct)) for name in direct},
        {name: tuple(held) for name, held in permissions.items()},
    )


def _permission(row: Mapping[str, Any]) -> DatabasePermission:
    scope = {"DATABASE": "database", "SCHEMA": "schema"}.get(str(row["scope"]), "object")
    parts = [str(row[name]) for name in ("schema_name", "object_name") if row[name] is not None]
    state = "DENY" if row["state"] == "DENY" else "GRANT"
    return DatabasePermission(str(row["permission"]).upper(), state, scope, ".".join(parts))


def _all_roles(name: str, direct: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = direct.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _there(job: StreamJob | None, environment: Environment) -> StreamJob:
    if job is None:
        raise ServiceNotFoundError(
            f"There is no job {environment.databricks.job!r}.",
            service="databricks",
            hint=f"Deploy it: lpmops stream deploy -e {environment.name}",
        )
    return job
