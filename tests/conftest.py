"""What every test shares: its own folders, no proxy, and no silent skip where the whole suite is asked for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A suite that a shell has put into the background inherits an ignored interrupt, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How many examples a property is tried with that asks for no number of its own; the long form asks for far more.
EXAMPLES = int(os.environ.get("LPMOPS_TEST_EXAMPLES", "40"))
settings.register_profile("lpmops", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lpmops")

_MAY_SKIP = ("LPMOPS_TEST_MSSQL",)


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
