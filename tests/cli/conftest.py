"""A command line with its whole world replaced: streams in memory, a clock, a configuration and a pretend environment."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lpmops.cli import context, history, record, status, wait
from lpmops.cli.context import World
from lpmops.config import Config, Reconcile, Refresh
from lpmops.errors import NotFoundError
from lpmops.store.connection import Store, open_store
from tests.control import pretend


@dataclass
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A stream that a person sees."""

    def isatty(self) -> bool:
        return True


@dataclass
class CommandLine:
    """Runs commands against pretend environments; `path` is the store."""

    path: Path
    worlds: dict[str, pretend.World] = field(default_factory=dict)
    terminal: bool = False
    environ: dict[str, str] = field(default_factory=dict)
    configured: bool = True
    # What a pretend environment is waited for, in seconds: longer than the slowest machine takes; a test in which something hangs asks for less.
    deadline: float = 20.0

    def config(self, _: str | None = None) -> Config:
        if not self.configured:
            raise NotFoundError("No configuration found.")
        refresh = Refresh(interval=0.05, slow_interval=0.2, deadline=self.deadline)
        environments = {name: world.environment for name, world in self.worlds.items()}
        # The pretend worlds know nothing of changes.
        return Config(environments, refresh=refresh, reconcile=Reconcile(interval=0))

    def store(self, _: str = "") -> Store:
        return open_store(self.path)

    def world(self) -> World:
        stream = Terminal if self.terminal else io.StringIO
        first = next(iter(self.worlds.values()))
        return World(
            stdin=stream(),
            stdout=stream(),
            stderr=stream(),
            environ=self.environ,
            now=lambda: first.now,
            load_config=self.config,
            open_services=lambda environment, _: self.worlds[environment.name],
            open_store=self.store,
        )

    def run(self, *words: str, world: World | None = None) -> Said:
        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        for room in (status, wait, history, record):
            room.register(app)
        with context.using(world or self.world()) as world:
            result = CliRunner().invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        out: Any = world.stdout
        err: Any = world.stderr
        return Said(result.exit_code, out.getvalue(), err.getvalue() + result.stderr)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(tmp_path / "store" / "lpmops.db")
    for name in ("dev", "test"):
        made.worlds[name] = pretend.World(environment=pretend.environment(name))
    yield made
    for world in made.worlds.values():
        world.release.set()
