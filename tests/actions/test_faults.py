"""Every call of every action fails in every way, before its effect and after it: nothing is done twice, and the operation can always be finished."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lpmops.errors import (
    BadAnswerError,
    DeadlineError,
    ForbiddenError,
    InDoubtError,
    LpmopsError,
    PartlyAppliedError,
    ServiceError,
    ServiceFaultError,
    SignInError,
    ThrottledError,
    UnreachableError,
)
from tests.actions import kills
from tests.actions.cases import CASES, START, Case
from tests.actions.cloud import JOB, Act
from tests.actions.operator import QUICK, Operator, operator

# How many faults are tried a call: all of them in the long form.
FAULTS_EACH = int(os.environ.get("LPMOPS_TEST_FAULTS_EACH", "1"))


def _fault(kind: type[ServiceError], settled: bool | None = None) -> Callable[[], ServiceError]:
    def make() -> ServiceError:
        error = kind(f"a {kind.__name__} of the test", service="test", retry_after=0.0)
        if settled is not None:
            error.settled = settled
        return error

    return make


# What a client may see, where the trouble strikes, and whether the client can know that nothing was done.
FAULTS: tuple[tuple[str, str, Callable[[], ServiceError]], ...] = (
    ("throttled", "before", _fault(ThrottledError)),
    ("500 before", "before", _fault(ServiceFaultError)),
    ("503 after", "after", _fault(ThrottledError, settled=False)),
    ("504 after", "after", _fault(ServiceFaultError)),
    ("reset before", "before", _fault(UnreachableError)),
    ("reset after", "after", _fault(UnreachableError)),
    ("slow before", "before", _fault(DeadlineError)),
    ("slow after", "after", _fault(DeadlineError)),
    ("half a body", "after", _fault(BadAnswerError)),
    ("401", "before", _fault(SignInError)),
    ("403", "before", _fault(ForbiddenError)),
)


class Striking:
    """Raises one fault at one call, counted over all calls of the same place; counts the calls."""

    def __init__(self, place: str = "", number: int = 0, make: Callable[[], ServiceError] | None = None) -> None:
        self.place, self.number, self.make = place, number, make
        self.seen = {"before": 0, "after": 0}
        self.struck = False
        self._lock = threading.Lock()

    def __call__(self, place: str, verb: str) -> None:
        # Some actions ask several services at once.
        with self._lock:
            self.seen[place] += 1
            strikes = self.make is not None and (place, self.seen[place]) == (self.place, self.number)
        if strikes and self.make is not None:
            self.struck = True
            raise self.make()


@pytest.mark.parametrize("name", CASES)
def test_a_call_that_fails_in_any_way_leaves_an_operation_that_can_be_finished(name: str, folder: Path) -> None:
    case, counting = CASES[name], Striking()
    with operator(folder / "dry") as worker:
        case.prepare(worker.cloud)
        plan = worker.plan(case)
        worker.cloud.trouble = counting
        worker.desk.apply(plan, worker.approve(plan))
    chance = random.Random(name)
    assert counting.seen["before"] > counting.seen["after"] >= len(case.effects)
    for place in ("before", "after"):
        for number in kills.spread(range(1, counting.seen[place] + 1), 6):
            fitting = [fault for fault in FAULTS if fault[1] == place]
            for title, _, make in chance.sample(fitting, min(FAULTS_EACH, len(fitting))):
                _try(case, folder / f"{place}{number}{title}", Striking(place, number, make))


def _try(case: Case, folder: Path, striking: Striking) -> None:
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        plan = worker.plan(case)
        worker.cloud.trouble = striking
        # How it ends is the fault's own; that it can be finished, and that whoever reads it is told how, is not.
        ended = worker.attempt(plan)
        assert striking.struck
        if worker.unfinished():
            assert isinstance(ended, LpmopsError)
            assert f"lpmops op resume {ended.operation}" in ended.hint
    kills.finish(case, folder)
    kills.assert_done_once(case, folder)


class Expired:
    """A sign-in that runs out at one call: from there on every call says so."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, place: str, verb: str) -> None:
        self.left -= place == "before"
        if self.left <= 0 and place == "before":
            raise SignInError("The token has expired.", service="test", hint="Sign in again: az login")


