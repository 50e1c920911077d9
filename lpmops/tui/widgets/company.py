"""Everything known about one company, each value with its age and where it comes from.

`company_lines` is pure; the table's row is a summary of what stands here.
"""

from __future__ import annotations

from textual.geometry import Size

from lpmops.model import Route
from lpmops.tui import marks, paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.drawn import Drawn

_LABEL = 15


def company_lines(view: EnvironmentView, scene: Scene, company_id: str, width: int) -> list[Line]:
    """The company's card; a company that is no longer routed says so."""
    snapshot = view.snapshot
    route = next((item for item in snapshot.routes if item.company_id == company_id), None) if snapshot else None
    if snapshot is None and scene.past:
        return [(paint.piece(f"nothing was kept of {view.title} at this moment", "muted"),)]
    if snapshot is None or route is None:
        return [(paint.piece(f"{company_id} is not routed in {view.title}", "muted"),)]
    mark = marks.of_route(route.state)
    old = scene.is_old(snapshot.taken_at)
    taken = words.age(words.age_seconds(scene.now, snapshot.taken_at))
    rows: list[tuple[str, str, str, str]] = [
        ("company", route.company, "text", ""),
        ("id", route.company_id, "text", ""),
        ("environment", view.title, "prod" if view.is_prod else "text", ""),
        ("database", route.database, "text", taken),
        ("state", f"{mark.glyph} {route.state or mark.word}", mark.role, taken),
        ("rows", words.count(route.rows), _role(route.rows, old), taken),
        ("rows a minute", words.short_count(route.rows_per_minute), _role(route.rows_per_minute, old), taken),
        *_landing(route, scene, taken, old=old),
    ]
    lines: list[Line] = []
    for label, value, role, age in rows:
        left = (Piece(label.ljust(_LABEL), "muted"), paint.piece(value, role))
        right = (Piece(f" {age} old" if age else "", "late" if old else "faint"),)
        lines.append(paint.spread(paint.crop(left, width - paint.width_of(right)), right, width))
    return lines


def _landing(route: Route, scene: Scene, taken: str, *, old: bool) -> list[tuple[str, str, str, str]]:
    since = words.age(words.age_seconds(scene.now, route.last_landed_at))
    landed = f"{words.moment(route.last_landed_at)}, {since} ago" if route.last_landed_at else words.UNKNOWN
    latency = words.duration(route.latency_p95)
    if words.known(route.latency_p95):
        latency += f" of {words.duration(scene.limits.latency)}"
    return [
        ("last row", landed, _role(1 if route.last_landed_at else None, old), taken),
        (
            "latency p95",
            latency,
            "stale" if old and words.known(route.latency_p95) else marks.of_latency(route.latency_p95, scene.limits),
            taken,
        ),
    ]


def _role(value: float | None, old: bool) -> str:
    return "unknown" if not words.known(value) else "stale" if old else "text"


class CompanyCard(Drawn):
    """One company, live."""

    def __init__(self, environment: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.environment = environment
        self.company_id: str | None = None
        self.scene: Scene | None = None

    def show(self, scene: Scene, company_id: str | None) -> None:
        """Takes new values, or another company."""
        self.scene, self.company_id = scene, company_id
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The card, or what to do to get one."""
        view = self.scene.view(self.environment) if self.scene else None
        if self.scene is None or view is None or self.company_id is None:
            return [(Piece("no company is chosen", "muted"),)]
        return company_lines(view, self.scene, self.company_id, size.width)
