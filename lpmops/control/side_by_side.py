"""Asks many databases the same at the same time, a few at once, so that one that is slow or dead does not keep the others waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from lpmops.errors import LpmopsError

AT_ONCE = 8

T = TypeVar("T")


def ask_each(names: Sequence[str], ask: Callable[[str], T]) -> tuple[dict[str, T], dict[str, LpmopsError]]:
    """What each name answered, in the order of the names, and the errors of those that did not. Each call ends by its own deadline.

    Raises what is no error of lpmops.
    """
    answers: dict[str, T] = {}
    errors: dict[str, Exception] = {}
    lock, waiting = threading.Lock(), list(names)

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                name = waiting.pop(0)
            try:
                answers[name] = ask(name)
            except Exception as error:  # noqa: BLE001 - the edge of the thread: raised again or told by whoever waits
                errors[name] = error

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(names)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed: dict[str, LpmopsError] = {}
    for name, error in errors.items():
        if not isinstance(error, LpmopsError):
            raise error
        failed[name] = error
    return {name: answers[name] for name in names if name in answers}, failed
