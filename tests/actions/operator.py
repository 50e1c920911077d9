"""An operator at work on the pretend cloud: a desk and a store; and the store and the switch that die at a wished boundary."""

from __future__ import annotations

import os
import signal
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

from lpmops.actions import registry
from lpmops.actions.action import Bench, Prover, Trier
from lpmops.actions.desk import Desk
from lpmops.control import guard
from lpmops.control.collect import utc_now
from lpmops.control.hands import Outcome, Ticking, Timing
from lpmops.control.plan import Plan
from lpmops.control.reconciled import Asked, CompanyResult, Reconciliation
from lpmops.errors import InDoubtError, LpmopsError
from lpmops.model import StreamingJob
from lpmops.routing.job import Definition
from lpmops.store import audit, journal
from lpmops.store.connection import Store, open_store
from lpmops.store.proofs import OpenGap
from tests.actions.cases import Case
from tests.actions.cloud import Cloud, config, quiet

# In simulated seconds: see Simulated.
QUICK = Timing(poll=1.0, settle=4.0, visible=60.0, patience=3.0)


class Simulated:
    """Time that passes only while somebody sleeps, so that no slow machine and no thread decides how a wait ends."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def ticking(self) -> Ticking:
        return Ticking(lambda: self.seconds, self.sleep)


@dataclass(frozen=True, slots=True)
class Operator:
    """A machine (its store's folder) and the cloud it works on."""

    _desk: Desk
    cloud: Cloud
    store: Store

    @property
    def desk(self) -> Desk:
        """The desk, for which lpmops.toml says by now how the cloud's jobs route."""
        if self._desk.environment.streamanalytics.strategy != self.cloud.environment.streamanalytics.strategy:
            self._desk.environment, self._desk.config = self.cloud.environment, config(self.cloud.environment)
        return self._desk

    def plan(self, case: Case) -> Plan:
        return self.desk.plan(registry.action(case.action), case.wish)

    def approve(self, plan: Plan) -> guard.Approval:
        return guard.approve(plan, guard.Answers(confirm=plan.target), "ops@lpm.example", utc_now())

    def run(self, case: Case) -> Outcome:
        """Plan, approve and apply."""
        plan = self.plan(case)
        return self.desk.apply(plan, self.approve(plan))

    def attempt(self, plan: Plan) -> Outcome | LpmopsError:
        """Approve a plan and apply it: how that ends."""
        try:
            return self.desk.apply(plan, self.approve(plan))
        except LpmopsError as error:
            return error

    def states(self) -> list[str]:
        """How the operations of this machine's journal stand, newest first."""
        return [operation.state for operation, _ in journal.operations(self.store)]

    def finish(self, case: Case) -> None:
        """What an operator does after a crash: resume what is unfinished, and decide what is in doubt by a look into the cloud.

        Where nothing was begun, or it failed before anything was done, the command is run again.
        """
        for left in self.unfinished():
            try:
                self.desk.resume(left)
            except InDoubtError:
                # Nothing is on its way in this cloud any more, so what is not seen is not there.
                self.desk.resolve(left, "not-done", "looked")
                self.desk.resume(left)
        if "succeeded" not in self.states() and self.plan(case).steps:
            self.run(case)

    def unfinished(self) -> list[str]:
        return [operation.id for operation, _ in journal.operations(self.store, unfinished=True)]

    def check_books(self) -> None:
        """The chain holds, and every step that was done has an intent before it."""
        begun: Counter[tuple[str | None, str]] = Counter()
        for entry in audit.entries(self.store):
            key = (entry.operation, str(entry.body.get("step")))
            if entry.what == "step.begun":
                begun[key] += 1
            assert entry.what != "step.accepted" or begun[key]
        raw = sqlite3.connect(self.store.path)
        assert raw.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        raw.close()


class Proven:
    """All is found to have landed: how source and tables are held against each other is on trial elsewhere."""

    def gaps(self, bench: Bench, table_id: str) -> Sequence[OpenGap]:
        return ()

    def hold(self, bench: Bench, asked: Asked) -> Reconciliation:
        company = CompanyResult("1001", "Acme", "lpm-01", 40, 40)
        assert asked.versions is not None
        return Reconciliation("prod", "t-1", bench.now(), asked.versions, (asked.versions,), (company,))


def untried(bench: Bench, job: StreamingJob, candidate: Definition) -> tuple[list[str], list[str]]:
    """No trial: whether a text is a good one is not what these suites are about, and an engine takes a second."""
    return [], []


@contextmanager
def operator(
    folder: Path,
    *,
    machine: str = "laptop",
    trouble: Callable[[str, str], None] = quiet,
    ahead: float = 0.0,
    store: Callable[[Path], Store] = open_store,
    timing: Timing = QUICK,
    cloud: Cloud | None = None,
    now: Callable[[], datetime] = utc_now,
    ticking: Ticking | None = None,
    trial: Trier = untried,
    prover: Prover | None = None,
) -> Iterator[Operator]:
    """Somebody at a machine whose clock is `now` and who waits in simulated time; the cloud is the one in `folder`."""
    made = cloud or Cloud(folder, trouble=trouble, ahead=ahead)
    path = folder / machine / "lpmops.db"
    if not path.exists():
        _new_store(path)
    opened = store(path)
    desk = Desk(
        config(made.environment),
        made.environment,
        opened,
        cast(Any, made),
        timing=timing,
        now=now,
        ticking=ticking or Simulated().ticking,
        trial=trial,
        prover=prover or Proven(),
    )
    try:
        yield Operator(desk, made, opened)
    finally:
        opened.close()
        if cloud is None:
            made.close()


@cache
def _empty_store() -> bytes:
    """The file of a store that was just made."""
    with tempfile.TemporaryDirectory(prefix="lpmops-test-") as made:
        open_store(Path(made) / "lpmops.db").close()
        return (Path(made) / "lpmops.db").read_bytes()


def _new_store(path: Path) -> None:
    """What opening a store for the first time leaves, without waiting for its migrations."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(0o600)
    path.write_bytes(_empty_store())


class KillSwitch:
    """Kills this process with SIGKILL at its n-th boundary; counts them. What is before a write is after the commit or write before it."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.passed = at, 0

    def wrote(self, place: str, verb: str) -> None:
        """A boundary is after each write to the cloud, of which alone an "after" is told."""
        del verb
        if place == "after":
            self()

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingStore(Store):
    """A store whose every commit has a boundary before and after it."""

    def __init__(self, path: Path, switch: KillSwitch) -> None:
        super().__init__(path, writable=True)
        self._switch = switch

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        outer = self.connection().in_transaction
        with super().writing() as connection:
            yield connection
            if not outer:
                self._switch()
        if not outer:
            self._switch()
