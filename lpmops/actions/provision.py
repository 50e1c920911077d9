"""Making an environment in Azure, or adopting it: namespace, hub, consumer groups, jobs, roles, logs and schemas, where it lacks or drifted.

What exists is never made again and nothing is ever deleted. What can't be changed in place is refused with its reason before anything is done, and
so is what the signed-in identity has no right to, a name that is taken, and a number that Azure would not take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lpmops.actions import jobs, provision_steps
from lpmops.actions import provision_world as worlds
from lpmops.actions.action import Action, Bench, Wish, why_words
from lpmops.actions.inputs import COMMON
from lpmops.actions.provision_world import Found, World
from lpmops.control import guard, rights
from lpmops.control.plan import Plan, pins_of
from lpmops.control.remedies import command
from lpmops.errors import RefusedError
from lpmops.routing import landscape
from lpmops.routing.landscape import Kind

_NAME = "provision.apply"
_RETENTION = "retentionDescription.retentionTimeInHours"


def plan_apply(bench: Bench, wish: Wish) -> Plan:
    """Make what lacks and change what drifted. `wish`: reason, ticket."""
    # The lock's tables come first, as for every action: a control database without them gets them by being asked.
    bench.control.state()
    return plan_of(bench, wish, worlds.look(bench))


def plan_of(bench: Bench, wish: Wish, world: World) -> Plan:
    """The plan that follows from what was found."""
    environment = bench.environment
    off = [found for found in world.found if found.state != "there"]
    control, *companies = world.databases
    steps = [
        *provision_steps.object_steps(control),
        *(provision_steps.make(found) for found in off),
        *(step for database in companies for step in provision_steps.object_steps(database)),
    ]
    refusals = [*_refusals(bench, world, off), *(text for each in world.databases for text in each.refusals)]
    names = [step.name for step in steps]
    return Plan(
        action=_NAME,
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"{_counted(names)} in {environment.name}." if steps else f"{environment.name} is as configured.",
        danger=guard.danger_of(environment.kind, hard=_loses_events(off)),
        steps=tuple(steps),
        seen=_seen(world),
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command("lpmops", "provision", "apply", "-e", environment.name, *why_words(wish)),
        reason=wish["reason"],
        ticket=wish["ticket"],
        warnings=tuple(_warnings(bench, world, off)),
        refusals=tuple(refusals),
    )


def _counted(names: Sequence[str]) -> str:
    made = sum(not name.startswith("change ") for name in names)
    parts = [f"make {made}" if made else "", f"change {len(names) - made}" if len(names) > made else ""]
    words = " and ".join(part for part in parts if part)
    return f"{words[0].upper()}{words[1:]} {'thing' if len(names) == 1 else 'things'}"


def _seen(world: World) -> dict[str, Any]:
    """What the plan rests on: the managed fields of what is there, what has no fields there or not, and whose identity each job has."""
    seen: dict[str, Any] = {}
    for found in world.found:
        item = found.item
        if item.kind in (Kind.GROUP, Kind.ROLE):
            seen[item.key] = None if found.live is None else "there"
        elif found.live is not None:
            managed = provision_steps.managed(item, found.live)
            seen |= {f"{item.key}.{name}": value for name, value in managed.items() if name != "identity.type"}
    # A job has an identity where it has a principal.
    return seen | {f"jobs.{job.name}.principal": job.principal_id for job in world.jobs}


# What speaks against it ----------------------------------------------------------------------------------------------------------------------------


def _refusals(bench: Bench, world: World, off: Sequence[Found]) -> list[str]:
    groups = {name.lower() for name in world.groups} | {"$default"}
    groups |= {found.item.names[-1].lower() for found in world.found if found.item.kind is Kind.GROUP}
    refused = landscape.complaints(bench.environment, len(groups))
    states = {job.name.lower(): job for job in world.jobs}
    for found in world.found:
        state = provision_steps.state_of(found.live or {})
        if state not in ("succeeded", "active"):
            refused.append(
                f"{found.item.title} is {state}: wait until it stands, or see in the portal why it does not."
            )
    for found in off:
        item = found.item
        told = set[str]()
        for name, before, after in found.differences:
            why = item.rules.fixed.get(name)
            if why is not None and why not in told:
                refused.append(f"{item.key}.{name} is {before}, and {after} is asked for: {why}.")
                told.add(why)
        job = states.get(item.names[0].lower()) if item.kind is Kind.JOB else None
        if job is not None and found.differences and jobs.standing(job) != "stopped":
            refused.append(
                f"{job.name} is {job.state}: its identity and its storage account can be changed only while it stands still. "
                f"Pause it first: lpmops asa pause -e {bench.environment.name} --job {job.name} --reason WHY"
            )
        asks = item.kind is Kind.NAMESPACE and found.live is None and not refused
        if asks and (why := bench.services.resources.name_refusal(item.names[0])):
            refused.append(f"No namespace can be made under the name {item.names[0]}: {why}")
    return refused + _rights(bench, world, off)


def _rights(bench: Bench, world: World, off: Sequence[Found]) -> list[str]:
    """What the signed-in identity may not do of what there is to do; a role is given at the hub, where that is there."""
    hub = next(found for found in world.found if found.item.kind is Kind.HUB)
    service, refused = bench.services.resources, list[str]()
    for at_hub in (False, True):
        needed = {
            rights.WRITES[found.item.kind]: found
            for found in off
            if at_hub is (found.item.kind is Kind.ROLE and hub.live is not None)
        }
        if not needed:
            continue
        scope = service.path(Kind.HUB, *hub.item.names) if at_hub else ""
        where = hub.item.title if at_hub else bench.environment.resource_group
        refused += [
            f"{bench.who} has no right to {right} on {where}, which it takes to {provision_steps.make(needed[right]).name}."
            for right in lacking_rights(needed, service.permissions(scope))
        ]
    return refused


def lacking_rights(needed: Iterable[str], permissions: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rights that no permission gives; one permission gives what its `actions` name and its `notActions` do not."""

    def gives(permission: Mapping[str, Any], right: str) -> bool:
        return rights.allows(permission.get("actions") or (), permission.get("notActions") or (), right)

    return [right for right in needed if not any(gives(permission, right) for permission in permissions)]


