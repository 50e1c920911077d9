"""Ends the app properly when it is told to by a signal, and at all where the proper way hangs.

Without a handler SIGTERM ends the process at once and leaves the terminal in the alternate screen with mouse
reporting on. SIGHUP comes when the terminal goes away, SIGINT from `kill -INT`; in the app itself ctrl+c is a key.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable

_CODES = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}


def leave_on_signal(leave: Callable[[int], None]) -> Callable[[], None]:
    """Calls `leave` with the exit code on SIGHUP, SIGINT and SIGTERM; gives what undoes it. Does nothing where the system has no such handlers."""
    if sys.platform == "win32":
        return lambda: None
    loop = asyncio.get_running_loop()
    installed: list[int] = []
    for name, code in _CODES.items():
        number = getattr(signal, name)
        try:
            loop.add_signal_handler(number, leave, code)
        except (ValueError, RuntimeError):
            # Only the main thread may take signals; an app on another thread is ended by its owner.
            continue
        installed.append(number)

    def undo() -> None:
        for number in installed:
            loop.remove_signal_handler(number)

    return undo


class LastResort:
    """Ends the process where leaving the app hangs, as it does on a terminal that is gone: Textual waits for its last words to be written."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: threading.Timer | None = None

    def arm(self, code: int) -> None:
        """The process ends with `code` after a while, unless `disarm` is called before. What the store holds is whole at any moment."""
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, os._exit, (code,))
            self._timer.daemon = True
            self._timer.start()

    def disarm(self) -> None:
        """The app was left properly."""
        if self._timer is not None:
            self._timer.cancel()
