"""What goes wrong inside the app is said, once, and the app goes on.

A fault is logged with its traceback and shown as a short notice. The same fault within a minute is counted, not shown
again. No local variables are printed: they may hold what must not be shown.
"""

from __future__ import annotations

import logging
import time

from lpmops.plain_text import plain_line

_LOG = logging.getLogger("lpmops.tui")
_QUIET_SECONDS = 60.0


class Faults:
    """The faults of one run of the app; safe to use from any thread."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self._last: dict[str, float] = {}

    def is_new(self, sentence: str) -> bool:
        """Whether `sentence` has not been said within the last minute; remembers it."""
        now = time.monotonic()
        new = now - self._last.get(sentence, -_QUIET_SECONDS) >= _QUIET_SECONDS
        if new:
            self._last[sentence] = now
            self.sentences.append(sentence)
        return new


def sentence_of(doing: str, error: BaseException) -> str:
    """One harmless line that says what was being done and what happened."""
    text = str(error) or type(error).__name__
    return plain_line(f"{doing}: {text}")


def report(app: object, doing: str, error: BaseException) -> str:
    """Logs a fault met while `doing` something, and tells it through `app` where there is one; gives the sentence."""
    sentence = sentence_of(doing, error)
    faults = getattr(app, "faults", None)
    if isinstance(faults, Faults) and not faults.is_new(sentence):
        return sentence
    _LOG.error("%s", sentence, exc_info=(type(error), error, error.__traceback__))
    tell = getattr(app, "tell", None)
    if callable(tell):
        tell(sentence)
    return sentence
