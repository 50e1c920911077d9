"""What no percentile shows: latency is measured on what landed, so it stays small while nothing lands.

`held_up` is pure; it says how long the newest record, heartbeat or company has been missing, where that is worse than
what the percentiles promise.
"""

from __future__ import annotations

from dataclasses import dataclass

from lpmops.model import Route, Snapshot, Stage
from lpmops.tui import words
from lpmops.tui.feed import Limits

_WORSE_THAN_MEASURED = 1.5
_BEATS = 2


@dataclass(frozen=True, slots=True)
class HeldUp:
    """Records that wait: for how many seconds, in a sentence, and the role both are drawn in."""

    seconds: float
    sentence: str
    role: str


def held_up(snapshot: Snapshot, limits: Limits) -> HeldUp | None:
    """What waits in this environment, None where the percentiles tell all there is."""
    waits, silent = _seconds(snapshot.stages.get("asa")), _seconds(snapshot.stages.get("sql"))
    # A heartbeat is only due every so often, so a young one says nothing.
    beat = snapshot.heartbeat_age or 0.0
    longest = max(waits or 0.0, beat if beat > _BEATS * limits.stretch else 0.0)
    if longest > max(limits.stretch, _WORSE_THAN_MEASURED * (snapshot.latency.p99 or 0.0)):
        if silent is not None and silent >= longest / 2:
            return _held(silent, f"nothing landed for {words.age(silent)}", limits)
        return _held(longest, f"the oldest waits for {words.age(longest)}", limits)
    cut_off = [route for route in snapshot.routes if route.state == "unreachable"]
    ages = [age for route in cut_off if (age := _age(route, snapshot)) is not None]
    # The newest row of all of them landed when the way was still open.
    if ages and min(ages) > limits.stretch:
        who = f"{words.count(len(cut_off))} compan{'y' if len(cut_off) == 1 else 'ies'}"
        return _held(min(ages), f"{who} cut off for {words.age(min(ages))}", limits)
    return None


def _held(seconds: float, sentence: str, limits: Limits) -> HeldUp:
    return HeldUp(seconds, sentence, "bad" if seconds > limits.latency else "warn")


def _seconds(stage: Stage | None) -> float | None:
    return stage.lag if stage is not None and stage.lag_unit == "s" and words.known(stage.lag) else None


def _age(route: Route, snapshot: Snapshot) -> float | None:
    return words.age_seconds(snapshot.taken_at, route.last_landed_at)
