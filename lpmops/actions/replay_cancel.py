"""Cancelling a replay: its run is ended at Databricks and waited for, then the operation is given up; what was sent stays sent.

Where another process of this machine runs the operation, only the run is ended: that process sees it and stops by itself.
"""

from __future__ import annotations

from typing import Any

from lpmops.actions.desk import Desk
from lpmops.actions.replay_preflight import RUN_PREFIX
from lpmops.control.engine import is_alive
from lpmops.errors import RefusedError, TimedOutError
from lpmops.model import ReplayRun
from lpmops.store import journal
from lpmops.store.journal import UNFINISHED

_WAIT_SECONDS = 300.0


def cancel(desk: Desk, identifier: str, reason: str) -> dict[str, Any]:
    """End a replay; how it stands then. Raises RefusedError for one that is over, TimedOutError where its run does not end, ServiceError types."""
    operation, steps = journal.read(desk.store, identifier)
    if operation.state not in UNFINISHED:
        raise RefusedError(
            f"Replay {operation.id} is over: it is {operation.state}.",
            hint=f"See it: lpmops replay show {operation.id}",
        )
    # One more than the operation knows of: a run whose answer was lost is ended too.
    active: list[ReplayRun] = desk.services.replays.active(f"{RUN_PREFIX}{operation.id} ")
    for run in active:
        desk.services.replays.cancel(run.run_id)
    ended = ", ".join(f"run {run.run_id}" for run in active)
    if is_alive(desk.store, operation.id, desk.now()):
        state = operation.state
        said = f"{ended or 'no run'} was cancelled; the process that runs the replay sees it and stops."
    else:
        _wait(desk, operation.id)
        book = desk.abort(operation.id, reason)
        state, steps = book.operation.state, tuple(book.steps)
        said = f"{ended or 'no run was at work'}{' has ended' if ended else ''}; the replay was given up."
    listed = [{"name": step.name, "state": step.state} for step in steps]
    return {"operation": operation.id, "state": state, "steps": listed, "result": {"reason": reason}, "said": said}


def _wait(desk: Desk, operation: str) -> None:
    """Look until no run of the replay is at work."""
    end = desk.ticking.monotonic() + _WAIT_SECONDS
    while left := desk.services.replays.active(f"{RUN_PREFIX}{operation} "):
        if desk.ticking.monotonic() > end:
            raise TimedOutError(
                f"Run {left[0].run_id} was cancelled and has not ended within {_WAIT_SECONDS:.0f} s.",
                hint="Look at it in the workspace, then repeat this command.",
                operation=operation,
            )
        desk.ticking.sleep(1.0)
