"""What is probably wrong, first things first: pure rules from the facts of one look to ranked suspects.

The first suspect is the first hop, in the order a record passes them, that has a cause of its own. A hop that is only
behind comes after hops with a cause and is not named at all where a cause further down explains it: a stopped job fills
the hub, a dead database holds up the job that writes to it. Trouble that only blinds lpmops (a throttled or slow
management API, a missing right) comes after trouble with the stream; an expired sign-in, which hides all, comes first.
"""

from __future__ import annotations

from collections.abc import Callable

from lpmops.config import Environment, Thresholds
from lpmops.control import rules_loss, rules_sight, rules_sql, rules_stream
from lpmops.control.case import NOTE, Case, Found
from lpmops.control.facts import Facts
from lpmops.model import STAGES, Confidence, Suspect

_RULES: tuple[Callable[[Case], Found], ...] = (
    rules_sight.auth_expired,
    rules_stream.streaming_job,
    rules_stream.hub,
    rules_loss.lost,
    rules_stream.stream_analytics,
    rules_stream.routes,
    rules_sql.databases,
    rules_sight.sight,
    rules_sight.quiet,
)


def diagnose(facts: Facts, environment: Environment, thresholds: Thresholds) -> tuple[Suspect, ...]:
    """The suspects, the most probable root first; empty where nothing is wrong."""
    case = Case(facts, environment, thresholds)
    found = [item for rule in _RULES for item in rule(case)]
    if any(rank != NOTE for rank, _ in found):
        found = [item for item in found if item[0] != NOTE]
    order = {confidence: place for place, confidence in enumerate(Confidence)}
    found.sort(key=lambda item: (item[0], _place(item[1].stage), order[item[1].confidence]))
    return tuple(suspect for _, suspect in found)


def _place(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)
