"""What is probably wrong, worst first, each with its evidence and the command that comes next.

`suspect_lines` is pure: it gives every suspect a line, then its next command, whole over as many lines as it takes
because it is what one copies, then what is left of the summary, the evidence and the further steps, as far as the rows
go, and says how many suspects are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from textual.geometry import Size

from lpmops.control.reconciled import LOSSES
from lpmops.model import Health, Suspect
from lpmops.tui import commands, marks, paint
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.drawn import Drawn

_ID_WIDTH = 20
_MOST_LINES = 4
_EVIDENCE_LINES = 2
_OPTION = re.compile(r" (?=--?[a-zA-Z](?:[^']*'[^']*')*[^']*$)")
_WORD = re.compile(r"(?:'[^']*'|\S)+")
_JOINT = " \\"
_SIGNS = ("→ ", "· ")
# So many environments have a key of their own.
_NUMBERED = 9
_LEADS = dict.fromkeys(
    LOSSES,
    ("app.versions", "shows what is missing among the table's versions, and plans its replay"),
)
_TOOLS = ("az", "databricks", "lpmops")


class Finding(NamedTuple):
    """A suspect and the environment it is in; `key` opens that, empty where none does."""

    view: EnvironmentView
    suspect: Suspect
    key: str = ""


def findings(scene: Scene, environment: str | None = None) -> list[Finding]:
    """The suspects of one environment or of all: the surest first, production before the others, then in the order of the diagnosis."""
    found = [
        Finding(view, suspect, f"{number}" if number <= _NUMBERED else "")
        for number, view in enumerate(scene.views, 1)
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
    label = max((len(paint.piece(item.view.title).text) for item in shown), default=0) + 2 if name_environment else 0
    parts = [_parts(item, width, min(label, 16)) for item in shown]
    given = _given([[len(part) for part in each[1:]] for each in parts], spare)
    lines: list[Line] = []
    for each, room in zip(parts, given, strict=True):
        command, more, evidence, steps = (_first(part, number) for part, number in zip(each[1:], room, strict=True))
        head = each[0][0 if more or not each[2] else 1]
        # Evidence is read before the command it leads to.
        lines += [head, *more, *evidence, *command, *steps]
    if len(shown) < len(found):
        lines.append((Piece(f"   +{len(found) - len(shown)} more", "muted"),))
    return lines[:rows]


def _first(lines: list[Line], number: int) -> list[Line]:
    """The first lines of a part; an ellipsis stands where a sentence or a command would go on."""
    kept = lines[:number]
    if kept and number < len(lines) and _goes_on(lines[number]):
        *before, last = kept[-1]
        kept[-1] = (*before, Piece(last.text.removesuffix(_JOINT) + " …", last.role))
    return kept


def _goes_on(line: Line) -> bool:
    """Whether a line continues the one before it: only a first line has a sign."""
    return not any(part.text in _SIGNS for part in line)


def _given(wanted: list[list[int]], spare: int) -> list[list[int]]:
    """How many lines of each part of each suspect are shown: a part of all suspects comes before the next part of one."""
    given = [[0] * len(each) for each in wanted]
    for part in range(len(wanted[0]) if wanted else 0):
        for index, each in enumerate(wanted):
            given[index][part] = min(each[part], spare)
            spare -= given[index][part]
    return given


def _parts(item: Finding, width: int, label: int) -> tuple[list[Line], ...]:
    """The lines about one suspect: its head in two forms, its first command, the rest of its summary, its evidence, its other steps."""
    suspect = item.suspect
    mark = marks.of_suspect(item.view.stage(suspect.stage))
    environment = Piece(
        paint.fit_text(paint.piece(item.view.title).text, label), "prod" if item.view.is_prod else "strong"
    )
    ident = paint.piece(suspect.id).text
    ident = paint.fit_text(ident, _ID_WIDTH if width >= 100 else min(_ID_WIDTH, len(ident) + 1))
    start: Line = (
        Piece(f" {mark.glyph} ", mark.role),
        *((environment,) if label else ()),
        Piece(ident, "strong"),
        Piece(" "),
    )
    confidence: Line = (Piece(f"  {suspect.confidence.value} ", "muted"),)
    room = width - paint.width_of(start) - paint.width_of(confidence)
    summary = paint.wrapped(paint.piece(suspect.summary).text.split(" "), max(1, room), _MOST_LINES)
    whole = paint.piece(suspect.summary)
    # The head alone says that the summary goes on; with the rest below it does not have to.
    heads = [
        paint.spread(paint.crop((*start, text), width - paint.width_of(confidence)), confidence, width)
        for text in (Piece(summary[0]), whole)
    ]
    # What the app itself leads to comes before what a shell does.
    steps = (*_lead(item, named=bool(label)), *suspect.next)
    return (
        heads,
        [line for step in steps[:1] for line in _step(step, width, label)],
        [(Piece(" " * paint.width_of(start)), Piece(text)) for text in summary[1:]],
        [
            line
            for text in suspect.evidence
            for line in _bullet("· ", "muted", paint.piece(text).text.split(" "), width, label, _EVIDENCE_LINES)
        ],
        [line for step in steps[1:] for line in _step(step, width, label)],
    )


def _lead(item: Finding, *, named: bool) -> tuple[str, ...]:
    """The key of the screen that goes on from a suspicion, where there is one; `named` where the environment has to be opened first."""
    found = _LEADS.get(item.suspect.id)
    if found is None:
        return ()
    command, words = found
    key = next(each.keys for each in commands.EVERYWHERE if each.id == command)
    way = f"{item.key or 'enter'} opens {item.view.title}, then " if named else ""
    return (f"{way}{key} {words}",)


def _step(step: str, width: int, label: int) -> list[Line]:
    """A next step; a command that goes on in the next line ends as a shell wants it, so that it can be copied without what is said about it."""
    text, _, remark = paint.piece(step).text.partition("   ")
    if text.partition(" ")[0] not in _TOOLS:
        return _bullet("→ ", "accent", paint.piece(step).text.split(" "), width, label, _MOST_LINES)
    room = max(1, width - 3 - label - 6)
    # An option stays with its value, and what is quoted stays whole.
    words = [word for part in _OPTION.split(text) for word in ([part] if len(part) <= room else _WORD.findall(part))]
    lines = _bullet("→ ", "accent", words, width, label, _MOST_LINES, _JOINT)
    return lines + (_bullet("  ", "muted", remark.split(" "), width, label, _EVIDENCE_LINES) if remark else [])


def _bullet(
    sign: str, role: str, text: Sequence[str], width: int, label: int, most: int, joint: str = ""
) -> list[Line]:
    indent = " " * (3 + label)
    lines = paint.wrapped(text, max(1, width - len(indent) - 4), most, joint=joint)
    return [
        (Piece(indent), Piece(sign if number == 0 else "  ", role if role == "accent" else "faint"), Piece(line, role))
        for number, line in enumerate(lines)
    ]


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
