"""The clerk: carries long operations out when they are due on the sandbox's clock, whether or not somebody polls.

One thread for all operations, so that a job's start and stop never overlap. What an operation answers, or why it failed, is kept for whoever polls.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lpmops.sandbox.azure.errors import ApiError, stream_analytics_error
from lpmops.sandbox.azure.stamps import new_guid
from lpmops.sandbox.clock import Clock

log = logging.getLogger(__name__)

# Real seconds between two looks at the clock, which may run fast or jump.
TICK = 0.05
HOUSEKEEPING = 5.0
REMEMBERED = 200


@dataclass(slots=True)
class Pending:
    """A long operation: when it is due, what it does then, and what came of it."""

    due: float
    act: Callable[[], Any]
    done: bool = False
    result: Any = None
    error: ApiError | None = None


class Clerk:
    """Operations by owner and id; thread-safe. `housekeeping` is called every five sandbox seconds."""

    def __init__(self, clock: Clock, housekeeping: Callable[[], None]) -> None:
        self._clock = clock
        self._housekeeping = housekeeping
        self._due = threading.Condition()
        self._held: dict[tuple[str, str], Pending] = {}
        self._thread: threading.Thread | None = None
        self._closing = False

    def start(self) -> None:
        """Carry operations out from now on."""
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="stream-analytics-clerk", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Carry nothing out any more; what is being carried out is waited for, a while."""
        with self._due:
            self._closing = True
            self._due.notify_all()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def schedule(self, owner: str, seconds: float, act: Callable[[], Any]) -> str:
        """Do something in so many sandbox seconds: the operation's id."""
        operation = new_guid()
        with self._due:
            for old in [key for key, pending in self._held.items() if pending.done][:-REMEMBERED]:
                del self._held[old]
            self._held[(owner, operation)] = Pending(self._clock.time() + seconds, act)
            self._due.notify_all()
        return operation

    def find(self, owner: str, operation: str) -> Pending | None:
        """An operation, or None when there is no such operation."""
        with self._due:
            return self._held.get((owner, operation))

    def forget(self, owner: str) -> None:
        """Drop all operations of an owner, also those still to be done."""
        with self._due:
            self._held = {key: pending for key, pending in self._held.items() if key[0] != owner}

    def _work(self) -> None:
        kept = self._clock.time()
        while True:
            with self._due:
                if not self._closing:
                    self._due.wait(TICK if any(not each.done for each in self._held.values()) else 0.5)
                if self._closing:
                    return
                due = [each for each in self._held.values() if not each.done and each.due <= self._clock.time()]
            for pending in due:
                carry_out(pending)
            if self._clock.time() - kept >= HOUSEKEEPING:
                kept = self._clock.time()
                self._keep_house()

    def _keep_house(self) -> None:
        try:
            self._housekeeping()
        except Exception:
            log.exception("what jobs have output could not be remembered; it is tried again")


def carry_out(pending: Pending) -> None:
    """Do it, and keep what came of it."""
    try:
        pending.result = pending.act()
    except ApiError as error:
        pending.error = error
    except Exception as error:
        log.exception("a stream analytics operation failed")
        pending.error = stream_analytics_error(500, "InternalServerError", f"{type(error).__name__}: {error}")
    pending.done = True