def _loses_events(off: Sequence[Found]) -> bool:
    """Whether a hub is to forget sooner: what is older is gone at once."""
    return any(
        name == _RETENTION and isinstance(before, int) and before > after
        for found in off
        for name, before, after in found.differences
    )


def _warnings(bench: Bench, world: World, off: Sequence[Found]) -> list[str]:
    environment = bench.environment
    found = [text for database in world.databases for text in database.warnings]
    found += [f"{each.name} could not be looked at: {each.trouble}" for each in world.databases if each.trouble]
    if not world.workspace:
        found.append(
            "No Log Analytics workspace is known, so no logs are kept: set monitor.log_analytics_workspace, or workspace_resource_id."
        )
    if _loses_events(off):
        found.append("The hub forgets sooner: events that are older than that are gone at once, read or not.")
    new = [each.item.names[0] for each in off if each.item.kind is Kind.JOB and each.live is None]
    if new:
        found.append(
            f"A new job has no rights in SQL and no text: then lpmops access grant -e {environment.name} and "
            f"lpmops asa deploy -e {environment.name} give {', '.join(new)} both."
        )
    return found


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    del operation
    again = plan_apply(bench, plan.wish)
    if again.steps:
        names = ", ".join(change.field for step in again.steps for change in step.changes)
        raise RefusedError(f"It is not as planned after all: {names}. Somebody else is changing it.")
    made = [step.name.partition(" ")[2] for step in plan.steps if not step.name.startswith("change ")]
    fields = [change.field for step in plan.steps if step.name.startswith("change ") for change in step.changes]
    return {"changed": True, "created": made, "fields": fields}


APPLY = Action(
    name=_NAME,
    title="Provision the environment",
    help="Make or adopt the environment in Azure: hub, consumer groups, jobs, roles, logs and schemas. Nothing is ever deleted.",
    plan=plan_apply,
    handlers=provision_steps.HANDLERS,
    verify=_verify,
    pins=("tenant", "server"),
    inputs=COMMON,
)
