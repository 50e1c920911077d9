"""Microsoft's azure-eventhub, unmodified, against the namespace: the outside proof that it speaks Event Hubs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub import (
    EventData,
    EventHubConsumerClient,
    EventHubProducerClient,
    PartitionContext,
    TransportType,
    _client_base,
)
from azure.eventhub._eventprocessor import event_processor
from azure.eventhub._pyamqp import client
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumerClient
from azure.eventhub.aio import EventHubProducerClient as AsyncProducerClient
from azure.eventhub.exceptions import AuthenticationError, ConnectError, ConnectionLostError, EventDataSendError

from lpmops.sandbox.hub import Hub, OutgoingEvent
from tests.sandbox.hub.conftest import GOOD_TOKEN, Server, until

# What a client does between two tries is its own affair; tests do not wait for it.
QUICK: dict[str, Any] = {"retry_total": 0, "retry_backoff_factor": 0.01}
PATIENT: dict[str, Any] = {"retry_total": 8, "retry_backoff_factor": 0.05}


@pytest.fixture(autouse=True)
def eager_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The synchronous client looks every 50 ms whether its connection is open; here it looks oftener and is else as it is."""
    eager = SimpleNamespace(time=time.time, time_ns=time.time_ns, sleep=lambda seconds: time.sleep(min(seconds, 0.002)))
    for module in (_client_base, client, event_processor):
        monkeypatch.setattr(module, "time", eager)


class Reading:
    """A consumer client that reads one partition in a thread."""

    def __init__(
        self, client: EventHubConsumerClient, partition: str = "0", notice: list[Any] | None = None, **options: Any
    ) -> None:
        self.notice = notice
        self.client = client
        self.events: list[EventData] = []
        self.errors: list[Exception] = []
        settings = {"starting_position": "-1", "max_wait_time": 0.2, **options}
        self.thread = threading.Thread(target=self._read, args=(partition, settings), daemon=True)
        self.thread.start()

    def _read(self, partition: str, settings: dict[str, Any]) -> None:
        def take(context: PartitionContext, events: list[EventData]) -> None:
            self.events += events
            if events and self.notice is not None:
                self.notice.append(context.last_enqueued_event_properties)

        self.client.receive_batch(
            take,
            on_error=lambda _, error: self.errors.append(error),
            partition_id=partition,
            **settings,
        )

    def numbers(self) -> list[int]:
        return [int(event.sequence_number or 0) for event in self.events]

    def stop(self) -> None:
        self.client.close()
        self.thread.join(10)


@pytest.fixture
def reading(server: Server) -> Iterator[Callable[..., Reading]]:
    """Begin to read; everything is stopped at the end."""
    begun: list[Reading] = []

    def begin(partition: str = "0", group: str = "$Default", **options: Any) -> Reading:
        begun.append(Reading(server.consumer(group, load_balancing_interval=0.1, **QUICK), partition, **options))
        return begun[-1]

    yield begin
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Reading.stop, begun))


@contextmanager
def sending(server: Server, **options: Any) -> Iterator[EventHubProducerClient]:
    with server.producer(**{**QUICK, **options}) as sender:
        yield sender


def reached(read: Reading, count: int) -> bool:
    return len(read.events) >= count


def fill(hub: Hub, count: int = 20, partition: int = 0) -> None:
    for number in range(count):
        hub.append([OutgoingEvent.of(b"%d" % number)], partition)


def test_properties_of_hub_and_partition(server: Server, hub: Hub) -> None:
    with sending(server) as sender:
        about = sender.get_eventhub_properties()
        assert (about["eventhub_name"], about["partition_ids"]) == ("tdr", ["0", "1", "2", "3"])
        assert about["created_at"] == hub.created_at
        assert sender.get_partition_properties("1")["is_empty"]
        fill(hub, 5, partition=1)
        found = sender.get_partition_properties("1")
    now = hub.partition(1)
    assert found == {
        "eventhub_name": "tdr",
        "id": "1",
        "beginning_sequence_number": 0,
        "last_enqueued_sequence_number": 4,
        "last_enqueued_offset": now.last_enqueued_offset,
        "is_empty": False,
        "last_enqueued_time_utc": now.last_enqueued_at,
    }


