"""Everything that an app which stays open may have changed: fields, plans, runs, what is unfinished, and the audit, each behind the same guard.

An app holds one `ActionOrders` as long as it is open. What it asks for may block or hang and is called on other threads; only `arm`, `disarm` and
`armed` answer from memory. Each call opens its own desk and store, so that nothing is shared between a run and what is looked at meanwhile. One that
is read-only, and an environment that is not armed, are refused here, whatever a screen believes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from lpmops.config import Config
from lpmops.control import guard
from lpmops.control.collect import utc_now
from lpmops.control.engine import state_of
from lpmops.control.guard import Arming
from lpmops.control.hands import Event, Outcome, StopRequest, Timing, tell_nobody
from lpmops.control.operations import FINISHED_STEPS, Operation, operation_of, operations
from lpmops.control.plan import Danger, Plan
from lpmops.control.poller import Opener, open_services
from lpmops.model import ReplayProgress, ReplayRun
from lpmops.store import audit, journal
from lpmops.store.audit import Entry
from lpmops.store.connection import Store

if TYPE_CHECKING:
    from lpmops.actions.desk import Desk
    from lpmops.actions.inputs import Choice, Input, Remark
    from lpmops.services.cloud import EnvironmentServices

_AUDIT_SHOWN = 1_000


class ActionOrders:
    """The orders of one app. Safe to use from many threads."""

    def __init__(
        self,
        config: Config,
        open_store: Callable[[str], Store],
        *,
        read_only: bool = False,
        opener: Opener = open_services,
        now: Callable[[], datetime] = utc_now,
        timing: Timing | None = None,
    ) -> None:
        self.read_only = read_only
        self._config, self._open_store, self._opener, self._now = config, open_store, opener, now
        self._timing = timing
        self._lock = threading.Lock()
        self._armed: dict[str, Arming] = {}
        self._sent: dict[tuple[str, int], ReplayProgress] = {}
        self._runs: dict[tuple[str, int, int], ReplayRun] = {}

    # Arming ----------------------------------------------------------------------------------------------------------------------------------------

    def arm(self, environment: str) -> None:
        """Let things be changed in an environment for a while. Raises DeclinedError where this app is read-only."""
        guard.refuse_read_only(self.read_only)
        with self._lock:
            self._armed[environment] = guard.arm(environment, self._now())

    def disarm(self, environment: str) -> None:
        """End it before its time."""
        with self._lock:
            self._armed.pop(environment, None)

    def armed(self) -> Mapping[str, float]:
        """The armed environments, each with the seconds left."""
        now = self._now()
        with self._lock:
            self._armed = {name: arming for name, arming in self._armed.items() if arming.left(now)}
            return {name: arming.left(now) for name, arming in self._armed.items()}

    # Plans and runs --------------------------------------------------------------------------------------------------------------------------------

    def choices(self, environment: str, action: str, field: str) -> Sequence[Choice]:
        """What an input of an action can be now. Raises lpmops.errors types."""
        found = _input(action, field)
        if found.choices is None:
            return ()
        with self._desk(environment) as desk:
            return tuple(found.choices(desk.bench()))

    def look(self, environment: str, action: str, field: str, text: str) -> Sequence[Remark]:
        """What the services say about a text of an input. Raises lpmops.errors types."""
        found = _input(action, field)
        if found.look is None:
            return ()
        with self._desk(environment) as desk:
            return tuple(found.look(desk.bench(), text))

    def plan(self, environment: str, action: str, values: Mapping[str, Any]) -> Plan:
        """What the action would do now; what is unfinished goes first. Raises lpmops.errors types."""
        from lpmops.actions import registry

        entry = registry.action(action)
        with self._desk(environment) as desk:
            desk.refuse_unfinished()
            return desk.plan(entry, {**entry.fill(desk.bench()), **values})

    def apply(
        self,
        plan: Plan,
        typed: str,
        tell: Callable[[Event], None] = tell_nobody,
        stop: StopRequest | None = None,
    ) -> Outcome:
        """Carry out a plan to which somebody said yes by typing that. Raises DeclinedError and what Desk.apply raises."""
        guard.refuse_read_only(self.read_only)
        self._refuse_unarmed(plan.danger, plan.environment)
        with self._desk(plan.environment) as desk:
            approval = guard.approve(plan, guard.answers_of(guard.request_of(plan), typed), desk.who(), self._now())
            return desk.apply(plan, approval, tell=tell, stop=stop)

    def resume(
        self, identifier: str, tell: Callable[[Event], None] = tell_nobody, stop: StopRequest | None = None
    ) -> Outcome:
        """Go on with an operation. Raises DeclinedError and what Desk.resume raises."""
        operation = self._guarded(identifier)
        self._refuse_unarmed(operation.danger, operation.environment)
        with self._desk(operation.environment) as desk:
            return desk.resume(operation.id, tell=tell, stop=stop)

    def resolve(self, identifier: str, how: str, reason: str) -> None:
        """Say how the step in doubt stands: done or not-done. Raises DeclinedError and what Desk.resolve raises."""
        operation = self._guarded(identifier)
        with self._desk(operation.environment) as desk:
            desk.resolve(operation.id, how, reason)

    def abort(self, identifier: str, reason: str) -> None:
        """Give an operation up. Raises DeclinedError and what Desk.abort raises."""
        operation = self._guarded(identifier)
        with self._desk(operation.environment) as desk:
            desk.abort(operation.id, reason)

    def pause(self, identifier: str) -> None:
        """End what a replay has at work, and leave the rest to be resumed. Raises DeclinedError and what replay_halt.pause raises."""
        from lpmops.actions import replay_halt

        operation = self._guarded(identifier)
        with self._desk(operation.environment) as desk:
            replay_halt.pause(desk, operation.id, "paused")

    # What was done ---------------------------------------------------------------------------------------------------------------------------------

    def operations(self) -> Sequence[Operation]:
        """The newest operations of this machine, newest first. Raises StoreError."""
        with self._store() as store:
            return tuple(operations(store, self._now()))

    def audit(self) -> Sequence[Entry]:
        """The newest entries of this machine's audit, newest first; the whole chain is checked. Raises StoreError."""
        with self._store() as store:
            return tuple(reversed(audit.entries(store, limit=_AUDIT_SHOWN)))

    def replay(self, identifier: str) -> Mapping[str, Any]:
        """A replay's chunks with what was sent of each, and its proof; a chunk that is done is asked about once. Raises lpmops.errors types."""
        from lpmops.actions import replay_show
        from lpmops.actions.replay_sight import Workspace

        with self._store() as store:
            row, steps = journal.read(store, identifier)
            state = state_of(store, row, self._now())
        done = {number for number, step in enumerate(steps, 1) if step.state in FINISHED_STEPS}
        with ExitStack() as opened:
            workspace = Workspace(row.id, lambda: opened.enter_context(self._desk(row.environment)).services.replays)

            def progress(chunk: int) -> ReplayProgress | None:
                found = self._sent.get((row.id, chunk)) or workspace.progress(chunk)
                if found is not None and chunk in done:
                    self._sent[row.id, chunk] = found
                return found

            def newest(chunk: int) -> ReplayRun | None:
                step = steps[chunk - 1]
                found = self._runs.get((row.id, chunk, step.attempt)) or workspace.run(chunk)
                # One that the receipt does not name may be of an earlier attempt.
                if found is not None and step.receipt and found.run_id == replay_show.ordered(step):
                    self._runs[row.id, chunk, step.attempt] = found
                return found

            return replay_show.data(row, steps, state, progress, newest)

    # Inside ----------------------------------------------------------------------------------------------------------------------------------------

    def _guarded(self, identifier: str) -> Operation:
        guard.refuse_read_only(self.read_only)
        with self._store() as store:
            row, steps = journal.read(store, identifier)
            return operation_of(store, row, steps, self._now())

    def _refuse_unarmed(self, danger: Danger, environment: str) -> None:
        with self._lock:
            arming = self._armed.get(environment)
        guard.refuse_unarmed(danger, environment, arming, self._now())

    @contextmanager
    def _store(self) -> Iterator[Store]:
        store = self._open_store(self._config.state_directory)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def _desk(self, name: str) -> Iterator[Desk]:
        from lpmops.actions.desk import Desk

        environment = self._config.environment(name)
        with self._store() as store:
            services = self._opener(environment, self._config.refresh.deadline)
            # The poller's opener names only what looking needs; the bundle behind it is that of the services.
            desk = Desk(
                self._config,
                environment,
                store,
                cast("EnvironmentServices", services),
                now=self._now,
                timing=self._timing,
            )
            try:
                yield desk
            finally:
                desk.close()


def _input(action: str, field: str) -> Input:
    from lpmops.actions import registry

    return next(each for each in registry.action(action).inputs or () if each.name == field)
