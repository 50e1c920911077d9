"""The only thing that changes anything: carries out approved plans, step by step, so that a lost answer or a killed process leaves nothing unknown.

Each step: observe; already so: skip; write the intent; act once; observe until visible; write done. An act whose answer was lost is looked for longer
than its request could live before it is sent again, and sent again only where twice is as good as once; else the operation ends in doubt. Before each
act the lock's fence is checked. Whatever stops a run, `resume` goes on from what is seen, never from what was hoped.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from lpmops.config import Environment
from lpmops.control import guard
from lpmops.control import plan as plans
from lpmops.control.book import Book, new_id, write_failed
from lpmops.control.collect import utc_now
from lpmops.control.guard import Approval
from lpmops.control.hands import Event, Hands, Observation, Outcome, Sight, StopRequest, Ticking, Timing, tell_nobody
from lpmops.control.lock import ControlDatabase, Lock
from lpmops.control.plan import Plan, Step
from lpmops.control.watch import Watch
from lpmops.errors import (
    ConflictError,
    FrozenError,
    InDoubtError,
    InterruptError,
    LockedError,
    LockLostError,
    LpmopsError,
    PartlyAppliedError,
    PreconditionError,
    RefusedError,
    RolledBackError,
    ServiceError,
    SignInError,
    StoreError,
    TimedOutError,
)
from lpmops.store import audit, journal, lease
from lpmops.store.connection import Store
from lpmops.store.journal import OperationRow

# How often one run sends a step whose earlier attempt certainly had no effect.
_ATTEMPTS = 3
# How long a process that says nothing is believed to live, where its end does not show.
_LEASE_SECONDS = 180.0


class Engine:
    """Runs the operations of one environment, one at a time."""

    def __init__(
        self,
        store: Store,
        environment: Environment,
        control: ControlDatabase,
        who: str,
        *,
        timing: Timing | None = None,
        now: Callable[[], datetime] = utc_now,
        ticking: Ticking | None = None,
        tell: Callable[[Event], None] = tell_nobody,
        stop: StopRequest | None = None,
    ) -> None:
        self._store, self._environment, self._control, self._who = store, environment, control, who
        self._timing = timing or Timing()
        ticking = ticking or Ticking()
        self._now, self._monotonic, self._sleep = now, ticking.monotonic, ticking.sleep
        self._watch = Watch(self._timing, ticking)
        self._tell, self._stop = tell, stop or StopRequest()
        self._events = 0
        self._earlier: list[int] = []
        self._owner = f"{os.getpid()}-{uuid.uuid4()}"
        self.warnings: list[str] = []

    def apply(self, plan: Plan, approval: Approval, hands: Hands) -> Outcome:
        """Carry out exactly that plan. Raises StalePlanError, DeclinedError, LockedError and what `_run` raises."""
        plans.check_fits(plan, self._environment, self._now())
        guard.refuse_unapplyable(plan)
        guard.check_approval(plan, approval, self._now())
        self.refuse_unfinished()
        identifier = new_id(self._now())
        lock = self._lock(identifier)
        lock.take()
        try:
            guard.check_pins(hands.wanted_pins(), hands.pins())
            fresh = hands.plan()
            if not fresh.steps and not fresh.refusals:
                lock.release()
                return Outcome(
                    None, "succeeded", tuple((step.name, "skipped") for step in plan.steps), fresh_result(fresh)
                )
            check_fresh(plan, fresh)
            book = Book.create(self._store, identifier, plan, approval, lock.fence, self._now)
        except BaseException:
            lock.release()
            raise
        with self._alone(book):
            return self._run(book, plan, lock, hands)

    def resume(self, identifier: str, make_hands: Callable[[Plan], Hands]) -> Outcome:
        """Go on with an operation where it stands. Raises NotFoundError, RefusedError, LockedError and what `_run` raises."""
        book = Book.read(self._store, identifier, self._now, self._who)
        if book.operation.state == "succeeded":
            return outcome_of(book)
        self._refuse_over(book)
        plan = book.plan()
        if other := plans.differences(plan.pins, plans.pins_of(self._environment)):
            raise plans.moved(plan, other)
        hands, lock = make_hands(plan), self._lock(book.id)
        with self._alone(book):
            lock.take(again=True)
            try:
                guard.check_pins(hands.wanted_pins(), hands.pins())
                if not _only_waits(book):
                    self._check_untouched(book, plan, hands)
            except BaseException as error:
                lock.release()
                if isinstance(error, LpmopsError):
                    self._about(book, error)
                raise
            return self._run(book, plan, lock, hands)

    def resolve(self, identifier: str, how: str, reason: str) -> Book:
        """Say of the step that is in doubt that it is done, or not done. Raises NotFoundError, RefusedError, LockedError."""
        book = Book.read(self._store, identifier, self._now, self._who)
        self._refuse_over(book)
        with self._alone(book):
            doubtful = [step for step in book.steps if step.state in journal.OUT_STEPS]
            if not doubtful:
                raise RefusedError(
                    f"No step of operation {book.id} is in doubt; it is {book.operation.state}.",
                    hint=f"Go on with: lpmops op resume {book.id}",
                )
            book.resolved(doubtful[0].seq, "done" if how == "done" else "planned", reason)
        return book

    def abort(self, identifier: str, reason: str) -> Book:
        """Give an operation up: no further step is begun, and what was done stays. Raises NotFoundError, RefusedError, LockedError.

        Nothing but this machine's journal is needed for it, so that nobody is stuck with an operation while a service is away.
        """
        book = Book.read(self._store, identifier, self._now, self._who)
        self._refuse_over(book)
        with self._alone(book):
            book.end("cancelled", result={"reason": reason})
        try:
            self._control.release_operation(book.id)
        except LpmopsError as error:
            self.warnings.append(
                f"Its lock could not be given back and ends by itself within a minute: {error.message}"
            )
        self._copy_head()
        return book

    # A run -----------------------------------------------------------------------------------------------------------------------------------------

    def _run(self, book: Book, plan: Plan, lock: Lock, hands: Hands) -> Outcome:
        """All steps that are left, then the look at the whole.

        Raises InDoubtError, PartlyAppliedError, InterruptError, LockLostError, FrozenError, SignInError, or what kept the first step from being
        done; each carries the operation's id.
        """
        quiet = True
        # A person who resumes has looked: the attempts of earlier runs do not count.
        self._earlier = [row.attempt for row in book.steps]
        try:
            book.running(lock.fence)
            self._say(book, None, "running")
            for seq, step in enumerate(plan.steps):
                if self._stop.requested:
                    raise InterruptError(f"Operation {book.id} was stopped between two steps, as asked.")
                self._step(book, step, seq, lock, hands)
            book.verifying()
            self._say(book, None, "verifying")
            book.end("succeeded", result=dict(hands.verify(plan, book.id)))
            self._say(book, None, "succeeded")
        except StoreError as error:
            quiet = not book.has_acted()
            raise self._about(book, PartlyAppliedError(write_failed(error, book.id), hint=error.hint)) from error
        except LpmopsError as error:
            raise self._stopped(book, plan, error) from error
        except BaseException:
            # Leaving at once: what is on its way may still take effect, so the lease runs out by itself.
            quiet = False
            with contextlib.suppress(StoreError):
                book.end("interrupted")
            raise
        finally:
            lock.release() if quiet else lock.leave()
        self._copy_head()
        return outcome_of(book)

    def _stopped(self, book: Book, plan: Plan, error: LpmopsError) -> LpmopsError:
        """Write down why a run stopped; the error that says so."""
        said: LpmopsError = error
        if isinstance(error, InDoubtError):
            state = "in_doubt"
        elif isinstance(error, InterruptError | SignInError | PartlyAppliedError | TimedOutError):
            state = "interrupted"
        elif isinstance(error, RolledBackError) or not book.has_acted():
            state = "failed"
        else:
            state = "interrupted"
            if not isinstance(error, LockLostError | FrozenError):
                said = PartlyAppliedError(
                    f"Operation {book.id} stopped after some of its steps were done: {error.message}", hint=error.hint
                )
        try:
            book.end(state, error=error)
        except StoreError as failed:
            said = PartlyAppliedError(write_failed(failed, book.id), hint=failed.hint) if book.has_acted() else failed
        self._say(book, None, state)
        self._copy_head()
        said = self._about(book, said)
        if (
            book.has_acted()
            and plan.undo_of(book.id) != plan.undo
            and not isinstance(said, TimedOutError | RolledBackError)
        ):
            back = f"lpmops op abort {book.id} --reason WHY   then   {plan.undo_of(book.id)}"
            said.hint = f"{said.hint}\nOr bring back what was before it: {back}".strip()
        return said

    def _about(self, book: Book, error: LpmopsError) -> LpmopsError:
        error.operation = book.id
        if book.operation.state in journal.UNFINISHED and "lpmops op" not in error.hint:
            ways = f"Go on with: lpmops op resume {book.id}   or give up: lpmops op abort {book.id} --reason WHY"
            error.hint = f"{error.hint}\n{ways}".strip()
        return error

    def _step(self, book: Book, step: Step, seq: int, lock: Lock, hands: Hands) -> None:
        row = book.steps[seq]
        if row.state in ("done", "skipped"):
            return None
        if row.state in journal.OUT_STEPS and self._await(book, step, seq, hands):
            return None
        while True:
            seen = self._watch.steady(hands, step, book.steps[seq])
            if seen.sight is Sight.SO:
                book.skipped(seq, seen.said)
                return self._say(book, step, "skipped", seen.said)
            if seen.sight is not Sight.ABSENT:
                raise self._cannot(book, step, seq, seen)
            self._watch.check(lock)
            book.begun(seq, seen.said)
            self._say(book, step, "begun")
            if self._act(book, step, seq, hands):
                return None

    def _act(self, book: Book, step: Step, seq: int, hands: Hands) -> bool:
        """Act once and see it through; False where it certainly did not happen and may be tried again."""
        try:
            receipt = hands.act(step, book.id)
        except ServiceError as error:
            if not error.settled:
                return self._await(book, step, seq, hands, error)
            self._settled(book, step, seq, hands, error)
            return True
        except LpmopsError as error:
            book.failed(seq, error.message)
            raise
        book.accepted(seq, receipt)
        self._say(book, step, "accepted")
        return self._await(book, step, seq, hands)

    def _settled(self, book: Book, step: Step, seq: int, hands: Hands, error: ServiceError) -> None:
        """The service refused: that is the end of the step, unless somebody else had made it so by then."""
        if isinstance(error, ConflictError | PreconditionError):
            seen = self._watch.look(hands, step, book.steps[seq], None, self._monotonic() + self._timing.patience)
            if seen.sight is Sight.SO:
                book.done(seq, seen.said)
                return self._say(book, step, "done", seen.said)
            if seen.sight is Sight.MOVING and self._await(book, step, seq, hands):
                return None
            if seen.sight is Sight.OTHERWISE:
                raise self._cannot(book, step, seq, seen)
        if isinstance(error, SignInError):
            book.planned(seq, error.message)
        else:
            book.failed(seq, error.message)
        self._say(book, step, "failed", error.message)
        raise error

    def _cannot(self, book: Book, step: Step, seq: int, seen: Observation) -> RefusedError:
        """The error for a step whose thing is in a state that no act of it leads out of."""
        book.failed(seq, seen.said)
        self._say(book, step, "failed", seen.said)
        return RefusedError(
            f"{step.name} can't be done now: {seen.said}.",
            hint=f"Look at it: lpmops status -e {book.operation.environment}",
        )

    def _await(self, book: Book, step: Step, seq: int, hands: Hands, lost: ServiceError | None = None) -> bool:
        """Look until the effect of an act shows; False where it is certain that there is none and the step may be done again.

        Raises InDoubtError where that can't be told, PartlyAppliedError where the act led somewhere else.
        """
        row, receipt = book.steps[seq], book.receipt(seq)
        began, limit, told = self._monotonic(), hands.limit(step), ""
        # The whole time also for an act of an earlier run: how long ago that was only a clock could tell that somebody may have set since.
        settled_at = began + self._timing.settle
        while True:
            try:
                seen = self._watch.look(hands, step, row, receipt, began + self._timing.visible)
            except SignInError:
                raise
            except LpmopsError as error:
                if limit is not None:
                    raise
                raise self._doubt(book, step, seq, f"it can't be looked at: {error.message}", lost) from error
            if seen.sight is Sight.SO:
                book.done(seq, seen.said)
                self._say(book, step, "done", seen.said)
                return True
            if seen.sight is Sight.OTHERWISE:
                book.failed(seq, seen.said)
                self._say(book, step, "failed", seen.said)
                if limit is not None and hands.repeatable(step) and row.attempt == self._earlier[seq]:
                    # It failed while nobody looked: whoever resumes wants it done again, and has not to ask twice.
                    return False
                # The act went out and led somewhere: that is not nothing.
                raise PartlyAppliedError(
                    f"{step.name} did not work: {seen.said}.",
                    hint=f"Look at it: lpmops status -e {book.operation.environment}",
                )
            now = self._monotonic()
            # A step that acts and then waits long may have lost its answer too; one that only waits has none to lose.
            is_settled = seen.sight is Sight.ABSENT and receipt is None and now >= settled_at
            if limit is not None and (step.only_waits or not is_settled):
                told = self._wait_on(book, step, seen, told, over=now - began > limit)
                continue
            if is_settled:
                if hands.repeatable(step) and row.attempt - self._earlier[seq] < _ATTEMPTS:
                    return False
                raise self._doubt(book, step, seq, seen.said, lost)
            if now - began > self._timing.visible:
                raise self._doubt(book, step, seq, f"{seen.said} after {self._timing.visible:.0f} s", lost)
            self._sleep(self._timing.poll)

    def _wait_on(self, book: Book, step: Step, seen: Observation, told: str, *, over: bool) -> str:
        """One more breath of a step that waits for others; what was told last. Raises TimedOutError when its time is over, InterruptError."""
        if over:
            raise TimedOutError(
                f"“{step.name}” took longer than it was given: {seen.said}. What it waits for goes on.",
                hint=f"Wait on: lpmops op resume {book.id}\nOr leave it at that: lpmops op abort {book.id} --reason WHY",
            )
        if self._stop.requested:
            raise InterruptError(
                f"Operation {book.id} was stopped while it waited, as asked: {seen.said}. What it waits for goes on."
            )
        if seen.said != told:
            self._say(book, step, "accepted", seen.said)
        self._sleep(self._timing.poll)
        return seen.said

    def _doubt(self, book: Book, step: Step, seq: int, seen: str, lost: ServiceError | None) -> InDoubtError:
        book.in_doubt(seq, seen)
        self._say(book, step, "in_doubt", seen)
        why = f"The answer was lost ({lost.message})" if lost is not None else "The answer to the last act is not known"
        return InDoubtError(
            f"It is in doubt whether “{step.name}” took effect. {why}; what is seen now: {seen}.",
            hint=f"Look again and go on: lpmops op resume {book.id}\n"
            f"Or say what you know: lpmops op resolve {book.id} --as done|not-done|retry --reason WHY\n"
            f"Or give up: lpmops op abort {book.id} --reason WHY",
        )

    # Around a run ----------------------------------------------------------------------------------------------------------------------------------

    def _lock(self, identifier: str) -> Lock:
        def beat() -> None:
            with contextlib.suppress(StoreError):
                lease.take(self._store, _lease(identifier), self._owner, self._now(), _LEASE_SECONDS)

        return Lock(self._control, self._who, identifier, monotonic=self._monotonic, beat=beat)

    def refuse_unfinished(self) -> None:
        """Raises RefusedError where this machine's journal has an operation of the environment that is not over, LockedError where it runs.

        One that has done everything and only waits for others keeps nobody out.
        """
        for operation, steps in journal.operations(self._store, self._environment.name, unfinished=True):
            if is_alive(self._store, operation.id, self._now()):
                raise LockedError(
                    f"Operation {operation.id} ({operation.action}) runs in {operation.environment} on this machine.",
                    hint=f"Wait for it, or see it: lpmops op show {operation.id}",
                )
            if _only_waits(Book(self._store, operation, steps, self._now, self._who)):
                continue
            error = RefusedError(
                f"{operation.environment} has an unfinished operation, {operation.id} ({operation.action}); finish it first.",
                hint=f"Go on with it: lpmops op resume {operation.id}   or give it up: lpmops op abort {operation.id} --reason WHY",
            )
            error.operation = operation.id
            raise error

    def _refuse_over(self, book: Book) -> None:
        if book.operation.state not in journal.UNFINISHED:
            raise RefusedError(
                f"Operation {book.id} is over: it is {book.operation.state}.",
                hint="Make a new plan: repeat its command.",
            )

    @contextlib.contextmanager
    def _alone(self, book: Book) -> Iterator[None]:
        """Be the one process of this machine that has to do with an operation. Raises LockedError where another has."""
        name = _lease(book.id)
        if not lease.take(self._store, name, self._owner, self._now(), _LEASE_SECONDS):
            host, process = lease.process(self._store, name, self._now()) or ("this machine", 0)
            raise LockedError(f"Operation {book.id} still runs in process {process} on {host}.", hint="Wait for it.")
        try:
            yield
        finally:
            with contextlib.suppress(StoreError):
                lease.release(self._store, name, self._owner)

    def _check_untouched(self, book: Book, plan: Plan, hands: Hands) -> None:
        """Before going on: what no step has changed is as it was planned on. Raises StalePlanError."""
        touched = {
            name
            for step, row in zip(plan.steps, book.steps, strict=True)
            if row.attempt or row.state not in ("planned",)
            for name in step.touches
        }
        before = {name: value for name, value in plan.seen.items() if name not in touched}
        now = hands.plan().seen
        if changes := plans.differences(before, {name: now.get(name) for name in before}):
            raise plans.moved(plan, changes)

    def _copy_head(self) -> None:
        """Copy the audit's head beside the lock; where that fails it is told, and the next operation does it."""
        try:
            head = audit.head(self._store)
            if head is not None:
                self._control.put_head(head)
        except LpmopsError as error:
            self.warnings.append(f"The audit's head could not be copied to the control database: {error.message}")

    def _say(self, book: Book, step: Step | None, state: str, said: str = "") -> None:
        self._events += 1
        try:
            self._tell(Event(self._events, self._now(), book.id, step.name if step else None, state, said))
        except Exception:  # noqa: BLE001 - the edge to a face: one that is gone (a closed pipe) must not stop what is under way
            self._tell = tell_nobody


