"""What is probably wrong, worst first, each with its evidence and the command that comes next.

`suspect_lines` is pure: it gives every suspect a line, then the next commands, then the evidence, as far as the rows
go, and says how many are left out.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.geometry import Size

from lpmops.model import Health, Suspect
from lpmops.tui import marks, paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.drawn import Drawn

_ID_WIDTH = 20


class Finding(NamedTuple):
    """A suspect and the environment it is in."""

    view: EnvironmentView
    suspect: Suspect


def findings(scene: Scene, environment: str | None = None) -> list[Finding]:
    """The suspects of one environment or of all: the surest first, production before the others, then in the order of the diagnosis."""
    found = [
        Finding(view, suspect)
        for view in scene.views
        if view.snapshot and environment in (None, view.name)
        for suspect in view.snapshot.suspects
    ]
    return sorted(found, key=lambda item: (marks.confidence_rank(item.suspect.confidence), item.view.order))


def calm_line(scene: Scene, environment: str | None) -> Line:
    """What stands where nothing is suspected: fine only where everything could be read."""
    views = [view for view in scene.views if environment in (None, view.name)]
    unread = [view for view in views if view.snapshot is None or view.snapshot.health is Health.UNKNOWN]
    if not unread:
        return (Piece(" ● ", "ok"), Piece("nothing is suspected", "muted"))
    names = ", ".join(view.title for view in unread)
    return (Piece(" ○ ", "unknown"), paint.piece(f"nothing is suspected; nothing is known yet of {names}", "unknown"))


def suspect_lines(found: list[Finding], width: int, rows: int, *, name_environment: bool = True) -> list[Line]:
    """At most `rows` lines about `found`, which holds at least one."""
    shown = found if len(found) <= rows else found[: max(1, rows - 1)]
    spare = rows - len(shown) - (1 if len(shown) < len(found) else 0)
    depths = _depths(shown, spare)
    label = max((len(paint.piece(item.view.title).text) for item in shown), default=0) + 2 if name_environment else 0
    lines: list[Line] = []
    for item, depth in zip(shown, depths, strict=True):
        lines += _one(item, width, depth, min(label, 16))
    if len(shown) < len(found):
        lines.append((Piece(f"   +{len(found) - len(shown)} more", "muted"),))
    return lines[:rows]


def _depths(shown: list[Finding], spare: int) -> list[int]:
    """How many lines each suspect may take beyond its first: next commands for all come before evidence for one."""
    wanted = [
        (1 if item.suspect.next else 0, len(item.suspect.evidence) + max(0, len(item.suspect.next) - 1))
        for item in shown
    ]
    depths = [0] * len(shown)
    for step in range(2):
        for index, wish in enumerate(wanted):
            given = min(wish[step], spare)
            depths[index] += given
            spare -= given
    return depths


def _one(item: Finding, width: int, depth: int, label: int) -> list[Line]:
    suspect = item.suspect
    stage = item.view.stage(suspect.stage)
    mark = marks.of_stage(stage)
    if mark is marks.FINE:
        mark = marks.DEGRADED
    environment = Piece(
        paint.fit_text(paint.piece(item.view.title).text, label), "prod" if item.view.is_prod else "strong"
    )
    ident = Piece(
        paint.fit_text(
            paint.piece(suspect.id).text, _ID_WIDTH if width >= 100 else min(_ID_WIDTH, len(suspect.id) + 1)
        ),
        "strong",
    )
    head: Line = (
        Piece(f" {mark.glyph} ", mark.role),
        *((environment,) if label else ()),
        ident,
        Piece(" "),
        paint.piece(suspect.summary),
    )
    confidence = (Piece(f" {suspect.confidence.value} ", "muted"),)
    lines = [paint.spread(paint.crop(head, width - paint.width_of(confidence)), confidence, width)]
    indent = Piece(" " * (3 + label))
    steps = [(Piece("→ ", "accent"), paint.piece(step, "accent")) for step in suspect.next]
    evidence: list[Line] = [(Piece("· ", "faint"), paint.piece(text, "muted")) for text in suspect.evidence]
    details = [*steps[:1], *evidence, *steps[1:]]
    if depth < len(details) and depth > 1:
        details = [*steps[:1], *evidence][:depth]
    # Evidence is read before the command it leads to.
    ordered = [line for line in details[:depth] if line in evidence] + [
        line for line in details[:depth] if line not in evidence
    ]
    return lines + [paint.crop((indent, *line), width) for line in ordered]


class Suspects(Drawn):
    """The suspects of one environment, or of all of them."""

    def __init__(self, environment: str | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.environment = environment
        self.scene: Scene | None = None
        self.most_rows = 0

    def show(self, scene: Scene, most_rows: int = 0) -> None:
        """Takes new values; `most_rows` bounds an automatic height."""
        self.scene, self.most_rows = scene, most_rows
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """As many suspects as there is room for."""
        if self.scene is None:
            return []
        rows = self.most_rows or size.height or 1
        found = findings(self.scene, self.environment)
        if not found:
            return [calm_line(self.scene, self.environment)]
        return suspect_lines(found, size.width, rows, name_environment=self.environment is None)
