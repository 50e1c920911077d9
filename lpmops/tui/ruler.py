"""Seconds drawn to scale: where a scale ends, spans on it, and the two limits marked at their places.

Pure. A scale ends a little over the wish, over the promise, or over the worst there is, so that it stands still while
values move.
"""

from __future__ import annotations

from lpmops.tui import words
from lpmops.tui.feed import Limits
from lpmops.tui.paint import Line, Piece

MARGIN = 1.25
_EIGHTHS = "▏▎▍▌▋▊▉"


def end_of(worst: float | None, limits: Limits) -> float:
    """The seconds at which a scale ends that has to hold `worst`."""
    for limit in (limits.stretch, limits.latency):
        if worst is None or not words.known(worst) or worst <= limit:
            return limit * MARGIN
    return worst * 1.1 if worst is not None else limits.latency * MARGIN


def span(start: float, stop: float, end: float, width: int) -> tuple[int, str]:
    """From which cell on, and in which blocks, the time from `start` to `stop` is drawn; what takes time is seen however short it is."""
    if width <= 0 or end <= 0 or stop <= start:
        return 0, ""
    first = min(width - 1, int(max(0.0, start) / end * width))
    eighths = round(min(stop, end) / end * width * 8) - first * 8
    full, rest = divmod(max(1, eighths), 8)
    return first, ("█" * full + (_EIGHTHS[rest - 1] if rest else ""))[: width - first]


def mark_limits(cells: list[Piece], limits: Limits, end: float, *, named: bool = True) -> None:
    """Marks each limit that lies on the scale; `named` with its seconds behind it, else as a thread through the empty cells."""
    width = len(cells)
    for limit in (limits.stretch, limits.latency):
        at = round(limit / end * width)
        if not named:
            if at < width and cells[at].text in " ·":
                cells[at] = Piece("┊", "faint")
            continue
        text = f"┤{words.duration(limit)}├" if limit < limits.latency else f"┃{words.duration(limit)}"
        # A name that would be cut is left out.
        shown = text if at + len(text) <= width else text[0]
        for offset, sign in enumerate(shown if at < width else ""):
            cells[at + offset] = Piece(sign, "muted")


def merged(cells: list[Piece]) -> Line:
    """The cells as a line: those of one role after another are one piece."""
    line: list[Piece] = []
    for part in cells:
        if line and line[-1].role == part.role:
            line[-1] = Piece(line[-1].text + part.text, part.role)
        else:
            line.append(part)
    return tuple(line)
