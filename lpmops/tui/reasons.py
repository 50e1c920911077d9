"""Why a command does not work just now, in one sentence; None where it does.

The only place that decides it: keys are greyed, the palette and the `:` line answer by the same sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lpmops.tui.place import OVERVIEW, Place
from lpmops.tui.view import EnvironmentView, Scene


@dataclass(frozen=True, slots=True)
class Shown:
    """The operation that a panel shows: whether a run of this app is at it, is about to stop, or another process has it under way."""

    going: bool = False
    stopping: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the reasons depend on. `panel` where one lies over the screen; `can_filter` and `can_copy` are of the screen that is seen.

    `meant` is the environment that a command is about, `running` whether something is being changed in it; `orders` whether this app can change
    things at all; `shown` the operation whose panel lies over the screen.
    """

    place: Place
    scene: Scene
    panel: bool
    can_filter: bool
    can_copy: bool
    visits_before: bool
    visits_after: bool
    in_browser: bool
    plain: bool
    meant: EnvironmentView | None = None
    orders: bool = False
    read_only: bool = False
    running: bool = False
    shown: Shown | None = None


def reason(action: str, parameters: tuple[object, ...], here: Circumstances) -> str | None:
    """Why `action` does not work now."""
    name = action.removeprefix("app.")
    if name == "out" and here.place == OVERVIEW and here.scene.line is None and not here.panel:
        return "this is the outermost place; q leaves"
    if name == "overview" and here.place == OVERVIEW:
        return "these are all environments"
    if name == "filter" and not here.can_filter:
        return "there are no rows to filter on this screen"
    if name == "copy" and not here.can_copy:
        return "there is nothing to copy here"
    if name == "wrap" and here.place.kind not in ("record", "logs"):
        return "there are no long lines on this screen"
    if name == "level" and here.place.kind != "logs":
        return "only logs have levels; l opens them"
    if name == "visit" and not (here.visits_after if parameters == (1,) else here.visits_before):
        return "there is no place to go on to" if parameters == (1,) else "there is no place to go back to"
    if name == "visit_last" and not (here.visits_before or here.visits_after):
        return "no other place was seen yet"
    if name == "refresh_now" and here.scene.past is not None:
        return "the past stays as it was; n leads back to now"
    if name == "hold" and here.scene.past is not None:
        return "the past stands still already; n leads back to now"
    if name == "logs" and here.place.kind == "logs":
        return "these are the logs; tab shows the next source"
    if name == "hub" and here.place.kind == "hub":
        return "these are the hub's events"
    if name == "hub" and here.scene.past is not None:
        return "the hub shows what it holds now; n leads back to now"
    if name == "versions" and here.place.kind == "versions":
        return "these are the versions"
    if name in ("doctor", "access", "versions") and here.scene.past is not None:
        return "it is of now, whatever moment is shown; n leads back to now"
    if name in ("doctor", "access", "versions") and here.meant is None:
        return "open an environment first"
    if name == "settings" and here.place.kind == "settings":
        return "these are the settings"
    if name == "theme" and here.plain:
        return "without colours (NO_COLOR) there is one theme"
    if name == "sign_in":
        return _why_no_sign_in(here)
    if name == "arm":
        return _why_no_arming(here)
    if name == "act":
        return why_no_change(here) or (
            why_no_action(str(parameters[0]), here.meant, here.place.company)
            if parameters and here.meant is not None
            else None
        )
    if name == "stop_run":
        return _why_no_stop(here.shown)
    if name in ("operations", "audit") and (here.place.kind == name or not here.orders):
        return (
            "this app only looks"
            if not here.orders
            else f"this is the {name}"
            if name == "audit"
            else "these are the operations"
        )
    if name.startswith("time_") and here.scene.line is None:
        return "the time line is closed; t opens it"
    return None


def why_no_change(here: Circumstances) -> str | None:
    """The only place that says why nothing can be changed now; what the guard refuses anyway is said in its words."""
    if not here.orders:
        return "this app only looks"
    from lpmops.control import guard

    if here.read_only:
        return guard.READ_ONLY
    if here.scene.past is not None:
        return "the past can't be changed; n leads back to now"
    if here.meant is None:
        return "open an environment first"
    return f"something is being changed in {here.meant.title}; o shows it" if here.running else None


def _why_no_stop(shown: Shown | None) -> str | None:
    if shown is not None and shown.stopping:
        return "it stops after this step already"
    if shown is not None and shown.going:
        return None
    return (
        "another process is at it; ctrl+c there stops it after its step"
        if shown is not None and shown.elsewhere
        else "it is not under way"
    )


def _why_no_arming(here: Circumstances) -> str | None:
    why = why_no_change(replace(here, running=False))
    if why is not None or here.meant is None:
        return why
    from lpmops.control import guard

    needed = guard.needs_arming(guard.danger_of(here.meant.kind))
    return None if needed else f"{here.meant.title} needs no arming; only production does"


def why_no_action(action: str, view: EnvironmentView, company: str = "") -> str | None:
    """Why an action of the registry makes no sense in an environment now, for the company that somebody looks at."""
    from lpmops.actions import registry

    return registry.disabled(registry.action(action), view.snapshot, company) or None


def _why_no_sign_in(here: Circumstances) -> str | None:
    if here.scene.past is not None:
        return "the past needs no sign-in; n leads back to now"
    if here.in_browser:
        return "a browser can't sign in for this machine; run it in a terminal there"
    if not sign_in_command(here.scene, here.place.environment):
        return "no sign-in is needed that a command could do"
    return None


def sign_in_command(scene: Scene, environment: str = "") -> str:
    """The command that signs in where that is needed soonest: of `environment`, or of any; empty where none is."""
    order = ("expired", "missing", "expiring")
    found = [
        view.snapshot.credential
        for view in scene.views
        if view.snapshot and environment in ("", view.name) and view.snapshot.credential.state in order
    ]
    found.sort(key=lambda credential: order.index(credential.state))
    return next((credential.remedy for credential in found if credential.remedy.startswith("az ")), "")
