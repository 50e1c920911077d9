"""Where a face gets things changed: plans, runs and finishes operations of one environment, and shows and sets its lock and freeze.

A desk opens the environment's services at its first use and closes them at the end. Everything it raises is of lpmops.errors; nothing it does asks
a person. What an operator does to lock and freeze is audited here, as there is no operation to do it for.
"""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lpmops.actions import asa_trial, registry
from lpmops.actions.action import Action, ActionHands, Bench, Prover, Trier, Wish
from lpmops.actions.inputs import check_text
from lpmops.actions.replay_proofs import StoredProofs
from lpmops.config import Config, Environment
from lpmops.control.book import Book
from lpmops.control.collect import utc_now
from lpmops.control.engine import Engine, is_alive
from lpmops.control.guard import Approval
from lpmops.control.hands import Event, Outcome, StopRequest, Ticking, Timing, tell_nobody
from lpmops.control.lock import ControlDatabase, LockState
from lpmops.control.operations import Operation, operation_of
from lpmops.control.plan import Plan
from lpmops.errors import LpmopsError, NotFoundError, PartlyAppliedError, RefusedError, UsageError
from lpmops.model import to_data
from lpmops.store import audit, journal
from lpmops.store.connection import Store

if TYPE_CHECKING:
    from lpmops.services.cloud import EnvironmentServices

_UNKNOWN = {"default", "azure-cli", "environment", "managed-identity", "workload-identity", "token-endpoint", ""}


