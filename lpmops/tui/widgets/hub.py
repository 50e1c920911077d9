"""The hub's events as rows of a table, and the head over it. Newest first; everything is a function of an event and the time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from textual.geometry import Size

from lpmops.model import HubEvent, to_data
from lpmops.tui import answered, changes, frame, paint, words
from lpmops.tui.answers import Answer
from lpmops.tui.paint import Line, Piece
from lpmops.tui.questions import EVENTS_EVERY
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.table import Column, LiveTable, natural


def _enqueued(event: HubEvent, now: datetime) -> Line:
    text = words.row_time(event.enqueued_at, now, milliseconds=True)
    return (Piece(f" {text}", "text" if event.enqueued_at else "unknown"),)


def _order(event: HubEvent) -> tuple[float, object, int]:
    at = event.enqueued_at.timestamp() if event.enqueued_at else 0.0
    return at, natural(event.partition), event.sequence


def _company(event: HubEvent, _now: datetime) -> Line:
    return (paint.piece(event.company_id) if event.company_id else Piece(words.UNKNOWN, "unknown"),)


def _change(event: HubEvent, _now: datetime) -> Line:
    if event.problem:
        return (Piece("✖ ", "bad"), Piece("unread", "bad"))
    mark = changes.kind_of(event.change_type)
    return (Piece(f"{mark.glyph} ", mark.role), paint.piece(mark.word, mark.role))


def _record(event: HubEvent, _now: datetime) -> Line:
    if event.problem:
        return (paint.piece(event.problem, "bad"),)
    replayed = (Piece("↻ ", "accent"),) if event.replay_id is not None else ()
    return (*replayed, paint.piece(event.record_id) if event.record_id else Piece(words.UNKNOWN, "unknown"))


def _version(event: HubEvent, _now: datetime) -> Line:
    return (Piece(words.count(event.commit_version), "unknown" if event.commit_version is None else "text"),)


def _after(event: HubEvent) -> float | None:
    if event.commit_at is None or event.enqueued_at is None:
        return None
    return (event.enqueued_at - event.commit_at).total_seconds()


def _latency(event: HubEvent, _now: datetime) -> Line:
    seconds = _after(event)
    return (Piece(words.duration(seconds), "unknown" if seconds is None else "muted"),)


def _place(event: HubEvent, _now: datetime) -> Line:
    return (paint.piece(f"{event.partition}/{event.sequence}", "muted"),)


COLUMNS: tuple[Column[HubEvent], ...] = (
    Column("enqueued", " enqueued", 13, _enqueued, _order),
    Column("company", "company", 12, _company, lambda event: natural(event.company_id or "")),
    Column("change", "change", 8, _change, lambda event: event.change_type),
    Column("record", "record", 13, _record, lambda event: natural(event.record_id or ""), grows=True, keeps_end=True, most=46),
    Column("version", "version", 8, _version, lambda event: event.commit_version, right=True, wanted=2),
    Column("latency", "to hub", 7, _latency, _after, right=True, wanted=1),
    Column("place", "place", 12, _place, lambda event: (natural(event.partition), event.sequence), wanted=3),
)  # fmt: skip


def key(event: HubEvent) -> str:
    """Where it stands in the hub."""
    return f"{event.partition}/{event.sequence}"


def haystack(event: HubEvent) -> str:
    """What the filter looks in: company, record, version, kind of change, place, and the masked fields."""
    kind = changes.kind_of(event.change_type).word
    fields = json.dumps(dict(event.values), ensure_ascii=False, default=str)
    return f"{event.company_id} {event.record_id} {event.commit_version} {kind} {key(event)} {event.problem} {fields}".casefold()


def text_of(event: HubEvent) -> str:
    """The whole event as JSON, masked."""
    return json.dumps(to_data(event), ensure_ascii=False, default=str)


class HubFrame(Drawn):
    """The head: whose events these are, how many, how many match, how old the answer is."""

    def __init__(self, environment: str, company: str, table: LiveTable[HubEvent]) -> None:
        super().__init__()
        self.environment, self.company, self.table = environment, company, table
        self.scene: Scene | None = None
        self._answer: Answer[Any] = Answer()

    def show(self, scene: Scene, answer: Answer[Sequence[HubEvent]]) -> None:
        """Takes new values."""
        self.scene, self._answer = scene, answer
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """Three lines."""
        return hub_lines(self, self.scene, self._answer, size.width) if self.scene else []


def hub_lines(head: HubFrame, scene: Scene, answer: Answer[Sequence[HubEvent]], width: int) -> list[Line]:
    """The frame, and in it what the rows are."""
    view = scene.view(head.environment)
    name = (frame.name_of(view, head.environment), Piece("  "), Piece("hub", "strong"))
    whose: Line = (
        (Piece("company ", "muted"), paint.piece(head.company, "strong"))
        if head.company
        else (Piece("all companies", "muted"),)
    )
    counted: Line = ()
    if answer.value is not None:
        counted = (Piece(f"{words.count(head.table.total)} newest events", "muted"),)
        if head.table.pattern:
            counted = (
                Piece(f"{words.count(head.table.row_count)} match ", "muted"),
                paint.piece(head.table.pattern, "accent"),
            )
    zone = words.zone_name(scene.now.astimezone(scene.zone))
    foot = (Piece("held, p goes on", "late"),) if scene.held else (Piece("as they come, p holds", "muted"),)
    right = (Piece(f"times in {zone} · ", "muted"), *answered.state(answer, scene, EVENTS_EVERY))
    content = paint.spread(whose, counted, frame.inner_width(width))
    return frame.framed([content], view, scene, width, head=name, foot=foot, foot_right=right)
