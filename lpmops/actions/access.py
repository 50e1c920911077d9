"""Giving the rights that lack: Azure roles, privileges of Unity Catalog, levels on a job, users and permissions of a database, each as a step.

What lacks is what `control.access` finds; what could not be asked about is never given on suspicion. A right that the operator may not give refuses
the plan, with the words to hand to whoever may. Every step looks first and is the same when it is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lpmops.actions import roles
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.inputs import COMMON, Input
from lpmops.control import access, guard, rights
from lpmops.control.access_rows import Right
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.errors import RefusedError, SignInError, UsageError
from lpmops.model import Receipt
from lpmops.plain_text import counted
from lpmops.principals import Principal, rank
from lpmops.routing import privileges

_ROLE, _PRIVILEGE, _LEVEL, _USER, _PERMISSION = (
    "access.role",
    "access.privilege",
    "access.level",
    "access.user",
    "access.permission",
)
ALL = "all"


# The plan -----------------------------------------------------------------------------------------------------------------------------------------


def plan_grant(bench: Bench, wish: Wish) -> Plan:
    """Give what lacks. `wish`: identities (operator, stream, asa, operators), only (systems), reason, ticket. Raises UsageError, SignInError."""
    identities = _known("identity", wish["identities"], rights.IDENTITIES)
    systems = _known("system", wish["only"], rights.SYSTEMS)
    found = access.look(bench.services, bench.now, needs=access.chosen(identities, systems))
    lacking = [right for right in found if right.state == "lacks"]
    steps = tuple(_steps(lacking))
    environment = bench.environment
    words = [word for name in identities for word in ("--identity", name)]
    words += [word for name in systems for word in ("--only", name)]
    return Plan(
        action="access.grant",
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"Give {counted(len(lacking), 'right', 'rights')} that lack in {environment.name}.",
        danger=guard.danger_of(environment.kind),
        steps=steps,
        # A job that was made again has the same name and is another identity.
        seen={
            **{_field(right): right.state for right in lacking},
            **{_identity(right): right.gift["principal_id"] for right in lacking if "principal_id" in right.gift},
        },
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command("lpmops", "access", "grant", "-e", environment.name, *words, *why_words(wish)),
        undo="   then   ".join(_undo(step) for step in reversed(steps)),
        reason=wish["reason"],
        ticket=wish["ticket"],
        warnings=tuple(_warnings(found, steps)),
        refusals=tuple(_refusals(found, lacking, bench.services.credential.state().remedy)),
    )


def _known(what: str, wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in known:
            raise UsageError(f"There is no {what} {name!r}.", hint=f"There are: {', '.join(known)}.")
    return list(dict.fromkeys(wanted))


def _field(right: Right) -> str:
    return f"{right.need} of {right.who} on {right.on}"


def _identity(right: Right) -> str:
    return f"identity of {right.who}"


def _refusals(found: Sequence[Right], lacking: Sequence[Right], remedy: str) -> Iterable[str]:
    """What the operator may not give, each with the words and to whom to hand them; and a look that saw nothing for certain."""
    for right in lacking:
        if right.may_grant is False or not right.gift:
            why = "You may not give" if right.may_grant is False else "lpmops can't give"
            yield (f"{why} {right.right} to {right.who} on {right.on}. Hand this to {right.giver}: {right.grant}")
    unasked = [right for right in found if right.state == "unknown"]
    if unasked and not lacking:
        expired = next((right for right in unasked if right.code == SignInError.code), None)
        if expired is not None:
            raise SignInError(
                expired.why, service="identity", hint=f"Sign in again, then repeat the command: {remedy or 'az login'}"
            )
        yield from dict.fromkeys(f"It can't be told whether {right.right} lacks: {right.why}" for right in unasked)


def _warnings(found: Sequence[Right], steps: Sequence[Step]) -> Iterable[str]:
    if any(step.kind == _ROLE for step in steps):
        yield "A role may take up to 8 minutes until it holds."
    for system in rights.SYSTEMS:
        unasked = [right for right in found if right.state == "unknown" and right.system == system]
        if unasked:
            some = "1 right" if len(unasked) == 1 else f"{len(unasked)} rights"
            yield f"Unknown, and left alone: {some} in {rights.TITLES[system]}: {unasked[0].why}"


def _steps(lacking: Sequence[Right]) -> Iterable[Step]:
    """A step for each gift; a database's user comes before what it is given, and the permissions of a user on one object are one step."""
    permissions: dict[tuple[str, str, str], list[Right]] = {}
    users: dict[tuple[str, str], list[Right]] = {}
    for right in lacking:
        given = right.gift
        if given.get("do") == "sql":
            permissions.setdefault((given["database"], given["user"], given["on"]), []).append(right)
            if given["new_user"]:
                users.setdefault((given["database"], given["user"]), []).append(right)
        elif given:
            yield _simple(right)
    for (database, user), needy in users.items():
        change = Change(f"{database}.users.{user}", None, "there")
        yield Step(
            f"make the user {user} in {database}", _USER, database, {"database": database, "user": user}, (change,),
            _touched(needy),
        )  # fmt: skip
    for (database, user, on), needy in permissions.items():
        wanted = sorted({str(right.gift["permission"]) for right in needy})
        arguments = {"database": database, "user": user, "on": on, "permissions": wanted}
        yield Step(
            f"let {user} {', '.join(wanted)} on {on or 'the whole'} in {database}", _PERMISSION, database, arguments,
            tuple(Change(_field(right), "lacks", "has") for right in needy), _touched(needy),
        )  # fmt: skip