def _only_waits(book: Book) -> bool:
    """Whether what is left of an operation is to wait for others, and to note that it came; False for a plan that can't be read."""
    try:
        steps = book.plan().steps
    except StoreError:
        return False
    # One that failed is left too: whoever resumes does it again.
    left = [step for step, row in zip(steps, book.steps, strict=True) if row.state not in ("done", "skipped")]
    return bool(left) and all(step.only_waits for step in left)


def check_fresh(plan: Plan, fresh: Plan) -> None:
    """Refuse a plan that would not be made now: a field moved, or its steps do not follow from what it saw. Raises StalePlanError, RefusedError."""
    if changes := plans.differences(plan.seen, fresh.seen):
        raise plans.moved(plan, changes)
    guard.refuse_unapplyable(fresh)
    old, new = plans.plan_data(plan)["plan"], plans.plan_data(fresh)["plan"]
    if changes := plans.differences(
        {name: old[name] for name in ("steps", "danger", "target")},
        {name: new[name] for name in ("steps", "danger", "target")},
    ):
        raise plans.moved(plan, changes)


def fresh_result(plan: Plan) -> Mapping[str, Any]:
    """The result of a plan that has nothing left to do."""
    return {"changed": False, "summary": plan.summary}


def outcome_of(book: Book) -> Outcome:
    """How an operation stands, from its rows."""
    result = json.loads(book.operation.result) if book.operation.result else {}
    return Outcome(book.id, book.operation.state, tuple((step.name, step.state) for step in book.steps), result)


def is_alive(store: Store, identifier: str, now: datetime) -> bool:
    """Whether a process of this machine runs that operation."""
    return process_of(store, identifier, now) is not None


def process_of(store: Store, identifier: str, now: datetime) -> tuple[str, int] | None:
    """Host and id of the process of this machine that runs that operation, None where none does."""
    return lease.process(store, _lease(identifier), now)


def state_of(store: Store, operation: OperationRow, now: datetime) -> str:
    """How an operation stands; one whose process is gone is interrupted, whatever it was when that went."""
    going = operation.state in ("approved", "running", "verifying")
    return "interrupted" if going and not is_alive(store, operation.id, now) else operation.state


def _lease(identifier: str) -> str:
    return f"operation {identifier}"
