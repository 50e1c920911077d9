"""Everything known about one company, each value with its age: as a card beside the table, or framed on its own screen.

`company_lines` and `company_frame` are pure; the table's row is a summary of what stands here.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.geometry import Size

from lpmops.model import Route
from lpmops.tui import frame, marks, paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.drawn import Drawn

_LABEL = 15
_NARROW_LABEL = 12
_TWO_COLUMNS = 70
_GAP = 3


class Fact(NamedTuple):
    """One value of a company; `shorter` is what stands where `value` does not fit, `age` how old it is."""

    label: str
    value: Piece
    shorter: Piece
    age: str


def route_of(view: EnvironmentView | None, company_id: str | None) -> Route | None:
    """The company's route as it was last read."""
    routes = view.snapshot.routes if view and view.snapshot else ()
    return next((route for route in routes if route.company_id == company_id), None)


def company_lines(view: EnvironmentView, scene: Scene, company_id: str, width: int) -> list[Line]:
    """The company's card, a value a line; a company that is no longer routed says so."""
    route = route_of(view, company_id)
    if route is None and view.snapshot is None and scene.past:
        return [(paint.piece(f"nothing was kept of {view.title} at this moment", "muted"),)]
    if route is None:
        return [_not_routed(view, company_id)]
    plain = [
        Fact("company", paint.piece(route.company, "strong"), paint.piece(route.company, "strong"), ""),
        Fact("id", paint.piece(route.company_id), paint.piece(route.company_id), ""),
        Fact("environment", frame.name_of(view, view.name), frame.name_of(view, view.name), ""),
    ]
    old = _is_old(view, scene)
    return [_line(fact, width, _LABEL, old=old) for fact in (*plain, *_facts(view, route, scene))]


def company_frame(
    view: EnvironmentView | None,
    scene: Scene,
    environment: str,
    company_id: str,
    width: int,
    *,
    compact: bool = False,
) -> list[Line]:
    """The company's card in its environment's frame, in two columns where there is room; `compact` on two lines where there is neither."""
    inner, route = frame.inner_width(width), route_of(view, company_id)
    who: Line = (frame.name_of(view, environment), Piece("  "))
    content: list[Line]
    if view is None or route is None:
        who += (Piece("○ ", "unknown"), paint.piece(company_id, "strong"))
        content = [_not_routed(view, company_id) if view else (Piece("nothing is known yet", "unknown"),)]
    else:
        mark = marks.of_route(route.state)
        name = (paint.piece(route.company_id, "strong"), Piece(" "), paint.piece(route.company, "strong"))
        who += (Piece(f"{mark.glyph} ", mark.role), *name)
        content = _columns(view, route, scene, inner, compact=compact)
    return frame.framed(content, view, scene, width, head=paint.crop(who, width - 8))


def _columns(view: EnvironmentView, route: Route, scene: Scene, width: int, *, compact: bool) -> list[Line]:
    facts, old = _facts(view, route, scene), _is_old(view, scene)
    if width < _TWO_COLUMNS and compact:
        return _two_lines(facts, width, old=old)
    if width < _TWO_COLUMNS:
        return [_line(fact, width, _LABEL, old=old) for fact in facts]
    half = (width - _GAP) // 2
    label = _LABEL if half >= 44 else _NARROW_LABEL
    rows = (len(facts) + 1) // 2
    lines: list[Line] = []
    for left, right in zip(facts[:rows], facts[rows:], strict=False):
        first = paint.fit(_line(left, half, label, old=old), half)
        lines.append((*first, Piece(" " * (width - 2 * half)), *_line(right, half, _LABEL, old=old)))
    return lines


