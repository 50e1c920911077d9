"""A hub with four partitions, and a namespace that serves it from a thread of its own, as the sandbox does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventHubConsumerClient, EventHubProducerClient

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub import AmqpNamespace, Hub, SharedAccessKey

GOOD_TOKEN = "eyJhbGciOiJub25lIn0.good.token"


def authorize(token: str, audience: str) -> bool:
    return token == GOOD_TOKEN


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Wait for something to become true; fail when it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError("it did not happen in time")


class Server:
    """A namespace on an event loop in a thread."""

    def __init__(self, hub: Hub, port: int = 0, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        keys = [SharedAccessKey("R", "the-key"), SharedAccessKey("listener", "another-key", frozenset({"Listen"}))]
        self.namespace = AmqpNamespace({hub.name: hub}, authorize, clock=hub.clock, keys=keys, **options)
        self.call(self.namespace.start(("127.0.0.1", port)))

    @property
    def port(self) -> int:
        return self.namespace.port

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def stop(self) -> None:
        self.call(self.namespace.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    def producer(self, key: str = "R", **options: Any) -> EventHubProducerClient:
        return EventHubProducerClient.from_connection_string(self.namespace.connection_string(key, "tdr"), **options)

    def consumer(self, group: str = "$Default", key: str = "R", **options: Any) -> EventHubConsumerClient:
        text = self.namespace.connection_string(key, "tdr")
        return EventHubConsumerClient.from_connection_string(text, consumer_group=group, **options)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(tmp_path: Path, clock: Clock) -> Iterator[Hub]:
    hub = Hub(tmp_path / "tdr", "tdr", 4, clock, throughput_units=1000, consumer_groups=["asa-01", "people"])
    yield hub
    hub.close()


@pytest.fixture
def server(hub: Hub) -> Iterator[Server]:
    server = Server(hub)
    yield server
    server.stop()
