"""Operations as a face shows them: each with its steps, what was seen of them, and what its plan said. Read from the journal alone.

`planned` is the same value before anything is begun, so that a run is drawn from its first moment on; `after` is it one event later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lpmops.control.engine import state_of
from lpmops.control.hands import Event
from lpmops.control.plan import Danger, Plan
from lpmops.store import codec, journal
from lpmops.store.connection import Store
from lpmops.store.journal import UNFINISHED, OperationRow, StepRow

FINISHED_STEPS = ("done", "skipped")


@dataclass(frozen=True, slots=True)
class OperationStep:
    """One step. `observed` is what was last seen of it, `arguments` are those of its plan."""

    name: str
    state: str = "planned"
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    observed: str = ""
    kind: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `id` is empty as long as nothing is begun; `undo` is the command that takes back what was done, as its plan has it."""

    id: str
    action: str
    environment: str
    state: str
    steps: tuple[OperationStep, ...]
    started_at: datetime
    who: str
    danger: Danger
    summary: str = ""
    command: str = ""
    undo: str = ""
    reason: str = ""
    ticket: str = ""
    error: str = ""
    ended_at: datetime | None = None

    @property
    def unfinished(self) -> bool:
        """Whether it is not over."""
        return self.state in UNFINISHED

    @property
    def waits(self) -> bool:
        """Whether somebody has to finish it: it is not over, and no process is at it."""
        return self.state in ("in_doubt", "interrupted")

    @property
    def way_back(self) -> str:
        """The command that takes back what this operation did, as far as its id is known; empty where there is none."""
        return self.undo.replace("OPERATION", self.id or "OPERATION")

    @property
    def finished_steps(self) -> int:
        """How many steps are done or were so already."""
        return sum(step.state in FINISHED_STEPS for step in self.steps)

    @property
    def step(self) -> OperationStep | None:
        """The step that is next, under way, in doubt or failed."""
        return next((step for step in self.steps if step.state not in FINISHED_STEPS), None)


def operations(store: Store, now: datetime, *, limit: int = 200) -> list[Operation]:
    """The newest operations of this machine, newest first. Raises StoreError."""
    return [operation_of(store, row, steps, now) for row, steps in journal.operations(store, limit=limit)]


def operation_of(store: Store, row: OperationRow, steps: Sequence[StepRow], now: datetime) -> Operation:
    """The operation of those rows. Raises StoreError."""
    plan = json.loads(row.plan)["plan"]
    return Operation(
        id=row.id,
        action=row.action,
        environment=row.environment,
        state=state_of(store, row, now),
        steps=tuple(
            OperationStep(
                step.name,
                step.state,
                _at(step.begun_at),
                _at(step.ended_at),
                step.observed,
                str(planned["kind"]),
                planned["arguments"],
            )
            for step, planned in zip(steps, plan["steps"], strict=True)
        ),
        started_at=codec.moment(row.created_at),
        who=row.who,
        danger=Danger(plan["danger"]),
        summary=str(plan["summary"]),
        command=row.command,
        undo=str(plan["undo"]),
        reason=row.reason,
        ticket=row.ticket,
        error=row.error or "",
        ended_at=_at(row.ended_at),
    )


def planned(plan: Plan, now: datetime) -> Operation:
    """The operation that a plan becomes, before anything of it is begun."""
    return Operation(
        id="",
        action=plan.action,
        environment=plan.environment,
        state="approved",
        steps=tuple(OperationStep(step.name, kind=step.kind, arguments=step.arguments) for step in plan.steps),
        started_at=now,
        who=plan.who,
        danger=plan.danger,
        summary=plan.summary,
        command=plan.command,
        undo=plan.undo,
        reason=plan.reason,
        ticket=plan.ticket,
    )


def after(operation: Operation, event: Event) -> Operation:
    """The operation once that has happened. Of steps of one name the first that is not finished is meant."""
    if event.step is None:
        return replace(operation, id=event.operation, state=event.state, started_at=operation.started_at)
    steps = list(operation.steps)
    number = next(
        (index for index, step in enumerate(steps) if step.name == event.step and step.state not in FINISHED_STEPS),
        None,
    )
    if number is None:
        return operation
    before = steps[number]
    steps[number] = replace(
        before,
        state=event.state,
        begun_at=event.at if event.state == "begun" else before.begun_at,
        ended_at=event.at if event.state in (*FINISHED_STEPS, "failed", "in_doubt") else None,
        observed=event.said or before.observed,
    )
    return replace(operation, id=event.operation, steps=tuple(steps))


def _at(moment: int | None) -> datetime | None:
    return None if moment is None else codec.moment(moment)
