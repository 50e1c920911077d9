"""Microsoft.Insights metrics: one resource at a time through Resource Manager, or up to fifty through metrics:getBatch.

getBatch is its own service in Azure (a regional host, its own token audience, the right at subscription scope); here it shares the port.
"""

from __future__ import annotations

from typing import Any

from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.calls import Answer, Call, Operation
from lpmops.sandbox.azure.diagnostic_settings import type_of
from lpmops.sandbox.azure.errors import monitor_error, not_found
from lpmops.sandbox.azure.metric_catalogue import CATALOGUE, NAMESPACES, MetricDefinition
from lpmops.sandbox.azure.metric_query import (
    AGGREGATIONS,
    GRAINS,
    MetricQuery,
    answer_metrics,
    bad_request,
    cost_of,
    query_from,
    timespan_of,
)
from lpmops.sandbox.azure.stamps import parse_time, seconds

METRICS = frozenset({"2018-01-01", "2019-07-01", "2021-05-01", "2023-10-01", "2024-02-01"})
DEFINITIONS = frozenset({"2018-01-01", "2021-05-01", "2023-10-01", "2024-02-01"})
METRIC_NAMESPACES = frozenset({"2017-12-01-preview", "2018-01-01", "2024-02-01"})
BATCH = frozenset({"2023-05-01-preview", "2023-10-01", "2024-02-01"})
RESOURCES_MAX = 50
_INSIGHTS = "{+resource}/providers/Microsoft.Insights"


def metric_operations(account: Account) -> list[Operation]:
    """The single-resource addresses, which are Resource Manager's."""
    routes = MetricRoutes(account)
    return [
        Operation("GET", f"{_INSIGHTS}/metrics", "Microsoft.Insights/metrics/read", METRICS, routes.one_resource),
        Operation(
            "GET",
            f"{_INSIGHTS}/metricDefinitions",
            "Microsoft.Insights/metricDefinitions/read",
            DEFINITIONS,
            routes.definitions,
        ),
        Operation(
            "GET",
            f"{_INSIGHTS}/metricNamespaces",
            "Microsoft.Insights/metricNamespaces/read",
            METRIC_NAMESPACES,
            routes.namespaces,
        ),
    ]


def batch_operations(account: Account) -> list[Operation]:
    """The batch address, which is the regional metrics service's."""
    routes = MetricRoutes(account)
    template = "/subscriptions/{subscription}/metrics:getBatch"
    return [Operation("POST", template, "Microsoft.Insights/metrics/read", BATCH, routes.batch)]


class MetricRoutes:
    """Handlers over one account's metric store."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def one_resource(self, call: Call) -> Answer:
        """Metrics of one resource."""
        resource = call.names["resource"].strip("/")
        location = self._location(resource)
        start, end = timespan_of(call.query.get("timespan", ""), self._account.clock.now())
        query = query_from(call.query, type_of(resource), start, end, call.query.get("$filter", ""))
        return Answer(
            {
                "cost": cost_of(query),
                "timespan": f"{seconds(query.start)}/{seconds(query.end)}",
                "interval": query.interval,
                "value": answer_metrics(self._account.metrics, resource, query),
                "namespace": query.namespace,
                "resourceregion": location,
            }
        )

    def batch(self, call: Call) -> Answer:
        """Metrics of up to fifty resources of one type, subscription and region."""
        resources = call.object_body().get("resourceids")
        if not isinstance(resources, list) or not resources or not all(isinstance(each, str) for each in resources):
            raise bad_request("The body must name resources in 'resourceids'.")  # assumed: the wording
        if len(resources) > RESOURCES_MAX:
            # The cap is documented (migrate-to-batch-api); the wording is assumed.
            raise bad_request(
                f"At most {RESOURCES_MAX} resources can be asked for at once; the request names {len(resources)}."
            )
        namespace = call.query.get("metricnamespace", "")
        query = self._batch_query(call, namespace)
        values = [self._batch_value(call, resource, namespace, query) for resource in resources]
        if len({value["resourceregion"] for value in values}) > 1:
            raise bad_request("All resources of a batch must be in the same region.")  # assumed: the wording
        return Answer({"values": values})

    def definitions(self, call: Call) -> Answer:
        """Which metrics a resource has."""
        resource = call.names["resource"].strip("/")
        self._location(resource)
        known = CATALOGUE[self._type(resource)]
        return Answer({"value": [_definition(resource, self._type(resource), metric) for metric in known.values()]})

    def namespaces(self, call: Call) -> Answer:
        """Which metric namespaces a resource has: its own type."""
        resource = call.names["resource"].strip("/")
        self._location(resource)
        name = self._type(resource)
        flat = name.replace("/", "-")
        value = {
            "id": f"/{resource}/providers/microsoft.insights/metricNamespaces/{flat}",
            "name": flat,
            "type": "Microsoft.Insights/metricNamespaces",
            "classification": "Platform",
            "properties": {"metricNamespaceName": name},
        }
        return Answer({"value": [value]})

    def _batch_query(self, call: Call, namespace: str) -> MetricQuery:
        now = self._account.clock.now()
        try:
            end = parse_time(call.query["endtime"]) if "endtime" in call.query else now
            start = parse_time(call.query["starttime"]) if "starttime" in call.query else timespan_of("", end)[0]
        except ValueError as error:
            raise bad_request(f"Invalid time: {error}.") from None  # assumed: the wording
        return query_from(call.query, namespace, start, end, call.query.get("filter", ""))

    def _batch_value(self, call: Call, resource: str, namespace: str, query: MetricQuery) -> dict[str, Any]:
        where = f"subscriptions/{call.subscription}/"
        if not resource.strip("/").lower().startswith(where) or type_of(resource) != namespace.lower():
            raise bad_request(
                f"Resource '{resource}' is not of type '{namespace}' in subscription '{call.subscription}'."
            )  # assumed
        return {
            "starttime": seconds(query.start),
            "endtime": seconds(query.end),
            "interval": query.interval,
            "namespace": query.namespace,
            "resourceregion": self._location(resource),
            "resourceid": resource,
            "value": answer_metrics(self._account.metrics, resource, query),
        }

    def _location(self, resource: str) -> str:
        location = self._account.location_of(f"/{resource.strip('/')}")
        if location is None:
            parts = resource.strip("/").split("/")
            raise not_found("/".join(parts[5:7]), parts[-1], parts[3] if len(parts) > 3 else "")
        return location

    def _type(self, resource: str) -> str:
        kind = type_of(resource)
        if kind not in NAMESPACES:
            raise monitor_error(
                400, "BadRequest", f"Resource type: {kind} is not a supported platform metric namespace."
            )
        return kind


def _definition(resource: str, kind: str, metric: MetricDefinition) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": f"/{resource}/providers/microsoft.insights/metricdefinitions/{metric.name}",
        "resourceId": f"/{resource}",
        "namespace": NAMESPACES[kind],
        "category": metric.category,
        "name": {"value": metric.name, "localizedValue": metric.display},
        "displayDescription": metric.description,
        "isDimensionRequired": False,
        "unit": metric.unit,
        "primaryAggregationType": metric.primary,
        "supportedAggregationTypes": list(AGGREGATIONS),
        "metricAvailabilities": [{"timeGrain": grain, "retention": "P93D"} for grain in GRAINS],
    }
    if metric.dimensions:
        shown["dimensions"] = [{"value": name, "localizedValue": name} for name in metric.dimensions]
    return shown
