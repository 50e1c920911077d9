"""Asks many things of one environment once, side by side: each answer or the problem that kept it, within one patience.

A question that needs the answer of another shares it (`Once`), so that nothing is asked twice and a failure is everybody's who needed it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from lpmops.control.findings import Finding, Level
from lpmops.control.probes import Probe, Probes, Problem

T = TypeVar("T")
Asked = tuple[str, Callable[[], Any]]
# Threads by the system that is asked: one that hangs takes up its own and no other's.
_LANE_SIZE = 8


class Once(Generic[T]):
    """The answer of a question, asked by whoever needs it first; its error is everybody's."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: list[T] = []
        self._error: Exception | None = None
        self._over = threading.Event()

    def __call__(self) -> T:
        """The answer. Raises what asking raised."""
        with self._lock:
            if self._error is not None:
                raise self._error
            if not self._answers:
                try:
                    self._answers.append(self._ask())
                except Exception as error:
                    self._error = error
                    raise
                finally:
                    self._over.set()
            return self._answers[0]

    def within(self, seconds: float) -> T | None:
        """The answer where somebody else gets one in that time; None otherwise."""
        self._over.wait(seconds)
        return self._answers[0] if self._answers else None


class Unasked(Exception):
    """What was asked for has no answer; the text says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def unanswered(identifier: str, area: str, error: Unasked, what: str) -> Finding:
    """What an assessment finds where it could not ask."""
    todo = (error.problem.hint,) if error.problem.hint else ()
    return Finding(identifier, area, Level.UNKNOWN, f"{what} could not be asked.", (error.problem.message,), todo)


class Answers:
    """What was answered, by the question's name."""

    def __init__(self, values: Mapping[str, Any], problems: Mapping[str, Problem]) -> None:
        self.values, self.problems = values, problems

    def __getitem__(self, name: str) -> Any:
        """The answer. Raises Unasked where there is none."""
        if name in self.problems:
            raise Unasked(self.problems[name])
        return self.values[name]

    def get(self, name: str) -> Any:
        """The answer, or None."""
        return self.values.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self.values or name in self.problems


def ask(name: str, questions: Mapping[str, Asked], patience: float, now: Callable[[], datetime]) -> Answers:
    """Ask all of them at once: each is (system, how). Comes back within `patience` seconds, and never raises."""
    pool = Probes(name, now, lanes={system: _LANE_SIZE for system, _ in questions.values()})
    probes = [Probe(key, how, lane=lane) for key, (lane, how) in questions.items()]
    try:
        pool.refresh(probes, patience)
    finally:
        pool.close()
    problems = {probe.name: probe.problem for probe in probes if probe.problem is not None}
    return Answers({probe.name: probe.value for probe in probes if probe.problem is None}, problems)
