"""The rights that the stream, its operators and lpmops need: one table, and how a right is told from what the services say.

`NEEDS` is pure data: who needs what on which thing, and what breaks without it. `access`, `doctor` and the checks before an action all read it here.
The judges below it are pure too: they are given what a service said and answer has or lacks, with the words for how.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lpmops.principals import Assignment, DatabasePermission, DatabaseRights, Principal, Securable, rank
from lpmops.routing.landscape import Kind

OPERATOR, STREAM, ASA, OPERATORS = "operator", "stream", "asa", "operators"
IDENTITIES = (OPERATOR, STREAM, ASA, OPERATORS)
SYSTEMS = ("unity", "jobs", "eventhub", "asa", "sql", "monitor", "logs")
TITLES: Mapping[str, str] = {
    "unity": "Unity Catalog",
    "jobs": "Databricks",
    "eventhub": "Event Hubs",
    "asa": "Stream Analytics",
    "sql": "Azure SQL",
    "monitor": "Azure Monitor",
    "logs": "Log Analytics",
}
# Everybody of an account or workspace, as Unity Catalog and SCIM name them.
EVERYONE = frozenset({"account users", "users"})


@dataclass(frozen=True, slots=True)
class Privilege:
    """A privilege of Unity Catalog on the table's or the checkpoint's catalog and schema, the table, the volume or the service credential."""

    name: str
    on: str


@dataclass(frozen=True, slots=True)
class Level:
    """A level on a job or a warehouse of Databricks."""

    name: str
    on: str


@dataclass(frozen=True, slots=True)
class AzureRole:
    """What must be allowed at a scope (hub, namespace, group, subscription or workspace), and the built-in role that is given where it lacks."""

    name: str
    id: str
    scope: str
    actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatabaseRight:
    """A permission on an object of a database, or in the whole of it (`on` empty). `where` is control, company, output or reference."""

    permission: str
    where: str
    on: str = ""


How = Privilege | Level | AzureRole | DatabaseRight


@dataclass(frozen=True, slots=True)
class Need:
    """Who needs what, and what breaks without it. `id` is stable."""

    id: str
    identity: str
    system: str
    how: How
    needed_for: str


_JOB = "Microsoft.StreamAnalytics/streamingjobs"
# What it takes to make or change a resource of a kind, as Resource Manager names it; those of a setting and a role are on what they hang on. Giving
# roles away is asked of the operator, and never a right that lpmops gives.
WRITES: Mapping[Kind, str] = {
    Kind.NAMESPACE: "Microsoft.EventHub/namespaces/write",
    Kind.HUB: "Microsoft.EventHub/namespaces/eventhubs/write",
    Kind.GROUP: "Microsoft.EventHub/namespaces/eventhubs/consumergroups/write",
    Kind.JOB: f"{_JOB}/write",
    Kind.ROLE: "Microsoft.Authorization/roleAssignments/write",
    Kind.SETTING: "Microsoft.Insights/diagnosticSettings/write",
}
_RECEIVER = AzureRole(
    "Azure Event Hubs Data Receiver",
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
    "hub",
    data_actions=("Microsoft.EventHub/namespaces/messages/receive/action",),
)
_SENDER = AzureRole(
    "Azure Event Hubs Data Sender",
    "2b629674-e913-4c01-ae53-ef4638d8f975",
    "hub",
    data_actions=("Microsoft.EventHub/namespaces/messages/send/action",),
)
_READER = AzureRole(
    "Reader",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "group",
    ("Microsoft.EventHub/namespaces/read", "Microsoft.EventHub/namespaces/eventhubs/read", f"{_JOB}/read"),
)
_CONTRIBUTOR = AzureRole(
    "Contributor",
    "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "group",
    (
        f"{_JOB}/read",
        WRITES[Kind.JOB],
        f"{_JOB}/start/action",
        f"{_JOB}/stop/action",
        f"{_JOB}/scale/action",
        f"{_JOB}/inputs/write",
        f"{_JOB}/outputs/write",
        f"{_JOB}/transformations/write",
    ),
)
_MONITORING = AzureRole(
    "Monitoring Reader",
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
    "subscription",
    ("Microsoft.Insights/metrics/read",),
)
_LOGS = AzureRole(
    "Log Analytics Reader",
    "73c42c96-874c-492b-b04d-ab87d138a893",
    "workspace",
    ("Microsoft.OperationalInsights/workspaces/query/read",),
)
_GROUPS = AzureRole(
    "Azure Event Hubs Data Owner",
    "f526a384-b230-433a-b45c-95f59c4a2dec",
    "namespace",
    (WRITES[Kind.GROUP],),
)

_TABLE = "the table can't be read"
NEEDS: tuple[Need, ...] = (
    # The operator: whoever runs lpmops.
    Need("operator.unity.use_catalog", OPERATOR, "unity", Privilege("USE_CATALOG", "catalog"), "seeing the table at all"),
    Need("operator.unity.use_schema", OPERATOR, "unity", Privilege("USE_SCHEMA", "schema"), "seeing the table at all"),
    Need("operator.unity.select", OPERATOR, "unity", Privilege("SELECT", "table"), "how far the stream is behind, reconciling, replaying"),
    Need("operator.unity.modify", OPERATOR, "unity", Privilege("MODIFY", "table"), "lpmops cdf enable"),
    Need("operator.unity.read_volume", OPERATOR, "unity", Privilege("READ_VOLUME", "volume"), "how far the stream has read"),
    Need("operator.unity.write_volume", OPERATOR, "unity", Privilege("WRITE_VOLUME", "volume"), "lpmops stream deploy"),
    Need("operator.jobs.manage", OPERATOR, "jobs", Level("CAN_MANAGE", "job"), "lpmops stream deploy, start, stop and restart"),
    Need("operator.jobs.warehouse", OPERATOR, "jobs", Level("CAN_USE", "warehouse"), "the table's history and change feed"),
    Need("operator.eventhub.read", OPERATOR, "eventhub", _READER, "tier, retention and partitions of the hub, and the jobs' states"),
    Need("operator.eventhub.receive", OPERATOR, "eventhub", _RECEIVER, "the ends of the partitions, so how many events wait; lpmops hub tail"),
    Need("operator.eventhub.groups", OPERATOR, "eventhub", _GROUPS, "a consumer group for each new job"),
    Need("operator.asa.contribute", OPERATOR, "asa", _CONTRIBUTOR, "lpmops asa start, pause, scale and deploy"),
    Need("operator.sql.routes", OPERATOR, "sql", DatabaseRight("SELECT", "control", "lpmops.route"), "which companies there are and where they land"),
    Need("operator.sql.lock", OPERATOR, "sql", DatabaseRight("UPDATE", "control", "lpmops.lock"), "changing anything: one operator at a time"),
    Need("operator.sql.pause", OPERATOR, "sql", DatabaseRight("INSERT", "control", "lpmops.pause"), "lpmops asa pause"),
    Need("operator.sql.onboard", OPERATOR, "sql", DatabaseRight("INSERT", "control", "lpmops.route"), "bringing a company on"),
    Need("operator.sql.landed", OPERATOR, "sql", DatabaseRight("SELECT", "company", "lpm.tdr"), "latency, rows and the records of a company"),
    Need("operator.sql.users", OPERATOR, "sql", DatabaseRight("ALTER ANY USER", "company"), "making the user of a job in a company database"),
    Need("operator.monitor.metrics", OPERATOR, "monitor", _MONITORING, "metrics in one call; without it each resource is asked for alone"),
    Need("operator.logs.read", OPERATOR, "logs", _LOGS, "lpmops logs: why a job dropped or failed"),
    # As whom the stream job runs, and as whom it sends.
    Need("stream.unity.use_catalog", STREAM, "unity", Privilege("USE_CATALOG", "catalog"), f"the stream job: {_TABLE}"),
    Need("stream.unity.use_schema", STREAM, "unity", Privilege("USE_SCHEMA", "schema"), f"the stream job: {_TABLE}"),
    Need("stream.unity.select", STREAM, "unity", Privilege("SELECT", "table"), "the stream job: it can't read the change feed and fails"),
    Need("stream.unity.volume_catalog", STREAM, "unity", Privilege("USE_CATALOG", "volume_catalog"), "the stream job: no checkpoint"),
    Need("stream.unity.volume_schema", STREAM, "unity", Privilege("USE_SCHEMA", "volume_schema"), "the stream job: no checkpoint"),
    Need("stream.unity.read_volume", STREAM, "unity", Privilege("READ_VOLUME", "volume"), "the stream job: it can't go on where it was"),
    Need("stream.unity.write_volume", STREAM, "unity", Privilege("WRITE_VOLUME", "volume"), "the stream job: it can't keep where it is, and fails"),
    Need("stream.unity.credential", STREAM, "unity", Privilege("ACCESS", "credential"), "the stream job: it can't sign in to the hub"),
    Need("stream.eventhub.send", STREAM, "eventhub", _SENDER, "the stream job: the hub takes no event from it"),
    # The system identity of each Stream Analytics job.
    Need("asa.eventhub.receive", ASA, "eventhub", _RECEIVER, "the job: it reads nothing, and does not start"),
    Need("asa.sql.select", ASA, "sql", DatabaseRight("SELECT", "output"), "the job: its test of the output fails"),
    Need("asa.sql.insert", ASA, "sql", DatabaseRight("INSERT", "output"), "the job: no record lands, and all behind it wait"),
    Need("asa.sql.reference", ASA, "sql", DatabaseRight("SELECT", "reference"), "the job: it does not learn of new routes"),
    # The group that the configuration names.
    Need("operators.jobs.run", OPERATORS, "jobs", Level("CAN_MANAGE_RUN", "job"), "the group's people can't start or stop the stream"),
)  # fmt: skip
# What a job's identity needs on a table that it writes.
OF_AN_OUTPUT = tuple(
    need.how.permission for need in NEEDS if isinstance(need.how, DatabaseRight) and need.how.where == "output"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a right is there: has, lacks or unknown; `why` says through what, or why nobody knows.

    `denied` is for what giving does not help, as it is taken away expressly; `code` is the error's where it could not be asked.
    """

    state: str
    why: str = ""
    denied: bool = False
    code: str = ""


