"""Pausing and cancelling a replay: its run is ended at Databricks and waited for, and no further one begins; what was sent stays sent.

Where another process of this machine runs the operation, that process sees that its run has ended, and stops by itself; it is waited for too. One
that only waits until what was sent has landed, or makes the proof, has nothing that could be ended, and is named instead. A paused replay goes on
where it was with `resume`, a cancelled one is over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lpmops.actions.action import Bench
from lpmops.actions.replay_preflight import RUN_PREFIX
from lpmops.control.engine import process_of
from lpmops.control.operations import FINISHED_STEPS, Operation, operation_of
from lpmops.control.plan import WAITS
from lpmops.errors import RefusedError, TimedOutError
from lpmops.model import to_data
from lpmops.store import journal
from lpmops.store.journal import OUT_STEPS, UNFINISHED

if TYPE_CHECKING:
    from lpmops.actions.desk import Desk

_WAIT_SECONDS = 300.0


def end_runs(bench: Bench, operation: str, ordered: Collection[str] = ()) -> tuple[str, ...]:
    """Order every run of a replay that is at work to end, but for those that were ordered to before; the ids of all that are at work.

    One more than the operation knows of: one whose answer was lost too. Raises ServiceError types.
    """
    active = tuple(run.run_id for run in bench.services.replays.active(f"{RUN_PREFIX}{operation} "))
    for run_id in active:
        if run_id not in ordered:
            bench.services.replays.cancel(run_id)
    return active


def pause(desk: Desk, identifier: str, reason: str) -> dict[str, Any]:
    """End the run that is at work and leave the rest to be resumed; how it stands then. Raises what `cancel` raises."""
    ended = _end(desk, identifier, "pause")
    operation, steps = journal.read(desk.store, identifier)
    if operation.state not in UNFINISHED:
        return _data(desk, operation.id, "it had come to its end before it could be paused.")
    # The process that runs it writes down that a run has ended, and not that somebody wanted so.
    desk.note("replay.paused", {"reason": reason, "runs": ended}, operation.id)
    if any(step.state in OUT_STEPS for step in steps):
        # The run that was under way is known to be over: whoever resumes sends its chunk again.
        desk.resolve(operation.id, "not-done", reason or "paused")
    return _data(desk, operation.id, f"{_words(ended)}; it goes on with: lpmops replay resume {operation.id}")


def cancel(desk: Desk, identifier: str, reason: str) -> dict[str, Any]:
    """End a replay; how it stands then.

    Raises RefusedError for one that is over or has nothing left to end, TimedOutError where its run does not end, ServiceError types.
    """
    ended = _end(desk, identifier, "cancel")
    desk.abort(identifier, reason)
    return _data(desk, identifier, f"{_words(ended)}; the replay was given up.")


def _words(ended: Sequence[str]) -> str:
    return f"run {', '.join(ended)} was ended" if ended else "no run was at work"


def _end(desk: Desk, identifier: str, verb: str) -> list[str]:
    """Look until no run of the replay is at work and no process runs it; the runs that were ended."""
    operation, _ = journal.read(desk.store, identifier)
    if operation.state not in UNFINISHED:
        raise RefusedError(
            f"Replay {operation.id} is over: it is {operation.state}.",
            hint=f"See it: lpmops replay show {operation.id}",
        )
    bench, ended = desk.bench(), dict[str, None]()
    until = desk.ticking.monotonic() + _WAIT_SECONDS
    # Each time anew: the process that runs it may have begun the next one just before it saw that the last had ended.
    while (left := end_runs(bench, operation.id, ended)) or process_of(desk.store, operation.id, desk.now()):
        ended |= dict.fromkeys(left)
        if not left:
            _refuse_where_all_is_sent(desk, operation.id, verb)
        if desk.ticking.monotonic() > until:
            what = f"Run {left[0]} was cancelled and" if left else "The process that runs the replay"
            raise TimedOutError(
                f"{what} has not ended within {_WAIT_SECONDS:.0f} s.",
                hint=f"Repeat this command; see the runs in the workspace, and the operation with: lpmops op show {operation.id}",
                operation=operation.id,
            )
        desk.ticking.sleep(1.0)
    return list(ended)


def _refuse_where_all_is_sent(desk: Desk, identifier: str, verb: str) -> None:
    """Raises RefusedError where the process that runs a replay has no run to begin any more: it would not see that anything was ended."""
    row, steps = journal.read(desk.store, identifier)
    operation, process = operation_of(desk.store, row, steps, desk.now()), process_of(desk.store, row.id, desk.now())
    if process is None or _has_runs_left(operation):
        return
    host, number = process
    raise RefusedError(
        f"Nothing is left to {verb}: all runs of replay {row.id} are done, and what they sent stays. "
        f"Process {number} on {host} {_what_it_does(operation)}.",
        hint=f"Wait for it; how it stands: lpmops replay show {row.id}\n"
        f"To leave it at that, stop that process (Ctrl-C, in the app s), then: lpmops op abort {row.id} --reason WHY",
    )


def _has_runs_left(operation: Operation) -> bool:
    return any(step.state not in FINISHED_STEPS and not step.kind.startswith(WAITS) for step in operation.steps)


def _what_it_does(operation: Operation) -> str:
    """What is left of a replay whose runs are done: to wait for a while at most, and to look."""
    step = operation.step
    if step is None:
        return "is making the proof"
    if step.begun_at is None:
        return "is about to wait until it has landed, and then makes the proof"
    until = to_data(step.begun_at + timedelta(seconds=step.arguments["seconds"]))
    return f"waits until it has landed, till {until} at most, and then makes the proof"


def _data(desk: Desk, identifier: str, said: str) -> dict[str, Any]:
    operation, steps = journal.read(desk.store, identifier)
    listed = [{"name": step.name, "state": step.state} for step in steps]
    return {"operation": operation.id, "state": operation.state, "steps": listed, "result": {"said": said}}
