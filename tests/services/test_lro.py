"""A long-running operation is followed by reading, to an end that is believed only when the service says so."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lpmops.errors import BadAnswerError, DeadlineError, ServiceError
from lpmops.services import lro
from lpmops.services.answers import Answer
from lpmops.services.bounded import Deadline
from lpmops.services.transport import Client, Transport
from tests.services.faulty_server import FaultyServer, answer


def started(server: FaultyServer, **headers: str) -> tuple[Client, Answer]:
    client = Transport().client("streamanalytics", server.url)
    first = Answer(
        "streamanalytics",
        "start",
        "host/start",
        202,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    return client, first


def wait(client: Client, first: Answer, seconds: float = 3.0) -> Answer:
    return lro.wait(client, first, operation="start", deadline=Deadline.after(seconds), interval=0.01)


def test_polls_follow_the_newest_location_at_the_pace_that_is_asked_for(server: FaultyServer) -> None:
    server.serve(
        answer(202, headers={"Location": f"{server.url}/second", "Retry-After": "0.2"}),
        answer(202),
        answer(200, {"id": "job"}),
    )
    last = wait(*started(server, location=f"{server.url}/first"))
    assert [request.path for request in server.requests] == ["/first", "/second", "/first"]
    assert server.requests[1].at - server.requests[0].at >= 0.2
    assert last.fields().text("id") == "job"


def test_a_status_address_is_asked_until_it_has_ended(server: FaultyServer) -> None:
    server.serve(answer(200, {"status": "InProgress"}), answer(200, {"status": "Succeeded"}))
    wait(*started(server, azure_asyncoperation=f"{server.url}/status"))
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ("azure_asyncoperation", {"status": "Failed", "error": {"code": "Broken", "message": "It broke."}}),
        ("azure_asyncoperation", {"status": "Canceled"}),
        ("location", {"status": "TestFailed", "error": {"code": "Broken", "message": "It broke."}}),
    ],
)
def test_an_operation_that_ends_badly_is_an_error_though_the_status_is_200(
    server: FaultyServer, how: str, body: Any
) -> None:
    server.serve(answer(200, body))
    with pytest.raises(ServiceError, match="ended the operation"):
        wait(*started(server, **{how: f"{server.url}/status"}))


def test_an_operation_that_goes_on_ends_our_waiting_in_time(server: FaultyServer) -> None:
    server.serve(answer(202, headers={"Retry-After": "60"}))
    begun = time.monotonic()
    with pytest.raises(DeadlineError, match="it goes on"):
        wait(*started(server, location=f"{server.url}/first"), seconds=1.0)
    assert time.monotonic() - begun < 30


def test_an_operation_on_another_host_is_not_followed(server: FaultyServer) -> None:
    with pytest.raises(BadAnswerError, match="another host"):
        wait(*started(server, location="https://elsewhere.example/x"))
    assert server.requests == []
