"""A sandbox of one's own: a process on free ports with a folder that goes with it, for stories and for benchmarks."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

from lpmops import config_reader
from lpmops.cli import sandbox_client
from lpmops.cli.sandbox_setup import PORTS, Wish
from lpmops.config import Config


@contextmanager
def running_sandbox(wish: Wish | None = None) -> Iterator[tuple[sandbox_client.Running, Config]]:
    """Start a sandbox as wished, on ports of its own, and end it with the block. Its folder is the process's sandbox folder meanwhile."""
    wish = replace(wish or Wish(port=0), port=free_ports())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lpmops-sandbox-")))
        stack.enter_context(
            mock.patch.dict(
                os.environ, {"LPMOPS_SANDBOX_DIR": str(folder / "sandbox"), "LPMOPS_STATE_DIR": str(folder / "state")}
            )
        )
        running, _ = sandbox_client.start(wish)
        stack.callback(sandbox_client.stop, running)
        yield running, config_reader.read(running.folder / "lpmops.toml")


def free_ports() -> int:
    """The first of enough free ports in a row."""
    for _ in range(200):
        first = random.randrange(20_000, 32_000)
        if all(_is_free(port) for port in range(first, first + PORTS)):
            return first
    raise RuntimeError("no ten free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
