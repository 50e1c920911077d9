"""A plan is applied to the world it was made for or not at all: every field that moved, every edit, age, version and other environment refuses it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmops.actions import stream_deploy
from lpmops.control import guard
from lpmops.control import plan as plans
from lpmops.control.collect import utc_now
from lpmops.control.plan import Danger
from lpmops.errors import DeclinedError, LpmopsError, NotFoundError, RefusedError, StalePlanError, UsageError
from lpmops.model import Kind
from lpmops.routing.landscape import Kind as Kinds
from tests.actions.cloud import JOB, SENDER, Cloud
from tests.actions.operator import CASES, Operator, operator

SETTINGS = {
    "compatibilityLevel",
    "outputErrorPolicy",
    "eventsOutOfOrderPolicy",
    "eventsOutOfOrderMaxDelayInSeconds",
    "eventsLateArrivalMaxDelayInSeconds",
}
LONG = bool(os.environ.get("LPMOPS_TEST_WIRE"))
_MOVES: dict[str, Callable[[Cloud], None]] = {
    "hub.retention": lambda cloud: cloud.put("hub", retention=86_400.0),
    f"{JOB}.query": lambda cloud: cloud.put(JOB, query="SELECT 2"),
    f"{JOB}.inputs": lambda cloud: cloud.put(JOB, inputs={"tdr-hub": cloud.get(JOB)["inputs"]["tdr-hub"]}),
    f"{JOB}.outputs": lambda cloud: cloud.put(JOB, outputs={**cloud.get(JOB)["outputs"], "lpm-02": {}}),
    f"{JOB}.streaming_units": lambda cloud: cloud.put(JOB, streaming_units=6.0),
    f"{JOB}.compatibility_level": lambda cloud: _setting(cloud, "compatibilityLevel", "1.0"),
    f"{JOB}.output_error_policy": lambda cloud: _setting(cloud, "outputErrorPolicy", "Drop"),
    f"{JOB}.resource": lambda cloud: cloud.put(JOB, resource_id="/subscriptions/another"),
    f"{JOB}.last_output_at": lambda cloud: cloud.put(JOB, last_output_at="2026-11-23T12:00:01.000Z"),
    f"{JOB}.started_at": lambda cloud: cloud.put(JOB, started_at="2026-11-23T11:00:00.000Z"),
    f"{JOB}.start_mode": lambda cloud: cloud.put(JOB, mode="CustomTime"),
    "table.writer_version": lambda cloud: cloud.put("feed", writer=7),
    "table.features": lambda cloud: cloud.put("feed", features=["deletionVectors"]),
    "table.column_mapping": lambda cloud: cloud.put("feed", mapping="name"),
    "job.id": lambda cloud: cloud.put("stream", job_id="78"),
    "job.continuous": lambda cloud: cloud.put("stream", retry="NEVER"),
    "job.run_id": lambda cloud: cloud.put("stream", run_id=50),
    "job": lambda cloud: cloud.put("stream", gone=True),
    "job.is_continuous": lambda cloud: cloud.put("stream", continuous=False),
    "job.max_concurrent_runs": lambda cloud: cloud.put("stream", concurrent=2),
    "job.tasks": lambda cloud: cloud.put("stream", tasks=[{"task_key": "another"}]),
    "job.python_file": lambda cloud: _task(cloud, python_file="/elsewhere.py"),
    "job.parameters": lambda cloud: _task(cloud, parameters=["stream", "--table", "another"]),
    "job.permissions.lpm-operators": lambda cloud: cloud.put("stream", permissions={"lpm-operators": "CAN_VIEW"}),
    "files": lambda cloud: cloud.put("volume", files=_shipped(cloud)),
    "table.change_feed": lambda cloud: cloud.put("feed", kind="automatic"),
    "namespace": lambda cloud: cloud.resources.put(
        Kinds.NAMESPACE, ("evhns-lpm-tdr-prod",), {"location": "westeurope"}
    ),
    f"jobs.{JOB}": lambda cloud: cloud.resources.put(Kinds.JOB, (JOB,), {}),
}
# What can't be there while what it hangs on is not; an environment that is all there is tried in test_provision.
_LATER = {"hub", "consumer_groups.asa-01", "consumer_groups.people", "diagnostics.namespace", f"diagnostics.{JOB}"}
_LATER |= {f"roles.{JOB}.receiver", f"roles.service:{SENDER}.sender"}


def _other_pause(cloud: Cloud) -> None:
    values = ("somebody else's reason", None, "eve@lpm.example", None, "op-9", "asa.pause", JOB)
    cloud.rows("lpm-control", "pause_put", values + values)


def _task(cloud: Cloud, **python: Any) -> None:
    (task,) = cloud.get("stream")["tasks"]
    cloud.put("stream", tasks=[{**task, "spark_python_task": python}])


def _shipped(cloud: Cloud) -> dict[str, str]:
    """One of the files where it goes, as somebody else's deployment that is under way leaves it."""
    name, content = next(iter(stream_deploy.files().items()))
    folder = stream_deploy.folder_of(cloud.environment, stream_deploy.files())
    return {f"{folder}/{name}": hashlib.sha256(content).hexdigest()}


def _setting(cloud: Cloud, name: str, value: Any) -> None:
    cloud.put(JOB, settings={**cloud.get(JOB)["settings"], name: value})


_MOVES[f"{JOB}.pause"] = _other_pause


def _definition_move(field: str) -> Callable[[Cloud], None] | None:
    """Changes that one field of the job's definition; None for a field of something else."""
    words = field.removeprefix(f"{JOB}.").split(".")
    if words[0] in SETTINGS:
        return lambda cloud: _setting(cloud, words[0], f"not {words[0]}")
    if words[0] not in ("inputs", "outputs") or len(words) < 3:
        return None

    def move(cloud: Cloud) -> None:
        parts = cloud.get(JOB)[words[0]]
        at = parts[words[1]]
        for word in words[2:-1]:
            at = at["properties"] if word not in at else at[word]
        at = at if words[-1] in at else at["properties"]
        at[words[-1]] = f"not {at[words[-1]]}"
        cloud.put(JOB, **{words[0]: parts})

    return move


@pytest.mark.parametrize("name", CASES)
def test_every_managed_field_that_moves_refuses_the_plan_and_is_named(name: str, folder: Path) -> None:
    case, tried = CASES[name], set()
    with operator(folder / "first") as worker:
        case.before(worker.cloud)
        fields = worker.plan(case).seen
    # Of the many fields of a definition the short form moves some, the same in each run.
    parts = {field: move for field in sorted(set(fields) - set(_MOVES)) if (move := _definition_move(field))}
    moves = {**_MOVES, **{field: parts[field] for field in list(parts)[:: 1 if LONG else 6]}}
    tried |= set(parts) - set(moves)
    for field in sorted(set(fields) & set(moves)):
        with operator(folder / field) as worker:
            case.before(worker.cloud)
            plan = worker.plan(case)
            before = worker.cloud.acts()
            moves[field](worker.cloud)
            moved = worker.cloud.acts() - before
            with pytest.raises(StalePlanError, match=field.replace(".", r"\.")) as caught:
                worker.desk.apply(plan, worker.approve(plan))
            assert caught.value.exit_code == 6
            assert worker.cloud.acts() - before == moved
            assert worker.desk.control.state().holder is None
        tried.add(field)
    # What is not moved here: the jobs themselves, and states, of which some are what was wished for and others are tried below.
    assert set(fields) - tried <= {"jobs", f"{JOB}.state", "job.state", "job.paused", *_LATER}


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
