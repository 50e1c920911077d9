"""The stream of one environment: follows the table from the checkpoint that the running run's arguments name, as the stream job's own code does.

A job of somebody else's code says nothing of a checkpoint and follows from the environment's own. One thread steps; quarantining is safe from any.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.events import Oversized
from lpmops.sandbox.lake.streamjob import Append, Progress, StreamJob
from lpmops.sandbox.lake.table import ChangeTable

# The first version that holds records.
_FIRST = 1


class Streaming:
    """Steps the stream. `place` finds a path of a volume on this machine, `checkpoint` is the environment's own."""

    def __init__(
        self, table: ChangeTable, append: Append, place: Callable[[str], Path], clock: Clock, checkpoint: Path
    ) -> None:
        self._table, self._append, self._place, self._clock = table, append, place, clock
        self._own = self._followed = checkpoint.resolve()
        self._job = StreamJob(table, append, checkpoint, clock, starting_version=_FIRST)

    def step(self, arguments: Sequence[str]) -> Progress | None:
        """One micro-batch of a run with these arguments; None when there is nothing to do yet.

        Raises NoStartingVersion, ApiError for a checkpoint that is in no volume, and what `StreamJob.step` raises.
        """
        checkpoint, starting_version = self._asked(arguments)
        if checkpoint != self._followed:
            self._job = StreamJob(self._table, self._append, checkpoint, self._clock, starting_version=starting_version)
            self._followed = checkpoint
        return self._job.step()

    def _asked(self, arguments: Sequence[str]) -> tuple[Path, int | None]:
        parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False, exit_on_error=False)
        parser.add_argument("--checkpoint")
        parser.add_argument("--starting-version")
        given, _ = parser.parse_known_args(list(arguments))
        if not given.checkpoint:
            return self._own, _FIRST
        first = given.starting_version or ""
        return self._place(given.checkpoint), int(first) if first.isdecimal() and len(first) < 20 else None

    def put_aside(self, oversized: Sequence[Oversized]) -> None:
        """Keep what is too large to be sent in the quarantine table."""
        self._job.put_aside(oversized)
