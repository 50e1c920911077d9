"""What a job writes to its execution log, shaped as the service's diagnostic logs are.

Data errors of one type and source are logged one by one three times in ten minutes, and the rest of them once, with their count. `ExampleEvents`
holds payload. Source: azure-docs/stream-analytics/stream-analytics-job-diagnostic-logs, data-errors. Names of operations that those pages don't
show are assumed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_ONE_BY_ONE = 3
_WINDOW = timedelta(minutes=10)
_EXAMPLE_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of the Execution category; `properties` is what properties_s holds as JSON."""

    time: datetime
    operation_name: str
    level: str
    status: str
    properties: Mapping[str, Any]
    category: str = "Execution"


LogSink = Callable[[LogRecord], None]


@dataclass(slots=True)
class _Run:
    """Data errors of one type and source within a window of ten minutes."""

    began: datetime
    seen: int = 0
    held: int = 0
    first_held: datetime | None = None
    last_held: datetime | None = None
    last: tuple[str, str, str, str] | None = None


class JobLog:
    """Writes a job's records to a sink."""

    def __init__(self, name: str, sink: LogSink) -> None:
        self._name, self._sink = name, sink
        self._runs: dict[tuple[str, str], _Run] = {}

    def error(self, now: datetime, operation: str, source: str, message: str, error: str = "") -> None:
        """Something failed that is no data error."""
        self._write(
            now, operation, "Error", {"Source": source, "Message": message, "Type": "Error", "Error": error or message}
        )

    def data_error(
        self, now: datetime, level: str, operation: str, source: str, kind: str, message: str, example: str
    ) -> None:
        """An event or row that was dropped, or that blocks an output."""
        run = self._runs.get((source, kind))
        if run is None or now - run.began >= _WINDOW:
            self._summarise(now, source, kind, run)
            run = self._runs[source, kind] = _Run(now)
        run.seen += 1
        if run.seen <= _ONE_BY_ONE:
            self._data_record(now, level, operation, source, kind, message, example, now, now, 1)
            return
        run.held += 1
        run.first_held = run.first_held or now
        run.last_held, run.last = now, (level, operation, message, example)

    def flush(self, now: datetime, everything: bool = False) -> None:
        """Write the counts of what was held back, where ten minutes are over (or all, when the job ends)."""
        for (source, kind), run in list(self._runs.items()):
            if everything or now - run.began >= _WINDOW:
                self._summarise(now, source, kind, run)
                del self._runs[source, kind]

    def _summarise(self, now: datetime, source: str, kind: str, run: _Run | None) -> None:
        if run is None or run.last is None or run.first_held is None or run.last_held is None:
            return
        level, operation, message, example = run.last
        self._data_record(
            now, level, operation, source, kind, message, example, run.first_held, run.last_held, run.held
        )

    def _data_record(
        self,
        now: datetime,
        level: str,
        operation: str,
        source: str,
        kind: str,
        message: str,
        example: str,
        first: datetime,
        last: datetime,
        count: int,
    ) -> None:
        properties = {
            "Source": source,
            "Message": message,
            "Type": "DataError",
            "DataErrorType": kind,
            "BriefMessage": message.split(" (")[0],
            "ExampleEvents": json.dumps([example[:_EXAMPLE_CHARACTERS]]),
            "FromTimestamp": _stamp(first),
            "ToTimestamp": _stamp(last),
            "EventCount": count,
        }
        self._write(now, operation, level, properties)

    def _write(self, now: datetime, operation: str, level: str, properties: dict[str, Any]) -> None:
        properties["CorrelationId"] = str(uuid.uuid4())
        self._sink(LogRecord(now, operation, level, "Failed" if level == "Error" else "Succeeded", properties))


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
