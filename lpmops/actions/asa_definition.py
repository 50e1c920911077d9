"""What a Stream Analytics job should be: as the configuration asks for, or as it was before a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lpmops.actions import jobs
from lpmops.actions.action import Bench
from lpmops.actions.asa_parts import PART, SETTINGS
from lpmops.actions.asa_scale import RESCALE
from lpmops.control.plan import Plan
from lpmops.errors import NotFoundError, UsageError
from lpmops.model import StreamingJob
from lpmops.routing import job as definitions
from lpmops.routing import shards
from lpmops.routing.fields import bare_name
from lpmops.routing.job import Definition
from lpmops.routing.routes import Route
from lpmops.routing.shards import ShardPlan

NAME = "asa.deploy"
_ROUTE = ("company_id", "company", "database_name", "state")


def targets(bench: Bench, found: Sequence[StreamingJob]) -> tuple[dict[str, Definition], ShardPlan]:
    """What the configuration asks of each of the environment's jobs, and the plan that it follows. A job without outputs is asked nothing."""
    environment = bench.environment
    live = {job.name: definitions.deployed(job) for job in found}
    people = environment.eventhub.consumer_group
    rows = bench.services.sql.rows(environment.sql.control_database, "routes")
    plan = shards.plan(
        environment.sql.databases,
        shards.Settings.of(bench.config, environment, jobs_may_come=False),
        routes=[Route(*(str(row[name]) for name in _ROUTE)) for row in rows],
        present={name: definitions.present(item, name[-2:], people) for name, item in live.items()},
    )
    made = {}
    for shard in plan.shards:
        if shard.outputs and not shard.query:
            why = " ".join(plan.refusals)
            raise UsageError(
                why, hint="Check [columns] and sql.databases in lpmops.toml, and the routes: lpmops route list"
            )
        if shard.outputs:
            server = _server(bench, live[shard.job])
            made[shard.job] = definitions.wished(bench.config, environment, shard.share, shard.consumer_group, server)
    return made, plan


def _server(bench: Bench, live: Definition) -> str:
    """How the job names the SQL server, where that is a known name of the configured one."""
    sql = bench.environment.sql
    known = {bare_name(name) for name in (sql.server, sql.server_name) if name}
    for properties in live.outputs.values():
        name = str(properties.get("datasource", {}).get("properties", {}).get("server") or "")
        if bare_name(name) in known:
            return name
    return sql.server


def former(plan: Plan) -> dict[str, dict[str, Any]]:
    """What stood before a deployment, by job: its changed settings, and each changed part, None for one that was new. Raises UsageError."""
    if plan.action != NAME:
        raise UsageError(f"That operation was {plan.action}, not a deployment.", hint="See which were: lpmops op list")
    found: dict[str, dict[str, Any]] = {}
    for step in plan.steps:
        given = step.arguments
        here = found.setdefault(step.target, {"settings": {}, "parts": []}) if step.kind in (PART, SETTINGS) else {}
        if step.kind == SETTINGS:
            here["settings"] = given["former"]
        elif step.kind == PART:
            here["parts"].append([given["collection"], given["name"], given["former"]])
        elif step.kind == RESCALE:
            found.setdefault(step.target, {"settings": {}, "parts": []})["units"] = given["former"]
    return found


def back(live: Definition, before: Mapping[str, Any]) -> Definition:
    """The job as it is, with what a deployment changed as it was."""
    settings = {name: value for name, value in before["settings"].items() if value is not None}
    made = replace(live, settings={**live.settings, **settings})
    if "units" in before:
        made = replace(made, streaming_units=before["units"])
    for collection, name, properties in before["parts"]:
        if collection == "transformations":
            made = replace(made, query=properties["query"], streaming_units=properties["streamingUnits"])
            continue
        parts = {key: value for key, value in getattr(made, collection).items() if key.lower() != name.lower()}
        parts |= {} if properties is None else {name: properties}
        made = replace(made, inputs=parts) if collection == "inputs" else replace(made, outputs=parts)
    return made


def texts(bench: Bench, names: Sequence[str]) -> list[dict[str, Any]]:
    """Each job's text as it would be deployed and as it runs, with every difference of the whole job by name. Raises NotFoundError, UsageError."""
    every = jobs.chosen(bench, [])
    wanted, _ = targets(bench, every)
    found = []
    for job in jobs.chosen(bench, names):
        target = wanted.get(job.name)
        if target is None:
            raise NotFoundError(f"There is no job {job.name!r}.")
        items = definitions.differences(target, definitions.deployed(job))
        found.append(
            {
                "job": job.name,
                "query": target.query,
                "deployed": job.query,
                "differences": [item.title for item in items],
            }
        )
    return found
