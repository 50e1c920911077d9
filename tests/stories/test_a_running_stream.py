"""A sandbox that runs, seen as its operator sees it: healthy, complete, and when something breaks, named at once and only where it is."""

from __future__ import annotations

import http.client
import json
import time
import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from azure.eventhub import EventData, EventHubProducerClient

from lpmops import config_reader
from lpmops.model import parse_time
from lpmops.services.cloud import open_environment
from tests.stories.conftest import Stream
from tests.stories.machine import PATIENCE, Machine, is_fine, shown, suspects, wait_until

ENVIRONMENTS = ("dev", "test", "prod")
# A batch waits 5 s for a throttled hub, its rows count 5 s after they landed, and a twentieth of the last half minute's must be late: 45 s, or more
# on a slow machine.
THROTTLING_SHOWS = 2 * PATIENCE
# Late rows leave the half minute that is looked at, which counts 5 s late; a job that failed is trusted after it has stood for half a minute.
TROUBLE_FADES = 3 * PATIENCE


def test_a_fresh_sandbox_is_healthy_everywhere_within_half_a_minute(stream: Stream) -> None:
    for environment in ENVIRONMENTS:
        _, look = stream.watcher.wait(environment, stream.started_at, is_fine)
        assert parse_time(look["taken_at"]).timestamp() - stream.started_at < 30


def test_status_is_one_document_of_the_promised_shape(calm_stream: Stream) -> None:
    done = calm_stream.machine.done("status", "--check", "-o", "json")
    document = done.document
    assert (document["schema"], document["ok"], document["error"]) == ("lpmops/status/v1", True, None)
    assert [item["environment"] for item in document["data"]] == list(ENVIRONMENTS)
    for item in document["data"]:
        assert set(item) >= {"environment", "kind", "taken_at", "health", "stages", "latency", "routes", "suspects"}
        assert list(item["stages"]) == ["cdf", "eventhub", "asa", "sql"]
        for stage in item["stages"].values():
            assert set(stage) >= {"health", "state", "reason", "lag", "rate", "readings"}
            assert all(set(reading) == {"name", "value", "unit", "at", "source"} for reading in stage["readings"])
        assert set(item["latency"]) >= {"p50", "p95", "p99", "events", "hops"}
        assert item["taken_at"].endswith("Z")
        assert len(item["routes"]) == 6
        for route in item["routes"]:
            assert set(route) >= {
                "company_id",
                "company",
                "database",
                "state",
                "rows",
                "rows_per_minute",
                "last_landed_at",
                "latency_p95",
            }


def test_every_change_lands_once_each_route_counts_its_own_and_none_is_unrouted(calm_stream: Stream) -> None:
    for environment in ENVIRONMENTS:
        ledger = calm_stream.ledger(environment)
        assert ledger.assert_nothing_lost_or_doubled() > 0
        assert ledger.unrouted() == 0
    counted = {
        route["company_id"]: route["rows"] for route in calm_stream.machine.status("-e", "prod")["prod"]["routes"]
    }
    landed = calm_stream.ledger("prod").landed()
    for company, rows in counted.items():
        # Rows of the last seconds are counted the next time.
        assert 0 <= sum(1 for key in landed if key[0] == company) - rows <= 150


