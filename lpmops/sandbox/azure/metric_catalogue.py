"""The platform metrics of the two resource types, as Azure names them.

Names, units and dimensions are those of azure-docs monitor-event-hubs-reference and monitor-azure-stream-analytics-reference; a name that is
not here is refused as Azure refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric: its unit, the aggregation it has by default, and what it can be split by."""

    name: str
    display: str
    description: str
    unit: str
    primary: str
    dimensions: tuple[str, ...]
    category: str = ""


_ENTITY = ("EntityName",)
_RESULT = ("EntityName", "OperationResult")
_PARTS = ("LogicalName", "PartitionId", "ProcessorInstance", "NodeName")


def _hub(
    name: str, display: str, unit: str = "Count", primary: str = "Total", dimensions: tuple[str, ...] = _ENTITY
) -> MetricDefinition:
    return MetricDefinition(name, f"{display}.", f"{display} for Microsoft.EventHub.", unit, primary, dimensions)


def _job(name: str, display: str, unit: str = "Count", primary: str = "Total") -> MetricDefinition:
    return MetricDefinition(name, display, display, unit, primary, _PARTS)


EVENT_HUBS = "Microsoft.EventHub/namespaces"
STREAMING_JOBS = "Microsoft.StreamAnalytics/streamingjobs"

CATALOGUE: dict[str, dict[str, MetricDefinition]] = {
    EVENT_HUBS.lower(): {
        metric.name.lower(): metric
        for metric in (
            _hub("SuccessfulRequests", "Successful Requests", dimensions=_RESULT),
            _hub("ServerErrors", "Server Errors", dimensions=_RESULT),
            _hub("UserErrors", "User Errors", dimensions=_RESULT),
            _hub("QuotaExceededErrors", "Quota Exceeded Errors", dimensions=_RESULT),
            _hub("ThrottledRequests", "Throttled Requests", dimensions=_RESULT),
            _hub("IncomingRequests", "Incoming Requests"),
            _hub("IncomingMessages", "Incoming Messages"),
            _hub("OutgoingMessages", "Outgoing Messages"),
            _hub("IncomingBytes", "Incoming Bytes", "Bytes"),
            _hub("OutgoingBytes", "Outgoing Bytes", "Bytes"),
            _hub("ActiveConnections", "ActiveConnections", primary="Average", dimensions=()),
            _hub("ConnectionsOpened", "Connections Opened", primary="Average"),
            _hub("ConnectionsClosed", "Connections Closed", primary="Average"),
            _hub("CaptureBacklog", "Capture Backlog"),
            _hub("CapturedMessages", "Captured Messages"),
            _hub("CapturedBytes", "Captured Bytes", "Bytes"),
            _hub("Size", "Size", "Bytes", "Average"),
            _hub("NamespaceCpuUsage", "CPU", "Percent", "Maximum", ("Replica",)),
            _hub("NamespaceMemoryUsage", "Memory Usage", "Percent", "Maximum", ("Replica",)),
            _hub("ReplicationLagCount", "ReplicationLagCount", primary="Maximum"),
            _hub("ReplicationLagDuration", "ReplicationLagDuration", "Seconds", "Maximum"),
        )
    },
    STREAMING_JOBS.lower(): {
        metric.name.lower(): metric
        for metric in (
            _job("AMLCalloutFailedRequests", "Failed Function Requests"),
            _job("AMLCalloutInputEvents", "Function Events"),
            _job("AMLCalloutRequests", "Function Requests"),
            _job("ConversionErrors", "Data Conversion Errors"),
            _job("DeserializationError", "Input Deserialization Errors"),
            _job("DroppedOrAdjustedEvents", "Out of order Events"),
            _job("EarlyInputEvents", "Early Input Events"),
            _job("Errors", "Runtime Errors"),
            _job("InputEventBytes", "Input Event Bytes", "Bytes"),
            _job("InputEvents", "Input Events"),
            _job("InputEventsSourcesBacklogged", "Backlogged Input Events", primary="Maximum"),
            _job("InputEventsSourcesPerSecond", "Input Sources Received"),
            _job("LateInputEvents", "Late Input Events"),
            _job("OutputEvents", "Output Events"),
            _job("OutputWatermarkDelaySeconds", "Watermark Delay", "Seconds", "Maximum"),
            _job("ProcessCPUUsagePercentage", "CPU % Utilization", "Percent", "Maximum"),
            _job("ResourceUtilization", "SU (Memory) % Utilization", "Percent", "Maximum"),
        )
    },
}
NAMESPACES = {name.lower(): name for name in (EVENT_HUBS, STREAMING_JOBS)}
