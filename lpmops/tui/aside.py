"""Work that may hang, on daemon threads, so that neither a key nor quitting ever waits for it.

Textual's own thread workers share a small pool and hold the process until they end; a daemon thread does neither. One
piece of work a name at a time: while one hangs, asking again starts nothing, so their number is bounded by the number
of names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


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
