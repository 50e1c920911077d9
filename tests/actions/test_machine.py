"""All of it mixed at random: two operators, every action, faults, deaths, thefts of the lock, late effects, freezes and a portal that is open.

Whatever the order: nothing is done twice or without the lock, no journal and no audit breaks, every error is one of the table and says how to go on,
and in the end everything that was begun can be ended.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lpmops.control.hands import Outcome
from lpmops.control.lock import ControlDatabase
from lpmops.errors import ExitCode, InDoubtError, LpmopsError
from lpmops.store import journal
from lpmops.store.connection import Store, open_store
from tests.actions.cases import CASES
from tests.actions.cloud import CONTROL, JOB, Cloud, quiet
from tests.actions.operator import KillingStore, KillSwitch, Operator, Simulated, operator
from tests.actions.test_faults import FAULTS

EXAMPLES = int(os.environ.get("LPMOPS_TEST_MACHINE", "12"))
_MEMORY = Path("/dev/shm")
# One act writes every file, again where one of them lacks: neither their order nor their repetition makes a difference.
_MAY_BE_VAIN = {"put_file"}
_CODES = {1, 2, 3, 4, 5, 6, 7, 8, 9}


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Death(KillSwitch):
    """Ends the process at its n-th boundary without ending that of the test: from there on it reads, writes and asks nothing."""

    def __call__(self) -> None:
        self.passed += 1
        if self.passed >= self.at > 0:
            raise Killed

    def asked(self, place: str, verb: str) -> None:
        """A call to the cloud: none goes out of a process that is gone."""
        if self.passed >= self.at > 0:
            raise Killed
        self.wrote(place, verb)


class Watched(Cloud):
    """The pretend cloud, which notes what should never happen to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.wrongs: list[str] = []
        self.actor: Operator | None = None
        self._lands = False
        # The request that was out already when somebody took the lock away: no fence can call it back.
        self.in_flight = ""

    def did(self, verb: str, target: str, thing: str = "", /, **values: Any) -> None:
        before = self.get(thing or target)
        acts = self.acts()
        super().did(verb, target, thing, **values)
        if self.acts() == acts or verb in _MAY_BE_VAIN:
            return
        if self.get(thing or target) == before:
            self.wrongs.append(f"{verb} of {target} was done though it was so already")
        if verb == "create_job" and not before["gone"]:
            self.wrongs.append("a second job reads the feed")

    def note(self, verb: str, target: str) -> None:
        super().note(verb, target)
        if verb == self.in_flight:
            self.in_flight = ""
            return
        # Whoever loses the lock finishes the act that is under way, however many files that writes.
        if self.actor is None or self._lands or verb in _MAY_BE_VAIN:
            return
        held = {row[0] for row in self.query("SELECT operation FROM lpmops.lock WHERE owner IS NOT NULL")}
        if not held & set(self.actor.unfinished()):
            self.wrongs.append(f"{verb} of {target} was done without the lock, which is for {held}")

    def land(self) -> None:
        self._lands = True
        super().land()
        self._lands = False


