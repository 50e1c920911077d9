"""Makes a hang impossible: runs work that may block for ever in a daemon thread, and stops waiting at the deadline.

Sockets time out per read, name resolution, ODBC and AMQP not at all; only a second thread bounds them together. Work that is given up is told so
(`abandon` closes its socket). Where that cannot end it, the lane counts it, and a lane with too many such threads refuses new work at once.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lpmops.errors import DeadlineError, InternalError, LpmopsError

T = TypeVar("T")

# Statements that read much may take longer than a look at the state of things.
SEARCH_SECONDS = 90.0
_LANE_LIMIT = 4
_GRACE = 0.25
_stuck: Counter[str] = Counter()
_stuck_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock by which one whole call is over; `seconds` is what it was given."""

    at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + seconds, seconds)

    def left(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """What to run, and the words for it.

    `lane` groups work that would hang together (one server, one database), `what` opens the sentence of the error, `explain` turns any exception of
    the work into one of lpmops', `abandon` is called once when nobody waits any more.
    """

    run: Callable[[], T]
    service: str
    lane: str
    what: str
    explain: Callable[[Exception], LpmopsError]
    abandon: Callable[[], None] | None = None


class _Worker(Generic[T]):
    def __init__(self, work: Work[T]) -> None:
        self.work = work
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._given_up = False
        self.result: T
        self.error: LpmopsError | None = None

    def start(self) -> None:
        try:
            threading.Thread(target=self._run, name=f"lpmops {self.work.lane}", daemon=True).start()
        except RuntimeError:
            self.error = InternalError(
                "This machine has no threads left.", hint="Close other programs, then try again."
            )
            self._over.set()

    def _run(self) -> None:
        try:
            self.result = self.work.run()
        except LpmopsError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - the edge of this thread: reported to whoever waits
            self.error = self.work.explain(error)
            self.error.__cause__ = error
        with self._lock:
            self._over.set()
            if self._given_up:
                with _stuck_lock:
                    _stuck[self.work.lane] -= 1

    def abandon(self) -> None:
        if self.work.abandon is not None:
            self.work.abandon()

    def wait(self, seconds: float) -> bool:
        """True once the work is over; False after `seconds`, and then it counts as stuck until it ends."""
        if self._over.wait(seconds):
            return True
        with self._lock:
            if self._over.is_set():
                return True
            self._given_up = True
            with _stuck_lock:
                _stuck[self.work.lane] += 1
        return False


def run(work: Work[T], deadline: Deadline) -> T:
    """The result of the work, or its error, or DeadlineError once the deadline has passed (with a quarter second of grace)."""
    return run_all([work], deadline)[0]


def run_all(works: Sequence[Work[T]], deadline: Deadline) -> list[T]:
    """The same for several at once, side by side; the first error counts."""
    workers = []
    for work in works:
        _refuse_a_blocked_lane(work)
        if deadline.left() <= 0:
            raise _late(work, deadline)
        workers.append(_Worker(work))
    for worker in workers:
        worker.start()
    # The library's own time-out, where it has one, ends at the deadline and says more than this one.
    late = [worker for worker in workers if not worker.wait(deadline.left() + _GRACE)]
    for worker in late:
        worker.abandon()
    for worker in workers:
        if worker.error is not None:
            raise worker.error
    if late:
        raise _late(late[0].work, deadline)
    return [worker.result for worker in workers]


def _refuse_a_blocked_lane(work: Work[T]) -> None:
    with _stuck_lock:
        stuck = _stuck[work.lane]
    if stuck >= _LANE_LIMIT:
        raise DeadlineError(
            f"{work.what} was not tried: {stuck} earlier calls still hang.",
            service=work.service,
            hint="It is tried again as soon as one of them ends.",
        )


def _late(work: Work[T], deadline: Deadline) -> DeadlineError:
    return DeadlineError(
        f"{work.what} did not answer within {deadline.seconds:g} s.",
        service=work.service,
        hint="Try again; if it stays so, look at the service's health, or raise refresh.deadline in lpmops.toml.",
    )
