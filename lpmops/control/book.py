"""The journal and the audit of one operation under way, written together: what the engine says happened is on disk in one transaction, or not at all.

Every method is one commit. The names are those of the states: a step is planned, begun, accepted (the service answered), done; or skipped, failed, in
doubt, cancelled.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lpmops.control.guard import Approval
from lpmops.control.plan import Plan, plan_data, plan_of
from lpmops.errors import LpmopsError, StalePlanError, StoreError, UsageError
from lpmops.model import Receipt, to_data
from lpmops.store import audit, codec, journal
from lpmops.store.connection import Store
from lpmops.store.failures import damaged
from lpmops.store.journal import OperationRow, StepRow


class Book:
    """One operation's rows. Raises StoreError where they can't be written; then nothing of that call is."""

    def __init__(
        self, store: Store, operation: OperationRow, steps: tuple[StepRow, ...], now: Callable[[], datetime], who: str
    ) -> None:
        self.store, self.operation, self.steps = store, operation, list(steps)
        self._now, self._who = now, who

    @classmethod
    def create(
        cls, store: Store, identifier: str, plan: Plan, approval: Approval, fence: int, now: Callable[[], datetime]
    ) -> Book:
        """Write down a new operation before anything is done."""
        operation = OperationRow(
            id=identifier,
            action=plan.action,
            environment=plan.environment,
            fingerprint=plan.fingerprint,
            plan=json.dumps(plan_data(plan)),
            approval=json.dumps(to_data(approval)),
            approval_id=approval.id,
            command=plan.command,
            who=approval.who,
            reason=plan.reason,
            ticket=plan.ticket,
            steps=len(plan.steps),
            state="approved",
            created_at=codec.milliseconds(now()),
            fence=fence,
        )
        steps = tuple(StepRow(identifier, seq, step.name) for seq, step in enumerate(plan.steps))
        book = cls(store, operation, steps, now, approval.who)
        body = {
            "action": plan.action,
            "summary": plan.summary,
            "plan": plan.fingerprint,
            "approval": approval.how,
            "reason": plan.reason,
            "ticket": plan.ticket,
            "command": plan.command,
            "fence": fence,
        }
        with store.writing():
            journal.create(store, operation, steps)
            book._note("operation.begun", body)
        return book

    @classmethod
    def read(cls, store: Store, identifier: str, now: Callable[[], datetime], who: str) -> Book:
        """Take up an operation that is in the journal. Raises NotFoundError, StoreError."""
        operation, steps = journal.read(store, identifier)
        return cls(store, operation, steps, now, who)

    @property
    def id(self) -> str:
        """The operation's id."""
        return self.operation.id

    def plan(self) -> Plan:
        """The plan as it was approved. Raises StoreError where it is not the one."""
        try:
            plan = plan_of(json.loads(self.operation.plan))
        except (ValueError, UsageError, StalePlanError) as error:
            raise damaged(self.store.path, f"the plan of operation {self.id} can't be read") from error
        if plan.fingerprint != self.operation.fingerprint or len(plan.steps) != len(self.steps):
            raise damaged(self.store.path, f"the plan of operation {self.id} is another one")
        return plan

    def receipt(self, seq: int) -> Receipt | None:
        """What the service answered to a step's act, where that is known."""
        text = self.steps[seq].receipt
        return Receipt(**json.loads(text)) if text else None

    def running(self, fence: int) -> None:
        """The lock is held, and steps follow."""
        with self.store.writing():
            if self.operation.state != "approved":
                self._note("operation.resumed", {"fence": fence, "state": self.operation.state})
            self._save(state="running", fence=fence, error=None, ended_at=None)

    def begun(self, seq: int, observed: str) -> None:
        """The intent: it is on disk before the act goes out."""
        attempt = self.steps[seq].attempt + 1
        at = codec.milliseconds(self._now())
        self._step(seq, "step.begun", state="begun", attempt=attempt, begun_at=at, observed=observed, receipt=None)

    def accepted(self, seq: int, receipt: Receipt) -> None:
        """The service answered that it does it."""
        self._step(seq, "step.accepted", state="accepted", receipt=json.dumps(to_data(receipt)))

    def done(self, seq: int, observed: str) -> None:
        """It was seen to be so."""
        self._end_step(seq, "done", observed)

    def skipped(self, seq: int, observed: str) -> None:
        """It was so before anything was done."""
        self._end_step(seq, "skipped", observed)

    def failed(self, seq: int, why: str) -> None:
        """It is certain that the step did not happen, and it can't be done now."""
        self._end_step(seq, "failed", why)

    def in_doubt(self, seq: int, observed: str) -> None:
        """Nobody can tell from here whether it happened."""
        self._step(seq, "step.in_doubt", state="in_doubt", observed=observed)

    def planned(self, seq: int, why: str) -> None:
        """It certainly did not happen, and may be done."""
        self._step(seq, "step.planned", state="planned", observed=why, receipt=None)

    def verifying(self) -> None:
        """All steps are done; the whole is looked at."""
        with self.store.writing():
            self._save(state="verifying")

    def end(self, state: str, *, error: LpmopsError | None = None, result: Mapping[str, Any] | None = None) -> None:
        """The run is over, in that state."""
        body: dict[str, Any] = {"state": state, "steps": {step.name: step.state for step in self.steps}}
        if error is not None:
            body["error"] = error.message
        if result is not None:
            body["result"] = result
        over = state not in journal.UNFINISHED
        with self.store.writing():
            if state == "cancelled":
                for step in self.steps:
                    if step.state in journal.OPEN_STEPS:
                        self._save_step(step.seq, state="cancelled", ended_at=codec.milliseconds(self._now()))
                body["steps"] = {step.name: step.state for step in self.steps}
            self._note("operation.ended" if over else "operation.stopped", body)
            self._save(
                state=state,
                ended_at=codec.milliseconds(self._now()) if over else None,
                error=None if error is None else error.message,
                result=None if result is None else json.dumps(result),
            )

    def resolved(self, seq: int, state: str, why: str) -> None:
        """A person says how a step that was in doubt stands."""
        with self.store.writing():
            self._note("operation.resolved", {"step": self.steps[seq].name, "as": state, "reason": why})
            ended = codec.milliseconds(self._now()) if state == "done" else None
            self._save_step(seq, state=state, observed=f"resolved by {self._who}: {why}", ended_at=ended)
            self._save(state="interrupted")

    def has_acted(self) -> bool:
        """Whether any step changed something, or may have."""
        return any(step.state in (*journal.OUT_STEPS, "done") for step in self.steps)

    def _end_step(self, seq: int, state: str, observed: str) -> None:
        self._step(seq, f"step.{state}", state=state, observed=observed, ended_at=codec.milliseconds(self._now()))

    def _step(self, seq: int, what: str, **changes: Any) -> None:
        with self.store.writing():
            self._save_step(seq, **changes)
            step = self.steps[seq]
            body = {"step": step.name, "attempt": step.attempt, "observed": step.observed, "receipt": step.receipt}
            self._note(what, body)

    def _save_step(self, seq: int, **changes: Any) -> None:
        changed = replace(self.steps[seq], **changes)
        journal.save_step(self.store, changed)
        self.steps[seq] = changed

    def _save(self, **changes: Any) -> None:
        changed = replace(self.operation, **changes)
        journal.save_operation(self.store, changed)
        self.operation = changed

    def _note(self, what: str, body: Mapping[str, Any]) -> None:
        audit.append(self.store, self._now(), self.operation.environment, self._who, what, body, self.id)


def new_id(now: datetime) -> str:
    """An id that sorts by time and can be typed."""
    return f"{now:%y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def made_at(identifier: str) -> datetime:
    """When an operation was made, as its id says: nothing of it is older. Raises ValueError for what is no id."""
    return datetime.strptime(identifier[:13], "%y%m%d-%H%M%S").replace(tzinfo=UTC)


def write_failed(error: StoreError, identifier: str) -> str:
    """The sentence for a journal that could not be written while an operation ran."""
    return f"Operation {identifier} stopped, because its journal could not be written: {error.message}"
