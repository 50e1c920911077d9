"""What of a table's versions is chosen, and in two lines of words: how much that is, what is known of it, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from textual.geometry import Size

from lpmops.control.reconciled import Reconciliation
from lpmops.plain_text import counted
from lpmops.store.proofs import Unreadable
from lpmops.tui import folding, paint, words
from lpmops.tui.comparisons import Comparison
from lpmops.tui.paint import Line, Piece
from lpmops.tui.version_rows import CompanyRow, Laid, extent
from lpmops.tui.widgets.drawn import Drawn
from lpmops.versions import Versions, within

# How many notes are told, and how far one that goes on is set in.
_NOTES, _NOTED = 3, 3


@dataclass(slots=True)
class Choice:
    """What is chosen: a range that stands, or one that goes on from an `anchor` to the cursor; and the companies that are ticked."""

    versions: Versions | None = None
    anchor: int | None = None
    ticked: frozenset[str] = frozenset()

    def at(self, cursor: int | None) -> Versions | None:
        """The chosen versions while the cursor stands there."""
        if self.anchor is None or cursor is None:
            return self.versions
        return Versions(min(self.anchor, cursor), max(self.anchor, cursor))


class ChosenLines(Drawn):
    """Two lines, what is chosen and what comes next; below them notes, each over as many lines as it takes."""

    def __init__(self) -> None:
        super().__init__()
        self._told: list[Line] = []
        self._notes: list[Line] = []
        self._most = 0

    def tell(self, lines: list[Line], notes: list[Line], most: int) -> None:
        """Takes new lines, and notes for at most so many lines together."""
        self._told, self._notes, self._most = lines, notes, most
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The lines, cut to the width; the last of the notes that has room is cut."""
        lines = [paint.crop(line, size.width) for line in self._told]
        left = self._most
        for note in self._notes[: self._most]:
            folded = folding.folded(note, max(1, size.width), _NOTED)
            if len(folded) > left:
                folded = [*folded[: left - 1], paint.crop((*folded[left - 1], Piece(" …", "muted")), size.width)]
            lines += folded
            left -= len(folded)
            if not left:
                break
        return lines


def chosen_line(found: Laid, choice: Choice, cursor: int | None, now: datetime) -> Line:
    """Which versions are chosen, how many rows they wrote and when; whose."""
    versions = choice.at(cursor)
    whose: Line = ()
    if choice.ticked:
        whose = (
            Piece(" · for ", "muted"),
            Piece(f"{len(choice.ticked):,} ticked", "key"),
        )
    if versions is None:
        return (Piece(" nothing chosen", "strong"), Piece(": all that is known  ", "muted"), *whose)
    of_it = extent(found, versions)
    size = f"{of_it.rows:,} rows" + ("" if of_it.is_exact else " or more")
    times = ""
    if of_it.oldest is not None and of_it.newest is not None:
        first, last = (words.row_time(each.commit.at, now) for each in (of_it.oldest, of_it.newest))
        times = first if first == last else f"{first} – {last}"
    name = f" v {words.count(versions.first)}" + (f" – {words.count(versions.last)}" if len(versions) > 1 else "")
    goes_on = Piece(" … m ends it", "key") if choice.anchor is not None else Piece("")
    said = f" · {counted(len(versions), 'version', 'versions')} · {size} · {times}"
    return (Piece(name, "strong"), goes_on, Piece(said, "muted"), *whose)


def next_line(
    found: Laid, rows: Sequence[CompanyRow] | None, versions: Versions | None, work: Comparison | None, now: datetime
) -> Line:
    """What is known of what is chosen, and what the next step is; `rows` are its companies, None while it still moves."""
    if work is not None and work.going:
        stopping = Piece("stopping after this span", "warn") if work.stopping else Piece("R stops it", "key")
        return (
            Piece(" ▶ reconciling ", "accent"),
            paint.piece(work.told or "asking the services …"),
            Piece("   "),
            stopping,
        )
    if found.line.feed.kind == "off":
        return (
            Piece(" ✖ ", "bad"),
            Piece("without a change feed there is nothing to compare or to replay: x, cdf enable"),
        )
    if rows is None:
        return (
            Piece(" … ", "muted"),
            Piece("m", "key"),
            Piece(" ends the range here   ", "accent"),
            Piece("esc", "key"),
            Piece(" lets it go", "muted"),
        )
    lacking = [row for row in rows if row.missing]
    missing, repairable = sum(row.missing for row in lacking), sum(row.repairable for row in lacking)
    if missing:
        whom = counted(len(lacking), "company", "companies")
        head = (Piece(" ✖ ", "bad"), Piece(f"{counted(missing, 'change', 'changes')} of {whom} missing", "bad"))
        if not repairable:
            return (*head, Piece("; no replay brings them back. ", "muted"), *_why(lacking, found))
        some = "" if repairable == missing else f" ({repairable:,} repairable)"
        return (
            *head,
            Piece(f"{some}  → ", "muted"),
            Piece("P", "key"),
            Piece(" plans the replay   ", "accent"),
            Piece("R", "key"),
            Piece(" looks again", "muted"),
        )
    if any(not row.complete for row in rows):
        return (
            Piece(" ▲ ", "warn"),
            Piece("nothing is missing; some landed doubled or belongs to nobody. ", "text"),
            Piece("R", "key"),
            Piece(" looks again", "muted"),
        )
    if extent(found, versions).is_proven:
        return (
            Piece(" ● ", "ok"),
            Piece("each change landed once.", "ok"),
            Piece("  R", "key"),
            Piece(" looks again   ", "muted"),
            Piece("P", "key"),
            Piece(" sends it all the same", "muted"),
        )
    line = found.line
    # What is overdue waits for something, so that no time could be told.
    is_due = line.next_look is not None and line.next_look > now
    by_itself = f"; by itself {words.row_time(line.next_look, now)}" if is_due else ""
    return (
        Piece(" ○ ", "unknown"),
        Piece("not all looked at  → ", "text"),
        Piece("R", "key"),
        Piece(" holds source against what landed", "accent"),
        Piece(by_itself, "muted"),
    )


def _why(lacking: Sequence[CompanyRow], found: Laid) -> Line:
    proofs, companies = found.line.proofs, {row.company_id for row in lacking}
    reasons = {
        gap.why
        for gap in (proofs.gaps if proofs is not None else ())
        if gap.missing and gap.why and gap.company_id in companies
    }
    return (paint.piece("; ".join(sorted(reasons)), "muted"),) if reasons else ()


# Notes --------------------------------------------------------------------------------------------------------------------------------------------


def note_lines(found: Laid, chosen: Versions | None, result: Reconciliation | None) -> list[Line]:
    """What of the chosen versions can't be looked at any more or not yet, as is known or as a look has just said; why, and what remains."""
    gone = lost(found, chosen, result.unreadable if result is not None else ())
    said = [f"{_named(each.versions)}: {each.why} {each.remains}" for each in gone]
    said += result.warnings if result is not None else ()
    return [(Piece(" ○ ", "unknown"), paint.piece(text, "muted")) for text in list(dict.fromkeys(said))[:_NOTES]]


def lost(found: Laid, chosen: Versions | None, just_seen: Sequence[Unreadable] = ()) -> Sequence[Unreadable]:
    """What of the chosen versions is known to be gone for good, or could not be read just now."""
    proofs = found.line.proofs
    known = (*(proofs.unreadable if proofs is not None else ()), *just_seen)
    return [each for each in known if chosen is None or within([each.versions], chosen)]


def _named(versions: Versions) -> str:
    return f"versions {versions}" if len(versions) > 1 else f"version {versions.first}"
