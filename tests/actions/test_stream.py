"""The stream is stopped, started and restarted so that there is never a second run of it, and only where its checkpoint can go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmops.errors import DeadlineError, NotFoundError, PartlyAppliedError, RefusedError, StalePlanError
from tests.actions.cases import CASES
from tests.actions.cloud import Act
from tests.actions.operator import operator

RESTART, RUN = CASES["stream restart"], Act("run_job", "stream")


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_run_whose_answer_is_lost_is_asked_for_with_the_same_token(place: str, folder: Path) -> None:
    asked: list[str] = []

    def lose(where: str, verb: str) -> None:
        if (where, verb) == (place, "run_job") and not asked:
            asked.append(verb)
            raise DeadlineError("The answer did not come.", service="test")

    with operator(folder) as worker:
        RESTART.before(worker.cloud)
        plan = worker.plan(RESTART)
        worker.cloud.trouble = lose
        assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"
        assert asked
        assert worker.cloud.acts()[RUN] == 1
        assert len(worker.cloud.get("stream")["tokens"]) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stream": {"table_id": "another"}}, "made anew"),
        ({"stream": {"version": None}}, "no checkpoint"),
        ({"stream": {"version": 2}, "feed": {"oldest": 5}}, "history begins with 5"),
        ({"stream": {"version": 2}, "feed": {"first": 5}}, "recorded since 5 only"),
        ({"feed": {"kind": "off"}}, "change feed is off"),
    ],
)
@pytest.mark.parametrize("name", ["start", "restart"])
def test_a_checkpoint_that_can_not_go_on_refuses_the_start(
    name: str, change: dict[str, dict[str, Any]], words: str, folder: Path
) -> None:
    case = RESTART if name == "restart" else CASES["stream start"]
    with operator(folder) as worker:
        case.before(worker.cloud)
        for thing, values in change.items():
            worker.cloud.put(thing, **values)
        plan = worker.plan(case)
        assert any(words in refusal for refusal in plan.refusals), plan.refusals
        with pytest.raises(RefusedError):
            worker.approve(plan)


@pytest.mark.parametrize(("first", "words"), [("3", ""), ("99", "version 99 is not in the feed")])
@pytest.mark.parametrize("name", ["start", "restart"])
def test_a_new_checkpoint_begins_with_the_version_that_the_job_was_told(
    name: str, first: str, words: str, folder: Path
) -> None:
    case = RESTART if name == "restart" else CASES["stream start"]
    with operator(folder) as worker:
        case.before(worker.cloud)
        told = ["stream", "--checkpoint", worker.cloud.environment.databricks.checkpoint, "--starting-version", first]
        worker.cloud.put("stream", version=None, tasks=[{"spark_python_task": {"parameters": told}}])
        assert [words in refusal for refusal in worker.plan(case).refusals] == ([True] if words else [])
        worker.cloud.put("stream", tasks=[{"spark_python_task": {"parameters": [*told[:2], "/Volumes/l/o/old"]}}])
        assert "no checkpoint" in worker.plan(case).refusals[0]


def test_a_stopped_stream_stays_stopped_and_a_started_one_has_one_run(folder: Path) -> None:
    with operator(folder) as worker:
        CASES["stream stop"].before(worker.cloud)
        assert worker.run(CASES["stream stop"]).result["state"] == "paused"
        assert not worker.plan(CASES["stream stop"]).steps
        assert worker.run(CASES["stream start"]).result["state"] == "running"
        assert worker.cloud.get("stream")["run_id"] == 42
        assert not worker.plan(CASES["stream start"]).steps


def test_a_job_that_is_not_continuous_is_cancelled_before_it_runs_anew(folder: Path) -> None:
    with operator(folder) as worker:
        RESTART.before(worker.cloud)
        worker.cloud.put("stream", continuous=False)
        assert [step.kind for step in worker.plan(RESTART).steps] == ["stream.cancel", "stream.run"]
        assert worker.run(RESTART).state == "succeeded"
        assert worker.cloud.acts() == {Act("cancel_run", "stream"): 1, RUN: 1}


def test_a_run_that_somebody_else_made_meanwhile_refuses_the_plan(folder: Path) -> None:
    with operator(folder) as worker:
        CASES["stream stop"].before(worker.cloud)
        plan = worker.plan(CASES["stream stop"])
        worker.cloud.put("stream", run_id=50)
        with pytest.raises(StalePlanError, match=r"job\.run_id was 41 and is 50"):
            worker.desk.apply(plan, worker.approve(plan))
        assert not worker.cloud.acts()


def test_a_new_run_that_fails_says_why(folder: Path) -> None:
    def fail(place: str, verb: str) -> None:
        if (place, verb) == ("after", "run_job"):
            worker.cloud.put("stream", state="failed", message="the driver ran out of memory", continuous=False)

    with operator(folder) as worker:
        RESTART.before(worker.cloud)
        plan = worker.plan(RESTART)
        worker.cloud.trouble = fail
        with pytest.raises(PartlyAppliedError, match="ran out of memory"):
            worker.desk.apply(plan, worker.approve(plan))


def test_a_stream_that_is_not_there_is_named(folder: Path) -> None:
    with operator(folder) as worker:
        worker.cloud.put("stream", gone=True)
        with pytest.raises(NotFoundError, match="no job 'job'"):
            worker.plan(replace(RESTART))
