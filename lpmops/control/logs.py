"""What Stream Analytics, Databricks and Event Hubs wrote down about themselves, as lines of one form.

One function a source, in `SOURCES`. A source has several places where it writes; they are asked side by side, what one of them can't say is a line
that says why, and only where none of them answers its error is raised. Texts of services come without secrets and without callers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Template
from typing import Any

from lpmops import resources
from lpmops.config import Environment
from lpmops.control import masking
from lpmops.control.landing import timestamp
from lpmops.control.sources import EnvironmentServices
from lpmops.errors import LpmopsError
from lpmops.model import ActivityEvent, LogLine, MetricSeries, StreamEnding, StreamingJob
from lpmops.routing.quoting import kusto_literal
from lpmops.services.redact import clean

MOST_LINES = 300
LOOK_BACK_MINUTES = 24 * 60
METRIC_MINUTES = 6 * 60
_LONGEST = 1_000
_ACTIVITY, _SAYS = "activity log: ", " — "
_HUB_TOTALS = {
    "ThrottledRequests": ("warning", "requests were throttled: the namespace's throughput units are used up"),
    "QuotaExceededErrors": ("error", "requests went over a quota of the namespace"),
    "ServerErrors": ("error", "requests failed inside Event Hubs"),
}
_JOB_LEVELS = {"Failed": "error", "Degraded": "warning", "Stopped": "warning", "Stopping": "warning"}


_Part = Callable[[], list[LogLine]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: of whom, now, and up to which moment where it is not now."""

    services: EnvironmentServices
    environment: Environment
    now: datetime
    until: datetime | None = None


def newest_first(lines: Iterable[LogLine]) -> list[LogLine]:
    """Lines without a time come first: they are about the reading, not about the past."""
    return sorted(lines, key=lambda line: (line.at is None, line.at.timestamp() if line.at else 0.0), reverse=True)


def stream_analytics(question: Question) -> list[LogLine]:
    """How the jobs are, their diagnostic logs where a workspace takes them, and what the activity log says of them."""
    settings = question.environment
    prefix = (
        f"{settings.group_id}/providers/Microsoft.StreamAnalytics/streamingjobs/{settings.streamanalytics.job_prefix}"
    )
    parts: list[_Part] = [lambda: _activity(question, "asa", prefix)]
    if question.until is None:
        parts.append(lambda: _job_states(question))
    if settings.monitor.log_analytics_workspace:
        parts.append(lambda: _job_log(question, prefix))
    lines = _together("asa", parts)
    if not settings.monitor.log_analytics_workspace:
        lines.append(_no_workspace("asa", "what the jobs write (Execution, Authoring)"))
    return _once(lines)


def event_hub(question: Question) -> list[LogLine]:
    """The errors of the namespace: its diagnostic logs where a workspace takes them, throttling and quotas by the minute, the activity log."""
    settings = question.environment
    namespace = settings.namespace_id
    parts: list[_Part] = [
        lambda: _hub_metrics(question, namespace),
        lambda: _activity(question, "eventhub", namespace),
    ]
    if settings.monitor.log_analytics_workspace:
        parts.append(lambda: _hub_log(question, namespace))
    lines = _together("eventhub", parts)
    if not settings.monitor.log_analytics_workspace:
        lines.append(_no_workspace("eventhub", "what the namespace refused (DiagnosticErrorLogs)"))
    return lines


def databricks(question: Question) -> list[LogLine]:
    """The runs of the streaming job, what the output of failed ones says, and how far the query is."""
    parts: list[_Part] = [lambda: _endings(question)]
    if question.until is None:
        parts.append(lambda: _progress(question))
    return _together("databricks", parts)


SOURCES: Mapping[str, Callable[[Question], list[LogLine]]] = {
    "asa": stream_analytics,
    "databricks": databricks,
    "eventhub": event_hub,
}

# Asking several places at once -----------------------------------------------------------------------------------------------------------------


