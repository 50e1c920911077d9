"""The operations that this app has under way or has ended: each on a daemon thread, its newest state as a value.

One piece of work an environment at a time. A run outlives the panel that shows it, and ends with the process like a
killed one would: the journal knows where it stood.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from lpmops.errors import LpmopsError
from lpmops.tui.aside import Aside
from lpmops.tui.faults import report

if TYPE_CHECKING:
    from lpmops.control.hands import Event, StopRequest
    from lpmops.control.operations import Operation
    from lpmops.control.plan import Plan
    from lpmops.tui.orders import Orders

    Work = Callable[[Callable[[Event], None], StopRequest], Mapping[str, Any] | None]

_KEPT = 50


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work on an operation.

    `fault` and `hint` say why it ended where that was no success; `result` is what it came to. `stopping` is one that ends after the step that is
    under way, as asked.
    """

    key: str
    doing: str
    operation: Operation
    going: bool = True
    fault: str = ""
    hint: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    stopping: bool = False

    @property
    def line(self) -> str:
        """What it is in a few words: asa pause prod 2/3."""
        steps = self.operation.steps
        words = f"{self.operation.action.replace('.', ' ')} {self.operation.environment}"
        return f"{words} {min(self.operation.finished_steps + 1, len(steps))}/{len(steps)}" if steps else words


class Runs:
    """The runs of one app. `changed` is called from any thread."""

    def __init__(self, orders: Orders, changed: Callable[[], None]) -> None:
        self._orders, self._changed = orders, changed
        self._aside = Aside(self._failed)
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._stops: dict[str, StopRequest] = {}
        self._numbers = count(1)

    @property
    def all(self) -> tuple[Run, ...]:
        """Every run, oldest first."""
        with self._lock:
            return tuple(self._runs.values())

    @property
    def going(self) -> tuple[Run, ...]:
        """The runs under way."""
        return tuple(run for run in self.all if run.going)

    def get(self, key: str) -> Run:
        """The run of that key."""
        with self._lock:
            return self._runs[key]

    def of(self, operation: str) -> Run | None:
        """The newest run that has to do with an operation."""
        return next((run for run in reversed(self.all) if operation and run.operation.id == operation), None)

    def apply(self, planned: Operation, plan: Plan, typed: str) -> str | None:
        """Carries out a plan; the key of the run, None where another is under way in that environment."""
        return self._start("apply", planned, lambda tell, stop: self._orders.apply(plan, typed, tell, stop).result)

    def resume(self, operation: Operation) -> str | None:
        """Goes on with an operation."""
        return self._start("resume", operation, lambda tell, stop: self._orders.resume(operation.id, tell, stop).result)

    def resolve(self, operation: Operation, how: str, reason: str) -> str | None:
        """Says how the step in doubt stands."""
        return self._start(how, operation, lambda *_: self._orders.resolve(operation.id, how, reason))

    def abort(self, operation: Operation, reason: str) -> str | None:
        """Gives an operation up."""
        return self._start("give up", operation, lambda *_: self._orders.abort(operation.id, reason))

    def stop(self, key: str) -> bool:
        """Lets a run end after the step that is under way; False where it has ended."""
        with self._lock:
            stop = self._stops.get(key)
        if stop is None:
            return False
        stop.requested = True
        self._change(key, lambda run: replace(run, stopping=run.going))
        return True

    def pause(self, operation: Operation, told: Callable[[str], None]) -> bool:
        """Ends what an operation has at work elsewhere, by which its run ends too; False where it does so already. `told` hears why it can't."""
        return self._aside.run(f"pause of {operation.id}", lambda: self._pause(operation.id, told))

    def _pause(self, identifier: str, told: Callable[[str], None]) -> None:
        try:
            self._orders.pause(identifier)
        except LpmopsError as error:
            told(f"{error.message or type(error).__name__} {error.hint}".strip())

    def _start(self, doing: str, operation: Operation, work: Work) -> str | None:
        from lpmops.control.hands import StopRequest

        with self._lock:
            if any(run.going and run.operation.environment == operation.environment for run in self._runs.values()):
                return None
            key = f"run {next(self._numbers)}"
            self._runs[key] = Run(key, doing, operation)
            self._stops[key] = stop = StopRequest()
            for old in [each.key for each in self._runs.values() if not each.going][:-_KEPT]:
                del self._runs[old]
        self._aside.run(key, lambda: self._run(key, work, stop))
        self._changed()
        return key

    def _failed(self, name: str, error: Exception) -> None:
        report(None, name, error)

    def _run(self, key: str, work: Work, stop: StopRequest) -> None:
        try:
            result = work(lambda event: self._tell(key, event), stop)
            self._end(key, result=dict(result or {}))
        except LpmopsError as error:
            self._end(key, fault=error.message or type(error).__name__, hint=error.hint)
        except Exception as error:  # noqa: BLE001 the edge of a thread: logged, and shown where the outcome would stand
            self._end(key, fault=report(None, f"the {key}", error), hint="o shows how the operation stands")

    def _tell(self, key: str, event: Event) -> None:
        from lpmops.control.operations import after

        self._change(key, lambda run: replace(run, operation=after(run.operation, event)))

    def _end(self, key: str, **fields: Any) -> None:
        with self._lock:
            self._stops.pop(key, None)
        self._change(key, lambda run: replace(run, going=False, stopping=False, **fields))

    def _change(self, key: str, how: Callable[[Run], Run]) -> None:
        with self._lock:
            self._runs[key] = how(self._runs[key])
        self._changed()
