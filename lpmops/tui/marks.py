"""How a state looks: one glyph, one word, one role, the same on every screen.

Shape and word come before colour, so that a screen without colour says as much. Unknown is grey and has its own
shape; it is never drawn as fine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lpmops.model import Confidence, Health, Stage
from lpmops.tui.feed import Limits


@dataclass(frozen=True, slots=True)
class Mark:
    """A glyph of one cell, its word, and the role that colours both. A higher `weight` is worse."""

    glyph: str
    word: str
    role: str
    weight: int


FINE = Mark("●", "fine", "ok", 0)
PAUSED = Mark("⏸", "paused", "paused", 1)
UNKNOWN = Mark("○", "unknown", "unknown", 2)
DEGRADED = Mark("▲", "degraded", "warn", 3)
DOWN = Mark("✖", "down", "bad", 4)

_BY_HEALTH = {Health.HEALTHY: FINE, Health.DEGRADED: DEGRADED, Health.DOWN: DOWN, Health.UNKNOWN: UNKNOWN}
_BY_ROUTE = {
    "flowing": Mark("●", "flowing", "ok", 0),
    "paused": Mark("⏸", "paused", "paused", 1),
    "quiet": Mark("▲", "quiet", "warn", 2),
    "late": Mark("▲", "late", "warn", 3),
    "unknown": Mark("○", "unknown", "unknown", 4),
    "unreachable": Mark("✖", "unreachable", "bad", 5),
}
# States that a stage in trouble has too.
_SAYS_NOTHING = frozenset({"running", "active", "online", "unknown"})
_BY_CONFIDENCE = {Confidence.SURE: 0, Confidence.LIKELY: 1, Confidence.POSSIBLE: 2}


def of_health(health: Health) -> Mark:
    """The mark of an environment's health."""
    return _BY_HEALTH.get(health, UNKNOWN)


def of_stage(stage: Stage | None) -> Mark:
    """The mark of a stage; one that somebody paused says so, and one that was not read is unknown."""
    if stage is None:
        return UNKNOWN
    return PAUSED if stage.state.lower() == "paused" else of_health(stage.health)


def words_of_stage(stage: Stage | None) -> tuple[str, ...]:
    """What to call a stage's condition, the most telling word first: its own state where that says more than the glyph does."""
    word = of_stage(stage).word
    troubled = stage is not None and stage.health in (Health.DEGRADED, Health.DOWN)
    if stage is None or not troubled or not stage.state or stage.state.lower() in _SAYS_NOTHING:
        return (word,)
    return (stage.state.lower(), word) if stage.state.lower() != word else (word,)


def of_suspect(stage: Stage | None) -> Mark:
    """The mark of a suspicion: its stage's, never a calm one."""
    mark = of_stage(stage)
    return DEGRADED if mark is FINE else mark


def of_route(state: str) -> Mark:
    """The mark of a company's route; a state this version does not know is unknown."""
    return _BY_ROUTE.get(state, _BY_ROUTE["unknown"])


def confidence_rank(confidence: Confidence) -> int:
    """0 for sure, rising with doubt."""
    return _BY_CONFIDENCE.get(confidence, len(_BY_CONFIDENCE))


def of_latency(seconds: float | None, limits: Limits, *, over: bool = False) -> str:
    """The role a latency is drawn in: calm inside what was promised, a warning from four fifths of it on, or where the trouble is `over`."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    if seconds > limits.latency:
        return "warn" if over else "bad"
    return "warn" if seconds > 0.8 * limits.latency else "text"
