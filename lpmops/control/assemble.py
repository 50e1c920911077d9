"""Puts what the probes and the memory hold together as facts, and the facts of each company as its route. No judgement here, and nothing is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lpmops.config import Environment, Thresholds
from lpmops.control.facts import Database, Facts, Heartbeat, PartitionLag, RouteRow, Unrouted
from lpmops.control.landing import Landed, rows_of
from lpmops.control.latency import latency, percentile, percentiles
from lpmops.control.memory import RECENT_MILLISECONDS, Memory
from lpmops.control.probes import SIGN_IN, Probe, Problem
from lpmops.control.readers import Control
from lpmops.model import Credential, PartitionState, Route
from lpmops.routing.routes import SETTLING_SECONDS
from lpmops.store import codec

ANSWERED = frozenset({"sql.refused", "service.throttled", "auth.forbidden"})
_UNSEEN = frozenset({"auth.expired", "internal", "config"})
# What the stream does not depend on: counts of rows, and whether there are more databases.
_ASIDE = ("rows.", "gap.", "control.databases")
_UNROUTED_REACH = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Limits:
    """How old a value may be, in seconds, and still speak of now."""

    quick: float
    slow: float


@dataclass(frozen=True, slots=True)
class View:
    """The probes of an environment at one moment."""

    environment: Environment
    databases: tuple[str, ...]
    probes: Mapping[str, Probe]
    memory: Memory
    now: datetime
    limits: Limits

    def value(self, name: str) -> Any:
        """What a source said, unless that is too long ago."""
        probe = self.probes[name]
        return probe.fresh(self.now, self.limits.slow if probe.every else self.limits.quick)

    def problems(self) -> dict[str, Problem]:
        """The problems that stand."""
        found = {name: probe.problem for name, probe in self.probes.items() if not name.startswith(_ASIDE)}
        return {name: problem for name, problem in found.items() if problem is not None}


def facts(view: View) -> Facts:
    """The facts of one look."""
    memory, control = view.memory, view.value("control.heartbeat")
    partitions: tuple[PartitionState, ...] | None = view.value("eventhub.partitions")
    sequences, enqueued = _landed_ends(memory, control)
    hub_metrics = view.value("monitor.hub") or {}
    newest_enqueued = max(enqueued.values(), default=None)
    return Facts(
        environment=view.environment.name,
        kind=view.environment.kind,
        taken_at=view.now,
        problems=view.problems(),
        credential=view.value("credential") or Credential(),
        table=view.value("databricks.table"),
        run=view.value("databricks.run"),
        progress=view.value("databricks.progress"),
        namespace=view.value("eventhub.namespace"),
        hub=view.value("eventhub.hub"),
        partitions=partitions,
        lags=() if partitions is None else lags(partitions, sequences, enqueued),
        hub_rate=None
        if partitions is None
        else memory.hub_rate(partitions, view.probes["eventhub.partitions"].at or view.now),
        throttled_requests=hub_metrics.get("ThrottledRequests"),
        quota_errors=hub_metrics.get("QuotaExceededErrors"),
        jobs=view.value("asa.jobs"),
        jobs_at=view.probes["asa.jobs"].at,
        loads=view.value("monitor.asa") or {},
        databases=tuple(_database(view, name) for name in view.databases),
        routes=memory.routes,
        heartbeat=_heartbeat(control),
        landed_enqueued_at=None if newest_enqueued is None else codec.moment(newest_enqueued),
        unrouted=_unrouted(control, memory.routes or (), view.now),
        latency=latency(memory.hops()),
        recent_hops={hop: percentiles(histogram) for hop, histogram in memory.recent_hops().items()},
        landed_rate=memory.landed_rate(),
        clock_skew=_clock_skew(view, control),
        pauses=control.pauses if control is not None else {},
    )


def lags(
    partitions: tuple[PartitionState, ...], sequences: Mapping[str, int], enqueued: Mapping[str, int]
) -> tuple[PartitionLag, ...]:
    """How far each partition's newest landed event is behind its end.

    Where something that was enqueued later has landed (a heartbeat, another company's record), what is left in the partition was read and went
    nowhere that shows (a duplicate): it does not wait. A landed number past the end belongs to a hub that was made anew, and tells nothing.
    """
    newest = max(enqueued.values(), default=None)
    found: list[PartitionLag] = []
    for item in partitions:
        landed = sequences.get(item.partition)
        end = None if item.last_enqueued_at is None else codec.milliseconds(item.last_enqueued_at)
        if item.is_empty or (end is not None and newest is not None and newest >= end):
            found.append(PartitionLag(item.partition, 0))
        elif landed is None or landed > item.last_sequence:
            found.append(PartitionLag(item.partition, None))
        else:
            found.append(
                PartitionLag(item.partition, item.last_sequence - landed, max(0, item.begin_sequence - landed - 1))
            )
    return tuple(found)


def routes(facts: Facts, memory: Memory, thresholds: Thresholds) -> tuple[Route, ...]:
    """Each company with what is known of its records: from the route table, or where that was never read, from what landed."""
    rows = facts.routes if facts.routes is not None else _routes_from_landing(memory)
    by_name = {item.name: item for item in facts.databases}
    return tuple(_route(row, by_name.get(row.database), facts, memory, thresholds) for row in rows)


def _route(row: RouteRow, database: Database | None, facts: Facts, memory: Memory, thresholds: Thresholds) -> Route:
    mark, window = memory.marks.get(row.database), memory.windows.get(row.database)
    last = mark.last_landed.get(row.company_id) if mark is not None else None
    last_landed_at = None if last is None else codec.moment(last)
    events = window.companies.get(row.company_id, {}) if window is not None else {}
    span = window.seconds() if window is not None else 0.0
    known = database is not None and database.reachable is True
    age = facts.age(last_landed_at)
    if row.state in ("paused", "removed"):
        state = row.state
    elif database is not None and database.reachable is False:
        state = "unreachable"
    elif not known or (last_landed_at is None and mark is not None and mark.gaps):
        state = "unknown"
    else:
        state = _flow(age, facts, thresholds)
    return Route(
        company_id=row.company_id,
        company=row.company,
        database=row.database,
        state=state,
        rows=rows_of(mark, row.company_id),
        rows_per_minute=round(sum(events.values()) * 60 / span, 3) if known and span > 0 else None,
        last_landed_at=last_landed_at,
        latency_p95=percentile(events, 0.95),
    )


def _flow(age: float | None, facts: Facts, thresholds: Thresholds) -> str:
    """How the records of a company come whose database answers: held back by the stream, silent for their own reasons, or flowing."""
    stall, behind = facts.stall(), facts.versions_behind()
    held = (stall is not None and stall > thresholds.latency) or (
        behind is not None and behind > thresholds.versions_behind
    )
    if held and age is not None and age > thresholds.latency:
        return "late"
    return "flowing" if age is not None and age <= thresholds.quiet_after else "quiet"


def _routes_from_landing(memory: Memory) -> tuple[RouteRow, ...]:
    found = (
        RouteRow(company, "", database, "active")
        for database, mark in memory.marks.items()
        for company in mark.last_landed
    )
    return tuple(sorted(found, key=lambda row: (row.company_id, row.database)))


def _database(view: View, name: str) -> Database:
    probe, mark, window = view.probes[f"sql.{name}"], view.memory.marks.get(name), view.memory.windows.get(name)
    problem, fresh = probe.problem, view.value(f"sql.{name}") is not None
    if problem is None or problem.code in _UNSEEN or problem.service == SIGN_IN:
        reachable = True if fresh else None
    else:
        reachable = problem.code in ANSWERED
    return Database(
        name=name,
        reachable=reachable,
        companies=tuple(row.company_id for row in view.memory.routes or () if row.database == name),
        last_landed_at=codec.moment(max(mark.last_landed.values())) if mark is not None and mark.last_landed else None,
        rate=window.recent_rate(RECENT_MILLISECONDS) if window is not None else None,
        rows=view.value(f"rows.{name}"),
        problem=problem,
    )


def _landed_ends(memory: Memory, control: Control | None) -> tuple[dict[str, int], dict[str, int]]:
    """The newest landed sequence number and enqueue time per partition, heartbeats and unrouted records included."""
    sequences, enqueued = memory.newest("sequences"), memory.newest("enqueued")
    if control is None:
        return sequences, enqueued
    ends = [(beat.partition, beat.sequence, beat.enqueued_at) for beat in control.beats]
    ends += [(row.partition, row.sequence, row.enqueued_at) for row in control.unrouted if row.enqueued_at is not None]
    for partition, sequence, at in ends:
        sequences[partition] = max(sequence, sequences.get(partition, sequence))
        enqueued[partition] = max(codec.milliseconds(at), enqueued.get(partition, 0))
    return sequences, enqueued


def _heartbeat(control: Control | None) -> Heartbeat | None:
    if control is None or control.server_time is None:
        return None
    newest = max(control.beats, key=lambda beat: beat.sent_at, default=None)
    if newest is None:
        return Heartbeat(None, None, None)
    age = (control.server_time - newest.sent_at) / timedelta(seconds=1)
    # Clocks that disagree make it negative: that is unknown, not young.
    return Heartbeat(age if age >= 0 else None, newest.enqueued_at, newest.landed_at)


def _unrouted(control: Control | None, rows: Sequence[RouteRow], now: datetime) -> Unrouted | None:
    """What no route took.

    That nothing of a company lands whose route was paused or removed on purpose is as wished. What came before every job had read a change of its
    route stands there beside what landed, or is from before the route.
    """
    if control is None:
        return None
    wished = {row.company_id for row in rows if row.state != "active"}
    settling = timedelta(seconds=SETTLING_SECONDS)
    settled = {row.company_id: row.since + settling for row in rows if row.since is not None}
    by_company: defaultdict[str, int] = defaultdict(int)
    for row in control.unrouted:
        recent = row.enqueued_at is None or now - row.enqueued_at <= _UNROUTED_REACH
        changing = row.enqueued_at is not None and row.enqueued_at < settled.get(row.company_id, row.enqueued_at)
        if recent and not changing and row.company_id not in wished:
            by_company[row.company_id] += row.events
    return Unrouted(sum(by_company.values()), tuple(sorted(by_company.items(), key=lambda item: (-item[1], item[0]))))


def _clock_skew(view: View, control: Control | None) -> float | None:
    """Seconds by which the databases' clock is ahead of this machine's, the farthest of them."""
    pairs = [(control.server_time, control.asked_at)] if control is not None and control.server_time is not None else []
    answers = (view.value(f"sql.{name}") for name in view.databases)
    pairs += [(answer.server_time, answer.asked_at) for answer in answers if isinstance(answer, Landed)]
    return max(((server - asked) / timedelta(seconds=1) for server, asked in pairs), key=abs, default=None)
