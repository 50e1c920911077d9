"""`lpmops serve` as a process of its own, over a store that has seen three environments."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks import samples

DEADLINE = 40.0


def is_running(pid: int) -> bool:
    """Whether a process of that id is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@dataclass
class Serving:
    """A server that said where it is. `opened` are the ids of the apps' processes, oldest first."""

    process: Process
    said: dict[str, Any]
    opened: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """Where it is."""
        url: str = self.said["url"]
        return url

    async def hear(self) -> None:
        """Take in what it tells its operator until it ends."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self.news:
                self.told.append(line.decode())
                if "was opened" in self.told[-1]:
                    self.opened.append(int(self.told[-1].split("process ")[1].split(";")[0]))
                self.news.notify_all()

    async def windows(self, count: int) -> int:
        """Wait until that many windows have been opened since the start; gives the newest one's process."""
        async with asyncio.timeout(DEADLINE), self.news:
            await self.news.wait_for(lambda: len(self.opened) >= count)
        return self.opened[-1]

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(DEADLINE):
            return await self.process.wait()


def prepare(folder: Path) -> dict[str, str]:
    """A configuration and a store in `folder`, and the environment variables that point at them."""
    samples.write_config(folder / "lpmops.toml")
    samples.write_store(folder / "state", folder / "lpmops.toml")
    return {**os.environ, "LPMOPS_CONFIG": str(folder / "lpmops.toml"), "LPMOPS_STATE_DIR": str(folder / "state")}


@asynccontextmanager
async def serving(environ: dict[str, str], *options: str) -> AsyncIterator[Serving]:
    """Serve with those options, on any free port unless they name one."""
    port = () if "--port" in options else ("--port", "0")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lpmops", "serve", "-o", "jsonl", *port, *options, stdout=PIPE, stderr=PIPE, env=environ
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(DEADLINE):
            line = await process.stdout.readline()
        assert line, (await process.stderr.read()).decode()
        server = Serving(process, json.loads(line))
        hearing = asyncio.create_task(server.hear())
        yield server
        if process.returncode is None:
            await server.end()
        await hearing
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
