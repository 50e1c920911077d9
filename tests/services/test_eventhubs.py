"""The AMQP side of the hub: what azure-eventhub raises becomes the right error, and nothing it does can hang us."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lpmops.config import EventHub
from lpmops.errors import (
    BadAnswerError,
    ConfigError,
    DeadlineError,
    ForbiddenError,
    ServiceError,
    ServiceNotFoundError,
    SignInError,
    ThrottledError,
    UnreachableError,
)
from lpmops.services.eventhubs import EventHubService, _explain
from lpmops.services.failures import Advice
from lpmops.services.secrets import SecretReader
from lpmops.services.transport import Transport
from tests.services.faulty_server import FaultyServer, hang
from tests.services.worlds import TENANT, SignedIn, environment

ADVICE = Advice(f"az login --tenant {TENANT}", "Azure Event Hubs Data Receiver on the hub", TENANT)


def service(monkeypatch: pytest.MonkeyPatch, connection_string: str, seconds: float = 2.0) -> EventHubService:
    monkeypatch.setenv("LPMOPS_HUB", connection_string)
    hub = EventHub(namespace="evhns", hub="tdr", auth="connection-string", connection_string="env:LPMOPS_HUB")
    world = environment("http://127.0.0.1:9", eventhub=hub)
    transport = Transport()
    return EventHubService(world, transport, SignedIn(world, transport), SecretReader(), seconds)


def emulator(port: int) -> str:
    return (
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=R;SharedAccessKey=SECRETKEY;UseDevelopmentEmulator=true;"
    )


def test_a_hub_that_takes_the_connection_and_says_nothing_can_not_hang_us(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.serve(hang())
    hub = service(monkeypatch, emulator(server.port), seconds=0.6)
    started = time.monotonic()
    with pytest.raises((DeadlineError, UnreachableError)):
        hub.partitions()
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x08\x02\x00\x00\x00", b"\xff" * 64]
)
def test_a_server_that_speaks_something_else_is_an_error_of_ours(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch, greeting: bytes
) -> None:
    server.greeting = greeting
    with pytest.raises(ServiceError):
        service(monkeypatch, emulator(server.port), seconds=1.0).partitions()


@pytest.mark.parametrize(
    "text", ["nonsense", "", "Endpoint=;SharedAccessKey=x", "Endpoint=sb://[bad;SharedAccessKey=SECRETKEY"]
)
def test_a_connection_string_that_is_none_is_refused_without_being_repeated(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        service(monkeypatch, text).partitions()
    assert "SECRETKEY" not in caught.value.message + caught.value.hint


def test_an_emulator_on_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = emulator(5672).replace("127.0.0.1", "hub.example")
    with pytest.raises(ConfigError, match="without TLS"):
        service(monkeypatch, text).partitions()


def named(name: str, message: str) -> Exception:
    kind: type[Exception] = type(name, (Exception,), {})
    return kind(message)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            named("AuthenticationError", "CBS Token authentication failed. Status code: 401, amqp:unauthorized-access"),
            SignInError,
        ),
        (
            named(
                "AuthenticationError", "Unauthorized access. 'Listen' claim(s) are required to perform this operation."
            ),
            ForbiddenError,
        ),
        (
            named(
                "AuthenticationError",
                "CBS Token authentication failed. Status code: 401 TrackingId:50002c51-45db-403e-855f-4d8bbf7d12ed_B0",
            ),
            SignInError,
        ),
        (
            named("EventHubError", "An error without a name. TrackingId:00050002-45db-403e-855f-4d8bbf7d12ed_B0"),
            ServiceError,
        ),
        (
            named("ConnectError", "The messaging entity could not be found. amqp:not-found"),
            ServiceNotFoundError,
        ),
        (
            named("EventHubError", "The request was terminated: com.microsoft:server-busy Error code: 50002"),
            ThrottledError,
        ),
        (named("OperationTimeoutError", "Management request timed out"), DeadlineError),
        (named("ConnectionLostError", "Connection closed"), UnreachableError),
        (named("EventHubError", "something of the service"), ServiceError),
        (named("IndexError", "list index out of range"), BadAnswerError),
    ],
)
def test_each_trouble_of_the_sdk_is_told_apart(error: Exception, kind: type[ServiceError]) -> None:
    found = _explain(error, where="evhns", hub="tdr", advice=ADVICE)
    assert type(found) is kind
    assert found.hint


def test_a_partition_that_never_had_an_event_has_no_time() -> None:
    from datetime import UTC, datetime

    from lpmops.services.eventhubs import _partition

    found: dict[str, Any] = {
        "id": "0",
        "beginning_sequence_number": 0,
        "last_enqueued_sequence_number": -1,
        "last_enqueued_time_utc": datetime(1970, 1, 1, tzinfo=UTC),
        "is_empty": True,
    }
    assert _partition(found).last_enqueued_at is None
