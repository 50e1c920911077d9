"""What an action is: a planner, the steps it knows, the look at the whole afterwards; and the hands that the engine gets for one of its plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from lpmops.actions.inputs import Input
from lpmops.config import Config, Environment
from lpmops.control.hands import Observation
from lpmops.control.lock import ControlDatabase
from lpmops.control.plan import Plan, Step
from lpmops.control.reconciled import Asked, Reconciliation
from lpmops.errors import StalePlanError
from lpmops.model import Receipt, StreamingJob
from lpmops.routing.job import Definition
from lpmops.store.journal import StepRow
from lpmops.store.proofs import OpenGap

if TYPE_CHECKING:
    from lpmops.control.operations import Operation
    from lpmops.services.cloud import EnvironmentServices

Wish = Mapping[str, Any]


class Past(Protocol):
    """What was done in an environment from this machine."""

    def plan_of(self, operation: str) -> Plan:
        """The plan that an operation was approved with. Raises NotFoundError, StoreError."""
        ...

    def done(self, action: str) -> Sequence[Operation]:
        """The operations of an action, newest first. Raises StoreError."""
        ...


class Trier(Protocol):
    """Tries a job's new text before it is deployed."""

    def __call__(self, bench: Bench, job: StreamingJob, candidate: Definition) -> tuple[Sequence[str], Sequence[str]]:
        """What speaks against deploying it, and what is worth knowing. Raises nothing that a service raises."""
        ...


class Prover(Protocol):
    """Holds source and landing tables against each other, and knows what was found before."""

    def gaps(self, bench: Bench, table_id: str) -> Sequence[OpenGap]:
        """What was found missing, doubled or extra and is open. Raises StoreError."""
        ...

    def hold(self, bench: Bench, asked: Asked) -> Reconciliation:
        """Look now, and remember what is proven. Raises lpmops.errors types."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What an action works with in one environment. `who` is the operator, `now` the machine's clock."""

    config: Config
    environment: Environment
    services: EnvironmentServices
    control: ControlDatabase
    who: str
    now: Callable[[], datetime]
    past: Past
    trial: Trier
    prover: Prover


@dataclass(frozen=True, slots=True)
class Handler:
    """How one kind of step is looked at and done; `repeatable` says whether doing it twice is as good as once.

    `limit` is for how many seconds it waits for what others do; such a step's time ends the wait, not what it waits for.
    """

    observe: Callable[[Bench, Step, StepRow, Receipt | None], Observation]
    act: Callable[[Bench, Step, str], Receipt]
    repeatable: Callable[[Step], bool] = lambda _: True
    limit: Callable[[Step], float | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of an action's way that people know by a name; `kinds` are the steps that belong to it and to no other."""

    title: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be changed. `pins` are the ids it holds against the clouds first: tenant, server, workspace.

    `inputs` is what an app asks before the plan, None for what only the command line can ask; `fill` is the rest of the wish. `stages` are of one
    that somebody is led through: its fields, its plan, its steps, and what comes behind them. `halt` ends what an operation has at work elsewhere,
    before it is given up, and gives the names of what it ended.
    """

    name: str
    title: str
    help: str
    plan: Callable[[Bench, Wish], Plan]
    handlers: Mapping[str, Handler]
    verify: Callable[[Bench, Plan, str], Mapping[str, Any]]
    pins: tuple[str, ...]
    key: str = ""
    hard: bool = False
    inputs: tuple[Input, ...] | None = None
    fill: Callable[[Bench], Wish] = lambda _: {}
    stages: tuple[Stage, ...] = ()
    halt: Callable[[Bench, str], Sequence[str]] | None = None


class ActionHands:
    """One action's plan at work: what the engine calls."""

    def __init__(self, action: Action, bench: Bench, wish: Wish) -> None:
        self._action, self._bench, self._wish = action, bench, wish

    def plan(self) -> Plan:
        """The plan made again now."""
        return self._action.plan(self._bench, self._wish)

    def wanted_pins(self) -> dict[str, str]:
        """The configured ids that this action holds against the clouds."""
        environment = self._bench.environment
        server = environment.sql.server_name
        if not server and environment.sql.server.lower().endswith(".database.windows.net"):
            server = environment.sql.server.partition(".")[0]
        pinned = {
            "tenant": environment.tenant_id,
            "server": server,
            "workspace": environment.databricks.workspace_id,
        }
        return {name: pinned[name] for name in self._action.pins if pinned[name]}

    def pins(self) -> dict[str, str | None]:
        """What the clouds say they are."""
        services, control = self._bench.services, self._bench.control
        readers: dict[str, Callable[[], str | None]] = {
            "tenant": services.tenant_id,
            "server": control.server_name,
            "workspace": lambda: services.databricks.workspace_id(),
        }
        return {name: readers[name]() for name in self.wanted_pins()}

    def observe(self, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
        """How a step's thing is now."""
        return self._handler(step).observe(self._bench, step, row, receipt)

    def act(self, step: Step, operation: str) -> Receipt:
        """Do it, once."""
        return self._handler(step).act(self._bench, step, operation)

    def repeatable(self, step: Step) -> bool:
        """Whether doing it twice is as good as once."""
        return self._handler(step).repeatable(step)

    def limit(self, step: Step) -> float | None:
        """For how long it waits for what others do."""
        return self._handler(step).limit(step)

    def verify(self, plan: Plan, operation: str) -> Mapping[str, Any]:
        """Look at the whole."""
        return self._action.verify(self._bench, plan, operation)

    def _handler(self, step: Step) -> Handler:
        handler = self._action.handlers.get(step.kind)
        if handler is None:
            raise StalePlanError(
                f"This lpmops does not know how to do {step.kind!r}.",
                hint="Use the version that made the plan, or make it again.",
            )
        return handler


def why_words(wish: Wish) -> list[str]:
    """Reason and ticket as they stand on a command line."""
    return [word for name in ("reason", "ticket") for word in ((f"--{name}", str(wish[name])) if wish[name] else ())]
