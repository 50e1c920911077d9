"""Spans of time as people write them on a command line (90, 90s, 2m, 1h30m, 500ms), and letting one pass."""

from __future__ import annotations

import re
import time

from lpmops.errors import UsageError

_NAP = 0.2
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def seconds(text: str) -> float:
    """The span in seconds; a bare number counts seconds. Raises UsageError."""
    cleaned = text.strip().lower()
    if _NUMBER.fullmatch(cleaned):
        return float(cleaned)
    parts = _PART.findall(cleaned)
    if not parts or "".join(number + unit for number, unit in parts) != cleaned:
        raise UsageError(f"{text!r} is no span of time.", hint="Write it as 90s, 2m, 1h30m or 500ms.")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def let_pass(span: float) -> None:
    """Wait for `span` seconds in naps: a signal that reached another thread is acted on only when this one wakes."""
    end = time.monotonic() + span
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _NAP))