def test_heartbeats_arrive_and_records_are_young_when_they_land(calm_stream: Stream) -> None:
    for environment in ENVIRONMENTS:
        _, look = calm_stream.watcher.wait(
            environment, time.time(), lambda look: look["latency"]["events"] > 0 and look["heartbeat_age"] is not None
        )
        assert look["heartbeat_age"] < 30
        # Faults of other stories show in the high percentiles for five minutes.
        assert look["latency"]["p50"] < 15


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault, where it is aimed, what `status --check` ends with, and within how many looks it must be the first suspect (0: it needs time)."""

    fault: str
    aim: tuple[str, ...] = ()
    code: int = 11
    looks: int = 2


@pytest.mark.parametrize(
    "troubles",
    [
        {"dev": Trouble("asa.stopped"), "test": Trouble("auth.expired", code=4), "prod": Trouble("arm.throttled")},
        {"dev": Trouble("arm.slow"), "prod": Trouble("sql.unreachable", ("--company", "1001"))},
        {
            "dev": Trouble("cdf.job_failed"),
            "test": Trouble("hub.throttled", looks=0),
            "prod": Trouble("sql.unreachable"),
        },
    ],
    ids=lambda troubles: " ".join(trouble.fault for trouble in troubles.values()),
)
def test_each_environment_shows_its_own_fault_first_and_healing_loses_nothing(
    troubles: dict[str, Trouble], calm_stream: Stream
) -> None:
    machine = calm_stream.machine
    for environment, trouble in troubles.items():
        machine.done("sandbox", "fault", trouble.fault, "-e", environment, *trouble.aim)
    broken_at = time.time()
    for environment, trouble in troubles.items():
        _assert_named_first(calm_stream, environment, trouble, broken_at)
    for environment, trouble in troubles.items():
        if not trouble.looks:
            # Rows land in waves, and between two of them there may be no late one to see.
            wait_until(partial(_named, machine, environment, trouble), f"status names {trouble.fault}")
            continue
        assert _named(machine, environment, trouble)
    for environment in set(ENVIRONMENTS) - set(troubles):
        calm_stream.watcher.wait(environment, broken_at, lambda _: True)
        for look in calm_stream.watcher.looks(environment, broken_at):
            assert is_fine(look), shown(look)

    machine.done("sandbox", "heal")
    healed_at = time.time()
    for environment in troubles:
        calm_stream.ledger(environment).assert_nothing_lost_or_doubled()
        calm_stream.watcher.wait(environment, healed_at, is_fine, TROUBLE_FADES)


def _named(machine: Machine, environment: str, trouble: Trouble) -> bool:
    """Whether `status --check` says so; anything else than nothing at all is wrong."""
    done = machine.run("status", "-e", environment, "--check", "-o", "json")
    seen = suspects(done.document["data"][0])[:1]
    assert not seen or (done.code, seen) == (trouble.code, [trouble.fault]), done
    return bool(seen)


def _assert_named_first(stream: Stream, environment: str, trouble: Trouble, broken_at: float) -> None:
    """The first suspect that is seen is the fault itself, in time, with evidence and a next step, and no later look takes it back.

    What needs time to show may have none to see in some later look, where rows land in waves; never another one.
    """
    seconds = PATIENCE if trouble.looks else THROTTLING_SHOWS
    number, look = stream.watcher.wait(environment, broken_at, lambda look: bool(look["suspects"]), seconds)
    assert number <= trouble.looks or not trouble.looks
    assert look["suspects"][0]["evidence"]
    assert look["suspects"][0]["next"]
    for seen in stream.watcher.looks(environment, broken_at)[number - 1 :]:
        assert suspects(seen)[:1] == [trouble.fault] or not (trouble.looks or suspects(seen)), shown(seen)


def test_a_job_that_is_stopped_and_healed_in_a_hurry_runs_again_and_a_fault_with_a_time_heals_by_itself(
    calm_stream: Stream,
) -> None:
    machine = calm_stream.machine
    for words in (
        ("fault", "asa.stopped", "-e", "dev"),
        ("heal",),
        ("fault", "asa.stopped", "-e", "dev", "--for", "1s"),
    ):
        machine.done("sandbox", *words)

    def runs_again() -> bool:
        dev = machine.sandbox_status()["dev"]
        return dev["faults"] == [] and str(dev["jobs"][0]).endswith((" Starting", " Running"))

    wait_until(runs_again, "the fault has ended and the job is started")
    calm_stream.ledger("dev").assert_nothing_lost_or_doubled()


def test_an_environment_that_is_made_from_nothing_takes_events_and_is_not_made_again(
    stream: Stream, tmp_path: Path
) -> None:
    text = Path(stream.machine.environ["LPMOPS_CONFIG"]).read_text(encoding="utf-8")
    names = {"evhns-lpm-tdr-dev": "evhns-lpm-tdr-made", "asa-lpm-tdr-dev-": "asa-lpm-tdr-made-"}
    for old, new in {**names, "secrets/eventhub-dev": "secrets/eventhub-evhns-lpm-tdr-made"}.items():
        text = text.replace(old, new)
    (tmp_path / "lpmops.toml").write_text(text, encoding="utf-8")
    mine = stream.machine.using(LPMOPS_CONFIG=str(tmp_path / "lpmops.toml"))
    made = mine.done("provision", "apply", "-e", "dev", "--yes", "-o", "json").document["data"]
    assert {step["state"] for step in made["steps"]} == {"done"}
    looked = mine.run("provision", "plan", "-e", "dev", "--detailed-exitcode", "-o", "json")
    assert (looked.code, {item["state"] for item in looked.document["data"]["resources"]}) == (0, {"there"})
    (place,) = mine.sandbox_status()["dev"]["namespaces"]
    client = EventHubProducerClient.from_connection_string(
        Path(place["connection_string_file"]).read_text(encoding="utf-8"), eventhub_name="tdr"
    )
    with client:
        client.send_batch([EventData(b"{}")])
    services = open_environment(config_reader.read(tmp_path / "lpmops.toml").environment("dev"), deadline=PATIENCE)
    held = [partition.last_sequence + 1 for partition in services.eventhubs.partitions()]
    services.close()
    assert (len(held), sum(held)) == (4, 1)


def test_what_the_sandbox_is_asked_without_its_token_is_refused(calm_stream: Stream) -> None:
    running = json.loads((calm_stream.machine.sandbox / "running.json").read_text(encoding="utf-8"))
    assert (calm_stream.machine.sandbox / "running.json").stat().st_mode & 0o077 == 0
    for token in ("", "Bearer ", "Bearer " + "x" * 32, "Bearer \u00e9"):
        for path in ("/sandbox/stop", "/sandbox/heal", "/sandbox/faults"):
            connection = http.client.HTTPConnection("127.0.0.1", running["port"], timeout=PATIENCE)
            connection.request("POST", path, b"{}", {"Authorization": token.encode("latin-1")})
            answer = connection.getresponse()
            assert (answer.status, running["token"] in answer.read().decode()) == (401, False)
            connection.close()
    assert calm_stream.machine.run("sandbox", "status").code == 0


def test_the_configuration_that_the_sandbox_prints_is_the_one_that_reaches_it(
    calm_stream: Stream, tmp_path: Path
) -> None:
    machine = calm_stream.machine
    printed = tomllib.loads(machine.done("sandbox", "config").out)
    assert list(printed["environments"]) == list(ENVIRONMENTS)
    made = machine.run("init", "--from-sandbox", "--path", str(tmp_path / "lpmops.toml"))
    assert made.code == 0
    assert tomllib.loads((tmp_path / "lpmops.toml").read_text(encoding="utf-8")) == printed
    mine = machine.using(LPMOPS_CONFIG=str(tmp_path / "lpmops.toml"))
    assert mine.done("config", "check").code == 0
    wait_until(lambda: all(is_fine(look) for look in mine.status().values()), "all is healthy")
    again = machine.run("init", "--from-sandbox", "--path", str(tmp_path / "lpmops.toml"))
    assert (again.code, "--force" in again.err) == (2, True)


def test_wait_ends_when_the_wish_is_true_and_says_so_when_time_is_up(calm_stream: Stream) -> None:
    healthy = calm_stream.machine.run("wait", "-e", "prod", "--for", "healthy", "--timeout", "60s", "-o", "json")
    assert (healthy.code, healthy.document["data"]["health"]) == (0, "healthy")
    down = calm_stream.machine.run("wait", "-e", "prod", "--for", "down", "--timeout", "3s", "-o", "json")
    assert (down.code, down.document["error"]["code"]) == (8, "timed_out")
    assert "lpmops status -e prod" in down.document["error"]["hint"]
    assert 3 <= down.seconds < PATIENCE / 2
