"""Processes of one's own in milliseconds: forked from a server that has imported what they need, once for each worker of a run.

A module that has something to run so is named here, because a worker has one server, which imports what it is told before its first process.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.actions.warm", "tests.stories.commands"])


def run(target: Callable[..., object], *arguments: Any, seconds: float) -> int:
    """Call `target` in a process of its own, and wait for its end: the exit code, or the signal that ended it as a negative number.

    Fails where it does not end within so many seconds.
    """
    process = _SERVER.Process(target=target, args=arguments)
    process.start()
    process.join(seconds)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
    process.close()
    assert code is not None, f"it did not end within {seconds:g} s: {arguments}"
    return code
