"""One trial of a kill: runs in a process of its own, which the fork server makes in milliseconds, and dies at the wished boundary."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from lpmops.errors import InDoubtError
from tests import forked
from tests.actions.cases import CASES, Case
from tests.actions.operator import KillingStore, KillSwitch, Operator, operator

T = TypeVar("T")
# Each of them in the long form; the short one takes so many of each case, spread over the whole.
LONG = bool(os.environ.get("LPMOPS_TEST_WIRE"))
_SHORT = 10


def spread(things: Sequence[T], number: int = _SHORT) -> list[T]:
    """All of them in the long form; in the short one so many, the first and the last among them, the same in each run."""
    if LONG or len(things) <= number:
        return list(things)
    return [things[round(at * (len(things) - 1) / max(1, number - 1))] for at in range(number)]


def prepare(case: Case, folder: Path) -> None:
    """A world in which the case has something to do."""
    with operator(folder) as worker:
        case.prepare(worker.cloud)


def boundaries(case: Case, folder: Path) -> int:
    """How many boundaries a run of the case has from its beginning to its end."""
    prepare(case, folder)
    return _with_switch(folder, KillSwitch(), lambda worker: worker.run(case))


def verbs(case: Case, folder: Path) -> list[str]:
    """With which verbs a run of the case writes."""
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.run(case)
        return sorted({act.verb for act in worker.cloud.acts()})


def run(name: str, folder: Path, at: int) -> None:
    """Run an action from the command, dying at the `at`-th boundary."""
    _with_switch(folder, KillSwitch(at), lambda worker: worker.run(CASES[name]))


def resume(name: str, folder: Path, at: int) -> None:
    """Finish what an earlier trial left, dying at the `at`-th boundary of that."""
    del name
    # What can't be repeated and left no trace ends in doubt, for an operator to resolve.
    with suppress(InDoubtError):
        _with_switch(folder, KillSwitch(at), lambda worker: worker.desk.resume(worker.unfinished()[0]))


def _with_switch(folder: Path, switch: KillSwitch, work: Callable[[Operator], object]) -> int:
    with operator(folder, trouble=switch.wrote, store=lambda path: KillingStore(path, switch)) as worker:
        work(worker)
    return switch.passed


def killed(target: Callable[[str, Path, int], None], name: str, folder: Path, at: int) -> bool:
    """Whether the trial died at its boundary; False where it ran to its end."""
    code = forked.run(target, name, folder, at, seconds=60)
    assert code in (0, -9), f"the trial ended with {code}"
    return code == -9


def finish(case: Case, folder: Path) -> None:
    """Finish it as an operator does; a lock that a dead process left without an operation runs out by itself."""
    with operator(folder) as worker:
        has_left = bool(worker.unfinished())
        if has_left:
            worker.finish(case)
    if not has_left:
        with operator(folder, ahead=61.0) as worker:
            worker.finish(case)


def assert_done_once(case: Case, folder: Path) -> None:
    """Each effect exactly once, the world as wished, nothing unfinished, the books in order."""
    with operator(folder, ahead=120.0) as worker:
        assert case.holds(worker.cloud)
        acts = worker.cloud.acts()
        assert {effect: acts[effect] for effect in case.effects} == dict.fromkeys(case.effects, 1), acts
        assert worker.unfinished() == []
        assert case.anew or not worker.plan(case).steps
        worker.check_books()
