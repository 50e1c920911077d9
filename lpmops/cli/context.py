"""The world that a command runs in, as one object: streams, whether they are terminals, clock, folder, environment variables, and the ways out.

Commands ask `world()` for it, so that a test replaces the whole of it with `using(World(...))`. What costs time to import is reached through it and
loaded only when a command calls for it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from lpmops.config import Config, Environment
    from lpmops.control.sources import EnvironmentServices
    from lpmops.store.connection import Store


def _now() -> datetime:
    return datetime.now(UTC)


def _load_config(explicit: str | None) -> Config:
    from lpmops import config_reader

    return config_reader.load(explicit)


def _open_services(environment: Environment, deadline: float) -> EnvironmentServices:
    from lpmops.control.poller import open_services

    return open_services(environment, deadline)


def _no_app(config: Config) -> None:
    from lpmops.errors import InternalError

    raise InternalError(f"The app of {config.path} can't be opened from here.", hint="Open it with: lpmops")


def _no_picture(config: Config, folder: Path) -> list[Path]:
    from lpmops.errors import InternalError

    raise InternalError(
        f"No picture for {folder} can be drawn from here ({config.path}).", hint="Draw it with: lpmops sandbox picture"
    )


def _open_store(configured: str) -> Store:
    from lpmops import paths
    from lpmops.errors import StoreError
    from lpmops.store.connection import open_store

    try:
        path = paths.store_file(configured)
    except OSError as error:
        raise StoreError(
            f"The folder of the local store can't be made: {error}.",
            hint="Set LPMOPS_STATE_DIR to a folder of your own.",
        ) from error
    return open_store(path)


@dataclass(slots=True)
class World:
    """Everything outside of a command. `config_path` is what `--config` said, `read_only` whether the app may change nothing,
    `mouse` whether it takes the mouse."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Callable[[], Path] = Path.cwd
    now: Callable[[], datetime] = _now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    config_path: str | None = None
    read_only: bool = False
    mouse: bool = True
    load_config: Callable[[str | None], Config] = _load_config
    open_services: Callable[[Environment, float], EnvironmentServices] = _open_services
    open_store: Callable[[str], Store] = _open_store
    open_app: Callable[[Config], None] = _no_app
    save_pictures: Callable[[Config, Path], list[Path]] = _no_picture

    def is_terminal(self, stream: TextIO) -> bool:
        """Whether a person sees that stream; a closed one is none."""
        try:
            return stream.isatty()
        except ValueError:
            return False

    def has_colour(self, stream: TextIO) -> bool:
        """Whether colour may go to that stream: no-color.org, TERM=dumb, a terminal, FORCE_COLOR."""
        if self.environ.get("NO_COLOR"):
            return False
        if self.environ.get("FORCE_COLOR"):
            return True
        return self.environ.get("TERM") != "dumb" and self.is_terminal(stream)

    def may_ask(self, no_input: bool) -> bool:
        """Whether a question may be asked; `--no-input` counts even on a terminal."""
        return not no_input and self.is_terminal(self.stdin) and self.is_terminal(self.stderr)

    def config(self) -> Config:
        """The configuration. Raises ConfigError."""
        return self.load_config(self.config_path)

    def stored(self) -> Store:
        """The local store, for a command that answers from it alone. Raises StoreError.

        Of the configuration only where the store lies is looked at: checking all of it would take longer than the answer.
        """
        if self.environ.get("LPMOPS_STATE_DIR"):
            return self.open_store("")
        return self.open_store(self._configured_state_directory())

    def _configured_state_directory(self) -> str:
        import tomllib

        from lpmops import paths

        for _, place in paths.config_candidates(self.config_path, self.environ):
            try:
                found = tomllib.loads(place.read_text(encoding="utf-8")).get("state_directory", "")
            except FileNotFoundError:
                continue
            except (OSError, ValueError):
                return ""
            return found if isinstance(found, str) else ""
        return ""


_current = World()


def world() -> World:
    """The world of this process."""
    return _current


@contextmanager
def using(other: World) -> Iterator[World]:
    """Run inside with another world."""
    global _current
    before, _current = _current, other
    try:
        yield other
    finally:
        _current = before
