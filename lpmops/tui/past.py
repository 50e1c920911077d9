"""The time machine: which moment is shown, and what was known then, read aside so that scrubbing never waits.

What is drawn changes only when the whole moment has been read, so that no screen mixes two moments; meanwhile the line
says which one is being read. Moments in between that nobody stopped at are skipped. Methods are for the loop, apart
from the reading itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lpmops.errors import LpmopsError
from lpmops.model import Kind, Turn
from lpmops.tui.aside import Aside
from lpmops.tui.faults import sentence_of
from lpmops.tui.feed import Past
from lpmops.tui.view import EnvironmentView, TimeLine

SPANS = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7))
_STEPS = 60
_NOTHING = "nothing was kept of this moment"


@dataclass(frozen=True, slots=True)
class _Moment:
    """What was known at one moment, of every environment."""

    at: datetime
    views: tuple[EnvironmentView, ...]


class TimeMachine:
    """The past of one app. `wake` is called from any thread when something has been read."""

    def __init__(self, past: Past, environments: Sequence[tuple[str, Kind]], wake: Callable[[], None]) -> None:
        self._past, self._environments, self._wake = past, tuple(environments), wake
        self._aside = Aside(self._failed)
        self._lock = threading.Lock()
        self._line: TimeLine | None = None
        self._span = 1
        self._wanted: datetime | None = None
        self._shown: _Moment | None = None

    # What is drawn -------------------------------------------------------------------------------------------------------------------------------

    @property
    def line(self) -> TimeLine | None:
        """The time line, None while it is closed; its `moment` is the one that is shown, which has been read whole."""
        with self._lock:
            shown = self._shown.at if self._shown else None
            return replace(self._line, moment=shown, loading=self._wanted != shown) if self._line else None

    @property
    def views(self) -> tuple[EnvironmentView, ...] | None:
        """What was known at the moment that is shown, None while now is shown."""
        with self._lock:
            return self._shown.views if self._shown else None

    # Moving --------------------------------------------------------------------------------------------------------------------------------------

    def open(self, now: datetime) -> None:
        """Opens the line with now at its right end."""
        self._place(now, now)

    def close(self) -> None:
        """Back to now, and the line goes."""
        with self._lock:
            self._line = self._wanted = self._shown = None

    def now(self, now: datetime) -> None:
        """Back to now; the line stays."""
        with self._lock:
            self._wanted = self._shown = None
        self._place(now, now)

    def step(self, by: int, now: datetime) -> None:
        """So many steps on, or back where it is negative."""
        self.go((self._wanted or now) + by * self._step, now)

    def go(self, moment: datetime, now: datetime) -> None:
        """To a moment; one that is not over yet is now, one before anything was kept is the first that was."""
        if self._line is None:
            self.open(now)
        kept = self._line.kept if self._line else None
        if kept is not None and moment < kept[0]:
            moment = kept[0]
        if moment > now - self._step / 2:
            self.now(now)
            return
        with self._lock:
            self._wanted = moment
        self._place(moment, now)
        self._aside.run("reading the past", self._read)

    def turn(self, by: int, now: datetime) -> bool:
        """To the turn of events before or after the moment; False where the line has none."""
        here, turns = self._wanted or now, self._line.turns if self._line else ()
        slack = timedelta(milliseconds=1)
        earlier = [turn.at for turn in turns if turn.at < here - slack]
        later = [turn.at for turn in turns if turn.at > here + slack]
        found = max(earlier, default=None) if by < 0 else min(later, default=None)
        if found is not None:
            # What began at that moment is shown by the snapshot of that moment.
            self.go(found, now)
        return found is not None

    def zoom(self, by: int, now: datetime) -> bool:
        """A shorter or a longer line; False where there is none."""
        span = self._span + by
        if self._line is None or not 0 <= span < len(SPANS):
            return False
        self._span = span
        self._place(self._wanted or now, now, centred=True)
        return True

    @property
    def _step(self) -> timedelta:
        return SPANS[self._span] / _STEPS

    def _place(self, moment: datetime, now: datetime, *, centred: bool = False) -> None:
        """Moves the window so that `moment` lies in it, and reads what happened there."""
        span, line = SPANS[self._span], self._line
        if line is not None and not centred and line.start <= moment <= line.end and line.end - line.start == span:
            return
        end = min(now, moment + span / 2)
        moved = TimeLine(
            end - span,
            end,
            turns=line.turns if line else (),
            kept=line.kept if line else None,
            seconds=self._step.total_seconds(),
        )
        with self._lock:
            self._line = moved
        self._aside.run("reading the time line", self._read_line)

    # Reading, on daemon threads ------------------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while (wanted := self._next()) is not None:
            views = tuple(self._view(name, kind, wanted) for name, kind in self._environments)
            with self._lock:
                if self._wanted is not None:
                    self._shown = _Moment(wanted, views)
            self._wake()

    def _next(self) -> datetime | None:
        with self._lock:
            shown = self._shown.at if self._shown else None
            return None if self._wanted == shown else self._wanted

    def _view(self, name: str, kind: Kind, moment: datetime) -> EnvironmentView:
        try:
            snapshot = self._past.at(name, moment)
            rates = {stage: tuple(values) for stage, values in self._past.rates_until(name, moment).items()}
        except LpmopsError as error:
            return EnvironmentView(name, kind, fault=error.message, settled=True)
        fault = _NOTHING if snapshot is None else ""
        return EnvironmentView(name, kind, snapshot, rates, fault=fault, settled=True)

    def _read_line(self) -> None:
        while True:
            line = self._line
            if line is None:
                return
            turns: list[Turn] = []
            kept: list[tuple[datetime, datetime]] = []
            fault = ""
            for name, _ in self._environments:
                try:
                    turns += self._past.turns(name, line.start, line.end)
                    extent = self._past.extent(name)
                except LpmopsError as error:
                    fault = error.message
                    continue
                kept += [extent] if extent else []
            whole = (min(start for start, _ in kept), max(end for _, end in kept)) if kept else None
            turns.sort(key=lambda turn: turn.at)
            with self._lock:
                # The window may have been moved meanwhile; then what was read is of the wrong one.
                if self._line is not line:
                    continue
                self._line = replace(line, turns=tuple(turns), kept=whole, fault=fault)
            self._wake()
            return

    def _failed(self, doing: str, error: Exception) -> None:
        with self._lock:
            self._wanted = self._shown.at if self._shown else None
            if self._line is not None:
                self._line = replace(self._line, fault=sentence_of(doing, error))
        self._wake()
