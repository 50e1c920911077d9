"""Two operators at once: one changes the environment, the other is told who does; whoever loses the lock never acts again."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from lpmops.control.collect import utc_now
from lpmops.control.hands import Outcome
from lpmops.control.plan import Plan
from lpmops.errors import FrozenError, LockedError, LockLostError, LpmopsError
from tests.actions import kills
from tests.actions.cases import CASES, Case
from tests.actions.cloud import JOB, Act, Cloud
from tests.actions.operator import Operator, operator

RACES = int(os.environ.get("LPMOPS_TEST_RACES", "2"))


@pytest.mark.parametrize("name", CASES)
def test_of_two_operators_one_does_it_and_the_other_is_told(name: str, folder: Path) -> None:
    for race in range(RACES):
        place = folder / str(race)
        kills.prepare(CASES[name], place)
        # One cloud and two machines, each with a journal of its own.
        cloud = Cloud(place)
        with operator(place, machine="one", cloud=cloud) as one, operator(place, machine="two", cloud=cloud) as two:
            ended = _race(CASES[name], one, two)
            assert sum(isinstance(item, Outcome) and item.operation is not None for item in ended) == 1, ended
            told = [item for item in ended if isinstance(item, LpmopsError)]
            assert all(int(item.exit_code) in (5, 6) for item in told), told
            acts = cloud.acts()
            assert {effect: acts[effect] for effect in CASES[name].effects} == dict.fromkeys(CASES[name].effects, 1)
            assert CASES[name].holds(cloud)
            assert one.desk.control.state().holder is None
            one.check_books()
            two.check_books()
        cloud.close()


def _race(case: Case, *workers: Operator) -> list[Outcome | LpmopsError]:
    """All apply their own plan of the same thing at the same moment; how each of them ended."""
    start, ended = threading.Barrier(len(workers)), list[Outcome | LpmopsError]()

    def apply(worker: Operator, plan: Plan) -> None:
        start.wait()
        ended.append(worker.attempt(plan))

    plans = [(worker, worker.plan(case)) for worker in workers]
    threads = [threading.Thread(target=apply, args=each) for each in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == len(workers)
    return ended


def test_a_lock_that_is_held_names_its_holder_and_what_it_is_for(folder: Path) -> None:
    with operator(folder) as worker:
        worker.desk.control.take("another session", "eve@lpm.example on host-7, process 4711", "op-7")
        plan = worker.plan(CASES["pause"])
        with pytest.raises(LockedError, match=r"eve@lpm\.example on host-7, process 4711 for operation op-7") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.exit_code == 5
        assert not worker.cloud.acts()


def test_a_lease_that_is_over_is_taken_and_the_fence_rises(folder: Path) -> None:
    with operator(folder) as worker:
        assert worker.desk.control.take("another session", "eve", "op-7") == 1
    with operator(folder, ahead=61.0) as worker:
        assert worker.run(CASES["pause"]).state == "succeeded"
        assert worker.desk.control.state().fence == 2


def test_whoever_loses_the_lock_stops_before_the_next_act(folder: Path) -> None:
    def steal(place: str, verb: str) -> None:
        if (place, verb) == ("after", "pause_put"):
            worker.cloud.trouble = lambda *_: None
            worker.desk.break_lock("it hangs")

    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        worker.cloud.trouble = steal
        with pytest.raises(LockLostError, match="taken away") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.exit_code == 5
        assert worker.cloud.acts()[Act("stop", JOB)] == 0
        assert worker.unfinished() == [caught.value.operation]
        assert worker.desk.resume(str(caught.value.operation)).state == "succeeded"


def test_a_freeze_lets_nothing_begin_and_a_running_operation_only_finish_its_step(folder: Path) -> None:
    def freeze(place: str, verb: str) -> None:
        if (place, verb) == ("after", "pause_put"):
            worker.cloud.trouble = lambda *_: None
            worker.desk.freeze("election night", None)

    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        worker.cloud.trouble = freeze
        with pytest.raises(FrozenError, match="election night") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.exit_code == 5
        assert worker.cloud.acts() == {Act("pause_put", JOB): 1}
        with pytest.raises(FrozenError):
            worker.desk.resume(str(caught.value.operation))
        assert worker.desk.unfreeze("it is over")
        assert worker.desk.resume(str(caught.value.operation)).state == "succeeded"


def test_a_freeze_ends_by_itself(folder: Path) -> None:
    with operator(folder) as worker:
        worker.desk.freeze("a short one", utc_now() + timedelta(seconds=60))
        plan = worker.plan(CASES["pause"])
        with pytest.raises(FrozenError):
            worker.desk.apply(plan, worker.approve(plan))
    with operator(folder, ahead=61.0) as worker:
        assert worker.run(CASES["pause"]).state == "succeeded"
