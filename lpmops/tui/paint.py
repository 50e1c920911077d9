"""Lines made of pieces, and the arithmetic of cells.

A `Line` is a tuple of `Piece`s, each a text and the role that styles it (the `role--*` component classes in
`app.tcss`); it knows nothing of widgets. Widths are terminal cells, not characters. Text enters through `piece`,
which makes it plain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from lpmops.plain_text import plain_line

ROLES = (
    "text", "strong", "muted", "faint", "stale", "ok", "warn", "bad", "unknown", "paused", "accent", "frame",
    "chosen", "prod", "key", "late", "spark", "past", "then",
)  # fmt: skip


class Piece(NamedTuple):
    """Some text in one style."""

    text: str
    role: str = "text"


Line = tuple[Piece, ...]
BLANK: Line = ()


def piece(text: str, role: str = "text") -> Piece:
    """A piece of text from anywhere, made harmless."""
    return Piece(plain_line(text), role)


def width_of(line: Iterable[Piece]) -> int:
    """Cells that `line` takes."""
    return sum(cell_len(part.text) for part in line)


def crop_text(text: str, width: int) -> str:
    """`text` in at most `width` cells, an ellipsis where something was cut."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def fit_text(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells."""
    cropped = crop_text(text, width)
    filler = " " * max(0, width - cell_len(cropped))
    return filler + cropped if right else cropped + filler


def wrapped(words: Sequence[str], width: int, most: int, *, joint: str = "") -> list[str]:
    """`words` over at most `most` lines of `width` cells; `joint` ends each line that goes on, an ellipsis one that is cut."""
    lines: list[str] = []
    rest = list(words)
    while rest and len(lines) < most:
        if len(lines) == most - 1 or cell_len(" ".join(rest)) <= width:
            lines.append(crop_text(" ".join(rest), width))
            break
        taken = 1
        while taken < len(rest) and cell_len(" ".join(rest[: taken + 1]) + joint) <= width:
            taken += 1
        lines.append(crop_text(" ".join(rest[:taken]) + joint, width))
        rest = rest[taken:]
    return lines


def crop(line: Sequence[Piece], width: int) -> Line:
    """`line` in at most `width` cells, an ellipsis where something was cut."""
    if width_of(line) <= width:
        return tuple(line)
    kept: list[Piece] = []
    room = width
    for part in line:
        size = cell_len(part.text)
        if size < room:
            kept.append(part)
            room -= size
            continue
        # Something follows or this part is too wide, so the last cell says that text is missing.
        kept.append(Piece(crop_text(part.text + " ", room) if size == room else crop_text(part.text, room), part.role))
        break
    return tuple(kept)


def fit(line: Sequence[Piece], width: int, *, right: bool = False, fill: Piece | None = None) -> Line:
    """`line` in exactly `width` cells, padded with spaces or with `fill` (one cell of text)."""
    cropped = crop(line, width)
    filler = fill or Piece(" ")
    padding = Piece(filler.text * max(0, width - width_of(cropped)), filler.role)
    if not padding.text:
        return cropped
    return (padding, *cropped) if right else (*cropped, padding)


def joined(parts: Iterable[Sequence[Piece]], between: Piece) -> Line:
    """The parts that hold anything, `between` two of them."""
    line: list[Piece] = []
    for part in parts:
        if part:
            line += [between, *part] if line else part
    return tuple(line)


def spread(left: Sequence[Piece], right: Sequence[Piece], width: int, fill: Piece | None = None) -> Line:
    """`left` and `right` at the two ends of `width` cells; where both do not fit, `left` is cut."""
    tail = crop(right, width)
    return (*fit(left, width - width_of(tail), fill=fill), *tail)
