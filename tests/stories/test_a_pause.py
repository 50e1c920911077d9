"""Somebody pauses prod, their terminal is killed in the middle, and the operation is finished from a script: nothing is missing in SQL."""

from __future__ import annotations

import json
import signal
import subprocess

from tests.stories.conftest import Stream
from tests.stories.machine import Done, wait_until

PAUSE = ("asa", "pause", "-e", "prod", "--reason", "database move", "--until", "2h", "--confirm", "prod", "-o", "jsonl")


def _told(process: subprocess.Popen[str], step: str, state: str) -> None:
    """Read what a run tells until a step is in a state."""
    assert process.stdout is not None
    for line in process.stdout:
        item = json.loads(line)
        if (item.get("state"), (item.get("step") or "").split(" ")[0]) == (state, step):
            return
    raise AssertionError(f"the run ended before {step} was {state}")


def _data(done: Done) -> dict[str, object]:
    found = done.document["data"]
    assert isinstance(found, dict)
    return found


def test_a_pause_whose_terminal_is_killed_is_resumed_and_nothing_is_missing(stream: Stream) -> None:
    machine = stream.machine
    process = machine.begin(*PAUSE)
    _told(process, "stop", "accepted")
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = machine.done("op", "list", "--unfinished", "-o", "json").document["data"]
    assert (left["action"], left["environment"], left["state"]) == ("asa.pause", "prod", "interrupted")
    resumed = machine.done("op", "resume", left["id"], "-o", "json")
    assert _data(resumed)["state"] == "succeeded"
    assert machine.done("op", "list", "--unfinished", "-o", "json").document["data"] == []
    prod = machine.status("-e", "prod")["prod"]
    assert prod["stages"]["asa"]["state"] == "paused"
    assert "asa.stopped" not in [suspect["id"] for suspect in prod["suspects"]]
    (job,) = machine.done("asa", "show", "-e", "prod", "-o", "json").document["data"]
    assert job["paused"]["reason"] == "database move"
    started = machine.done("asa", "start", "-e", "prod", "--mode", "last-output", "--yes", "-o", "json")
    assert _data(started)["state"] == "succeeded"
    assert stream.ledger("prod").assert_nothing_lost_or_doubled() > 0
    assert machine.done("audit", "verify", "-e", "prod", "-o", "json").document["data"]["heads"]["prod"]["fits"]


def test_a_start_from_now_skips_as_many_events_as_it_said(stream: Stream) -> None:
    machine, ledger = stream.machine, stream.ledger("test")
    machine.done("asa", "pause", "-e", "test", "--reason", "drill", "--yes")
    wait_until(lambda: _waiting(stream) >= 40, "some events wait")
    refused = machine.run("asa", "start", "-e", "test", "--mode", "now", "--yes", "-o", "json")
    assert (refused.code, refused.document["error"]["code"]) == (7, "declined")
    started = _data(machine.done("asa", "start", "-e", "test", "--mode", "now", "--confirm", "test", "-o", "json"))
    result = started["result"]
    assert isinstance(result, dict)
    version = ledger.version()
    wait_until(lambda: max(key[2] for key in ledger.landed()) > version, "what came later lands")
    missing = ledger.source(version) - ledger.landed()
    # Heartbeats are events too, and some more came in between the count and the start.
    assert missing.total() > 0
    assert result["skipped_events"] > 0
    assert abs(missing.total() - result["skipped_events"]) < 0.7 * max(missing.total(), result["skipped_events"])


def _waiting(stream: Stream) -> int:
    (job,) = stream.machine.done("asa", "show", "-e", "test", "-o", "json").document["data"]
    return int(job["waiting_events"])


def test_an_interrupted_pause_stops_after_its_step_and_says_how_to_go_on(stream: Stream) -> None:
    machine = stream.machine
    process = machine.begin("asa", "pause", "-e", "dev", "--reason", "drill", "--yes", "-o", "jsonl")
    _told(process, "note", "begun")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    (left,) = machine.done("op", "list", "--unfinished", "-e", "dev", "-o", "json").document["data"]
    assert left["state"] == "interrupted"
    assert machine.done("lock", "show", "-e", "dev", "-o", "json").document["data"]["held"] is False
    assert _data(machine.done("op", "resume", left["id"], "-o", "json"))["state"] == "succeeded"
    machine.done("asa", "start", "-e", "dev", "--mode", "last-output", "--yes")
    assert stream.ledger("dev").assert_nothing_lost_or_doubled() > 0


def test_rights_that_somebody_took_are_found_and_given_again(stream: Stream) -> None:
    machine = stream.machine
    taken = ("right.sql", "right.eventhub", "right.unity", "right.jobs")

    def lacking() -> set[str]:
        rights = machine.done("access", "show", "-e", "dev", "-o", "json").document["data"]
        assert not [right for right in rights if right["state"] == "unknown"], rights
        return {right["need"] for right in rights if right["state"] == "lacks"}

    assert lacking() == set()
    for fault in taken:
        machine.done("sandbox", "fault", fault, "--env", "dev")
    try:
        of_others = {
            "stream.unity.select", "asa.eventhub.receive", "asa.sql.select", "asa.sql.insert", "operators.jobs.run",
        }  # fmt: skip
        assert lacking() == {*of_others, "operator.unity.select"}
        found = machine.run("doctor", "-e", "dev", "--check", "-o", "json")
        assert found.code == 11
        assert {f"rights.{need}" for need in of_others - {"asa.sql.insert"}} <= {
            item["id"] for item in found.document["data"]
        }
        whose = ("--identity", "stream", "--identity", "asa", "--identity", "operators")
        given = _data(machine.done("access", "grant", "-e", "dev", *whose, "--yes", "-o", "json"))
        assert given["state"] == "succeeded"
        assert lacking() == {"operator.unity.select"}
        again = _data(machine.done("access", "grant", "-e", "dev", *whose, "--yes", "-o", "json"))
        assert again["operation"] is None
    finally:
        for fault in taken:
            machine.done("sandbox", "heal", fault, "--env", "dev")
