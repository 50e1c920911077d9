"""One change: when it was where, which hop took how long, and what it holds.

`record_frame` and `payload` are pure. Hops are bars to scale, each beginning where the one before it ended; the payload
is every landed column, JSON opened and set out. Values come masked and are shown as they come.
"""

from __future__ import annotations

import json
import re
from datetime import tzinfo
from typing import Any

from textual.geometry import Size

from lpmops.model import HOPS, LandedRecord
from lpmops.plain_text import plain
from lpmops.tui import changes, frame, marks, paint, ruler, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.way import hop_bar

_LABEL, _HOP = 12, 9
_LEAST_BAR = 12
_NAMES = ("committed", "sent", "enqueued", "landed")
_MEMBER = re.compile(r'(\s*)("(?:[^"\\]|\\.)*")(: )(.*)')
_MOST_NAME = 24


def record_frame(record: LandedRecord, scene: Scene, environment: str, place: str, size: Size) -> list[Line]:
    """The stamps and the hops in the environment's frame; `place` says which of the newest records it is."""
    view, width = scene.view(environment), frame.inner_width(size.width)
    kind = changes.kind_of(record.change_type)
    head: list[Piece] = [
        frame.name_of(view, environment),
        Piece("  "),
        Piece(f"{kind.glyph} ", kind.role),
        paint.piece(kind.word, kind.role),
        Piece(" "),
        paint.piece(record.record_id, "strong"),
        paint.piece(f"  of company {record.company_id}", "muted"),
    ]
    right: Line = (Piece(place, "muted"),) if place else ()
    room = size.width - 10 - paint.width_of(right)
    content = [*_stamps(record, scene, width), _whole(record, scene, width), _numbers(record, width)]
    return frame.framed(content, view, scene, size.width, head=paint.crop(head, room), head_right=right)


def _end(record: LandedRecord, scene: Scene) -> float:
    return ruler.end_of(changes.total(record), scene.limits)


def _stamp_width(record: LandedRecord, scene: Scene) -> int:
    """Cells that the widest stamp takes, which depends on the zone."""
    return 1 + max(len(words.stamp(getattr(record, name), scene.zone)) for name in changes.STAMPS)


def _stamps(record: LandedRecord, scene: Scene, width: int) -> list[Line]:
    """A line a stamp, with the hop that led to it."""
    lines: list[Line] = []
    stamp = _stamp_width(record, scene)
    room, start = width - _LABEL - stamp - _HOP - 2, 0.0
    for number, (label, name) in enumerate(zip(_NAMES, changes.STAMPS, strict=True)):
        at = getattr(record, name)
        line: Line = (
            Piece(label.ljust(_LABEL), "muted"),
            Piece(words.stamp(at, scene.zone).ljust(stamp), "text" if at else "unknown"),
        )
        if number:
            seconds = changes.seconds(record, HOPS[number - 1])
            role = "unknown" if seconds is None else "warn" if seconds < 0 else "text"
            bar = hop_bar(start, seconds, None, scene, room, _end(record, scene)) if room >= _LEAST_BAR else ()
            line += (Piece(words.exact_duration(seconds).rjust(_HOP), role), Piece("  "), *bar)
            start += max(0.0, seconds or 0.0)
        lines.append(paint.crop(line, width))
    return lines


def _whole(record: LandedRecord, scene: Scene, width: int) -> Line:
    """Commit to landed against the limits; what was replayed is not held against them."""
    seconds, replayed = changes.total(record), record.replay_id is not None
    role = "muted" if replayed and seconds is not None else marks.of_latency(seconds, scene.limits)
    stamp = _stamp_width(record, scene)
    label = (
        Piece("commit→landed".ljust(_LABEL + stamp), "muted"),
        Piece(words.exact_duration(seconds).rjust(_HOP), role),
    )
    room, end = width - _LABEL - stamp - _HOP - 2, _end(record, scene)
    if room < _LEAST_BAR:
        return paint.crop((*label, Piece(f" of {words.duration(scene.limits.latency)}", "muted")), width)
    stroke = Piece("━", "accent" if role == "text" else role)
    cells = [
        stroke if seconds is not None and ((cell + 0.5) / room * end <= seconds or cell == 0) else Piece("·", "faint")
        for cell in range(room)
    ]
    ruler.mark_limits(cells, scene.limits, end)
    return (*label, Piece("  "), *ruler.merged(cells))


