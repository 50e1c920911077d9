"""The rights of an environment as rows: each need with who it is about, how it stands, the exact words that give it, and what lpmops would do for it.

Pure: from the configuration and from what was answered. A need is written out for each thing that it is about, so that one row is one right of one
identity on one thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lpmops.config import Environment
from lpmops.control import rights
from lpmops.control.questions import Answers, Unasked
from lpmops.control.remedies import command
from lpmops.control.rights import (
    ASA,
    NEEDS,
    OPERATOR,
    OPERATORS,
    STREAM,
    AzureRole,
    DatabaseRight,
    Level,
    Need,
    Privilege,
    Verdict,
)
from lpmops.model import JobPart, StreamingJob
from lpmops.principals import Principal, Securable
from lpmops.routing import privileges, quoting

_OWN_COLUMNS = {
    "SELECT": "object_select",
    "INSERT": "object_insert",
    "UPDATE": "object_update",
    "DELETE": "object_delete",
    "ALTER ANY USER": "alter_any_user",
    "VIEW DATABASE STATE": "view_state",
    "CREATE TABLE": "create_table",
}
_SQL_PART = "microsoft.sql/server/database"


@dataclass(frozen=True, slots=True)
class Right:
    """One right: `need` its id in the table, `identity` whose (operator, stream, asa, operators) and `who` by name, `on` the thing it is about.

    `state` is has, lacks or unknown, with the error's `code` where it could not be asked. Where it lacks, `grant` is the text that gives it, `gift`
    what lpmops would do as plain values (nothing where it can't), `may_grant` whether the operator may (None: not known), `giver` who else can.
    """

    need: str
    identity: str
    who: str
    system: str
    right: str
    on: str
    needed_for: str
    state: str
    why: str
    grant: str
    giver: str
    may_grant: bool | None = None
    gift: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""


def rows(environment: Environment, answers: Answers, needs: Sequence[Need] = NEEDS) -> tuple[Right, ...]:
    """Every right that is needed here, in the order of the table."""
    return tuple(right for need in needs for right in _rows_of(need, environment, answers))


def _rows_of(need: Need, environment: Environment, answers: Answers) -> Iterator[Right]:
    how = need.how
    if isinstance(how, Privilege):
        if f"unity.{how.on}" in answers:
            yield _unity(need, how, environment, answers)
    elif isinstance(how, Level):
        if need.identity != OPERATORS or environment.databricks.operators:
            yield _level(need, how, environment, answers)
    elif isinstance(how, AzureRole):
        yield from _azure(need, how, environment, answers)
    elif need.identity == OPERATOR:
        yield from _own(need, how, environment, answers)
    else:
        yield from _outputs(need, how, environment, answers)


# Who -----------------------------------------------------------------------------------------------------------------------------------------------


def _in_databricks(identity: str, environment: Environment, answers: Answers) -> Principal:
    """Who that is in the workspace. Raises Unasked."""
    if identity == OPERATORS:
        return Principal(environment.databricks.operators, "", "Group", ())
    found: Principal = answers["me" if identity == OPERATOR else "stream"]
    return Principal(
        found.name, found.id, found.kind or ("User" if "@" in found.name else "ServicePrincipal"), found.groups
    )


def _name(identity: str, environment: Environment, answers: Answers) -> str:
    try:
        return _in_databricks(identity, environment, answers).name
    except Unasked:
        return {STREAM: environment.databricks.job, OPERATOR: "you"}.get(identity, identity)


# Unity Catalog and levels --------------------------------------------------------------------------------------------------------------------------


def securables(environment: Environment) -> dict[str, tuple[str, str]]:
    """What of Unity Catalog rights are needed on: kind and name by what the table of needs calls it."""
    catalog, schema, _ = environment.databricks.table.split(".")
    found = {
        "catalog": ("catalog", catalog),
        "schema": ("schema", f"{catalog}.{schema}"),
        "table": ("table", environment.databricks.table),
    }
    parts = environment.databricks.checkpoint.strip("/").split("/")
    if len(parts) >= 4:
        found["volume_catalog"] = ("catalog", parts[1])
        found["volume_schema"] = ("schema", ".".join(parts[1:3]))
        found["volume"] = ("volume", ".".join(parts[1:4]))
    how, _, rest = environment.databricks.sign_in.partition(":")
    if how == "service-credential":
        found["credential"] = ("credential", rest)
    return found


def _unity(need: Need, how: Privilege, environment: Environment, answers: Answers) -> Right:
    kind, name = securables(environment)[how.on]
    who = _name(need.identity, environment, answers)
    may: bool | None = None
    try:
        verdict = rights.unity(
            how.name,
            answers[f"unity.{how.on}"],
            _above(how.on, answers),
            _in_databricks(need.identity, environment, answers),
        )
        me = answers.get("me")
        may = None if me is None else rights.may_grant(answers[f"unity.{how.on}"], _above(how.on, answers), me)
    except Unasked as error:
        verdict = rights.unknown(str(error), error.problem.code)
    gift = {"do": "unity", "kind": kind, "name": name, "principal": who, "privilege": how.name}
    return _right(
        need, who, how.name.replace("_", " "), name, verdict,
        privileges.in_catalog(who, how.name, kind, name), f"the owner of {name}, or one with MANAGE on it", may, gift,
    )  # fmt: skip


def _above(on: str, answers: Answers) -> tuple[Securable, ...]:
    """What holds the thing, as far as that was answered: its owners own it too."""
    chain = {
        "table": ("schema", "catalog"),
        "schema": ("catalog",),
        "volume": ("volume_schema", "volume_catalog"),
        "volume_schema": ("volume_catalog",),
    }
    found = (answers.get(f"unity.{name}") for name in chain.get(on, ()))
    return tuple(item for item in found if item is not None)


def _level(need: Need, how: Level, environment: Environment, answers: Answers) -> Right:
    who = _name(need.identity, environment, answers)
    identifier = environment.databricks.warehouse if how.on == "warehouse" else ""
    on = f"warehouse {identifier}" if identifier else f"job {environment.databricks.job}"
    may: bool | None = None
    kind = "Group"
    try:
        if not identifier:
            job = answers["job"]
            identifier = job.job_id if job is not None else ""
        person = _in_databricks(need.identity, environment, answers)
        kind = person.kind
        verdict = rights.level(how.name, answers[f"levels.{how.on}"], person)
        me = answers.get("me")
        may = None if me is None else rights.level("CAN_MANAGE", answers[f"levels.{how.on}"], me).state == "has"
    except Unasked as error:
        verdict = rights.unknown(str(error), error.problem.code)
    key = {"Group": "group_name", "User": "user_name"}.get(kind, "service_principal_name")
    wish = json.dumps({"access_control_list": [{key: who, "permission_level": how.name}]})
    text = command("databricks", "permissions", "update", f"{how.on}s", identifier or "JOB_ID", "--json", wish)
    gift = {
        "do": "level",
        "kind": f"{how.on}s",
        "id": identifier,
        "principal": who,
        "principal_kind": kind,
        "level": how.name,
    }
    return _right(
        need,
        who,
        how.name.replace("_", " "),
        on,
        verdict,
        text,
        f"the owner of the {how.on}, or one with CAN MANAGE on it",
        may,
        gift,
    )


# Azure roles ---------------------------------------------------------------------------------------------------------------------------------------


def _azure(need: Need, how: AzureRole, environment: Environment, answers: Answers) -> Iterator[Right]:
    """One row for the operator, one a sender for the stream, one a job for the jobs."""
    if need.identity == ASA:
        try:
            jobs: tuple[StreamingJob, ...] = tuple(answers["asa"])
        except Unasked as error:
            yield _role(
                need, how, environment, answers, Principal(environment.streamanalytics.job_prefix + "*"), str(error)
            )
            return
        for job in jobs:
            person = Principal(job.name, job.principal_id or "", "ServicePrincipal")
            yield _role(
                need,
                how,
                environment,
                answers,
                person,
                "" if job.principal_id else "the job has no identity of its own",
            )
        return
    if need.identity == OPERATOR and how.data_actions and environment.eventhub.auth != "entra":
        return
    if need.identity == STREAM and environment.databricks.sign_in.startswith("sas:"):
        return
    monitor = environment.monitor
    if how.scope == "workspace" and not (monitor.log_analytics_workspace or monitor.workspace_resource_id):
        return
    try:
        people = (answers["azure.me"],) if need.identity == OPERATOR else answers["senders"]
        for person in people:
            yield _role(need, how, environment, answers, person, "")
    except Unasked as error:
        yield _role(need, how, environment, answers, Principal(_name(need.identity, environment, answers)), str(error))


def _role(
    need: Need, how: AzureRole, environment: Environment, answers: Answers, who: Principal, trouble: str
) -> Right:
    scope = environment.group_id
    may: bool | None = None
    verdict = rights.unknown(trouble)
    try:
        scope = scope_of(how.scope, environment, answers)
        mine = answers.get("roles.operator")
        may = None if mine is None else rights.may_assign(scope, mine)
        if not trouble:
            held = answers[f"roles.{need.identity}"]
            verdict = rights.azure(how, scope, held if need.identity == OPERATOR else held.get(who.name, ()))
    except Unasked as error:
        verdict = rights.unknown(str(error), error.problem.code)
    text = command(
        "az", "role", "assignment", "create", "--assignee-object-id", who.id or "OBJECT_ID",
        "--assignee-principal-type", who.kind or "ServicePrincipal", "--role", how.name, "--scope", scope,
    )  # fmt: skip
    gift = {
        "do": "role",
        "scope": scope,
        "role": how.id,
        "role_name": how.name,
        "principal_id": who.id,
        "principal_kind": who.kind,
        "principal": who.name,
    }
    giver = "an Owner, User Access Administrator or Role Based Access Control Administrator there"
    return _right(need, who.name, how.name, scope, verdict, text, giver, may, gift if who.id else {})


def scope_of(name: str, environment: Environment, answers: Answers) -> str:
    """A scope of the table of needs as a resource id. Raises Unasked where the workspace could not be found out."""
    known = {
        "subscription": f"/subscriptions/{environment.subscription_id}",
        "group": environment.group_id,
        "namespace": environment.namespace_id,
        "hub": f"{environment.namespace_id}/eventhubs/{environment.eventhub.hub}",
    }
    return known[name] if name in known else str(answers["workspace"] or environment.group_id)


# Databases -----------------------------------------------------------------------------------------------------------------------------------------


def _own(need: Need, how: DatabaseRight, environment: Environment, answers: Answers) -> Iterator[Right]:
    """The operator's own rights, as each database says them."""
    settings = environment.sql
    databases = (settings.control_database,) if how.where == "control" else settings.databases
    who = _name(OPERATOR, environment, answers)
    for database in databases:
        on = f"{database}: {how.on}" if how.on else database
        may: bool | None = None
        try:
            asked = answers[f"own.{database}"]
            held = asked[how.on] if how.on else next(iter(asked.values()))
            answer = held[_OWN_COLUMNS[how.permission]]
            may = held["control"] == 1
            if answer is None:
                verdict = rights.unknown(f"there is no {how.on} in {database}, or you may not see it")
            else:
                verdict = Verdict(
                    "has" if answer == 1 else "lacks", "" if answer == 1 else f"{database} says so itself"
                )
        except Unasked as error:
            verdict = rights.unknown(str(error), error.problem.code)
        in_all = not how.on
        text = (
            privileges.in_database(who, (how.permission,))
            if in_all
            else privileges.on_object(who, how.on, (how.permission,))
        )
        gift = {
            "do": "sql",
            "database": database,
            "user": who,
            "permission": how.permission,
            "on": "" if in_all else how.on,
            "new_user": False,
        }
        yield _right(
            need,
            who,
            how.permission,
            on,
            verdict,
            f"in {database}: {text}",
            _sql_giver(database),
            may,
            gift,
        )


def _outputs(need: Need, how: DatabaseRight, environment: Environment, answers: Answers) -> Iterator[Right]:
    """What each job needs in the databases that it writes to, or reads routes from."""
    try:
        jobs: tuple[StreamingJob, ...] = tuple(answers["asa"])
    except Unasked as error:
        who = environment.streamanalytics.job_prefix + "*"
        yield _right(
            need, who, how.permission, "its databases", rights.unknown(str(error), error.problem.code), "", "", None, {}
        )
        return
    for job in jobs:
        for database, table in sorted(set(_tables(job, how.where, environment))):
            yield _job_right(need, how, job, database, table, answers)


def _tables(job: StreamingJob, where: str, environment: Environment) -> Iterator[tuple[str, str]]:
    """(database, table) of a job's SQL outputs, or of the routes that it reads."""
    parts: tuple[JobPart, ...] = job.outputs if where == "output" else job.inputs
    for part in parts:
        if part.kind.lower() == _SQL_PART:
            table = str(part.details.get("table") or "") if where == "output" else "lpmops.route"
            yield (
                str(part.details.get("database") or environment.sql.control_database),
                table.replace("[", "").replace("]", ""),
            )


def _job_right(need: Need, how: DatabaseRight, job: StreamingJob, database: str, table: str, answers: Answers) -> Right:
    may: bool | None = None
    new_user = False
    on = f"{database}: {table}"
    if not all(quoting.is_name(part) for part in (job.name, *table.split("."))):
        verdict = rights.unknown("the output names no table")
        return _right(need, job.name, how.permission, on, verdict, "", "", None, {})
    if f"held.{database}" not in answers:
        verdict = rights.unknown(f"{database} is no database of lpmops.toml")
    else:
        try:
            held = answers[f"held.{database}"]
            verdict = rights.database(how.permission, table, job.name, held)
            new_user = job.name.lower() not in held.users
            mine = answers.get(f"own.{database}")
            may = None if not mine else all(item["control"] == 1 for item in mine.values())
        except Unasked as error:
            verdict = rights.unknown(str(error), error.problem.code)
    give = privileges.revoked if verdict.denied else privileges.on_object
    texts = [*([privileges.user(job.name)] if new_user else []), give(job.name, table, (how.permission,))]
    gift = {
        "do": "sql",
        "database": database,
        "user": job.name,
        "permission": how.permission,
        "on": table,
        "new_user": new_user,
        "principal_id": job.principal_id or "",
    }
    return _right(
        need, job.name, how.permission, f"{database}: {table}", verdict,
        f"in {database}: {'; '.join(texts)}", _sql_giver(database), may, gift,
    )  # fmt: skip


def _sql_giver(database: str) -> str:
    return f"the Entra administrator of the server, or a db_owner of {database}"


def _right(
    need: Need,
    who: str,
    right: str,
    on: str,
    verdict: Verdict,
    grant: str,
    giver: str,
    may_grant: bool | None,
    gift: Mapping[str, Any],
) -> Right:
    return Right(
        need=need.id,
        identity=need.identity,
        who=who,
        system=need.system,
        right=right,
        on=on,
        needed_for=need.needed_for,
        state=verdict.state,
        why=verdict.why,
        grant=grant,
        giver=giver,
        may_grant=may_grant,
        gift={} if verdict.denied else gift,
        code=verdict.code,
    )


def merged(found: Sequence[Right]) -> list[Right]:
    """The same with one row where several differ only in the database and in the permission: what a person reads."""
    together: dict[tuple[object, ...], list[Right]] = {}
    for right in found:
        given = right.gift
        alone = given.get("do") != "sql" or right.state != "lacks"
        key: tuple[object, ...] = (
            (id(right),)
            if alone
            else (right.identity, right.who, given["on"], given["new_user"], right.may_grant, right.why)
        )
        together.setdefault(key, []).append(right)
    return [rights[0] if len(rights) == 1 else _as_one(rights) for rights in together.values()]


def _as_one(several: Sequence[Right]) -> Right:
    given = several[0].gift
    databases = sorted({str(right.gift["database"]) for right in several})
    permissions = sorted({str(right.gift["permission"]) for right in several})
    user, on = str(given["user"]), str(given["on"])
    texts = [*([privileges.user(user)] if given["new_user"] else [])]
    texts.append(privileges.on_object(user, on, permissions) if on else privileges.in_database(user, permissions))
    where = databases[0] if len(databases) == 1 else f"{len(databases)} databases ({', '.join(databases)})"
    return replace(
        several[0],
        right=", ".join(permissions),
        on=f"{where}: {on}" if on else where,
        needed_for="; ".join(dict.fromkeys(right.needed_for for right in several)),
        grant=f"in {'each of ' if len(databases) > 1 else ''}{', '.join(databases)}: {'; '.join(texts)}",
    )
