"""Worlds to draw: snapshots of a good day and of bad ones, and a feed that answers from memory on a clock that stands still."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from lpmops.control.access_rows import Right
from lpmops.control.findings import Finding
from lpmops.control.hands import StopRequest
from lpmops.control.reconciled import Asked, Reconciliation
from lpmops.control.versionline import VersionLine
from lpmops.errors import NotFoundError, UsageError
from lpmops.model import (
    CallMinute,
    Confidence,
    Credential,
    Health,
    HubEvent,
    Kind,
    LandedRecord,
    Latency,
    LogLine,
    Percentiles,
    Reading,
    Route,
    Snapshot,
    Stage,
    Suspect,
    Turn,
)
from lpmops.versions import Versions

NOW = datetime(2026, 11, 23, 14, 3, 12, tzinfo=UTC)
NAMES = (
    "Harbour 911", "Acme County", "North Ridge PSAP", "Lakeside Regional Dispatch", "Sheriff of Gray County", "Metro Fire & Rescue",
    "Pine Valley", "Twin Rivers Emergency Communications District", "Öland räddningstjänst", "St. John's EMS", "Port Authority", "Mesa Verde",
)  # fmt: skip


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def reading(name: str, value: float | str | None, unit: str = "", age: float = 3.0, source: str = "test") -> Reading:
    return Reading(name, value, unit, ago(age), source)


def routes(count: int, databases: int = 25) -> tuple[Route, ...]:
    return tuple(
        Route(
            company_id=str(1001 + number),
            company=NAMES[number % len(NAMES)] + ("" if number < len(NAMES) else f" {number // len(NAMES)}"),
            database=f"lpm-{number % databases + 1:02d}",
            state="flowing",
            rows=18_442_120 // (number + 1) + number,
            rows_per_minute=812 / (number + 1),
            last_landed_at=ago(2 + number % 40),
            latency_p95=4.0 + number % 9,
        )
        for number in range(count)
    )


def good(name: str, kind: Kind, *, companies: int = 12, rate: float = 94.0, age: float = 3.0) -> Snapshot:
    stages = {
        "cdf": Stage("cdf", Health.HEALTHY, "running", lag=1, lag_unit="versions", rate=rate, readings=(
            reading("version", 48_112), reading("batch", 2.1, "s"), reading("job", "running"))),
        "eventhub": Stage("eventhub", Health.HEALTHY, "active", lag=12, lag_unit="events", rate=rate, readings=(
            reading("throughput_units", 2), reading("partitions", 8), reading("throttled", 0, age=64), reading("retention", 604_800.0, "s"))),
        "asa": Stage("asa", Health.HEALTHY, "Running", lag=2.0, lag_unit="s", rate=rate, readings=(
            reading("streaming_units", 6), reading("utilisation", 34.0, "%", age=71))),
        "sql": Stage("sql", Health.HEALTHY, "online", lag=2.0, lag_unit="s", rate=rate, readings=(
            reading("databases", 25), reading("unrouted", 0), reading("last_landed", "14:03:10Z"))),
    }  # fmt: skip
    return Snapshot(
        environment=name,
        kind=kind,
        taken_at=ago(age),
        health=Health.HEALTHY,
        stages=stages,
        latency=Latency(2.9, 5.1, 6.2, 5_640, {
            "commit_to_sent": Percentiles(1.1, 2.4, 3.1),
            "sent_to_enqueued": Percentiles(0.1, 0.3, 0.4),
            "enqueued_to_landed": Percentiles(1.0, 1.5, 1.6),
        }),
        routes=routes(companies),
        credential=Credential("ok", "ops@lpm.example", NOW + timedelta(minutes=41)),
        calls=7,
        seconds=0.4,
        heartbeat_age=3.2,
    )  # fmt: skip


def paused(name: str, kind: Kind) -> Snapshot:
    base = good(name, kind, rate=40.0)
    asa = Stage("asa", Health.DEGRADED, "paused", "paused by dana 12 min ago: schema change", rate=0.0)
    hops = {"commit_to_sent": Percentiles(1.0, 2.0, 3.0)}
    return replace(base, health=Health.DEGRADED, stages={**base.stages, "asa": asa}, latency=Latency(hops=hops))


def saturated(name: str, kind: Kind, companies: int = 812) -> Snapshot:
    base = good(name, kind, companies=companies, rate=940.0)
    asa = Stage(
        "asa",
        Health.DEGRADED,
        "Running",
        "streaming units at 97 % for 6 min",
        lag=48.0,
        lag_unit="s",
        rate=310.0,
        readings=(
            reading("streaming_units", 6),
            reading("utilisation", 97.0, "%"),
            reading("backlog", 41_204, "events"),
        ),
    )
    hub = replace(base.stages["eventhub"], lag=41_204)
    sql = replace(base.stages["sql"], rate=310.0)
    first = replace(base.routes[0], state="quiet", rows_per_minute=0.0, last_landed_at=ago(38 * 60), latency_p95=None)
    return replace(
        base,
        health=Health.DEGRADED,
        stages={**base.stages, "asa": asa, "eventhub": hub, "sql": sql},
        latency=Latency(31.0, 50.0, 54.6, 18_600, {
            "commit_to_sent": Percentiles(1.1, 2.4, 3.2),
            "sent_to_enqueued": Percentiles(0.1, 0.3, 0.4),
            "enqueued_to_landed": Percentiles(29.0, 47.0, 51.0),
        }),
        routes=(first, *base.routes[1:]),
        suspects=(
            Suspect("asa.saturated", "asa", Confidence.SURE, "Stream Analytics can't keep up with the hub",
                    ("streaming units at 97 % for 6 min", "backlog 41,204 events and rising", "SQL is idle at 12 % of its log rate"),
                    ("lpmops asa scale -e prod --units 2/3",)),
            Suspect("upstream.quiet", "sql", Confidence.POSSIBLE, "company 1001 has sent nothing for 38 min; the usual gap is 4 min",
                    ("the source table has no row of it either",), ("lpmops route list -e prod --company 1001",)),
        ),
    )  # fmt: skip


def unreadable(name: str, kind: Kind) -> Snapshot:
    stages = {
        stage: Stage(stage, Health.UNKNOWN, "unknown", "the token has expired")
        for stage in ("cdf", "eventhub", "asa", "sql")
    }
    return Snapshot(
        name,
        kind,
        ago(3),
        Health.UNKNOWN,
        stages,
        credential=Credential("expired", "ops@lpm.example", ago(600), "az login --tenant lpm.example"),
    )


def rates(level: float, number: int = 40) -> dict[str, tuple[float | None, ...]]:
    wave = (1.0, 1.1, 0.8, 0.9, 1.2, 1.5, 1.3, 1.0, 0.7, 0.6, 0.9)
    values = tuple(level * wave[index % len(wave)] for index in range(number))
    return dict.fromkeys(("cdf", "eventhub", "asa", "sql"), values)


def moved(value: Any, by: timedelta) -> Any:
    """A value as it would have been at another time: every moment in it moved."""
    if isinstance(value, datetime):
        return value + by
    if isinstance(value, tuple):
        return tuple(moved(each, by) for each in value)
    if isinstance(value, dict):
        return {key: moved(each, by) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: moved(getattr(value, each.name), by) for each in fields(value)})
    return value


def taken(snapshot: Snapshot, at: datetime) -> Snapshot:
    """A snapshot as if it had been taken at another moment."""
    shifted = moved(snapshot, at - snapshot.taken_at)
    assert isinstance(shifted, Snapshot)
    return shifted


class MemoryFeed:
    """A feed whose answers are set by the test. `hanging` holds every call that may hang, until the test lets go."""

    def __init__(self, *snapshots: Snapshot, extra: Sequence[tuple[str, Kind]] = (), hanging: bool = False) -> None:
        self.snapshots = {snapshot.environment: snapshot for snapshot in snapshots}
        self.kinds = [*((snapshot.environment, snapshot.kind) for snapshot in snapshots), *extra]
        self.time = NOW
        self.callbacks: list[Callable[[Snapshot], None]] = []
        self.refreshed: list[str] = []
        self.closed = False
        self.broken: Exception | None = None
        self.kept: dict[tuple[str, datetime], Snapshot] = {}
        self.happened: list[Turn] = []
        self.numbers: dict[str, list[tuple[datetime, float]]] = {}
        self.landed: list[LandedRecord] = []
        self.minutes: list[CallMinute] = []
        self.written: list[LogLine] = []
        self.came: list[HubEvent] = []
        self.found: list[Finding] = []
        self.line: VersionLine | None = None
        self.counts: dict[str, int] = {}
        self.compared: list[Asked] = []
        self.comparing = threading.Event()
        self.comparing.set()
        self.answering: Callable[[Asked], Reconciliation] = lambda asked: Reconciliation(
            "prod", "table", NOW, asked.versions, (), ()
        )
        self.held: list[Right] = []
        self.asked: list[tuple[str, str]] = []
        self.refusing: dict[str, Exception] = {}
        self.past_broken: dict[str, Exception] = {}
        self.past_hanging: dict[str, threading.Event] = {}
        self.past_asked: list[tuple[str, datetime]] = []
        self.let_go = threading.Event()
        if not hanging:
            self.let_go.set()

    def environments(self) -> Sequence[tuple[str, Kind]]:
        return self.kinds

    def now(self) -> datetime:
        return self.time

    def latest(self, environment: str) -> Snapshot | None:
        self._answer()
        return self.snapshots.get(environment)

    def rates(self, environment: str) -> Mapping[str, Sequence[float | None]]:
        snapshot = self.snapshots.get(environment)
        level = snapshot.stages["cdf"].rate if snapshot else None
        return rates(level) if level else {}

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        self._answer()
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def refresh(self, environment: str) -> None:
        self.refreshed.append(environment)
        self._answer()

    def close(self) -> None:
        self._answer()
        self.closed = True

    # The past -----------------------------------------------------------------------------------------------------------------------------------

    def keep(self, *snapshots: Snapshot) -> None:
        for snapshot in snapshots:
            self.kept[snapshot.environment, snapshot.taken_at] = snapshot

    def extent(self, environment: str) -> tuple[datetime, datetime] | None:
        self._answer_of_the_past(environment)
        kept = [taken for name, taken in self.kept if name == environment]
        return (min(kept), max(kept)) if kept else None

    def at(self, environment: str, moment: datetime) -> Snapshot | None:
        self.past_asked.append((environment, moment))
        self._answer_of_the_past(environment)
        kept = [taken for name, taken in self.kept if name == environment and taken <= moment]
        return self.kept[environment, max(kept)] if kept else None

    def rates_until(self, environment: str, moment: datetime) -> Mapping[str, Sequence[float | None]]:
        snapshot = self.at(environment, moment)
        level = snapshot.stages["cdf"].rate if snapshot else None
        return rates(level) if level else {}

    def turns(self, environment: str, start: datetime, end: datetime) -> Sequence[Turn]:
        self._answer_of_the_past(environment)
        return [turn for turn in self.happened if turn.environment == environment and start <= turn.at <= end]

    def series(self, environment: str, name: str, start: datetime, end: datetime) -> Sequence[tuple[datetime, float]]:
        self._answer()
        return [(at, value) for at, value in self.numbers.get(name, ()) if start <= at <= end]

    # Questions ----------------------------------------------------------------------------------------------------------------------------------

    def records(self, environment: str, company_id: str, until: datetime | None = None) -> Sequence[LandedRecord]:
        self._ask("records", environment)
        found = [each for each in self.landed if each.company_id == company_id]
        return [each for each in found if until is None or each.landed_at is None or each.landed_at <= until]

    def calls(self, environment: str, company_id: str, until: datetime | None = None) -> Sequence[CallMinute]:
        self._ask("calls", environment)
        return [each for each in self.minutes if until is None or each.at <= until]

    def all_calls(self, environment: str, until: datetime | None = None) -> Sequence[CallMinute]:
        self._ask("all calls", environment)
        return [each for each in self.minutes if until is None or each.at <= until]

    def events(self, environment: str, company_id: str = "") -> Sequence[HubEvent]:
        self._ask("events", environment)
        return [each for each in self.came if company_id in ("", each.company_id)]

    def log_sources(self, environment: str) -> Sequence[str]:
        return ("asa", "databricks", "eventhub")

    def logs(self, environment: str, source: str, until: datetime | None = None) -> Sequence[LogLine]:
        self._ask("logs", environment)
        found = [each for each in self.written if each.source == source]
        return [each for each in found if until is None or each.at is None or each.at <= until]

    def assessment(self, environment: str) -> Sequence[Finding]:
        self._ask("assessment", environment)
        return list(self.found)

    def rights(self, environment: str) -> Sequence[Right]:
        self._ask("rights", environment)
        return list(self.held)

    def versions(self, environment: str) -> VersionLine:
        self._ask("versions", environment)
        if self.line is None:
            raise NotFoundError("There is no such table.", hint="lpmops doctor -e prod")
        return self.line

    def changes_in(self, environment: str, versions: Versions) -> Mapping[str, int]:
        self._ask("changes in", environment)
        return dict(self.counts)

    def reconcile(
        self, environment: str, asked: Asked, tell: Callable[[str], None], stop: StopRequest
    ) -> Reconciliation:
        self.compared.append(asked)
        self._ask("reconcile", environment)
        tell("span 1 of 2: versions 0:2000")
        self.comparing.wait(60)
        if stop.requested:
            raise UsageError("It was stopped.")
        return self.answering(asked)

    def places(self) -> Sequence[tuple[str, str]]:
        return (
            ("configuration", "/home/ops/.config/lpmops/lpmops.toml"),
            ("store", "/home/ops/.local/state/lpmops/lpmops.db"),
        )

    def warnings(self) -> Sequence[str]:
        return ()

    def _ask(self, what: str, environment: str) -> None:
        self._answer()
        self.asked.append((what, environment))
        if what in self.refusing:
            raise self.refusing[what]

    def push(self, snapshot: Snapshot) -> None:
        for callback in list(self.callbacks):
            callback(snapshot)

    def _answer_of_the_past(self, environment: str) -> None:
        self._answer()
        if environment in self.past_hanging:
            self.past_hanging[environment].wait(60)
        if environment in self.past_broken:
            raise self.past_broken[environment]

    def _answer(self) -> None:
        self.let_go.wait(60)
        if self.broken:
            raise self.broken


def good_day() -> MemoryFeed:
    return MemoryFeed(
        good("dev", Kind.DEV), good("test", Kind.TEST, rate=40.0), good("prod", Kind.PROD, companies=812, rate=940.0)
    )


def bad_day() -> MemoryFeed:
    return MemoryFeed(good("dev", Kind.DEV), paused("test", Kind.TEST), saturated("prod", Kind.PROD))


def night(hour: int, minute: int, second: int = 0) -> datetime:
    """A moment of the night before now."""
    return NOW.replace(hour=hour, minute=minute, second=second, microsecond=0)


def throttled(name: str, kind: Kind) -> Snapshot:
    """What began as too few streaming units has reached the databases."""
    base = saturated(name, kind)
    sql = replace(
        base.stages["sql"],
        health=Health.DOWN,
        state="throttled",
        reason="lpm-07 refuses writes: log rate at 100 %",
        rate=0.0,
    )
    cause = Suspect(
        "sql.throttled",
        "sql",
        Confidence.SURE,
        "database lpm-07 is at its log rate and refuses writes",
        ("log write 100 % for 3 min", "errors 40501 from 4 of 25 databases"),
        ("lpmops route list -e prod --database lpm-07",),
    )
    return replace(base, health=Health.DOWN, stages={**base.stages, "sql": sql}, suspects=(cause, *base.suspects))


@cache
def _looks_of_a_bad_night() -> tuple[tuple[Snapshot, ...], ...]:
    """What was seen in it, look by look; made once, as moving all moments of hundreds of snapshots takes longer than most tests of it."""
    looks = []
    for minute in range(120):
        at = night(1, 59, 57) + timedelta(minutes=minute)
        prod = (
            throttled("prod", Kind.PROD)
            if night(3, 18, 57) <= at < night(3, 30, 57)
            else saturated("prod", Kind.PROD)
            if night(3, 3, 57) <= at < night(3, 38, 57)
            else good("prod", Kind.PROD, companies=812, rate=940.0)
        )
        test = (
            unreadable("test", Kind.TEST)
            if night(3, 9, 57) <= at < night(3, 24, 57)
            else good("test", Kind.TEST, rate=40.0)
        )
        looks.append(tuple(taken(each, at) for each in (good("dev", Kind.DEV), test, prod)))
    for minutes in (90, 30, 1):
        at = NOW - timedelta(minutes=minutes)
        looks.append(tuple(taken(each, at) for each in bad_day().snapshots.values()))
    return tuple(looks)


def a_bad_night() -> MemoryFeed:
    """A bad day after a worse night: production saturated at 03:04, down at 03:19, well again at 03:39; test signed out from 03:10 to 03:25."""
    feed = bad_day()
    for look in _looks_of_a_bad_night():
        feed.keep(*look)

    def turn(at: datetime, name: str, what: str, health: Health, *, began: bool = True) -> None:
        kind = "health" if what in {each.value for each in Health} else "suspect"
        feed.happened.append(Turn(at, name, kind, what, health, began))

    down, degraded, healthy, unknown = Health.DOWN, Health.DEGRADED, Health.HEALTHY, Health.UNKNOWN
    turn(night(2, 50, 57), "dev", "cdf.lagging", degraded)
    turn(night(2, 53, 57), "dev", "cdf.lagging", healthy, began=False)
    turn(night(3, 3, 57), "prod", "degraded", degraded)
    turn(night(3, 3, 57), "prod", "asa.saturated", degraded)
    turn(night(3, 9, 57), "test", "unknown", unknown)
    turn(night(3, 9, 57), "test", "auth.expired", unknown)
    turn(night(3, 18, 57), "prod", "down", down)
    turn(night(3, 18, 57), "prod", "sql.throttled", down)
    turn(night(3, 24, 57), "test", "healthy", healthy)
    turn(night(3, 24, 57), "test", "auth.expired", healthy, began=False)
    turn(night(3, 30, 57), "prod", "degraded", degraded)
    turn(night(3, 30, 57), "prod", "sql.throttled", degraded, began=False)
    turn(night(3, 38, 57), "prod", "healthy", healthy)
    turn(night(3, 38, 57), "prod", "asa.saturated", healthy, began=False)
    turn(NOW - timedelta(minutes=30), "prod", "degraded", degraded)
    turn(NOW - timedelta(minutes=30), "prod", "asa.saturated", degraded)
    turn(NOW - timedelta(minutes=12), "test", "degraded", degraded)
    return feed
