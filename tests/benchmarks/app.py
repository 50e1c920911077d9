"""The app as a person meets it: start to first paint, key to paint, idle, memory over a day, and leaving, on a terminal of its own.

Promises: first paint at most twice a bare Textual app with one label, and half of harlequin's and posting's (where
`make peers` has installed them); key to paint p50 under 8 ms and p99 under 25 ms with 10,000 companies; filter and sort of
10,000 under 50 ms; idle under 1 % of a core; memory flat; left in under a second in every state.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.benchmarks.commands import prepared_environment
from tests.tui.terminal import ENTERED, Terminal, on_terminal

ROUNDS = 9
KEYS = 300
LOOKS = 2_400
_PEERS = Path(__file__).parents[2] / ".venv-peers"
_MODULE = [sys.executable, "-m", "tests.benchmarks.busy_app"]


def main() -> None:
    """Print every figure with its promise."""
    with tempfile.TemporaryDirectory() as folder:
        environ = prepared_environment(Path(folder))
        first_paint(environ)
        keys(environ)
        keys_on_versions(environ)
        idle(environ)
        leaving(environ)
    table()
    memory()


# First paint -------------------------------------------------------------------------------------------------------------------------------------


def first_paint(environ: Mapping[str, str]) -> None:
    """Whole processes, in turn, so that a drift of the machine meets all alike."""
    apps: dict[str, list[str]] = {
        "bare Textual, one label": [*_MODULE, "bare"],
        "lpmops": [sys.executable, "-m", "lpmops"],
    }
    for peer in ("harlequin", "posting"):
        for path in _PEERS.glob(f"{peer}-*/bin/{peer}"):
            apps[peer] = [str(path)]
    seconds: dict[str, list[float]] = {name: [] for name in apps}
    for number in range(ROUNDS + 1):
        for name, command in apps.items():
            with started(command, environ) as (app, began):
                app.until(lambda: _has_text(app))
                if number:
                    seconds[name].append(time.perf_counter() - began)
    reference = statistics.median(seconds["bare Textual, one label"])
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"first paint: {name:26} {middle * 1000:6.0f} ms   {middle / reference:5.2f} x bare")
    if len(apps) == 2:
        print("first paint: harlequin and posting are not here; make peers installs them")


def _has_text(app: Terminal) -> bool:
    return ENTERED in app.drawn and sum(character.isalpha() for character in app.since(app.drawn.rfind(ENTERED))) > 10


# Keys --------------------------------------------------------------------------------------------------------------------------------------------


def keys(environ: Mapping[str, str]) -> None:
    """From the byte of a key to the bytes that draw the row it leads to."""
    with started([*_MODULE, "busy"], environ) as (app, _):
        app.until(lambda: "10,000 companies" in app.text)
        app.press("3")
        app.until(lambda: "Metro Fire" in app.text)
        _settle(app)
        times = []
        for number in range(KEYS):
            times.append(_paint(app, "j", str(1002 + number)))
    _say("key to paint, 10,000 companies refreshing", times, "8 / 25 ms")


def keys_on_versions(environ: Mapping[str, str]) -> None:
    """From the byte of a key to the bytes that say how far the range goes: one that holds all versions, and grows smaller with each key."""
    with started([*_MODULE, "versions"], environ) as (app, _):
        app.until(lambda: "10,000 companies" in app.text)
        app.press("3")
        app.until(lambda: "Metro Fire" in app.text)
        app.press("V")
        app.until(lambda: "10,000 commits" in app.text)
        app.press("m")
        app.press("G")
        app.until(lambda: "10,000 versions" in app.text)
        _settle(app)
        times = []
        for number in range(1, KEYS + 1):
            times.append(_paint(app, "k", f"{10_000 - number:,} versions"))
    _say("key to paint, a range of 10,000 versions", times, "8 / 25 ms")


def _paint(app: Terminal, key: str, wanted: str) -> float:
    """Seconds from the byte of a key to the bytes of what it leads to."""
    began, place = time.perf_counter(), len(app.drawn)
    app.press(key)
    while wanted.encode() not in app.drawn[place:]:
        app.read(1.0)
    took = time.perf_counter() - began
    # A person's hand is slower than this; what is under way meanwhile is part of the figure.
    app.read_for(0.03)
    return took


def _settle(app: Terminal) -> None:
    """Until nothing is drawn for a moment."""
    while select.select([app.master], [], [], 0.3)[0] and app.read():
        pass


def _say(what: str, seconds: Sequence[float], promise: str) -> None:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{what:44} p50 {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms   (promise {promise})")


# Idle and leaving --------------------------------------------------------------------------------------------------------------------------------


def idle(environ: Mapping[str, str]) -> None:
    """Processor time between refreshes."""
    with started([*_MODULE, "still"], environ) as (app, _):
        app.until(lambda: "10,000 companies" in app.text)
        app.read_for(3.0)
        before, began = _cpu(app.process.pid), time.perf_counter()
        app.read_for(15.0)
        used, lasted = _cpu(app.process.pid) - before, time.perf_counter() - began
    print(f"idle between refreshes                       {used / lasted * 100:5.2f} % of a core   (promise 1 %)")


def leaving(environ: Mapping[str, str]) -> None:
    """From q to the end of the process, where all goes well and where every call hangs."""
    for name in ("still", "busy", "hanging"):
        times = []
        for _ in range(3):
            with started([*_MODULE, name], environ) as (app, _began):
                app.until(lambda: "quit" in app.text)
                began = time.perf_counter()
                app.press("q")
                app.ended()
                times.append(time.perf_counter() - began)
        print(f"left, {name:38} {max(times):5.2f} s at most   (promise 1 s)")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def started(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[tuple[Terminal, float]]:
    """A command on a terminal of 120x40, and when it began."""
    began = time.perf_counter()
    with on_terminal(command, environ, size=(120, 40)) as app:
        yield app, began


# The table, and memory ---------------------------------------------------------------------------------------------------------------------------


def table() -> None:
    """Filter and sort of 10,000 rows, by the functions that the screen calls."""
    from lpmops.model import Route
    from lpmops.tui.widgets import companies
    from lpmops.tui.widgets.table import LiveTable
    from tests.tui.worlds import NOW, routes

    rows = routes(10_000)
    shown: LiveTable[Route] = LiveTable(companies.COLUMNS, key=companies.key, haystack=companies.haystack, now=NOW)
    shown.show(rows, NOW)

    def measured(work: Callable[[int], None]) -> list[float]:
        times = []
        for number in range(40):
            began = time.perf_counter()
            work(number)
            times.append(time.perf_counter() - began)
        return times

    patterns = ("p", "po", "por", "port", "!port", "~pt1", "")
    _say("filter of 10,000", measured(lambda number: shown.filter(patterns[number % len(patterns)])), "50 ms")
    _say("sort of 10,000", measured(lambda number: shown._arrange() if number < 0 else _sort(shown, number)), "50 ms")


def _sort(shown: object, number: int) -> None:
    from lpmops.tui.widgets.table import LiveTable

    assert isinstance(shown, LiveTable)
    shown._sort, shown._descending = number % 8, bool(number % 2)
    shown._arrange()


def memory() -> None:
    """What a day of looks leaves behind: resident memory after a tenth of them and after all."""
    asyncio.run(_a_day())


async def _a_day() -> None:
    from lpmops.tui.app import LpmopsApp
    from tests.tui.worlds import bad_day

    feed = bad_day()
    app = LpmopsApp(feed)
    marks: list[float] = []
    async with app.run_test(size=(120, 40)) as pilot:
        while not feed.callbacks:
            await pilot.pause(0.02)
        for number in range(LOOKS):
            feed.time += timedelta(seconds=86_400 / LOOKS)
            for snapshot in feed.snapshots.values():
                feed.push(replace(snapshot, taken_at=feed.time))
            app._draw_arrived()
            if number % 20 == 0:
                await pilot.press(("3", "j", "escape", "t", "left", "escape")[number // 20 % 6])
            await pilot.pause()
            if number in (LOOKS // 10, LOOKS - 1):
                gc.collect()
                marks.append(_resident())
    print(
        f"memory after a tenth of a day, and a day     {marks[0]:5.1f} MB, {marks[1]:5.1f} MB   ({marks[1] / marks[0]:.2f} x)"
    )


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
