"""The app goes on: services that hang, feeds that fail, terminals that shrink, signals that end it."""

from __future__ import annotations

import os
import pty
import random
import select
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lpmops.model import Kind
from lpmops.tui.app import LpmopsApp
from lpmops.tui.screens.too_small import TooSmallScreen
from lpmops.tui.widgets.pipeline import Pipeline
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.worlds import MemoryFeed, bad_day, good, good_day

CHILD = """
import sys
sys.path.insert(0, {root!r})
from lpmops.model import Kind
from lpmops.tui.app import LpmopsApp
from tests.tui.worlds import MemoryFeed, bad_day
feed = MemoryFeed(extra=[("dev", Kind.DEV), ("prod", Kind.PROD)], hanging=True) if {hanging} else bad_day()
app = LpmopsApp(feed)
app.run()
sys.exit(app.return_code)
"""
ROOT = Path(__file__).parents[2]


class Terminal:
    """The app in a process of its own, on a terminal of its own."""

    def __init__(self, *, hanging: bool = False) -> None:
        self.output = b""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
            os.execv(sys.executable, [sys.executable, "-c", CHILD.format(root=str(ROOT), hanging=hanging)])

    def read_until(self, wanted: bytes, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while wanted not in self.output:
            assert time.monotonic() < end, self.output[-2000:]
            self._read(0.05)

    def _read(self, seconds: float) -> None:
        if select.select([self.descriptor], [], [], seconds)[0]:
            try:
                self.output += os.read(self.descriptor, 65536)
            except OSError:
                return

    def press(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def ended(self, seconds: float = 40.0) -> int:
        """The exit code."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._read(0)
                return os.waitstatus_to_exitcode(status)
            self._read(0.01)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("the app did not end")


def test_quitting_waits_for_nothing_that_hangs() -> None:
    terminal = Terminal(hanging=True)
    terminal.read_until(b"PROD")
    terminal.press(b"rrr")
    terminal.read_until("reading…".encode())
    terminal.press(b"q")
    assert terminal.ended() == 0
    assert b"\x1b[?1049l" in terminal.output, "the terminal is given back"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_gives_the_terminal_back(number: signal.Signals, code: int) -> None:
    terminal = Terminal()
    terminal.read_until(b"asa.saturated")
    os.kill(terminal.pid, number)
    assert terminal.ended() == code
    assert b"\x1b[?1049l" in terminal.output


def test_ctrl_c_leaves() -> None:
    terminal = Terminal()
    terminal.read_until(b"asa.saturated")
    terminal.press(b"\x03")
    assert terminal.ended() == 0


async def test_a_hanging_feed_holds_no_key_and_no_second_thread() -> None:
    feed = MemoryFeed(extra=[("dev", Kind.DEV)], hanging=True)
    async with opened(feed, settle=False) as pilot:
        await pilot.press("r")
        await until(pilot, lambda: feed.refreshed == ["dev"])
        await pilot.press("r", "r", "1", "question_mark", "escape", "0")
        await pilot.pause()
        assert feed.refreshed == ["dev"], "while one look hangs no other is started"
        assert "reading…" in text(pilot)
        feed.let_go.set()


async def test_closing_lets_go_of_the_feed() -> None:
    feed = good_day()
    async with opened(feed):
        assert len(feed.callbacks) == 1
    assert feed.callbacks == []
    assert feed.closed


async def test_a_feed_that_fails_is_told_and_the_app_goes_on() -> None:
    feed = good_day()
    feed.broken = RuntimeError("the store is locked [/]")
    async with opened(feed, settle=False, faultless=False) as pilot:
        await until(pilot, lambda: app_of(pilot).settled)
        await pilot.pause()
        assert text(pilot).count("the local store: the store is locked [/]") == 3
        feed.broken = None
        await until(pilot, lambda: bool(feed.callbacks))
        feed.push(good("dev", Kind.DEV))
        await until(pilot, lambda: text(pilot).count("the local store: the store is locked [/]") == 2)


async def test_one_strip_that_cannot_be_drawn_stays_alone_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Pipeline.lines

    def lines(self: Pipeline, size: object) -> object:
        if self.environment == "test":
            raise ValueError("a surprise")
        return original(self, size)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(Pipeline, "lines", lines)
    feed = good_day()
    app = LpmopsApp(feed)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.settled)
        await pilot.pause()
        assert "can't be drawn: a surprise" in text(pilot)
        assert "812 companies" in text(pilot)
        assert app.faults.sentences == ["drawing Pipeline: a surprise"], "the same fault is told once"


async def test_a_key_whose_action_fails_is_told_and_the_app_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = good_day()
    app = LpmopsApp(feed)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.settled)
        monkeypatch.setattr(app, "action_hold", lambda: 1 / 0)
        await pilot.press("p")
        await pilot.pause()
        assert app.faults.sentences == ["the key for app.hold: division by zero"]
        await pilot.press("1")
        await pilot.pause()
        assert app.environment == "dev"


async def test_a_held_display_stands_still_and_then_catches_up() -> None:
    feed = good_day()
    async with opened(feed) as pilot:
        await pilot.press("p")
        assert "display held" in rows(pilot)[0]
        feed.push(good("dev", Kind.DEV, rate=777.0))
        await until(pilot, lambda: bool(app_of(pilot)._kept_back))
        assert "777/s" not in text(pilot)
        await pilot.press("p")
        assert "777/s" in text(pilot)
        assert "display held" not in text(pilot)


async def test_a_clock_that_jumps_back_shows_no_negative_age() -> None:
    feed = MemoryFeed(good("dev", Kind.DEV))
    async with opened(feed) as pilot:
        feed.push(replace(good("dev", Kind.DEV, rate=5.0), taken_at=feed.time.replace(year=2030)))
        await until(pilot, lambda: "5/s" in text(pilot))
        assert "as of 0 s" in text(pilot)


async def test_snapshots_of_an_unknown_environment_are_ignored() -> None:
    feed = good_day()
    async with opened(feed) as pilot:
        feed.push(good("elsewhere", Kind.DEV))
        feed.push(good("dev", Kind.DEV, rate=5.0))
        await until(pilot, lambda: "5/s" in text(pilot))
        assert "elsewhere" not in text(pilot)


async def test_too_small_takes_no_key_but_quit() -> None:
    async with opened(bad_day(), (80, 24)) as pilot:
        await pilot.press("3")
        await pilot.pause()
        await pilot.resize_terminal(50, 14)
        await until(pilot, lambda: isinstance(pilot.app.screen, TooSmallScreen))
        await pilot.press("1", "r", "p", "question_mark", "escape", "0", "slash")
        assert isinstance(pilot.app.screen, TooSmallScreen)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "asa.saturated" in text(pilot))
        assert app_of(pilot).environment == "prod", "what was open is still open"
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: isinstance(pilot.app.screen, TooSmallScreen))
        await pilot.press("q")
        await pilot.pause()
        assert pilot.app._exit


async def test_a_storm_of_resizes_ends_in_the_right_picture() -> None:
    numbers = random.Random(7)
    async with opened(bad_day(), (80, 24)) as pilot:
        await pilot.press("3")
        for _ in range(25):
            await pilot.resize_terminal(numbers.randint(1, 220), numbers.randint(1, 70))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "companies 812" in text(pilot) and rows(pilot)[-1].startswith(" enter open"))
        assert {len(row) for row in rows(pilot)} == {80}
        assert app_of(pilot).environment == "prod"
