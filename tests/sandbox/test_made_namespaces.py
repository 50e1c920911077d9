"""A namespace that is made while the sandbox runs is reached at a port of its own, by the official client, with the keys that are listed for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from lpmops.sandbox.azure.documents import Documents
from lpmops.sandbox.azure.event_hubs import EventHubs
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.environment import SandboxEnvironment
from lpmops.sandbox.hub_provider import LiveHubs, Namespaces
from lpmops.sandbox.made_namespaces import ROOT, MadeNamespaces
from tests.waiting import until

PLACE = ("sub", "rg", "evhns-lpm-made")


def _nobody(token: str, audience: str) -> bool:
    """No token is good here: the keys are on trial."""
    return False


class Place:
    """What the listeners need of an environment."""

    name = "dev"

    def __init__(self, folder: Path) -> None:
        clock = Clock()
        self.namespaces = Namespaces(folder / "namespaces", clock)
        self.event_hubs = EventHubs(clock, Documents(folder / "documents"), self.namespaces, 0.0)
        self.folder = folder / "secrets"
        self.made = MadeNamespaces(
            [cast(SandboxEnvironment, self)],
            self.event_hubs,
            clock,
            self.folder,
            lambda _: _nobody,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self.made.start())

    def made_namespaces(self) -> list[str]:
        return [str(each["name"]) for each in self.event_hubs.namespaces("sub")]

    def hubs_of(self, namespace: str) -> LiveHubs:
        return self.namespaces.live(namespace)

    def places(self) -> list[dict[str, Any]]:
        return self.made.places(cast(SandboxEnvironment, self))

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def end(self) -> None:
        self.call(self.made.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self.namespaces.close()


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[list[Place]]:
    """The lives of one sandbox, of which the last one ends with the test."""
    found = [Place(tmp_path)]
    found[0].event_hubs.put(*PLACE, {"location": "westeurope"})
    found[0].event_hubs.put_hub(*PLACE, "tdr", {"properties": {"partitionCount": 2}})
    until(lambda: bool(found[0].places()))
    yield found
    found[-1].end()


@pytest.fixture
def place(lives: list[Place]) -> Place:
    """The first of them."""
    return lives[0]


def _send(place: Place) -> None:
    (there,) = place.places()
    text = Path(there["connection_string_file"]).read_text(encoding="utf-8")
    client = EventHubProducerClient.from_connection_string(text, eventhub_name="tdr", retry_total=0)
    with client:
        client.send_batch([EventData(b"{}")])


def _held(place: Place) -> int:
    hub = place.hubs_of(PLACE[-1])["tdr"]
    return sum(hub.partition(number).last_enqueued_sequence_number + 1 for number in range(hub.partition_count))


def test_it_takes_events_and_has_its_own_file_that_only_its_owner_reads(place: Place) -> None:
    _send(place)
    assert _held(place) == 1
    (there,) = place.places()
    assert (there["namespace"], Path(there["connection_string_file"]).stat().st_mode & 0o777) == (PLACE[-1], 0o600)


def test_a_key_that_was_renewed_ends_what_the_old_one_gave(place: Place) -> None:
    (there,) = place.places()
    file = Path(there["connection_string_file"])
    former = file.read_text(encoding="utf-8")
    place.event_hubs.renew_key(*PLACE, "", ROOT, "primary")
    until(lambda: file.read_text(encoding="utf-8") != former)
    _send(place)
    file.write_text(former, encoding="utf-8")
    with pytest.raises(EventHubError):
        _send(place)
    assert _held(place) == 1


def test_after_a_restart_it_is_where_it_was_with_what_it_held(lives: list[Place], tmp_path: Path) -> None:
    _send(lives[0])
    before = lives[0].places()
    lives[0].end()
    lives.append(Place(tmp_path))
    assert lives[1].places() == before
    _send(lives[1])
    assert _held(lives[1]) == 2


def test_one_that_is_deleted_is_gone_with_its_file(place: Place) -> None:
    (there,) = place.places()
    until(lambda: not place.event_hubs.in_transition(place.event_hubs.namespace(*PLACE)))
    place.event_hubs.delete(*PLACE)
    until(lambda: not Path(there["connection_string_file"]).exists())
    assert place.places() == []
