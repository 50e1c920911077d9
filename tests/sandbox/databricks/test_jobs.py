"""Jobs as an operator meets them: a stream that is always running, runs that fail and come back, and calls that are sent twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk.errors import BadRequest, InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.service import iam, jobs

from tests.sandbox.databricks.conftest import JOB, World, eventually

Make = Callable[..., World]


def newest(world: World, **asked: Any) -> jobs.BaseRun:
    sdk = world.sdk()
    job = next(iter(sdk.jobs.list(name=JOB)))
    return next(iter(sdk.jobs.list_runs(job_id=job.job_id, **asked)))


def test_a_new_workspace_streams_at_once(make_world: Make) -> None:
    world = make_world()
    world.pass_time(1)
    assert world.is_streaming()
    run = newest(world)
    assert run.state is not None
    assert run.status is not None
    assert (run.state.life_cycle_state, run.status.state) == (
        jobs.RunLifeCycleState.RUNNING,
        jobs.RunLifecycleStateV2State.RUNNING,
    )
    assert run.trigger == jobs.TriggerType.CONTINUOUS
    assert run.run_page_url == f"{world.url}/?o=7405600000000001#job/{run.job_id}/run/{run.run_id}"


def test_a_restart_of_the_process_keeps_the_run(make_world: Make) -> None:
    first = make_world()
    first.pass_time(1)
    before = newest(first)
    first.close()
    again = make_world()
    assert again.is_streaming()
    assert newest(again).run_id == before.run_id


def test_a_failed_run_says_why_and_the_next_one_comes_after_the_back_off(make_world: Make) -> None:
    world = make_world()
    world.pass_time(1)
    world.workspace.fail_run("[DELTA_MISSING_CHANGE_DATA] gone")
    assert not world.is_streaming()
    failed = newest(world)
    assert failed.state is not None
    assert failed.status is not None
    assert failed.status.termination_details is not None
    assert failed.state.result_state == jobs.RunResultState.FAILED
    assert failed.status.termination_details.code == jobs.TerminationCodeCode.RUN_EXECUTION_ERROR
    assert failed.status.termination_details.message == "[DELTA_MISSING_CHANGE_DATA] gone"
    assert failed.run_id is not None
    output = world.sdk().jobs.get_run_output(failed.run_id)
    assert output.error == "[DELTA_MISSING_CHANGE_DATA] gone"
    assert output.error_trace is not None
    assert output.error_trace.endswith("StreamingQueryException: [DELTA_MISSING_CHANGE_DATA] gone")
    world.pass_time(2)
    assert world.is_streaming()
    assert newest(world).number_in_job == 2


def test_a_broken_stream_never_runs_and_mostly_shows_failed_runs(make_world: Make) -> None:
    world = make_world()
    world.pass_time(1)
    world.workspace.break_runs("the hub refuses the sign-in")
    seen = []
    for _ in range(150):
        world.pass_time(0.2)
        assert not world.is_streaming()
        run = world.workspace.jobs.runs()[0]
        seen.append(run.result)
    assert seen.count("FAILED") > 90
    assert len(world.workspace.jobs.runs()) > 5
    world.workspace.mend_runs()
    world.pass_time(2.5)
    assert world.is_streaming()


def test_run_now_ends_the_back_off(make_world: Make) -> None:
    world = make_world()
    job = next(iter(world.sdk().jobs.list(name=JOB)))
    assert job.job_id is not None
    for _ in range(4):
        world.pass_time(6)
        world.workspace.fail_run("again")
    run = world.sdk().jobs.run_now(job.job_id)
    world.pass_time(0.8)
    assert world.is_streaming()
    assert newest(world).run_id == run.bind()["run_id"]
    assert newest(world).trigger == jobs.TriggerType.CONTINUOUS_RESTART
    world.workspace.fail_run("once more")
    world.pass_time(1.9)
    assert world.is_streaming(), "the back-off began anew"


def test_run_now_replaces_the_active_run_of_a_continuous_job(make_world: Make) -> None:
    world = make_world()
    world.pass_time(1)
    old = newest(world)
    assert old.job_id is not None
    assert old.run_id is not None
    world.sdk().jobs.run_now(old.job_id)
    world.pass_time(2)
    assert world.is_streaming()
    ended = world.sdk().jobs.get_run(old.run_id)
    assert ended.state is not None
    assert ended.state.result_state == jobs.RunResultState.CANCELED
    assert len(list(world.sdk().jobs.list_runs(job_id=old.job_id, active_only=True))) == 1


def test_the_same_token_runs_once(make_world: Make) -> None:
    world = make_world()
    sdk = world.sdk()
    job = sdk.jobs.create(name="replay", tasks=[notebook()])
    assert job.job_id is not None
    first = sdk.jobs.run_now(job.job_id, idempotency_token="once")
    again = sdk.jobs.run_now(job.job_id, idempotency_token="once")
    assert first.bind()["run_id"] == again.bind()["run_id"]
    assert len(list(sdk.jobs.list_runs(job_id=job.job_id))) == 1
    with pytest.raises(InvalidParameterValue, match="at most 64"):
        sdk.jobs.run_now(job.job_id, idempotency_token="x" * 65)
    one = sdk.jobs.submit(run_name="one", tasks=[submitted()], idempotency_token="s")
    two = sdk.jobs.submit(run_name="one", tasks=[submitted()], idempotency_token="s")
    assert one.bind()["run_id"] == two.bind()["run_id"]


def notebook(key: str = "main") -> jobs.Task:
    return jobs.Task(task_key=key, notebook_task=jobs.NotebookTask(notebook_path="/Shared/replay"))


def submitted(key: str = "main") -> jobs.SubmitTask:
    return jobs.SubmitTask(task_key=key, notebook_task=jobs.NotebookTask(notebook_path="/Shared/replay"))


def test_a_paused_stream_stops_with_its_run_and_starts_when_it_is_resumed(make_world: Make) -> None:
    world = make_world()
    world.pass_time(1)
    sdk, run = world.sdk(), newest(world)
    assert run.job_id is not None
    paused = jobs.JobSettings(continuous=jobs.Continuous(pause_status=jobs.PauseStatus.PAUSED))
    sdk.jobs.update(run.job_id, new_settings=paused)
    assert world.is_streaming()
    sdk.jobs.cancel_all_runs(job_id=run.job_id)
    world.pass_time(10)
    assert not world.is_streaming()
    settings = sdk.jobs.get(run.job_id).settings
    assert settings is not None
    assert settings.tasks is not None
    assert settings.tasks[0].task_key == "tdr_stream"
    resumed = jobs.JobSettings(continuous=jobs.Continuous(pause_status=jobs.PauseStatus.UNPAUSED))
    sdk.jobs.update(run.job_id, new_settings=resumed)
    world.pass_time(1)
    assert world.is_streaming()


def test_a_cancelled_run_of_a_continuous_job_is_followed_by_another(make_world: Make) -> None:
    world = make_world()
    world.pass_time(1)
    run = newest(world)
    assert run.run_id is not None
    world.sdk().jobs.cancel_run(run.run_id)
    assert not world.is_streaming()
    world.pass_time(3)
    assert world.is_streaming()
    assert newest(world).run_id != run.run_id


def test_a_deleted_stream_stays_away(make_world: Make) -> None:
    world = make_world()
    world.pass_time(1)
    run = newest(world)
    assert run.job_id is not None
    world.sdk().jobs.delete(run.job_id)
    world.pass_time(10)
    assert not world.is_streaming()
    with pytest.raises(ResourceDoesNotExist):
        world.sdk().jobs.get(run.job_id)
    world.close()
    assert not list(make_world().sdk().jobs.list())


def test_another_job_is_executed_by_whoever_can_and_else_refused_by_name(make_world: Make) -> None:
    def run_task(asked: Any) -> str:
        if asked.job_name == "bad":
            raise RuntimeError("the range is gone")
        return f"replayed {asked.parameters['job_parameters']['first']}"

    world = make_world(run_task=run_task)
    sdk = world.sdk()
    for name, expected in (("replay", jobs.RunResultState.SUCCESS), ("bad", jobs.RunResultState.FAILED)):
        job = sdk.jobs.create(name=name, tasks=[notebook()])
        assert job.job_id is not None
        run_id = sdk.jobs.run_now(job.job_id, job_parameters={"first": "7"}).bind()["run_id"]

        def ended(run_id: int = run_id) -> bool:
            world.pass_time(0.4)
            state = sdk.jobs.get_run(run_id).state
            return state is not None and state.result_state is not None

        assert eventually(ended)
        run = sdk.jobs.get_run(run_id)
        assert run.state is not None
        assert run.tasks is not None
        assert run.state.result_state == expected
        task_run = run.tasks[0].run_id
        assert task_run is not None
        output = sdk.jobs.get_run_output(task_run)
        if name == "replay":
            assert output.notebook_output is not None
            assert output.notebook_output.result == "replayed 7"
        else:
            assert output.error == "the range is gone"


def test_a_sandbox_without_executor_says_what_it_cannot_run(make_world: Make) -> None:
    world = make_world()
    run_id = world.sdk().jobs.submit(run_name="x", tasks=[submitted("a"), submitted("b")]).bind()["run_id"]
    world.pass_time(3)
    run = world.sdk().jobs.get_run(run_id)
    assert run.state is not None
    assert run.state.state_message == "The sandbox does not execute this job: notebook_task."
    with pytest.raises(BadRequest, match="multiple tasks"):
        world.sdk().jobs.get_run_output(run_id)


def test_a_run_too_many_is_skipped_or_waits(make_world: Make) -> None:
    world = make_world(run_task=lambda asked: str(asked.cancelled.wait(20)))
    sdk = world.sdk()
    for queue, expected in ((False, "SKIPPED"), (True, "QUEUED")):
        job = sdk.jobs.create(name=f"q{queue}", tasks=[notebook()], queue=jobs.QueueSettings(enabled=queue))
        assert job.job_id is not None
        first, second = sdk.jobs.run_now(job.job_id).bind()["run_id"], sdk.jobs.run_now(job.job_id).bind()["run_id"]
        world.pass_time(1)
        state = sdk.jobs.get_run(second).state
        assert state is not None
        assert state.life_cycle_state is not None
        assert state.life_cycle_state.value == expected
        sdk.jobs.cancel_run(first)
        world.pass_time(2)
        state = sdk.jobs.get_run(second).state
        assert state is not None
        assert state.life_cycle_state is not None
        assert state.life_cycle_state.value == ("RUNNING" if queue else "SKIPPED")
        sdk.jobs.cancel_run(second)


def test_lists_come_in_pages_newest_first(make_world: Make) -> None:
    world = make_world()
    sdk = world.sdk()
    made = [sdk.jobs.create(name=f"job {number}").job_id for number in range(7)]
    found = [job.job_id for job in sdk.jobs.list(limit=3)]
    assert found[:-1] == made[::-1]
    assert [job.job_id for job in sdk.jobs.list(name="JOB 3")] == [made[3]]
    with pytest.raises(InvalidParameterValue):
        list(sdk.jobs.list(limit=101))
    with pytest.raises(InvalidParameterValue):
        list(sdk.jobs.list(page_token="%%"))
    with pytest.raises(ResourceDoesNotExist):
        sdk.jobs.get_run(1)


@pytest.mark.parametrize(
    "settings",
    [
        {"continuous": {}, "schedule": {"quartz_cron_expression": "0 0 * * * ?", "timezone_id": "UTC"}},
        {"tasks": [{"task_key": "a"}, {"task_key": "a"}]},
        {"tasks": "a"},
        {"continuous": {"pause_status": "MAYBE"}},
        {"max_concurrent_runs": -1},
        {"name": ""},
    ],
)
def test_settings_that_no_job_can_have_are_refused(make_world: Make, settings: dict[str, Any]) -> None:
    world = make_world()
    with pytest.raises(BadRequest):
        world.sdk().api_client.do("POST", "/api/2.1/jobs/create", body=settings)
    assert len(world.workspace.jobs.jobs()) == 1


def test_rights_on_a_job_are_added_replaced_and_outlive_the_process(make_world: Make) -> None:
    world = make_world()
    sdk = world.sdk()
    number = str(next(iter(sdk.jobs.list(name=JOB))).job_id)
    sdk.permissions.update(
        "jobs",
        number,
        access_control_list=[
            iam.AccessControlRequest(group_name=name, permission_level=iam.PermissionLevel.CAN_VIEW) for name in "ab"
        ],
    )
    sdk.permissions.set(
        "jobs",
        number,
        access_control_list=[
            iam.AccessControlRequest(group_name="c", permission_level=iam.PermissionLevel.CAN_MANAGE_RUN)
        ],
    )
    world.close()
    shown = make_world().sdk().permissions.get("jobs", number)
    found = {entry.group_name or "the creator": entry.all_permissions for entry in shown.access_control_list or ()}
    levels = {name: given[0].permission_level for name, given in found.items() if given}
    assert levels == {"the creator": iam.PermissionLevel.IS_OWNER, "c": iam.PermissionLevel.CAN_MANAGE_RUN}
    wrong = [iam.AccessControlRequest(group_name="a", permission_level=iam.PermissionLevel.CAN_USE)]
    sdk = make_world().sdk()
    with pytest.raises((BadRequest, InvalidParameterValue)):
        sdk.permissions.update("jobs", number, access_control_list=wrong)
