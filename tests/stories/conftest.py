"""What the stories share: a sandbox that runs, the operator's machine beside it, and somebody who watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lpmops.cli.sandbox_setup import Wish
from lpmops.config import Config
from tests.sandboxes import free_ports, running_sandbox
from tests.stories.ledger import Ledger
from tests.stories.machine import Machine, Watcher, is_fine

# Looks come often, and one that hangs is given up soon, so that a story takes seconds.
QUICK_LOOKS = "\n[refresh]\ninterval = 2\nslow_interval = 5\ndeadline = 5\n"


@dataclass(frozen=True, slots=True)
class Stream:
    """A sandbox with six companies that runs since `started_at` (epoch seconds), watched all the time."""

    machine: Machine
    config: Config
    watcher: Watcher
    started_at: float

    def ledger(self, environment: str) -> Ledger:
        """Both ends of an environment."""
        return Ledger(self.config.environments[environment])

    def settle(self) -> None:
        """Wait until nothing is wrong anywhere."""
        since = time.time()
        for environment in self.config.environments:
            self.watcher.wait(environment, since, is_fine)


@pytest.fixture(scope="module")
def stream() -> Iterator[Stream]:
    """One sandbox for all stories of a module."""
    started_at = time.time()
    with running_sandbox(Wish(port=0, companies=6, rate=10.0)) as (running, config):
        quick = running.folder.parent / "lpmops.toml"
        quick.write_text((running.folder / "lpmops.toml").read_text(encoding="utf-8") + QUICK_LOOKS, encoding="utf-8")
        machine = Machine.at(running.folder.parent, quick)
        watcher = Watcher(machine)
        try:
            yield Stream(machine, config, watcher, started_at)
        finally:
            watcher.close()


@pytest.fixture
def calm_stream(stream: Stream) -> Iterator[Stream]:
    """The same, with nothing wrong before, and nothing left broken behind."""
    stream.settle()
    yield stream
    stream.machine.done("sandbox", "heal")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine of one's own, without a sandbox; one that is started ends with the test."""
    found = Machine.at(tmp_path)
    yield found
    found.run("sandbox", "stop")


@pytest.fixture
def port() -> int:
    """The first of enough free ports."""
    return free_ports()
