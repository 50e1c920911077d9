"""What every test shares: its own folders, no proxy, and no silent skip where the whole suite is asked for."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A suite that a shell has put into the background inherits an ignored interrupt, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What collection imports stays to the end: looking through it for garbage, again and again, would take a third of the run.
gc.disable()

# How many examples a property is tried with that asks for no number of its own; the long form asks for far more.
EXAMPLES = int(os.environ.get("LPMOPS_TEST_EXAMPLES", "40"))
settings.register_profile("lpmops", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lpmops")

# Modules whose tests wait more than they work, the longest first, and in it the longest test.
_LONG = (
    "tests/stories/test_a_running_stream.py", "tests/stories/test_a_pause.py", "tests/stories/test_a_sandbox_and_its_folder.py",
    "tests/web/test_in_chromium.py", "tests/stories/test_the_app_through_a_night.py", "tests/stories/test_replays_end_alike.py",
    "tests/stories/test_a_hostile_world.py",
)  # fmt: skip
_LONGEST = "hub.throttled"
_MAY_SKIP = ("LPMOPS_TEST_MSSQL",)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits begins at once, on every second worker, beside others that work: so no long story is left alone at the end."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    piles: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, module in enumerate(_LONG):
        long = [item for item in items if item.nodeid.startswith(module)]
        piles[2 * number % workers] += sorted(long, key=lambda item: _LONGEST not in item.nodeid)
    waiting = {item.nodeid for pile in piles for item in pile}
    others = [item for item in items if item.nodeid not in waiting]
    left, shares = len(items), list[pytest.Item]()
    for number, pile in enumerate(piles):
        # The share that xdist gives to a worker at first; what it has to spare others take from its end.
        room = max(0, left // (workers - number) - len(pile))
        shares += [*pile, *others[:room]]
        others, left = others[room:], left - len(pile) - room
    items[:] = [*shares, *others]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """From here on garbage is looked for among what the tests make, and not after every few hundred objects of an app."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """What was imported is let go of at the end, as libraries complain of what is not."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test never meets the operator's own store, configuration, sandbox or sign-in."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LPMOPS_STATE_DIR", str(home / "state"))
    monkeypatch.setenv("LPMOPS_SANDBOX_DIR", str(home / "sandbox"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    for name in (
        "LPMOPS_CONFIG",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
        "AZURE_TOKEN_CREDENTIALS",
        "NO_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    return home


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where LPMOPS_NO_SKIPS is set, a skipped test fails the run and says which."""
    if not os.environ.get("LPMOPS_NO_SKIPS"):
        return
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if not any(word in str(report.longrepr) for word in _MAY_SKIP)
    ]
    for report in skipped:
        terminalreporter.write_line(f"skipped, and nothing may skip here: {report.nodeid}: {report.longrepr}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn the run red for a skip; the summary names it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("LPMOPS_NO_SKIPS") or reporter is None:
        return
    skipped = [
        report
        for report in reporter.stats.get("skipped", [])
        if not any(word in str(report.longrepr) for word in _MAY_SKIP)
    ]
    if skipped and session.exitstatus == 0:
        session.exitstatus = 1
