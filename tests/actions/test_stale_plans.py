"""A plan is applied to the world it was made for or not at all: every field that moved, every edit, age, version and other environment refuses it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmops.control import guard
from lpmops.control import plan as plans
from lpmops.control.collect import utc_now
from lpmops.control.hands import Outcome
from lpmops.control.plan import Danger
from lpmops.errors import DeclinedError, LpmopsError, NotFoundError, RefusedError, StalePlanError, UsageError
from lpmops.model import Kind
from tests.actions import kills, moves
from tests.actions.cases import CASES, Case
from tests.actions.cloud import JOB
from tests.actions.operator import Operator, operator


@pytest.mark.parametrize("name", CASES)
def test_whatever_the_plan_rests_on_moves_refuses_it_and_is_named(name: str, folder: Path) -> None:
    case = CASES[name]
    kills.prepare(case, folder / "looked at")
    with operator(folder / "looked at") as worker:
        plan, things = worker.plan(case), worker.cloud.things()
        first: dict[str, str] = {}
        for move, make in moves.within(things).items():
            make(worker.cloud)
            for field in moves.moved(worker, case, plan) or ():
                # Of the moves that change the same field the first is enough.
                first.setdefault(field, move)
            worker.cloud.restore(things)
    tried = [*moves.BESIDES, *kills.spread(list(dict.fromkeys(first.values())), 5)]
    fields = {field for number, move in enumerate(tried) for field in _refused(case, folder / str(number), move)}
    # What is not there and hangs on another thing that is not there can't come by itself.
    there = {field for field, value in plan.seen.items() if value is not None}
    assert there <= fields | set(first), "nothing in the pretend world moves it: see tests.actions.moves"


def _refused(case: Case, folder: Path, move: str) -> set[str]:
    """Apply a plan to a world in which that was changed meanwhile; the fields that moved."""
    kills.prepare(case, folder)
    with operator(folder) as worker:
        plan = worker.plan(case)
        make = {**moves.within(worker.cloud.things()), **moves.BESIDES}[move]
        make(worker.cloud)
        worker.cloud.forget()
        moved = moves.moved(worker, case, plan)
        if moved == set():
            return moved
        ended = worker.attempt(plan)
        # Where somebody else did it meanwhile there is nothing left to do; where none can be planned any more the reason is its own.
        assert (
            isinstance(ended, StalePlanError) or (isinstance(ended, Outcome) and ended.operation is None) or not moved
        )
        if isinstance(ended, StalePlanError):
            assert ended.exit_code == 6
            assert any(field in ended.message for field in moved or ()), move
        assert not worker.cloud.acts()
        assert worker.desk.control.state().holder is None
        return moved or set()


@pytest.mark.parametrize("state", ["Failed", "Starting", "Stopping", "Deleting", "Brooding"])
def test_a_job_whose_state_moved_refuses_the_plan(state: str, folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        worker.cloud.put(JOB, state=state, ends="Brooding")
        with pytest.raises((StalePlanError, RefusedError)):
            worker.desk.apply(plan, worker.approve(plan))
        assert not worker.cloud.acts()


def test_applying_a_plan_twice_changes_nothing(folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        assert worker.desk.apply(plan, worker.approve(plan)).operation is not None
        acts = worker.cloud.acts()
        again = worker.desk.apply(plan, worker.approve(plan))
        assert (again.operation, again.state) == (None, "succeeded")
        assert worker.cloud.acts() == acts
        assert not worker.plan(CASES["pause"]).steps


@pytest.mark.parametrize("pin", ["tenant", "workspace"])
def test_a_foreign_environment_refuses_every_write(pin: str, folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASES["feed"])
        setattr(worker.cloud, pin, "00000000-0000-4000-8000-00000000beef")
        with pytest.raises(RefusedError, match=f"{pin} is 00000000") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.exit_code == 6
        assert not worker.cloud.acts()


# Files


@pytest.fixture
def saved(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A plan in a file, and its document."""
    path = folder / "plan.json"
    with operator(folder) as worker:
        plans.save(worker.plan(CASES["pause"]), path)
    return path, json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, document: object) -> None:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")


def test_a_saved_plan_is_the_plan_and_is_read_by_its_owner_only(
    saved: tuple[Path, dict[str, Any]], folder: Path
) -> None:
    path, document = saved
    assert path.stat().st_mode & 0o777 == 0o600
    plan = plans.load(path)
    assert plan.fingerprint == document["fingerprint"]
    with operator(folder) as worker:
        assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"


def test_every_edited_value_of_a_plan_is_noticed(saved: tuple[Path, dict[str, Any]]) -> None:
    path, document = saved
    for name in document["plan"]:
        edited = json.loads(json.dumps(document))
        edited["plan"][name] = _edited(edited["plan"][name])
        _write(path, edited)
        with pytest.raises((StalePlanError, UsageError)):
            plans.load(path)


