"""What was known at a moment, of every environment at once, read aside so that scrubbing never waits.

A moment is shown when it is whole: every environment has answered, or its store has let us wait too long and it says so
itself; its answer is put in when it comes. While one moment is read only the newest wish waits, so that holding a key
down shows moments as quickly as they can be read and ends at the last one. `wake` is called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lpmops.errors import LpmopsError
from lpmops.model import Kind
from lpmops.tui.aside import Latest
from lpmops.tui.faults import report
from lpmops.tui.feed import Past
from lpmops.tui.view import EnvironmentView

PATIENCE = 2.0
NO_ANSWER = "the local store has not answered for this moment yet"


@dataclass(slots=True)
class _Moment:
    """A moment and the environments that have answered for it."""

    at: datetime
    views: dict[str, EnvironmentView] = field(default_factory=dict)


class Rewind:
    """The moments of one app: the wanted one, and the one that is shown."""

    def __init__(self, past: Past, environments: Sequence[tuple[str, Kind]], wake: Callable[[], None]) -> None:
        self._past, self._kinds, self._wake = past, dict(environments), wake
        self._lock = threading.Lock()
        self._wanted: datetime | None = None
        self._reading: _Moment | None = None
        self._shown: _Moment | None = None
        self._readers = {
            name: Latest[_Moment](f"reading the past of {name}", self._reader_of(name)) for name in self._kinds
        }

    @property
    def wanted(self) -> datetime | None:
        """The moment that was asked for last, None where that is now."""
        return self._wanted

    def want(self, moment: datetime | None) -> None:
        """Asks for a moment; None is now, at once, whatever is still being read."""
        with self._lock:
            self._wanted = moment
            if moment is None:
                self._reading = self._shown = None
            elif self._reading is None and (self._shown is None or self._shown.at != moment):
                self._start(moment)

    def look(self) -> tuple[datetime, tuple[EnvironmentView, ...]] | None:
        """The moment that is shown with all it knows, None while that is now. One look gives one moment."""
        with self._lock:
            self._settle()
            if self._shown is None:
                return None
            views = self._shown.views
            return self._shown.at, tuple(
                views.get(name, EnvironmentView(name, kind, fault=NO_ANSWER, settled=True))
                for name, kind in self._kinds.items()
            )

    @property
    def is_reading(self) -> bool:
        """Whether a moment is still being read."""
        with self._lock:
            return self._reading is not None and any(reader.busy for reader in self._readers.values())

    @property
    def hangs(self) -> bool:
        """Whether no environment has answered for the moment that is being read, for too long."""
        with self._lock:
            return self._reading is not None and all(reader.busy > PATIENCE for reader in self._readers.values())

    def _start(self, moment: datetime) -> None:
        self._reading = _Moment(moment)
        for reader in self._readers.values():
            reader.ask(self._reading)

    def _settle(self) -> None:
        """Shows what is being read as soon as it is whole, and goes on to what is wanted by then."""
        reading = self._reading
        if reading is None or not reading.views:
            return
        missing = self._kinds.keys() - reading.views.keys()
        if any(self._readers[name].busy <= PATIENCE for name in missing):
            return
        self._shown, self._reading = reading, None
        if self._wanted is not None and self._wanted != reading.at:
            self._start(self._wanted)

    # On the readers' threads ---------------------------------------------------------------------------------------------------------------------

    def _reader_of(self, name: str) -> Callable[[_Moment], None]:
        def read(moment: _Moment) -> None:
            view = self._view(name, moment.at)
            with self._lock:
                # A moment that nobody waits for any more is let go with its answer.
                moment.views[name] = view
                self._settle()
            self._wake()

        return read

    def _view(self, name: str, moment: datetime) -> EnvironmentView:
        kind = self._kinds[name]
        try:
            snapshot = self._past.at(name, moment)
            rates = {stage: tuple(values) for stage, values in self._past.rates_until(name, moment).items()}
        except LpmopsError as error:
            return EnvironmentView(name, kind, fault=error.message, settled=True)
        except Exception as error:  # noqa: BLE001 the edge of a thread: logged, and shown in its environment
            sentence = report(None, "reading the past", error)
            return EnvironmentView(name, kind, fault=sentence, settled=True)
        return EnvironmentView(name, kind, snapshot, rates, settled=True)
