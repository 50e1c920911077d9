"""Faults at the wire, by subscription: what a client sees when Azure is throttled, slow, broken or gone.

A fault can strike before the request is acted on or after it, so that lost answers can be told from lost requests. Thread-safe; the gateway asks
`next_for` once a request.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import Literal

Kind = Literal["throttle", "slow", "html", "half_body", "server_error", "reset"]
KINDS: tuple[Kind, ...] = ("throttle", "slow", "html", "half_body", "server_error", "reset")


@dataclass(frozen=True, slots=True)
class HttpFault:
    """One fault. `seconds` is Retry-After for `throttle` and the (real) wait for `slow`; `times` limits how often it strikes.

    `methods` and `path` (a part of the address, without case) narrow it; `after_effect` lets the request act first.
    """

    kind: Kind
    seconds: float = 5.0
    status: int = 500
    methods: frozenset[str] | None = None
    path: str = ""
    times: int | None = None
    after_effect: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}; known: {', '.join(KINDS)}")

    def strikes(self, method: str, path: str) -> bool:
        """Whether it is about this request."""
        return (self.methods is None or method in self.methods) and self.path.lower() in path.lower()


class WireFaults:
    """What is broken on the wire now; the first fault that was added and fits is the one that strikes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._active: dict[int, tuple[str, HttpFault, int]] = {}

    def add(self, subscription: str, fault: HttpFault) -> int:
        """Break something in a subscription ("*" is all of them); the number takes it back."""
        with self._lock:
            number = next(self._numbers)
            self._active[number] = (subscription.lower(), fault, 0)
            return number

    def remove(self, number: int) -> None:
        """Heal one fault; nothing happens when it is already gone."""
        with self._lock:
            self._active.pop(number, None)

    def clear(self, subscription: str = "*") -> None:
        """Heal a whole subscription, or everything."""
        wanted = subscription.lower()
        with self._lock:
            self._active = {n: held for n, held in self._active.items() if wanted != "*" and held[0] != wanted}

    def next_for(self, subscription: str, method: str, path: str) -> HttpFault | None:
        """The fault that strikes this request, counted; None when all is well."""
        with self._lock:
            for number, (where, fault, struck) in list(self._active.items()):
                if where in ("*", subscription.lower()) and fault.strikes(method, path):
                    if fault.times is not None and struck + 1 >= fault.times:
                        del self._active[number]
                    else:
                        self._active[number] = (where, fault, struck + 1)
                    return fault
        return None
