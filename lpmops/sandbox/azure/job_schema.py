"""What a request may say about a job or its children, and what Azure makes of it.

Input is a request's JSON; output is the `properties` Azure would answer: secrets dropped, defaults filled in as recorded. What the service is
known to refuse is refused in its words; the other refusals are marked as assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmops.sandbox.azure.errors import stream_analytics_error, unprocessable
from lpmops.sandbox.azure.jobs import Kind

LIMIT_OF_EACH_KIND = 60
QUERY_LIMIT = 512_000
# x-ms-secret in the specification, and keys of data sources that carry none there.
SECRETS = frozenset({"password", "accountKey", "sharedAccessPolicyKey", "apiKey", "refreshToken", "storageAccountKey"})
INPUT_SOURCES = frozenset({
    "Microsoft.EventHub/EventHub", "Microsoft.ServiceBus/EventHub", "Microsoft.Storage/Blob", "Microsoft.Sql/Server/Database",
    "Microsoft.Devices/IotHubs", "GatewayMessageBus", "File",
})  # fmt: skip
OUTPUT_SOURCES = frozenset({
    "Microsoft.Sql/Server/Database", "Microsoft.Sql/Server/DataWarehouse", "Microsoft.EventHub/EventHub", "Microsoft.ServiceBus/EventHub",
    "Microsoft.Storage/Blob", "Microsoft.Storage/Table", "Microsoft.Storage/DocumentDB", "Microsoft.AzureFunction", "Microsoft.ServiceBus/Queue",
    "Microsoft.ServiceBus/Topic", "PowerBI", "Microsoft.DataLake/Accounts", "GatewayMessageBus",
})  # fmt: skip
# What a data source can't do without; asked for with 422, as "The required property 'pathPattern' is missing from the request." (iot-journey#311).
_REQUIRED = {
    ("inputs", "Microsoft.EventHub/EventHub"): ("serviceBusNamespace", "eventHubName"),
    ("inputs", "Microsoft.ServiceBus/EventHub"): ("serviceBusNamespace", "eventHubName"),
    ("inputs", "Microsoft.Storage/Blob"): ("container", "pathPattern"),
    ("outputs", "Microsoft.Sql/Server/Database"): ("server", "database", "table"),
    ("outputs", "Microsoft.Storage/Blob"): ("container", "pathPattern"),
    ("outputs", "Microsoft.EventHub/EventHub"): ("serviceBusNamespace", "eventHubName"),
}
_CHOICES = {
    "eventsOutOfOrderPolicy": ("Adjust", "Drop"),
    "outputErrorPolicy": ("Stop", "Drop"),
    "compatibilityLevel": ("1.0", "1.1", "1.2"),
    "contentStoragePolicy": ("SystemAccount", "JobStorageAccount"),
    "jobType": ("Cloud",),
}
_JOB_DEFAULTS: dict[str, Any] = {
    "sku": {"name": "Standard"},
    "eventsOutOfOrderPolicy": "Adjust",
    "outputErrorPolicy": "Stop",
    "eventsOutOfOrderMaxDelayInSeconds": 0,
    "eventsLateArrivalMaxDelayInSeconds": 5,
    "dataLocale": "en-US",
    "compatibilityLevel": "1.0",
    "jobStorageAccount": None,
    "contentStoragePolicy": "SystemAccount",
    "jobType": "Cloud",
    "cluster": None,
}


def missing(name: str) -> Exception:
    """A property that must be there."""
    return unprocessable(f"The required property '{name}' is missing from the request.")


def bad(message: str) -> Exception:
    """A property that says something impossible."""
    return stream_analytics_error(400, "BadRequest", message)


def not_convertible(name: str, kind: str) -> Exception:
    """A number or text of the wrong kind (azure-sdk-for-python#35339)."""
    return bad(
        f"The JSON provided in the request body is invalid. Property '{name}' value is not convertible to type '{kind}'."
    )


def job_properties(wished: Mapping[str, Any], present: Mapping[str, Any] | None) -> dict[str, Any]:
    """A job's own settings: what is wished over what is there, over the defaults. Raises 400."""
    merged = {**(_JOB_DEFAULTS if present is None else present)}
    for name in _JOB_DEFAULTS:
        if wished.get(name) is not None:
            merged[name] = without_secrets(wished[name])
    for name, choices in _CHOICES.items():
        if merged[name] not in choices:
            raise bad(
                f"The value '{merged[name]}' of property '{name}' is not one of {', '.join(choices)}."
            )  # assumed: the wording
    for name, low, high in (
        ("eventsOutOfOrderMaxDelayInSeconds", 0, 599),
        ("eventsLateArrivalMaxDelayInSeconds", -1, 1_814_399),
    ):
        value = merged[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise not_convertible(name, "System.Int32")
        if not low <= value <= high:
            raise bad(f"The value of property '{name}' must be between {low} and {high}.")  # assumed: the wording
    if not isinstance(merged["sku"], dict) or merged["sku"].get("name") not in ("Standard", "StandardV2"):
        raise bad("The sku of a streaming job is Standard or StandardV2.")  # assumed: the wording
    return merged


def child_properties(kind: Kind, wished: Mapping[str, Any], present: Mapping[str, Any] | None) -> dict[str, Any]:
    """A child's properties as answered; with `present` it is a PATCH, whose data source replaces the old one's parts. Raises 400 and 422."""
    clean = {k: v for k, v in without_secrets(dict(wished)).items() if k not in ("etag", "diagnostics")}
    merged = merge(present, clean) if present is not None else clean
    return {"inputs": _input, "outputs": _output, "functions": _function, "transformations": _transformation}[kind](
        merged
    )


def merge(present: Mapping[str, Any], wished: Mapping[str, Any]) -> dict[str, Any]:
    """JSON merge: objects go into objects, anything else replaces; null leaves things as they are, since the SDK never means it."""
    merged = dict(present)
    for name, value in wished.items():
        old = merged.get(name)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and value.get("type", old.get("type")) == old.get("type")
        ):
            merged[name] = merge(old, value)
        elif value is not None:
            merged[name] = value
    return merged


def without_secrets(value: Any) -> Any:
    """The same JSON without keys and passwords, at any depth."""
    if isinstance(value, dict):
        return {k: without_secrets(v) for k, v in value.items() if k not in SECRETS}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


def _source(kind: Kind, properties: Mapping[str, Any], known: frozenset[str]) -> tuple[str, dict[str, Any]]:
    source = properties.get("datasource")
    if not isinstance(source, Mapping):
        raise missing("datasource")
    name = source.get("type")
    if name not in known:
        raise bad(f"The data source type '{name}' is not supported.")  # assumed: the wording
    settings = dict(source.get("properties") or {})
    for needed in _REQUIRED.get((kind, str(name)), ()):
        if settings.get(needed) in (None, ""):
            raise missing(needed)
    if name not in ("File", "GatewayMessageBus"):
        settings.setdefault("authenticationMode", "ConnectionString")
    return str(name), settings


def _input(properties: dict[str, Any]) -> dict[str, Any]:
    kind = properties.get("type")
    if kind not in ("Stream", "Reference"):
        raise (
            missing("type") if kind is None else bad(f"The input type '{kind}' is not Stream or Reference.")
        )  # assumed: the wording
    name, settings = _source("inputs", properties, INPUT_SOURCES)
    if name.endswith("/EventHub"):
        settings.setdefault("consumerGroupName", None)
    answer: dict[str, Any] = {
        "type": kind,
        "datasource": {"type": name, "properties": settings},
        "compression": properties.get("compression") or {"type": "None"},
        "schemaRegistry": None,
    }
    if properties.get("serialization"):
        answer["serialization"] = properties["serialization"]
    elif kind == "Stream":
        raise missing("serialization")
    if properties.get("partitionKey") is not None:
        answer["partitionKey"] = properties["partitionKey"]
    return answer


def _output(properties: dict[str, Any]) -> dict[str, Any]:
    name, settings = _source("outputs", properties, OUTPUT_SOURCES)
    if name == "Microsoft.Storage/Blob":
        settings = {"blobPathPrefix": settings.get("pathPattern"), "blobWriteMode": None, **settings}
    if name == "Microsoft.Sql/Server/Database":
        # The documented defaults (stream-analytics-sql-output-perf); that the answer shows them is assumed.
        settings = {
            **settings,
            "maxBatchCount": settings.get("maxBatchCount") or 10_000,
            "maxWriterCount": settings.get("maxWriterCount", 1),
        }
    answer: dict[str, Any] = {"datasource": {"type": name, "properties": settings}}
    size = properties.get("sizeWindow")
    if size is not None:
        if not isinstance(size, int) or isinstance(size, bool):
            raise not_convertible("sizeWindow", "System.Int32")
        if properties.get("timeWindow") is None:
            raise missing("timeWindow")
        answer["sizeWindow"] = size
    if properties.get("timeWindow") is not None:
        answer["timeWindow"] = properties["timeWindow"]
    if properties.get("serialization"):
        answer["serialization"] = properties["serialization"]
    return answer


def _function(properties: dict[str, Any]) -> dict[str, Any]:
    kind = properties.get("type")
    if kind not in ("Scalar", "Aggregate"):
        raise (
            missing("type") if kind is None else bad(f"The function type '{kind}' is not Scalar or Aggregate.")
        )  # assumed: the wording
    settings = dict(properties.get("properties") or {})
    if not settings.get("binding"):
        raise missing("binding")
    settings["inputs"] = [{"isConfigurationParameter": None, **each} for each in settings.get("inputs") or []]
    return {"type": kind, "properties": settings}


def _transformation(properties: dict[str, Any]) -> dict[str, Any]:
    units, query = properties.get("streamingUnits"), properties.get("query")
    if units is None:
        units = 3
    if not isinstance(units, int) or isinstance(units, bool):
        raise not_convertible("streamingUnits", "System.Int32")
    check_units(units)
    if not isinstance(query, str) or not query.strip():
        raise missing("query")
    if len(query) > QUERY_LIMIT:
        raise bad(
            f"The query has {len(query)} characters; at most {QUERY_LIMIT} are allowed."
        )  # the limit is documented, the wording assumed
    return {"streamingUnits": units, "query": query}


def check_units(units: int) -> None:
    """Streaming units as the API counts them: 1, 3, 6 and multiples of 6, or V2's 3, 7, 10 and multiples of 10. Raises 400."""
    if units in (1, 3, 6, 7, 10) or (0 < units <= 660 and (units % 6 == 0 or units % 10 == 0)):
        return
    message = f"The number of streaming units '{units}' is not valid: use 1, 3, 6 or a multiple of 6, or 3, 7, 10 or a multiple of 10 for V2."
    raise bad(message)  # assumed: the wording


def check_count(kind: Kind, count: int) -> None:
    """At most 60 inputs, outputs or functions a job (stream-analytics limits). Raises 400."""
    if kind != "transformations" and count > LIMIT_OF_EACH_KIND:
        raise bad(f"A streaming job can have at most {LIMIT_OF_EACH_KIND} {kind}.")  # assumed: the wording
