"""Pausing and cancelling a replay: its run is ended at Databricks and waited for, and no further one begins; what was sent stays sent.

Where another process of this machine runs the operation, that process sees that its run has ended, and stops by itself; it is waited for too. A
paused replay goes on where it was with `resume`, a cancelled one is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lpmops.actions.action import Bench
from lpmops.actions.replay_preflight import RUN_PREFIX
from lpmops.control.engine import is_alive
from lpmops.errors import RefusedError, TimedOutError
from lpmops.store import journal
from lpmops.store.journal import OUT_STEPS, UNFINISHED

if TYPE_CHECKING:
    from lpmops.actions.desk import Desk

_WAIT_SECONDS = 300.0


def end_runs(bench: Bench, operation: str) -> tuple[str, ...]:
    """Order every run of a replay that is at work to end; their ids. One more than the operation knows of: one whose answer was lost too.

    Raises ServiceError types.
    """
    active = tuple(run.run_id for run in bench.services.replays.active(f"{RUN_PREFIX}{operation} "))
    for run_id in active:
        bench.services.replays.cancel(run_id)
    return active


def pause(desk: Desk, identifier: str, reason: str) -> dict[str, Any]:
    """End the run that is at work and leave the rest to be resumed; how it stands then. Raises what `cancel` raises."""
    ended = _end(desk, identifier)
    operation, steps = journal.read(desk.store, identifier)
    if operation.state not in UNFINISHED:
        return _data(desk, operation.id, "it had come to its end before it could be paused.")
    if any(step.state in OUT_STEPS for step in steps):
        # The run that was under way is known to be over: whoever resumes sends its chunk again.
        desk.resolve(operation.id, "not-done", reason or "paused")
    return _data(desk, operation.id, f"{ended}; it goes on with: lpmops replay resume {operation.id}")


def cancel(desk: Desk, identifier: str, reason: str) -> dict[str, Any]:
    """End a replay; how it stands then. Raises RefusedError for one that is over, TimedOutError where its run does not end, ServiceError types."""
    ended = _end(desk, identifier)
    desk.abort(identifier, reason)
    return _data(desk, identifier, f"{ended}; the replay was given up.")


def _end(desk: Desk, identifier: str) -> str:
    """Look until no run of the replay is at work and no process runs it; what was ended, in words."""
    operation, _ = journal.read(desk.store, identifier)
    if operation.state not in UNFINISHED:
        raise RefusedError(
            f"Replay {operation.id} is over: it is {operation.state}.",
            hint=f"See it: lpmops replay show {operation.id}",
        )
    bench, ended = desk.bench(), dict[str, None]()
    until = desk.ticking.monotonic() + _WAIT_SECONDS
    # Each time anew: the process that runs it may have begun the next one just before it saw that the last had ended.
    while (left := end_runs(bench, operation.id)) or is_alive(desk.store, operation.id, desk.now()):
        ended |= dict.fromkeys(left)
        if desk.ticking.monotonic() > until:
            what = f"Run {left[0]} was cancelled and" if left else "The process that runs the replay"
            raise TimedOutError(
                f"{what} has not ended within {_WAIT_SECONDS:.0f} s.",
                hint=f"Repeat this command; see the runs in the workspace, and the operation with: lpmops op show {operation.id}",
                operation=operation.id,
            )
        desk.ticking.sleep(1.0)
    return f"run {', '.join(ended)} was ended" if ended else "no run was at work"


def _data(desk: Desk, identifier: str, said: str) -> dict[str, Any]:
    operation, steps = journal.read(desk.store, identifier)
    listed = [{"name": step.name, "state": step.state} for step in steps]
    return {"operation": operation.id, "state": operation.state, "steps": listed, "result": {"said": said}}
