"""The time machine: which moment is shown, the window of the time line around it, and what happened in that window.

`scene` turns the live scene into the one that is drawn, from one look at what was read: no screen ever mixes two
moments. Methods are for the loop; reading is done aside, an environment each, so that one that hangs or fails leaves
the others their past.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from lpmops.errors import LpmopsError
from lpmops.model import Health, Kind, Turn
from lpmops.tui.aside import Latest
from lpmops.tui.faults import report
from lpmops.tui.feed import Past
from lpmops.tui.rewind import Rewind
from lpmops.tui.view import Scene, TimeLine

# The length of the line, and of one step.
SPANS = (
    (timedelta(minutes=15), timedelta(seconds=15)),
    (timedelta(hours=1), timedelta(minutes=1)),
    (timedelta(hours=6), timedelta(minutes=5)),
    (timedelta(days=1), timedelta(minutes=20)),
    (timedelta(days=7), timedelta(hours=2)),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How far now may run ahead of the end of the line, at the least and as a part of its length; how near to an edge a moment may stand.
_LAG, _LAG_PART = timedelta(seconds=10), 1 / 360
_MARGIN = 0.08
_HANGS = "the local store does not answer; what is shown stays"


@dataclass(frozen=True, slots=True)
class _Happened:
    """What one environment's store said of a window: its health at the start, what turned after that, what can be shown at all."""

    start: datetime
    health: Health | None = None
    turns: tuple[Turn, ...] = ()
    extent: tuple[datetime, datetime] | None = None
    fault: str = ""


