"""What a Stream Analytics job should be: as the configuration asks for, or as it was before a deployment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lpmops.actions import jobs
from lpmops.actions.action import Bench
from lpmops.actions.asa_parts import PART, SETTINGS
from lpmops.actions.asa_scale import RESCALE
from lpmops.actions.hub_flow import Flow
from lpmops.control.plan import Plan
from lpmops.control.routes import REMOVED, known, read_databases
from lpmops.control.routes import entries as all_routes
from lpmops.errors import NotFoundError, UsageError
from lpmops.model import StreamingJob, to_data
from lpmops.routing import deployed, shards
from lpmops.routing import job as definitions
from lpmops.routing.deployed import Deployed, Drift
from lpmops.routing.fields import bare_name
from lpmops.routing.job import Definition
from lpmops.routing.routes import Route
from lpmops.routing.shards import Present, Settings, Shard, ShardPlan, group_of

NAME = "asa.deploy"


def targets(
    bench: Bench,
    found: Sequence[StreamingJob],
    databases: Sequence[str] = (),
    routes: Sequence[Route] = (),
    flow: Flow | None = None,
) -> tuple[dict[str, Definition], ShardPlan]:
    """What is asked of each of the environment's jobs, and the plan that it follows. A job without outputs is asked nothing.

    `databases` are to come beside those that there are, and `routes` too, each in place of the one that its company has.
    `flow` is what was measured of the hub, None where the plan is not held to it.
    """
    environment = bench.environment
    live = {job.name: definitions.deployed(job) for job in found}
    people = environment.eventhub.consumer_group
    # Read so, the route table gets the columns that the reference query asks for, where it is from before there were any.
    entries = all_routes(bench.control).values()
    coming = {one.company_id for one in routes}
    there = read_databases(bench.services.sql, environment.sql.control_database, environment.sql.databases)
    present = {name: definitions.present(item, name[-2:], people) for name, item in live.items()}
    plan = shards.plan(
        known(there, databases),
        _settings(bench, present, flow),
        routes=[
            *(
                Route(one.company_id, one.company, one.database, one.state)
                for one in entries
                if one.state != REMOVED and one.company_id not in coming
            ),
            *routes,
        ],
        present=present,
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


def _settings(bench: Bench, present: Mapping[str, Present], flow: Flow | None) -> Settings:
    config, environment = bench.config, bench.environment
    if flow is None:
        return Settings.of(config, environment, jobs_may_come=False)
    of_jobs = [one.consumer_group or group_of(job) for job, one in present.items()]
    return Settings.of(
        config,
        environment,
        groups=flow.room(of_jobs, environment.eventhub.consumer_group),
        ingress=flow.ingress,
        throughput_units=flow.throughput_units,
        jobs_may_come=False,
    )


def routes_words(plan: ShardPlan) -> str:
    """The routes that the texts of a plan hold, as their number and a hash."""
    companies = next((shard.share.companies for shard in plan.shards if shard.share.companies is not None), {})
    pairs = sorted((company, database) for database, ids in companies.items() for company in ids)
    text = "\n".join(f"{company}\t{database}" for company, database in pairs)
    return f"{len(pairs)} ({hashlib.sha256(text.encode('utf-8')).hexdigest()[:16]})"


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
    """What stood before a plan changed jobs, by job: their changed settings, and each changed part, None for one that was new. Raises UsageError."""
    if not any(step.kind in (PART, SETTINGS, RESCALE) for step in plan.steps):
        raise UsageError(
            f"That operation was {plan.action}, which changed no job's definition.",
            hint="See which were: lpmops op list",
        )
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


def drift(bench: Bench, plan: ShardPlan, found: Sequence[StreamingJob]) -> tuple[Drift, ...]:
    """How the jobs as they are differ from a plan, database by database and company by company."""
    return deployed.drift(plan, _read(bench, found))


def moves(bench: Bench, plan: ShardPlan, found: Sequence[StreamingJob]) -> tuple[Drift, ...]:
    """Which companies would land elsewhere than the texts say now; nothing where none holds a company yet."""
    read = _read(bench, found)
    holds = any(job.routes for job in read.values())
    return tuple(item for item in deployed.drift(plan, read) if item.what == "company") if holds else ()


def _read(bench: Bench, found: Sequence[StreamingJob]) -> dict[str, Deployed]:
    return {job.name: deployed.read(definitions.deployed(job), bench.config.routing) for job in found}


def _concerns(item: Drift, shard: Shard | None) -> bool:
    """Whether a difference is one of this job's."""
    if shard is None:
        return False
    if item.what == "company":
        return bool({item.before, item.after} & set(shard.share.databases))
    return shard.job in (*item.before.split(", "), *item.after.split(", "))


def texts(bench: Bench, names: Sequence[str]) -> list[dict[str, Any]]:
    """Each job's text as it would be deployed and as it runs, with every difference of the whole job by name. Raises NotFoundError, UsageError."""
    every = jobs.chosen(bench, [])
    wanted, plan = targets(bench, every)
    moved = drift(bench, plan, every)
    found = []
    for job in jobs.chosen(bench, names):
        target = wanted.get(job.name)
        if target is None:
            raise NotFoundError(f"{job.name} has nothing to write to: no text is made for it.")
        items = definitions.differences(target, definitions.deployed(job))
        shard = next((one for one in plan.shards if one.job == job.name), None)
        found.append(
            {
                "job": job.name,
                "query": target.query,
                "deployed": job.query,
                "differences": [item.title for item in items],
                "drift": [to_data(item) for item in moved if _concerns(item, shard)],
            }
        )
    return found