def _together(source: str, parts: Sequence[_Part]) -> list[LogLine]:
    """What all parts say; a part that fails is a line, and an error where all of them do."""
    found: list[list[LogLine] | Exception] = [[] for _ in parts]

    def ask(number: int) -> None:
        try:
            found[number] = parts[number]()
        except Exception as error:  # noqa: BLE001 - the edge of the thread: raised again by whoever waits
            found[number] = error

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        # Each part ends by the deadline of its own call.
        thread.join()
    errors = [answer for answer in found if isinstance(answer, Exception)]
    fatal = next((error for error in errors if not isinstance(error, LpmopsError)), None)
    if fatal is not None:
        raise fatal
    if len(errors) == len(parts):
        raise errors[0]
    lines = [line for answer in found if not isinstance(answer, Exception) for line in answer]
    return [*lines, *(_line(None, source, "warning", "lpmops", _said(error)) for error in errors)]


def _said(error: Exception) -> str:
    return f"{error} {error.hint}".strip() if isinstance(error, LpmopsError) else str(error)


def _no_workspace(source: str, what: str) -> LogLine:
    advice = "Set monitor.log_analytics_workspace in lpmops.toml, and send the logs there with a diagnostic setting."
    return _line(
        None, source, "info", "lpmops", f"No Log Analytics workspace is named, so {what} is not here. {advice}"
    )


def _line(at: datetime | None, source: str, level: str, subject: str, text: str, count: int = 1) -> LogLine:
    return LogLine(at, source, level, clean(subject), masking.text(text), max(1, count))


def _once(lines: list[LogLine]) -> list[LogLine]:
    """Without the activity log's copies of what the diagnostic logs say themselves."""
    told: dict[str, list[str]] = {}
    for line in lines:
        if not line.text.startswith(_ACTIVITY):
            told.setdefault(line.subject.lower(), []).append(line.text)

    def is_copy(line: LogLine) -> bool:
        said = line.text.partition(_SAYS)[2] if line.text.startswith(_ACTIVITY) else ""
        return bool(said) and any(text.endswith(said) for text in told.get(line.subject.lower(), ()))

    return [line for line in lines if not is_copy(line)]


# What each place says --------------------------------------------------------------------------------------------------------------------------


def _level(word: object) -> str:
    """Azure's words for how grave something is, in ours."""
    lowered = str(word or "").lower()
    if lowered in ("error", "critical", "failed"):
        return "error"
    return "warning" if lowered == "warning" else "info"


def _job_states(question: Question) -> list[LogLine]:
    return [line for job in question.services.streamanalytics.jobs() for line in _job_state_lines(job, question.now)]


def _job_state_lines(job: StreamingJob, now: datetime) -> list[LogLine]:
    output = (
        f"its last output is of {job.last_output_at:%Y-%m-%dT%H:%M:%SZ}"
        if job.last_output_at
        else "it has put nothing out yet"
    )
    started = f", started with {job.start_mode}" if job.start_mode else ""
    lines = [
        _line(now, "asa", _JOB_LEVELS.get(job.state, "info"), job.name, f"The job is {job.state}{started}; {output}.")
    ]
    for part in (*job.inputs, *job.outputs):
        for condition in part.conditions:
            text = f"{part.name} ({part.kind}): {condition.code} {condition.message}"
            lines.append(_line(condition.since or now, "asa", "warning", job.name, text))
    return lines


def _kusto(name: str, **values: str) -> str:
    quoted = {key: kusto_literal(value) for key, value in values.items()}
    return Template(resources.query(f"kql/{name}.kql")).substitute(quoted)


