"""What an app asks before it plans a replay: a range of versions or times, or none for what is known to be missing; companies; the rate."""

from __future__ import annotations

from datetime import datetime

from lpmops.actions import inputs, replay_wish
from lpmops.actions.action import Bench
from lpmops.actions.inputs import Choice, Input
from lpmops.control import routes
from lpmops.control.routes import REMOVED
from lpmops.errors import UsageError


def end(text: str, now: datetime) -> int | str | None:
    """Reads an end of the range: a version, or a moment of the past as RFC 3339; nothing is None."""
    # A number alone is a version, with a sign a wrong one: -3 must not be taken for three seconds ago.
    is_number = text.strip().lstrip("+-").replace(",", "").isdigit()
    return inputs.version(text, now) if is_number else inputs.gone(text, now)


def rate(text: str, now: datetime) -> int | None:
    """Reads events a second; nothing is None, which takes half of what is free."""
    del now
    found = inputs.whole(text, "rate", 500, replay_wish.LARGEST_RATE)
    if found == 0:
        raise UsageError("Nothing would be sent at 0 events a second.", hint="Give a number: 500")
    return found


def _companies(bench: Bench) -> list[Choice]:
    return [
        Choice(each.company_id, f"{each.company}, lands in {each.database}")
        for each in routes.entries(bench.control).values()
        if each.state != REMOVED
    ]


FIELDS = (
    Input(
        "from_version",
        "from",
        "the first version, or a time: 9204, 2026-03-02 03:10 (UTC), 20 min ago; empty sends what is known to be missing",
        end,
    ),
    Input("to_version", "to", "the last version, or a time; empty is the newest", end),
    Input(
        "companies",
        "companies",
        "whose changes, all where it is empty; ↑ ↓ choose, a comma takes one more",
        inputs.listed,
        _companies,
        many=True,
        of_company=lambda company: [company],
    ),
    Input("rate", "rate", "events a second; empty takes half of what the namespace has left", rate),
    *inputs.COMMON,
)
