"""What a workspace knows of the chunks of a replay while that is not over: how far each is, and the run that sends it.

One that did not answer once is asked nothing more, as it would be waited for once a chunk; what it said then is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from lpmops.actions.replay import newest_runs, replay_id
from lpmops.errors import LpmopsError
from lpmops.model import ReplayProgress, ReplayRun

if TYPE_CHECKING:
    from lpmops.services.replayruns import ReplayRunService

_T = TypeVar("_T")


class Workspace:
    """The workspace of one replay, reached by `reach` once somebody asks. `trouble` is what kept it from answering, empty for nothing."""

    def __init__(self, operation: str, reach: Callable[[], ReplayRunService]) -> None:
        self._operation, self._reach = operation, reach
        self.trouble = ""

    def progress(self, chunk: int) -> ReplayProgress | None:
        """How far a chunk is; None where that is not known."""
        return self._asked(lambda: self._service.progress(replay_id(self._operation, chunk)))

    def run(self, chunk: int) -> ReplayRun | None:
        """The newest run of a chunk; None where none is known."""
        found = self._asked(lambda: self._runs)
        return None if found is None else found.get(chunk)

    @cached_property
    def _service(self) -> ReplayRunService:
        return self._reach()

    @cached_property
    def _runs(self) -> dict[int, ReplayRun]:
        return newest_runs(self._service, self._operation)

    def _asked(self, question: Callable[[], _T]) -> _T | None:
        if self.trouble:
            return None
        try:
            return question()
        except LpmopsError as error:
            self.trouble = error.message
            return None
