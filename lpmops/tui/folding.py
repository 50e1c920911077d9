"""Long lines in a narrow room: folded over as many lines as they take, or cut. Pure, and quick for lines of any length.

A fold is made at a blank where one is near the end; what goes on is set in by `indent` cells.
"""

from __future__ import annotations

from rich.cells import cell_len, chop_cells

from lpmops.tui import paint
from lpmops.tui.paint import Line, Piece

_NEAR = 3


def folded_text(text: str, width: int, indent: int = 0) -> list[str]:
    """`text` in pieces of at most `width` cells, those after the first of `indent` fewer."""
    lines: list[str] = []
    at, room = 0, max(1, width)
    plain = text.isascii()
    while at < len(text) or not lines:
        rest = text[at : at + room]
        if not plain and cell_len(rest) > room:
            rest = chop_cells(rest, room)[0] or rest[:1]
        if at + len(rest) < len(text) and text[at + len(rest)] != " ":
            blank = rest.rfind(" ")
            if blank > len(rest) - max(1, len(rest) // _NEAR):
                rest = rest[: blank + 1]
        lines.append(rest.rstrip(" ") if at + len(rest) < len(text) else rest)
        at += len(rest)
        while lines and at < len(text) and text[at] == " ":
            at += 1
        room = max(1, width - indent)
    return lines


def folded(line: Line, width: int, indent: int = 0) -> list[Line]:
    """`line` over as many lines of `width` cells as it takes."""
    text = "".join(part.text for part in line)
    if len(text) <= width and cell_len(text) <= width:
        return [line]
    lines: list[Line] = []
    parts = list(line)
    for number, piece in enumerate(folded_text(text, width, indent)):
        taken: list[Piece] = [Piece(" " * indent)] if number and indent else []
        wanted = piece
        while wanted and parts:
            part = parts[0]
            # Blanks at a fold were left out of the text, so they are left out of the parts.
            if wanted[0] != " " and part.text.startswith(" "):
                part = Piece(part.text.lstrip(" "), part.role)
                parts[0] = part
            if not part.text:
                parts.pop(0)
                continue
            size = min(len(part.text), len(wanted))
            taken.append(Piece(part.text[:size], part.role))
            wanted = wanted[size:]
            parts[0] = Piece(part.text[size:], part.role)
        lines.append(tuple(taken))
    return lines


def cut(line: Line, width: int) -> Line:
    """`line` in at most `width` cells; what can't be seen is not measured."""
    kept: list[Piece] = []
    room = width + 1
    for part in line:
        kept.append(Piece(part.text[:room], part.role))
        room -= len(part.text)
        if room <= 0:
            break
    return paint.crop(kept, width)


def end_of(line: Line, width: int) -> Line:
    """The end of `line` in at most `width` cells, an ellipsis where its last part was cut at its beginning."""
    if not line or paint.width_of(line) <= width:
        return line
    *before, last = line
    room = width - paint.width_of(before) - 1
    if room <= 0:
        return line
    kept = last.text[-room:]
    while cell_len(kept) > room:
        kept = kept[1:]
    return (*before, Piece(f"…{kept}", last.role))
