"""The bounded runs: made of a deployed job's own task, found by their name among all pages, and never sent twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from lpmops.errors import BadAnswerError, ForbiddenError, ServiceError
from lpmops.services.replayruns import ReplayRunService, submission
from lpmops.services.transport import Transport
from tests.services.faulty_server import FaultyServer, Request, answer
from tests.services.worlds import SignedIn, environment

SUBMIT, LIST = "/api/2.2/jobs/runs/submit", "/api/2.2/jobs/runs/list"
SINCE = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FOLDER = "/api/2.0/fs/files/Volumes/lpm_dev/ops/checkpoints/replays"


def service_of(server: FaultyServer) -> ReplayRunService:
    world = environment(server.url)
    transport = Transport()
    return ReplayRunService(world, transport, SignedIn(world, transport), 5.0)


def run(number: int, name: str, state: str, code: str = "", **more: Any) -> dict[str, Any]:
    ended = {"termination_details": {"code": code, "message": more.pop("message", "")}} if code else {}
    return {"run_id": number, "run_name": name, "status": {"state": state, **ended}, **more}


def test_a_run_is_the_one_task_of_the_job_on_its_own_cluster_with_other_arguments_and_no_retries() -> None:
    job = {
        "run_as": {"service_principal_name": "00000000-0000-4000-8000-0000000000e2"},
        "job_clusters": [{"job_cluster_key": "stream", "new_cluster": {"num_workers": 1}}],
        "tasks": [
            {
                "task_key": "tdr_stream",
                "job_cluster_key": "stream",
                "max_retries": 3,
                "libraries": [{"maven": {"coordinates": "g:a:1"}}],
                "spark_python_task": {"python_file": "/V/main.py", "source": "WORKSPACE", "parameters": ["stream"]},
            }
        ],
    }
    body = submission("a name", "a token", job, ["replay", "--hub", "tdr"], "lpm-operators")
    assert body == {
        "run_name": "a name",
        "idempotency_token": "a token",
        "run_as": {"service_principal_name": "00000000-0000-4000-8000-0000000000e2"},
        "access_control_list": [{"group_name": "lpm-operators", "permission_level": "CAN_MANAGE_RUN"}],
        "tasks": [
            {
                "task_key": "replay",
                "new_cluster": {"num_workers": 1},
                "libraries": [{"maven": {"coordinates": "g:a:1"}}],
                "spark_python_task": {
                    "python_file": "/V/main.py",
                    "source": "WORKSPACE",
                    "parameters": ["replay", "--hub", "tdr"],
                },
            }
        ],
    }


def test_a_submission_is_sent_once_and_gives_the_number_of_its_run(server: FaultyServer) -> None:
    server.route = lambda _: answer(200, {"run_id": 901})
    assert service_of(server).submit({"run_name": "x"}).location == "901"
    server.route = lambda _: answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Try again."})
    before = len(server.requests)
    with pytest.raises(ServiceError):
        service_of(server).submit({"run_name": "x"})
    assert [request.path for request in server.requests[before:]] == [SUBMIT]


def test_runs_are_found_by_how_their_name_begins_on_every_page_and_told_in_our_words(server: FaultyServer) -> None:
    pages = {
        "": {"runs": [run(4, "b", "RUNNING"), run(3, "a", "RUNNING")], "next_page_token": "two"},
        "two": {
            "runs": [
                run(2, "a", "TERMINATED", "USER_CANCELED"),
                run(1, "a", "TERMINATED", "SUCCESS"),
                run(0, "a", "TERMINATED", "RUN_EXECUTION_ERROR", message="the driver died"),
            ]
        },
    }

    def route(request: Request) -> Any:
        return answer(200, pages["two" if "page_token=two" in request.target else ""])

    server.route = route
    found = list(service_of(server).submitted("a", SINCE))
    assert [(each.run_id, each.state) for each in found] == [
        ("3", "running"),
        ("2", "failed"),
        ("1", "done"),
        ("0", "failed"),
    ]
    assert (found[1].message, found[3].message) == ("it was cancelled", "the driver died")
    assert all("run_type=SUBMIT_RUN" in request.target for request in server.requests)
    # An hour before, as clocks differ; whatever was submitted earlier is not read.
    assert all("start_time_from=1795431600000" in request.target for request in server.requests)
    asked = len(server.requests)
    assert next(service_of(server).submitted("b", SINCE)).run_id == "4"
    assert len(server.requests) == asked + 1, "it reads on though it has what was wanted"


def test_a_run_at_work_says_which_versions_and_companies_it_sends(server: FaultyServer) -> None:
    words = [
        "replay",
        "--from-version",
        "3",
        "--to-version=9",
        "--company",
        "1001",
        "--company=-2",
        "--company=--rate=1",
    ]
    task = {"task_key": "replay", "spark_python_task": {"python_file": "/V/main.py", "parameters": words}}
    by = {"creator_user_name": "ops@lpm.example"}
    runs = [run(4, "b", "RUNNING"), run(3, "a 1", "RUNNING", tasks=[task], **by), run(2, "a 2", "QUEUED")]
    server.route = lambda _: answer(200, {"runs": runs})
    found = service_of(server).active("a ")
    assert [(each.first, each.last, each.companies) for each in found] == [
        (3, 9, ("1001", "-2", "--rate=1")),
        (None, None, ()),
    ]
    assert [each.by for each in found] == ["ops@lpm.example", ""]
    assert "active_only=true" in server.requests[0].target


def test_progress_is_what_the_replay_wrote_and_nothing_before_it_wrote(server: FaultyServer) -> None:
    written = {"state": "running", "chunks": [{"rows": 5, "quarantined": 1}, {"rows": 7}], "error": ""}
    files = {f"{FOLDER}/r-1.json": answer(200, written), f"{FOLDER}/r-2.json": answer(200, b'{"state": "run')}
    missing = answer(404, {"error_code": "NOT_FOUND", "message": "No file."})
    server.route = lambda request: files.get(request.path, missing)
    service = service_of(server)
    progress = service.progress("r-1")
    assert progress is not None
    assert (progress.state, progress.rows, progress.quarantined) == ("running", 12, 1)
    assert service.progress("r-0") is None
    with pytest.raises(BadAnswerError):
        service.progress("r-2")


def test_cancelling_names_the_run(server: FaultyServer) -> None:
    server.route = lambda _: answer(200, {})
    service_of(server).cancel("901")
    (request,) = server.requests
    assert (request.path, json.loads(request.body)) == ("/api/2.2/jobs/runs/cancel", {"run_id": 901})


def test_who_may_not_submit_is_told_who_grants_what(server: FaultyServer) -> None:
    said = "User ops@lpm.example does not have Service Principal User on 00000000-0000-4000-8000-0000000000e2."
    server.route = lambda _: answer(403, {"error_code": "PERMISSION_DENIED", "message": said})
    with pytest.raises(ForbiddenError) as caught:
        service_of(server).submit({"run_name": "x"})
    assert said in caught.value.message
    assert "a workspace admin grants CAN ATTACH TO on its cluster" in caught.value.hint
    assert "whoever manages the service principal that it runs as grants Service Principal User" in caught.value.hint