def _numbers(record: LandedRecord, width: int) -> Line:
    negative = any((seconds := changes.seconds(record, hop)) is not None and seconds < 0 for hop in HOPS)
    parts: list[Line] = [(Piece("▲ two clocks differ", "warn"),)] if negative else []
    if record.replay_id is not None:
        parts.append((Piece("↻ replay ", "accent"), paint.piece(record.replay_id, "accent")))
    parts += [
        (Piece("version ", "muted"), Piece(words.count(record.commit_version))),
        (Piece("partition ", "muted"), _number(record.partition)),
        (Piece("sequence ", "muted"), _number(record.sequence)),
        (Piece("change ", "muted"), paint.piece(record.change_type)),
    ]
    between = Piece("   ")
    # What stands last is said elsewhere too, so it is the first to go.
    while len(parts) > 1 and paint.width_of(paint.joined(parts, between)) > width:
        parts.pop()
    return paint.crop(paint.joined(parts, between), width)


def _number(value: int | None) -> Piece:
    return Piece(words.count(value), "text" if value is not None else "unknown")


# What it holds -----------------------------------------------------------------------------------------------------------------------------------


def payload(record: LandedRecord, zone: tzinfo) -> list[Line]:
    """Every landed column by its name; texts that hold JSON are set out over lines of their own."""
    names = {name: plain(name) for name in record.values}
    label = min(_MOST_NAME, max((len(name) for name in names.values()), default=0)) + 2
    lines: list[Line] = []
    for name, value in record.values.items():
        opened = _opened(value)
        head = Piece(names[name].ljust(label), "muted")
        if isinstance(opened, dict | list) and opened:
            lines.append((Piece(names[name], "accent"),))
            lines += [_json_line(text) for text in _set_out(opened)]
        elif isinstance(value, str) and "\n" in value:
            lines.append((Piece(names[name], "accent"),))
            lines += [(Piece(f"  {plain(text)}"),) for text in value.splitlines()]
        else:
            lines.append((head, *_value(value, zone)))
    return lines


def _opened(value: Any) -> Any:
    """A value as its parts: what is nested, or a text that holds JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return changes.plain_value(value) if not isinstance(value, str) else value


def _set_out(value: Any) -> list[str]:
    try:
        return json.dumps(value, ensure_ascii=False, indent=2).splitlines()
    except (ValueError, RecursionError):
        return ["nested deeper than can be shown"]


def _json_line(text: str) -> Line:
    member = _MEMBER.fullmatch(text)
    if member is None:
        return (Piece(f"  {plain(text)}", _json_role(text)),)
    indent, name, colon, value = member.groups()
    return (Piece(f"  {indent}{plain(name)}{colon}", "muted"), Piece(plain(value), _json_role(value)))


def _json_role(value: str) -> str:
    bare = value.strip().rstrip(",")
    return "muted" if bare in ("{", "}", "[", "]", "{}", "[]") else "unknown" if bare == "null" else "text"


def _value(value: Any, zone: tzinfo) -> Line:
    if value is None:
        return (Piece("null", "unknown"),)
    if value == "":
        return (Piece("an empty text", "unknown"),)
    if hasattr(value, "astimezone") and value.tzinfo is not None:
        return (Piece(words.stamp(value, zone)),)
    if isinstance(value, bool):
        return (Piece("true" if value else "false"),)
    return (Piece(plain(changes.plain_value(value))),)


class RecordCard(Drawn):
    """The stamps and hops of one change."""

    def __init__(self, environment: str) -> None:
        super().__init__()
        self.environment = environment
        self.scene: Scene | None = None
        self._record: LandedRecord | None = None
        self._place = ""

    def show(self, scene: Scene, record: LandedRecord, place: str) -> None:
        """Takes another record, or another zone."""
        self.scene, self._record, self._place = scene, record, place
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The frame."""
        if self.scene is None or self._record is None:
            return []
        return record_frame(self._record, self.scene, self.environment, self._place, size)
