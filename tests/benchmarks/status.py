"""How long a live `lpmops status` takes over its slowest service call, imports included. Promise: at most one second."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from lpmops.config import Environment
from lpmops.services.cloud import open_environment
from tests.sandboxes import running_sandbox

ROUNDS = 7


def main() -> None:
    """Print the command's time, the slowest call's, and what lies between."""
    with running_sandbox() as (running, config):
        time.sleep(15)
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [
            sys.executable,
            "-m",
            "lpmops",
            "--config",
            str(running.folder / "lpmops.toml"),
            "status",
            "-o",
            "json",
        ]
        whole = statistics.median(
            _seconds(lambda: subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL))
            for _ in range(ROUNDS)
        )
        calls = slowest_calls(next(iter(config.environments.values())))
    name, slowest = max(calls.items(), key=lambda item: item[1])
    print(f"live status, three environments   {whole * 1000:6.0f} ms")
    print(f"slowest call: {name:19} {slowest * 1000:6.0f} ms")
    print(f"over it                           {(whole - slowest) * 1000:6.0f} ms   (promise: 1,000)")


def slowest_calls(environment: Environment) -> dict[str, float]:
    """Seconds of each call of a refresh on an open connection, the slowest of three."""
    services = open_environment(environment, deadline=30.0)
    calls: dict[str, Callable[[], object]] = {
        "databricks.table": services.databricks.table,
        "databricks.stream_run": services.databricks.stream_run,
        "databricks.progress": services.databricks.progress,
        "eventhubs.partitions": services.eventhubs.partitions,
        "streamanalytics.jobs": services.streamanalytics.jobs,
        "sql.ping": lambda: services.sql.ping(environment.sql.control_database),
    }
    try:
        return {name: max(_seconds(call) for _ in range(3)) for name, call in calls.items()}
    finally:
        services.close()


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
