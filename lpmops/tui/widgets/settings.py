"""Settings, limits, sign-ins, calls and files as rows of a table, and whole at the foot for the one under the cursor.

`settings` is pure: it takes what there is to tell and gives the rows. A row may hold a path to copy, the command that
mends it, or what enter changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from textual.geometry import Size

from lpmops.plain_text import plain
from lpmops.tui import folding, marks, paint, words
from lpmops.tui.marks import Mark
from lpmops.tui.paint import Line, Piece
from lpmops.tui.preferences import Preferences
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.table import Column, natural

FOOT_LINES = 4
_SIGN_INS = {
    "ok": marks.FINE,
    "expiring": marks.DEGRADED,
    "expired": marks.DOWN,
    "missing": marks.DOWN,
    "unknown": marks.UNKNOWN,
}
_CHANGE = "enter takes the next"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `mark` says how it is where that can be good or bad, `command` what mends it, `changes` the action that enter runs."""

    section: str
    name: str
    value: str
    role: str = "text"
    mark: Mark | None = None
    note: str = ""
    command: str = ""
    changes: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to tell beside the scene."""

    version: str
    theme: str
    preferences: Preferences
    places: Sequence[tuple[str, str]]
    warnings: Sequence[str]


def settings(scene: Scene, facts: Facts) -> tuple[Setting, ...]:
    """The rows, in order: what is wrong stands where it belongs."""
    limits = scene.limits
    rows = [
        *_looks(scene, facts),
        *(_sign_in(view, scene) for view in scene.views),
        *(_calls(view, scene) for view in scene.views),
        Setting("limits", "refresh", words.duration(limits.refresh), note="between two looks"),
        Setting("limits", "promised", words.duration(limits.latency), note="from commit to landed"),
        Setting("limits", "wished for", words.duration(limits.stretch), note="from commit to landed"),
        *(Setting("store", "warning", warning, "warn", marks.DEGRADED) for warning in facts.warnings),
        *(Setting("files", name, where, note="y copies it") for name, where in facts.places),
        Setting("lpmops", "version", facts.version),
    ]
    return tuple(replace(row, position=number) for number, row in enumerate(rows))


def _looks(scene: Scene, facts: Facts) -> list[Setting]:
    preferences = facts.preferences
    kept = str(preferences.path) if preferences.path else ""
    zone, number = words.zone_name(scene.now.astimezone(scene.zone)), len(preferences.keys)
    other = "false" if preferences.mouse else "true"
    return [
        Setting("looks", "theme", facts.theme, note=_CHANGE, changes="theme"),
        Setting(
            "looks", "times", zone if preferences.zone == "utc" else f"local, {zone}", note=_CHANGE, changes="zone"
        ),
        Setting(
            "looks", "mouse", "on" if preferences.mouse else "off", note=f"mouse = {other} in {kept}" if kept else ""
        ),
        Setting(
            "looks",
            "keys",
            f"{number} of your own" if number else "the usual ones",
            note=f"[keys] in {kept}" if kept else "",
        ),
        *(Setting("looks", name, keys, "muted") for name, keys in preferences.keys.items()),
        *(Setting("looks", "problem", problem, "warn", marks.DEGRADED) for problem in preferences.problems),
    ]


def _calls(view: EnvironmentView, scene: Scene) -> Setting:
    if not view.live:
        return Setting("calls", view.title, words.UNKNOWN, "unknown", note="nothing was read live yet")
    return Setting("calls", view.title, f"{words.count(view.calls_in_last_minute(scene.now))} a minute")


def _sign_in(view: EnvironmentView, scene: Scene) -> Setting:
    """State, time left and identity, with the exact command where one is needed."""
    snapshot = view.snapshot
    if snapshot is None:
        return Setting("sign-in", view.title, words.UNKNOWN, "unknown", marks.UNKNOWN, "nothing was read yet")
    credential = snapshot.credential
    mark = _SIGN_INS.get(credential.state, marks.UNKNOWN)
    parts = [credential.state]
    if credential.expires_at is not None:
        left = (credential.expires_at - scene.now).total_seconds()
        at = words.row_time(credential.expires_at, scene.now.astimezone(scene.zone))
        parts.append(f"{words.age(left)} left, until {at}" if left >= 0 else f"ended {words.age(-left)} ago, at {at}")
    if credential.identity:
        parts.append(credential.identity)
    late = scene.is_late(snapshot.taken_at)
    note = f"as of {words.age(words.age_seconds(scene.now, snapshot.taken_at))}" if late else ""
    role = mark.role if mark is not marks.FINE else "stale" if scene.is_old(snapshot.taken_at) else "text"
    return Setting("sign-in", view.title, " · ".join(parts), role, mark, note, credential.remedy)


def _section(row: Setting, _now: datetime) -> Line:
    return (Piece(f" {row.section}", "muted"),)


def _value(row: Setting, _now: datetime) -> Line:
    mark = (Piece(f"{row.mark.glyph} ", row.mark.role),) if row.mark else ()
    # A path says most at its end, but it is read from its beginning: whole at the foot.
    return (*mark, paint.piece(row.value, row.role))


def _note(row: Setting, _now: datetime) -> Line:
    return (paint.piece(f"→ {row.command}", "accent"),) if row.command else (paint.piece(row.note, "muted"),)


COLUMNS: tuple[Column[Setting], ...] = (
    Column("section", " section", 9, _section, lambda row: row.position),
    Column("setting", "setting", 14, lambda row, _: (paint.piece(row.name, "strong"),), lambda row: natural(row.name)),
    Column("value", "value", 34, _value, lambda row: natural(row.value), grows=True, most=72),
    Column("note", "note", 30, _note, lambda row: natural(row.command or row.note), wanted=1),
)


def key(row: Setting) -> str:
    """What names a row."""
    return f"{row.section}/{row.name}/{row.value if row.section in ('store', 'files') or row.name == 'problem' else ''}"


def haystack(row: Setting) -> str:
    """What the filter looks in."""
    return f"{row.section} {row.name} {row.value} {row.note} {row.command}".casefold()


def foot_lines(row: Setting | None, width: int) -> list[Line]:
    """The row under the cursor, whole, with what can be done about it."""
    lines: list[Line] = [(Piece("─" * width, "frame"),)]
    if row is not None:
        mark = (Piece(f"{row.mark.glyph} ", row.mark.role),) if row.mark else ()
        text = (Piece(f" {plain(row.name)}  ", "muted"), *mark, Piece(plain(row.value), row.role))
        lines += folding.folded(text, max(1, width - 1), 3)[: FOOT_LINES - 2]
        does = f"→ {row.command}" if row.command else row.note
        lines.append(folding.cut((Piece(f" {plain(does)}", "accent" if row.command else "muted"),), width))
    return [*lines, *[paint.BLANK] * (FOOT_LINES - len(lines))][:FOOT_LINES]


class Foot(Drawn):
    """The foot of the settings."""

    def __init__(self) -> None:
        super().__init__()
        self._row: Setting | None = None

    def show(self, row: Setting | None) -> None:
        """Takes the row under the cursor."""
        self._row = row
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Four lines."""
        return foot_lines(self._row, size.width)