def _simple(right: Right) -> Step:
    kind = {"role": _ROLE, "unity": _PRIVILEGE, "level": _LEVEL}[str(right.gift["do"])]
    arguments = {name: value for name, value in right.gift.items() if name != "do"}
    name = f"give {right.right} on {right.on.rpartition('/')[2]} to {right.who}"
    return Step(name, kind, right.on, arguments, (Change(_field(right), "lacks", "has"),), _touched([right]))


def _touched(needy: Sequence[Right]) -> tuple[str, ...]:
    """What is not seen any more once these are given: that they lack, and whose identity they were for."""
    return tuple(name for right in needy for name in (_field(right), _identity(right)))


def _undo(step: Step) -> str:
    """The words that take a step back."""
    given = step.arguments
    if step.kind == _ROLE:
        where = ("--assignee", given["principal_id"], "--role", given["role_name"], "--scope", given["scope"])
        return command("az", "role", "assignment", "delete", *where)
    if step.kind == _PRIVILEGE:
        return privileges.out_of_catalog(given["principal"], given["privilege"], given["kind"], given["name"])
    if step.kind == _LEVEL:
        return f"in Databricks, permissions of {step.target}: take {given['level']} from {given['principal']}"
    if step.kind == _USER:
        return f"in {given['database']}: {privileges.no_user(given['user'])}"
    if not given["on"]:
        return f"in {given['database']}: {privileges.out_of_database(given['user'], given['permissions'])}"
    return f"in {given['database']}: {privileges.revoked(given['user'], given['on'], given['permissions'])}"


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    for step in plan.steps:
        seen = _KINDS[step.kind][0](bench, step)
        if seen.sight is not Sight.SO:
            raise RefusedError(f"It is not as planned after all: {seen.said}. Somebody else is taking rights away.")
    return {"changed": True, "given": [step.name for step in plan.steps], "undo": plan.undo_of(operation)}


# Steps --------------------------------------------------------------------------------------------------------------------------------------------


def _observation(held: bool, said: str) -> Observation:
    return Observation(Sight.SO if held else Sight.ABSENT, said)


def _observe_role(bench: Bench, step: Step) -> Observation:
    given = step.arguments
    held = any(
        item.role.id.lower() == given["role"].lower() and rights.covers(item.scope, given["scope"])
        for item in bench.services.authorization.assignments(given["principal_id"])
    )
    return _observation(held, f"{given['principal']} {'has' if held else 'lacks'} {given['role_name']}")