def _two_lines(facts: list[Fact], width: int, *, old: bool) -> list[Line]:
    """The values that change, with the age of them all."""
    database, state, landed, rows, rate, latency = facts
    between = Piece("  ")
    first = paint.joined([(state.value,), (database.value,), (Piece("rows ", "muted"), rows.value)], between)
    rates = [
        (rate.value, Piece("/min", "muted")),
        (Piece("p95 ", "muted"), latency.value),
        (Piece("landed ", "muted"), landed.shorter),
    ]
    age = (Piece(f" {latency.age} old", "late" if old else "faint"),)
    return [paint.crop(first, width), paint.spread(paint.joined(rates, between), age, width)]


def _line(fact: Fact, width: int, label: int, *, old: bool) -> Line:
    age = (Piece(f" {fact.age} old" if fact.age else "", "late" if old else "faint"),)
    name = Piece(fact.label.ljust(label), "muted")
    room = width - paint.width_of(age)
    value = fact.value if paint.width_of((name, fact.value)) <= room else fact.shorter
    return paint.spread(paint.crop((name, value), room), age, width)


def _facts(view: EnvironmentView, route: Route, scene: Scene) -> list[Fact]:
    """What is read of a company, each with its age: what tells where it lands, then how much and how quickly."""
    taken = view.snapshot.taken_at if view.snapshot else None
    age, old = words.age(words.age_seconds(scene.now, taken)), _is_old(view, scene)
    mark = marks.of_route(route.state)
    since = words.age(words.age_seconds(scene.now, route.last_landed_at))
    now = scene.now.astimezone(scene.zone)
    landed_role = _role(1 if route.last_landed_at else None, old)
    ago = Piece(f"{since} ago" if route.last_landed_at else words.UNKNOWN, landed_role)
    landed = (
        Piece(f"{ago.text}, {words.row_time(route.last_landed_at, now)}", landed_role) if route.last_landed_at else ago
    )
    latency = words.duration(route.latency_p95)
    measured = words.known(route.latency_p95)
    of_limit = f"{latency} of {words.duration(scene.limits.latency)}" if measured else latency
    late = "stale" if old and measured else marks.of_latency(route.latency_p95, scene.limits)
    return [
        _fact("database", paint.piece(route.database), age),
        _fact("state", paint.piece(f"{mark.glyph} {route.state or mark.word}", mark.role), age),
        Fact("last row", landed, ago, age),
        _fact("rows", Piece(words.count(route.rows), _role(route.rows, old)), age),
        _fact("rows a minute", Piece(words.short_count(route.rows_per_minute), _role(route.rows_per_minute, old)), age),
        _fact("latency p95", Piece(of_limit, late), age),
    ]


def _fact(label: str, value: Piece, age: str) -> Fact:
    return Fact(label, value, value, age)


def _not_routed(view: EnvironmentView, company_id: str) -> Line:
    if not view.companies_known:
        return (Piece("the companies could not be read", "unknown"),)
    return (paint.piece(f"{company_id} is not routed in {view.title}", "muted"),)


def _is_old(view: EnvironmentView, scene: Scene) -> bool:
    return view.snapshot is None or scene.is_old(view.snapshot.taken_at)


def _role(value: float | None, old: bool) -> str:
    return "unknown" if not words.known(value) else "stale" if old else "text"


class CompanyCard(Drawn):
    """One company, live; `framed` on the screen that is about it alone."""

    def __init__(self, environment: str, *, framed: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.environment = environment
        self.framed, self.compact = framed, False
        self.company_id: str | None = None
        self.scene: Scene | None = None

    def show(self, scene: Scene, company_id: str | None, *, compact: bool = False) -> None:
        """Takes new values, or another company; `compact` where there is little height."""
        self.scene, self.company_id, self.compact = scene, company_id, compact
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The card, or what to do to get one."""
        view = self.scene.view(self.environment) if self.scene else None
        if self.scene is None or self.company_id is None:
            return [(Piece("no company is chosen", "muted"),)]
        if self.framed:
            return company_frame(view, self.scene, self.environment, self.company_id, size.width, compact=self.compact)
        return company_lines(view, self.scene, self.company_id, size.width) if view else []
