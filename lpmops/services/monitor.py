"""What Azure Monitor has measured: platform metrics by the minute, and diagnostic logs.

Metrics come from metrics:getBatch (2024-02-01, 50 resources a call, Monitoring Reader on the subscription) or, where that is forbidden, resource by
resource from Azure Resource Manager; which way works is remembered for an hour. Values arrive one to three minutes late: the newest minute
with data is not now. A minute without data is None, never zero. Logs come from the Log Analytics query API v1.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lpmops.config import Environment
from lpmops.errors import ConfigError, ForbiddenError, ServiceError
from lpmops.model import MetricPoint, MetricSeries
from lpmops.services import failures
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.resourcemanager import resource_manager
from lpmops.services.transport import Client, Transport

_VERSION = "2024-02-01"
_BATCH_SIZE = 50
_REMEMBER_SECONDS = 3600.0
_METRICS_SCOPE = "https://metrics.monitor.azure.com/.default"
_LOGS_SCOPE = "https://api.loganalytics.io/.default"
_METRIC_ID = "/providers/microsoft.insights/metrics/"


class MonitorService:
    """Metrics and logs of one environment."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._subscription = environment.subscription_id
        self._workspace = environment.monitor.log_analytics_workspace
        region = "".join(environment.streamanalytics.region.split()).lower()
        self._batch = transport.client(
            "monitor",
            environment.endpoints.metrics.replace("{region}", region),
            credential=credential,
            scope=_METRICS_SCOPE,
            advice=credential.advice("Monitoring Reader on the subscription"),
        )
        self._single = resource_manager(
            environment, transport, credential, "monitor", "Monitoring Reader on the resource group"
        )
        self._logs: Client = transport.client(
            "monitor",
            environment.endpoints.logs,
            credential=credential,
            scope=_LOGS_SCOPE,
            advice=credential.advice("Log Analytics Reader on the workspace"),
        )
        self._forbidden_until = float("-inf")

    def metrics(
        self,
        namespace: str,
        resource_ids: Sequence[str],
        names: Sequence[str],
        minutes: int,
        aggregation: str,
        split_by: str | None = None,
    ) -> tuple[MetricSeries, ...]:
        """The last whole `minutes` of the metrics `names` of resources of one type (`namespace`) and region.

        `aggregation` is total, average, maximum, minimum or count; `split_by` names a dimension, one series for each of its values.
        """
        if not resource_ids or not names:
            return ()
        end = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        question = _Question(
            namespace, tuple(names), end - timedelta(minutes=minutes + 1), end, aggregation.lower(), split_by
        )
        deadline = Deadline.after(self._seconds)
        if time.monotonic() >= self._forbidden_until:
            try:
                return tuple(self._by_batch(question, resource_ids, deadline))
            except ForbiddenError:
                self._forbidden_until = time.monotonic() + _REMEMBER_SECONDS
        return tuple(self._one_by_one(question, resource_ids, deadline))

    def logs(self, query: str, minutes: int) -> list[dict[str, Any]]:
        """The rows of a KQL query over the last `minutes`, as the service types them (times stay text). Raises ConfigError without a workspace."""
        if not self._workspace:
            raise ConfigError(
                "This environment names no Log Analytics workspace.",
                hint="Set monitor.log_analytics_workspace in lpmops.toml to the workspace id.",
            )
        answer = self._logs.read(
            f"/v1/workspaces/{self._workspace}/query",
            {"query": query, "timespan": f"PT{minutes}M"},
            operation="logs",
            deadline=Deadline.after(self._seconds),
        )
        return _log_rows(answer)

    def _by_batch(self, question: _Question, resource_ids: Sequence[str], deadline: Deadline) -> Iterator[MetricSeries]:
        for start in range(0, len(resource_ids), _BATCH_SIZE):
            answer = self._batch.read(
                f"/subscriptions/{self._subscription}/metrics:getBatch",
                {"resourceids": list(resource_ids[start : start + _BATCH_SIZE])},
                operation="metrics:getBatch",
                deadline=deadline,
                params=question.batch_parameters(),
            )
            for result in answer.fields().objects("values"):
                for metric in result.objects("value"):
                    yield from _series(metric, result.maybe_text("resourceid"), question)

    def _one_by_one(
        self, question: _Question, resource_ids: Sequence[str], deadline: Deadline
    ) -> Iterator[MetricSeries]:
        for resource_id in resource_ids:
            answer = self._single.get(
                f"{resource_id}/providers/Microsoft.Insights/metrics",
                operation="metrics",
                deadline=deadline,
                params=question.single_parameters(),
            )
            for metric in answer.fields().objects("value"):
                yield from _series(metric, resource_id, question)


class _Question:
    """What is asked, in the words of either API."""

    def __init__(
        self,
        namespace: str,
        names: tuple[str, ...],
        start: datetime,
        end: datetime,
        aggregation: str,
        split_by: str | None,
    ) -> None:
        self.aggregation = aggregation
        self._namespace = namespace
        self._names = ",".join(names)
        self._start, self._end = (f"{moment:%Y-%m-%dT%H:%M:%S.000Z}" for moment in (start, end))
        self._split_by = split_by

    def _parameters(self, filter_name: str) -> dict[str, str]:
        parameters = {"api-version": _VERSION, "interval": "PT1M", "metricnames": self._names}
        parameters |= {"metricnamespace": self._namespace, "aggregation": self.aggregation}
        return parameters | ({filter_name: f"{self._split_by} eq '*'"} if self._split_by else {})

    def batch_parameters(self) -> dict[str, str]:
        return self._parameters("filter") | {"starttime": self._start, "endtime": self._end}

    def single_parameters(self) -> dict[str, str]:
        return self._parameters("$filter") | {"timespan": f"{self._start}/{self._end}"}


def _series(metric: Fields, resource_id: str | None, question: _Question) -> Iterator[MetricSeries]:
    name = metric.object("name").text("value")
    owner = resource_id or _owner(metric.maybe_text("id") or "")
    for line in metric.objects("timeseries"):
        dimensions = {
            value.object("name").text("value"): value.maybe_text("value") or ""
            for value in line.objects("metadatavalues")
        }
        points = tuple(
            MetricPoint(point.time("timeStamp"), point.maybe_number(question.aggregation))
            for point in line.objects("data")
        )
        yield MetricSeries(owner, name, question.aggregation, dimensions, points)


def _owner(metric_id: str) -> str:
    """The resource that a metric's own id belongs to; the batch's own example gives no other name for it."""
    at = metric_id.lower().find(_METRIC_ID)
    return metric_id[:at] if at >= 0 else metric_id


def _log_rows(answer: Answer) -> list[dict[str, Any]]:
    fields = answer.fields()
    if fields.values.get("error"):
        # A partial result is half an answer: rows without it would look complete.
        raise ServiceError(
            f"Azure Monitor could answer the log query only in part: {failures.own_words(answer) or 'no reason given'}",
            service="monitor",
            hint="Ask for a shorter time.",
            status=answer.status_code,
            request_id=answer.request_id,
        )
    tables = fields.objects("tables")
    if not tables:
        return []
    names = [column.text("name") for column in tables[0].objects("columns")]
    rows: list[Mapping[str, Any]] = []
    for row in tables[0].items("rows"):
        if not isinstance(row, list) or len(row) != len(names):
            answer.refuse("has a row that does not fit its columns")
        rows.append(dict(zip(names, row, strict=True)))
    return [dict(row) for row in rows]
