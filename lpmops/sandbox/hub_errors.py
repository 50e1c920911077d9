"""What a namespace refused, as the rows of its DiagnosticErrorLogs: identical errors counted once a minute.

Source: azure-docs monitor-event-hubs-reference ("Diagnostic error logs": throttling and quota errors, aggregated over a minute) and the table
AZMSDiagnosticErrorLogs. The text of a throttled send is the one that clients are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub import Hub
from lpmops.sandbox.hub.amqp.conditions import server_busy

TABLE, CATEGORY = "AZMSDiagnosticErrorLogs", "DiagnosticErrorLogs"
_MINUTE = timedelta(minutes=1)

WriteRow = Callable[[Mapping[str, Any], datetime], object]


class HubErrors:
    """Writes a row for each whole minute in which a hub told senders to wait."""

    def __init__(self, namespace: str, hub: Hub, clock: Clock, write: WriteRow) -> None:
        self._namespace, self._hub, self._clock, self._write = namespace, hub, clock, write
        self._told_until = _whole(clock.now())

    def step(self) -> None:
        """Write what the minutes that have ended since the last time bring."""
        end = _whole(self._clock.now())
        start, self._told_until = self._told_until, max(end, self._told_until)
        for minute, counts in self._hub.counters.by_minute(start, end):
            if refused := counts.get("ThrottledRequests", 0):
                self._write(
                    {
                        "ActivityName": "SendMessage",
                        "EntityName": self._hub.name,
                        "EntityType": "Event Hub",
                        "ErrorCount": refused,
                        "ErrorMessage": server_busy(),
                        "NamespaceName": self._namespace,
                        "OperationResult": "ServerBusy",
                        "Provider": "eventhub",
                    },
                    minute + _MINUTE,
                )


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
