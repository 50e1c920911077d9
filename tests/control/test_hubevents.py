"""The events of the hub as people see them: the newest of a company however rare it is, those that come, and nobody's number."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.config import Routing
from lpmops.control import hubevents
from lpmops.control.hubevents import Following, Found, Wanted
from lpmops.errors import ReadersError, UnreachableError
from lpmops.model import HubEvent, RawEvent
from tests.control.hubs import START, Hub, body, heartbeat

ROUTING = Routing()


def newest(hub: Hub, **wanted: Any) -> Found:
    return hubevents.newest(hub, Wanted(**wanted), ROUTING)


def records(found: Found) -> list[str | None]:
    return [event.record_id for event in found.events]


def test_the_newest_events_of_all_partitions_come_oldest_first() -> None:
    hub = Hub({"0": [body(record=f"a{n}") for n in range(4)], "1": [body(record=f"b{n}") for n in range(6)]})
    found = newest(hub, last=3)
    assert records(found) == ["b3", "b4", "b5"] or records(found) == ["a3", "b4", "b5"]
    assert (found.complete, found.ends) == (True, {"0": 3, "1": 5})


def test_an_event_is_shown_with_its_stamps_and_without_the_caller() -> None:
    hub = Hub({"0": [body(sipreq={"from": "<sip:+12025550143@esinet.example>"}, _replay_id="rp1")]})
    (event,) = newest(hub).events
    assert (event.company_id, event.record_id, event.change_type, event.commit_version) == ("1001", "r1", "insert", 7)
    assert event.commit_at == START - timedelta(seconds=2)
    assert event.sent_at == START - timedelta(seconds=1)
    assert event.replay_id == "rp1"
    assert event.values["caller_number"] == "•••43"
    assert "555" not in str(event)


def test_the_newest_of_a_rare_company_are_found_further_back() -> None:
    rare = [body("9", f"r{n}") if n in (3, 700) else body("1") for n in range(2_000)]
    hub = Hub({"0": rare, "1": [body("1")] * 10})
    found = newest(hub, company_id="9", last=2)
    assert records(found) == ["r3", "r700"]
    assert found.complete
    # Each look goes back over what no look before it has seen.
    seen = [span for asked in hub.asked for name, span in asked.items() if name == "0"]
    assert all(later[1] == earlier[0] - 1 for earlier, later in itertools.pairwise(seen))


def test_looking_back_ends_at_its_bound_and_says_so() -> None:
    hub = Hub({"0": [body("9"), *([body("1")] * 500)]})
    found = hubevents.newest(hub, Wanted("9"), ROUTING, most=200)
    assert found.events == ()
    assert not found.complete
    assert found.looked_at <= 200


def test_a_company_without_events_is_known_to_have_none() -> None:
    found = newest(Hub({"0": [body("1")] * 100, "1": []}), company_id="9")
    assert (found.events, found.complete, found.looked_at) == ((), True, 100)


def test_a_company_whose_id_is_a_number_in_the_source_is_found_by_its_digits() -> None:
    assert len(newest(Hub({"0": [body(1001)]}), company_id="1001").events) == 1


def test_heartbeats_are_left_out_unless_asked_for() -> None:
    hub = Hub({"0": [heartbeat(), body(), heartbeat()]})
    assert [event.change_type for event in newest(hub).events] == ["insert"]
    assert len(newest(hub, heartbeats=True).events) == 3
    assert len(newest(hub, heartbeats=True, company_id="1001").events) == 1


def test_nothing_from_before_a_moment_is_read() -> None:
    hub = Hub({"0": [body(record=f"r{n}") for n in range(100)], "1": []})
    assert records(newest(hub, since=START + timedelta(seconds=97))) == ["r97", "r98", "r99"]
    assert hub.asked == [{"0": (97, 99)}]


def test_what_the_hub_has_dropped_is_not_asked_for() -> None:
    hub = Hub({"0": [body()] * 50}, dropped={"0": 45})
    assert len(newest(hub, last=20).events) == 5
    assert hub.asked == [{"0": (45, 49)}]


@pytest.mark.parametrize("broken", [b"", b"\xff\xfe", b"[1,2]", b'"text"', b"{", b"{'tdr_id': 1}", b"[" * 10_000])
def test_a_body_that_is_no_record_is_shown_as_such(broken: bytes) -> None:
    company, event = hubevents.shown(RawEvent("0", 1, "1", START, None, broken), ROUTING)
    assert company is None
    assert event.problem
    assert event.size == len(broken)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_body_in_another_encoding_is_masked_too(encoding: str) -> None:
    sent = '{"caller_name": "Jane Example", "caller_number": "+1 202 555 0143"}'.encode(encoding)
    _, event = hubevents.shown(RawEvent("0", 1, "1", START, None, sent), ROUTING)
    letters = "".join(filter(str.isalnum, event.values["body"]))
    assert event.problem
    assert "Example" not in letters
    assert "5550143" not in letters


def test_a_broken_body_is_masked_too() -> None:
    _, event = hubevents.shown(RawEvent("0", 1, "1", START, None, b'{"caller_number": "+1 202 555 0143", '), ROUTING)
    assert "0143" not in str(event.values)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(ANYTHING)
def test_no_body_breaks_the_view(value: Any) -> None:
    for name in ("_change_type", "_commit_version", "info_companyid", "tdr_id", "_commit_timestamp"):
        raw = json.dumps({name: value}).encode()
        hubevents.shown(RawEvent("0", 1, "1", START, None, raw), ROUTING)


# Those that come -------------------------------------------------------------------------------------------------------------------------------


def test_what_comes_after_the_end_is_followed_for_one_company() -> None:
    hub = Hub({"0": [body(record="old")], "1": []})
    following = Following(hub, Wanted("1001"), ROUTING, newest(hub).ends)
    assert following.take(0) == []
    hub.partitions_held["0"] += [body(record="new"), body("1002"), heartbeat()]
    assert [event.record_id for event in following.take(0)] == ["new"]
    assert following.looked_at == 3
    following.close()
    assert hub.tails[0].closed


def test_after_a_lost_connection_nothing_is_missed_and_nothing_comes_twice() -> None:
    hub = Hub({"0": [], "1": []})
    following = Following(hub, Wanted(), ROUTING, {"0": -1, "1": -1})
    hub.partitions_held["0"].append(body(record="first"))
    assert [event.record_id for event in following.take(0)] == ["first"]
    hub.tails[0].errors.append(UnreachableError("Event Hubs can't be reached.", service="eventhub"))
    hub.partitions_held["1"].append(body(record="second"))
    assert following.take(0) == []
    assert "tried again" in following.notices[0]
    found: list[HubEvent] = []
    while not found:
        found = following.take(0.05)
    assert [event.record_id for event in found] == ["second"]
    assert hub.tails[0].closed
    assert hub.tails[1].places == {"0": 1, "1": 1}


def test_a_group_without_a_free_reader_is_no_thing_to_wait_for() -> None:
    hub = Hub()
    hub.broken.append(ReadersError("Five read already.", service="eventhub"))
    with pytest.raises(ReadersError):
        Following(hub, Wanted(), ROUTING, {"0": -1}).take(0)
