"""`lpmops record`: keeps what is seen, tells what turns in one line each, and ends as a service should."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lpmops.cli.context import World
from lpmops.control.poller import Poller
from lpmops.errors import StoreError
from lpmops.store import snapshots
from tests.cli.conftest import CommandLine
from tests.waiting import until


@contextmanager
def meanwhile(story: Callable[[], None], end: int = signal.SIGTERM) -> Iterator[None]:
    """Run `story` beside the command, then end the command with a signal; what fails in it fails the test."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            story()
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failed.append(error)
        os.kill(os.getpid(), end)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(20)
    assert not failed, failed


def err(world: World) -> str:
    assert isinstance(world.stderr, io.StringIO)
    return world.stderr.getvalue()


def test_it_keeps_what_it_sees_and_says_each_change_of_health_once(line: CommandLine) -> None:
    here, test = line.world(), line.worlds["test"]

    def story() -> None:
        until(lambda: "test is healthy" in err(here))
        test.faults = {"sql.unreachable"}
        until(lambda: "test is degraded: sql.unreachable, " in err(here))
        test.faults = set()
        until(lambda: err(here).count("test is healthy") == 2)

    with meanwhile(story):
        said = line.run("record", "-e", "test", world=here)
    assert (said.code, said.out) == (0, "")
    lines = [text.partition(" ")[2] for text in said.err.splitlines()]
    assert lines[0] == f"recording test into {line.path} every 0.05 s"
    assert [text.partition(":")[0] for text in lines[1:-1]] == [
        "test is healthy",
        "test is degraded",
        "test is healthy",
    ]
    assert lines[-1].startswith("ended after ")
    (kept,) = snapshots.latest(line.store())
    assert kept.environment == "test"


def test_an_interrupt_ends_it_with_130_and_hands_the_environment_on(line: CommandLine) -> None:
    here, follower = line.world(), {}

    def story() -> None:
        until(lambda: "test is healthy" in err(here))
        follower["test"] = Poller(
            line.worlds["test"].environment, line.config(), line.store(), opener=here.open_services, now=here.now
        )
        follower["test"].start()
        until(lambda: follower["test"].leading is False)

    with meanwhile(story, signal.SIGINT):
        assert line.run("record", "-e", "test", world=here).code == 130
    until(lambda: follower["test"].leading is True)
    follower["test"].close()
    # What it took over, the signals included, it has given back.
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_beside_an_app_it_follows_and_takes_over_when_that_goes(line: CommandLine) -> None:
    here, test = line.world(), line.worlds["test"]
    app = Poller(test.environment, line.config(), line.store(), opener=lambda *_: test, now=here.now)
    app.start()
    until(lambda: app.leading is True and app.latest is not None)
    told_first: list[bool] = []

    def open_services(*_: object) -> Any:
        told_first.append("test is read by another lpmops" in err(here))
        return test

    here.open_services = open_services

    def story() -> None:
        until(lambda: "test is read by another lpmops" in err(here))
        app.close()
        until(lambda: "test is read from here now" in err(here))

    with meanwhile(story):
        assert line.run("record", "-e", "test", world=here).code == 0
    assert told_first == [True]


def test_it_ends_by_itself_when_the_time_is_up_and_counts(line: CommandLine) -> None:
    said = line.run("record", "--for", "500ms", "-o", "csv")
    assert said.code == 0
    head, *rows = said.out.splitlines()
    assert head == "environment,looks,from,to,health"
    assert [row.partition(",")[0] for row in rows] == ["dev", "test"]
    assert all(int(row.split(",")[1]) >= 1 for row in rows)


def test_trouble_with_the_store_is_said_once_and_its_end_too(line: CommandLine) -> None:
    here = line.world()

    def story() -> None:
        until(lambda: "test is healthy" in err(here))
        line.path.write_bytes(b"x" * line.path.stat().st_size)
        until(lambda: "is damaged" in err(here))
        line.path.rename(line.path.with_name("aside"))
        until(lambda: "test is recorded again" in err(here))

    with meanwhile(story):
        said = line.run("record", "-e", "test", world=here)
    assert said.err.count("test is recorded again") == 1
    assert snapshots.extent(line.store(), "test") is not None


def test_a_store_that_can_not_be_written_is_refused(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    line.store().close()
    # Rights do not bind root, under which tests may run: the question for them is answered instead.
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    said = line.run("record", "-e", "test")
    assert said.code == StoreError.exit_code
    assert "Nothing can be recorded" in said.err


@pytest.mark.parametrize(("words", "code"), [(("-e", "nowhere"), 3), (("--for", "soon"), 2)])
def test_a_wrong_call_is_refused_before_anything_is_read(line: CommandLine, words: tuple[str, ...], code: int) -> None:
    assert line.run("record", *words).code == code
    assert not line.path.exists()
