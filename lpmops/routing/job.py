"""What a routing job should be, what it is, and how the two differ, field by field.

A definition is plain values under the API's own names. Fields are of classes: managed ones are compared and deployed; what the service fills in
(`_RULES`) counts as equal where it is not shown; names are compared without case and without the cloud's domain; texts without their line
endings; what the service never shows (secrets) and what lpmops does not ask for is left alone. Every difference names its field (`fields`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lpmops.config import Config, Environment
from lpmops.model import StreamingJob
from lpmops.resources import query
from lpmops.routing import fields as comparison
from lpmops.routing.fields import Rules, flat
from lpmops.routing.query import HEARTBEAT, INPUT, KPI, REFERENCE, UNROUTED, Share, job_query, kpi_output
from lpmops.routing.shards import OUTPUTS_PLANNED, Present

LANDING_TABLE, KPI_TABLE = "lpm.tdr", "lpm.kpi_minute"
CONTROL_TABLES = {UNROUTED: "lpmops.unrouted", HEARTBEAT: "lpmops.heartbeat", KPI: "lpmops.kpi_minute"}
_DATABASE, _HUB = "Microsoft.Sql/Server/Database", "Microsoft.EventHub/EventHub"
_JSON = {"type": "Json", "properties": {"encoding": "UTF8"}}
_SETTINGS = (
    "compatibilityLevel",
    "outputErrorPolicy",
    "eventsOutOfOrderPolicy",
    "eventsOutOfOrderMaxDelayInSeconds",
    "eventsLateArrivalMaxDelayInSeconds",
    "jobStorageAccount",
)
_RULES = Rules(
    # What the service fills in where nothing is said.
    defaults={
        "eventsOutOfOrderPolicy": "Adjust",
        "eventsOutOfOrderMaxDelayInSeconds": 0,
        "eventsLateArrivalMaxDelayInSeconds": 5,
        "maxBatchCount": 10_000,
        "maxWriterCount": 1,
        "encoding": "UTF8",
        "compression.type": "None",
    },
    names=frozenset({"server", "database", "serviceBusNamespace", "eventHubName", "consumerGroupName", "accountName"}),
)
# Streaming units as they are configured, and as Resource Manager counts them (V2).
UNITS: Mapping[str, int] = {"1/3": 3, "2/3": 7, **{str(number): 10 * number for number in range(1, 67)}}


@dataclass(frozen=True, slots=True)
class Definition:
    """A job's settings, its inputs and outputs by name as the API's `properties`, its text and its streaming units."""

    settings: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]
    query: str
    streaming_units: int

    def part(self, collection: str, name: str) -> Mapping[str, Any] | None:
        """An input, an output or the transformation; None where there is none. Names are compared without case."""
        if collection == "transformations":
            return {"query": self.query, "streamingUnits": self.streaming_units} if self.query else None
        parts = self.inputs if collection == "inputs" else self.outputs
        return next((value for key, value in parts.items() if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not as wished: of which part, before and after; None is absent."""

    collection: str
    name: str
    field: str
    before: Any
    after: Any

    @property
    def title(self) -> str:
        """The field's dotted name, without the job's."""
        where = {"settings": "", "transformations": ""}.get(self.collection, f"{self.collection}.{self.name}")
        return ".".join(part for part in (where, self.field) if part)


def wished(
    config: Config, environment: Environment, share: Share | Iterable[str], consumer_group: str, server: str = ""
) -> Definition:
    """The job that the configuration asks for; names alone are the share of an only job (see `query.Share`).

    `server` is how the job names the SQL server, where that is another name of the configured one. Raises ValueError for a text that can't be made.
    """
    given = share if isinstance(share, Share) else Share(tuple(share))
    target, control = server or environment.sql.server, environment.sql.control_database
    inputs = {INPUT: _hub(environment, consumer_group)}
    if given.companies is None:
        inputs[REFERENCE] = _reference(target, control)
    return Definition(
        settings=_settings(environment),
        inputs=inputs,
        outputs=_outputs(given, target, control, config.kpi.output),
        query=job_query(given, config.columns, config.routing, config.kpi),
        streaming_units=UNITS[environment.streamanalytics.streaming_units],
    )


def _settings(environment: Environment) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "compatibilityLevel": "1.2",
        "outputErrorPolicy": "Stop",
        "eventsOutOfOrderPolicy": "Adjust",
        "eventsOutOfOrderMaxDelayInSeconds": 0,
        "eventsLateArrivalMaxDelayInSeconds": 5,
    }
    account = environment.streamanalytics.storage_account
    # With a key it is provisioning that writes it, as nobody is shown whether it is the same.
    if account and not environment.streamanalytics.storage_account_key:
        settings["jobStorageAccount"] = {"accountName": account, "authenticationMode": "Msi"}
    return settings


