"""What an operator likes: theme, time zone, mouse, and keys of their own, from `app.toml` beside their configuration.

A wrong value or an unknown command never keeps the app from opening: it is left out, and a sentence says so. The app
writes the file back when a preference is changed inside it, keeping the keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lpmops.tui import commands

THEMES = ("dark", "light", "terminal")
ZONES = ("utc", "local")


@dataclass(frozen=True, slots=True)
class Preferences:
    """`keys` maps a command's id to its keys; `path` is where they are kept, None nowhere; `problems` are sentences about what was left out."""

    theme: str = "dark"
    zone: str = "utc"
    mouse: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    problems: tuple[str, ...] = ()


def load(path: Path) -> Preferences:
    """The preferences in `path`; those that are missing or wrong are the usual ones."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Preferences(path=path)
    except (OSError, ValueError) as error:
        # What can't be read is not written over: the operator's own text stays.
        return Preferences(problems=(f"{path} can't be read and is left out: {error}",))
    problems: list[str] = []
    theme = _one_of(found, "theme", THEMES, path, problems)
    zone = _one_of(found, "zone", ZONES, path, problems)
    mouse = found.get("mouse", True)
    if not isinstance(mouse, bool):
        problems.append(f"{path}: mouse is true or false, not {mouse!r}")
        mouse = True
    problems += [
        f"{path}: there is no setting {key!r}" for key in found if key not in ("theme", "zone", "mouse", "keys")
    ]
    return Preferences(theme, zone, mouse, _keys(found.get("keys", {}), path, problems), path, tuple(problems))


def save(preferences: Preferences) -> None:
    """Writes them where they came from. Raises OSError."""
    if preferences.path is None:
        return
    lines = [
        f'theme = "{preferences.theme}"',
        f'zone = "{preferences.zone}"',
        f"mouse = {'true' if preferences.mouse else 'false'}",
    ]
    if preferences.keys:
        lines += ["", "[keys]", *(f'"{name}" = "{keys}"' for name, keys in preferences.keys.items())]
    preferences.path.parent.mkdir(parents=True, exist_ok=True)
    partial = preferences.path.with_suffix(".partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(preferences.path)


def _one_of(found: Mapping[str, Any], name: str, choices: tuple[str, ...], path: Path, problems: list[str]) -> str:
    value = found.get(name, choices[0])
    if value in choices:
        return str(value)
    problems.append(f"{path}: {name} is one of {', '.join(choices)}, not {value!r}")
    return choices[0]


def _keys(found: Any, path: Path, problems: list[str]) -> dict[str, str]:
    if not isinstance(found, dict):
        problems.append(f"{path}: keys is a table of a command and its keys")
        return {}
    known = {command.id for command in commands.ALL}
    kept: dict[str, str] = {}
    for name, keys in found.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            problems.append(f"{path}: there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        elif not isinstance(keys, str) or not all(part.strip() for part in keys.split(",")) or not keys.isprintable():
            problems.append(f'{path}: the keys of {name} are names parted by commas, such as "f5,r"')
        else:
            kept[name] = ",".join(part.strip() for part in keys.split(","))
    problems += [f"{path}: {name} takes the key {key} from {other}" for name, key, other in commands.taken(kept)]
    return kept
