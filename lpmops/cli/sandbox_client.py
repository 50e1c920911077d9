"""Starts, asks and stops the sandbox's process, for the commands that need it.

The process is reached as any other service is, over loopback HTTP; what it needs to start stands in its folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lpmops import paths
from lpmops.errors import ConfigError, LpmopsError, NotFoundError, UnreachableError, UsageError

START_DEADLINE = 90.0
STOP_DEADLINE = 20.0
_MARKER = "deployment.json"
_NEEDED = ("deltalake", "duckdb", "sqlglot", "pyarrow", "starlette", "uvicorn")


@dataclass(frozen=True, slots=True)
class Running:
    """Where a sandbox listens; `token` is what its own control address asks for."""

    folder: Path
    pid: int
    port: int
    token: str


def running(folder: Path | None = None) -> Running | None:
    """The sandbox that runs in `folder` (the default one if None), or None."""
    folder = folder or paths.sandbox_directory()
    try:
        document = json.loads((folder / "running.json").read_text(encoding="utf-8"))
        found = Running(folder, int(document["pid"]), int(document["port"]), str(document["token"]))
        call(found, "GET", "/sandbox/faults")
    except (OSError, ValueError, KeyError, TypeError, LpmopsError):
        return None
    return found


def must_run() -> Running:
    """The running sandbox. Raises NotFoundError naming the command that starts one."""
    found = running()
    if found is None:
        raise NotFoundError("No sandbox is running.", hint="Start one with: lpmops sandbox start")
    return found


def start(wish: Any, *, fresh: bool = False) -> tuple[Running, bool]:
    """Run the wished sandbox and wait until it answers; the flag says whether it was started now. Two starts at a time become one.

    Raises ConfigError where its packages are missing or the folder holds another sandbox, LpmopsError where the process ends early.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ConfigError(
            f"The sandbox needs packages that are not installed: {', '.join(missing)}.",
            hint="pip install 'lpmops[sandbox]'",
        )
    folder = paths.sandbox_directory()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _starting(folder):
            return _start(folder, wish, fresh)
    except OSError as error:
        raise LpmopsError(
            f"The sandbox's folder {folder} can't be written: {error.strerror}.",
            hint="Free some room, or set LPMOPS_SANDBOX_DIR.",
        ) from None


def _start(folder: Path, wish: Any, fresh: bool) -> tuple[Running, bool]:
    from lpmops.cli import sandbox_setup

    found = running(folder) or (_await(folder) if _is_held(folder) else None)
    if found is not None and not fresh:
        return found, False
    if found is not None:
        stop(found)
    if fresh:
        clear(folder)
    before = _wish_of(folder)
    if before is not None and before != (wish.seed, wish.companies, len(wish.database_names())):
        raise UsageError(
            f"{folder} holds a sandbox with {before[1]} companies in {before[2]} databases, of seed {before[0]}.",
            hint="Begin anew with: lpmops sandbox start --fresh, or start it as it was.",
        )
    sandbox_setup.prepare(folder, wish)
    return _launch(folder, wish.port), True


@contextlib.contextmanager
def _starting(folder: Path) -> Iterator[None]:
    """Start alone: a second start waits for the first, and finds its sandbox. Raises LpmopsError, OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    deadline = time.monotonic() + START_DEADLINE
    try:
        while not _lock(descriptor):
            if time.monotonic() > deadline:
                raise LpmopsError(
                    f"Another start in {folder} has not ended yet.", hint="Look with: lpmops sandbox status"
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _is_held(folder: Path) -> bool:
    """Whether a process holds the folder, which it does from before it listens until after it has closed everything."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _await(folder: Path) -> Running | None:
    """What runs in a folder that is held; None once it is free. Raises LpmopsError where it is held and nobody answers."""
    deadline = time.monotonic() + START_DEADLINE
    while _is_held(folder):
        if (found := running(folder)) is not None:
            return found
        if time.monotonic() > deadline:
            raise LpmopsError(
                f"A process holds the sandbox's folder {folder} and does not answer.",
                hint=f"Its own words are in {folder / 'sandbox.log'}, its id in running.json.",
            )
        time.sleep(0.05)
    return None


def clear(folder: Path) -> None:
    """Empty a sandbox's folder. Raises UsageError for a folder that no sandbox made, OSError."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / _MARKER).exists():
        raise UsageError(
            f"{folder} is no sandbox's folder; nothing was removed.", hint="Set LPMOPS_SANDBOX_DIR to another folder."
        )
    for entry in folder.iterdir():
        # The marker goes last, so that a half-emptied folder is still known as a sandbox's.
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _MARKER:
            entry.unlink()
    (folder / _MARKER).unlink()


def _wish_of(folder: Path) -> tuple[int, int, int] | None:
    try:
        document = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
        return document["seed"], document["companies"], len(document["environments"][0]["databases"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def _launch(folder: Path, port: int) -> Running:
    log = folder / "sandbox.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lpmops.sandbox", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _answering(folder, port, process, log)
    except BaseException:
        # Also where the person or the system ends the command meanwhile: nobody would know of the process.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_DEADLINE)
        raise


def _answering(folder: Path, port: int, process: subprocess.Popen[bytes], log: Path) -> Running:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise LpmopsError(
                lines[-1] if lines else f"The sandbox ended at once, with exit code {process.returncode}.",
                hint=f"Try other ports with --port (now {port}), or read {log}.",
            )
        if (found := running(folder)) is not None:
            return found
        time.sleep(0.05)
    raise LpmopsError(f"The sandbox did not answer within {START_DEADLINE:.0f} s.", hint=f"Its own words are in {log}.")


def stop(found: Running) -> None:
    """End the process and wait until its folder is free. Raises LpmopsError where it doesn't end."""
    call(found, "POST", "/sandbox/stop")
    deadline = time.monotonic() + STOP_DEADLINE
    while (found.folder / "running.json").exists():
        if time.monotonic() > deadline:
            raise LpmopsError(
                f"The sandbox (process {found.pid}) is still ending.", hint="Look again with: lpmops sandbox status"
            )
        time.sleep(0.05)


def call(found: Running, method: str, path: str, body: Mapping[str, Any] | None = None, deadline: float = 5.0) -> Any:
    """One request to the sandbox's control address. Raises UnreachableError, or UsageError with the sandbox's own sentence."""
    connection = http.client.HTTPConnection("127.0.0.1", found.port, timeout=deadline)
    try:
        headers = {"Authorization": f"Bearer {found.token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body or {}), headers)
        answer = connection.getresponse()
        document = json.loads(answer.read() or b"{}")
    except (OSError, ValueError, OverflowError, http.client.HTTPException) as error:
        raise UnreachableError(
            f"The sandbox on port {found.port} does not answer: {error}.",
            service="sandbox",
            hint="lpmops sandbox start",
        ) from None
    finally:
        connection.close()
    if answer.status >= 400:
        raise UsageError(
            str(document.get("message", f"The sandbox refused: {answer.status}")), hint=str(document.get("hint", ""))
        )
    return document
