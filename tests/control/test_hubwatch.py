"""Somebody looks at the hub again and again: each look adds what came, memory is bounded, and no reader stays when nobody looks."""

from __future__ import annotations

import pytest

from lpmops.config import Routing
from lpmops.control.hubwatch import KEPT, HubWatch
from lpmops.errors import ReadersError, UnreachableError
from tests.control.hubs import Hub, body
from tests.waiting import until


def watch(hub: Hub, company: str | None = None, idle: float = 600.0) -> HubWatch:
    return HubWatch(hub, company, Routing(), idle)


def records(watched: HubWatch) -> list[str | None]:
    return [event.record_id for event in watched.look()]


def test_each_look_adds_what_has_come_newest_first() -> None:
    hub = Hub({"0": [body(record="a"), body("9", "b")]})
    watched = watch(hub, "1001")
    assert records(watched) == ["a"]
    hub.partitions_held["0"] += [body("9", "c"), body(record="d")]
    assert records(watched) == ["d", "a"]
    assert records(watched) == ["d", "a"]
    assert len(hub.tails) == 1
    watched.close()
    assert hub.tails[0].closed


def test_no_more_than_a_screen_can_use_is_kept() -> None:
    hub = Hub({"0": [body(record=f"r{number}") for number in range(KEPT * 2)]})
    watched = watch(hub)
    assert len(watched.look()) == KEPT
    hub.partitions_held["0"] += [body(record="new")] * 30
    assert len(watched.look()) == KEPT
    watched.close()


def test_whoever_stops_looking_lets_go_of_the_readers() -> None:
    hub = Hub({"0": [body(record="a")]})
    watched = watch(hub, idle=0.01)
    watched.look()
    hub.partitions_held["0"].append(body(record="b"))
    watched.look()
    until(lambda: all(tail.closed for tail in hub.tails))
    assert records(watched) == ["b", "a"]
    watched.close()


def test_after_an_error_the_next_look_begins_anew() -> None:
    hub = Hub({"0": [body(record="a")]})
    watched = watch(hub)
    watched.look()
    hub.broken.append(ReadersError("Five read already.", service="eventhub"))
    with pytest.raises(ReadersError):
        watched.look()
    hub.partitions_held["0"].append(body(record="b"))
    assert records(watched) == ["b", "a"]
    watched.close()


def test_a_connection_that_was_lost_shows_what_was_read_until_it_is_back() -> None:
    hub = Hub({"0": [body(record="a")]})
    watched = watch(hub)
    watched.look()
    hub.broken.append(UnreachableError("Event Hubs can't be reached.", service="eventhub"))
    assert records(watched) == ["a"]
    watched.close()
