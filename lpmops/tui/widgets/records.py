"""The newest changes of a company as rows of a table, and the line over it.

Newest first. Everything is a function of a `LandedRecord` and the time, whose zone is the one that times are shown in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from textual.geometry import Size

from lpmops.model import LandedRecord
from lpmops.tui import answered, changes, marks, paint, words
from lpmops.tui.answers import Answer
from lpmops.tui.feed import Limits
from lpmops.tui.paint import Line, Piece
from lpmops.tui.questions import RECORDS_EVERY
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.table import Column, LiveTable, natural


def _landed(record: LandedRecord, now: datetime) -> Line:
    text = words.row_time(record.landed_at, now, milliseconds=True)
    return (Piece(f" {text}", "text" if record.landed_at else "unknown"),)


def _landed_order(record: LandedRecord) -> tuple[float, int, int] | None:
    """By when it landed; those of one batch by their place in the stream."""
    if record.landed_at is None:
        return None
    return (record.landed_at.timestamp(), record.commit_version, record.sequence or 0)


def _version(record: LandedRecord, _now: datetime) -> Line:
    return (Piece(words.count(record.commit_version)),)


def _kind(record: LandedRecord, _now: datetime) -> Line:
    mark = changes.kind_of(record.change_type)
    return (Piece(f"{mark.glyph} ", mark.role), paint.piece(mark.word, mark.role))


def _record(record: LandedRecord, _now: datetime) -> Line:
    replayed = (Piece("↻ ", "accent"),) if record.replay_id is not None else ()
    return (*replayed, paint.piece(record.record_id))


def _replay(record: LandedRecord, _now: datetime) -> Line:
    return (Piece(" "), paint.piece(record.replay_id, "accent")) if record.replay_id is not None else ()


def _replay_order(record: LandedRecord) -> object:
    return natural(record.replay_id) if record.replay_id else None


def _hop(hop: str, record: LandedRecord, _now: datetime) -> Line:
    seconds = changes.seconds(record, hop)
    return (Piece(words.duration(seconds), "unknown" if seconds is None else "muted"),)


def columns(limits: Limits) -> tuple[Column[LandedRecord], ...]:
    """The columns; latencies are held against `limits`."""

    def whole(record: LandedRecord, _now: datetime) -> Line:
        seconds = changes.total(record)
        # What was replayed is as old as it is, whatever the stream promises.
        role = marks.of_latency(seconds, limits) if record.replay_id is None else "muted"
        return (Piece(words.duration(seconds), "unknown" if seconds is None else role),)

    def hop(name: str, title: str, wanted: int) -> Column[LandedRecord]:
        return Column(
            name, title, 7, partial(_hop, name), lambda record: changes.seconds(record, name), right=True, wanted=wanted
        )

    return (
        Column("landed", " landed", 13, _landed, _landed_order),
        Column("version", "version", 8, _version, lambda record: record.commit_version, right=True, wanted=1),
        Column("change", "change", 8, _kind, lambda record: record.change_type),
        Column("record", "record", 13, _record, lambda record: natural(record.record_id), grows=True, keeps_end=True, most=46),
        Column("latency", "latency", 8, whole, changes.total, right=True),
        hop("commit_to_sent", "to sent", 4),
        hop("sent_to_enqueued", "to hub", 3),
        hop("enqueued_to_landed", "to SQL", 2),
        Column("replay", " replay", 30, _replay, _replay_order, wanted=5),
    )  # fmt: skip


def haystack(record: LandedRecord) -> str:
    """What the filter looks in: id, version, kind of change, replay."""
    kind = changes.kind_of(record.change_type).word
    replay = f"replay {record.replay_id}" if record.replay_id is not None else ""
    return f"{record.record_id} {record.commit_version} {kind} {record.change_type} {replay}".casefold()


class RecordsCaption(Drawn):
    """The line over the table: how many records there are, how many match, how old the answer is."""

    def __init__(self, table: LiveTable[LandedRecord]) -> None:
        super().__init__()
        self.table = table
        self.scene: Scene | None = None
        self._answer: Answer[Sequence[LandedRecord]] = Answer()

    def show(self, scene: Scene, answer: Answer[Sequence[LandedRecord]]) -> None:
        """Takes new values."""
        self.scene, self._answer = scene, answer
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """One line."""
        if self.scene is None:
            return []
        left: tuple[Piece, ...] = (Piece(" newest records ", "strong"),)
        if self._answer.value is not None:
            left += (Piece(words.count(self.table.total)),)
        if self.table.pattern:
            left += (
                Piece(f"  {words.count(self.table.row_count)} match ", "muted"),
                paint.piece(self.table.pattern, "accent"),
            )
        zone = words.zone_name(self.scene.now.astimezone(self.scene.zone))
        right = (
            Piece(f"times in {zone} · ", "muted"),
            *answered.state(self._answer, self.scene, RECORDS_EVERY),
            Piece(" "),
        )
        return [paint.spread(left, right, size.width)]
