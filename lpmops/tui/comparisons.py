"""The reconciliations that somebody asked for in this app: each on a daemon thread, one an environment at a time, how far it is as a value.

One that is stopped ends after the span under way; what it has looked at is remembered by the store, whatever becomes of this app.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lpmops.errors import LpmopsError
from lpmops.plain_text import counted
from lpmops.tui.aside import Aside
from lpmops.tui.faults import report
from lpmops.tui.feed import Feed

if TYPE_CHECKING:
    from lpmops.control.hands import StopRequest
    from lpmops.control.reconciled import Asked, Reconciliation


@dataclass(frozen=True, slots=True)
class Comparison:
    """One reconciliation: what was asked, how far it is, what it found; `fault` and `hint` say why it found nothing. `number` rises."""

    number: int
    environment: str
    asked: Asked
    going: bool = True
    told: str = ""
    stopping: bool = False
    result: Reconciliation | None = None
    fault: str = ""
    hint: str = ""

    @property
    def verdict(self) -> str:
        """What came of it, in a sentence."""
        found = self.result
        if found is None:
            return f"{self.environment} could not be reconciled: {self.fault} {self.hint}".strip()
        if found.versions is None:
            return (
                f"{self.environment}: nothing can be judged yet; what is younger than a minute can be later: V, then R"
            )
        whom = counted(sum(1 for each in found.companies if each.missing), "company", "companies")
        if found.missing:
            return f"{self.environment}: {counted(found.missing, 'change', 'changes')} of {whom} did not land, in versions {found.versions}"
        if found.complete:
            return f"{self.environment}: complete, each change of versions {found.versions} landed once"
        return f"{self.environment}: nothing is missing in versions {found.versions}, and not all is as it should be; V shows it"


class Comparisons:
    """The reconciliations of one app. `changed` is called from any thread."""

    def __init__(self, feed: Feed, changed: Callable[[], None]) -> None:
        self._feed, self._changed = feed, changed
        self._aside = Aside(self._failed)
        self._lock = threading.Lock()
        self._newest: dict[str, Comparison] = {}
        self._stops: dict[str, StopRequest] = {}
        self._count = 0

    def of(self, environment: str) -> Comparison | None:
        """The newest of an environment."""
        with self._lock:
            return self._newest.get(environment)

    @property
    def all(self) -> tuple[Comparison, ...]:
        """The newest of each environment."""
        with self._lock:
            return tuple(self._newest.values())

    def start(self, environment: str, asked: Asked) -> bool:
        """Begins one, unless one is under way there."""
        from lpmops.control.hands import StopRequest

        with self._lock:
            before = self._newest.get(environment)
            if before is not None and before.going:
                return False
            self._count += 1
            self._newest[environment] = Comparison(self._count, environment, asked)
            self._stops[environment] = stop = StopRequest()
        self._aside.run(f"reconcile {environment} {self._count}", lambda: self._run(environment, asked, stop))
        self._changed()
        return True

    def stop(self, environment: str) -> None:
        """Lets the one that is under way end after its span."""
        with self._lock:
            stop = self._stops.get(environment)
        if stop is not None:
            stop.requested = True
            self._change(environment, stopping=True)

    def _failed(self, name: str, error: Exception) -> None:
        report(None, name, error)

    def _run(self, environment: str, asked: Asked, stop: StopRequest) -> None:
        try:
            found = self._feed.reconcile(environment, asked, lambda words: self._change(environment, told=words), stop)
            self._change(environment, going=False, result=found)
        except LpmopsError as error:
            self._change(environment, going=False, fault=error.message or type(error).__name__, hint=error.hint)
        except Exception as error:  # noqa: BLE001 the edge of a thread: logged, and shown where the outcome would stand
            self._change(environment, going=False, fault=report(None, f"reconciling {environment}", error))

    def _change(self, environment: str, **fields: Any) -> None:
        with self._lock:
            self._newest[environment] = replace(self._newest[environment], **fields)
        self._changed()
