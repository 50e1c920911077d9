"""One function a question that takes more than one call or needs its answer sorted: metrics, the control database, the size of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lpmops.config import Environment
from lpmops.control.facts import JobLoad, Metric, RouteRow
from lpmops.control.landing import parameter, timestamp
from lpmops.control.lock import Pause, pauses_of
from lpmops.control.sources import MonitorSource, SqlSource
from lpmops.errors import ForbiddenError, StatementError
from lpmops.model import MetricSeries, StreamingJob
from lpmops.store import codec

METRIC_MINUTES = 10
CONTROL_REACH = timedelta(minutes=15)
_JOB_MAXIMA = ("OutputWatermarkDelaySeconds", "ResourceUtilization", "InputEventsSourcesBacklogged")
_JOB_TOTALS = ("Errors", "ConversionErrors", "InputEvents", "OutputEvents")
_HUB_TOTALS = ("ThrottledRequests", "QuotaExceededErrors", "IncomingMessages")


@dataclass(frozen=True, slots=True)
class Beat:
    """The newest heartbeat of one hub partition that came through."""

    partition: str
    sequence: int
    sent_at: datetime
    enqueued_at: datetime
    landed_at: datetime


@dataclass(frozen=True, slots=True)
class UnroutedRow:
    """Records of one company and partition that no route took."""

    company_id: str
    partition: str
    events: int
    sequence: int
    enqueued_at: datetime | None


@dataclass(frozen=True, slots=True)
class Control:
    """What the control database says each time."""

    server_time: datetime | None
    asked_at: datetime
    beats: tuple[Beat, ...]
    unrouted: tuple[UnroutedRow, ...]
    pauses: Mapping[str, Pause] = field(default_factory=dict)


def read_job_metrics(monitor: MonitorSource, jobs: Sequence[StreamingJob]) -> dict[str, JobLoad]:
    """The load of each job, by name. Raises lpmops.errors types."""
    ids = [job.resource_id for job in jobs]
    kind = "Microsoft.StreamAnalytics/streamingjobs"
    series = [
        *monitor.metrics(kind, ids, _JOB_MAXIMA, METRIC_MINUTES, "Maximum"),
        *monitor.metrics(kind, ids, _JOB_TOTALS, METRIC_MINUTES, "Total"),
    ]
    return {
        job.name: _load([item for item in series if item.resource_id.lower() == job.resource_id.lower()])
        for job in jobs
    }


def read_hub_metrics(monitor: MonitorSource, environment: Environment) -> dict[str, Metric]:
    """The namespace's newest metrics, by name. Raises lpmops.errors types."""
    return newest(of_namespace(monitor, environment, _HUB_TOTALS))


def read_hub_flow(monitor: MonitorSource, environment: Environment) -> dict[str, Metric]:
    """Events and bytes that came into the namespace in the newest minute that is known, by metric. Raises lpmops.errors types."""
    return newest(of_namespace(monitor, environment, ("IncomingMessages", "IncomingBytes")))


def of_namespace(monitor: MonitorSource, environment: Environment, names: Sequence[str]) -> Sequence[MetricSeries]:
    """The namespace's metrics of the last minutes, a sum each. Raises lpmops.errors types."""
    resources = (environment.namespace_id,)
    return monitor.metrics("Microsoft.EventHub/namespaces", resources, names, METRIC_MINUTES, "Total")


def newest(series: Iterable[MetricSeries]) -> dict[str, Metric]:
    """The newest minute with data of each metric; without any the metric is left out, as no data is not zero."""
    found: dict[str, Metric] = {}
    for item in series:
        point = item.newest()
        if (
            point is not None
            and point.value is not None
            and (item.metric not in found or point.at > found[item.metric].at)
        ):
            found[item.metric] = Metric(point.value, point.at)
    return found


def _load(series: Sequence[MetricSeries]) -> JobLoad:
    by_name = newest(series)
    return JobLoad(
        watermark_delay=by_name.get("OutputWatermarkDelaySeconds"),
        units_percent=by_name.get("ResourceUtilization"),
        backlog=by_name.get("InputEventsSourcesBacklogged"),
        errors=by_name.get("Errors"),
        conversion_errors=by_name.get("ConversionErrors"),
        input_events=by_name.get("InputEvents"),
        output_events=by_name.get("OutputEvents"),
    )


def read_control(sql: SqlSource, database: str, now: datetime) -> Control:
    """Heartbeats and unrouted records of the last minutes, and the paused jobs. Raises lpmops.errors types."""
    since = (parameter(codec.milliseconds(now - CONTROL_REACH)),)
    beats = list(sql.rows(database, "heartbeat", since))
    unrouted = sql.rows(database, "unrouted_since", since)
    return Control(
        server_time=timestamp(beats[0]["server_time"]) if beats else None,
        asked_at=now,
        beats=tuple(
            Beat(
                str(row["hub_partition"]),
                int(row["hub_sequence"]),
                *_times(row["sent_at"], row["enqueued_at"], row["landed_at"]),
            )
            for row in beats
            if row["hub_sequence"] is not None
        ),
        unrouted=tuple(
            UnroutedRow(
                "" if row["company_id"] is None else str(row["company_id"]),
                str(row["hub_partition"]),
                int(row["events"]),
                int(row["hub_sequence"]),
                timestamp(row["enqueued_at"]),
            )
            for row in unrouted
        ),
        pauses=_read_pauses(sql, database),
    )


def _read_pauses(sql: SqlSource, database: str) -> dict[str, Pause]:
    """The paused jobs. A control database from before there were pauses, or an identity that may not read them, knows of none."""
    try:
        return pauses_of(sql.rows(database, "pauses", ()))
    except (StatementError, ForbiddenError):
        return {}


def _times(*values: object) -> tuple[datetime, datetime, datetime]:
    sent, enqueued, landed = (timestamp(value) for value in values)
    if sent is None or enqueued is None or landed is None:
        raise ValueError("a heartbeat lacks a time")
    return sent, enqueued, landed


def read_routes(sql: SqlSource, database: str) -> tuple[RouteRow, ...]:
    """The route table, in the order of its ids. Raises lpmops.errors types."""
    rows = sql.rows(database, "routes", ())
    found = (
        RouteRow(
            str(row["company_id"]),
            str(row["company"]),
            str(row["database_name"]),
            str(row["state"]),
            timestamp(row["changed_at"]),
        )
        for row in rows
    )
    return tuple(sorted(found, key=lambda row: row.company_id))


def read_table_rows(sql: SqlSource, database: str) -> int | None:
    """The rows of the landing table as the engine counts them; None where it does not say. Raises lpmops.errors types."""
    rows = list(sql.rows(database, "rows_by_table", ()))
    return None if not rows or rows[0]["row_count"] is None else int(rows[0]["row_count"])
