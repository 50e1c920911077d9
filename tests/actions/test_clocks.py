"""The operator's clock may be hours wrong, or jump while something is under way: leases and freezes go by the server's, nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lpmops.control import guard
from lpmops.control.collect import utc_now
from lpmops.control.hands import Outcome
from lpmops.control.plan import Plan
from lpmops.errors import FrozenError, LockedError, LpmopsError, StalePlanError
from tests.actions import kills
from tests.actions.cases import CASES
from tests.actions.cloud import JOB, Act, Cloud, never, quiet
from tests.actions.operator import QUICK, Operator, Simulated, operator

HOURS = (-30.0, -2.0, -0.1, 0.1, 2.0, 30.0)


class Wrong:
    """A machine's clock that is so many hours off, and can be set while it runs."""

    def __init__(self, hours: float) -> None:
        self.hours = hours

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.hours)


def _approved(worker: Operator, plan: Plan, clock: Callable[[], datetime]) -> guard.Approval:
    return guard.approve(plan, guard.Answers(confirm=plan.target), "ops@lpm.example", clock())


@pytest.mark.parametrize("name", CASES)
def test_an_operator_whose_clock_is_wrong_does_it_once_all_the_same(name: str, folder: Path) -> None:
    for hours in kills.spread(HOURS, 2):
        clock, place = Wrong(hours), folder / str(hours)
        kills.prepare(CASES[name], place)
        with operator(place, now=clock) as worker:
            plan = worker.plan(CASES[name])
            assert worker.desk.apply(plan, _approved(worker, plan, clock)).state == "succeeded"
        kills.assert_done_once(CASES[name], place)


class Landing(Simulated):
    """What is on its way lands once somebody has waited three seconds."""

    cloud: Cloud | None = None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.seconds >= 3.0 and self.cloud is not None:
            self.cloud.land()


class Leaving:
    """The answer to one verb is lost, its effect is still on its way, and the operator leaves at once."""

    def __init__(self, verb: str) -> None:
        self._verb, self._sent = verb, False

    def is_late(self, verb: str) -> bool:
        self._sent |= verb == self._verb
        return verb == self._verb

    def __call__(self, place: str, verb: str) -> None:
        if self._sent:
            self._sent = False
            raise KeyboardInterrupt


@pytest.mark.parametrize("jump", [-3.0, 3.0])
@pytest.mark.parametrize("name", CASES)
def test_a_clock_that_is_set_while_an_effect_is_on_its_way_does_not_make_a_second_one(
    name: str, jump: float, folder: Path
) -> None:
    case = CASES[name]
    for verb in kills.spread(kills.verbs(case, folder / "dry"), 1):
        clock, waits, leaving = Wrong(0.0), Landing(), Leaving(verb)
        slow = replace(QUICK, settle=30.0, visible=600.0)
        with operator(folder / verb, now=clock, timing=slow, ticking=waits.ticking) as worker:
            case.prepare(worker.cloud)
            plan = worker.plan(case)
            worker.cloud.late, worker.cloud.trouble = leaving.is_late, leaving
            with suppress(KeyboardInterrupt):
                worker.desk.apply(plan, _approved(worker, plan, clock))
            worker.cloud.late, worker.cloud.trouble = never, quiet
            clock.hours, waits.cloud, waits.seconds = jump, worker.cloud, 0.0
            for left in worker.unfinished():
                worker.desk.resume(left)
            worker.cloud.land()
        kills.assert_done_once(case, folder / verb)


@pytest.mark.parametrize("hours", HOURS)
def test_a_lock_is_held_as_long_as_the_server_says_so_whatever_the_machine_believes(hours: float, folder: Path) -> None:
    with operator(folder, now=Wrong(hours)) as worker:
        worker.desk.control.take("another session", "eve@lpm.example on host-7", "op-7")
        plan = worker.plan(CASES["pause"])
        with pytest.raises(LockedError, match=r"since \d s"):
            worker.desk.apply(plan, _approved(worker, plan, Wrong(hours)))
        assert not worker.cloud.acts()
    with operator(folder, ahead=61.0, now=Wrong(hours)) as worker:
        plan = worker.plan(CASES["pause"])
        assert worker.desk.apply(plan, _approved(worker, plan, Wrong(hours))).state == "succeeded"


@pytest.mark.parametrize("hours", HOURS)
def test_a_freeze_ends_when_the_server_says_so(hours: float, folder: Path) -> None:
    clock = Wrong(hours)
    with operator(folder, now=clock) as worker:
        worker.desk.control.freeze("election night", "eve@lpm.example", utc_now() + timedelta(minutes=30))
        plan = worker.plan(CASES["pause"])
        with pytest.raises(FrozenError, match="election night"):
            worker.desk.apply(plan, _approved(worker, plan, clock))
    with operator(folder, ahead=31 * 60.0, now=clock) as worker:
        plan = worker.plan(CASES["pause"])
        assert worker.desk.apply(plan, _approved(worker, plan, clock)).state == "succeeded"


@pytest.mark.parametrize("hours", HOURS)
def test_a_plan_of_a_machine_whose_clock_is_another_is_refused_in_words_or_fits(hours: float, folder: Path) -> None:
    with operator(folder, machine="wrong", now=Wrong(hours)) as one, operator(folder, machine="right") as two:
        plan = one.plan(CASES["pause"])
        ended = two.attempt(plan)
        if -0.25 <= hours <= 0.0:
            assert isinstance(ended, Outcome)
        else:
            assert isinstance(ended, StalePlanError)
            assert ("from the future" if hours > 0 else "min old") in ended.message
            assert plan.command in ended.hint
            assert not two.cloud.acts()


def test_a_second_process_takes_over_after_a_jump_and_the_first_never_acts_again(folder: Path) -> None:
    """A clock that jumps makes the first process look dead to the second; the fence, which knows no clock, tells the first."""
    clock, taken = Wrong(0.0), list[LpmopsError | Outcome]()

    def jump(place: str, verb: str) -> None:
        if (place, verb) == ("after", "pause_put") and not taken:
            worker.cloud.trouble = lambda *_: None
            clock.hours = 5.0
            with operator(folder, cloud=worker.cloud, now=clock) as second:
                taken.append(second.desk.resume(second.unfinished()[0]))

    kills.prepare(CASES["pause"], folder)
    with operator(folder, now=clock) as worker:
        plan = worker.plan(CASES["pause"])
        worker.cloud.trouble = jump
        worker.attempt(plan)
        assert [item.state for item in taken if isinstance(item, Outcome)] == ["succeeded"]
        assert worker.cloud.acts() == {Act("pause_put", JOB): 1, Act("stop", JOB): 1}
        assert worker.unfinished() == []
        worker.check_books()
