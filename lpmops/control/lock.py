"""One operator at a time: the lock, the freeze and the audit's head of an environment, as rows in its control database.

The lease lasts 60 s by the server's clock and is renewed each 20 s by a thread; whoever holds it stops acting 45 s after the last renewal that was
answered. Each taking raises the fence, and `check` asks before every act whether the fence still is the one that was taken. All texts are in
`queries/tsql`. A control database from before a table existed gets it at the first use.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from lpmops.errors import FrozenError, LockedError, LockLostError, LpmopsError, ServiceError, StatementError
from lpmops.model import to_data
from lpmops.plain_text import plain
from lpmops.routing.schema import CONTROL_STATEMENTS
from lpmops.store.audit import Head

LEASE_SECONDS = 60
RENEW_SECONDS = 20.0
TRUST_SECONDS = 45.0
# The action whose end a stopped job is.
PAUSE = "asa.pause"
# Invalid column and object names.
MISSING = (207, 208)


class Rows(Protocol):
    """The databases of an environment."""

    def rows(self, database: str, query_name: str, parameters: Sequence[object] = ()) -> Sequence[Mapping[str, Any]]:
        """The rows of `queries/tsql/QUERY_NAME.sql`."""
        ...


@dataclass(frozen=True, slots=True)
class Freeze:
    """Why nothing may begin, who said so, and until when; None is until somebody lifts it."""

    reason: str
    by: str
    at: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class LockState:
    """How an environment's lock is by the server's clock. `holder` is None where it is free."""

    server_time: datetime
    fence: int
    holder: str | None = None
    operation: str | None = None
    taken_at: datetime | None = None
    expires_at: datetime | None = None
    freeze: Freeze | None = None

    @property
    def held(self) -> bool:
        """Whether somebody holds it and the lease is not over."""
        return self.holder is not None and self.expires_at is not None and self.expires_at > self.server_time


@dataclass(frozen=True, slots=True)
class Pause:
    """A job that an operator stopped on purpose: to pause it, or, as `action` says, on the way to something else."""

    target: str
    reason: str
    ticket: str
    by: str
    at: datetime
    until: datetime | None
    operation: str
    action: str = PAUSE

    @property
    def on_the_way(self) -> bool:
        """Whether an operation stopped the job and was to start it again itself: then a job that stands still is half done."""
        return self.action != PAUSE


class ControlDatabase:
    """What all operators of an environment share. Every call raises lpmops.errors types."""

    def __init__(self, sql: Rows, database: str, environment: str) -> None:
        self._sql, self._database, self.environment = sql, database, environment

    def state(self) -> LockState:
        """The lock and the freeze."""
        row = self.rows("lock_state", self.environment, self.environment)[0]
        freeze = None
        if row["frozen_by"] is not None:
            freeze = Freeze(str(row["reason"]), str(row["frozen_by"]), row["frozen_at"], row["until_at"])
        owned = row["owner"] is not None
        return LockState(
            server_time=row["server_time"],
            fence=int(row["fence"] or 0),
            holder=str(row["holder"] or row["owner"]) if owned else None,
            operation=str(row["operation"]) if owned and row["operation"] is not None else None,
            taken_at=row["taken_at"] if owned else None,
            expires_at=row["expires_at"] if owned else None,
            freeze=freeze,
        )

    def take(self, owner: str, holder: str, operation: str, *, again: str = "") -> int | None:
        """Take the lease: its fence, or None where another holds it. `again` is an operation whose own lease may be taken over."""
        self.rows("lock_seed", self.environment, self.environment)
        rows = self.rows(
            "lock_take", owner, owner, holder, operation, LEASE_SECONDS, self.environment, owner, again or owner
        )
        return int(rows[0]["fence"]) if rows else None

    def renew(self, owner: str, fence: int) -> bool:
        """Keep the lease; False where it is another's by now."""
        return bool(self.rows("lock_renew", LEASE_SECONDS, self.environment, owner, fence))

    def release(self, owner: str, fence: int) -> None:
        """Give the lease back, where it is still this owner's."""
        self.rows("lock_release", self.environment, owner, fence)

    def release_operation(self, operation: str) -> None:
        """Give back what a dead process of an operation still holds."""
        state = self.state()
        if state.operation == operation:
            self.break_lock(state.fence)

    def break_lock(self, fence: int) -> bool:
        """Take the lease away from whoever holds it at that fence; False where that has changed meanwhile."""
        return bool(self.rows("lock_break", self.environment, fence))

    def freeze(self, reason: str, by: str, until: datetime | None) -> None:
        """Let nothing begin until then, or until it is lifted."""
        values = (reason, by, until, self.environment)
        self.rows("freeze_put", *values, *values)

    def unfreeze(self) -> bool:
        """Lift the freeze; False where there was none."""
        return bool(self.rows("freeze_delete", self.environment))

    def pauses(self) -> dict[str, Pause]:
        """The paused jobs by name."""
        return pauses_of(self.rows("pauses"))

    def put_pause(
        self,
        target: str,
        reason: str,
        ticket: str,
        by: str,
        until: datetime | None,
        operation: str,
        action: str = PAUSE,
    ) -> None:
        """Note that a job is paused, or stopped on the way of another action."""
        values = (reason, ticket or None, by, until, operation, action, target)
        self.rows("pause_put", *values, *values)

    def delete_pause(self, target: str) -> None:
        """Note that a job is not paused any more."""
        self.rows("pause_delete", target)

    def put_head(self, head: Head) -> None:
        """Keep the newest entry of an audit chain."""
        values = (head.chain, head.sequence, head.hash)
        self.rows("audit_head_put", head.sequence, head.hash, head.chain, head.sequence, head.chain, *values)

    def head(self, chain: str) -> Head | None:
        """How far a chain was known to reach when it last changed this environment."""
        rows = self.rows("audit_heads", chain)
        return Head(chain, int(rows[0]["sequence"]), str(rows[0]["hash"])) if rows else None

    def server_name(self) -> str:
        """The name of the server that answers."""
        return str(self.rows("server_name")[0]["server_name"] or "")

    def rows(self, query: str, *parameters: object) -> Sequence[Mapping[str, Any]]:
        """The rows of `queries/tsql/QUERY.sql`; a table or column that is not there yet is made first."""
        try:
            return self._sql.rows(self._database, query, parameters)
        except StatementError as error:
            if error.status not in MISSING:
                raise
        for statement in CONTROL_STATEMENTS:
            self._sql.rows(self._database, statement, ())
        return self._sql.rows(self._database, query, parameters)