class Landing(Simulated):
    """What is on its way lands once somebody has waited three seconds: no request lives as long as the engine waits."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__()
        self._cloud = cloud

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.seconds >= 3.0:
            self._cloud.land()


# What somebody with the portal open may do.
_EDITS: tuple[tuple[str, dict[str, Any]], ...] = (
    (JOB, {"state": "Stopped"}),
    (JOB, {"state": "Running", "mode": "JobStartTime"}),
    (JOB, {"state": "Failed"}),
    (JOB, {"query": "SELECT 3"}),
    (JOB, {"streaming_units": 6.0}),
    ("stream", {"state": "failed"}),
    ("stream", {"paused": True, "state": "stopped"}),
    ("stream", {"permissions": {}}),
    ("stream", {"tasks": [{"task_key": "stream"}]}),
    ("feed", {"kind": "off", "first": None}),
    ("feed", {"kind": "delta", "first": 0}),
    ("feed", {"writer": 7}),
    ("volume", {"files": {}}),
)

_machines = st.sampled_from(["one", "two"])
_edits = st.sampled_from(_EDITS)
_trouble = st.one_of(
    st.none(),
    st.tuples(st.just("fault"), st.integers(1, 60), st.sampled_from(FAULTS)),
    st.tuples(st.just("death"), st.integers(1, 40), st.none()),
    st.tuples(st.just("late"), st.integers(1, 4), st.none()),
    st.tuples(st.just("theft"), st.integers(1, 60), st.none()),
    st.tuples(st.just("edit"), st.integers(1, 60), _edits),
)


class Night(RuleBasedStateMachine):
    """Two operators at one environment."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lpmops-test-", dir=_MEMORY if _MEMORY.is_dir() else None))
        self.cloud = Watched(self.folder)
        self.cloud.put("feed", kind="delta", first=0)

    @rule(machine=_machines, name=st.sampled_from(sorted(CASES)), trouble=_trouble)
    def apply(self, machine: str, name: str, trouble: Any) -> None:
        def work(worker: Operator) -> Outcome | LpmopsError:
            plan = worker.plan(CASES[name])
            with self._troubled(worker, trouble):
                return worker.attempt(plan)

        self._run(machine, work, trouble)

    @rule(machine=_machines, trouble=_trouble)
    def resume(self, machine: str, trouble: Any) -> None:
        def work(worker: Operator) -> None:
            for left in worker.unfinished():
                with self._troubled(worker, trouble):
                    worker.desk.resume(left)

        self._run(machine, work, trouble)

    @rule(machine=_machines, how=st.sampled_from(["not-done", "abort"]))
    def decide(self, machine: str, how: str) -> None:
        def work(worker: Operator) -> None:
            for left in worker.unfinished():
                if how == "abort":
                    worker.desk.abort(left, "enough")
                elif how == "not-done" and self._is_in_doubt(worker, left):
                    # Who says "not done" of what is done gets it done again: that is theirs, and no operator of this night lies.
                    worker.desk.resolve(left, "not-done", "looked")

        self._run(machine, work, None)

    @rule(edit=_edits)
    def portal(self, edit: tuple[str, dict[str, Any]]) -> None:
        self.cloud.put(edit[0], **edit[1])

    @rule(frozen=st.booleans())
    def freeze(self, frozen: bool) -> None:
        control = ControlDatabase(self.cloud, CONTROL, "prod")
        control.freeze("election night", "eve@lpm.example", None) if frozen else control.unfreeze()

    @rule(seconds=st.sampled_from([30.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.cloud._sql.clock.advance(seconds)

    @invariant()
    def nothing_that_never_may(self) -> None:
        assert not getattr(self, "cloud", None) or self.cloud.wrongs == []

    def teardown(self) -> None:
        """However the night went, whatever was begun can be ended, and both books are in order."""
        if not hasattr(self, "cloud"):
            return
        try:
            ControlDatabase(self.cloud, CONTROL, "prod").unfreeze()
            self.cloud.land()
            for machine in ("one", "two"):
                self.cloud._sql.clock.advance(61.0)
                with self._at(machine) as worker:
                    for left in worker.unfinished():
                        _end(worker, left)
                    assert worker.unfinished() == []
                    worker.check_books()
            assert self.cloud.wrongs == []
        finally:
            self.cloud.close()
            shutil.rmtree(self.folder)

    # How a rule is carried out

    @contextmanager
    def _at(self, machine: str, store: Callable[[Path], Store] = open_store) -> Iterator[Operator]:
        ticking = Landing(self.cloud).ticking
        # The watcher has a store of its own: that of a process that is gone is read no more.
        with (
            operator(self.folder, machine=machine, cloud=self.cloud, ticking=ticking, store=store) as worker,
            operator(self.folder, machine=machine, cloud=self.cloud) as watcher,
        ):
            self.cloud.actor = watcher
            try:
                yield worker
            finally:
                self.cloud.actor = None

    def _run(self, machine: str, work: Callable[[Operator], Outcome | LpmopsError | None], trouble: Any) -> None:
        self._death = Death(trouble[1]) if trouble is not None and trouble[0] == "death" else Death()
        acts = self.cloud.acts()
        try:
            with self._at(machine, lambda path: KillingStore(path, self._death)) as worker:
                try:
                    ended = work(worker)
                except LpmopsError as error:
                    ended = error
                if isinstance(ended, LpmopsError):
                    self._check_error(worker, ended, self.cloud.acts() == acts)
        except Killed:
            self.cloud.trouble = quiet
            with sqlite3.connect(self.folder / machine / "lpmops.db") as raw:
                # As the end of a process does, of which its lease of this machine's own knows by its id.
                raw.execute("DELETE FROM lease")
            raw.close()
        finally:
            self.cloud.trouble = quiet

    def _check_error(self, worker: Operator, error: LpmopsError, is_untouched: bool) -> None:
        assert int(error.exit_code) in _CODES, repr(error)
        assert error.message.strip()
        left = worker.unfinished()
        if error.exit_code is ExitCode.FAILED:
            assert is_untouched, f"it says that nothing is half done: {error}"
        if error.operation in left:
            assert "lpmops op" in error.hint, error

    @contextmanager
    def _troubled(self, worker: Operator, trouble: Any) -> Iterator[None]:
        none: tuple[str, int, Any] = ("none", 0, None)
        kind, at, what = trouble or none
        calls = 0

        def strike(place: str, verb: str) -> None:
            nonlocal calls
            if kind == "death":
                self._death.asked(place, verb)
                return
            calls += 1
            if calls != at:
                return
            self.cloud.trouble = quiet
            if kind == "fault" and place == what[1]:
                raise what[2]()
            if kind == "theft":
                control = ControlDatabase(self.cloud, CONTROL, "prod")
                control.break_lock(control.state().fence)
                self.cloud.in_flight = verb if place == "before" else ""
            if kind == "edit":
                self.cloud.put(what[0], **what[1])

        def late(verb: str) -> bool:
            nonlocal calls
            calls += 1
            return calls == at

        if kind == "late":
            self.cloud.late = late
        else:
            self.cloud.trouble = strike
        try:
            yield
        finally:
            self.cloud.trouble = quiet
            self.cloud.land()

    def _is_in_doubt(self, worker: Operator, operation: str) -> bool:
        row, _ = journal.read(worker.store, operation)
        return row.state == "in_doubt"


def _end(worker: Operator, operation: str) -> None:
    """Go on with it, or say what is known and go on, or give it up."""
    try:
        worker.desk.resume(operation)
    except InDoubtError:
        worker.desk.abort(operation, "nobody knows")
    except LpmopsError:
        if operation in worker.unfinished():
            worker.desk.abort(operation, "the world is another by now")


TestNight = Night.TestCase
TestNight.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=10 if EXAMPLES <= 50 else 40,
    derandomize=EXAMPLES <= 50,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