def unknown(why: str, code: str = "") -> Verdict:
    """The verdict where a service could not be asked: never lacks."""
    return Verdict("unknown", why, code=code)


# Azure ---------------------------------------------------------------------------------------------------------------------------------------------


def covers(scope: str, wanted: str) -> bool:
    """Whether what is given at `scope` holds at `wanted`; scopes are compared without case."""
    upper, lower = scope.lower().rstrip("/"), wanted.lower().rstrip("/")
    return upper in ("", lower) or lower.startswith(upper + "/")


def allows(allowed: Iterable[str], denied: Iterable[str], action: str) -> bool:
    """Whether an action is among those that a role allows and not among those that it leaves out."""
    return _matches(allowed, action) and not _matches(denied, action)


def _matches(patterns: Iterable[str], action: str) -> bool:
    # Azure knows no other wildcard than the star.
    texts = (".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    return any(re.fullmatch(text, action, re.IGNORECASE | re.DOTALL) for text in texts)


def azure(wanted: AzureRole, scope: str, assignments: Sequence[Assignment]) -> Verdict:
    """Whether some assignments allow all that is wanted at a scope, each part by whichever role gives it."""
    here = [item for item in assignments if covers(item.scope, scope)]
    through: dict[str, str] = {}
    for actions, is_data in ((wanted.actions, False), (wanted.data_actions, True)):
        for action in actions:
            giver = next((item for item in here if _gives(item, action, is_data=is_data)), None)
            if giver is None:
                missing = f"nothing at {scope.rpartition('/')[2]} or above allows {action}"
                return Verdict("lacks", missing)
            through[giver.id] = f"{giver.role.name} on {giver.scope.rpartition('/')[2] or '/'}"
    return Verdict("has", ", ".join(dict.fromkeys(through.values())))


def _gives(item: Assignment, action: str, *, is_data: bool) -> bool:
    role = item.role
    if is_data:
        return allows(role.data_actions, role.not_data_actions, action)
    return allows(role.actions, role.not_actions, action)


def may_assign(scope: str, assignments: Sequence[Assignment]) -> bool:
    """Whether they let somebody give roles at a scope."""
    return any(covers(item.scope, scope) and _gives(item, WRITES[Kind.ROLE], is_data=False) for item in assignments)


# Databricks ----------------------------------------------------------------------------------------------------------------------------------------


def unity(privilege: str, securable: Securable, above: Sequence[Securable], who: Principal) -> Verdict:
    """Whether somebody has a privilege on a securable, itself, through a group, or as the owner of it or of what is `above` it."""
    names = {who.name.lower(), *(group.lower() for group in who.groups or ()), *EVERYONE}
    for item in (securable, *above):
        if item.owner.lower() in names:
            return Verdict("has", f"{item.owner} owns {item.name}")
    for holder, held in securable.privileges.items():
        if holder.lower() in names and held & {privilege, "ALL_PRIVILEGES"}:
            return Verdict("has", "itself" if holder.lower() == who.name.lower() else f"through {holder}")
    if who.groups is None:
        return unknown(f"not given to {who.name} itself, and the workspace does not show its groups")
    return Verdict(
        "lacks", f"neither {who.name} nor a group of it has {privilege.replace('_', ' ')} on {securable.name}"
    )


def may_grant(securable: Securable, above: Sequence[Securable], who: Principal) -> bool:
    """Whether somebody may give privileges on it: its owner, that of what is above it, or one with MANAGE."""
    return unity("MANAGE", securable, above, Principal(who.name, who.id, who.kind, who.groups or ())).state == "has"


def level(wanted: str, levels: Mapping[str, str], who: Principal) -> Verdict:
    """Whether somebody has at least a level on a job or warehouse, itself or through a group."""
    names = {who.name.lower(), *(group.lower() for group in who.groups or ()), "users"}
    best = [(rank(given), name, given) for name, given in levels.items() if name.lower() in names]
    if best and max(best)[0] >= rank(wanted):
        _, name, given = max(best)
        return Verdict("has", given if name.lower() == who.name.lower() else f"{given} through {name}")
    if who.groups is None and who.kind != "Group":
        return unknown(f"not given to {who.name} itself, and the workspace does not show its groups")
    given = max(best)[2] if best else "nothing"
    return Verdict("lacks", f"{who.name} has {given}")


# Databases -----------------------------------------------------------------------------------------------------------------------------------------

_READS = frozenset({"SELECT"})
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE"})
_ROLES: Mapping[str, frozenset[str]] = {
    "db_owner": frozenset({"*"}),
    "db_datareader": _READS,
    "db_datawriter": _WRITES,
    "db_accessadmin": frozenset({"ALTER ANY USER"}),
}
_ROLE_DENIALS: Mapping[str, frozenset[str]] = {"db_denydatareader": _READS, "db_denydatawriter": _WRITES}


def database(permission: str, dotted: str, user: str, rights: DatabaseRights) -> Verdict:
    """Whether a user of a database holds a permission on the object `schema.name`: granted to it or to a role of it, and not denied to either."""
    name = user.lower()
    if name not in rights.users:
        return Verdict("lacks", f"the database has no user {user}")
    roles = rights.roles.get(name, frozenset())
    if "db_owner" in roles:
        return Verdict("has", "through db_owner")
    held = [
        (holder, item) for holder in (name, *sorted(roles), "public") for item in rights.permissions.get(holder, ())
    ]
    here = [(holder, item) for holder, item in held if _concerns(item, permission, dotted.lower())]
    denied = next((item for _, item in here if item.state == "DENY"), None)
    if denied is not None or any(permission in _ROLE_DENIALS.get(role, ()) for role in roles):
        return Verdict("lacks", f"{permission} is denied to {user}: a DENY wins over every GRANT", denied=True)
    for role in sorted(roles):
        if permission in _ROLES.get(role, ()):
            return Verdict("has", f"through {role}")
    if here:
        holder, item = here[0]
        return Verdict(
            "has", f"granted on {item.securable or 'the database'}{'' if holder == name else ' to ' + holder}"
        )
    return Verdict("lacks", f"{user} has no {permission} on {dotted}")


def _concerns(item: DatabasePermission, permission: str, dotted: str) -> bool:
    if item.permission not in (permission, "CONTROL"):
        return False
    securable = item.securable.lower()
    return item.scope == "database" or securable == (dotted.partition(".")[0] if item.scope == "schema" else dotted)