def test_a_batch_comes_back_as_it_was_sent(server: Server, hub: Hub, reading: Callable[..., Reading]) -> None:
    with sending(server) as sender:
        batch = sender.create_batch(partition_id="0")
        for number in range(300):
            event = EventData(f"body {number}")
            event.properties = {"n": number, "text": "läuft"}
            event.content_type = "application/json"
            event.message_id = f"m-{number}"
            batch.add(event)
        sender.send_batch(batch)
    read = reading()
    until(lambda: len(read.events) == 300)
    last = read.events[-1]
    assert read.numbers() == list(range(300))
    assert (last.body_as_str(), last.content_type, last.message_id) == ("body 299", "application/json", "m-299")
    assert last.properties == {b"n": 299, b"text": "läuft".encode()}
    assert last.offset == hub.partition(0).last_enqueued_offset
    assert last.enqueued_time == hub.partition(0).last_enqueued_at
    assert hub.read(0, 298, 1)[0].body == b"body 299"
    assert hub.read(0, 298, 1)[0].application_properties == {"n": 299, "text": "läuft"}


def test_what_another_thread_appends_is_received_at_once(
    server: Server, hub: Hub, reading: Callable[..., Reading]
) -> None:
    fill(hub, 3)
    read = reading(starting_position="@latest")
    until(lambda: server.namespace.active_receivers)
    hub.append([OutgoingEvent.of(b"now", "a-key", {"p": True})], partition=0)
    until(lambda: read.events)
    assert read.numbers() == [3]
    assert read.events[0].partition_key == b"a-key"
    assert read.events[0].properties == {b"p": True}


def test_every_start_position_starts_where_it_says(hub: Hub, clock: Any, reading: Callable[..., Reading]) -> None:
    fill(hub, 10)
    clock.advance(60)
    middle = clock.now()
    clock.advance(60)
    fill(hub, 10)
    at_ten = hub.read(0, 9, 1)[0]
    starts: list[tuple[dict[str, Any], int]] = [
        ({"starting_position": "-1"}, 0),
        ({"starting_position": at_ten.offset}, 11),
        ({"starting_position": at_ten.offset, "starting_position_inclusive": True}, 10),
        ({"starting_position": 12}, 13),
        ({"starting_position": 12, "starting_position_inclusive": True}, 12),
        ({"starting_position": middle}, 10),
        ({"starting_position": at_ten.enqueued_at, "starting_position_inclusive": True}, 10),
        ({"starting_position": middle - timedelta(days=1)}, 0),
    ]
    groups = ["$Default", "asa-01", "people"]
    reads = [(reading(group=groups[place % 3], **start), first) for place, (start, first) in enumerate(starts)]
    for read, first in reads:
        until(partial(reached, read, 20 - first))
        assert read.numbers() == list(range(first, 20))


def test_a_start_beyond_the_end_is_refused_as_the_service_does(hub: Hub, reading: Callable[..., Reading]) -> None:
    fill(hub, 3)
    last = hub.partition(0).last_enqueued_offset
    read = reading(starting_position="999999")
    error = until(lambda: read.errors)[0]
    assert isinstance(error, ConnectError)
    assert f"The supplied offset '999999' is invalid. The last offset in the system is '{last}'" in str(error)


def test_events_of_one_key_go_to_one_partition(server: Server, hub: Hub) -> None:
    with sending(server) as sender:
        for number in range(12):
            sender.send_batch([EventData("one"), EventData("two")], partition_key=f"record-{number % 3}")
    places: dict[str | None, set[int]] = {}
    for partition in range(4):
        for event in hub.read(partition, -1, 100):
            places.setdefault(event.key, set()).add(partition)
    assert set(places) == {"record-0", "record-1", "record-2"}
    assert all(len(found) == 1 for found in places.values())


def test_a_message_of_900_kilobytes_goes_both_ways(server: Server, reading: Callable[..., Reading]) -> None:
    body = bytes(range(256)) * 3600
    with sending(server) as sender:
        sender.send_event(EventData(body), partition_id="0")
        sender.send_event(EventData(b"after it"), partition_id="0")
    read = reading()
    until(lambda: len(read.events) == 2)
    found: Any = read.events[0].body
    assert b"".join(found) == body
    assert read.events[1].body_as_str() == "after it"


