"""The stream is deployed so that there is one job that runs exactly the shipped files, whatever answer is lost and whoever dies on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmops.actions import stream_deploy
from lpmops.config import Environment
from lpmops.errors import DeadlineError, InDoubtError, LpmopsError, UnreachableError, UsageError
from lpmops.streamjob.arguments import StreamSettings, parse
from tests.actions import kills
from tests.actions.cases import CASES
from tests.actions.cloud import Act, Cloud, environment
from tests.actions.operator import Operator, operator

CASE, CREATE = CASES["stream deploy"], CASES["stream create"]
MADE = Act("create_job", "stream")
KEPT = {"new_cluster": {"num_workers": 3}, "libraries": [{"maven": {"coordinates": "a:b:1"}}]}


def _finish(folder: Path) -> None:
    kills.finish(CREATE, folder)
    kills.assert_done_once(CREATE, folder)


@pytest.mark.parametrize("kind", [DeadlineError, UnreachableError])
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_creation_whose_answer_is_lost_is_never_sent_again(place: str, kind: type[Any], folder: Path) -> None:
    with operator(folder) as worker:
        CREATE.before(worker.cloud)
        plan = worker.plan(CREATE)
        worker.cloud.trouble = _once(place, "create_job", kind)
        if place == "after":
            assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"
        else:
            with pytest.raises(InDoubtError) as caught:
                worker.desk.apply(plan, worker.approve(plan))
            assert f"lpmops op resolve {caught.value.operation}" in caught.value.hint
            with pytest.raises(InDoubtError):
                worker.desk.resume(str(caught.value.operation))
            assert not worker.cloud.acts()[MADE]
    _finish(folder)


def _once(place: str, verb: str, kind: type[Any]) -> Callable[[str, str], None]:
    struck: list[str] = []

    def strike(where: str, what: str) -> None:
        if (where, what) == (place, verb) and not struck:
            struck.append(what)
            raise kind("The answer did not come.", service="databricks")

    return strike


def test_a_creation_that_takes_effect_late_is_found_by_looking_again(folder: Path) -> None:
    def late(place: str, verb: str) -> None:
        if (place, verb) == ("before", "create_job"):
            settings = plan.steps[1].arguments["settings"]
            worker.cloud.postpone("create_job", "stream", gone=False, tasks=settings["tasks"], continuous=True)
            raise DeadlineError("The answer did not come.", service="databricks")

    with operator(folder) as worker:
        CREATE.before(worker.cloud)
        plan = worker.plan(CREATE)
        worker.cloud.trouble = late
        with pytest.raises(InDoubtError) as caught:
            worker.desk.apply(plan, worker.approve(plan))
        worker.cloud.trouble = lambda *_: None
        worker.cloud.land()
        assert worker.desk.resume(str(caught.value.operation)).state == "succeeded"
    _finish(folder)


def test_a_new_job_is_made_paused_and_begins_last(folder: Path) -> None:
    with operator(folder) as worker:
        CREATE.before(worker.cloud)
        plan = worker.plan(CREATE)
        kinds = ["stream.files", "stream.create", "stream.permit", "stream.begin"]
        assert [step.kind for step in plan.steps] == kinds
        settings = plan.steps[1].arguments["settings"]
        assert (settings["continuous"], settings["max_concurrent_runs"]) == ({"pause_status": "PAUSED"}, 1)
        assert "--starting-version 3" in _parameters(settings)


def _parameters(settings: dict[str, Any]) -> str:
    return " ".join(settings["tasks"][0]["spark_python_task"]["parameters"])


@pytest.mark.parametrize(
    ("wish", "change", "words"),
    [
        ({"from_version": None}, {}, "--from-version N"),
        ({"from_version": 9}, {}, "version 9 is not in the feed"),
        ({"from_version": 1}, {"feed": {"first": 2}}, "version 1 is not in the feed"),
        ({}, {"feed": {"kind": "off"}}, "change feed is off"),
        ({}, {"stream": {"others": ["old-stream (12)"]}}, "old-stream .12. reads lpm.gold.tdr_streaming too"),
    ],
)
def test_what_would_send_twice_or_from_nowhere_is_refused(
    wish: dict[str, Any], change: dict[str, dict[str, Any]], words: str, folder: Path
) -> None:
    with operator(folder) as worker:
        CREATE.before(worker.cloud)
        for thing, values in change.items():
            worker.cloud.put(thing, **values)
        plan = worker.plan(replace(CREATE, wish={**CREATE.wish, **wish}))
        with pytest.raises(LpmopsError, match=words):
            worker.desk.apply(plan, worker.approve(replace(plan, refusals=())))
        assert not worker.cloud.acts()


def test_a_checkpoint_that_can_not_go_on_refuses_a_change_of_the_job(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.before(worker.cloud)
        worker.cloud.put("stream", table_id="another")
        assert "made anew" in worker.plan(CASE).refusals[0]


def test_what_the_job_has_beside_what_is_managed_is_kept(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.before(worker.cloud)
        given = ["stream", "--table", "old", "--trigger-seconds", "5", "--secret", "databricks:old/key"]
        worker.cloud.put("stream", tasks=[{"task_key": "mine", **KEPT, "spark_python_task": {"parameters": given}}])
        worker.run(CASE)
        (task,) = worker.cloud.get("stream")["tasks"]
        assert {name: task[name] for name in KEPT} == KEPT
        words = _parameters({"tasks": [task]})
        assert "--trigger-seconds 5" in words
        assert "--table lpm.gold.tdr_streaming" in words
        assert "--secret" not in words
        assert not worker.plan(CASE).steps


def test_a_stream_that_stands_still_is_changed_and_stays_so(folder: Path) -> None:
    with operator(folder) as worker:
        CASES["stream start"].before(worker.cloud)
        plan = worker.plan(CASE)
        assert "stream start" in plan.warnings[0]
        worker.desk.apply(plan, worker.approve(plan))
        assert worker.cloud.get("stream")["state"] == "stopped"
        assert worker.cloud.acts()[Act("run_job", "stream")] == 0


def test_a_job_that_fails_again_and_again_is_changed_and_its_next_run_takes_the_change(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.before(worker.cloud)
        worker.cloud.put("stream", loops=True, state="failed")
        plan = worker.plan(CASE)
        assert "next run" in plan.warnings[0]
        assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"
        assert [worker.cloud.acts()[Act(verb, "stream")] for verb in ("update_job", "run_job")] == [1, 0]


def test_a_job_with_other_tasks_is_not_the_streams(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.before(worker.cloud)
        worker.cloud.put("stream", tasks=[{"task_key": "a"}, {"task_key": "b"}])
        assert "has 2 tasks" in worker.plan(CASE).refusals[0]


def _with(**databricks: str) -> Environment:
    place = environment()
    return replace(place, databricks=replace(place.databricks, **databricks))


@pytest.mark.parametrize(
    ("sign_in", "words"),
    [
        ("service-credential:hub", "--sign-in service-credential --credential hub"),
        ("sas:lpm/hub", "--sign-in sas --secret databricks:lpm/hub"),
        (
            "entra:app-1:lpm/hub",
            "--sign-in entra --secret databricks:lpm/hub --tenant 00000000-0000-4000-8000-0000000000aa --client app-1",
        ),
    ],
)
def test_each_way_to_sign_in_gives_arguments_that_the_job_takes(sign_in: str, words: str, folder: Path) -> None:
    cloud = Cloud(folder, _with(sign_in=sign_in))
    with operator(folder, cloud=cloud) as worker:
        bench = worker.desk.bench()
        given = stream_deploy.parameters(bench.environment, bench.config.routing, [], 3)
    cloud.close()
    assert words in " ".join(given)
    settings = parse(given)
    assert isinstance(settings, StreamSettings)
    assert (settings.table, settings.starting_version) == ("lpm.gold.tdr_streaming", 3)


@pytest.mark.parametrize(
    ("databricks", "words"), [({"sign_in": ""}, "signs in to the hub"), ({"job": "77"}, "can't be given a number")]
)
def test_what_the_configuration_lacks_is_named(databricks: dict[str, str], words: str, folder: Path) -> None:
    cloud = Cloud(folder, _with(**databricks))
    with operator(folder, cloud=cloud) as worker:
        CREATE.before(cloud)
        with pytest.raises(UsageError, match=words):
            worker.plan(CREATE)
    cloud.close()


def test_files_that_are_damaged_are_shipped_again(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.before(worker.cloud)
        worker.run(CASE)
        held = worker.cloud.get("volume")["files"]
        worker.cloud.put("volume", files={**held, next(iter(held)): "another"})
        plan = worker.plan(CASE)
        assert [step.name for step in plan.steps] == ["ship 1 files"]
        worker.desk.apply(plan, worker.approve(plan))
        assert worker.cloud.get("volume")["files"] == held


def test_the_same_deployment_again_changes_nothing(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.before(worker.cloud)
        assert worker.run(CASE).operation is not None
        acts = worker.cloud.acts()
        assert _again(worker) is None
        assert worker.cloud.acts() == acts


def _again(worker: Operator) -> str | None:
    return worker.run(CASE).operation
