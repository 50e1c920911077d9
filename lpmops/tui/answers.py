"""What a screen asks for when somebody looks closer, and what came back, without the screen ever waiting.

A `Question` says what is asked, of which part of the feed, and how long an answer stays good. `Answers.get` gives what
is known now and asks again on a daemon thread where that is too old; the arrival wakes the loop. A question that fails
keeps its last good value beside the sentence that says why.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from lpmops.errors import LpmopsError
from lpmops.tui.aside import Aside
from lpmops.tui.faults import report
from lpmops.tui.feed import Feed

T = TypeVar("T")
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """`name` tells it from others; `ask` may block; `every` is the seconds after which the answer is asked for anew, None never."""

    name: tuple[Hashable, ...]
    ask: Callable[[Feed], T] = field(compare=False)
    every: float | None = 10.0


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """The newest value and when it came; `fault` why the last try failed, with what to do about it; `asking` while a try is under way."""

    value: T | None = None
    at: datetime | None = None
    fault: str = ""
    hint: str = ""
    tried_at: datetime | None = None
    asking: bool = False

    @property
    def pending(self) -> bool:
        """Whether nothing is known yet, neither a value nor a fault."""
        return self.at is None and not self.fault


class Answers:
    """The questions of one app. `wake` is called from any thread when an answer has come."""

    def __init__(self, feed: Feed, wake: Callable[[], None]) -> None:
        self._feed, self._wake = feed, wake
        self._aside = Aside(self._failed)
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Hashable, ...], Answer[Any]] = OrderedDict()
        self._outdated: set[tuple[Hashable, ...]] = set()

    @property
    def asking(self) -> bool:
        """Whether any answer is still to come."""
        with self._lock:
            return any(answer.asking for answer in self._known.values())

    def get(self, question: Question[T], now: datetime, *, anew: bool = False) -> Answer[T]:
        """What is known; asks where nothing is, where it is too old, or where `anew` says so."""
        with self._lock:
            known = self._known.get(question.name, Answer())
            if known.asking or not (anew or _is_due(known, question.every, now)):
                return cast("Answer[T]", known)
            known = replace(known, asking=True, tried_at=now)
            self._keep(question, known)
        self._aside.run(repr(question.name), lambda: self._ask(question))
        return cast("Answer[T]", known)

    def outdate(self, question: Question[Any]) -> None:
        """What is known of it is of before something happened, what is being read just now too: whoever asks next has it read again."""
        with self._lock:
            known = self._known.get(question.name)
            if known is not None and known.asking:
                self._outdated.add(question.name)
            elif known is not None:
                self._known[question.name] = replace(known, tried_at=None)

    def _failed(self, name: str, error: Exception) -> None:
        report(None, name, error)

    def _ask(self, question: Question[T]) -> None:
        before = self._known.get(question.name, Answer())
        try:
            value = question.ask(self._feed)
            answer: Answer[T] = Answer(value, self._feed.now(), tried_at=before.tried_at)
        except LpmopsError as error:
            answer = replace(before, asking=False, fault=error.message or type(error).__name__, hint=error.hint)
        except Exception as error:  # noqa: BLE001 the edge of a thread: logged, and shown where the answer would stand
            sentence = report(None, f"asking for {question.name[0]}", error)
            answer = replace(before, asking=False, fault=sentence, hint="")
        with self._lock:
            if question.name in self._outdated:
                self._outdated.discard(question.name)
                answer = replace(answer, tried_at=None)
            self._keep(question, answer)
        self._wake()

    def _keep(self, question: Question[Any], answer: Answer[Any]) -> None:
        self._known[question.name] = answer
        self._known.move_to_end(question.name)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)


def _is_due(known: Answer[Any], every: float | None, now: datetime) -> bool:
    if known.tried_at is None:
        return True
    if every is None and not known.fault:
        return False
    # The distance is absolute: after the clock was set back nothing may wait until it catches up.
    return abs((now - known.tried_at).total_seconds()) >= (every or 10.0)
