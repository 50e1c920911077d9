"""What a replay did to what flows live beside it: how long the stream's heartbeats were under way before, while and after its runs were at work.

Beats go the way of every record, through hub, jobs and database, at all times; the control database keeps them. So nothing has to be watched for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from lpmops.actions.action import Bench
from lpmops.control import latency
from lpmops.control.landing import parameter
from lpmops.errors import LpmopsError, SignInError
from lpmops.model import ReplayRun
from lpmops.store import codec

_BEFORE = timedelta(minutes=10)
PHASES = ("before", "during", "after")


def measured(bench: Bench, runs: Sequence[ReplayRun]) -> dict[str, Any]:
    """Beats and their latency in seconds by phase, None where no beat came; `note` says why nothing is known. Raises SignInError alone."""
    starts = [run.started_at for run in runs if run.started_at is not None]
    ends = [run.ended_at for run in runs if run.ended_at is not None]
    if not starts or not ends:
        return {**dict.fromkeys(PHASES), "note": "it is not known when its runs were at work"}
    moments = (min(starts) - _BEFORE, min(starts), max(ends), bench.now())
    try:
        spans = pairwise(moments)
        return {**dict(zip(PHASES, (_span(bench, *span) for span in spans), strict=True)), "note": ""}
    except SignInError:
        raise
    except LpmopsError as error:
        return {**dict.fromkeys(PHASES), "note": f"the beats can't be read: {error.message}"}


def words(found: dict[str, Any]) -> str:
    """The same in a line."""
    if found["note"]:
        return f"not known: {found['note']}"
    return ", ".join(f"{phase} {_phase(found[phase])}" for phase in PHASES)


def _phase(found: dict[str, Any] | None) -> str:
    if found is None or found["p50"] is None:
        return "no heartbeat"
    return f"{found['p50']:.1f} s (95 % in {found['p95']:.1f} s)"


def _span(bench: Bench, start: datetime, end: datetime) -> dict[str, Any] | None:
    if end <= start:
        return None
    between = (parameter(codec.milliseconds(start)), parameter(codec.milliseconds(end)))
    rows = bench.control.rows("heartbeat_between", *between)
    histogram = Counter(latency.bucket(int(row["elapsed"])) for row in rows)
    found = latency.percentiles(histogram)
    return {"beats": len(rows), "p50": found.p50, "p95": found.p95} if rows else None
