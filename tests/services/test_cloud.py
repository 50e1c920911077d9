"""The bundle: opening it loads nothing and reaches nobody, and closing it never waits."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lpmops.errors import DeadlineError, UnreachableError
from lpmops.services import cloud
from lpmops.services.calls import CallCounter
from tests.services.faulty_server import FaultyServer, hang
from tests.services.worlds import environment

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("azure", "requests", "urllib3", "pyodbc", "pytds", "databricks", "textual")


def test_importing_and_opening_loads_no_sdk() -> None:
    code = f"""
import sys
from lpmops.services import cloud
from tests.services import worlds_of_plain_values
cloud.open_environment(worlds_of_plain_values.ENVIRONMENT, deadline=1.0)
loaded = sorted(name for name in {HEAVY!r} if name in sys.modules)
sys.exit(f"loaded: {{loaded}}" if loaded else 0)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False, cwd=ROOT
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_members_are_built_once_for_all_threads(server: FaultyServer) -> None:
    opened = cloud.open_environment(environment(server.url), deadline=1.0)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(opened.databricks)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5.0)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert server.connections == 0


def test_closing_does_not_wait_for_calls_that_hang(server: FaultyServer) -> None:
    server.serve(hang())
    calls = CallCounter()
    opened = cloud.open_environment(environment(server.url), deadline=2.0, calls=calls)
    ended = threading.Event()

    def ask() -> None:
        with pytest.raises((DeadlineError, UnreachableError)):
            opened.streamanalytics.jobs()
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    end = time.monotonic() + 3.0
    while not server.requests and time.monotonic() < end:
        threading.Event().wait(0.01)
    started = time.monotonic()
    opened.close()
    assert time.monotonic() - started < 0.5
    assert ended.wait(4.0)
    assert calls.totals() == {"identity": 1}
