"""The frame around what belongs to one environment: double and violet for production alone, amber for the past.

Pure. The upper edge says where one is, the lower one how old it all is; every screen of an environment opens with one,
so that nobody takes one for another.
"""

from __future__ import annotations

from collections.abc import Iterable

from lpmops.tui import paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene

_SINGLE = ("┌", "─", "┐", "│", "└", "┘")
_DOUBLE = ("╔", "═", "╗", "║", "╚", "╝")
_ROOMY = 90


def inner_width(width: int) -> int:
    """Cells between the sides of a frame of `width` cells, its margins left out."""
    return max(4, width - 3 - _margin(width))


def framed(
    content: Iterable[Line],
    view: EnvironmentView | None,
    scene: Scene,
    width: int,
    *,
    head: Line = (),
    head_right: Line = (),
    foot: Line = (),
    foot_right: Line = (),
    chosen: bool = False,
) -> list[Line]:
    """`content` in the frame of `view`: two lines more, each of `width` cells."""
    prod = view is not None and view.is_prod
    left, edge, right, side, low_left, low_right = _DOUBLE if prod else _SINGLE
    role = "then" if scene.past else "prod" if prod else "chosen" if chosen else "frame"
    line, end = Piece(edge, role), Piece(" " * _margin(width) + side, role)
    inner = inner_width(width)
    if scene.past:
        head = (Piece(" PAST ", "past"), Piece(" "), *head)
    return [
        (Piece(left, role), *_edge(head, head_right, width - 2, line), Piece(right, role)),
        *((Piece(f"{side} ", role), *paint.fit(row, inner), end) for row in content),
        (Piece(low_left, role), *_edge(foot, foot_right, width - 2, line), Piece(low_right, role)),
    ]


def name_of(view: EnvironmentView | None, environment: str) -> Piece:
    """The environment's name as it stands in its frame."""
    if view is None:
        return paint.piece(environment, "strong")
    return paint.piece(view.title, "prod" if view.is_prod else "strong")


def _margin(width: int) -> int:
    # On a narrow screen the last cell before the edge is worth more as room.
    return 1 if width >= _ROOMY else 0


def _edge(left: Line, right: Line, width: int, line: Piece) -> Line:
    ends = (
        (Piece(" "), *right, Piece(" "), line)
        if right and paint.width_of(left) + paint.width_of(right) + 8 <= width
        else ()
    )
    return paint.spread((line, Piece(" "), *left, Piece(" ")) if left else (line,), ends, width, fill=line)
