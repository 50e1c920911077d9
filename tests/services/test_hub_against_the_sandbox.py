"""The partitions of the hub over AMQP, from the sandbox's own namespace: read live, over connections that are kept."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub._pyamqp import _connection

from lpmops.config import EventHub
from lpmops.errors import (
    DeadlineError,
    ReadersError,
    ServiceError,
    ServiceNotFoundError,
    SignInError,
    UnreachableError,
)
from lpmops.services.cloud import EnvironmentServices, open_environment
from tests.services.worlds import environment
from tests.waiting import until

pytest.importorskip("uvicorn", reason="the sandbox's own dependencies are not installed")

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub import Hub, OutgoingEvent
from tests.sandbox.hub.conftest import GOOD_TOKEN, Server

Eventually = Callable[[Callable[[], bool]], bool]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "tdr", "tdr", 4, Clock(), throughput_units=1000, consumer_groups=["people"])
    yield made
    made.close()


@pytest.fixture
def namespace(hub: Hub) -> Iterator[Server]:
    served = Server(hub)
    yield served
    served.stop()


@pytest.fixture
def connect(
    namespace: Server, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> Iterator[Callable[..., EnvironmentServices]]:
    """A bundle that signs in with a key of the namespace."""
    opened: list[EnvironmentServices] = []

    def make(key: str = "R", hub: str = "tdr", seconds: float = 5.0) -> EnvironmentServices:
        monkeypatch.setenv("LPMOPS_HUB", namespace.namespace.connection_string(key, hub))
        settings = EventHub(namespace="evhns", hub=hub, auth="connection-string", connection_string="env:LPMOPS_HUB")
        opened.append(open_environment(environment("http://127.0.0.1:9", eventhub=settings), deadline=seconds))
        return opened[-1]

    yield make
    for cloud in opened:
        cloud.close()
    # The namespace, which ends next, waits for peers that have not closed.
    eventually(lambda: namespace.namespace.active_connections == 0)


Connect = Callable[..., EnvironmentServices]


def test_partitions_are_read_live_and_the_client_is_kept(hub: Hub, namespace: Server, connect: Connect) -> None:
    cloud = connect()
    before = cloud.eventhubs.partitions()
    assert [(state.partition, state.last_sequence, state.is_empty) for state in before] == [
        (str(n), -1, True) for n in range(4)
    ]
    hub.append([OutgoingEvent(b"{}"), OutgoingEvent(b"{}")], partition=2)
    after = cloud.eventhubs.partitions()
    assert (after[2].begin_sequence, after[2].last_sequence, after[2].is_empty) == (0, 1, False)
    assert after[2].last_enqueued_at is not None
    assert abs((datetime.now(UTC) - after[2].last_enqueued_at).total_seconds()) < 10
    assert cloud.calls.operations()["eventhub", "partition ids"] == 1
    assert cloud.calls.operations()["eventhub", "partition"] == 8
    assert namespace.namespace.active_connections == 1


def test_the_place_of_a_moment_is_found_in_each_partition(hub: Hub, connect: Connect, eventually: Eventually) -> None:
    hub.append([OutgoingEvent.of(b"{}") for _ in range(5)], partition=1)
    hub.append([OutgoingEvent.of(b"{}") for _ in range(3)], partition=2)
    before = hub.partition(2).last_enqueued_at
    assert before is not None
    moment = before + timedelta(milliseconds=1)
    assert eventually(lambda: datetime.now(UTC) > moment + timedelta(milliseconds=5))
    hub.append([OutgoingEvent.of(b"{}") for _ in range(2)], partition=2)
    hubs = connect().eventhubs
    partitions = hubs.partitions()
    # Nothing came into partitions 0, 1 and 3 since: they stand at their ends.
    assert hubs.positions(partitions, moment) == {"0": 0, "1": 5, "2": 3, "3": 0}
    assert hubs.positions(partitions, datetime(2020, 1, 1, tzinfo=UTC)) == {"0": 0, "1": 0, "2": 0, "3": 0}
    assert hubs.positions(partitions, datetime(2099, 1, 1, tzinfo=UTC)) == {"0": 0, "1": 5, "2": 5, "3": 0}


def test_a_connection_that_ends_between_two_refreshes_is_replaced_unnoticed(
    namespace: Server, connect: Connect, eventually: Eventually
) -> None:
    cloud = connect()
    cloud.eventhubs.partitions()
    namespace.loop.call_soon_threadsafe(namespace.namespace.disconnect)
    assert len(cloud.eventhubs.partitions()) == 4
    cloud.eventhubs.partitions()
    assert eventually(lambda: namespace.namespace.active_connections == 1)


class Wire:
    """Stands between client and namespace, and may let the connections that are open fall silent, as a lost route does."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._silent = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._sockets = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self) -> None:
        """Swallow what comes on connections that are open; new ones are heard."""
        self._silent.set()
        self._silent = threading.Event()

    def close(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listening.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(*ends, self._silent), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, silent: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not silent.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def test_a_connection_that_falls_silent_leaves_time_to_ask_on_another(
    namespace: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(namespace.port)
    text = namespace.namespace.connection_string("R", "tdr").replace(str(namespace.port), str(wire.port))
    monkeypatch.setenv("LPMOPS_HUB", text)
    settings = EventHub(namespace="evhns", hub="tdr", auth="connection-string", connection_string="env:LPMOPS_HUB")
    cloud = open_environment(environment("http://127.0.0.1:9", eventhub=settings), deadline=3.0)
    cloud.eventhubs.partitions()
    wire.fall_silent()
    assert len(cloud.eventhubs.partitions()) == 4
    cloud.close()
    wire.close()


def test_a_hub_of_many_partitions_is_read_side_by_side_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    hub = Hub(tmp_path / "wide", "tdr", 20, Clock(), throughput_units=1000, consumer_groups=["people"])
    server = Server(hub)
    monkeypatch.setenv("LPMOPS_HUB", server.namespace.connection_string("R", "tdr"))
    settings = EventHub(namespace="evhns", hub="tdr", auth="connection-string", connection_string="env:LPMOPS_HUB")
    cloud = open_environment(environment("http://127.0.0.1:9", eventhub=settings), deadline=5.0)
    assert [state.partition for state in cloud.eventhubs.partitions()] == [str(number) for number in range(20)]
    assert server.namespace.active_connections == 3
    cloud.close()
    assert eventually(lambda: server.namespace.active_connections == 0)
    server.stop()
    hub.close()


def test_an_sdk_that_has_changed_inside_still_answers_in_its_own_way(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lpmops.services.eventhubclient import KeptConsumerClient

    def gone(*_: object) -> None:
        raise AttributeError("_amqp_transport")

    monkeypatch.setattr(KeptConsumerClient, "_ask", gone)
    assert len(connect().eventhubs.partitions()) == 4


def test_a_hub_that_goes_away_is_unreachable_and_read_again_when_it_is_back(
    hub: Hub, namespace: Server, connect: Connect, eventually: Eventually
) -> None:
    cloud = connect()
    cloud.eventhubs.partitions()
    port = namespace.port
    namespace.call(namespace.namespace.close())
    with pytest.raises((UnreachableError, DeadlineError)):
        cloud.eventhubs.partitions()
    again = Server(hub, port)
    assert len(cloud.eventhubs.partitions()) == 4
    cloud.close()
    assert eventually(lambda: again.namespace.active_connections == 0)
    again.stop()


def test_a_hub_that_is_not_there_is_named(connect: Connect) -> None:
    with pytest.raises(ServiceNotFoundError, match="no-such-hub"):
        connect(hub="no-such-hub").eventhubs.partitions()


def test_closing_ends_the_connection(namespace: Server, connect: Connect, eventually: Eventually) -> None:
    cloud = connect()
    cloud.eventhubs.partitions()
    cloud.close()
    assert eventually(lambda: namespace.namespace.active_connections == 0)


# With a token and TLS, as production does ----------------------------------------------------------------------------------------------------------


class Entra:
    """The namespace behind TLS, and an identity whose token can be changed."""

    def __init__(self, hub: Hub, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = Server(hub)
        self.token = GOOD_TOKEN
        self.server.call(self.server.namespace.close())
        self.server.call(self.server.namespace.start(("127.0.0.1", 0), tls=context))
        # Over TLS the SDK knows one port.
        monkeypatch.setattr(_connection, "SECURE_PORT", self.server.port)
        settings = EventHub(namespace="127.0.0.1", hub="tdr")
        self.cloud = open_environment(environment("http://127.0.0.1:9", eventhub=settings), deadline=5.0)
        monkeypatch.setattr(self.cloud.credential, "token", self._token)

    def _token(self, scope: str, **_: Any) -> AccessToken:
        assert scope == "https://eventhubs.azure.net//.default"
        return AccessToken(self.token, 4_000_000_000)


@pytest.fixture
def entra(
    hub: Hub,
    own_certificate: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> Iterator[Entra]:
    made = Entra(hub, own_certificate[1], monkeypatch)
    yield made
    made.cloud.close()
    eventually(lambda: made.server.namespace.active_connections == 0)
    made.server.stop()


def test_partitions_are_read_with_an_entra_token_over_tls(
    entra: Entra, own_certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own_certificate[0]))
    assert len(entra.cloud.eventhubs.partitions()) == 4
    assert len(entra.cloud.eventhubs.partitions()) == 4


def test_a_token_that_is_refused_means_signing_in_again(
    entra: Entra, own_certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own_certificate[0]))
    entra.token = "eyJhbGciOiJub25lIn0.another.token"
    with pytest.raises(SignInError) as caught:
        entra.cloud.eventhubs.partitions()
    assert "az login" in caught.value.hint
    assert entra.token not in caught.value.message


def test_a_namespace_whose_certificate_nobody_signed_gets_no_token(entra: Entra) -> None:
    with pytest.raises(ServiceError) as caught:
        entra.cloud.eventhubs.partitions()
    assert caught.value.code == "service.untrusted"


# Events themselves ---------------------------------------------------------------------------------------------------------------------------------


def sequences(tail: Any, wanted: int) -> list[tuple[str, int]]:
    """Where the next events stand, once that many have come."""
    found: list[tuple[str, int]] = []

    def have_come() -> bool:
        found.extend((event.partition, event.sequence) for event in tail.take(0.05))
        return len(found) >= wanted

    until(have_come)
    return sorted(found)


def test_events_are_read_between_two_places_as_they_were_sent(hub: Hub, connect: Connect) -> None:
    hub.append([OutgoingEvent.of(f'{{"n":{number}}}'.encode()) for number in range(6)], partition=1)
    hub.append([OutgoingEvent.of(b"{}")], partition=3)
    found = connect(seconds=60.0).eventhubs.events({"1": (2, 4), "3": (0, 0), "0": (0, -1)})
    assert [(event.partition, event.sequence, event.body) for event in found] == [
        ("1", 2, b'{"n":2}'), ("1", 3, b'{"n":3}'), ("1", 4, b'{"n":4}'), ("3", 0, b"{}"),
    ]  # fmt: skip
    assert found[-1].enqueued_at is not None
    assert found[-1].enqueued_at.tzinfo is not None


def test_a_tail_begins_at_its_places_and_goes_on_live(hub: Hub, connect: Connect) -> None:
    hub.append([OutgoingEvent.of(b"{}")] * 2, partition=0)
    tail = connect(seconds=60.0).eventhubs.tail({"0": 1, "2": 0})
    assert sequences(tail, 1) == [("0", 1)]
    hub.append([OutgoingEvent.of(b"{}")] * 2, partition=2)
    assert sequences(tail, 2) == [("2", 0), ("2", 1)]
    tail.close()


def test_a_sixth_reader_is_told_that_there_are_five(hub: Hub, connect: Connect) -> None:
    hub.append([OutgoingEvent.of(b"{}")], partition=0)
    tails = [connect(seconds=60.0).eventhubs.tail({"0": 0}) for _ in range(5)]
    assert all(sequences(tail, 1) for tail in tails)
    with pytest.raises(ReadersError, match="people") as caught:
        connect(seconds=60.0).eventhubs.events({"0": (0, 0)})
    assert "eventhub.consumer_group" in caught.value.hint
    for tail in tails:
        tail.close()


def test_a_partition_that_somebody_reads_alone_is_told_so(hub: Hub, namespace: Server, connect: Connect) -> None:
    from azure.eventhub import EventHubConsumerClient

    hub.append([OutgoingEvent.of(b"{}")], partition=0)
    text = namespace.namespace.connection_string("R", "tdr")
    owner, read = EventHubConsumerClient.from_connection_string(text, consumer_group="people"), threading.Event()
    options = {"partition_id": "0", "owner_level": 1, "starting_position": "-1"}
    threading.Thread(target=owner.receive, args=(lambda *_: read.set(),), kwargs=options, daemon=True).start()
    until(read.is_set)
    with pytest.raises(ReadersError, match="alone"):
        connect(seconds=60.0).eventhubs.events({"0": (0, 0)})
    owner.close()


def test_a_tail_that_is_closed_lets_go_of_its_readers(
    hub: Hub, namespace: Server, connect: Connect, eventually: Eventually
) -> None:
    tail = connect(seconds=60.0).eventhubs.tail({"0": 0, "1": 0})
    assert eventually(lambda: namespace.namespace.active_connections == 2)
    tail.close()
    assert eventually(lambda: namespace.namespace.active_connections == 0)


def test_a_tail_whose_hub_goes_away_says_so(hub: Hub, namespace: Server, connect: Connect) -> None:
    hub.append([OutgoingEvent.of(b"{}")], partition=0)
    tail = connect(seconds=60.0).eventhubs.tail({"0": 0})
    assert sequences(tail, 1) == [("0", 0)]
    namespace.call(namespace.namespace.close())
    with pytest.raises(ServiceError):
        sequences(tail, 1)
    tail.close()
