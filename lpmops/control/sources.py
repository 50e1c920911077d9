"""What the control plane asks of the clouds, as protocols: the services fulfil them, and so can plain objects in a test.

Every call returns within its own deadline and raises only `lpmops.errors` types. Nothing here is implemented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from lpmops.model import (
    ActivityEvent,
    Credential,
    HubState,
    MetricSeries,
    NamespaceState,
    PartitionState,
    RawEvent,
    StreamEnding,
    StreamingJob,
    StreamProgress,
    StreamRun,
    TableState,
)


class CredentialSource(Protocol):
    """The identity in use; asking never prompts."""

    def state(self) -> Credential:
        """How it is now."""
        ...


class DatabricksSource(Protocol):
    """The source table and the streaming job."""

    def table(self) -> TableState:
        """The table and its newest version."""
        ...

    def stream_run(self) -> StreamRun:
        """The job and its newest run."""
        ...

    def progress(self) -> StreamProgress | None:
        """How far the streaming query is; None where it has left no trace yet."""
        ...

    def endings(self, until: datetime | None = None) -> Sequence[StreamEnding]:
        """The newest runs, newest first, with what the output of failed ones says; none that started after `until`."""
        ...


class HubTail(Protocol):
    """An open live tail of the hub."""

    def take(self, seconds: float) -> Sequence[RawEvent]:
        """What has come, waiting up to `seconds` for the first."""
        ...

    def close(self) -> None:
        """Stop reading; returns at once."""
        ...


class HubPartitions(Protocol):
    """The hub's partitions, read live."""

    def partitions(self) -> Sequence[PartitionState]:
        """Both ends of every partition."""
        ...

    def positions(self, partitions: Sequence[PartitionState], moment: datetime) -> Mapping[str, int]:
        """The first sequence number at or after a moment, by partition."""
        ...

    def events(self, spans: Mapping[str, tuple[int, int]]) -> Sequence[RawEvent]:
        """The events between two sequence numbers, both included, by partition."""
        ...

    def tail(self, places: Mapping[str, int]) -> HubTail:
        """Live from these sequence numbers on."""
        ...


class EventHubSource(HubPartitions, Protocol):
    """The hub: its management plane, and its partitions."""

    def namespace(self) -> NamespaceState:
        """The namespace."""
        ...

    def hub(self) -> HubState:
        """The hub."""
        ...


class StreamAnalyticsSource(Protocol):
    """The routing jobs."""

    def jobs(self) -> Sequence[StreamingJob]:
        """The jobs with the environment's prefix."""
        ...


class MonitorSource(Protocol):
    """Platform metrics (whole minutes, one to three minutes late), diagnostic logs and the activity log."""

    def metrics(
        self,
        namespace: str,
        resource_ids: Sequence[str],
        names: Sequence[str],
        minutes: int,
        aggregation: str,
        split_by: str | None = None,
        until: datetime | None = None,
    ) -> Sequence[MetricSeries]:
        """The `minutes` up to now or `until` of the named metrics of several resources of one type."""
        ...

    def logs(self, query: str, minutes: int, until: datetime | None = None) -> Sequence[Mapping[str, Any]]:
        """The rows of a Kusto query over the workspace; times are text. Raises ConfigError where there is no workspace."""
        ...

    def activity(self, minutes: int, until: datetime | None = None) -> Sequence[ActivityEvent]:
        """What people did to the environment's resources and what Azure says of them, newest first."""
        ...


class SqlSource(Protocol):
    """The company databases and the control database."""

    def rows(self, database: str, query_name: str, parameters: Sequence[object]) -> Sequence[Mapping[str, Any]]:
        """The rows of `queries/tsql/QUERY_NAME.sql`; times without an offset are UTC."""
        ...


class CallTotal(Protocol):
    """Counts the calls that leave this machine."""

    @property
    def total(self) -> int:
        """All calls since the start."""
        ...


class EnvironmentServices(Protocol):
    """Everything of one environment."""

    @property
    def calls(self) -> CallTotal:
        """How many calls were made."""
        ...

    @property
    def credential(self) -> CredentialSource:
        """Who asks."""
        ...

    @property
    def databricks(self) -> DatabricksSource:
        """The workspace."""
        ...

    @property
    def eventhubs(self) -> EventHubSource:
        """The hub."""
        ...

    @property
    def streamanalytics(self) -> StreamAnalyticsSource:
        """The jobs."""
        ...

    @property
    def monitor(self) -> MonitorSource:
        """The metrics."""
        ...

    @property
    def sql(self) -> SqlSource:
        """The databases."""
        ...

    def close(self) -> None:
        """Give up connections; calls under way may end with an error."""
        ...
