"""The Stream Analytics jobs as actions see them: the managed fields, the pauses beside them, and what each way to start would skip or repeat."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lpmops.actions import inputs
from lpmops.actions.action import Bench
from lpmops.actions.inputs import Choice, Input
from lpmops.control.lock import Pause
from lpmops.control.plan import Impact
from lpmops.control.remedies import provision
from lpmops.errors import NotFoundError
from lpmops.model import HubState, PartitionState, Snapshot, StreamingJob, to_data
from lpmops.routing.job import UNITS

# The states in which a job reads its input, whatever else is going on with it.
_WORKING = frozenset({"running", "degraded", "restarting", "scaling"})
_STANDING = frozenset({"stopped", "created"})
MODES = {"last-output": "LastOutputEventTime", "now": "JobStartTime", "custom": "CustomTime"}
_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StartMode:
    """One way to start a job. None is unknown; `refusal` says why it can't be used."""

    name: str
    skips: int | None
    repeats: int | None
    refusal: str = ""


def standing(job: StreamingJob) -> str:
    """A job's state as far as starting and stopping go: running, stopped, failed, or the service's own word for what passes."""
    state = job.state.lower()
    return "running" if state in _WORKING else "stopped" if state in _STANDING else state


def chosen(bench: Bench, names: Sequence[str]) -> tuple[StreamingJob, ...]:
    """The environment's jobs, or those of that name. Raises NotFoundError."""
    prefix = bench.environment.streamanalytics.job_prefix
    jobs: tuple[StreamingJob, ...] = bench.services.streamanalytics.jobs()
    if not jobs:
        raise NotFoundError(
            f"There is no Stream Analytics job in {bench.environment.name} whose name begins with {prefix}.",
            hint=f"Check streamanalytics.job_prefix in lpmops.toml, or make one: {provision(bench.environment)}",
        )
    known = {job.name.lower(): job for job in jobs}
    for name in names:
        if name.lower() not in known:
            raise NotFoundError(
                f"There is no job {name!r} in {bench.environment.name}.", hint=f"There are: {', '.join(known)}."
            )
    wanted = {name.lower() for name in names}
    return tuple(job for job in jobs if not wanted or job.name.lower() in wanted)


def managed(job: StreamingJob, pause: Pause | None) -> dict[str, Any]:
    """The fields of a job that a plan rests on, by dotted name."""
    return {
        f"{job.name}.state": standing(job),
        f"{job.name}.resource": job.resource_id.lower(),
        f"{job.name}.query": hashlib.sha256(job.query.encode("utf-8")).hexdigest()[:16],
        f"{job.name}.inputs": sorted(part.name for part in job.inputs),
        f"{job.name}.outputs": sorted(part.name for part in job.outputs),
        f"{job.name}.streaming_units": job.streaming_units,
        f"{job.name}.compatibility_level": job.compatibility_level,
        f"{job.name}.output_error_policy": job.output_error_policy,
        f"{job.name}.pause": pause_data(pause),
    }


def pause_data(pause: Pause | None) -> dict[str, Any] | None:
    """A pause as plain values."""
    if pause is None:
        return None
    return {
        "reason": pause.reason,
        "ticket": pause.ticket,
        "by": pause.by,
        "until": to_data(pause.until),
        "at": to_data(pause.at),
        "operation": pause.operation,
        "action": pause.action,
    }


def start_modes(bench: Bench, job: StreamingJob, begin: datetime | None = None) -> dict[str, StartMode]:
    """What each way to start a stopped job would skip and repeat, counted in the hub; `begin` is the time for custom. Raises ServiceError types."""
    hub = bench.services.eventhubs
    partitions: tuple[PartitionState, ...] = hub.partitions()
    ends = {item.partition: item.last_sequence + 1 for item in partitions}
    held = sum(item.last_sequence - item.begin_sequence + 1 for item in partitions if not item.is_empty)
    last = job.last_output_at
    if last is None:
        never = "the job has never written anything, so there is no last output to go on from"
        found = {
            "last-output": StartMode("last-output", None, None, never),
            "now": StartMode("now", held, 0),
        }
        if begin is not None:
            skipped = _between(_begins(partitions), hub.positions(partitions, begin))
            found["custom"] = StartMode("custom", skipped, 0)
        return found
    after = hub.positions(partitions, last + _TICK)
    found = {
        "last-output": StartMode("last-output", 0, _between(hub.positions(partitions, last), after)),
        "now": StartMode("now", _between(after, ends), 0),
    }
    if begin is not None:
        at = hub.positions(partitions, begin)
        found["custom"] = StartMode("custom", _between(after, at), _between(at, after))
    return found


def waiting(modes: Mapping[str, StartMode]) -> int | None:
    """The events that wait for a stopped job: those that a start from now on would skip."""
    return modes["now"].skips


def _begins(partitions: Sequence[PartitionState]) -> dict[str, int]:
    return {item.partition: item.begin_sequence for item in partitions}


def _between(low: Mapping[str, int], high: Mapping[str, int]) -> int:
    return sum(max(0, high[partition] - low[partition]) for partition in low)


def keeps_until(job: StreamingJob, hub: HubState) -> datetime | None:
    """When the hub begins to drop events that a stopped job has not read; None where it never wrote."""
    return None if job.last_output_at is None else job.last_output_at + timedelta(seconds=hub.retention)


def impact(bench: Bench, *, events: int | None = None, pause_seconds: float | None = None) -> Impact:
    """Whom it concerns: every active company, and what a pause takes of the error budget."""
    rows = bench.services.sql.rows(bench.environment.sql.control_database, "routes")
    slo = bench.config.slo
    budget = slo.days * 86_400.0 * (1 - slo.target)
    share = None if pause_seconds is None or budget <= 0 else round(pause_seconds / budget, 4)
    companies = sum(str(row["state"]) == "active" for row in rows)
    return Impact(companies, events, None if pause_seconds is None else round(pause_seconds, 1), share)


def _are_several(snapshot: Snapshot | None) -> bool:
    """Whether more than one job was last seen; where nothing was seen yet it is asked."""
    if snapshot is None or "asa" not in snapshot.stages:
        return True
    return sum(reading.name.endswith(".state") for reading in snapshot.stages["asa"].readings) > 1


def _to_choose(bench: Bench) -> list[Choice]:
    return [Choice(job.name, _words(job)) for job in chosen(bench, [])]


def _words(job: StreamingJob) -> str:
    units = "" if job.streaming_units is None else f", {units_words(job.streaming_units)}"
    return f"{job.state.lower()}, {len(job.outputs)} outputs{units}"


def units_words(units: float) -> str:
    """Streaming units as they are configured, from how the service counts them."""
    name = next((name for name, value in UNITS.items() if value == units), None)
    return f"{units:g} of the service's units" if name is None else f"{name} streaming unit{'' if name == '1' else 's'}"


JOBS = Input(
    "jobs",
    "jobs",
    "which of them, all where it is empty; ↑ ↓ choose, a comma takes one more",
    inputs.listed,
    _to_choose,
    many=True,
    needed=_are_several,
)
