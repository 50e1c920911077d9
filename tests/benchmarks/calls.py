"""API calls of one refresh with 10 and with 2,000 companies in one database. Promise: equal."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from lpmops.cli.sandbox_setup import Wish
from tests.sandboxes import running_sandbox


def main() -> None:
    """Print the calls of the third refresh, when nothing is new any more, for both numbers of companies."""
    for companies in (10, 2_000):
        with running_sandbox(Wish(port=0, companies=companies, databases=1, rate=20.0)) as (running, _):
            time.sleep(15)
            command = [
                sys.executable,
                "-m",
                "lpmops",
                "--config",
                str(running.folder / "lpmops.toml"),
                "status",
                "-e",
                "prod",
                "-o",
                "json",
            ]
            for _ in range(3):
                done = subprocess.run(command, check=True, capture_output=True, text=True)
            snapshot = json.loads(done.stdout)["data"][0]
            print(
                f"{companies:6,} companies   {snapshot['calls']} calls   {len(snapshot['routes']):,} routes shown   health {snapshot['health']}"
            )