def _edited(value: Any) -> Any:
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, list):
        return [*value, *value[:1]] if value else ["x"]
    if isinstance(value, dict):
        return {**value, "extra": 1}
    return 0 if value != 0 else 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", "not json", '{"schema": "lpmops/plan/v1"}', "[" * 5_000, '{"schema": 1, "plan": {}}'],
)
def test_what_is_no_plan_is_a_usage_error(text: str, folder: Path) -> None:
    path = folder / "plan.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        plans.load(path)
    assert caught.value.exit_code == 2


def test_a_plan_of_a_newer_format_or_with_an_unknown_field_is_refused(saved: tuple[Path, dict[str, Any]]) -> None:
    path, document = saved
    _write(path, {**document, "format": 2})
    with pytest.raises(StalePlanError, match="format 2"):
        plans.load(path)
    document["plan"]["surprise"] = True
    _write(path, document)
    with pytest.raises(UsageError, match="surprise"):
        plans.load(path)


def test_a_plan_with_half_a_letter_is_refused_before_anything_could_store_it(folder: Path) -> None:
    path = folder / "plan.json"
    with operator(folder) as worker:
        plans.save(replace(worker.plan(CASES["pause"]), command="lpmops \ud800"), path)
    with pytest.raises(UsageError, match="surrogate"):
        plans.load(path)


def test_a_plan_that_is_not_there_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFoundError):
        plans.load(folder / "nothing.json")


def test_a_plan_is_refused_by_another_environment_another_version_and_old_age(folder: Path) -> None:
    with operator(folder) as worker:
        plan, place, now = worker.plan(CASES["pause"]), worker.desk.environment, utc_now()
        plans.check_fits(plan, place, now)
        for stale in (
            replace(plan, made_at=now - timedelta(minutes=16)),
            replace(plan, made_at=now + timedelta(minutes=5)),
            replace(plan, version="0.0.0"),
            replace(plan, kind=Kind.DEV),
        ):
            with pytest.raises(StalePlanError):
                plans.check_fits(stale, place, now)
        with pytest.raises(StalePlanError, match="subscription_id"):
            plans.check_fits(plan, replace(place, subscription_id="00000000-0000-4000-8000-000000000009"), now)


def test_a_plan_whose_danger_or_steps_were_edited_with_a_new_fingerprint_is_refused_all_the_same(folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        for forged in (
            replace(plan, danger=Danger.READ),
            replace(plan, steps=plan.steps[1:]),
            replace(plan, target="dev"),
        ):
            with pytest.raises(StalePlanError):
                worker.desk.apply(forged, worker.approve(forged))
        assert not worker.cloud.acts()


# Approval


def test_an_approval_is_for_one_plan_and_for_a_while(folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASES["pause"])
        approval = worker.approve(plan)
        with pytest.raises(DeclinedError):
            worker.desk.apply(replace(plan, reason="another"), approval)
        with pytest.raises(DeclinedError):
            worker.desk.apply(plan, replace(approval, at=approval.at - timedelta(minutes=6)))
        assert not worker.cloud.acts()


def test_an_approval_is_spent_by_one_run(folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASES["feed"])
        approval = worker.approve(plan)
        worker.desk.apply(plan, approval)
        worker.cloud.put("feed", kind="off", versions=7, first=None, writer=2)
        with pytest.raises(LpmopsError):
            worker.desk.apply(plan, approval)
        assert sum(worker.cloud.acts().values()) == 1


def _needed(worker: Operator, danger: Danger, answers: guard.Answers) -> str | None:
    plan = replace(worker.plan(CASES["pause"]), danger=danger)
    missing = guard.needed(guard.request_of(plan), answers)
    return None if missing is None else missing.flag


def test_how_much_yes_each_danger_takes(folder: Path) -> None:
    yes, name, nothing = guard.Answers(yes=True), guard.Answers(confirm="prod"), guard.Answers()
    with operator(folder) as worker:
        flags = {danger: [_needed(worker, danger, answer) for answer in (nothing, yes, name)] for danger in Danger}
        assert flags == {
            Danger.READ: [None, None, None],
            Danger.REVERSIBLE: ["--yes", None, None],
            Danger.PRODUCTION: ["--yes", None, None],
            Danger.HARD: ["--confirm prod", "--confirm prod", None],
        }
        with pytest.raises(DeclinedError, match="'test' is not what this changes") as caught:
            _needed(worker, Danger.REVERSIBLE, guard.Answers(yes=True, confirm="test"))
        assert caught.value.exit_code == 7


def test_prod_is_guarded_and_skipping_events_is_hard_anywhere() -> None:
    assert guard.danger_of(Kind.DEV) == guard.danger_of(Kind.TEST) == Danger.REVERSIBLE
    assert guard.danger_of(Kind.PROD) == Danger.PRODUCTION
    assert guard.danger_of(Kind.DEV, hard=True) == Danger.HARD
    assert guard.needs_arming(Danger.PRODUCTION)
    assert not guard.needs_arming(Danger.REVERSIBLE)
    now = utc_now()
    assert guard.arm("prod", now).left(now + timedelta(seconds=30)) == 90.0
    assert guard.arm("prod", now).left(now + timedelta(seconds=300)) == 0.0
