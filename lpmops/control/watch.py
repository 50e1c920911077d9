"""Looking again and again, with patience: at a step's thing until nothing is on its way, at the lock, and past a service that fails for a moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lpmops.control.hands import Hands, Observation, Sight, Ticking, Timing
from lpmops.control.lock import Lock
from lpmops.control.plan import Step
from lpmops.errors import ServiceError
from lpmops.model import Receipt
from lpmops.store.journal import StepRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watch:
    """Eyes with a clock. Everything raises lpmops.errors types."""

    timing: Timing
    ticking: Ticking

    def look(self, hands: Hands, step: Step, row: StepRow, receipt: Receipt | None, end: float) -> Observation:
        """One observation, no later than `end` on the monotonic clock."""
        return self._patiently(lambda: hands.observe(step, row, receipt), end)

    def steady(self, hands: Hands, step: Step, row: StepRow) -> Observation:
        """What is seen before an act, once nothing is on its way."""
        end = self.ticking.monotonic() + self.timing.visible
        while True:
            seen = self.look(hands, step, row, None, end)
            if seen.sight is not Sight.MOVING or self.ticking.monotonic() > end:
                return seen
            self.ticking.sleep(self.timing.poll)

    def check(self, lock: Lock) -> None:
        """The last question before an act. Raises LockLostError, FrozenError."""
        self._patiently(lock.check, self.ticking.monotonic() + self.timing.patience)

    def _patiently(self, ask: Callable[[], T], end: float) -> T:
        """Ask again for a while where a service fails in a way that passes."""
        until = min(end, self.ticking.monotonic() + self.timing.patience)
        while True:
            try:
                return ask()
            except ServiceError as error:
                if not error.retryable or self.ticking.monotonic() >= until:
                    raise
                self.ticking.sleep(max(self.timing.poll, min(error.retry_after or 0.0, self.timing.patience)))