def _text_of(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else clean(value, _LONGEST)


def _moment_of(row: Mapping[str, Any]) -> datetime | None:
    try:
        return timestamp(row.get("TimeGenerated"))
    except (ValueError, OverflowError):
        return None


def _count_of(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    return int(value) if isinstance(value, int | float) and 1 <= value < 2**53 else 1


def _job_log(question: Question, prefix: str) -> list[LogLine]:
    rows = question.services.monitor.logs(_kusto("asa_log", jobs=prefix), LOOK_BACK_MINUTES, question.until)
    lines = []
    for row in rows:
        kind = _text_of(row, "DataErrorType")
        operation = f"{_text_of(row, 'OperationName')} [{kind}]" if kind else _text_of(row, "OperationName")
        text = f"{operation}: {_text_of(row, 'Message')}"
        level = _level(row.get("Level"))
        lines.append(
            _line(_moment_of(row), "asa", level, _text_of(row, "Resource").lower(), text, _count_of(row, "EventCount"))
        )
    return lines


def _hub_log(question: Question, namespace: str) -> list[LogLine]:
    rows = question.services.monitor.logs(
        _kusto("eventhub_errors", namespace=namespace), LOOK_BACK_MINUTES, question.until
    )
    lines = []
    for row in rows:
        result = _text_of(row, "Result")
        # A server that is busy takes the event a moment later; everything else was refused.
        level = "warning" if result.lower() == "serverbusy" else "error"
        text = f"{_text_of(row, 'Activity')} {result}: {_text_of(row, 'Message')}".strip()
        subject = _text_of(row, "Entity") or question.environment.eventhub.namespace
        lines.append(_line(_moment_of(row), "eventhub", level, subject, text, _count_of(row, "Errors")))
    return lines


def _hub_metrics(question: Question, namespace: str) -> list[LogLine]:
    series = question.services.monitor.metrics(
        "Microsoft.EventHub/namespaces", (namespace,), tuple(_HUB_TOTALS), METRIC_MINUTES, "Total", until=question.until
    )
    return [line for one in series for line in _metric_lines(one, namespace.rpartition("/")[2])]


def _metric_lines(series: MetricSeries, namespace: str) -> list[LogLine]:
    level, words = _HUB_TOTALS.get(series.metric, ("warning", f"by the metric {series.metric}"))
    return [
        _line(point.at, "eventhub", level, namespace, f"{point.value:,.0f} {words} (in a minute).", round(point.value))
        for point in series.points
        if point.value
    ]


def _activity(question: Question, source: str, prefix: str) -> list[LogLine]:
    events = question.services.monitor.activity(LOOK_BACK_MINUTES, question.until)
    return [_activity_line(event, source) for event in events if event.resource_id.lower().startswith(prefix.lower())]


def _activity_line(event: ActivityEvent, source: str) -> LogLine:
    level = "error" if event.status.lower() == "failed" else _level(event.level)
    says = f"{_SAYS}{event.message}" if event.message else ""
    return _line(
        event.at, source, level, event.resource_id.split("/")[8], f"{_ACTIVITY}{event.operation} {event.status}{says}"
    )


def _endings(question: Question) -> list[LogLine]:
    return [
        line
        for ending in question.services.databricks.endings(question.until)
        for line in _ending_lines(ending, question.until)
    ]


def _ending_lines(ending: StreamEnding, until: datetime | None) -> list[LogLine]:
    run = ending.run
    subject = f"run {run.run_id}"
    trigger = f" ({ending.trigger.lower().replace('_', ' ')})" if ending.trigger else ""
    lines = [_line(run.started_at, "databricks", "info", subject, f"{run.name} was started{trigger}.")]
    if run.ended_at is not None and (until is None or run.ended_at <= until):
        level = "error" if run.state == "failed" else "info"
        parts = [f"{run.name} ended: {ending.code or run.state}", clean(run.message, _LONGEST)]
        if ending.error not in run.message:
            parts.append(ending.error)
        text = " — ".join(part for part in parts if part)
        lines.append(
            _line(run.ended_at, "databricks", level, subject, "\n".join(part for part in (text, ending.trace) if part))
        )
    return lines


def _progress(question: Question) -> list[LogLine]:
    progress = question.services.databricks.progress()
    if progress is None:
        return [
            _line(
                None, "databricks", "info", "query", "The streaming query has left no progress and no checkpoint yet."
            )
        ]
    parts = [
        f"batch {progress.batch}" if progress.batch is not None else "",
        f"has planned up to version {progress.version}",
    ]
    if progress.input_rate is not None:
        parts.append(f"{progress.input_rate:,.1f} rows/s came in")
    if progress.processed_rate is not None:
        parts.append(f"{progress.processed_rate:,.1f} rows/s were done")
    if progress.batch_seconds is not None:
        parts.append(f"the batch took {progress.batch_seconds:,.1f} s")
    if progress.backlog_bytes is not None:
        parts.append(f"{progress.backlog_bytes:,} bytes wait")
    return [
        _line(progress.at, "databricks", "info", "query", ", ".join(part for part in parts if part) + "."),
        *(_line(None, "databricks", "warning", "query", text) for text in progress.unreadable),
    ]
