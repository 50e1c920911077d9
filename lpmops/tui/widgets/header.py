"""The top line: where the operator is on the left; who they are, the token, the calls and the clock on the right.

Where the room is short the identity goes first, then the calls; the environment's name and the clock go last. The
sign-in shown is the one that needs a person soonest.
"""

from __future__ import annotations

import re

from textual.geometry import Size

from lpmops.model import Credential
from lpmops.tui import paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.drawn import Drawn

_STATES = ("expired", "missing", "expiring", "unknown", "ok")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BETWEEN = Piece(" · ", "faint")


def header_line(scene: Scene, width: int, environment: str | None = None) -> Line:
    """The header of the overview, or of one environment's screen."""
    left = _place(scene, environment)
    views = [view for view in scene.views if environment in (None, view.name)]
    clock: Line = (Piece(words.clock(scene.now, scene.zone), "then" if scene.past else "text"), Piece(" "))
    calls = sum(view.calls_in_last_minute(scene.now) for view in views)
    identity, token, remedy = _sign_in(views, scene)
    rate: Line = (Piece(f"{calls} calls/min", "muted"),) if any(view.live for view in views) else ()
    for parts in (
        [identity, (*token, *remedy), rate, clock],
        [(*token, *remedy), rate, clock],
        [identity, token, rate, clock],
        [token, rate, clock],
        [token, clock],
        [clock],
        [],
    ):
        right = paint.joined(parts, _BETWEEN)
        if paint.width_of(left) + paint.width_of(right) + 2 <= width or not parts:
            return paint.spread(left, right, width)
    return paint.crop(left, width)


def _place(scene: Scene, environment: str | None) -> Line:
    view = scene.view(environment) if environment else None
    then: tuple[Piece, ...] = (Piece(" PAST ", "past"),) if scene.past else ()
    if view is None:
        place: tuple[Piece, ...] = (*then, Piece(" lpmops", "accent"))
    else:
        place = (*then, Piece(" "), paint.piece(view.title, "prod" if view.is_prod else "accent"))
        if view.is_prod:
            place += (guarded(scene, view, before="  "),)
    place = (*place, *_changing(scene, environment))
    if scene.warnings:
        # The sentence itself was told when it began, and stands in the settings.
        place = (*place, Piece("  ▲ warning: see settings", "warn"))
    return (*place, Piece("  ⏸ display held", "warn")) if scene.held else place


def guarded(scene: Scene, view: EnvironmentView, *, before: str = "") -> Piece:
    """Whether a production environment can be changed from here now, and for how much longer."""
    left = scene.activity.armed.get(view.name)
    return Piece(f"{before}read-only", "muted") if left is None else Piece(f"{before}armed {left:.0f} s", "warn")


def _changing(scene: Scene, environment: str | None) -> Line:
    """What is armed elsewhere, what runs, and what waits to be finished."""
    activity, line = scene.activity, list[Piece]()
    for name, left in activity.armed.items():
        view = scene.view(name)
        if name != environment and view is not None:
            line += [Piece("  "), paint.piece(f"{view.title} armed {left:.0f} s", "warn")]
    for each in activity.going[:2]:
        line += [Piece("  "), paint.piece(f"▶ {each}", "accent")]
    if activity.waiting:
        several = "" if activity.waiting == 1 else "s"
        line.append(Piece(f"  ▲ {activity.waiting} unfinished operation{several}: o shows it", "warn"))
    return tuple(line)


def _sign_in(views: list[EnvironmentView], scene: Scene) -> tuple[Line, Line, Line]:
    """Identity, token and remedy of the sign-in that needs attention first."""
    known = [(view, view.snapshot.credential) for view in views if view.snapshot]
    if not known:
        return (), (), ()
    view, credential = min(known, key=lambda item: (_rank(item[1]), _left(item[1], scene), item[0].order))
    is_away = credential.state in ("expired", "missing")
    where = f" in {paint.piece(view.title).text}" if len(views) > 1 else ""
    if scene.past:
        # Who is signed in and for how long is of today; that nobody was explains what was not known then.
        return (), (Piece(f"✖ sign-in was {credential.state}{where}", "bad"),) if is_away else (), ()
    identity: Line = (
        (paint.piece(paint.crop_text(_who(credential.identity), 32), "muted"),) if credential.identity else ()
    )
    if is_away:
        remedy: Line = (paint.piece(f": {credential.remedy}", "muted"),) if credential.remedy else ()
        return identity, (Piece(f"✖ sign-in {credential.state}{where}", "bad"),), remedy
    if credential.expires_at is None:
        return identity, (), ()
    text = f"token {words.age(_left(credential, scene))}"
    return identity, (Piece(f"▲ {text}", "warn") if credential.state == "expiring" else Piece(text, "muted"),), ()


def _who(identity: str) -> str:
    """An identity that has no name is an application's id: as much of it as tells it from others."""
    return f"application {identity[:8]}…" if _ID.fullmatch(identity) else identity


def _rank(credential: Credential) -> int:
    return _STATES.index(credential.state) if credential.state in _STATES else _STATES.index("unknown")


def _left(credential: Credential, scene: Scene) -> float:
    return (credential.expires_at - scene.now).total_seconds() if credential.expires_at else float("inf")


class Header(Drawn):
    """The top line of a screen."""

    def __init__(self, environment: str | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.environment = environment
        self.scene: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Takes new values."""
        self.scene = scene
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """One line."""
        return [header_line(self.scene, size.width, self.environment)] if self.scene else []
