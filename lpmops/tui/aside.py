"""Work that may hang, on daemon threads, so that neither a key nor quitting ever waits for it.

Textual's own thread workers share a small pool and hold the process until they end; a daemon thread does neither. One
piece of work a name at a time: while one hangs, asking again starts nothing, so their number is bounded by the number
of names.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Wish = TypeVar("Wish")


class Aside:
    """Named background work. `failed` is called on the working thread with the name and the error."""

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        self._failed = failed
        self._lock = threading.Lock()
        self._working: dict[str, threading.Thread] = {}

    def run(self, name: str, work: Callable[[], None]) -> bool:
        """Starts `work` unless work of that name is still under way; says whether it did."""
        with self._lock:
            if name in self._working:
                return False
            thread = threading.Thread(target=self._work, args=(name, work), name=f"lpmops-tui {name}", daemon=True)
            self._working[name] = thread
        thread.start()
        return True

    def wait(self, name: str, seconds: float) -> None:
        """Waits for the work of that name, but no longer than `seconds`."""
        thread = self._working.get(name)
        if thread is not None:
            thread.join(seconds)

    def _work(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 the edge of a thread: the fault is handed on, the thread ends
            self._failed(name, error)
        finally:
            with self._lock:
                self._working.pop(name, None)


class Latest(Generic[Wish]):
    """Work on the newest wish only, one at a time: of those that come meanwhile the last replaces the others.

    `work` must not raise; what it does with a wish that nobody has any more is its own affair.
    """

    def __init__(self, name: str, work: Callable[[Wish], None]) -> None:
        self._name, self._work = name, work
        self._lock = threading.Lock()
        self._wish: tuple[Wish] | None = None
        self._since: float | None = None

    def ask(self, wish: Wish) -> None:
        """Wishes for this, instead of what was wished for before."""
        with self._lock:
            self._wish = (wish,)
            if self._since is not None:
                return
            self._since = time.monotonic()
        threading.Thread(target=self._run, name=f"lpmops-tui {self._name}", daemon=True).start()

    @property
    def busy(self) -> float:
        """Seconds that the work at hand has taken so far, 0 where there is none."""
        with self._lock:
            return 0.0 if self._since is None else time.monotonic() - self._since

    def _run(self) -> None:
        while True:
            with self._lock:
                # Ending and being asked are told apart under one lock, so that no wish comes too late to be seen.
                if self._wish is None:
                    self._since = None
                    return
                (wish,), self._wish = self._wish, None
                self._since = time.monotonic()
            self._work(wish)
