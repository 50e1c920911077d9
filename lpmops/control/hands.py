"""What the engine and an action say to each other: how a thing looks, how an act is done, how long to wait, and what is told while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from lpmops.control.plan import Plan, Step
from lpmops.model import Receipt
from lpmops.store.journal import StepRow


class Sight(StrEnum):
    """How the thing that a step is about looks: as wished, not as wished, on its way, or in a state that no act of the step leads out of."""

    SO = "so"
    ABSENT = "absent"
    MOVING = "moving"
    OTHERWISE = "otherwise"


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen, and the words for it."""

    sight: Sight
    said: str


class Hands(Protocol):
    """What an action knows how to do in one environment. Every call raises lpmops.errors types."""

    def plan(self) -> Plan:
        """The plan again, from the same wish, in the world of now."""
        ...

    def pins(self) -> Mapping[str, str | None]:
        """The ids that the clouds themselves say, by the names of `wanted_pins`."""
        ...

    def wanted_pins(self) -> Mapping[str, str]:
        """The ids of the configuration that can be held against the clouds."""
        ...

    def observe(self, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
        """How a step's thing is now; `row` says whether and when its act went out, `receipt` what was answered."""
        ...

    def act(self, step: Step, operation: str) -> Receipt:
        """Do it: one write, never sent again; more than one only where neither their order nor their repetition makes a difference."""
        ...

    def repeatable(self, step: Step) -> bool:
        """Whether acting twice has the same effect as acting once."""
        ...

    def limit(self, step: Step) -> float | None:
        """For how many seconds a step waits for what others do, which nothing it does can hasten; None for one that acts."""
        ...

    def verify(self, plan: Plan, operation: str) -> Mapping[str, Any]:
        """Look at the whole once all steps of an operation are done; the result as plain values. Raises LpmopsError where it is not as planned."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the engine waits, in seconds.

    `settle` is longer than a request of an act can live, `visible` how long an effect may take to show, `patience` how long a service may fail
    to be read.
    """

    poll: float = 1.0
    settle: float = 30.0
    visible: float = 600.0
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class Ticking:
    """How time passes while the engine waits, in seconds: a clock that nobody sets, and sleep."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in a run: the operation's or a step's new state."""

    seq: int
    at: datetime
    operation: str
    step: str | None
    state: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended. `operation` is None where there was nothing to do; `steps` are (name, state)."""

    operation: str | None
    state: str
    steps: tuple[tuple[str, str], ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)


class StopRequest:
    """Somebody wants the run to stop after the step that is under way."""

    def __init__(self) -> None:
        self.requested = False


def tell_nobody(_: Event) -> None:
    """For a run that nobody watches."""
