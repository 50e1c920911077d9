"""What the screens draw of one environment: its newest snapshot and what the app has seen of it so far.

Immutable; `with_snapshot` gives the next one. Rates are kept for the sparklines, calls for the calls a minute. A
fault is a sentence that stays with its own environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo

from lpmops.model import STAGES, Health, Kind, Reading, Snapshot, Stage, Turn
from lpmops.tui import words
from lpmops.tui.feed import Limits

RATES_KEPT = 120
_MINUTE = timedelta(minutes=1)
_ORDER = {Kind.PROD: 0, Kind.TEST: 1, Kind.DEV: 2}


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """One environment as drawn. `live` once a snapshot came from the subscription rather than from the store; `settled` once the store was asked."""

    name: str
    kind: Kind
    snapshot: Snapshot | None = None
    rates: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    calls: tuple[tuple[datetime, int], ...] = ()
    fault: str = ""
    live: bool = False
    settled: bool = False
    reading: bool = False

    @property
    def is_prod(self) -> bool:
        """Whether this environment is guarded."""
        return self.kind is Kind.PROD

    @property
    def title(self) -> str:
        """What names it on every screen: PROD for production, with its own name where that says something else."""
        if self.name.lower() == self.kind.value:
            return self.name.upper() if self.is_prod else self.name
        return f"{'PROD' if self.is_prod else self.kind.value} · {self.name}"

    @property
    def order(self) -> int:
        """0 for production, rising as less depends on it."""
        return _ORDER.get(self.kind, len(_ORDER))

    def stage(self, name: str) -> Stage | None:
        """The stage of that name, None where nothing is known."""
        return self.snapshot.stages.get(name) if self.snapshot else None

    @property
    def companies_known(self) -> bool:
        """Whether the companies were read; none listed while the databases could not be read says nothing."""
        if self.snapshot is None:
            return False
        sql = self.stage("sql")
        return bool(self.snapshot.routes) or (sql is not None and sql.health in (Health.HEALTHY, Health.DEGRADED))

    def calls_in_last_minute(self, now: datetime) -> int:
        """Calls to the cloud services that the snapshots of the last minute took."""
        return sum(calls for at, calls in self.calls if now - at <= _MINUTE)


@dataclass(frozen=True, slots=True)
class TimeLine:
    """The time line while it is open: its window, what happened in it, and the moment that is shown (None: now).

    `wanted` is the moment that was asked for last; `before` the health of an environment from a moment at or before the
    start on; `kept` the oldest and newest moment that can be shown; `seconds` the length of one step.
    """

    start: datetime
    end: datetime
    moment: datetime | None = None
    wanted: datetime | None = None
    turns: tuple[Turn, ...] = ()
    before: tuple[tuple[datetime, str, Health], ...] = ()
    kept: tuple[datetime, datetime] | None = None
    seconds: float = 60.0
    fault: str = ""

    @property
    def loading(self) -> bool:
        """Whether the moment that was asked for is still being read."""
        return self.wanted != self.moment


@dataclass(frozen=True, slots=True)
class Activity:
    """What is being changed from here: `armed` environments with the seconds left, lines of what runs, and how many operations wait."""

    armed: Mapping[str, float] = field(default_factory=dict)
    going: tuple[str, ...] = ()
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a screen draws from: the environments, the time, the limits, whether the display is held, the time line.

    `warnings` are what is wrong with the store or the reading on this machine.
    In the past `now` is the moment that is shown, so that every age is what it was then.
    """

    views: tuple[EnvironmentView, ...]
    now: datetime
    limits: Limits = field(default_factory=Limits)
    held: bool = False
    line: TimeLine | None = None
    zone: tzinfo = UTC
    today: datetime | None = None
    warnings: tuple[str, ...] = ()
    activity: Activity = field(default_factory=Activity)

    @property
    def past(self) -> datetime | None:
        """The moment of the past that is shown, None where it is now."""
        return self.line.moment if self.line else None

    def view(self, name: str) -> EnvironmentView | None:
        """The environment of that name."""
        return next((view for view in self.views if view.name == name), None)

    def is_old(self, at: datetime | None) -> bool:
        """Whether a value read at `at` has missed two refreshes."""
        seconds = words.age_seconds(self.now, at)
        return seconds is None or seconds > 2 * self.limits.refresh

    def is_late(self, at: datetime | None) -> bool:
        """Whether a value read at `at` has missed one refresh, so that its age is worth the room."""
        seconds = words.age_seconds(self.now, at)
        return seconds is None or seconds > self.limits.refresh


def with_snapshot(view: EnvironmentView, snapshot: Snapshot, *, live: bool = True) -> EnvironmentView:
    """`view` after `snapshot`: rates and calls carried on, an earlier fault forgotten."""
    if not live:
        return replace(view, snapshot=snapshot, settled=True)
    rates = {
        name: (*view.rates.get(name, ()), _rate(snapshot.stages.get(name)))[-RATES_KEPT:]
        for name in (*STAGES, *view.rates)
    }
    calls = (
        *(entry for entry in view.calls if abs(snapshot.taken_at - entry[0]) <= _MINUTE),
        (snapshot.taken_at, snapshot.calls),
    )
    return replace(view, snapshot=snapshot, rates=rates, calls=calls, fault="", live=True, reading=False)


def with_history(view: EnvironmentView, rates: Mapping[str, Sequence[float | None]]) -> EnvironmentView:
    """`view` with the recorded rates before those it has seen itself."""
    merged = {name: (*rates.get(name, ()), *view.rates.get(name, ()))[-RATES_KEPT:] for name in {*rates, *view.rates}}
    return replace(view, rates=merged)


def _rate(stage: Stage | None) -> float | None:
    return stage.rate if stage else None


def read_at(snapshot: Snapshot, stage: Stage, name: str) -> datetime | None:
    """When the value `name` of a stage was read: its own reading says so, else the snapshot does."""
    found: Reading | None = next((reading for reading in stage.readings if reading.name == name), None)
    return found.at if found and found.at else snapshot.taken_at
