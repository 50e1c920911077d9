"""Turns what hubs and jobs count into the platform metrics that Azure Monitor shows, late and in whole minutes."""

from __future__ import annotations

from collections.abc import Iterable

from lpmops.sandbox.asa.metrics import MetricValue
from lpmops.sandbox.azure.metric_catalogue import CATALOGUE, EVENT_HUBS
from lpmops.sandbox.azure.metrics import Metrics
from lpmops.sandbox.hub import Hub

_HUB_METRICS = CATALOGUE[EVENT_HUBS.lower()]


class Meter:
    """Remembers the totals of one resource and records by how much they grew."""

    def __init__(self, metrics: Metrics, resource_id: str) -> None:
        self._metrics, self._resource_id = metrics, resource_id
        self._totals: dict[tuple[str, str | None, int | None], float] = {}

    def read_hub(self, hub: Hub) -> None:
        """Record what a hub counted since the last reading. A count of nothing is recorded too: the hub is there and says zero."""
        totals = hub.counters.totals()
        for name in (
            "IncomingMessages",
            "OutgoingMessages",
            "IncomingBytes",
            "OutgoingBytes",
            "ThrottledRequests",
            "IncomingRequests",
        ):
            grown = self._growth((name, hub.name, None), float(totals.get(name, 0)))
            dimensions = {"EntityName": hub.name} if "EntityName" in _HUB_METRICS[name.lower()].dimensions else {}
            self._metrics.record(self._resource_id, name, grown, dimensions)

    def read_job(self, values: Iterable[MetricValue]) -> None:
        """Record what a job counted and how it stands; a job that is stopped has no values, so its minutes stay empty."""
        for value in values:
            dimensions = {} if value.logical_name is None else {"LogicalName": value.logical_name}
            if value.partition is not None:
                dimensions["PartitionId"] = str(value.partition)
            height = value.value
            if value.aggregation == "Total":
                height = self._growth((value.name, value.logical_name, value.partition), value.value)
            self._metrics.record(self._resource_id, value.name, height, dimensions)

    def _growth(self, key: tuple[str, str | None, int | None], total: float) -> float:
        grown = total - self._totals.get(key, 0.0)
        self._totals[key] = total
        return max(0.0, grown)
