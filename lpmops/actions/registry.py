"""Every action once: what both faces show, bind, offer and run. A new action is one entry here."""

from __future__ import annotations

from collections.abc import Mapping

from lpmops.actions import (
    access,
    asa,
    asa_deploy,
    asa_scale,
    cdf,
    provision,
    replay,
    route_move,
    route_onboard,
    route_state,
    stream,
    stream_deploy,
)
from lpmops.actions.action import Action
from lpmops.control import guard
from lpmops.control.plan import Danger
from lpmops.errors import NotFoundError
from lpmops.model import Kind, Snapshot

ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        cdf.ENABLE,
        stream.START,
        stream.STOP,
        stream.RESTART,
        stream_deploy.DEPLOY,
        asa.PAUSE,
        asa.START,
        asa_deploy.DEPLOY,
        asa_scale.SCALE,
        route_onboard.ONBOARD,
        route_state.PAUSE,
        route_state.RESUME,
        route_move.MOVE,
        route_state.REMOVE,
        access.GRANT,
        provision.APPLY,
        replay.RUN,
    )
}


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


def disabled(entry: Action, snapshot: Snapshot | None, company: str = "") -> str:
    """Why an action makes no sense now, by what was last seen; empty where it does, or where that is not known.

    `company` is the id of the one that somebody looks at.
    """
    if entry.inputs is None:
        return f"It is done on the command line: {command_line(entry, snapshot.environment if snapshot else 'ENV')}"
    if snapshot is None:
        return ""
    if company and entry.name in _COMPANY_STATES and (why := _company_disabled(entry, snapshot, company)):
        return why
    states = {name: stage.state.lower() for name, stage in snapshot.stages.items()}
    hop, state = (
        ("asa", states.get("asa", "")) if entry.name.startswith(("asa.", "route.")) else ("cdf", states.get("cdf", ""))
    )
    if entry is cdf.ENABLE:
        readings = snapshot.stages["cdf"].readings if "cdf" in snapshot.stages else ()
        is_on = any(reading.name == "change_feed" and reading.value == "delta" for reading in readings)
        return "The change feed is on already." if is_on else ""
    who = "Stream Analytics" if hop == "asa" else "The stream"
    return f"{who} is {state}." if state in _SENSELESS.get(entry.name, ()) else ""


def _company_disabled(entry: Action, snapshot: Snapshot, company: str) -> str:
    found = next((each for each in snapshot.routes if each.company_id == company), None)
    if found is None:
        return ""
    wanted, why = _COMPANY_STATES[entry.name]
    return "" if (found.state == "paused") is wanted else why


# Whether a company has to be paused for an action, and what is so where it is not as it has to be.
_COMPANY_STATES: Mapping[str, tuple[bool, str]] = {
    "route.pause": (False, "It is paused already."),
    "route.resume": (True, "It is not paused."),
}
# The states of an action's hop in which it makes no sense.
_SENSELESS: Mapping[str, tuple[str, ...]] = {
    "asa.pause": ("absent", "failed", "starting", "stopping"),
    "asa.deploy": ("absent", "starting", "stopping"),
    "asa.scale": ("absent", "failed", "starting", "stopping"),
    "asa.start": ("absent", "running", "behind", "saturated", "starting", "stopping"),
    "route.onboard": ("absent",),
    "route.move": ("absent",),
    "route.pause": (),
    "route.resume": (),
    "route.remove": (),
    "stream.start": ("absent", "running", "starting", "lagging"),
    "stream.deploy": ("starting",),
    "stream.stop": ("absent", "stopped", "paused"),
    "stream.restart": ("absent", "stopped", "paused"),
    "provision.apply": (),
    "access.grant": (),
    "replay.run": ("absent",),
}