def test_a_message_above_one_megabyte_is_refused_and_the_link_lives_on(server: Server, hub: Hub) -> None:
    with sending(server) as sender:
        with pytest.raises(
            EventDataSendError, match=r"exceeds the limit \(1048576 bytes\) currently allowed on the link"
        ):
            sender.send_event(EventData(b"x" * 1_100_000), partition_id="0")
        sender.send_event(EventData(b"small"), partition_id="0")
    assert hub.partition(0).last_enqueued_sequence_number == 0


def test_a_throttled_send_is_refused_with_the_service_s_words_and_goes_through_later(
    server: Server, hub: Hub, clock: Any
) -> None:
    hub.throughput_units = 0.01
    with sending(server, **PATIENT) as sender:
        sender.send_batch([EventData("x") for _ in range(40)], partition_id="0")
        # azure-eventhub 5.15.1 tries once more without waiting and then tells its caller, whatever retry_total says.
        with pytest.raises(
            EventDataSendError, match=r"entity is being throttled. Error code : 50002. Please wait 4 seconds"
        ):
            sender.send_event(EventData("y"), partition_id="0")
        assert hub.counters.totals()["ThrottledRequests"] == 2
        clock.advance(5)
        sender.send_event(EventData("y"), partition_id="0")
    assert hub.partition(0).last_enqueued_sequence_number == 40


def test_a_higher_owner_level_takes_the_partition_and_a_lower_one_is_refused(
    hub: Hub, reading: Callable[..., Reading]
) -> None:
    fill(hub, 1)
    first = reading(owner_level=1)
    until(lambda: first.events)
    second = reading(owner_level=2)
    until(lambda: second.events)
    error = until(lambda: first.errors)[0]
    assert isinstance(error, ConnectionLostError)
    assert "New receiver 'nil' with higher epoch of '2' is created hence current receiver 'nil' with epoch '1'" in str(
        error
    )
    third, fourth, other_group = reading(owner_level=0), reading(), reading(group="asa-01")
    assert "Receiver 'nil' with a higher epoch '2' already exists" in str(until(lambda: third.errors)[0])
    assert "non-epoch receiver is not allowed" in str(until(lambda: fourth.errors)[0])
    until(lambda: other_group.events)
    assert not second.errors


def test_the_same_owner_level_takes_the_partition_too(hub: Hub, reading: Callable[..., Reading]) -> None:
    fill(hub, 1)
    first = reading(owner_level=0)
    until(lambda: first.events)
    reading(owner_level=0)
    assert "with higher epoch of '0' is created" in str(until(lambda: first.errors)[0])


def test_a_sixth_receiver_of_a_partition_and_group_is_refused_until_one_leaves(
    hub: Hub, reading: Callable[..., Reading]
) -> None:
    fill(hub, 1)
    five = [reading() for _ in range(5)]
    until(lambda: all(read.events for read in five))
    sixth = reading()
    error = until(lambda: sixth.errors)[0]
    assert "Exceeded the maximum number of allowed receivers per partition in a consumer group which is 5" in str(error)
    five[0].stop()
    until(lambda: sixth.events)


def test_the_last_enqueued_event_travels_with_each_event(server: Server, hub: Hub) -> None:
    fill(hub, 8)
    tracked: list[dict[str, Any]] = []
    read = Reading(
        server.consumer(load_balancing_interval=0.1, **QUICK), notice=tracked, track_last_enqueued_event_properties=True
    )
    found = until(lambda: tracked)[0]
    read.stop()
    now = hub.partition(0)
    assert (found["sequence_number"], found["offset"]) == (7, now.last_enqueued_offset)
    assert found["enqueued_time"] == now.last_enqueued_at


def test_a_wrong_key_is_refused(server: Server) -> None:
    text = server.namespace.connection_string("R", "tdr").replace("the-key", "a-guess")
    with EventHubProducerClient.from_connection_string(text, **QUICK) as sender:
        with pytest.raises(
            AuthenticationError, match=r"(?s)Status code: 401.*InvalidSignature: The token has an invalid signature."
        ):
            sender.send_event(EventData("x"))
        with pytest.raises(AuthenticationError):
            sender.get_eventhub_properties()


