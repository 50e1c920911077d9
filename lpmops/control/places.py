"""Where the files of this machine are: what was configured where, and what lpmops keeps and makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lpmops import paths
from lpmops.config import Config


def places(config: Config) -> list[tuple[str, str]]:
    """Pairs of what and where, for a person; a folder that can't be made says so. No service and no store is asked."""
    kept = config.state_directory
    found: list[tuple[str, Callable[[], Path]]] = [
        ("store", lambda: paths.store_file(kept)),
        ("saved files", lambda: paths.saved_directory(kept)),
        ("reports", lambda: paths.state_directory(kept)),
        ("preferences and keys", paths.preferences_file),
    ]
    return [("configuration", _configuration(config)), *((what, _where(path)) for what, path in found)]


def _configuration(config: Config) -> str:
    """The file and why it is the one that counts."""
    if config.path is None:
        return "given by the program, no file"
    found = config.path.resolve()
    why = next((why for why, path in paths.config_candidates() if path.resolve() == found), "--config")
    return f"{found} ({why})"


def _where(path: Callable[[], Path]) -> str:
    try:
        return str(path())
    except OSError as error:
        return f"can't be made: {error.strerror or type(error).__name__} ({error.filename})"