def _outputs(share: Share, server: str, control_database: str, kpi: str) -> dict[str, dict[str, Any]]:
    databases = sorted(set(share.databases))
    made = {name: _table(server, name, LANDING_TABLE) for name in databases}
    if kpi == "company":
        made |= {kpi_output(name): _table(server, name, KPI_TABLE) for name in databases}
    if share.control:
        wanted = (name for name in CONTROL_TABLES if name != KPI or kpi == "control")
        made |= {name: _table(server, control_database, CONTROL_TABLES[name]) for name in wanted}
    return made


def _hub(environment: Environment, consumer_group: str) -> dict[str, Any]:
    source = {
        "serviceBusNamespace": environment.eventhub.namespace_name,
        "eventHubName": environment.eventhub.hub,
        "consumerGroupName": consumer_group,
        "authenticationMode": "Msi",
    }
    return {
        "type": "Stream",
        "datasource": {"type": _HUB, "properties": source},
        "serialization": _JSON,
        "compression": {"type": "None"},
    }


def _reference(server: str, database: str) -> dict[str, Any]:
    source = {
        "server": server,
        "database": database,
        "refreshType": "RefreshPeriodicallyWithFull",
        "refreshRate": "00:01:00",
        "fullSnapshotQuery": query("tsql/route_reference.sql"),
    }
    return {"type": "Reference", "datasource": {"type": _DATABASE, "properties": source}, "serialization": _JSON}


def _table(server: str, database: str, table: str) -> dict[str, Any]:
    source = {
        "server": server,
        "database": database,
        "table": table,
        "authenticationMode": "Msi",
        "maxBatchCount": 10_000,
        "maxWriterCount": 1,
    }
    return {"datasource": {"type": _DATABASE, "properties": source}}


def deployed(job: StreamingJob) -> Definition:
    """The job as the service shows it."""
    return Definition(
        settings={name: job.settings[name] for name in _SETTINGS if job.settings.get(name) is not None},
        inputs={part.name: part.properties for part in job.inputs},
        outputs={part.name: part.properties for part in job.outputs},
        query=job.query,
        streaming_units=int(job.streaming_units or 0),
    )


def landing_databases(definition: Definition) -> tuple[str, ...]:
    """The databases whose landing table a job writes."""
    found = (properties.get("datasource", {}).get("properties", {}) for properties in definition.outputs.values())
    return tuple(
        sorted({str(item["database"]) for item in found if item.get("table") == LANDING_TABLE and "database" in item})
    )


def consumer_group(definition: Definition, number: str, people: str) -> str:
    """The group that a job reads with: its own as it is, unless that is everybody's or the people's; else `asa-NN`."""
    hub = definition.part("inputs", INPUT) or {}
    group = str(hub.get("datasource", {}).get("properties", {}).get("consumerGroupName") or "")
    return f"asa-{number}" if group.lower() in ("", "$default", people.lower()) else group


def present(definition: Definition, number: str, people: str) -> Present:
    """What a plan of shards must know of a job as it is."""
    return Present(
        landing_databases(definition),
        definition.part("outputs", UNROUTED) is not None,
        consumer_group(definition, number, people),
    )


def jobs_needed(databases: int) -> int:
    """How many jobs so many company databases are planned to take; the first has the outputs beside that only one job has."""
    return 1 + max(0, -(-(databases + len(CONTROL_TABLES) - OUTPUTS_PLANNED) // OUTPUTS_PLANNED))


# Differences ----------------------------------------------------------------------------------------------------------------------------------------


def fields(definition: Definition) -> dict[str, Any]:
    """Every field of a definition by its dotted name, the text whole."""
    found = dict(flat(definition.settings))
    for collection, parts in (("inputs", definition.inputs), ("outputs", definition.outputs)):
        for name, properties in parts.items():
            found |= {f"{collection}.{name}.{field}": value for field, value in flat(properties).items()}
    return {**found, "query": definition.query, "streaming_units": definition.streaming_units}


def differences(target: Definition, live: Definition) -> tuple[Difference, ...]:
    """What a deployment of `target` would change in `live`, by name."""
    found = [
        Difference("settings", "", field, before, after)
        for field, before, after in unlike(target.settings, live.settings)
    ]
    for collection, wanted, there in (
        ("inputs", target.inputs, live.inputs),
        ("outputs", target.outputs, live.outputs),
    ):
        names = {name.lower() for name in wanted}
        for name, properties in wanted.items():
            present = live.part(collection, name)
            if present is None:
                found.append(Difference(collection, name, "", None, "new"))
                continue
            found += [Difference(collection, name, *item) for item in unlike(properties, present)]
        found += [Difference(collection, name, "", "there", None) for name in there if name.lower() not in names]
    if not comparison.same("query", target.query, live.query, _RULES):
        found.append(Difference("transformations", "", "query", live.query, target.query))
    if target.streaming_units != live.streaming_units:
        found.append(Difference("transformations", "", "streaming_units", live.streaming_units, target.streaming_units))
    return tuple(found)


def unlike(target: Mapping[str, Any], live: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The fields of one part that `live` has otherwise: name, before, after."""
    return comparison.unlike(target, live, _RULES)
