"""How `lpmops status` looks: snapshots as table lines, and as one flat row each for csv. Pure, apart from asking whether colour is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lpmops.cli.output import paint, table
from lpmops.model import STAGES, Health, Snapshot, Stage, Suspect, to_data
from lpmops.plain_text import counted, plain

_SIGNS = {
    Health.HEALTHY: ("●", "green"),
    Health.DEGRADED: ("▲", "yellow"),
    Health.DOWN: ("✖", "red"),
    Health.UNKNOWN: ("○", "grey"),
}
_TITLES = {"cdf": "Delta CDF", "eventhub": "Event Hub", "asa": "Stream Analytics", "sql": "SQL"}
_ROUTES_SHOWN = 20
_TROUBLED_FIRST = {"unreachable": 0, "unknown": 1, "late": 2, "quiet": 3, "paused": 4, "flowing": 5}


def lines(snapshots: Sequence[Snapshot], now: datetime, *, routes: bool) -> list[str]:
    """The table: each environment with its stages, its latency, its suspects and, where asked for, its companies."""
    found: list[str] = []
    for snapshot in snapshots:
        if found:
            found.append("")
        found += _environment(snapshot, now)
        if routes:
            found += _routes(snapshot, now)
    return found


def _environment(snapshot: Snapshot, now: datetime) -> Iterator[str]:
    name = snapshot.environment.upper() if snapshot.kind.value == "prod" else snapshot.environment
    companies = counted(len(snapshot.routes), "company", "companies")
    yield f"{sign(snapshot.health)} {paint(plain(name), 'bold')}  {snapshot.health.value}, {companies}, seen {age(snapshot.taken_at, now)} ago"
    stages = [snapshot.stages[stage] for stage in STAGES if stage in snapshot.stages]
    rows = [_stage(stage) for stage in stages]
    yield from (f"  {line}" for line in table(("stage", "state", "lag", "rate", "why"), rows, frozenset({2, 3})))
    yield f"  latency  {_latency(snapshot)}"
    yield from (
        f"  landed   {plain(str(each.value))}"
        for stage in stages
        for each in stage.readings
        if each.name == "reconcile"
    )
    for suspect in snapshot.suspects:
        yield from _suspect(suspect)


def _stage(stage: Stage) -> tuple[str, ...]:
    lag = (
        "-"
        if stage.lag is None
        else f"{stage.lag:,.1f} s"
        if stage.lag_unit == "s"
        else f"{stage.lag:,.0f} {stage.lag_unit}"
    )
    rate = "-" if stage.rate is None else f"{stage.rate:,.1f}/s"
    return (
        f"{sign(stage.health)} {_TITLES.get(stage.name, stage.name)}",
        plain(stage.state),
        lag,
        rate,
        plain(stage.reason),
    )


def _latency(snapshot: Snapshot) -> str:
    latency = snapshot.latency
    if latency.p50 is None:
        return "not measured in the last minutes"
    parts = [
        f"{name} {_seconds(value)}"
        for name, value in (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99))
    ]
    hops = [f"{hop.replace('_', ' ')} {_seconds(found.p95)}" for hop, found in latency.hops.items()]
    return "  ".join(parts) + f"  of {latency.events:,} records" + (f"   (p95: {', '.join(hops)})" if hops else "")


def _suspect(suspect: Suspect) -> Iterator[str]:
    yield f"  {paint('▲', 'yellow')} {paint(plain(suspect.id), 'bold')} ({suspect.confidence.value}): {plain(suspect.summary)}"
    yield from (f"      {plain(evidence)}" for evidence in suspect.evidence)
    yield from (f"      next: {plain(step)}" for step in suspect.next)


def _routes(snapshot: Snapshot, now: datetime) -> Iterator[str]:
    worst = sorted(snapshot.routes, key=lambda route: (_TROUBLED_FIRST.get(route.state, 1), route.company_id))
    rows = [
        (
            plain(route.company_id),
            plain(route.company),
            plain(route.database),
            plain(route.state),
            "-" if route.rows is None else f"{route.rows:,}",
            "-" if route.rows_per_minute is None else f"{route.rows_per_minute:,.1f}",
            "-" if route.last_landed_at is None else age(route.last_landed_at, now),
            _seconds(route.latency_p95),
        )
        for route in worst[:_ROUTES_SHOWN]
    ]
    if rows:
        head = ("company", "name", "database", "state", "rows", "/min", "landed", "p95")
        yield from (f"  {line}" for line in table(head, rows, frozenset({4, 5, 6, 7})))
    if len(worst) > _ROUTES_SHOWN:
        yield f"  and {len(worst) - _ROUTES_SHOWN:,} more; all of them: -o json"


def flat(snapshot: Snapshot) -> Mapping[str, Any]:
    """One snapshot as one row."""
    row: dict[str, Any] = {
        "environment": snapshot.environment,
        "kind": snapshot.kind.value,
        "taken_at": to_data(snapshot.taken_at),
        "health": snapshot.health.value,
    }
    for name in STAGES:
        stage = snapshot.stages.get(name)
        for part in ("health", "state", "lag", "lag_unit", "rate"):
            row[f"{name}_{part}"] = to_data(getattr(stage, part)) if stage is not None else None
    row |= {f"latency_{part}": getattr(snapshot.latency, part) for part in ("p50", "p95", "p99", "events")}
    row["heartbeat_age"] = snapshot.heartbeat_age
    row["companies"] = len(snapshot.routes)
    row["suspects"] = " ".join(suspect.id for suspect in snapshot.suspects)
    return row


def age(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0.0, (now - moment).total_seconds())
    for limit, unit, size in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def sign(health: Health) -> str:
    """The sign of a health, in its colour where colour goes."""
    sign, colour = _SIGNS[health]
    return paint(sign, colour)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