class TimeMachine:
    """The past of one app. `wake` is called from any thread when something has been read."""

    def __init__(self, past: Past, environments: Sequence[tuple[str, Kind]], wake: Callable[[], None]) -> None:
        self._past, self._wake = past, wake
        self._rewind = Rewind(past, environments, wake)
        self._window: tuple[datetime, datetime] | None = None
        self._span = 1
        self._lock = threading.Lock()
        self._happened: dict[str, _Happened] = {}
        self._readers = {
            name: Latest[tuple[datetime, datetime]](f"reading the time line of {name}", self._reader_of(name))
            for name, _ in environments
        }

    # What is drawn -------------------------------------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the time line is open."""
        return self._window is not None

    @property
    def is_reading(self) -> bool:
        """Whether something of the past is still to come."""
        return self._rewind.is_reading or any(reader.busy for reader in self._readers.values())

    @property
    def moment(self) -> datetime | None:
        """The moment that was asked for last, None where that is now."""
        return self._rewind.wanted

    def scene(self, live: Scene) -> Scene:
        """The scene to draw: `live` itself, or with the line where that is open, or what was known at the moment of the past."""
        if self._window is None:
            return live
        self._follow(live.now)
        self._keep_inside()
        shown = self._rewind.look()
        line = self._line(shown[0] if shown else None)
        if shown is None:
            return replace(live, line=line, today=live.now)
        return replace(live, views=shown[1], now=shown[0], held=False, line=line, today=live.now)

    def _line(self, moment: datetime | None) -> TimeLine:
        happened = self._known()
        start, end = self._window or (_EPOCH, _EPOCH)
        turns = sorted((turn for each in happened.values() for turn in each.turns), key=lambda turn: turn.at)
        faults = [each.fault for each in happened.values() if each.fault]
        return TimeLine(
            start,
            end,
            moment=moment,
            wanted=self.moment,
            turns=tuple(turn for turn in turns if start <= turn.at <= end),
            before=tuple((each.start, name, each.health) for name, each in happened.items() if each.health),
            kept=_whole(happened),
            seconds=self._step.total_seconds(),
            fault=_HANGS if self._rewind.hangs else next(iter(faults), ""),
        )

    # Moving --------------------------------------------------------------------------------------------------------------------------------------

    def open(self, now: datetime) -> None:
        """Opens the line with now at its right end."""
        self._place(now, now)

    def close(self) -> None:
        """Back to now, and the line goes."""
        self._rewind.want(None)
        self._window = None
        with self._lock:
            self._happened = {}

    def now(self, now: datetime) -> None:
        """Back to now; the line stays."""
        self._rewind.want(None)
        self._place(now, now)

    def go(self, moment: datetime, now: datetime) -> bool:
        """To a moment; one that is not over yet is now, one before anything was kept is the first that was. False where it already was there."""
        before = self.moment
        if self._window is None:
            self.open(now)
        kept = _whole(self._known())
        if kept is not None:
            moment = max(moment, kept[0])
        if moment >= now:
            self.now(now)
            return before is not None
        self._rewind.want(moment)
        self._place(moment, now)
        return moment != before

    def step(self, by: int, now: datetime) -> bool:
        """So many whole steps on, or back where it is negative, as a clock shows them; False at either end."""
        parts = ((self.moment or now) - _EPOCH) / self._step
        whole = int(parts) if by > 0 else -int(-parts // 1)
        return self.go(_EPOCH + (whole + by) * self._step, now)

    def turn(self, by: int, now: datetime) -> bool:
        """To the turn of events before or after the moment; False where the line has none."""
        here, turns = self.moment or now, self._line(None).turns
        slack = timedelta(milliseconds=1)
        before = [turn.at for turn in turns if turn.at < here - slack]
        after = [turn.at for turn in turns if turn.at > here + slack]
        found = max(before, default=None) if by < 0 else min(after, default=None)
        return found is not None and self.go(found, now)

    def zoom(self, by: int, now: datetime) -> bool:
        """A shorter or a longer line; False where there is none."""
        if self._window is None or not 0 <= self._span + by < len(SPANS):
            return False
        self._span += by
        self._place(self.moment or now, now)
        return True

    @property
    def _step(self) -> timedelta:
        return SPANS[self._span][1]

    def _place(self, moment: datetime, now: datetime) -> None:
        """Moves the window where `moment` does not lie well inside it, and reads what happened there."""
        span, margin = SPANS[self._span][0], SPANS[self._span][0] * _MARGIN
        if self._window is not None:
            start, end = self._window
            # Nothing lies beyond now, so that a moment may stand as near to it as it likes.
            last = end if end >= now - margin else end - margin
            if end - start == span and start + margin <= moment <= last:
                return
        self._show(min(now, moment + span / 2))

    def _follow(self, now: datetime) -> None:
        """Keeps now at the right end while now is shown, also after the clock was set back."""
        lag = max(_LAG, SPANS[self._span][0] * _LAG_PART)
        if self._window is not None and self.moment is None and abs(now - self._window[1]) >= lag:
            self._show(now)

    def _keep_inside(self) -> None:
        """Moves to the first moment that was kept once that is known, where the wanted one lies before it."""
        happened = self._known()
        kept = _whole(happened)
        if (
            kept is not None
            and self.moment is not None
            and self.moment < kept[0]
            and len(happened) == len(self._readers)
        ):
            self._rewind.want(kept[0])

    def _show(self, end: datetime) -> None:
        window = self._window = (end - SPANS[self._span][0], end)
        for reader in self._readers.values():
            reader.ask(window)

    # What happened, on the readers' threads ------------------------------------------------------------------------------------------------------

    def _known(self) -> Mapping[str, _Happened]:
        with self._lock:
            return dict(self._happened)

    def _reader_of(self, name: str) -> Callable[[tuple[datetime, datetime]], None]:
        def read(window: tuple[datetime, datetime]) -> None:
            happened = self._read(name, *window)
            with self._lock:
                # The line may have been closed meanwhile.
                if self._window is None:
                    return
                before = self._happened.get(name)
                self._happened[name] = replace(before, fault=happened.fault) if happened.fault and before else happened
            self._wake()

        return read

    def _read(self, name: str, start: datetime, end: datetime) -> _Happened:
        try:
            before = self._past.at(name, start)
            turns = tuple(self._past.turns(name, start, end))
            return _Happened(start, before.health if before else None, turns, self._past.extent(name))
        except LpmopsError as error:
            return _Happened(start, fault=error.message)
        except Exception as error:  # noqa: BLE001 the edge of a thread: logged, and said on the line
            return _Happened(start, fault=report(None, f"reading the time line of {name}", error))


def _whole(happened: Mapping[str, _Happened]) -> tuple[datetime, datetime] | None:
    """From the first to the last moment that was kept of any environment."""
    extents = [each.extent for each in happened.values() if each.extent]
    return (min(start for start, _ in extents), max(end for _, end in extents)) if extents else None
