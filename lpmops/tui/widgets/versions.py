"""A table's versions and the companies of a range as rows, and the frame with the axis over them. Pure but for the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from textual.events import Click
from textual.geometry import Size
from textual.message import Message

from lpmops.control.versionline import VersionLine
from lpmops.plain_text import counted
from lpmops.tui import answered, frame, paint, words
from lpmops.tui.answers import Answer
from lpmops.tui.paint import Line, Piece
from lpmops.tui.questions import VERSIONS_EVERY
from lpmops.tui.version_rows import MISSING, CompanyRow, Laid, Vacuum, VersionRow, special
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.table import Column, natural
from lpmops.tui.widgets.version_axis import Axis, axis_lines
from lpmops.versions import Versions

_RANGES_SHOWN = 3


# The versions -------------------------------------------------------------------------------------------------------------------------------------


def columns(chosen: Callable[[], Versions | None]) -> tuple[Column[VersionRow], ...]:
    """The columns of the versions; `chosen` is asked which are marked."""

    def version(row: VersionRow, _now: datetime) -> Line:
        here = chosen()
        inside = here is not None and row.version in here
        return (
            Piece("▌" if inside else " ", "accent"),
            Piece(words.count(row.version), "strong" if inside else "text"),
        )

    return (
        Column("version", " version", 10, version, lambda row: row.version),
        Column("committed", "committed", 12, _committed, lambda row: row.commit.at),
        Column("operation", "operation", 11, _operation, lambda row: row.commit.operation, most=24, grows=True),
        Column("rows", "rows", 8, _rows, lambda row: row.commit.rows, right=True),
        Column("proof", "what is known", 30, _known, lambda row: row.mark.weight, grows=True),
    )  # fmt: skip


def _committed(row: VersionRow, now: datetime) -> Line:
    return (Piece(words.row_time(row.commit.at, now), "muted"),)


def _operation(row: VersionRow, _now: datetime) -> Line:
    return (paint.piece(row.commit.operation or words.UNKNOWN, "accent" if special(row.commit) else "text"),)


def _rows(row: VersionRow, _now: datetime) -> Line:
    return (Piece(words.count(row.commit.rows), "text" if row.commit.rows else "muted"),)


def _known(row: VersionRow, _now: datetime) -> Line:
    return (Piece(f"{row.mark.glyph} ", row.mark.role), paint.piece(row.said, row.mark.role))


def key(row: VersionRow) -> str:
    """The version."""
    return str(row.version)


def haystack(row: VersionRow) -> str:
    """What the filter looks in: version, operation, what is known, and the companies that lack something."""
    return f"{row.version} {row.commit.operation} {row.said} {' '.join(gap.company_id for gap in row.gaps)}".casefold()


# The companies ------------------------------------------------------------------------------------------------------------------------------------


def company_columns(ticked: Callable[[], frozenset[str]]) -> tuple[Column[CompanyRow], ...]:
    """The columns of the companies; `ticked` is asked which are."""

    def company(row: CompanyRow, _now: datetime) -> Line:
        name = paint.piece(f" {row.company}", "text" if row.complete else "strong")
        is_ticked = row.company_id in ticked()
        mark = Piece("[x] " if is_ticked else "[ ] ", "key" if is_ticked else "faint")
        return (mark, paint.piece(row.company_id or "(no company)", "strong"), name)

    return (
        Column("company", "    company", 18, company, lambda row: natural(row.company_id), grows=True, most=44),
        Column("rows", "rows", 7, _in_range, lambda row: row.changes, right=True, wanted=2),
        Column("missing", "missing", 8, _number("missing", "bad"), lambda row: (row.missing, row.extra, row.doubled), right=True),
        Column("doubled", "doubled", 7, _number("doubled", "warn"), lambda row: row.doubled, right=True, wanted=1),
        Column("extra", "extra", 6, _number("extra", "warn"), lambda row: row.extra, right=True, wanted=1),
        Column("proof", " what is known", 22, _looked, lambda row: row.looked.weight, grows=True),
    )  # fmt: skip


BY_TROUBLE = 2


def _number(name: str, role: str) -> Callable[[CompanyRow, datetime], Line]:
    def draw(row: CompanyRow, _now: datetime) -> Line:
        number = getattr(row, name)
        return (Piece(words.count(number), role if number else "muted"),)

    return draw


def _in_range(row: CompanyRow, _now: datetime) -> Line:
    return (Piece(words.count(row.changes), "unknown" if row.changes is None else "text"),)


def _looked(row: CompanyRow, _now: datetime) -> Line:
    if row.complete:
        return (Piece(f" {row.looked.glyph} {row.looked.word}", row.looked.role),)
    return (
        Piece(f" {MISSING.glyph if row.missing else '▲'} ", "bad" if row.missing else "warn"),
        Piece(_in(row.where)),
        *_lost(row),
    )


def _lost(row: CompanyRow) -> Line:
    lost = row.missing - row.repairable
    return (Piece(f", {lost:,} for good", "bad"),) if lost > 0 else ()


def _in(ranges: Sequence[Versions]) -> str:
    more = f" and {len(ranges) - _RANGES_SHOWN} more" if len(ranges) > _RANGES_SHOWN else ""
    return ", ".join(str(one) for one in ranges[:_RANGES_SHOWN]) + more


def company_key(row: CompanyRow) -> str:
    """The company's id."""
    return row.company_id


