"""Puts into a new environment what a team would have deployed: the control schema, landing tables, routes, and the running Stream Analytics job.

Everything goes the way an operator's tool would send it: T-SQL to the databases, and a job document as Resource Manager takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lpmops.sandbox.deployment import Environment, Job
from lpmops.sandbox.lake.records import Company

# Executes one T-SQL statement in a database, with its parameters.
Execute = Callable[[str, str, Mapping[str, Any]], object]
INPUT, REFERENCE = "tdr-hub", "route"
_CONTROL_OUTPUTS = {"unrouted": "lpmops.unrouted", "heartbeat": "lpmops.heartbeat", "kpi": "lpmops.kpi_minute"}
LANDING_TABLE = "lpm.tdr"


def deploy_databases(
    environment: Environment, companies: Sequence[Company], databases: Mapping[str, str], execute: Execute
) -> None:
    """Make the control schema with a route for every company to its database, and the landing tables."""
    for statement in environment.control_statements:
        execute(environment.control_database, statement, {})
    for company in companies:
        execute(
            environment.control_database,
            "INSERT INTO lpmops.route (company_id, company, database_name, changed_by) VALUES (@id, @name, @database, @by)",
            {"id": company.id, "name": company.name, "database": databases[company.id], "by": "sandbox"},
        )
    for database in environment.databases:
        for statement in environment.landing_statements:
            execute(database, statement, {})


def job_document(environment: Environment, job: Job) -> dict[str, Any]:
    """The body of a PUT of the whole job, as API version 2020-03-01 takes it."""
    return {
        "location": environment.region,
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "sku": {"name": "Standard"},
            "jobType": "Cloud",
            "compatibilityLevel": "1.2",
            "eventsOutOfOrderPolicy": "Adjust",
            "eventsOutOfOrderMaxDelayInSeconds": 0,
            "eventsLateArrivalMaxDelayInSeconds": 5,
            "outputErrorPolicy": "Stop",
            "inputs": [_hub_input(environment, job), _reference_input(environment)],
            "outputs": [
                *(_output(name, name, LANDING_TABLE) for name in job.databases),
                *_control_outputs(environment),
            ],
            "transformation": {"name": "Transformation", "properties": {"streamingUnits": 3, "query": job.query}},
        },
    }


def _hub_input(environment: Environment, job: Job) -> dict[str, Any]:
    source = {
        "serviceBusNamespace": environment.namespace,
        "eventHubName": environment.hub,
        "consumerGroupName": job.consumer_group,
        "authenticationMode": "Msi",
    }
    return {
        "name": INPUT,
        "properties": {
            "type": "Stream",
            "datasource": {"type": "Microsoft.EventHub/EventHub", "properties": source},
            "serialization": {"type": "Json", "properties": {"encoding": "UTF8"}},
        },
    }


def _reference_input(environment: Environment) -> dict[str, Any]:
    source = {
        "server": "127.0.0.1",
        "database": environment.control_database,
        "refreshType": "RefreshPeriodicallyWithFull",
        "refreshRate": "00:01:00",
        "fullSnapshotQuery": environment.reference_query,
    }
    return {
        "name": REFERENCE,
        "properties": {
            "type": "Reference",
            "datasource": {"type": "Microsoft.Sql/Server/Database", "properties": source},
            "serialization": {"type": "Json", "properties": {"encoding": "UTF8"}},
        },
    }


def _control_outputs(environment: Environment) -> list[dict[str, Any]]:
    return [_output(name, environment.control_database, table) for name, table in _CONTROL_OUTPUTS.items()]


def _output(name: str, database: str, table: str) -> dict[str, Any]:
    source = {
        "server": "127.0.0.1",
        "database": database,
        "table": table,
        "authenticationMode": "Msi",
        "maxBatchCount": 10_000,
        "maxWriterCount": 1,
    }
    return {"name": name, "properties": {"datasource": {"type": "Microsoft.Sql/Server/Database", "properties": source}}}
