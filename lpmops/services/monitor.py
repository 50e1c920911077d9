"""What Azure Monitor has measured: platform metrics by the minute, and diagnostic logs.

Metrics come from metrics:getBatch (2024-02-01, 50 resources a call, Monitoring Reader on the subscription) or, where that is forbidden, resource by
resource from Azure Resource Manager; which way works is remembered for an hour. Values arrive one to three minutes late: the newest minute
with data is not now. A minute without data is None, never zero. Logs come from the Log Analytics query API v1, what people did and what happened to
a resource from the activity log (2015-04-01), which is kept for 90 days and needs no setting.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from lpmops.config import Environment
from lpmops.errors import ConfigError, ForbiddenError, ServiceError
from lpmops.model import ActivityEvent, MetricPoint, MetricSeries
from lpmops.services import failures
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.redact import clean
from lpmops.services.resourcemanager import resource_manager
from lpmops.services.transport import Client, Transport

_VERSION = "2024-02-01"
_BATCH_SIZE = 50
_REMEMBER_SECONDS = 3600.0
_METRICS_SCOPE = "https://metrics.monitor.azure.com/.default"
_LOGS_SCOPE = "https://api.loganalytics.io/.default"
_METRIC_ID = "/providers/microsoft.insights/metrics/"
_ACTIVITY_VERSION = "2015-04-01"
_ACTIVITY_EVENTS = 500


class MonitorService:
    """Metrics and logs of one environment."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._subscription = environment.subscription_id
        self._group = environment.resource_group
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
        until: datetime | None = None,
    ) -> tuple[MetricSeries, ...]:
        """The whole `minutes` up to now, or up to `until`, of the metrics `names` of resources of one type (`namespace`) and region.

        `aggregation` is total, average, maximum, minimum or count; `split_by` names a dimension, one series for each of its values.
        """
        if not resource_ids or not names:
            return ()
        # The minute under way is asked for, and left out of the past: it knows what came after the moment.
        end = (until or datetime.now(UTC) + timedelta(minutes=1)).replace(second=0, microsecond=0)
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

    def logs(self, query: str, minutes: int, until: datetime | None = None) -> list[dict[str, Any]]:
        """The rows of a KQL query over the `minutes` up to now, or up to `until`, as the service types them (times stay text).

        Raises ConfigError without a workspace.
        """
        if not self._workspace:
            raise ConfigError(
                "This environment names no Log Analytics workspace.",
                hint="Set monitor.log_analytics_workspace in lpmops.toml to the workspace id.",
            )
        span = f"PT{minutes}M" if until is None else f"PT{minutes}M/{_stamp(until)}"
        answer = self._logs.read(
            f"/v1/workspaces/{self._workspace}/query",
            {"query": query, "timespan": span},
            operation="logs",
            deadline=Deadline.after(self._seconds),
        )
        return _log_rows(answer)

    def activity(self, minutes: int, until: datetime | None = None) -> tuple[ActivityEvent, ...]:
        """The newest entries of the activity log of the environment's resource group in the `minutes` up to now or `until`, newest first.

        At most some hundreds, which is more than a group makes in a day; a change takes some minutes to appear (3 to 20 by Azure's own word).
        """
        end = until or datetime.now(UTC)
        group = self._group.replace("'", "''")
        span = f"eventTimestamp ge '{_stamp(end - timedelta(minutes=minutes))}' and eventTimestamp le '{_stamp(end)}'"
        pages = self._single.pages(
            f"/subscriptions/{self._subscription}/providers/Microsoft.Insights/eventtypes/management/values",
            operation="activity",
            deadline=Deadline.after(self._seconds),
            params={"api-version": _ACTIVITY_VERSION, "$filter": f"{span} and resourceGroupName eq '{group}'"},
        )
        found = [_event(fields) for fields in islice(pages, _ACTIVITY_EVENTS)]
        return tuple(sorted(found, key=lambda event: event.at, reverse=True))

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
        self._start, self._end = _stamp(start), _stamp(end)
        self._split_by = split_by

    def _parameters(self, filter_name: str) -> dict[str, str]:
        parameters = {"api-version": _VERSION, "interval": "PT1M", "metricnames": self._names}
        parameters |= {"metricnamespace": self._namespace, "aggregation": self.aggregation}
        return parameters | ({filter_name: f"{self._split_by} eq '*'"} if self._split_by else {})

    def batch_parameters(self) -> dict[str, str]:
        return self._parameters("filter") | {"starttime": self._start, "endtime": self._end}

    def single_parameters(self) -> dict[str, str]:
        return self._parameters("$filter") | {"timespan": f"{self._start}/{self._end}"}


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.000Z}"


def _event(fields: Fields) -> ActivityEvent:
    """An entry; a resource's own complaint stands among its properties, under a name that each provider chooses."""
    properties = {name.lower(): text for name, text in fields.texts("properties").items()}
    said = (properties.get(name) for name in ("message", "error", "statusmessage"))
    return ActivityEvent(
        at=fields.time("eventTimestamp"),
        level=fields.maybe_text("level") or "",
        operation=_localized(fields.object("operationName")),
        status=_localized(fields.object("status")),
        resource_id=fields.maybe_text("resourceId") or "",
        message=clean(next((text for text in said if text), None) or fields.maybe_text("description") or ""),
    )


def _localized(name: Fields) -> str:
    """The words for people, or else the stable ones."""
    return clean(name.maybe_text("localizedValue") or name.maybe_text("value") or "")


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
