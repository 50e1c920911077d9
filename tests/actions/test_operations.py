"""An operation that was stopped: by a person, by its process's end, by doubt; and what a person then says about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lpmops.control.hands import Event, StopRequest
from lpmops.errors import (
    DeadlineError,
    InDoubtError,
    InterruptError,
    LockedError,
    NotFoundError,
    PartlyAppliedError,
    RefusedError,
    StalePlanError,
    UsageError,
)
from lpmops.store import audit, lease
from tests.actions.cases import CASES, PAUSE, START, Case
from tests.actions.cloud import JOB, Act
from tests.actions.operator import Operator, operator


def _lose_the_start(worker: Operator) -> str:
    """Start from now on, lose the answer, and see nothing of it: the id of the operation that is in doubt."""

    def lose(place: str, verb: str) -> None:
        if (place, verb) == ("before", "start"):
            raise DeadlineError("The answer did not come.", service="test")

    case = replace(CASES["start"], wish={**START, "mode": "now"})
    case.before(worker.cloud)
    plan = worker.plan(case)
    worker.cloud.trouble = lose
    with pytest.raises(InDoubtError) as caught:
        worker.desk.apply(plan, worker.approve(plan))
    worker.cloud.trouble = lambda *_: None
    return str(caught.value.operation)


def test_a_step_in_doubt_that_a_person_knows_is_done_is_not_done_again(folder: Path) -> None:
    with operator(folder) as worker:
        identifier = _lose_the_start(worker)
        worker.cloud.put(JOB, state="Running", mode="JobStartTime")
        book = worker.desk.resolve(identifier, "done", "seen in the portal")
        assert [step.state for step in book.steps] == ["done", "planned"]
        assert worker.desk.resume(identifier).state == "succeeded"
        assert worker.cloud.acts()[Act("start", JOB)] == 0


def test_a_step_in_doubt_that_a_person_knows_is_not_done_is_done_once(folder: Path) -> None:
    with operator(folder) as worker:
        identifier = _lose_the_start(worker)
        worker.desk.resolve(identifier, "not-done", "the activity log has no start")
        assert worker.desk.resume(identifier).state == "succeeded"
        assert worker.cloud.acts()[Act("start", JOB)] == 1
        resolved = [entry for entry in audit.entries(worker.store) if entry.what == "operation.resolved"]
        assert [entry.body["reason"] for entry in resolved] == ["the activity log has no start"]


def test_an_operation_that_is_given_up_does_nothing_more_and_says_what_it_did(folder: Path) -> None:
    def lose(place: str, verb: str) -> None:
        if (place, verb) == ("before", "stop"):
            raise PartlyAppliedError("The network is gone.")

    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        worker.cloud.trouble = lose
        with pytest.raises(PartlyAppliedError) as caught:
            worker.desk.apply(plan, worker.approve(plan))
        worker.cloud.trouble = lambda *_: None
        book = worker.desk.abort(str(caught.value.operation), "done another way")
        assert (book.operation.state, [step.state for step in book.steps]) == ("cancelled", ["done", "failed"])
        for again in (worker.desk.resume, lambda identifier: worker.desk.abort(identifier, "again")):
            with pytest.raises(RefusedError, match="is over: it is cancelled"):
                again(book.id)
        assert worker.run(CASES["pause"]).state == "succeeded"


def test_somebody_who_asks_once_gets_the_step_finished_and_no_further_one(folder: Path) -> None:
    stop, told = StopRequest(), list[Event]()

    def tell(event: Event) -> None:
        told.append(event)
        stop.requested = stop.requested or event.state == "begun"

    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        with pytest.raises(InterruptError) as caught:
            worker.desk.apply(plan, worker.approve(plan), tell=tell, stop=stop)
        assert caught.value.exit_code == 130
        assert worker.cloud.acts() == {Act("pause_put", JOB): 1}
        assert worker.desk.control.state().holder is None
        assert [event.seq for event in told] == list(range(1, len(told) + 1))
        assert worker.desk.resume(str(caught.value.operation)).state == "succeeded"
        assert worker.cloud.acts() == {Act("pause_put", JOB): 1, Act("stop", JOB): 1}


def test_somebody_who_leaves_at_once_leaves_the_lock_until_its_lease_is_over(folder: Path) -> None:
    def leave(place: str, verb: str) -> None:
        if (place, verb) == ("after", "stop"):
            raise KeyboardInterrupt

    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        worker.cloud.trouble = leave
        with pytest.raises(KeyboardInterrupt):
            worker.desk.apply(plan, worker.approve(plan))
        worker.cloud.trouble = lambda *_: None
        # What is on its way may still take effect, so nobody else may act yet; the operation itself may be taken up.
        assert worker.desk.control.state().held
        (left,) = worker.unfinished()
        with operator(folder, machine="another") as other:
            case = CASES["feed"]
            with pytest.raises(LockedError):
                other.run(case)
        assert worker.desk.resume(left).state == "succeeded"
        assert worker.cloud.acts() == {Act("pause_put", JOB): 1, Act("stop", JOB): 1}


def test_an_operation_whose_process_lives_is_left_alone(folder: Path) -> None:
    with operator(folder) as worker:
        identifier = _lose_the_start(worker)
        from lpmops.control.collect import utc_now

        assert lease.take(worker.store, f"operation {identifier}", "a living process", utc_now(), 60)
        for act in (
            worker.desk.resume,
            lambda found: worker.desk.abort(found, "x"),
            lambda found: worker.desk.resolve(found, "done", "x"),
        ):
            with pytest.raises(LockedError, match="still runs in process"):
                act(identifier)
        with pytest.raises(LockedError, match="runs in prod on this machine"):
            worker.desk.refuse_unfinished()


def test_what_is_unfinished_goes_first(folder: Path) -> None:
    with operator(folder) as worker:
        identifier = _lose_the_start(worker)
        plan = worker.plan(CASES["feed"])
        with pytest.raises(RefusedError, match="unfinished operation") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.operation == identifier
        assert worker.cloud.get("feed")["kind"] == "off"


def test_a_resume_in_a_world_that_somebody_changed_is_refused(folder: Path) -> None:
    with operator(folder) as worker:
        identifier = _lose_the_start(worker)
        worker.cloud.put(JOB, query="SELECT something else")
        with pytest.raises(StalePlanError, match=rf"{JOB}\.query") as caught:
            worker.desk.resume(identifier)
        assert caught.value.operation == identifier
        assert worker.cloud.acts()[Act("start", JOB)] == 0


def test_an_id_may_be_cut_short_where_only_one_operation_begins_so(folder: Path) -> None:
    with operator(folder) as worker:
        worker.run(CASES["feed"])
        worker.run(CASES["pause"])
        from lpmops.store import journal

        ids = [operation.id for operation, _ in journal.operations(worker.store)]
        assert journal.read(worker.store, ids[0])[0].id == ids[0]
        for wrong in ("", ids[0][:3], "nothing", "%"):
            with pytest.raises(NotFoundError):
                journal.read(worker.store, wrong)


def test_a_start_that_fails_says_why(folder: Path) -> None:
    with operator(folder) as worker:
        CASES["start"].before(worker.cloud)
        worker.cloud.put(JOB, ends="Failed", failure="the job exceeds the receivers of the hub")
        plan = worker.plan(CASES["start"])
        with pytest.raises(PartlyAppliedError, match="exceeds the receivers") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert "lpmops op resume" in caught.value.hint


def test_somebody_who_starts_the_job_otherwise_meanwhile_is_noticed(folder: Path) -> None:
    def other(place: str, verb: str) -> None:
        if (place, verb) == ("before", "start"):
            worker.cloud.put(JOB, state="Running", mode="JobStartTime")

    with operator(folder) as worker:
        CASES["start"].before(worker.cloud)
        plan = worker.plan(CASES["start"])
        worker.cloud.trouble = other
        with pytest.raises(RefusedError, match="somebody started it with JobStartTime"):
            worker.desk.apply(plan, worker.approve(plan))


def _modes(worker: Operator, **wish: object) -> tuple[int | None, int]:
    plan = worker.plan(replace(CASES["start"], wish={**START, **wish}))
    return plan.impact.events, int(plan.danger)


def test_each_start_mode_says_how_many_events_it_skips_and_is_as_dangerous_as_that(folder: Path) -> None:
    with operator(folder) as worker:
        CASES["start"].before(worker.cloud)
        # Number 399 was the last output, at 12:00:00; one event a second; 500 is the end.
        assert _modes(worker, mode="last-output") == (0, 2)
        assert _modes(worker, mode="now") == (100, 3)
        assert _modes(worker, mode="custom", begin="2026-11-23T12:00:11Z") == (10, 3)
        assert _modes(worker, mode="custom", begin="2026-11-23T11:59:50Z") == (0, 2)
        custom = worker.plan(replace(CASES["start"], wish={**START, "mode": "custom", "begin": "2026-11-23T11:59:50Z"}))
        assert any("11 events come again" in warning for warning in custom.warnings)


def test_a_job_that_never_wrote_can_not_go_on_from_its_last_output(folder: Path) -> None:
    with operator(folder) as worker:
        worker.cloud.put(JOB, state="Created", last_output_at=None, started_at=None, mode=None)
        plan = worker.plan(CASES["start"])
        assert "no last output" in plan.refusals[0]
        with pytest.raises(RefusedError):
            worker.approve(plan)
        assert _modes(worker, mode="now") == (500, 3)


def test_a_job_that_stood_still_longer_than_the_hub_keeps_events_says_that_some_are_gone(folder: Path) -> None:
    with operator(folder) as worker:
        CASES["start"].before(worker.cloud)
        worker.cloud.put("hub", retention=60.0)
        assert any("must be replayed" in warning for warning in worker.plan(CASES["start"]).warnings)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"reason": "x" * 1001}, "at most 1000 characters"),
        ({"jobs": ["asa-other"]}, "no job 'asa-other'"),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused_before_anything_is_read(
    wish: dict[str, object], words: str, folder: Path
) -> None:
    with operator(folder) as worker, pytest.raises((UsageError, NotFoundError), match=words):
        worker.plan(replace(CASES["pause"], wish={**PAUSE, **wish}))


def test_a_pause_beyond_what_the_hub_keeps_is_refused(folder: Path) -> None:
    case: Case = replace(CASES["pause"], wish={**PAUSE, "until": "2099-01-01T00:00:00.000Z"})
    with operator(folder) as worker:
        assert "loses some" in worker.plan(case).refusals[0]
