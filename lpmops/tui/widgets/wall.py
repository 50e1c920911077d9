"""Every company of every environment as one mark: how far trouble reaches, seen at once.

`wall_lines` is pure. A company keeps its place from look to look, so that only colours and shapes change; where there
are more companies than cells a mark stands for several and shows the worst of them. Beside the marks stand the counts,
under them the names of those in trouble.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from textual.geometry import Size

from lpmops.model import Route, Snapshot
from lpmops.tui import marks, paint, words
from lpmops.tui.marks import Mark
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.table import natural

_SHAPES = {"flowing": "■"}
_COUNTS = 44
_CALM = ("flowing", "paused")


def wall_lines(scene: Scene, width: int, rows: int) -> list[Line]:
    """A heading and at most `rows` - 1 lines of marks; nothing where not every environment gets a line."""
    known = [(view, _by_id(view.snapshot)) for view in scene.views if view.snapshot and view.snapshot.routes]
    if not known or rows < len(known) + 1:
        return []
    label = min(16, max(len(paint.piece(view.title).text) for view, _ in known) + 2)
    cells = max(1, width - label - _COUNTS - 3)
    spare = rows - 1 - len(known)
    lines: list[Line] = [(Piece(" companies", "muted"),)]
    for number, given in enumerate(_shares([(len(routes), _is_troubled(routes)) for _, routes in known], cells, spare)):
        view, routes = known[number]
        lines += _environment(view, routes, scene, width, label, cells, given)
    return lines[:rows]


def _by_id(snapshot: Snapshot) -> list[Route]:
    return sorted(snapshot.routes, key=lambda route: natural(route.company_id))


def _is_troubled(routes: Sequence[Route]) -> bool:
    return any(route.state not in _CALM for route in routes)


def _shares(sizes: Sequence[tuple[int, bool]], cells: int, spare: int) -> list[tuple[int, bool]]:
    """Lines of marks of each environment, and whether a line of names follows: names come first, then the most crowded."""
    names = [False] * len(sizes)
    for number, (_, troubled) in enumerate(sizes):
        if troubled and spare:
            names[number], spare = True, spare - 1
    given = [1] * len(sizes)
    while spare:
        crowd = [size / (cells * lines) for (size, _), lines in zip(sizes, given, strict=True)]
        number = crowd.index(max(crowd))
        if crowd[number] <= 1:
            break
        given[number], spare = given[number] + 1, spare - 1
    return list(zip(given, names, strict=True))


def _environment(
    view: EnvironmentView,
    routes: Sequence[Route],
    scene: Scene,
    width: int,
    label: int,
    cells: int,
    given: tuple[int, bool],
) -> list[Line]:
    found = [marks.of_route(route.state) for route in routes]
    scale = math.ceil(len(found) / (cells * given[0]))
    groups = [found[start : start + scale] for start in range(0, len(found), scale)]
    worst = [max(group, key=lambda mark: mark.weight) for group in groups]
    old = scene.is_old(view.snapshot.taken_at if view.snapshot else None)
    lines: list[Line] = []
    for start in range(0, len(worst), cells):
        title = paint.fit_text("" if lines else paint.piece(view.title).text, label)
        row: Line = (
            Piece(f" {title}", "prod" if view.is_prod else "strong"),
            *_merged(worst[start : start + cells], old=old),
        )
        lines.append(paint.spread(row, () if lines else (*_counts(found, scale), Piece(" ")), width))
    if given[1]:
        lines.append((Piece(" " * (label + 1)), *_names(routes, scene, width - label - 2)))
    return lines


def _merged(found: Sequence[Mark], *, old: bool) -> Line:
    pieces: list[Piece] = []
    for mark in found:
        text, role = _SHAPES.get(mark.word, mark.glyph), "stale" if old else mark.role
        if pieces and pieces[-1].role == role:
            pieces[-1] = Piece(pieces[-1].text + text, role)
        else:
            pieces.append(Piece(text, role))
    return tuple(pieces)


def _counts(found: Sequence[Mark], scale: int) -> Line:
    """How many are in each state, worst first, and how many a mark stands for."""
    worst_first = sorted(Counter(found).items(), key=lambda item: -item[0].weight)
    parts = [
        (Piece(f"{_SHAPES.get(mark.word, mark.glyph)} {words.short_count(number)} {mark.word}", mark.role),)
        for mark, number in worst_first
    ]
    if scale > 1:
        parts.append((Piece(f"{scale} a mark", "muted"),))
    return paint.crop(paint.joined(parts, Piece("  ")), _COUNTS)


def _names(ordered: Sequence[Route], scene: Scene, width: int) -> Line:
    """Who is in trouble, the worst first, with how long ago their newest row landed; as many as fit whole."""
    troubled = [route for route in ordered if route.state not in _CALM]
    troubled.sort(key=lambda route: -marks.of_route(route.state).weight)
    line: Line = ()
    for number, route in enumerate(troubled):
        age = words.age(words.age_seconds(scene.now, route.last_landed_at)) if route.last_landed_at else ""
        who = paint.crop_text(paint.piece(f"{route.company_id} {route.company}").text, 32)
        entry: Line = (
            *((Piece(" · ", "faint"),) if line else ()),
            Piece(who, marks.of_route(route.state).role if number == 0 else "text"),
            Piece(f" {age}" if age else "", "muted"),
        )
        left = len(troubled) - number
        if paint.width_of((*line, *entry)) + (len(f"  +{left} more") if left > 1 else 0) > width:
            return (*line, Piece(f"  +{left} more", "muted")) if line else ()
        line = (*line, *entry)
    return line


class Wall(Drawn):
    """The companies of all environments, a mark each."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.scene: Scene | None = None
        self.most_rows = 0

    def show(self, scene: Scene, most_rows: int) -> None:
        """Takes new values; `most_rows` is the room."""
        self.scene, self.most_rows = scene, most_rows
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The marks, or nothing where there is no room."""
        return wall_lines(self.scene, size.width, self.most_rows) if self.scene else []
