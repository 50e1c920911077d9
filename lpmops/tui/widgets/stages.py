"""The four stages side by side with the arrows between them: the inside of an environment's strip.

`strip_lines` is pure. A stage is a column: its name and state, its rate, how far it is behind, then as many of its
details as there are rows. The first line carries, on the arrows, how long a record takes from one stage to the next.
A value that missed a refresh shows its own age.
"""

from __future__ import annotations

from datetime import datetime
from itertools import zip_longest

from lpmops.model import HOPS, STAGES, Health, Reading, Snapshot, Stage
from lpmops.tui import marks, paint, words
from lpmops.tui.details import Detail, details
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene, read_at

_LONG = {"cdf": "Delta CDF", "eventhub": "Event Hub", "asa": "Stream Analytics", "sql": "Azure SQL"}
_MIDDLE = {"cdf": "Delta CDF", "eventhub": "Event Hub", "asa": "ASA", "sql": "SQL"}
SHORT_NAMES = {"cdf": "CDF", "eventhub": "Hub", "asa": "ASA", "sql": "SQL"}
_SPARK = 24
_TENTHS_BELOW = 10.0
# In a column this narrow the arrow begins without a gap of its own.
_NARROW = 12


def stage_title(name: str, width: int) -> str:
    """The stage's name as long as a column of `width` cells allows."""
    names = _LONG if width >= 27 else _MIDDLE if width >= 20 else SHORT_NAMES
    return names.get(name, name)


def strip_lines(view: EnvironmentView, snapshot: Snapshot, scene: Scene, width: int, rows: int) -> list[Line]:
    """All stages and arrows in `width` cells, at most `rows` lines."""
    gap = 6 if width < 70 else 7 if width < 90 else 10 if width < 110 else 12 if width < 150 else 16
    column = (width - gap * (len(STAGES) - 1)) // len(STAGES)
    cells = [_stage_cell(view, snapshot, name, scene, column, rows) for name in STAGES]
    lines: list[Line] = []
    for number, row in enumerate(zip_longest(*cells, fillvalue=paint.BLANK)):
        line: list[Piece] = []
        for index, cell in enumerate(row):
            line += paint.fit(cell, column)
            if index < len(HOPS):
                line += _arrow(snapshot, HOPS[index], scene, gap) if number == 0 else (Piece(" " * gap),)
        lines.append(tuple(line))
    return lines


def _arrow(snapshot: Snapshot, hop: str, scene: Scene, width: int) -> Line:
    """The way between two stages with the hop's p99 on it; without a value it is a bare grey arrow."""
    percentiles = snapshot.latency.hops.get(hop)
    seconds = percentiles.p99 if percentiles else None
    value = words.tight_duration(seconds) if width < 12 else words.duration(seconds) if words.known(seconds) else ""
    over = snapshot.health is Health.HEALTHY
    role = "stale" if scene.is_old(snapshot.taken_at) else marks.of_latency(seconds, scene.limits, over=over)
    roomy = width >= 10
    label = f" {value} " if value and roomy else value
    # The arrow stands free of both stages where there is room, and of the next one everywhere.
    shaft = max(0, width - 2 - roomy - len(label))
    before = (shaft + 1) // 2
    arrow = (Piece("─" * before, "faint"), Piece(label, role), Piece("─" * (shaft - before) + "▶ ", "faint"))
    return paint.fit((Piece(" " * roomy), *arrow), width)


def _stage_cell(
    view: EnvironmentView, snapshot: Snapshot, name: str, scene: Scene, width: int, rows: int
) -> list[Line]:
    stage = snapshot.stages.get(name)
    old = scene.is_old(snapshot.taken_at)
    lines: list[Line] = [_heading(name, stage, width, old=old)]
    if stage is None:
        return lines
    indent = Piece("  ")
    lines += [
        (indent, *line)
        for line in _rate_lines(view, stage, snapshot, scene, width - 2, tall=1 if rows < 8 else 2 if rows < 10 else 3)
    ]
    lag = _lag_line(stage, snapshot, scene, width - 2)
    if lag:
        lines.append((indent, *lag))
    lines += [(indent, *detail_line(detail, scene, width - 2)) for detail in details(stage)]
    return [paint.crop(line, width) for line in lines[:rows]]


def _heading(name: str, stage: Stage | None, width: int, *, old: bool) -> Line:
    """Glyph, name and condition: the most telling word that fits whole, if need be beside a shorter name; else the glyph's shape says it alone."""
    mark, said = marks.of_stage(stage), marks.words_of_stage(stage)
    room = width - (width < _NARROW)
    title = stage_title(name, width)
    for shown, word in ((title, said[0]), (SHORT_NAMES.get(name, name), said[0]), (title, said[-1])):
        line = (
            Piece(f"{mark.glyph} ", mark.role),
            Piece(shown, "stale" if old else "strong"),
            paint.piece(f" {word}", mark.role),
        )
        if paint.width_of(line) <= room:
            return line
    return line[:2]


