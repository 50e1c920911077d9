"""One trial of a kill: runs in a process of its own, which the fork server makes in milliseconds, and dies at the wished boundary."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from lpmops.store.connection import open_store
from tests.actions.operator import CASES, CREATE, RESTART, Case, KillingStore, KillSwitch, Operator, operator

_ACTS = {
    "stop", "start", "enable", "pause_put", "pause_delete", "pause_job", "continue_job", "cancel_run", "run_job",
    "change", "scale", "put_outputs", "put_transformations", "delete_outputs",
    "create_job", "update_job", "permit", "put_file",
    "put_namespace", "put_hub", "put_group", "put_job", "put_role", "put_setting", "execute",
    "lock_take", "lock_renew", "lock_release", "audit_head_put",
}  # fmt: skip
# A restart is done anew each time it is asked for, so what holds of the others after a second time does not hold of it.
EVERY = {**CASES, "stream restart": RESTART, "stream create": CREATE}
SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["tests.actions.kills"])


def stride(case: Case) -> int:
    """How many boundaries or calls the short form goes on by: an operation of many steps repeats itself, and the long form takes each."""
    if os.environ.get("LPMOPS_TEST_WIRE"):
        return 1
    return {"asa.deploy": 3, "stream.deploy": 3, "provision.apply": 7}.get(case.action, 1)


def _warm() -> None:
    """Import once, before any fork, what a trial would import by and by."""
    with tempfile.TemporaryDirectory() as folder, operator(Path(folder)) as worker:
        worker.run(CASES["pause"])


def run(name: str, folder: Path, at: int) -> None:
    """Run an action from the command, dying at the `at`-th boundary."""
    _with_switch(folder, at, lambda worker: worker.run(EVERY[name]))


def resume(name: str, folder: Path, at: int) -> None:
    """Finish what an earlier trial left, dying at the `at`-th boundary of that."""
    del name
    _with_switch(folder, at, lambda worker: worker.desk.resume(worker.unfinished()[0]))


def _with_switch(folder: Path, at: int, work: Callable[[Operator], object]) -> None:
    switch = KillSwitch(at)
    open_store(folder / "laptop" / "lpmops.db").close()

    def trouble(place: str, verb: str) -> None:
        if verb in _ACTS:
            switch(place, verb)

    with operator(folder, trouble=trouble, store=lambda path: KillingStore(path, switch)) as worker:
        work(worker)


def killed(target: Callable[[str, Path, int], None], name: str, folder: Path, at: int) -> bool:
    """Whether the trial died at its boundary; False where it ran to its end."""
    process = SPAWN.Process(target=target, args=(name, folder, at))
    process.start()
    process.join(60)
    code = process.exitcode
    process.close()
    assert code in (0, -9), f"the trial ended with {code}"
    return code == -9


def finish(case: Case, folder: Path) -> None:
    """What the operator does after a crash: look what is unfinished and resume it; or, where nothing was written, run the command again."""
    with operator(folder) as worker:
        left = worker.unfinished()
        if left:
            worker.desk.resume(left[0])
            return
    # A lock that a dead process left without an operation runs out by itself.
    with operator(folder, ahead=61.0) as worker:
        if worker.plan(case).steps:
            worker.run(case)


def assert_done_once(case: Case, folder: Path) -> None:
    """Each effect exactly once, the world as wished, nothing unfinished, the books in order."""
    with operator(folder, ahead=120.0) as worker:
        assert case.holds(worker.cloud)
        acts = worker.cloud.acts()
        for effect in case.effects:
            expected = 1 + (effect.verb == "pause_put" and case.action == "asa.start")
            assert acts[effect] == expected, acts
        assert worker.unfinished() == []
        assert not worker.plan(case).steps
        worker.check_books()


_warm()