def test_a_key_that_may_only_listen_cannot_send(server: Server, hub: Hub) -> None:
    with sending(server, key="listener") as sender:
        with pytest.raises(ConnectionLostError, match="'Send' claim\\(s\\) are required"):
            sender.send_event(EventData("x"))
        assert sender.get_partition_properties("0")["is_empty"]


class Credential:
    """A token credential that gives always the same token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        assert scopes == ("https://eventhubs.azure.net//.default",)
        return AccessToken(self.token, int(time.time()) + 3600)


@pytest.mark.parametrize(("token", "good"), [(GOOD_TOKEN, True), ("eyJ.forged.token", False)])
def test_a_jwt_is_judged_by_whoever_issued_it(server: Server, hub: Hub, token: str, good: bool) -> None:
    sender = EventHubProducerClient(
        f"127.0.0.1:{server.port}", "tdr", Credential(token), use_tls=False, transport_type=TransportType.Amqp, **QUICK
    )
    with sender:
        if good:
            sender.send_event(EventData("x"), partition_id="0")
        else:
            with pytest.raises(AuthenticationError, match="401"):
                sender.send_event(EventData("x"), partition_id="0")
    assert hub.partition(0).is_empty is not good


def test_an_unknown_hub_is_not_found(server: Server) -> None:
    text = server.namespace.connection_string("R", "nowhere")
    with (
        EventHubProducerClient.from_connection_string(text, **QUICK) as sender,
        pytest.raises(ConnectError, match=r"(?s)404.*messaging entity 'sb://namespace/nowhere' could not be found"),
    ):
        sender.send_event(EventData("x"))


def test_an_unknown_consumer_group_or_partition_is_not_found(server: Server, reading: Callable[..., Reading]) -> None:
    nobody = reading(group="nobody")
    text = str(until(lambda: nobody.errors)[0])
    assert "'sb://namespace/tdr/ConsumerGroups/nobody/Partitions/0' could not be found" in text
    with sending(server) as sender, pytest.raises(ConnectError, match="Status code: 404"):
        sender.get_partition_properties("9")


def test_clients_come_back_after_a_restart_and_sequence_numbers_go_on(hub: Hub, clock: Any, tmp_path: Any) -> None:
    server = Server(hub)
    port = server.port
    fill(hub, 3)
    producer = server.producer(**PATIENT)
    read = Reading(server.consumer(load_balancing_interval=0.1, **PATIENT))
    producer.send_event(EventData("before"), partition_id="0")
    until(lambda: len(read.events) == 4)
    server.stop()
    hub.close()
    again = Hub(tmp_path / "tdr", "tdr", 4, clock, throughput_units=1000)
    server = Server(again, port)
    try:
        producer.send_event(EventData("after"), partition_id="0")
        until(lambda: len(read.events) >= 5, 20)
        assert read.numbers() == [0, 1, 2, 3, 4]
        assert read.events[-1].body_as_str() == "after"
    finally:
        read.stop()
        producer.close()
        server.stop()
        again.close()


async def test_the_asyncio_clients_send_and_receive(server: Server, hub: Hub) -> None:
    text = server.namespace.connection_string("R", "tdr")
    async with AsyncProducerClient.from_connection_string(text, **QUICK) as producer:
        batch = await producer.create_batch(partition_id="3")
        for number in range(50):
            batch.add(EventData(str(number)))
        await producer.send_batch(batch)
    found: list[str] = []

    async def take(_: Any, event: EventData | None) -> None:
        if event is not None:
            found.append(event.body_as_str())

    async with AsyncConsumerClient.from_connection_string(
        text, consumer_group="people", load_balancing_interval=0.1, **QUICK
    ) as consumer:
        receiving = asyncio.create_task(consumer.receive(take, partition_id="3", starting_position="-1"))
        async with asyncio.timeout(10):
            while len(found) < 50:
                await asyncio.sleep(0.01)
    await asyncio.gather(receiving, return_exceptions=True)
    assert found == [str(number) for number in range(50)]
