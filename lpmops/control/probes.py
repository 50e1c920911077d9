"""Reads many sources at once, each failing alone: daemon threads, patience, back-off.

A probe is one source with its newest value, its age and its newest problem. `Probes.refresh` starts those that are due
and waits for them no longer than the patience it is given; one that still hangs is reported as such, is not started
again before it ends, and holds up nobody. What a source last said stays readable with its age. Threads are daemons in
bounded lanes, so that sources which failed last time can't crowd out those which work.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lpmops.errors import LpmopsError, ServiceError

LONGEST_BACK_OFF = 15.0
# The service of a problem with signing in: it tells nothing of what was to be read.
SIGN_IN = "identity"
_LANES = {"cloud": 10, "sql": 8, "doubtful": 4}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a source could not be read: the error as a value. `since` is when it began."""

    source: str
    code: str
    message: str
    hint: str = ""
    service: str = ""
    status: int | None = None
    retry_after: float | None = None
    since: datetime | None = None


def problem_of(source: str, error: Exception, since: datetime | None = None) -> Problem:
    """The problem that an error stands for; one that is no error of lpmops is an internal fault, and says so."""
    if isinstance(error, ServiceError):
        return Problem(
            source, error.code, error.message, error.hint, error.service, error.status, error.retry_after, since
        )
    if isinstance(error, LpmopsError):
        return Problem(source, error.code, error.message, error.hint, since=since)
    return Problem(source, "internal", f"lpmops failed to read {source}: {type(error).__name__}: {error}", since=since)


class DaemonPool:
    """At most `size` daemon threads, made when there is work for them; nobody waits for them at exit."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work` as soon as a thread is free; it must not raise."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
            self._work.put(work)

    def close(self) -> None:
        """Let each thread end after what it is doing."""
        with self._lock:
            for _ in range(self._threads):
                self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            with self._lock:
                if self._work.empty():
                    self._idle += 1


@dataclass(slots=True)
class Probe:
    """One source: `every` is the seconds between readings (0: each refresh), `lane` the threads that it shares (cloud, sql).

    `changes` grows with each value, so that a value can be consumed once.
    """

    name: str
    read: Callable[[], Any]
    every: float = 0.0
    lane: str = "cloud"
    value: Any = None
    at: datetime | None = None
    changes: int = 0
    problem: Problem | None = None
    seconds: float = 0.0
    failures: int = 0
    running_since: float | None = None
    due: float = 0.0

    def fresh(self, now: datetime, limit: float) -> Any:
        """The value if it is not older than `limit` seconds, else None: an old answer is no answer."""
        return self.value if self.at is not None and (now - self.at).total_seconds() <= limit else None


class Probes:
    """The sources of one environment."""

    def __init__(
        self,
        name: str,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        back_off: float = 1.0,
        lanes: Mapping[str, int] = _LANES,
    ) -> None:
        self._now, self._monotonic, self._back_off = now, monotonic, back_off
        self._lanes = {lane: DaemonPool(size, f"lpmops-{name}-{lane}") for lane, size in lanes.items()}
        self._done = threading.Condition()
        self._closed = False

    def refresh(self, probes: Iterable[Probe], patience: float) -> None:
        """Read every due source, and wait until all have answered, `patience` seconds have passed or `close` was called."""
        chosen = list(probes)
        with self._done:
            for probe in chosen:
                if probe.running_since is None and self._monotonic() >= probe.due:
                    self._start(probe)
            end = self._monotonic() + patience
            while not self._closed and any(probe.running_since is not None for probe in chosen):
                left = end - self._monotonic()
                if left <= 0:
                    break
                self._done.wait(left)
            for probe in chosen:
                self._note_hang(probe)

    def close(self) -> None:
        """Stop waiting now; threads that hang are daemons and are left behind."""
        with self._done:
            self._closed = True
            self._done.notify_all()
        for lane in self._lanes.values():
            lane.close()

    def _start(self, probe: Probe) -> None:
        probe.running_since = self._monotonic()
        self._lanes["doubtful" if probe.failures else probe.lane].submit(lambda: self._read(probe))

    def _read(self, probe: Probe) -> None:
        started = self._monotonic()
        value: Any = None
        problem: Problem | None = None
        try:
            value = probe.read()
        except Exception as error:  # noqa: BLE001 - the edge of the thread; the problem is the report
            problem = problem_of(probe.name, error, self._now())
        with self._done:
            probe.seconds = self._monotonic() - started
            probe.running_since = None
            if problem is None:
                probe.value, probe.at, probe.problem, probe.failures = value, self._now(), None, 0
                probe.changes += 1
                probe.due = started + probe.every
            else:
                self._failed(probe, problem)
            self._done.notify_all()

    def _failed(self, probe: Probe, problem: Problem) -> None:
        began = probe.problem.since if probe.problem is not None else problem.since
        probe.problem = Problem(
            problem.source,
            problem.code,
            problem.message,
            problem.hint,
            problem.service,
            problem.status,
            problem.retry_after,
            began,
        )
        probe.failures += 1
        wait = min(LONGEST_BACK_OFF, self._back_off * 2.0 ** min(probe.failures - 1, 10))
        probe.due = self._monotonic() + max(wait, problem.retry_after or 0.0)

    def _note_hang(self, probe: Probe) -> None:
        if probe.running_since is None:
            return
        waited = self._monotonic() - probe.running_since
        if self._closed or (probe.problem is not None and probe.problem.code != "service.deadline"):
            return
        since = probe.problem.since if probe.problem is not None else self._now()
        probe.problem = Problem(
            probe.name,
            "service.deadline",
            f"{probe.name} has not answered for {waited:.0f} s.",
            service=probe.name.partition(".")[0],
            since=since,
        )
