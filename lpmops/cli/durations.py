"""Letting a span of time pass, and reading one (`seconds`) as the command line writes it."""

from __future__ import annotations

import time

from lpmops import moments

_NAP = 0.2
seconds = moments.span


def let_pass(span: float) -> None:
    """Wait for `span` seconds in naps: a signal that reached another thread is acted on only when this one wakes."""
    end = time.monotonic() + span
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _NAP))
