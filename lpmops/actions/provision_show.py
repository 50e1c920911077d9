"""What was found of an environment as plain values, and how two environments differ.

Between two environments names, ids and whatever follows from them differ by nature and are left out; resources are put beside each other by what
they are for. How large something is may differ for good reason: such a difference is shown, of the class `size`, and every other is a `difference`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from lpmops.actions import provision_world as worlds
from lpmops.actions.action import Bench
from lpmops.actions.provision_world import Database, Found, World
from lpmops.control.plan import Plan
from lpmops.model import StreamingJob
from lpmops.routing import fields, landscape, schema
from lpmops.routing import job as definitions
from lpmops.routing.landscape import Kind

_SIZES = frozenset(
    {
        "namespace.sku.capacity",
        "namespace.maximumThroughputUnits",
        "hub.partitionCount",
        "jobs.count",
        "sql.company_databases",
    }
)
# What the service says of a resource, and nobody chose.
_SAID_BY_SERVICE = frozenset(
    {
        "id", "name", "type", "tags", "systemData", "provisioningState", "status", "createdAt", "updatedAt", "metricId", "serviceBusEndpoint",
        "geoDataReplication", "partitionIds", "messageRetentionInDays", "privateEndpointConnections", "location", "messageTimestampDescription",
    }
)  # fmt: skip
_UNITS = "streaming_units"


def shown(environment: str, world: World, plan: Plan) -> dict[str, Any]:
    """What is there, what lacks and what drifted, and what would be done, for `provision plan`."""
    resources = [_resource(found) for found in world.found]
    for database in world.databases:
        key = f"sql.{database.name}"
        state = "unknown" if database.trouble else "lacking" if database.lacking else "there"
        lacks = [{"field": f"{key}.{made}", "before": None, "after": "new"} for made in database.lacking]
        resources.append({"key": key, "title": f"database {database.name}", "state": state, "differences": lacks})
    return {
        "environment": environment,
        "summary": plan.summary,
        "applyable": plan.applyable,
        "changes": bool(plan.steps),
        "resources": resources,
        "steps": [{"name": step.name, "target": step.target} for step in plan.steps],
        "refusals": list(plan.refusals),
        "warnings": list(plan.warnings),
    }


def _resource(found: Found) -> dict[str, Any]:
    item = found.item
    differences = [
        {"field": f"{item.key}.{name}", "before": before, "after": after} for name, before, after in found.differences
    ]
    return {"key": item.key, "title": item.title, "state": found.state, "differences": differences}


# Two environments ----------------------------------------------------------------------------------------------------------------------------------


def compared(one: Bench, other: Bench) -> list[dict[str, Any]]:
    """Every field in which two environments differ as they are now: field, one, other, class. Raises ServiceError types."""
    return differences(portrait(one), portrait(other))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of two portraits that are not alike, differences before sizes."""
    rows = [
        {
            "class": "size" if name in _SIZES or name.endswith(f".{_UNITS}") else "difference",
            "field": name,
            "one": one.get(name),
            "other": other.get(name),
        }
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]
    return sorted(rows, key=lambda row: row["class"] == "size")


def portrait(bench: Bench) -> dict[str, Any]:
    """An environment as it is, by names that mean the same in another one. Raises ServiceError types."""
    world = worlds.look(bench)
    control, *companies = world.databases
    found: dict[str, Any] = {"jobs.count": len(world.jobs), "sql.company_databases": len(companies)}
    for each in world.found:
        found |= _portrait_of(bench, each)
    for job in world.jobs:
        found |= _definition(bench, job)
    return found | _roles(world) | _objects(bench, control.name, [control]) | _objects(bench, "company", companies)


def _portrait_of(bench: Bench, found: Found) -> dict[str, Any]:
    item, live = found.item, found.live
    key = _common(bench, item.key)
    if item.kind is Kind.ROLE and not item.holder:
        return {}
    if item.kind in (Kind.ROLE, Kind.GROUP) or live is None:
        return {key: "lacking" if live is None else "there"}
    shown = landscape.fields(item.kind, live)
    # Where logs and a job's own data lie differs by nature.
    shown = {name: value for name, value in shown.items() if name not in ("workspaceId", "jobStorageAccount")}
    return {
        f"{key}.{name}": value
        for name, value in fields.flat(shown).items()
        if value is not None and name.partition(".")[0] not in _SAID_BY_SERVICE
    }


def _roles(world: World) -> dict[str, Any]:
    """What is given to principals by name, whoever they are: of each kind of principal and role, how each stands."""
    found: dict[str, list[str]] = {}
    for each in world.found:
        if each.item.kind is Kind.ROLE and not each.item.holder:
            _, who, verb = each.item.key.split(".")
            found.setdefault(f"roles.{who.partition(':')[0]}.{verb}", []).append(each.state)
    return {name: sorted(states) for name, states in found.items()}


def _objects(bench: Bench, place: str, databases: Sequence[Database]) -> dict[str, Any]:
    """What databases that are for the same hold of what each should; in how many of them it lacks, whatever they are called."""
    name = "control" if place == bench.environment.sql.control_database else place
    away = sum(bool(each.trouble) for each in databases)
    found: dict[str, Any] = {f"sql.{name}": f"{away} could not be looked at"} if away else {}
    for statement in worlds.statements(bench, place):
        made = schema.makes(statement)
        lacking = sum(made in each.lacking for each in databases)
        found[f"sql.{name}.{made}"] = f"lacking in {lacking}" if lacking else "there"
    return found


def _definition(bench: Bench, job: StreamingJob) -> dict[str, Any]:
    """What a job asks and how it behaves; where it reads and writes differs by nature, so of that only the kinds are compared."""
    live, key = definitions.deployed(job), _common(bench, f"jobs.{job.name}")
    databases = definitions.landing_databases(live)
    text = live.query
    for number, name in enumerate(databases):
        text = text.replace(name, f"database-{number}")
    settings = {name: value for name, value in live.settings.items() if name != "jobStorageAccount"}
    outputs = sorted(name for name in live.outputs if name not in databases)
    return {
        **{f"{key}.{name}": value for name, value in fields.flat(settings).items()},
        f"{key}.{_UNITS}": live.streaming_units,
        f"{key}.query": hashlib.sha256(text.encode("utf-8")).hexdigest()[:16] if text else None,
        f"{key}.inputs": sorted(live.inputs),
        f"{key}.outputs": outputs,
    }


def _common(bench: Bench, key: str) -> str:
    """A key without what is this environment's own: a job by its number, people's consumer group as such."""
    environment = bench.environment
    prefix = environment.streamanalytics.job_prefix
    return key.replace(prefix, "").replace(
        f"consumer_groups.{environment.eventhub.consumer_group}", "consumer_groups.(people)"
    )