def _act_role(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    given = step.arguments
    return roles.give(bench, given["scope"], given["role"], given["principal_id"], given["principal_kind"])


def _observe_privilege(bench: Bench, step: Step) -> Observation:
    given = step.arguments
    securable = bench.services.unity.securable(given["kind"], given["name"])
    who = Principal(given["principal"], groups=())
    held = rights.unity(given["privilege"], securable, (), who).state == "has"
    return _observation(
        held, f"{given['principal']} {'has' if held else 'lacks'} {given['privilege']} on {given['name']}"
    )


def _act_privilege(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    given = step.arguments
    return bench.services.unity.grant(given["kind"], given["name"], given["principal"], given["privilege"])


def _observe_level(bench: Bench, step: Step) -> Observation:
    given = step.arguments
    level = bench.services.unity.levels(given["kind"], given["id"]).get(given["principal"])
    return _observation(
        level is not None and rank(level) >= rank(given["level"]), f"{given['principal']} has {level or 'no level'}"
    )


def _act_level(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    given = step.arguments
    who = Principal(given["principal"], kind=given["principal_kind"])
    return bench.services.unity.permit(given["kind"], given["id"], who, given["level"])


def _observe_user(bench: Bench, step: Step) -> Observation:
    given = step.arguments
    held = given["user"].lower() in access.held_of(bench.services.sql.rows(given["database"], "access_held", ())).users
    return _observation(held, f"{given['database']} has {'a' if held else 'no'} user {given['user']}")


def _act_user(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    bench.services.sql.execute(step.arguments["database"], "grant_user", privileges.user(step.arguments["user"]))
    return Receipt()


def _observe_permission(bench: Bench, step: Step) -> Observation:
    given = step.arguments
    held = access.held_of(bench.services.sql.rows(given["database"], "access_held", ()))
    verdicts = [rights.database(permission, given["on"], given["user"], held) for permission in given["permissions"]]
    if denied := next((verdict for verdict in verdicts if verdict.denied), None):
        return Observation(Sight.OTHERWISE, denied.why)
    missing = next((verdict for verdict in verdicts if verdict.state != "has"), None)
    return _observation(missing is None, f"{given['user']} has it" if missing is None else missing.why)


def _act_permission(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    given = step.arguments
    user, permissions = given["user"], given["permissions"]
    text = (
        privileges.on_object(user, given["on"], permissions)
        if given["on"]
        else privileges.in_database(user, permissions)
    )
    bench.services.sql.execute(given["database"], "grant_permission", text)
    return Receipt()


_KINDS = {
    _ROLE: (_observe_role, _act_role),
    _PRIVILEGE: (_observe_privilege, _act_privilege),
    _LEVEL: (_observe_level, _act_level),
    _USER: (_observe_user, _act_user),
    _PERMISSION: (_observe_permission, _act_permission),
}


def _handler(look: Callable[[Bench, Step], Observation], act: Callable[[Bench, Step, str], Receipt]) -> Handler:
    """Every gift looks the same whether its act went out or not, and giving twice is giving once."""
    return Handler(lambda bench, step, _row, _receipt: look(bench, step), act)


# What an app asks ----------------------------------------------------------------------------------------------------------------------------------


def _read_some(known: Sequence[str], what: str) -> Any:
    def read(text: str, now: datetime) -> list[str]:
        del now
        wanted = [word for word in text.replace(",", " ").split() if word != ALL]
        return _known(what, wanted, known)

    return read


_IDENTITIES = Input(
    "identities", "whose", "all, or some of: " + ", ".join(rights.IDENTITIES), _read_some(rights.IDENTITIES, "identity")
)
_SYSTEMS = Input("only", "where", "all, or some of: " + ", ".join(rights.SYSTEMS), _read_some(rights.SYSTEMS, "system"))

GRANT = Action(
    name="access.grant",
    title="Give rights that lack",
    help="Give the stream's identities and its operators the rights that they lack, with your own rights.",
    plan=plan_grant,
    handlers={kind: _handler(*pair) for kind, pair in _KINDS.items()},
    verify=_verify,
    pins=("tenant", "server", "workspace"),
    key="G",
    inputs=(_IDENTITIES, _SYSTEMS, *COMMON),
)
