"""A replay as lpmops orders it: submitted over HTTP with a token, looked after, cancelled, listed by when it began, and broken midway."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest
from databricks.sdk.service import jobs

from lpmops.sandbox.bounded_runs import BoundedRuns
from lpmops.sandbox.databricks.volumes import Volumes
from lpmops.sandbox.lake.events import OutgoingEvent
from tests.sandbox.databricks.conftest import TABLE, World, eventually, rows

FOLDER = "/Volumes/lpm_dev/ops/checkpoints/replays"


class Bounded:
    """A workspace whose bounded runs send into a list."""

    def __init__(self, make_world: Callable[..., World]) -> None:
        self.runs: BoundedRuns
        self.world = make_world(run_task=lambda asked: self.runs.execute(asked))
        self.sent: list[dict[str, Any]] = []
        place = Volumes(self.world.folder / "volumes").place
        self.runs = BoundedRuns(self.world.table, self._send, lambda _: None, place, self.world.clock)
        self.sdk: WorkspaceClient = self.world.sdk()
        self.world.table.insert(rows("a", "b"))
        self.world.table.insert(rows("c", company="1002"))

    def _send(self, events: Sequence[OutgoingEvent]) -> None:
        self.sent += [json.loads(event.body) for event in events]

    @property
    def records(self) -> str:
        return "".join(body["tdr_id"] for body in self.sent)

    def submit(self, token: str = "", *more: str, replay_id: str = "r1", command: str = "replay") -> int:
        words = [
            command, f"--table={TABLE}", "--namespace=lpm.example", "--hub=tdr", "--sign-in=service-credential", "--credential=lpm-eventhub",
            f"--replay-id={replay_id}", "--from-version=1", "--to-version=2", f"--folder={FOLDER}", *more,
        ]  # fmt: skip
        task = jobs.SubmitTask(
            task_key="replay",
            spark_python_task=jobs.SparkPythonTask(python_file="/lpmops/run.py", parameters=words),
        )
        given: dict[str, Any] = {"run_name": f"lpmops replay {replay_id}", "tasks": [task]}
        return int(self.sdk.jobs.submit(**given, idempotency_token=token or None).bind()["run_id"])

    def comes_to(self, run_id: int, state: jobs.RunLifeCycleState) -> jobs.Run:
        def there() -> bool:
            self.world.pass_time(0.4)
            found = self.sdk.jobs.get_run(run_id).state
            return found is not None and found.life_cycle_state == state

        assert eventually(there)
        return self.sdk.jobs.get_run(run_id)

    def ended(self, run_id: int) -> tuple[jobs.RunResultState | None, str | None]:
        """How a run ended, and the error in its task's output."""
        run = self.comes_to(run_id, jobs.RunLifeCycleState.TERMINATED)
        assert run.state is not None
        assert run.tasks is not None
        assert run.tasks[0].run_id is not None
        return run.state.result_state, self.sdk.jobs.get_run_output(run.tasks[0].run_id).error

    def progress(self) -> dict[str, Any]:
        contents = self.sdk.files.download(f"{FOLDER}/r1.json").contents
        assert contents is not None
        document: dict[str, Any] = json.loads(contents.read())
        return document


@pytest.fixture
def bounded(make_world: Callable[..., World]) -> Bounded:
    return Bounded(make_world)


def test_a_run_is_made_once_for_a_token_and_sends_what_it_was_asked_for(bounded: Bounded) -> None:
    first = bounded.submit("token-1", "--company=1002", "--company", "1003")
    assert bounded.submit("token-1", "--company=1001") == first
    assert bounded.ended(first) == (jobs.RunResultState.SUCCESS, None)
    assert bounded.submit("token-1") == first
    assert (bounded.records, bounded.sent[0]["_replay_id"]) == ("c", "r1")
    said = bounded.progress()
    assert (said["state"], said["companies"]) == ("done", ["1002", "1003"])
    with pytest.raises(BadRequest, match="at most 64 characters"):
        bounded.submit("t" * 65)


def test_a_cancelled_run_ends_between_slices_and_says_so_in_its_file(bounded: Bounded) -> None:
    run_id = bounded.submit("", "--rate=1")

    def is_sending() -> bool:
        bounded.world.pass_time(0.4)
        return bool(bounded.sent)

    assert eventually(is_sending)
    bounded.sdk.jobs.cancel_run(run_id)
    assert bounded.ended(run_id) == (jobs.RunResultState.CANCELED, None)
    assert eventually(lambda: bool(bounded.progress()["state"] == "stopped"))
    assert bounded.records != "abc"


def test_a_refused_argument_fails_the_run_in_the_jobs_own_words(bounded: Bounded) -> None:
    result, error = bounded.ended(bounded.submit("", "--rate=0"))
    assert (result, error) == (
        jobs.RunResultState.FAILED,
        "argument --rate: '0' is not a whole number from 1 to 100000",
    )
    result, error = bounded.ended(bounded.submit(command="stream"))
    assert (result, error) == (
        jobs.RunResultState.FAILED,
        "The sandbox executes the stream job's replay, and no other task.",
    )
    assert bounded.sent == []


def test_a_broken_run_fails_midway_and_one_that_is_mended_sends_the_rest(bounded: Bounded) -> None:
    bounded.runs.breaks = True
    result, error = bounded.ended(bounded.submit("token-1", "--rate=1"))
    assert result == jobs.RunResultState.FAILED
    assert error is not None
    assert error.startswith("[HUB_UNREACHABLE] ")
    assert (bounded.records, bounded.progress()["state"], bounded.progress()["error"]) == ("ab", "failed", error)
    bounded.runs.breaks = False
    assert bounded.ended(bounded.submit("token-2", "--rate=1")) == (jobs.RunResultState.SUCCESS, None)
    assert bounded.records == "ababc"


def test_runs_are_listed_by_when_they_began(bounded: Bounded) -> None:
    earlier = bounded.submit("", replay_id="r1")
    bounded.ended(earlier)
    bounded.world.pass_time(60, step=20)
    moment = int(bounded.world.clock.time() * 1000)
    later = bounded.submit("", replay_id="r2")

    def listed(**asked: Any) -> list[int | None]:
        found = bounded.sdk.jobs.list_runs(run_type=jobs.RunType.SUBMIT_RUN, **asked)
        return [run.run_id for run in found]

    assert listed() == [later, earlier]
    assert listed(start_time_from=moment) == [later]
    assert listed(start_time_to=moment - 1) == [earlier]
    assert listed(active_only=True) == [later]
    start = bounded.sdk.jobs.get_run(later).start_time
    assert start is not None
    assert listed(start_time_from=start) == [later]
    assert listed(start_time_from=start + 1) == []