class Desk:
    """One operator at one environment."""

    def __init__(
        self,
        config: Config,
        environment: Environment,
        store: Store,
        services: EnvironmentServices,
        *,
        now: Callable[[], datetime] = utc_now,
        timing: Timing | None = None,
        ticking: Ticking | None = None,
        trial: Trier = asa_trial.check,
        prover: Prover | None = None,
    ) -> None:
        self.config, self.environment, self.store, self.services = config, environment, store, services
        self.control = ControlDatabase(services.sql, environment.sql.control_database, environment.name)
        self.now, self.ticking, self._trial = now, ticking or Ticking(), trial
        self._prover = prover or StoredProofs(store)
        self._timing = timing or Timing(settle=max(30.0, 2 * config.refresh.deadline))
        self.warnings: list[str] = []

    def who(self) -> str:
        """The operator: whom the sign-in names, else who is at this machine. Reads the control database once where nobody signed in yet."""
        name = str(self.services.credential.state().identity)
        if name in _UNKNOWN:
            # Without an answer nothing remote can be changed either; the journal can.
            with contextlib.suppress(LpmopsError):
                self.control.state()
            name = str(self.services.credential.state().identity)
        return f"{getpass.getuser()}@{socket.gethostname()}" if name in _UNKNOWN else name

    def bench(self) -> Bench:
        """What an action works with."""
        return Bench(
            self.config,
            self.environment,
            self.services,
            self.control,
            self.who(),
            self.now,
            self,
            self._trial,
            self._prover,
        )

    def plan(self, action: Action, wish: Wish) -> Plan:
        """What the action would do now. Raises UsageError for a wish that holds bytes which are no text."""
        for value in wish.values():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str):
                    check_text(each)
        return action.plan(self.bench(), wish)

    def plan_of(self, operation: str) -> Plan:
        """The plan that an operation of this environment was approved with. Raises NotFoundError, StoreError."""
        plan = Book.read(self.store, operation, self.now, self.who()).plan()
        if plan.environment != self.environment.name:
            raise NotFoundError(
                f"Operation {operation} was of {plan.environment}, not of {self.environment.name}.",
                hint=f"See its own: lpmops op list -e {self.environment.name}",
            )
        return plan

    def done(self, action: str) -> Sequence[Operation]:
        """The operations of an action in this environment, newest first. Raises StoreError."""
        found = journal.operations(self.store, self.environment.name)
        return [operation_of(self.store, row, steps, self.now()) for row, steps in found if row.action == action]

    def refuse_unfinished(self) -> None:
        """Raises RefusedError or LockedError where an operation of this environment is not over."""
        self._engine(tell_nobody, None).refuse_unfinished()

    def apply(
        self,
        plan: Plan,
        approval: Approval,
        *,
        tell: Callable[[Event], None] = tell_nobody,
        stop: StopRequest | None = None,
    ) -> Outcome:
        """Carry out an approved plan. Raises what Engine.apply raises."""
        engine = self._engine(tell, stop)
        try:
            return engine.apply(plan, approval, self._hands(plan))
        finally:
            self.warnings += engine.warnings

    def resume(
        self, identifier: str, *, tell: Callable[[Event], None] = tell_nobody, stop: StopRequest | None = None
    ) -> Outcome:
        """Go on with an operation. Raises what Engine.resume raises."""
        engine = self._engine(tell, stop)
        try:
            return engine.resume(identifier, self._hands)
        finally:
            self.warnings += engine.warnings

    def resolve(self, identifier: str, how: str, reason: str) -> Book:
        """Say how the step that is in doubt stands: done or not-done. Raises what Engine.resolve raises."""
        return self._engine(tell_nobody, None).resolve(identifier, how, reason)

    def abort(self, identifier: str, reason: str) -> Book:
        """Give an operation up, and end what it has at work elsewhere.

        Raises what Engine.abort raises, and PartlyAppliedError where it was given up and what it has at work goes on.
        """
        engine = self._engine(tell_nobody, None)
        going_on = self._halt(identifier)
        try:
            book = engine.abort(identifier, reason)
        finally:
            self.warnings += engine.warnings
        if going_on is not None:
            raise PartlyAppliedError(
                f"Operation {book.id} was given up, but what it has at work could not be ended and goes on: {going_on.message}",
                hint=f"End it in the workspace: the run is named after the operation.\n{going_on.hint}".strip(),
            )
        return book

    def _halt(self, identifier: str) -> LpmopsError | None:
        """End what an operation that no process runs has at work; what kept it from that."""
        operation, _ = journal.read(self.store, identifier)
        entry = registry.ACTIONS.get(operation.action)
        if entry is None or entry.halt is None or operation.state not in journal.UNFINISHED:
            return None
        if is_alive(self.store, operation.id, self.now()):
            # It is not given up from here while another process runs it.
            return None
        try:
            entry.halt(self.bench(), operation.id)
        except LpmopsError as error:
            return error
        return None

    def break_lock(self, reason: str) -> LockState:
        """Take the lock away from whoever holds it; how it was before. Raises UsageError, RefusedError, ServiceError types."""
        _reason(reason, "Whoever loses the lock must learn why.")
        before = self.control.state()
        if before.holder is None:
            raise RefusedError(
                f"Nobody holds the lock of {self.environment.name}.",
                hint=f"See it: lpmops lock show -e {self.environment.name}",
            )
        if not self.control.break_lock(before.fence):
            raise RefusedError(
                "The lock changed hands just now; nothing was done.", hint="Look again: lpmops lock show"
            )
        body = {"reason": reason, "holder": before.holder, "operation": before.operation, "fence": before.fence}
        self.note("lock.broken", body)
        return before

    def freeze(self, reason: str, until: datetime | None) -> LockState:
        """Let no operation begin or go on; how it is then. Raises UsageError, ServiceError types."""
        _reason(reason, "Whoever meets the freeze must learn why.")
        if until is not None and until <= self.now():
            raise UsageError("The freeze would be over before it begins.", hint="Name a time to come: --until 2h")
        self.control.freeze(reason, self.who(), until)
        self.note("freeze", {"reason": reason, "until": to_data(until)})
        return self.control.state()

    def unfreeze(self, reason: str) -> bool:
        """Lift the freeze; False where there was none. Raises ServiceError types."""
        lifted = self.control.unfreeze()
        if lifted:
            self.note("unfreeze", {"reason": reason})
        return lifted

    def close(self) -> None:
        """Close the services."""
        self.services.close()

    def _hands(self, plan: Plan) -> ActionHands:
        return ActionHands(registry.action(plan.action), self.bench(), plan.wish)

    def _engine(self, tell: Callable[[Event], None], stop: StopRequest | None) -> Engine:
        return Engine(
            self.store,
            self.environment,
            self.control,
            self.who(),
            timing=self._timing,
            now=self.now,
            ticking=self.ticking,
            tell=tell,
            stop=stop,
        )

    def note(self, what: str, body: Mapping[str, Any], operation: str | None = None) -> None:
        """Write down in the audit what an operator did beside the steps of an operation. Raises StoreError."""
        audit.append(self.store, self.now(), self.environment.name, self.who(), what, body, operation)
        head = audit.head(self.store)
        try:
            if head is not None:
                self.control.put_head(head)
        except LpmopsError as error:
            self.warnings.append(f"The audit's head could not be copied to the control database: {error.message}")


def _reason(reason: str, why: str) -> None:
    if not reason.strip():
        raise UsageError(f"It needs a reason. {why}", hint="Add: --reason WHY")