@pytest.mark.parametrize("name", CASES)
def test_a_sign_in_that_runs_out_at_any_call_stops_it_until_somebody_signs_in(name: str, folder: Path) -> None:
    case, counting = CASES[name], Striking()
    with operator(folder / "dry") as worker:
        case.prepare(worker.cloud)
        plan = worker.plan(case)
        worker.cloud.trouble = counting
        worker.desk.apply(plan, worker.approve(plan))
    for number in kills.spread(range(1, counting.seen["before"] + 1), 5):
        place = folder / str(number)
        with operator(place) as worker:
            case.prepare(worker.cloud)
            plan = worker.plan(case)
            worker.cloud.trouble = Expired(number)
            ended = worker.attempt(plan)
            if isinstance(ended, LpmopsError):
                assert (ended.exit_code, "az login" in ended.hint) == (4, True), (number, ended.hint)
                assert not worker.unfinished() or f"lpmops op resume {ended.operation}" in ended.hint
        kills.finish(case, place)
        kills.assert_done_once(case, place)


@pytest.mark.parametrize("how", ["waited for", "left and resumed"])
@pytest.mark.parametrize("name", CASES)
def test_an_effect_that_lands_after_its_answer_was_given_up_is_waited_for(name: str, how: str, folder: Path) -> None:
    case = CASES[name]
    for verb in kills.spread(kills.verbs(case, folder / "dry"), 1):
        # As long as a request could live, so nothing is sent again before that; the effect is there after a few looks.
        with operator(folder / verb, timing=replace(QUICK, settle=30.0, visible=600.0)) as worker:
            case.prepare(worker.cloud)
            plan = worker.plan(case)
            late = Late(worker, verb, how == "left and resumed")
            worker.cloud.late, worker.cloud.trouble = late.is_late, late
            with suppress(KeyboardInterrupt):
                worker.desk.apply(plan, worker.approve(plan))
            for left in worker.unfinished():
                worker.desk.resume(left)
        kills.assert_done_once(case, folder / verb)


class Late:
    """One effect that lands at the third look after its answer was lost; `leaves` has the operator leave at once when that happened."""

    def __init__(self, worker: Operator, verb: str, leaves: bool) -> None:
        self._worker, self._verb, self._leaves = worker, verb, leaves
        self._looks = -1

    def is_late(self, verb: str) -> bool:
        if verb == self._verb:
            self._looks = 0
        return verb == self._verb

    def __call__(self, place: str, verb: str) -> None:
        if self._looks < 0 or threading.current_thread() is not threading.main_thread():
            # Not yet; or it is the thread that keeps the lock, which nobody leaves at once.
            return
        if self._leaves:
            self._leaves = False
            raise KeyboardInterrupt
        self._looks += 1
        if self._looks == 3:
            self._worker.cloud.land()


def test_a_start_from_now_whose_answer_is_lost_and_that_shows_nowhere_ends_in_doubt_and_is_not_sent_again(
    folder: Path,
) -> None:
    case = replace(CASES["start"], wish={**START, "mode": "now"})

    def lose(place: str, verb: str) -> None:
        if (place, verb) == ("before", "start"):
            worker.cloud.postpone("start", JOB, state="Running", mode="JobStartTime")
            raise DeadlineError("The answer did not come.", service="test")

    with operator(folder) as worker:
        case.before(worker.cloud)
        plan = worker.plan(case)
        worker.cloud.trouble = lose
        with pytest.raises(InDoubtError) as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert (caught.value.exit_code, caught.value.in_doubt) == (9, True)
        identifier = str(caught.value.operation)
        assert f"lpmops op resume {identifier}" in caught.value.hint
        # Looking again changes nothing while nothing is to be seen, however often.
        with pytest.raises(InDoubtError):
            worker.desk.resume(identifier)
        assert worker.cloud.acts()[Act("start", JOB)] == 0
        worker.cloud.land()
        assert worker.desk.resume(identifier).state == "succeeded"
        assert worker.cloud.acts()[Act("start", JOB)] == 1


def test_a_right_that_is_missing_half_way_says_what_was_done_and_what_was_not(folder: Path) -> None:
    def forbidden(place: str, verb: str) -> None:
        if (place, verb) == ("before", "stop"):
            raise ForbiddenError("No right to stop.", service="test", hint="The identity needs: a role.")

    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        worker.cloud.trouble = forbidden
        with pytest.raises(PartlyAppliedError, match="No right to stop") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.exit_code == 9
        book = worker.desk.abort(str(caught.value.operation), "no rights")
        assert [step.state for step in book.steps] == ["done", "failed"]
        assert worker.unfinished() == []


def test_a_refusal_of_the_first_step_leaves_nothing_half_done(folder: Path) -> None:
    def forbidden(place: str, verb: str) -> None:
        if (place, verb) == ("before", "enable"):
            raise ForbiddenError("No right to change the table.", service="test")

    with operator(folder) as worker:
        plan = worker.plan(CASES["feed"])
        worker.cloud.trouble = forbidden
        with pytest.raises(ForbiddenError) as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.exit_code == 1
        assert worker.unfinished() == []
        assert not worker.cloud.acts()
