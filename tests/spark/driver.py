"""The job as it runs in production: the shipped files alone, copied to a folder, in a process of their own that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpmops import resources
from tests.spark.broker import Broker, wait_until


class Driver:
    """Runs of one stream or replay; its folder holds checkpoint, progress and logs."""

    def __init__(self, folder: Path, conf: Path, broker: Broker, topic: str, table: Path) -> None:
        self.folder, self._conf, self._broker = folder, conf, broker
        self.checkpoint = folder / "volume" / "tdr-stream"
        self.progress_file = folder / "volume" / "progress" / "tdr_stream.json"
        self.common = [
            f"--table={table}",
            f"--namespace={broker.secure}",
            f"--hub={topic}",
            "--sign-in=sas",
            "--secret=env:HUB_SECRET",
            "--tasks=2",
        ]
        self._ship()
        self._process: subprocess.Popen[bytes] | None = None

    def _ship(self) -> None:
        for name, path in resources.stream_job_files().items():
            place = self.folder / "workspace" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())

    @property
    def log(self) -> str:
        """What the newest run wrote."""
        return (self.folder / "driver.log").read_text(errors="replace")

    def stream(self, starting_version: int | None = 1, *more: str) -> None:
        """Start the stream in a process group of its own."""
        start = [] if starting_version is None else [f"--starting-version={starting_version}"]
        self._start(["stream", *self.common, f"--checkpoint={self.checkpoint}", *start, *more])

    def replay(self, replay_id: str, first: int, last: int, *more: str) -> None:
        """Start a replay."""
        bounds = [f"--replay-id={replay_id}", f"--from-version={first}", f"--to-version={last}"]
        self._start(["replay", *self.common, *bounds, f"--folder={self.folder / 'volume' / 'replays'}", *more])

    def _start(self, arguments: Sequence[str]) -> None:
        environment = {
            **os.environ,
            "SPARK_CONF_DIR": str(self._conf),
            "HUB_SECRET": self._broker.connection_string,
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": "",
        }
        entry = self.folder / "workspace" / resources.STREAM_JOB_ENTRY
        with (self.folder / "driver.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(entry), *arguments],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """kill -9 of the driver, its JVM included."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(300)
            self._process = None

    def stop(self) -> int:
        """Ask it to stop, as the service does; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self, seconds: float = 600.0) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        # The JVM ends with its driver, a moment later.
        self.kill()
        return code

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def progress(self) -> dict[str, Any]:
        """What the stream wrote last; empty before the first time."""
        try:
            found = json.loads(self.progress_file.read_text())
        except FileNotFoundError:
            return {}
        assert isinstance(found, dict)
        return found

    def wait_for(self, seen: Any, seconds: float = 600.0) -> Any:
        """Wait for what `seen` gives to be true while the process lives."""

        def check() -> Any:
            found = seen()
            assert found or self.is_running, f"the driver has ended: {self.log[-3000:]}"
            return found

        return wait_until(check, seconds, self.log[-3000:] if not self.is_running else "the driver runs on")
