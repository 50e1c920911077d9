"""An operator's machine: a sandbox folder, a store, a configuration, and the real `lpmops` as processes of their own, which need not import it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from lpmops.cli import sandbox_client
from lpmops.model import parse_time
from tests import forked
from tests.stories import commands

# How long a step may take on the slowest machine; a condition that holds earlier ends the wait earlier.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True, slots=True)
class Machine:
    """Runs `lpmops` as its operator would; `environ` says where sandbox, store and configuration are."""

    environ: Mapping[str, str]

    @classmethod
    def at(cls, folder: Path, config: Path | None = None) -> Machine:
        """A machine whose sandbox and store lie in `folder`."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LPMOPS_")}
        environ |= {"LPMOPS_SANDBOX_DIR": str(folder / "sandbox"), "LPMOPS_STATE_DIR": str(folder / "state")}
        if config is not None:
            environ["LPMOPS_CONFIG"] = str(config)
        return cls(environ)

    @property
    def sandbox(self) -> Path:
        """The sandbox's folder."""
        return Path(self.environ["LPMOPS_SANDBOX_DIR"])

    def using(self, **settings: str) -> Machine:
        """The same with other settings."""
        return Machine({**self.environ, **settings})

    def run(self, *words: str | int, cwd: Path | None = None, seconds: float = 2 * PATIENCE) -> Done:
        """One command to its end, which comes within so many seconds; none may leave a traceback."""
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="lpmops-test-") as folder:
            said = [Path(folder) / "out", Path(folder) / "err"]
            code = forked.run(commands.run, list(map(str, words)), dict(self.environ), cwd, *said, seconds=seconds)
            out, err = (path.read_text(encoding="utf-8") for path in said)
        assert "Traceback" not in out + err, err
        return Done(code, out, err, time.monotonic() - began)

    def begin(self, *words: str | int) -> subprocess.Popen[str]:
        """A command that goes on; its stdout is a pipe."""
        return subprocess.Popen(
            self.command(*words), env=dict(self.environ), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    @staticmethod
    def command(*words: str | int) -> list[str]:
        """The command line of `lpmops` in this interpreter's installation."""
        return [sys.executable, "-m", "lpmops", *map(str, words)]

    def done(self, *words: str | int) -> Done:
        """A command that must succeed."""
        found = self.run(*words)
        assert found.code == 0, (words, found)
        return found

    def status(self, *words: str) -> dict[str, dict[str, Any]]:
        """What `lpmops status` says now, by environment."""
        return {item["environment"]: item for item in self.run("status", "-o", "json", *words).document["data"]}

    def sandbox_status(self) -> dict[str, dict[str, Any]]:
        """What the sandbox says of itself, by environment, asked as `lpmops sandbox status` asks it."""
        running = sandbox_client.running(self.sandbox)
        assert running is not None, "no sandbox runs"
        found = sandbox_client.call(running, "GET", "/sandbox/status", deadline=PATIENCE)
        return {item["environment"]: item for item in found["environments"]}

    def pid(self) -> int:
        """The sandbox's process."""
        return int(json.loads((self.sandbox / "running.json").read_text(encoding="utf-8"))["pid"])

    def kill(self) -> None:
        """kill -9 of the sandbox; comes back when the system has let go of what the process held."""
        os.kill(self.pid(), signal.SIGKILL)
        with (self.sandbox / "lock").open() as lock:
            wait_until(lambda: _is_free(lock), "the killed process is gone")


def _is_free(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Watcher:
    """`lpmops status --watch` as a process that goes on: every look at every environment, as it comes."""

    def __init__(self, machine: Machine) -> None:
        self._process = machine.begin("status", "--watch", "-o", "jsonl")
        self._looks: list[dict[str, Any]] = []
        self._came = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._came:
                self._looks.append(json.loads(line))
                self._came.notify_all()
        with self._came:
            self._came.notify_all()

    def looks(self, environment: str, since: float) -> list[dict[str, Any]]:
        """The looks at an environment that began after a moment (epoch seconds), oldest first."""
        with self._came:
            return [look for look in self._looks if look["environment"] == environment and began(look) >= since]

    def wait(
        self, environment: str, since: float, holds: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE
    ) -> tuple[int, dict[str, Any]]:
        """The first look of which it holds, and the how-manieth it is since the moment. Fails with the newest look where none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.looks(environment, since)
            for number, look in enumerate(found, 1):
                if holds(look):
                    return number, look
            left = deadline - time.monotonic()
            newest = found[-1] if found else None
            assert self._process.poll() is None, f"the watcher ended with {self._process.returncode}"
            assert left > 0, (
                f"{environment} not as expected within {seconds:g} s; newest of {len(found)} looks: {shown(newest)}"
            )
            with self._came:
                self._came.wait(min(left, 0.5))

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(PATIENCE)


def began(look: Mapping[str, Any]) -> float:
    """When a look began, in epoch seconds."""
    return parse_time(look["taken_at"]).timestamp() - float(look["seconds"])


def suspects(look: Mapping[str, Any]) -> list[str]:
    """The suspects' ids, the most probable first."""
    return [suspect["id"] for suspect in look["suspects"]]


def is_fine(look: Mapping[str, Any]) -> bool:
    """Healthy, with nothing suspected."""
    return look["health"] == "healthy" and not look["suspects"]


def shown(look: Mapping[str, Any] | None) -> str:
    """A look in a line, for a test that fails."""
    if look is None:
        return "none"
    stages = {name: f"{stage['health']}/{stage['state']} {stage['reason']}" for name, stage in look["stages"].items()}
    return f"{look['environment']} {look['health']} {[(item['id'], item['evidence']) for item in look['suspects']]} {stages}"


def wait_until(
    holds: Callable[[], bool], what: str, seconds: float = PATIENCE, why: Callable[[], object] = str
) -> None:
    """Wait for a condition; fails with `what`, and with what `why` says then, where it does not come in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what} {why()}"
        time.sleep(0.1)
