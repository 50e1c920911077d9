"""Where the Azure side keeps its state: one JSON file a document, replaced whole.

A reader never sees half a document, and a full disk leaves the old one in place (OSError reaches the caller, who has changed nothing yet).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from lpmops.sandbox.files import write_whole


class DamagedDocument(Exception):
    """A state file that is no JSON object; the message names it."""


class Documents:
    """The documents of one kind, in one folder; keys may hold any text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, key: str, document: dict[str, Any]) -> None:
        """Replace a document, atomically."""
        write_whole(self._path(key), json.dumps(document, ensure_ascii=False), synced=True)

    def delete(self, key: str) -> None:
        """Forget a document; nothing happens when there is none."""
        self._path(key).unlink(missing_ok=True)

    def load(self) -> dict[str, dict[str, Any]]:
        """All documents by key. Raises DamagedDocument."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DamagedDocument(f"{path}: {error}; move it away to start without it") from error
            if not isinstance(document, dict):
                raise DamagedDocument(f"{path}: not a JSON object; move it away to start without it")
            found[unquote(path.stem)] = document
        return found

    def _path(self, key: str) -> Path:
        return self._folder / f"{quote(key, safe='')}.json"
