"""The assessment and the rights of an environment as rows that look alike: a mark, where it belongs, what is found, what it threatens.

Worst first; what is well comes last. The foot shows the row under the cursor whole, with what was seen and what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from textual.geometry import Size

from lpmops.control.access_rows import Right, merged
from lpmops.control.findings import AREAS, Finding
from lpmops.control.rights import TITLES
from lpmops.plain_text import plain_line
from lpmops.tui import answered, folding, frame, paint, words
from lpmops.tui.answers import Answer
from lpmops.tui.marks import Mark
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.table import Column, natural

TABS = {"assessment": "assessment", "rights": "rights"}
FOOT_LINES = 6
_EVERY = 600.0
_MARKS = {
    "ok": Mark("●", "well", "ok", 0),
    "has": Mark("●", "there", "ok", 0),
    "unknown": Mark("○", "unknown", "unknown", 1),
    "warn": Mark("▲", "to look at", "warn", 2),
    "bad": Mark("✖", "bad", "bad", 3),
    "lacks": Mark("✖", "lacking", "bad", 3),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One finding or right. `place` is its area or system, `todo` are commands, `value` what it was made from."""

    key: str
    mark: Mark
    position: int
    place: str
    what: str
    threatens: str
    evidence: tuple[str, ...]
    todo: tuple[str, ...]
    value: Any


def of_findings(findings: Sequence[Finding]) -> list[Row]:
    """The findings as rows."""
    return [
        Row(
            finding.id,
            _MARKS[finding.level.value],
            AREAS.index(finding.area),
            finding.area,
            finding.summary,
            finding.threatens,
            finding.evidence,
            finding.todo,
            finding,
        )
        for finding in findings
    ]


def of_rights(rights: Sequence[Right]) -> list[Row]:
    """The rights as rows; what differs only in its database is one."""
    return [_of_right(right) for right in merged(rights)]


def _of_right(right: Right) -> Row:
    short = right.on.rpartition("/")[2] if right.on.startswith("/subscriptions/") else right.on
    hand = (f"not for you to give: hand it to {right.giver}",) if right.may_grant is False else ()
    lacks = right.state == "lacks"
    return Row(
        f"{right.need}/{right.who}/{right.on}",
        _MARKS[right.state],
        list(TITLES).index(right.system),
        TITLES[right.system],
        f"{right.who}: {right.right} on {short}",
        "",
        (
            *((f"needed for: {right.needed_for}",) if right.state != "has" else ()),
            *((right.why,) if right.why else ()),
        ),
        (*hand, right.grant) if lacks else (),
        right,
    )


def _mark(row: Row, _now: datetime) -> Line:
    return (Piece(f" {row.mark.glyph}", row.mark.role),)


def _what(row: Row, _now: datetime) -> Line:
    return (paint.piece(row.what, "text" if row.mark.weight else "muted"),)


COLUMNS: tuple[Column[Row], ...] = (
    Column("state", "", 2, _mark, lambda row: (-row.mark.weight, row.position)),
    Column("where", "where", 16, lambda row, _: (paint.piece(row.place, "strong"),), lambda row: row.position),
    Column("found", "found", 30, _what, lambda row: natural(row.what), grows=True),
    Column(
        "threatens",
        "threatens",
        9,
        lambda row, _: (paint.piece(row.threatens, "late"),),
        lambda row: row.threatens,
        wanted=1,
    ),
)


def key(row: Row) -> str:
    """What names a row."""
    return row.key


def haystack(row: Row) -> str:
    """What the filter looks in."""
    return " ".join((row.mark.word, row.place, row.what, row.threatens, row.key, *row.evidence, *row.todo)).casefold()


def whole(row: Row) -> str:
    """A row as lines of text."""
    return "\n".join([row.what, *(f"  {text}" for text in row.evidence), *(f"→ {text}" for text in row.todo)])


@dataclass(frozen=True, slots=True)
class View:
    """What the frame tells: the open tab, its answer and its rows."""

    tab: str
    answer: Answer[Any]
    rows: Sequence[Row]


def head_lines(view: View, scene: Scene, environment: str, width: int) -> list[Line]:
    """The frame with the tabs, and how much of what there is."""
    found = scene.view(environment)
    head = (frame.name_of(found, environment), Piece("  "), Piece("doctor", "strong"))
    tabs: list[Piece] = []
    for name, title in TABS.items():
        is_open = name == view.tab
        tabs += [
            Piece("▸ " if is_open else "  ", "accent"),
            Piece(title, "accent" if is_open else "muted"),
            Piece("  "),
        ]
    counted = Counter(row.mark for row in view.rows)
    marks = sorted(counted, key=lambda mark: -mark.weight)
    counts = paint.joined(
        [(Piece(f"{mark.glyph} {words.count(counted[mark])} {mark.word}", mark.role),) for mark in marks], Piece("  ")
    )
    content = paint.spread(tabs, counts, frame.inner_width(width))
    right = answered.state(view.answer, scene, _EVERY)
    return frame.framed([content], found, scene, width, head=head, foot=(), foot_right=right)


class Head(Drawn):
    """The head of the assessment."""

    def __init__(self, environment: str) -> None:
        super().__init__()
        self.environment = environment
        self.scene: Scene | None = None
        self.view: View | None = None

    def show(self, scene: Scene, view: View) -> None:
        """Takes new values."""
        self.scene, self.view = scene, view
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Three lines."""
        if self.scene is None or self.view is None:
            return []
        return head_lines(self.view, self.scene, self.environment, size.width)


def foot_lines(row: Row | None, width: int) -> list[Line]:
    """The row under the cursor with what was seen and what to do, as far as there is room; enter shows all of it."""
    lines: list[Line] = [(Piece("─" * width, "frame"),)]
    if row is not None:
        lines += folding.folded((paint.piece(f" {row.what}", row.mark.role if row.mark.weight else "text"),), width, 3)[
            :2
        ]
        todo = [(Piece(" → ", "accent"), paint.piece(text, "accent")) for text in row.todo[:2]]
        room = FOOT_LINES - len(lines) - len(todo)
        lines += [(Piece("   "), paint.piece(text, "muted")) for text in row.evidence[: max(0, room)]]
        lines += todo
    cut = [folding.cut(line, width) for line in lines]
    return [*cut, *[paint.BLANK] * (FOOT_LINES - len(cut))][:FOOT_LINES]


class Foot(Drawn):
    """The foot of the assessment."""

    def __init__(self) -> None:
        super().__init__()
        self._row: Row | None = None

    def show(self, row: Row | None) -> None:
        """Takes the row under the cursor."""
        self._row = row
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Six lines."""
        return foot_lines(self._row, size.width)


def text_of(row: Row) -> str:
    """The row on one line, for copying."""
    return plain_line(whole(row))
