"""Bounded runs of the stream job's code, as a cluster executes them: the replay of some versions, and what may end it midway.

A run is executed on its own thread by the workspace's jobs. What it is asked is checked as on a cluster; a task that is no replay is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks.jobs import TaskRun
from lpmops.sandbox.lake.events import OutgoingEvent, Oversized
from lpmops.sandbox.lake.replay import Replay
from lpmops.sandbox.lake.replay_arguments import ReplayError
from lpmops.sandbox.lake.table import ChangeTable


class BoundedRuns:
    """Executes bounded runs over one table. While `breaks` is set each of them ends midway, as where the hub's answer never comes."""

    def __init__(
        self,
        table: ChangeTable,
        send: Callable[[Sequence[OutgoingEvent]], object],
        put_aside: Callable[[Sequence[Oversized]], None],
        place: Callable[[str], Path],
        clock: Clock,
    ) -> None:
        self._table, self._send, self._put_aside, self._place, self._clock = table, send, put_aside, place, clock
        self.breaks = False

    def execute(self, asked: TaskRun) -> str:
        """What the run has to say. Raises ReplayError for one that fails."""
        tasks = [task["spark_python_task"] for task in asked.tasks if "spark_python_task" in task]
        if len(tasks) != 1 or list(tasks[0].get("parameters") or ())[:1] != ["replay"]:
            raise ReplayError("The sandbox executes the stream job's replay, and no other task.")
        replay = Replay(
            tasks[0]["parameters"],
            self._table,
            self._send,
            self._put_aside,
            self._place,
            self._clock,
            breaks=lambda: self.breaks,
        )
        return replay.run(asked.cancelled)
