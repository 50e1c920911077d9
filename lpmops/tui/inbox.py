"""Hands news from the threads that read to the loop that draws.

News has a name, such as the live snapshot of one environment. Any number of news of one name between two looks become
one, the newest; the loop is woken once, not once a piece, so that a burst costs one paint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

News = TypeVar("News")


class Inbox(Generic[News]):
    """The newest news of each name that was not taken yet. `put` is for any thread, `take` for the loop."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], News] = {}
        self._woken = False

    def put(self, name: tuple[str, str], news: News) -> None:
        """Leaves news and wakes the loop where it is not woken already."""
        with self._lock:
            self._waiting.pop(name, None)
            self._waiting[name] = news
            wake, self._woken = not self._woken, True
        if wake:
            self._wake()

    def take(self) -> list[News]:
        """What has come since the last time, in the order it came."""
        with self._lock:
            taken = list(self._waiting.values())
            self._waiting.clear()
            self._woken = False
        return taken
