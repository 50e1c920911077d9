"""The sandbox's time.

Every stamp the sandbox makes (commits, enqueue times, landed rows, metrics, token expiry) comes from one Clock, so that tests can let hours pass
in a second and three environments never disagree. Real deadlines, such as how long a socket waits, stay on the machine's own clock.
"""

from __future__ import annotations

import threading
import time as real_time
from datetime import UTC, datetime


class Clock:
    """Time since the epoch that may run faster than the machine's, and never runs backwards.

    `speed` is sandbox seconds per real second; `advance(seconds)` jumps forward.
    """

    def __init__(self, speed: float = 1.0, start: float | None = None) -> None:
        if speed <= 0:
            raise ValueError("speed must be greater than zero")
        self._speed = speed
        self._base = real_time.time() if start is None else start
        self._origin = real_time.monotonic()
        self._jump = 0.0
        self._lock = threading.Lock()

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second."""
        return self._speed

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._base + (real_time.monotonic() - self._origin) * self._speed + self._jump

    def now(self) -> datetime:
        """The same as an aware UTC datetime."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Jump forward; going back would break every log that is ordered by time."""
        if seconds < 0:
            raise ValueError("the sandbox clock only goes forward")
        with self._lock:
            self._jump += seconds

    def real_seconds(self, seconds: float) -> float:
        """How long to really wait for `seconds` of sandbox time to pass."""
        return seconds / self._speed
