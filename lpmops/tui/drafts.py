"""What was typed into a panel that was left before its plan was carried out, so that it is there when the panel is opened again.

Only fields that hold nothing personal are kept, for the operator alone, in one small file of the state directory. What can't be read or written costs
nobody more than typing it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpmops import paths
from lpmops.model import parse_time, to_data

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 5_000


@dataclass(frozen=True, slots=True)
class Draft:
    """The texts by field, and when they were kept."""

    texts: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None


def load(state_directory: str, environment: str, action: str) -> Draft:
    """What is kept of an action in an environment; nothing where there is none."""
    kept = _read(state_directory).get(_name(environment, action))
    if not isinstance(kept, dict) or not isinstance(kept.get("texts"), dict):
        return Draft()
    try:
        at = parse_time(str(kept.get("at")))
    except (ValueError, OverflowError):
        return Draft()
    return Draft({str(name): text for name, text in kept["texts"].items() if isinstance(text, str)}, at)


def keep(state_directory: str, environment: str, action: str, draft: Draft) -> None:
    """Keeps a draft; one without a text is forgotten. Raises OSError."""
    every = _read(state_directory)
    name = _name(environment, action)
    texts = {key: text for key, text in draft.texts.items() if len(text) <= _LONGEST}
    if not texts:
        if name not in every:
            return
        del every[name]
    else:
        every[name] = {"texts": texts, "at": to_data(draft.at)}
    path = _path(state_directory)
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(every), encoding="utf-8")
    partial.replace(path)


def _read(state_directory: str) -> dict[str, Any]:
    try:
        found = json.loads(_path(state_directory).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _path(state_directory: str) -> Path:
    return paths.state_directory(state_directory) / "drafts.json"


def _name(environment: str, action: str) -> str:
    return f"{action} {environment}"
