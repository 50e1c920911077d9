"""How long records take to land, against what was promised and what is wished for.

`latency_lines` is pure. The bar is one scale from zero to a little over the promise: heavy to p50, light to p95,
broken to p99, with each limit named at its tick; what waits unseen is a shade behind it.
"""

from __future__ import annotations

from textual.geometry import Size

from lpmops.model import HOPS, Health, Percentiles, Snapshot
from lpmops.tui import marks, paint, ruler, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene
from lpmops.tui.waiting import HeldUp, held_up
from lpmops.tui.widgets.drawn import Drawn


def latency_lines(scene: Scene, environment: str, width: int) -> list[Line]:
    """Two lines: percentiles with the bar, and the hops under it."""
    view = scene.view(environment)
    snapshot = view.snapshot if view else None
    if snapshot is None:
        return [(Piece(" latency unknown", "unknown"),), paint.BLANK]
    latency, old = snapshot.latency, scene.is_old(snapshot.taken_at)
    held, over = held_up(snapshot, scene.limits), snapshot.health is Health.HEALTHY
    numbers: list[Piece] = [Piece(" ")]
    measured = [("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99)]
    if held:
        # What waits is the news; of what landed before, the slowest is enough.
        numbers += [Piece(f"▲ {held.sentence}", "stale" if old else held.role), Piece("  ")]
        measured = [item for item in measured[-1:] if item[1] is not None]
    for name, seconds in measured:
        dim = seconds is not None and (old or held is not None)
        role = "stale" if dim else marks.of_latency(seconds, scene.limits, over=over)
        numbers += [Piece(f"{name} ", "muted"), Piece(words.duration(seconds).ljust(7), role)]
    room = width - paint.width_of(numbers) - 2
    percentiles = Percentiles(latency.p50, latency.p95, latency.p99)
    bar = _bar(percentiles, held, scene, room, old=old, over=over) if room >= 20 else ()
    return [paint.crop((*numbers, Piece(" "), *bar), width), _hops(snapshot, scene, width)]


def _bar(latency: Percentiles, held: HeldUp | None, scene: Scene, width: int, *, old: bool, over: bool) -> Line:
    end = scene.limits.latency * ruler.MARGIN
    worst = marks.of_latency(latency.p99, scene.limits, over=over)
    role = "stale" if old else "accent" if worst == "text" else worst
    cells: list[Piece] = []
    for cell in range(width):
        value = (cell + 0.5) / width * end
        strokes = (("━", latency.p50), ("─", latency.p95), ("╌", latency.p99))
        stroke = next((sign for sign, limit in strokes if limit is not None and value <= limit), "")
        if cell == 0 and latency.p50 is not None:
            # However quick it is, there is something to see.
            stroke = "━"
        if stroke:
            cells.append(Piece(stroke, role))
        elif held is not None and value <= held.seconds:
            cells.append(Piece("░", "stale" if old else held.role))
        else:
            cells.append(Piece("·", "faint"))
    ruler.mark_limits(cells, scene.limits, end)
    return ruler.merged(cells)


def _hops(snapshot: Snapshot, scene: Scene, width: int) -> Line:
    old = scene.is_old(snapshot.taken_at)
    line: Line = (Piece(" p99", "muted"),)
    for hop in HOPS:
        found = snapshot.latency.hops.get(hop)
        line += _named(hop.replace("_to_", "→"), found.p99 if found else None, old=old)
    extras = [_named("heartbeat", snapshot.heartbeat_age, old=old)] if snapshot.heartbeat_age is not None else []
    if snapshot.latency.events:
        extras.append(
            (
                Piece("  of ", "muted"),
                Piece(words.short_count(snapshot.latency.events), "text"),
                Piece(" events", "muted"),
            )
        )
    for extra in extras:
        # What does not fit whole is left out.
        line += extra if paint.width_of(line) + paint.width_of(extra) < width else ()
    return paint.crop(line, width)


def _named(name: str, seconds: float | None, *, old: bool) -> Line:
    role = "unknown" if seconds is None else "stale" if old else "text"
    return (Piece(f"  {name} ", "muted"), Piece(words.duration(seconds), role))


class LatencyBar(Drawn):
    """The latency of one environment."""

    def __init__(self, environment: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.environment = environment
        self.scene: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Takes new values."""
        self.scene = scene
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Percentiles, bar and hops."""
        return latency_lines(self.scene, self.environment, size.width) if self.scene else []