def company_haystack(row: CompanyRow) -> str:
    """What the filter looks in."""
    return f"{row.company_id} {row.company} {row.database}".casefold()


# The frame ----------------------------------------------------------------------------------------------------------------------------------------


class VersionFrame(Drawn):
    """The axis in the environment's frame, and under it since when there is a change feed and how far all is proven."""

    class Chosen(Message):
        """A version was clicked on."""

        def __init__(self, version: int) -> None:
            super().__init__()
            self.version = version

    def __init__(self, environment: str) -> None:
        super().__init__()
        self.environment = environment
        self._scene: Scene | None = None
        self._answer: Answer[Laid] = Answer()
        self._chosen: Versions | None = None
        self._cursor: int | None = None
        self._rows = 2
        self._axis: Axis | None = None

    def show(self, scene: Scene, answer: Answer[Laid], chosen: Versions | None, cursor: int | None, rows: int) -> None:
        """Takes new values; `rows` are the lines that the axis may have."""
        self._scene, self._answer, self._chosen, self._cursor, self._rows = scene, answer, chosen, cursor, rows
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Frame, axis, facts."""
        scene, found = self._scene, self._answer.value
        if scene is None:
            return []
        view, inner = scene.view(self.environment), frame.inner_width(size.width)
        now = scene.now.astimezone(scene.zone)
        content: list[Line] = []
        if found is not None:
            if self._axis is None or self._axis.found is not found or self._axis.room != inner:
                self._axis = Axis(found, inner)
            content = axis_lines(self._axis, self._chosen, self._cursor, now, self._rows)
            content += fact_lines(found, now, inner, 1 if self._rows < 4 else 2)
        else:
            content = [
                (
                    Piece(
                        "reading the table's history …"
                        if self._answer.pending
                        else "nothing is known of the table's versions",
                        "muted",
                    ),
                )
            ]
        name = (frame.name_of(view, self.environment), Piece("  "), Piece("versions", "strong"))
        table: Line = (Piece("  of ", "muted"), paint.piece(found.line.table, "text")) if found is not None else ()
        number = Piece(f"{words.count(len(found.rows))} commits", "muted") if found is not None else Piece("")
        zone = words.zone_name(now)
        right = (Piece(f"times in {zone} · ", "muted"), *answered.state(self._answer, scene, VERSIONS_EVERY))
        return frame.framed(
            content, view, scene, size.width, head=(*name, *table), head_right=(number,), foot_right=right
        )

    def on_click(self, event: Click) -> None:
        """Goes to the version that was clicked on."""
        cell = event.x - 2
        if self._axis is not None and self._axis.cells and 0 <= cell < self._axis.room:
            self.post_message(self.Chosen(self._axis.row_at(cell).version))


def fact_lines(found: Laid, now: datetime, width: int, most: int) -> list[Line]:
    """Since when there is a change feed, what VACUUM may have taken, how far all is proven, and what is missing."""
    parts = [_feed(found.line, now), *_missing(found), *_vacuumed(found.vacuum, now), _proven(found)]
    lines: list[Line] = []
    for part in parts:
        together = paint.joined([lines[-1], part], Piece("  ·  ", "faint")) if lines else part
        if lines and paint.width_of(together) <= width:
            lines[-1] = together
        elif len(lines) < most or not lines:
            lines.append(part)
    return [paint.crop(line, width) for line in lines]


def _feed(line: VersionLine, now: datetime) -> Line:
    feed = line.feed
    if feed.kind == "off":
        return (Piece("✖ ", "bad"), Piece("the change feed is off: nothing can be replayed", "bad"))
    if feed.kind == "automatic":
        return (Piece("change feed worked out from row tracking", "muted"),)
    if feed.first_version is None:
        return (Piece("change feed on for longer than was looked at", "muted"),)
    at = f", {words.row_time(feed.first_commit_at, now)}" if feed.first_commit_at is not None else ""
    return (Piece("change feed since ", "muted"), Piece(f"v {words.count(feed.first_version)}"), Piece(at, "muted"))


def _vacuumed(vacuum: Vacuum | None, now: datetime) -> list[Line]:
    """What the last VACUUM may have taken with it."""
    if vacuum is None:
        return []
    gone = f", may be gone before v {words.count(vacuum.kept_from)}" if vacuum.kept_from is not None else ""
    return [(Piece(f"vacuumed {words.row_time(vacuum.at, now)}", "muted"), Piece(gone, "warn"))]


def _proven(found: Laid) -> Line:
    bounds = found.bounds
    if found.line.proofs is None:
        return (Piece("there is no local store, so nothing is remembered", "warn"),)
    if bounds is None or not found.looked_at:
        return (Piece("nothing was looked at yet", "unknown"),)
    if found.looked_at == len(bounds):
        return (Piece("all looked at", "ok"),)
    return (Piece(f"{found.looked_at:,} of {len(bounds):,} versions looked at", "muted"),)


def _missing(found: Laid) -> list[Line]:
    number = found.missing_changes
    if not number:
        return []
    return [
        (
            Piece("✖ ", "bad"),
            Piece(
                f"{counted(number, 'change', 'changes')} missing in {counted(len(found.missing), 'gap', 'gaps')}", "bad"
            ),
        )
    ]