def pauses_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Pause]:
    """Rows of `pauses` by the job they are about."""
    return {
        str(row["target"]): Pause(
            target=str(row["target"]),
            reason=str(row["reason"]),
            ticket=str(row["ticket"] or ""),
            by=str(row["paused_by"]),
            at=row["paused_at"],
            until=row["until_at"],
            operation=str(row["operation"]),
            action=str(row.get("action") or PAUSE),
        )
        for row in rows
    }


class Lock:
    """The lease of one operation, kept alive by a thread from `take` to `release`."""

    def __init__(
        self,
        control: ControlDatabase,
        who: str,
        operation: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        beat: Callable[[], None] | None = None,
    ) -> None:
        self._control, self._operation = control, operation
        self._owner = f"{operation} {secrets.token_hex(8)}"
        self._holder = f"{who} on {socket.gethostname()}, process {os.getpid()}"
        self._monotonic, self._beat = monotonic, beat
        self._renewed = float("-inf")
        self._lost = False
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self.fence = 0

    def take(self, *, again: bool = False) -> None:
        """Take the lease. `again` takes over what a process of the same operation left. Raises LockedError, FrozenError."""
        refuse_frozen(self._control.environment, self._control.state().freeze)
        asked, fence = self._monotonic(), self._ask(again)
        if fence is None:
            raise locked(self._control.environment, self._control.state())
        self.fence, self._renewed = fence, asked
        self._thread = threading.Thread(target=self._keep, name="lpmops lock", daemon=True)
        self._thread.start()

    def _ask(self, again: bool) -> int | None:
        """The fence. Asked once more where the answer was lost: the same owner gets the same fence."""
        same = self._operation if again else ""
        try:
            return self._control.take(self._owner, self._holder, self._operation, again=same)
        except ServiceError as error:
            if error.settled:
                raise
            return self._control.take(self._owner, self._holder, self._operation, again=same)

    def check(self) -> None:
        """Before each act: the lease is still this one's, long enough, and the environment is not frozen. Raises LockLostError, FrozenError."""
        asked = self._monotonic()
        if self._lost or not self._control.renew(self._owner, self.fence):
            self._lost = True
            raise self._gone()
        self._renewed = asked
        state = self._control.state()
        # Somebody may have broken it between the two questions: the later one says so too.
        if state.fence != self.fence:
            self._lost = True
            raise self._gone()
        refuse_frozen(self._control.environment, state.freeze)
        if self._monotonic() - self._renewed > TRUST_SECONDS:
            raise LockLostError(
                f"The control database took too long to say that the lock of {self._control.environment} is still held.",
                hint="Nothing was done after that. Go on with: lpmops op resume " + self._operation,
            )

    def release(self) -> None:
        """Give the lease back; where that fails it ends by itself within a minute."""
        self._stop()
        if self.fence and not self._lost:
            try:
                self._control.release(self._owner, self.fence)
            except LpmopsError:
                return

    def leave(self) -> None:
        """Let the lease run out: what is on its way may still take effect, and nobody else may act before that."""
        self._stop()

    def _stop(self) -> None:
        self._end.set()

    def _keep(self) -> None:
        while not self._end.wait(RENEW_SECONDS):
            asked = self._monotonic()
            try:
                if not self._control.renew(self._owner, self.fence):
                    self._lost = True
                    return
                self._renewed = asked
                if self._beat is not None:
                    self._beat()
            except LpmopsError:
                # Tried again in a while; `check` decides with an answer of its own whether an act may go out.
                continue

    def _gone(self) -> LockLostError:
        state = self._control.state()
        now = f"it is {state.holder}'s now" if state.holder else "nobody holds it now"
        return LockLostError(
            f"The lock of {self._control.environment} was taken away (fence {self.fence}, now {state.fence}): {now}. No further step was begun.",
            hint=f"Talk to each other, then go on or give up: lpmops op resume {self._operation}   or   lpmops op abort {self._operation}",
        )


def refuse_frozen(environment: str, freeze: Freeze | None) -> None:
    """Raises FrozenError where there is a freeze."""
    if freeze is None:
        return
    until = f"until {to_data(freeze.until)}" if freeze.until is not None else "until it is lifted"
    raise FrozenError(
        f"{environment} is frozen {until} by {plain(freeze.by)}: {plain(freeze.reason)}",
        hint=f"To lift it: lpmops unfreeze {environment} --reason WHY",
    )


def locked(environment: str, state: LockState) -> LockedError:
    """The error for a lock that somebody holds; says who, since when and what for."""
    if state.holder is None:
        return LockedError(f"{environment} was locked a moment ago and is free now.", hint="Repeat the command.")
    age = f", since {(state.server_time - state.taken_at) / timedelta(seconds=1):.0f} s" if state.taken_at else ""
    what = f" for operation {plain(state.operation)}" if state.operation else ""
    return LockedError(
        f"{environment} is locked by {plain(state.holder)}{what}{age}.",
        hint=f"Wait for it, or see it: lpmops lock show -e {environment}\nA holder that is gone lets go within {LEASE_SECONDS} s by itself.",
    )
