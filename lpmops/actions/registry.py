"""Every action once: what both faces show, bind, offer and run. A new action is one entry here."""

from __future__ import annotations

from collections.abc import Mapping

from lpmops.actions import asa, cdf
from lpmops.actions.action import Action
from lpmops.control import guard
from lpmops.control.plan import Danger
from lpmops.errors import NotFoundError
from lpmops.model import Kind, Snapshot

ACTIONS: Mapping[str, Action] = {action.name: action for action in (asa.PAUSE, asa.START, cdf.ENABLE)}


def action(name: str) -> Action:
    """The action of that name. Raises NotFoundError."""
    if name not in ACTIONS:
        raise NotFoundError(f"There is no action {name!r}.", hint=f"There are: {', '.join(ACTIONS)}.")
    return ACTIONS[name]


def danger(entry: Action, kind: Kind) -> Danger:
    """How dangerous an action is at least in an environment of that kind; its plan may find it to be more."""
    return guard.danger_of(kind, hard=entry.hard)


def command_line(entry: Action, environment: str) -> str:
    """The equal command, without what only its plan knows."""
    noun, _, verb = entry.name.partition(".")
    return f"lpmops {noun} {verb} -e {environment}"


def disabled(entry: Action, snapshot: Snapshot | None) -> str:
    """Why an action makes no sense now, by what was last seen; empty where it does, or where that is not known."""
    if snapshot is None:
        return ""
    asa_state = snapshot.stages["asa"].state if "asa" in snapshot.stages else "unknown"
    readings = snapshot.stages["cdf"].readings if "cdf" in snapshot.stages else ()
    feed = next((str(reading.value) for reading in readings if reading.name == "change_feed"), "")
    if entry is asa.PAUSE and asa_state in ("absent", "failed", "starting", "stopping"):
        return f"Stream Analytics is {asa_state}."
    if entry is asa.START and asa_state in ("running", "behind", "saturated", "starting", "stopping", "absent"):
        return f"Stream Analytics is {asa_state}."
    if entry is cdf.ENABLE and feed == "delta":
        return "The change feed is on already."
    return ""
