"""What a job remembers beyond its process: its state, how far each partition is written, and when each output last got a row.

One JSON file, replaced whole. It survives kill -9 of the process; what was written after the last checkpoint is read and written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lpmops.sandbox.files import write_whole


class DamagedCheckpoint(Exception):
    """A checkpoint that can't be read; the message names the file."""


@dataclass(slots=True)
class Checkpoint:
    """The state as text; positions by input and partition; the times of the start, of the watermark, and of each output's last row."""

    state: str = "Created"
    positions: dict[str, dict[int, int]] = field(default_factory=dict)
    output_start: datetime | None = None
    watermark: datetime | None = None
    last_output: dict[str, datetime] = field(default_factory=dict)
    failure: str | None = None


class CheckpointFile:
    """A job's checkpoint in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "checkpoint.json"

    def load(self) -> Checkpoint:
        """The checkpoint; a new one where there is none. Raises DamagedCheckpoint."""
        if not self._path.exists():
            return Checkpoint()
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return Checkpoint(
                state=str(found["state"]),
                positions={
                    name: {int(key): int(value) for key, value in held.items()}
                    for name, held in found["positions"].items()
                },
                output_start=_moment(found["output_start"]),
                watermark=_moment(found["watermark"]),
                last_output={name: datetime.fromisoformat(value) for name, value in found["last_output"].items()},
                failure=found["failure"],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedCheckpoint(
                f"{self._path} is no checkpoint: {error}; move it away to start without it"
            ) from error

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint."""
        document = {
            "state": checkpoint.state,
            "positions": checkpoint.positions,
            "output_start": _text(checkpoint.output_start),
            "watermark": _text(checkpoint.watermark),
            "last_output": _texts(checkpoint.last_output),
            "failure": checkpoint.failure,
        }
        write_whole(self._path, json.dumps(document))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _texts(moments: Mapping[str, datetime]) -> dict[str, str]:
    return {name: moment.isoformat() for name, moment in moments.items()}
