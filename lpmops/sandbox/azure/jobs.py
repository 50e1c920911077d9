"""What a Stream Analytics job is, as values, and the seams to whatever compiles and runs it.

A `Job` is immutable: every change makes a new one with a new ETag, which is what makes If-Match honest. Data source secrets are dropped before a
job is built, since nothing in the sandbox needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Protocol

from lpmops.sandbox.azure.errors import stale

Kind = Literal["inputs", "outputs", "functions", "transformations"]

# The states in which a definition may change and a job may be started.
STANDING = frozenset({"Created", "Stopped", "Failed"})
# The states in which a job reads its inputs.
MOVING = frozenset({"Running", "Degraded", "Restarting", "Scaling"})


@dataclass(frozen=True, slots=True)
class JobKey:
    """Where a job is; compared without case."""

    subscription: str
    group: str
    name: str

    @property
    def text(self) -> str:
        """The key as one lower-case word."""
        return f"{self.subscription}/{self.group}/{self.name}".lower()


@dataclass(frozen=True, slots=True)
class Child:
    """An input, output, function or transformation: `properties` as answered, without its etag."""

    name: str
    properties: Mapping[str, Any]
    etag: str


@dataclass(frozen=True, slots=True)
class Job:
    """A streaming job. `properties` are its own settings; children are by lower-case name; times are UTC."""

    key: JobKey
    location: str
    tags: Mapping[str, str]
    identity: Mapping[str, Any] | None
    job_id: str
    created_at: datetime
    etag: str
    properties: Mapping[str, Any]
    state: str = "Created"
    inputs: Mapping[str, Child] = field(default_factory=dict)
    outputs: Mapping[str, Child] = field(default_factory=dict)
    functions: Mapping[str, Child] = field(default_factory=dict)
    transformation: Child | None = None
    start_mode: str | None = None
    start_time: datetime | None = None
    last_output_event_time: datetime | None = None

    @property
    def id(self) -> str:
        """The resource id."""
        return (
            f"/subscriptions/{self.key.subscription}/resourceGroups/{self.key.group}/providers"
            f"/Microsoft.StreamAnalytics/streamingjobs/{self.key.name}"
        )

    @property
    def query(self) -> str:
        """The transformation's text; empty when there is none."""
        return str(self.transformation.properties.get("query") or "") if self.transformation else ""

    @property
    def streaming_units(self) -> int:
        """The transformation's units; 0 when there is none."""
        return int(self.transformation.properties.get("streamingUnits") or 0) if self.transformation else 0

    def children(self, kind: Kind) -> dict[str, Child]:
        """Children of one kind by lower-case name."""
        if kind == "transformations":
            return {self.transformation.name.lower(): self.transformation} if self.transformation else {}
        return dict({"inputs": self.inputs, "outputs": self.outputs, "functions": self.functions}[kind])

    def with_children(self, kind: Kind, children: Mapping[str, Child], etag: str) -> Job:
        """The job with other children of one kind."""
        if kind == "transformations":
            return replace(self, transformation=next(iter(children.values()), None), etag=etag)
        if kind == "inputs":
            return replace(self, inputs=children, etag=etag)
        if kind == "outputs":
            return replace(self, outputs=children, etag=etag)
        return replace(self, functions=children, etag=etag)


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """What a runtime is started with: data sources by their own names, as their `properties`, and the text."""

    key: JobKey
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]
    functions: Mapping[str, Mapping[str, Any]]
    query: str
    streaming_units: int
    properties: Mapping[str, Any]


def definition_of(job: Job) -> JobDefinition:
    """The part of a job that runs."""
    return JobDefinition(
        job.key,
        {child.name: child.properties for child in job.inputs.values()},
        {child.name: child.properties for child in job.outputs.values()},
        {child.name: child.properties for child in job.functions.values()},
        job.query,
        job.streaming_units,
        job.properties,
    )


class Diagnostic(Protocol):
    """A fault in a query text; line and column count from 1."""

    @property
    def message(self) -> str:
        """What is wrong."""

    @property
    def line(self) -> int:
        """The line."""

    @property
    def column(self) -> int:
        """The column."""


@dataclass(frozen=True, slots=True)
class Compilation:
    """What is wrong with a text; where nothing is, the names of the inputs and outputs that it uses."""

    diagnostics: Sequence[Diagnostic] = ()
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()


class JobRuntime(Protocol):
    """One job's engine. `start` and `stop` may take as long as they need; the two properties are read under a lock and must not wait."""

    def start(self, definition: JobDefinition, mode: str, time: datetime) -> None:
        """Begin at `time`; `mode` is JobStartTime, CustomTime or LastOutputEventTime. An exception fails the start."""

    def stop(self) -> None:
        """End; what was output stays output."""

    @property
    def state(self) -> str:
        """While started: Running, Degraded, Restarting or Failed."""

    @property
    def last_output_event_time(self) -> datetime | None:
        """The newest event time that reached an output, UTC."""


@dataclass(frozen=True, slots=True)
class Match:
    """The conditions of a write: If-Match and If-None-Match as sent, with or without quotes."""

    if_match: str | None = None
    if_none_match: str | None = None

    def check(self, etag: str | None, name: str) -> None:
        """Raises 412 when a condition does not hold; `etag` is None when the thing does not exist."""
        if self.if_none_match is not None and etag is not None and self.if_none_match.strip('"') in ("*", etag):
            raise stale(name)
        if self.if_match is not None and (etag is None or self.if_match.strip('"') not in ("*", etag)):
            raise stale(name)


RuntimeFactory = Callable[[JobKey], JobRuntime]
# (text, kind by input name: stream or reference, output names or None for whatever the text names) -> what became of it
Compiler = Callable[[str, Mapping[str, str], Sequence[str] | None], Compilation]
# (inputs | outputs, properties) -> why the data source can't be reached, or None
Probe = Callable[[str, Mapping[str, Any]], str | None]


def no_diagnostics(text: str, inputs: Mapping[str, str], outputs: Sequence[str] | None) -> Compilation:
    """The compiler of a sandbox without one: everything passes."""
    del text
    return Compilation((), list(inputs), outputs or ())


def probe_nothing(kind: str, properties: Mapping[str, Any]) -> str | None:
    """The probe of a sandbox without data sources: all of them answer."""
    del kind, properties
    return None
