"""A bounded pool of daemon threads, so that a statement that blocks neither holds the loop nor the end of the
process.

One thread for each connection that may be open: statements wait for one another's locks, and a pool with fewer could
be full of waiters while the one they wait for has no thread to go on with. Threads start when needed and end after a
while without work.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
_IDLE_SECONDS = 30.0


class Workers:
    """At most `limit` threads."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit, self._name = limit, name
        self._changed = threading.Condition()
        self._work: deque[Callable[[], None]] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Start `work` in a thread; its result or exception comes to the loop that asks."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - the edge of a thread: the future carries it to whoever waits
                told: Callable[..., None] = future.set_exception
                outcome: Any = error
            else:
                told, outcome = future.set_result, result
            with suppress(RuntimeError):
                # The loop may have ended meanwhile; then nobody waits.
                loop.call_soon_threadsafe(_tell, future, told, outcome)

        with self._changed:
            if self._closed:
                raise RuntimeError("the workers are closed")
            self._work.append(job)
            if self._idle < len(self._work) and self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"{self._name}-{self._threads}", daemon=True).start()
            self._changed.notify()
        return future

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                found = self._changed.wait_for(lambda: self._work or self._closed, _IDLE_SECONDS)
                self._idle -= 1
                if not self._work:
                    if not found or self._closed:
                        self._threads -= 1
                        return
                    continue
                job = self._work.popleft()
            job()

    def close(self) -> None:
        """No more work; threads end when what they run has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _tell(future: asyncio.Future[Any], told: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        told(outcome)