def _rate_lines(
    view: EnvironmentView, stage: Stage, snapshot: Snapshot, scene: Scene, width: int, *, tall: int
) -> list[Line]:
    """The rate with its recent course, over `tall` lines."""
    at = read_at(snapshot, stage, "rate")
    role = "unknown" if not words.known(stage.rate) else "stale" if scene.is_old(at) else "text"
    value = words.rate(stage.rate).replace(" ", "") if width < 16 else words.rate(stage.rate)
    tail = _age_tail(at, snapshot, scene, width - len(value) - 9)
    room = min(_SPARK, width - 2 - len(value) - paint.width_of(tail))
    *above, bars = words.sparkline(tuple(view.rates.get(stage.name, ())), room, tall)
    if not bars.strip(" ·"):
        return [*[paint.BLANK] * (tall - 1), (Piece(value, role), *tail)]
    spark = "stale" if role == "stale" else "spark"
    return [*[(Piece(line, spark),) for line in above], (Piece(bars, spark), Piece(" "), Piece(value, role), *tail)]


def _lag_line(stage: Stage, snapshot: Snapshot, scene: Scene, width: int) -> Line:
    """How far the stage is behind, in as many words as fit; a lag past the promise leads the eye where the stage is not fine."""
    if stage.lag is None:
        return ()
    at = read_at(snapshot, stage, "lag")
    late = stage.lag_unit == "s" and stage.health is not Health.HEALTHY
    role = "stale" if scene.is_old(at) else marks.of_latency(stage.lag, scene.limits) if late else "text"
    tail = _age_tail(at, snapshot, scene, 8)
    lasting = words.duration if stage.lag < _TENTHS_BELOW else words.age
    value = Piece(lasting(stage.lag) if stage.lag_unit == "s" else words.short_count(stage.lag), role)
    forms: list[Line] = []
    if stage.lag_unit == "s" and stage.name == "sql":
        forms = [(Piece("landed ", "muted"), value, Piece(" ago", "muted")), (value, Piece(" ago", "muted"))]
    elif stage.lag_unit == "s":
        forms = [(value, Piece(" behind", "muted"))]
    elif stage.lag_unit == "events":
        forms = [(value, Piece(said, "muted")) for said in (" events waiting", " waiting", " wait")]
    else:
        unit = paint.piece(stage.lag_unit.removesuffix("s") if stage.lag == 1 else stage.lag_unit).text
        forms = [(value, Piece(f" {unit} behind", "muted")), (value, Piece(f" {unit}", "muted"))]
    return next(((*form, *tail) for form in forms if paint.width_of((*form, *tail)) <= width), (*forms[-1], *tail))


def detail_line(detail: Detail, scene: Scene, width: int) -> Line:
    """Label, value and unit of one reading in `width` cells, with its age once it has missed a refresh; what does not fit whole goes."""
    reading = detail.reading
    value, unit, role = reading_value(reading, scene)
    seconds = words.age_seconds(scene.now, reading.at)
    age = f" {words.tight_duration(seconds)}" if reading.at and scene.is_late(reading.at) else ""
    long, short = detail.labels[0], detail.labels[-1]
    shown, measure = paint.piece(f" {value}", role), paint.piece(f" {unit}" if unit else "", "muted")
    for label, parts in (
        (long, (shown, measure, Piece(age, "faint"))),
        (short, (shown, measure, Piece(age, "faint"))),
        (long, (shown, measure)),
        (short, (shown, measure)),
        (short, (shown,)),
    ):
        line = (Piece(label, "muted"), *(part for part in parts if part.text))
        if paint.width_of(line) <= width:
            return line
    return paint.crop((Piece(short, "muted"), shown), width)


def reading_value(reading: Reading, scene: Scene) -> tuple[str, str, str]:
    """A reading's value and unit as text, and the role it is drawn in."""
    value = reading.value
    if value is None or (not isinstance(value, str) and not words.known(value)):
        return words.UNKNOWN, "", "unknown"
    role = "stale" if scene.is_old(reading.at) else "text"
    if isinstance(value, str):
        return value, reading.unit, role
    if reading.unit in ("s", "seconds"):
        number, _, unit = words.duration(value).partition(" ")
        return number, unit, role
    whole = value == round(value) and abs(value) < 1e7
    # `partitions 8 partitions` says it twice.
    said_by_name = reading.unit.rstrip("s") in reading.name or reading.unit in ("version", "events")
    unit = "" if said_by_name else reading.unit
    return words.count(value) if whole else words.short_count(value), unit.replace("per minute", "/min"), role


def _age_tail(at: datetime | None, snapshot: Snapshot, scene: Scene, room: int) -> Line:
    """The age of a value that is older than the snapshot's other values, where there is room to say so."""
    if at is None or at == snapshot.taken_at or not scene.is_late(at):
        return ()
    text = f" {words.age(words.age_seconds(scene.now, at))}"
    return (Piece(text, "faint"),) if len(text) <= room else ()
