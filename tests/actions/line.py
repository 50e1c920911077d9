"""`lpmops` run in this process against the pretend cloud, as a script and as a person at a terminal meet it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from typer.testing import CliRunner

from lpmops.cli import context
from lpmops.cli.app import build
from lpmops.cli.context import World
from lpmops.config import Config
from lpmops.store.connection import Store, open_store
from tests.actions.cloud import Cloud, config


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def data(self) -> Any:
        return self.document["data"]


@dataclass
class Line:
    """Runs `lpmops` in this process, against the pretend cloud in `folder`."""

    folder: Path
    cloud: Cloud
    typed: str | None = None
    environ: dict[str, str] = field(default_factory=lambda: {"LPMOPS_STATE_DIR": "somewhere"})

    def config(self, _: str | None = None) -> Config:
        return config(self.cloud.environment)

    def store(self, _: str = "") -> Store:
        return open_store(self.folder / "laptop" / "lpmops.db")

    def run(self, *words: str | Path) -> Said:
        stream = Terminal if self.typed is not None else io.StringIO
        world = World(
            stdin=stream(self.typed or ""),
            stdout=io.StringIO(),
            stderr=stream(),
            environ=self.environ,
            load_config=self.config,
            open_services=lambda *_: cast(Any, _Kept(self.cloud)),
            open_store=self.store,
        )
        with context.using(world):
            result = CliRunner().invoke(build(), [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        out, err = cast(io.StringIO, world.stdout), cast(io.StringIO, world.stderr)
        return Said(result.exit_code, out.getvalue(), err.getvalue() + result.stderr)


class _Kept:
    """The cloud, which a command must not close for the next one."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)

    def close(self) -> None:
        """It stays open."""
