"""Where lpmops keeps its files, and nothing else.

`LPMOPS_STATE_DIR` moves the local store, so that a drill or a test never meets the operator's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from platformdirs import PlatformDirs

_DIRS = PlatformDirs("lpmops", appauthor=False)
STORE_NAME = "lpmops.db"


def state_directory(configured: str = "") -> Path:
    """The folder of the local store, reports and saved files, readable by its owner only; `configured` is the configuration's own choice.

    Raises OSError where it can't be made.
    """
    override = os.environ.get("LPMOPS_STATE_DIR") or configured
    folder = Path(override) if override else Path(_DIRS.user_state_dir)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def store_file(configured: str = "") -> Path:
    """The SQLite file of samples, snapshots, journal and audit."""
    return state_directory(configured) / STORE_NAME


def store_place(configured: str = "") -> Path:
    """The same file's place, without making its folder."""
    override = os.environ.get("LPMOPS_STATE_DIR") or configured
    return (Path(override) if override else Path(_DIRS.user_state_dir)) / STORE_NAME


def saved_directory(configured: str = "") -> Path:
    """Where the app puts what an operator copies or saves. Raises OSError where it can't be made."""
    folder = state_directory(configured) / "saved"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def preferences_file() -> Path:
    """What an operator likes in the app: theme, time zone, keys of their own."""
    return Path(_DIRS.user_config_dir) / "app.toml"


def user_config_file() -> Path:
    """The last place a configuration is looked for."""
    return Path(_DIRS.user_config_dir) / "lpmops.toml"


def sandbox_directory() -> Path:
    """The folder of the sandbox's own process, apart from the store."""
    override = os.environ.get("LPMOPS_SANDBOX_DIR")
    return Path(override) if override else Path(_DIRS.user_data_dir) / "sandbox"


def config_candidates(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> list[tuple[str, Path]]:
    """The places a configuration is looked for, first match wins, each with the words for why it is one."""
    found: list[tuple[str, Path]] = []
    if explicit:
        found.append(("--config", Path(explicit).expanduser()))
    elif environ.get("LPMOPS_CONFIG"):
        found.append(("LPMOPS_CONFIG", Path(environ["LPMOPS_CONFIG"]).expanduser()))
    else:
        found += [("this folder", Path("lpmops.toml")), ("your configuration folder", user_config_file())]
    return found
