"""The way of a company's newest records, hop by hop, to scale: how long each hop takes, and the whole against the limits.

`way_lines` is pure. What was replayed is left out, since its age says nothing about the stream. In two lines the hops
are arrows; where there is height each hop is a bar that starts where the one before it ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Size

from lpmops.model import HOPS, LandedRecord
from lpmops.tui import changes, marks, paint, ruler, words
from lpmops.tui.changes import Spread
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn

TALL = 5
_LABEL = 21
_NUMBER = 9
_LEAST_BAR = 12


def way_lines(records: Sequence[LandedRecord] | None, scene: Scene, width: int, rows: int, *, old: bool) -> list[Line]:
    """Two lines, or TALL of them; None where nothing could be read yet."""
    live = changes.live(records) if records else []
    whole = changes.spread_of(changes.total(record) for record in live)
    if not whole.number:
        why = (
            "–"
            if records is None
            else "no record that came live has landed yet"
            if not live
            else "the stamps are missing"
        )
        return [(Piece(" way of its records ", "strong"), Piece(why, "unknown"))]
    hops = {hop: changes.spread_of(changes.seconds(record, hop) for record in live) for hop in HOPS}
    if rows < TALL:
        return [_arrows(hops, whole, width, old=old), _whole(whole, scene, width, old=old)]
    return _waterfall(hops, whole, scene, width, old=old)


def _arrows(hops: dict[str, Spread], whole: Spread, width: int, *, old: bool) -> Line:
    role = "stale" if old else "text"
    line: tuple[Piece, ...] = ()
    for before, behind in (("── ", " ─▶ "), ("", " ▶ ")):
        line = (Piece(" commit ", "muted"),)
        for hop in HOPS:
            seconds = hops[hop].p50
            line += (
                Piece(before, "frame"),
                Piece(words.duration(seconds), role if seconds is not None else "unknown"),
                Piece(behind, "frame"),
                Piece(f"{hop.rpartition('_')[2]} ", "muted"),
            )
        if paint.width_of(line) <= width:
            break
    right = (Piece(f"p50 of {_records(whole.number)} ", "muted"),)
    return paint.spread(line, right if paint.width_of((*line, *right)) < width else (), width)


def _records(number: int) -> str:
    return f"{words.count(number)} record{'' if number == 1 else 's'}"


def _numbers(spread: Spread, scene: Scene, *, old: bool, judged: bool) -> tuple[Piece, ...]:
    """p50, p95 and the slowest, right-aligned."""
    pieces: list[Piece] = []
    for seconds in (spread.p50, spread.p95, spread.most):
        role = (
            "unknown"
            if seconds is None
            else "stale"
            if old
            else marks.of_latency(seconds, scene.limits)
            if judged
            else "text"
        )
        pieces.append(Piece(words.duration(seconds).rjust(_NUMBER), role))
    return tuple(pieces)


def _whole(spread: Spread, scene: Scene, width: int, *, old: bool) -> Line:
    line: list[Piece] = []
    for name, seconds in (("p50", spread.p50), ("p95", spread.p95), ("most", spread.most)):
        role = "stale" if old else marks.of_latency(seconds, scene.limits)
        line += [Piece(f" {name} ", "muted"), Piece(words.duration(seconds).ljust(7), role)]
    room = width - paint.width_of(line) - 1
    end = ruler.end_of(spread.most, scene.limits)
    return paint.crop((*line, *_strokes(spread, scene, room, end, old=old)), width)


def _strokes(spread: Spread, scene: Scene, width: int, end: float, *, old: bool) -> Line:
    """Heavy to p50, light to p95, broken to the slowest, each limit named at its place."""
    if width < _LEAST_BAR:
        return ()
    worst = marks.of_latency(spread.p95, scene.limits)
    role = "stale" if old else "accent" if worst == "text" else worst
    cells: list[Piece] = []
    for cell in range(width):
        value = (cell + 0.5) / width * end
        strokes = (("━", spread.p50), ("─", spread.p95), ("╌", spread.most))
        stroke = next((sign for sign, limit in strokes if limit is not None and value <= limit), "")
        stroke = "━" if cell == 0 else stroke
        cells.append(Piece(stroke, role) if stroke else Piece("·", "faint"))
    ruler.mark_limits(cells, scene.limits, end)
    return ruler.merged(cells)


def _waterfall(hops: dict[str, Spread], whole: Spread, scene: Scene, width: int, *, old: bool) -> list[Line]:
    heading = "".join(name.rjust(_NUMBER) for name in ("p50", "p95", "most"))
    room = width - _LABEL - len(heading) - 4
    end = ruler.end_of(whole.most, scene.limits)
    title = (Piece(" way of its records".ljust(_LABEL), "strong"), Piece(heading, "muted"))
    lines: list[Line] = [paint.spread(title, (Piece(f"{_records(whole.number)} that came live ", "muted"),), width)]
    start = 0.0
    for hop in HOPS:
        spread = hops[hop]
        label = Piece(f" {hop.replace('_to_', '→')}".ljust(_LABEL), "muted")
        bar = hop_bar(start, spread.p50, spread.p95, scene, room, end, old=old) if room >= _LEAST_BAR else ()
        lines.append((label, *_numbers(spread, scene, old=old, judged=False), Piece("  "), *bar))
        start += max(0.0, spread.p50 or 0.0)
    label = Piece(" commit→landed".ljust(_LABEL), "muted")
    bar = _strokes(whole, scene, room, end, old=old)
    lines.append((label, *_numbers(whole, scene, old=old, judged=True), Piece("  "), *bar))
    return lines


def hop_bar(
    start: float, seconds: float | None, reach: float | None, scene: Scene, width: int, end: float, *, old: bool = False
) -> Line:
    """A hop of `seconds` that begins at `start`, and lightly how far it may `reach`; threads run where the limits are."""
    cells = [Piece(" ")] * width
    role = "stale" if old else "spark"
    for stop, light in ((reach, True), (seconds, False)):
        if stop is None:
            continue
        first, blocks = ruler.span(start, start + stop, end, width)
        for offset, block in enumerate(blocks):
            cells[first + offset] = Piece("░" if light else block, role)
    ruler.mark_limits(cells, scene.limits, end, named=False)
    return ruler.merged(cells)


class Way(Drawn):
    """The way of one company's records."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.scene: Scene | None = None
        self._records: Sequence[LandedRecord] | None = None
        self._rows, self._old = 2, False

    def show(self, scene: Scene, records: Sequence[LandedRecord] | None, rows: int, *, old: bool) -> None:
        """Takes new values."""
        self.scene, self._records, self._rows, self._old = scene, records, rows, old
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The strip, or the waterfall."""
        return way_lines(self._records, self.scene, size.width, self._rows, old=self._old) if self.scene else []
