"""The steps of provisioning: put or change a resource, give a role, make an object of a database; each looked at before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lpmops.actions import provision_world as worlds
from lpmops.actions import roles
from lpmops.actions.action import Bench, Handler
from lpmops.actions.provision_world import Database, Found
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Step
from lpmops.errors import RefusedError
from lpmops.model import Receipt
from lpmops.routing import fields, landscape, schema
from lpmops.routing.landscape import Kind, Wanted
from lpmops.store.journal import StepRow

RESOURCE, ROLE, OBJECT = "provision.resource", "provision.role", "provision.object"
_VERBS = {Kind.ROLE: "give", Kind.SETTING: "send"}
_MOVING = frozenset({"creating", "updating", "activating", "enabling", "accepted", "inprogress", "provisioning"})
_FAILED = frozenset({"failed", "canceled", "deleting", "removing"})


def make(found: Found) -> Step:
    """The step that makes a resource as wanted; `found` is not so already."""
    item, lacks = found.item, found.live is None
    after = landscape.fields(item.kind, item.body)
    if lacks:
        shown = fields.flat(after) if item.kind is not Kind.ROLE else {}
        changes = (
            Change(item.key, None, "new"),
            *(Change(f"{item.key}.{name}", None, value) for name, value in shown.items()),
        )
        title = f"{_VERBS.get(item.kind, 'create')} {item.title}"
    else:
        changes = tuple(Change(f"{item.key}.{name}", before, value) for name, before, value in found.differences)
        title = f"change {item.title}"
    former = None if found.live is None else managed(item, found.live)
    arguments = {"key": item.key, "jobs": dict(item.jobs), "body": landscape.merged(item, found.live), "former": former}
    if item.kind is Kind.SETTING:
        arguments["name"] = item.names[0] if found.live is None else str(found.live["name"])
    touches = (item.key, *(f"{item.key}.{name}" for name in (*fields.flat(after), "principal")))
    return Step(title, ROLE if item.kind is Kind.ROLE else RESOURCE, item.key, arguments, changes, touches)


def managed(item: Wanted, live: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a resource that are asked for, as they are, by dotted name."""
    there = fields.flat(landscape.fields(item.kind, live))
    return {name: there.get(name) for name in fields.flat(landscape.fields(item.kind, item.body))}


def state_of(live: Mapping[str, Any]) -> str:
    """How far a resource is, as Resource Manager says it, in small letters; one that says nothing stands."""
    return str((live.get("properties") or {}).get("provisioningState") or "succeeded").lower()


def object_steps(database: Database) -> list[Step]:
    """One step for each thing that a database lacks."""
    return [
        Step(
            f"make {made} in {database.name}",
            OBJECT,
            database.name,
            {"object": made},
            (Change(f"sql.{database.name}.{made}", None, "new"),),
        )
        for made in database.lacking
    ]


# Looking and doing ---------------------------------------------------------------------------------------------------------------------------------


def _wanted(bench: Bench, step: Step) -> Wanted:
    """The item that a step is about, from the configuration of now; what was found out for it stands in the step, and is not asked for again."""
    given, body = step.arguments, step.arguments["body"]
    workspace = str((body.get("properties") or {}).get("workspaceId") or "")
    key = str((body.get("tags") or {}).get(landscape.KEY_TAG) or "")
    for item in landscape.wanted(bench.environment, given["jobs"], workspace, key):
        if item.key == given["key"]:
            return replace(item, names=(given["name"],)) if "name" in given else item
    raise RefusedError(
        f"{step.target} is not asked for any more: lpmops.toml has changed.", hint="Give this up and plan again."
    )


def _observe_resource(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row
    item = _wanted(bench, step)
    live = worlds.live_of(bench, item)
    if live is None:
        if receipt is not None and receipt.location and (why := bench.services.resources.failure(receipt.location)):
            return Observation(Sight.OTHERWISE, f"{item.title} was not made: {why}")
        absent = step.arguments["former"] is None
        return Observation(Sight.ABSENT if absent else Sight.OTHERWISE, f"{item.title} is not there")
    state = state_of(live)
    if state in _MOVING:
        return Observation(Sight.MOVING, f"{item.title}: {state}")
    if state in _FAILED:
        return Observation(Sight.OTHERWISE, f"{item.title}: {state}")
    now = landscape.fields(item.kind, live)
    if not fields.unlike(landscape.fields(item.kind, item.body), now, item.rules):
        return Observation(Sight.SO, f"{item.title}: as wished")
    if managed(item, live) == step.arguments["former"]:
        return Observation(Sight.ABSENT, f"{item.title}: as before")
    return Observation(Sight.OTHERWISE, f"somebody else changed {item.title} meanwhile")


def _act_resource(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    item, body = _wanted(bench, step), dict(step.arguments["body"])
    service, names = bench.services.resources, worlds.path_of(bench, item)
    new = step.arguments["former"] is None
    if item.kind is Kind.JOB and "tags" in body:
        body = _with_key(bench, step, body)
    if new or item.kind not in (Kind.NAMESPACE, Kind.JOB):
        return service.put(item.kind, names, body, new=new)
    kept = {name: value for name, value in body.items() if name != "location"}
    if item.kind is Kind.JOB:
        kept["properties"] = {name: value for name, value in body["properties"].items() if name != "sku"}
    return service.patch(item.kind, names, kept)


def _with_key(bench: Bench, step: Step, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the storage account's key in it, which is read for this one request and kept nowhere."""
    if worlds.key_fingerprint(bench) != body["tags"][landscape.KEY_TAG]:
        raise RefusedError(
            f"The key of the storage account is another one than when {step.target} was planned.",
            hint="Give this up and plan again.",
        )
    account = {**body["properties"]["jobStorageAccount"], "accountKey": worlds.storage_key(bench)}
    return {**body, "properties": {**body["properties"], "jobStorageAccount": account}}


def _observe_role(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    item = _wanted(bench, step)
    if worlds.principal_of(bench, item) is None:
        return Observation(Sight.OTHERWISE, f"{item.holder.removeprefix('jobs.')} has no identity to give a role to")
    held = worlds.live_of(bench, item) is not None
    return Observation(Sight.SO if held else Sight.ABSENT, f"{item.title}: {'given' if held else 'not given'}")


def _act_role(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    item = _wanted(bench, step)
    (scope,), principal = worlds.path_of(bench, item), worlds.principal_of(bench, item)
    return roles.give(bench, scope, item.body["roleDefinitionId"], str(principal), item.body["principalType"])


def _observe_object(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    made = step.arguments["object"]
    there = made in worlds.objects(bench, step.target)
    return Observation(
        Sight.SO if there else Sight.ABSENT, f"{made} is {'there' if there else 'not there'} in {step.target}"
    )


def _act_object(bench: Bench, step: Step, operation: str) -> Receipt:
    """The statement is the configuration's own, whatever the plan's file says."""
    del operation
    made = step.arguments["object"]
    for statement in worlds.statements(bench, step.target):
        if schema.makes(statement) == made:
            bench.services.sql.execute(step.target, made, statement)
            return Receipt()
    raise RefusedError(f"Nothing makes {made} any more: lpmops.toml has changed.", hint="Give this up and plan again.")


HANDLERS = {
    RESOURCE: Handler(_observe_resource, _act_resource),
    ROLE: Handler(_observe_role, _act_role),
    # A view is made once; everything else says itself that it is only made where it is absent.
    OBJECT: Handler(_observe_object, _act_object, lambda step: not str(step.arguments["object"]).startswith("view ")),
}
