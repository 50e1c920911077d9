"""How a sandbox is started, refused, killed, filled up and ended, and what its folder keeps through all of it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from pathlib import Path

from lpmops import config_reader
from tests.sandboxes import free_ports
from tests.stories.ledger import Ledger
from tests.stories.machine import Done, Machine, wait_until

SMALL = ("--companies", 4, "--rate", 40)


def test_two_starts_at_the_same_time_become_one_sandbox_which_a_start_with_other_companies_does_not_mix_with_its_own(
    machine: Machine, port: int
) -> None:
    done: list[Done] = []
    starters = [
        threading.Thread(target=lambda first=first: done.append(_start(machine, first, "-o", "json")))
        for first in (port, free_ports())
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert [found.code for found in done] == [0, 0]
    assert sorted(found.document["data"]["started"] for found in done) == [False, True]
    assert len({found.document["data"]["pid"] for found in done}) == 1
    first = done[0].document["data"]["port"]
    assert _ledger(machine, "dev").environment.databricks.host.endswith(f":{first + 1}")

    third = machine.run("sandbox", "start", "--port", port, "--companies", "9")
    assert (third.code, "runs already" in third.out) == (0, True)
    landed = _landed_soon(machine, "prod")
    machine.done("sandbox", "stop")
    refused = machine.run("sandbox", "start", "--port", port, "--companies", "9")
    assert (refused.code, "--fresh" in refused.err, "4 companies" in refused.err) == (2, True, True)
    machine.done("sandbox", "start", "--port", port, "--companies", "9", "--fresh")
    assert machine.sandbox_status()["prod"]["landed"] < landed


def test_a_port_that_is_taken_is_named_with_the_way_out(machine: Machine, port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 4)):
        refused = _start(machine, port)
    assert refused.code == 1
    assert f"port {port + 4}" in refused.err
    assert "--port" in refused.err


def test_a_sandbox_that_is_killed_keeps_everything_repeats_but_never_loses_and_starts_into_a_good_day(
    machine: Machine, port: int
) -> None:
    assert _start(machine, port).code == 0
    for name in ("dev", "prod"):
        _landed_soon(machine, name)
    for fault in ("cdf.job_failed", "asa.stopped", "sql.unreachable", "hub.throttled", "auth.expired"):
        machine.done("sandbox", "fault", fault, "-e", "test")
    before = {name: _seen(machine, name) for name in ("dev", "prod")}
    machine.kill()
    gone = machine.run("sandbox", "status")
    assert (gone.code, "lpmops sandbox start" in gone.err) == (3, True)
    assert machine.run("sandbox", "stop").code == 0

    assert _start(machine, port).code == 0
    assert machine.sandbox_status()["test"]["faults"] == []
    for name in ("dev", "test", "prod"):
        ledger = _ledger(machine, name)
        ledger.assert_nothing_lost_or_doubled()
        assert ledger.unrouted() == 0
    for name, (version, sequences, rows) in before.items():
        version_now, sequences_now, rows_now = _seen(machine, name)
        assert (version_now >= version, rows_now >= rows) == (True, True)
        assert all(sequences_now[partition] >= sequence for partition, sequence in sequences.items())


def test_a_sandbox_that_is_killed_while_it_is_built_is_built_again(machine: Machine, port: int) -> None:
    starting = machine.begin("sandbox", "start", "--port", port, *SMALL)
    half_built = machine.sandbox / "test" / "sql"
    wait_until(half_built.is_dir, "the second environment is being built")
    _kill_holder(machine)
    assert starting.wait(60) == 1
    assert starting.stdout is not None
    starting.stdout.close()
    assert _start(machine, port).code == 0
    _landed_soon(machine, "test")
    _ledger(machine, "test").assert_nothing_lost_or_doubled()


def test_a_full_disk_is_told_and_once_there_is_room_nothing_is_missing(machine: Machine, port: int) -> None:
    assert _start(machine, port).code == 0
    _landed_soon(machine, "prod")
    pid = machine.pid()
    # No file may grow past its first byte: what a full disk does to a process, without filling one.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        wait_until(lambda: "source" in machine.sandbox_status()["prod"]["troubles"], "the sandbox says what fails")
        said = machine.run("sandbox", "status")
        assert said.code == 0
        assert "prod: source fails and is tried again" in said.err
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: not any(one["troubles"] for one in machine.sandbox_status().values()), "everything works again")
    for name in ("dev", "test", "prod"):
        _ledger(machine, name).assert_nothing_lost_or_doubled()
    machine.done("sandbox", "stop")
    assert _start(machine, port).code == 0
    _ledger(machine, "prod").assert_nothing_lost_or_doubled()


def test_a_folder_that_can_not_be_written_is_told_with_the_way_out(tmp_path: Path, port: int) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    machine = Machine.at(tmp_path).using(LPMOPS_SANDBOX_DIR=str(tmp_path / "file" / "sandbox"))
    for words in ((), ("--fresh",)):
        refused = machine.run("sandbox", "start", "--port", port, *words)
        assert refused.code == 1
        assert "can't be written" in refused.err
        assert "LPMOPS_SANDBOX_DIR" in refused.err


def test_a_folder_that_no_sandbox_made_is_never_emptied(machine: Machine, port: int) -> None:
    machine.sandbox.mkdir()
    (machine.sandbox / "thesis.txt").write_text("the only copy", encoding="utf-8")
    refused = machine.run("sandbox", "start", "--fresh", "--port", port)
    assert (refused.code, "nothing was removed" in refused.err) == (2, True)
    assert (machine.sandbox / "thesis.txt").read_text(encoding="utf-8") == "the only copy"


def test_a_demo_without_a_terminal_ends_healthy_and_takes_its_sandbox_with_it(machine: Machine, port: int) -> None:
    done = machine.run("demo", "--headless", "--for", "6s", "--port", port, *SMALL)
    assert done.code == 0, done.out
    assert {item["environment"]: item["health"] for item in done.document["data"]} == dict.fromkeys(
        ("dev", "test", "prod"), "healthy"
    )
    assert machine.run("sandbox", "status").code == 3


def test_a_demo_that_is_told_to_end_takes_its_sandbox_with_it(machine: Machine, port: int) -> None:
    demo = machine.begin("demo", "--headless", "--for", "10m", "--port", port, *SMALL)
    wait_until((machine.sandbox / "running.json").exists, "the demo's sandbox runs")
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(60) == 143
    assert demo.stdout is not None
    demo.stdout.close()
    assert machine.run("sandbox", "status").code == 3


def _start(machine: Machine, port: int, *words: str) -> Done:
    return machine.run("sandbox", "start", "--port", port, "--companies", 4, "--rate", 40, *words)


def _ledger(machine: Machine, environment: str) -> Ledger:
    return Ledger(config_reader.read(machine.sandbox / "lpmops.toml").environments[environment])


def _landed_soon(machine: Machine, environment: str) -> int:
    """Wait until some records have landed; how many."""
    wait_until(
        lambda: machine.sandbox_status()[environment]["landed"] >= 20,
        f"records land in {environment}",
        why=machine.sandbox_status,
    )
    return int(machine.sandbox_status()[environment]["landed"])


def _seen(machine: Machine, environment: str) -> tuple[int, dict[str, int], int]:
    """The source's version, the newest landed sequence number of each partition, and the rows."""
    ledger = _ledger(machine, environment)
    sequences: dict[str, int] = {}
    for database in ledger.environment.sql.databases:
        for row in ledger.rows(
            database, "SELECT hub_partition, MAX(hub_sequence) AS newest FROM lpm.tdr GROUP BY hub_partition"
        ):
            partition, newest = str(row["hub_partition"]), int(row["newest"])
            sequences[partition] = max(newest, sequences.get(partition, newest))
    return ledger.version(), sequences, ledger.landed().total()


def _kill_holder(machine: Machine) -> None:
    """Kill -9 the sandbox of this folder before it says where it listens."""
    word = os.fsencode(machine.sandbox)
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if entry.name.isdigit() and b"lpmops.sandbox" in words and word in words:
            os.kill(int(entry.name), signal.SIGKILL)
