"""One environment's stream as a framed strip: four stages left to right, what lies between them on the arrows.

`pipeline_lines` is pure. The frame carries what belongs to the whole environment: name, health and companies above,
latency below with the age of it all. Production has a double frame that nothing else has. `rows` is how many lines
there are between the two edges; fewer rows leave out the detail first.
"""

from __future__ import annotations

from datetime import datetime
from itertools import zip_longest

from textual.events import Click
from textual.geometry import Size
from textual.message import Message

from lpmops.model import HOPS, STAGES, Health, Reading, Snapshot, Stage
from lpmops.tui import marks, paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene, read_at
from lpmops.tui.widgets.drawn import Drawn

_LONG = {"cdf": "Delta CDF", "eventhub": "Event Hub", "asa": "Stream Analytics", "sql": "Azure SQL"}
_MIDDLE = {"cdf": "Delta CDF", "eventhub": "Event Hub", "asa": "ASA", "sql": "SQL"}
_SHORT = {"cdf": "CDF", "eventhub": "Hub", "asa": "ASA", "sql": "SQL"}
_SINGLE = ("┌", "─", "┐", "│", "└", "┘")
_DOUBLE = ("╔", "═", "╗", "║", "╚", "╝")
_LAG_WORDS = {"s": "behind", "events": "waiting"}
_WORST_FIRST = (Health.DOWN, Health.UNKNOWN, Health.DEGRADED)
_SPARK = 20


def stage_title(name: str, width: int) -> str:
    """The stage's name as long as a column of `width` cells allows."""
    names = _LONG if width >= 27 else _MIDDLE if width >= 20 else _SHORT
    return names.get(name, name)


def pipeline_lines(
    view: EnvironmentView, scene: Scene, width: int, rows: int, *, chosen: bool = False, alone: bool = False
) -> list[Line]:
    """The strip of `view` in `width` cells and `rows` + 2 lines; `alone` on a screen that says the rest elsewhere."""
    # On a narrow screen the last cell before the edge is worth more as room.
    margin = " " if width >= 90 else ""
    inner = max(4, width - 3 - len(margin))
    content = _content(view, scene, inner, rows)
    left, edge, right, side, low_left, low_right = _DOUBLE if view.is_prod else _SINGLE
    role = "prod" if view.is_prod else "chosen" if chosen else "frame"
    line = Piece(edge, role)
    head, companies = _head(view, chosen=chosen), () if alone else _companies(view)
    foot, taken = () if alone else _latency_summary(view, scene), _as_of(view, scene)
    return [
        (Piece(left, role), *_edge(head, companies, width - 2, line), Piece(right, role)),
        *((Piece(f"{side} ", role), *paint.fit(row, inner), Piece(f"{margin}{side}", role)) for row in content),
        (Piece(low_left, role), *_edge(foot, taken, width - 2, line), Piece(low_right, role)),
    ]


def _edge(left: Line, right: Line, width: int, line: Piece) -> Line:
    ends = (
        (Piece(" "), *right, Piece(" "), line)
        if right and paint.width_of(left) + paint.width_of(right) + 8 <= width
        else ()
    )
    return paint.spread((line, Piece(" "), *left, Piece(" ")) if left else (line,), ends, width, fill=line)


def _head(view: EnvironmentView, *, chosen: bool) -> Line:
    mark = marks.of_health(view.snapshot.health if view.snapshot else Health.UNKNOWN)
    name = Piece(
        ("▸ " if chosen else "") + paint.piece(view.title).text,
        "prod" if view.is_prod else "accent" if chosen else "strong",
    )
    # An environment without a snapshot has no health to show, and its content says why.
    return (name, Piece("  "), Piece(f"{mark.glyph} {mark.word}", mark.role))


def _companies(view: EnvironmentView) -> Line:
    if view.snapshot is None:
        return ()
    number = len(view.snapshot.routes)
    sql = view.stage("sql")
    if not number and (sql is None or sql.health is Health.UNKNOWN):
        return (Piece("companies unknown", "unknown"),)
    parts: list[Line] = [(Piece(f"{words.count(number)} compan{'y' if number == 1 else 'ies'}", "muted"),)]
    if view.is_prod:
        parts.append((Piece("read-only", "muted"),))
    return paint.joined(parts, Piece(" · ", "faint"))


def _as_of(view: EnvironmentView, scene: Scene) -> Line:
    if view.snapshot is None:
        return ()
    seconds = words.age_seconds(scene.now, view.snapshot.taken_at)
    old = scene.is_old(view.snapshot.taken_at)
    parts: list[Line] = [(Piece("reading…", "accent"),)] if view.reading else []
    parts.append((Piece(f"as of {words.age(seconds)}", "late" if old else "muted"),))
    return paint.joined(parts, Piece(" · ", "faint"))


def _latency_summary(view: EnvironmentView, scene: Scene) -> Line:
    snapshot = view.snapshot
    if snapshot is None:
        return ()
    latency, old = snapshot.latency, scene.is_old(snapshot.taken_at)
    if latency.p99 is None and latency.p95 is None and latency.p50 is None:
        return (Piece("latency unknown", "unknown"),)
    parts: list[Line] = []
    for name, seconds in (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99)):
        value = Piece(words.duration(seconds), "stale" if old else latency_role(seconds, scene))
        limit = Piece(f" of {words.duration(scene.limits.latency)}", "muted") if name == "p99" else Piece("")
        parts.append((Piece(f"{name} ", "muted"), value, limit))
    return paint.joined(parts, Piece("  "))


def latency_role(seconds: float | None, scene: Scene) -> str:
    """How a latency looks against what was promised; inside the promise it stays calm."""
    if not words.known(seconds) or seconds is None:
        return "unknown"
    return "bad" if seconds > scene.limits.latency else "warn" if seconds > 0.8 * scene.limits.latency else "text"


def _content(view: EnvironmentView, scene: Scene, width: int, rows: int) -> list[Line]:
    snapshot = view.snapshot
    if snapshot is None:
        if view.fault:
            first: Line = (Piece("✖ ", "bad"), paint.piece(view.fault))
        else:
            first = (
                Piece("○ ", "unknown"),
                Piece("no snapshot recorded yet; waiting for the first look" if view.settled else "reading…", "muted"),
            )
        return [paint.crop(first, width), *[paint.BLANK] * (rows - 1)][:rows]
    why = _why(view, snapshot, width, rows) if rows >= 3 else None
    if why is None and view.fault and rows >= 3:
        why = (Piece("▲ ", "warn"), paint.piece(view.fault))
    strip_rows = rows - 1 if why else rows
    lines = _strip(view, snapshot, scene, width, strip_rows)
    return [*lines, why] if why else lines


def _why(view: EnvironmentView, snapshot: Snapshot, width: int, rows: int) -> Line | None:
    """Why the worst stage is as it is, over the whole width; in three rows only what is worse than slow is worth more than the lags."""
    credential = snapshot.credential
    if credential.state in ("expired", "missing"):
        remedy = f": {credential.remedy}" if credential.remedy else ""
        return paint.crop((Piece("✖ ", "bad"), paint.piece(f"sign-in {credential.state}{remedy}")), width)
    troubled = [
        stage for name in STAGES if (stage := view.stage(name)) and stage.reason and stage.health is not Health.HEALTHY
    ]
    troubled.sort(key=lambda stage: _WORST_FIRST.index(stage.health))
    if not troubled or (rows == 3 and troubled[0].health is Health.DEGRADED):
        return None
    mark = marks.of_stage(troubled[0])
    others = len(troubled) - 1
    more = (Piece(f"  +{others} more", "muted"),) if others else ()
    text = (
        Piece(f"{mark.glyph} {_SHORT.get(troubled[0].name, troubled[0].name)} ", mark.role),
        paint.piece(troubled[0].reason),
    )
    return (*paint.crop(text, width - paint.width_of(more)), *more)


def _strip(view: EnvironmentView, snapshot: Snapshot, scene: Scene, width: int, rows: int) -> list[Line]:
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
    role = "stale" if scene.is_old(snapshot.taken_at) else latency_role(seconds, scene)
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
    mark = marks.of_stage(stage)
    old = scene.is_old(snapshot.taken_at)
    title = stage_title(name, width)
    head: Line = (Piece(f"{mark.glyph} ", mark.role), Piece(title, "stale" if old else "strong"))
    word = Piece(f" {mark.word}", mark.role)
    # Where the word does not fit whole, the glyph's shape says it alone.
    if paint.width_of((*head, word)) <= width:
        head = (*head, word)
    lines: list[Line] = [head]
    if stage is None:
        return lines
    indent = Piece("  ")
    lines.append((indent, *_rate_line(view, stage, snapshot, scene, width - 2)))
    lag = _lag_line(stage, snapshot, scene)
    if lag:
        lines.append((indent, *lag))
    room = rows - len(lines)
    for reading in stage.readings[: max(0, room)]:
        if reading.name not in ("rate", "lag"):
            lines.append((indent, *reading_line(reading, scene, width - 2)))
    return [paint.crop(line, width) for line in lines[:rows]]


def _rate_line(view: EnvironmentView, stage: Stage, snapshot: Snapshot, scene: Scene, width: int) -> Line:
    at = read_at(snapshot, stage, "rate")
    role = "unknown" if not words.known(stage.rate) else "stale" if scene.is_old(at) else "text"
    value = words.rate(stage.rate).replace(" ", "") if width < 16 else words.rate(stage.rate)
    tail = _age_tail(at, snapshot, scene, width - len(value) - 9)
    bars = words.sparkline(
        tuple(view.rates.get(stage.name, ())), min(_SPARK, width - 2 - len(value) - paint.width_of(tail))
    )
    if not bars.strip():
        return (Piece(value, role), *tail)
    return (Piece(bars, "stale" if role == "stale" else "spark"), Piece(" "), Piece(value, role), *tail)


def _lag_line(stage: Stage, snapshot: Snapshot, scene: Scene) -> Line:
    if stage.lag is None:
        return ()
    at = read_at(snapshot, stage, "lag")
    value = words.duration(stage.lag) if stage.lag_unit == "s" else words.short_count(stage.lag)
    role = "stale" if scene.is_old(at) else "text"
    unit = _LAG_WORDS.get(stage.lag_unit, stage.lag_unit.removesuffix("s") if stage.lag == 1 else stage.lag_unit)
    return (Piece(value, role), paint.piece(f" {unit}", "muted"), *_age_tail(at, snapshot, scene, 8))


def reading_line(reading: Reading, scene: Scene, width: int) -> Line:
    """Name, value and unit of one reading in `width` cells, with its age once it has missed a refresh."""
    value, unit, role = reading_value(reading, scene)
    shown = (paint.piece(value, role), paint.piece(f" {unit}" if unit else "", "muted"))
    seconds = words.age_seconds(scene.now, reading.at)
    tail = (Piece(f" {words.tight_duration(seconds)}", "faint"),) if reading.at and scene.is_late(reading.at) else ()
    name = paint.piece(reading.name.replace("_", " ")).text
    room = width - paint.width_of(shown) - paint.width_of(tail) - 1
    if room < 4 and tail:
        room, tail = room + paint.width_of(tail), ()
    return paint.crop((Piece(paint.crop_text(name, max(0, room)) + " ", "muted"), *shown, *tail), width)


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
    return words.count(value) if whole else words.short_count(value), reading.unit, role


def _age_tail(at: datetime | None, snapshot: Snapshot, scene: Scene, room: int) -> Line:
    """The age of a value that is older than the snapshot's other values, where there is room to say so."""
    if at is None or at == snapshot.taken_at or not scene.is_late(at):
        return ()
    text = f" {words.age(words.age_seconds(scene.now, at))}"
    return (Piece(text, "faint"),) if len(text) <= room else ()


class Pipeline(Drawn):
    """The strip of one environment."""

    class Chosen(Message):
        """Somebody clicked on an environment; twice means open it."""

        def __init__(self, environment: str, *, opened: bool) -> None:
            super().__init__()
            self.environment = environment
            self.opened = opened

    def __init__(self, environment: str, *, alone: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.environment = environment
        self.alone = alone
        self.scene: Scene | None = None
        self.rows = 3
        self.chosen = False

    def show(self, scene: Scene, rows: int, *, chosen: bool = False) -> None:
        """Takes new values."""
        self.scene, self.rows, self.chosen = scene, rows, chosen
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The framed strip."""
        view = self.scene.view(self.environment) if self.scene else None
        if self.scene is None or view is None:
            return [paint.BLANK] * (self.rows + 2)
        return pipeline_lines(view, self.scene, size.width, self.rows, chosen=self.chosen, alone=self.alone)

    def on_click(self, event: Click) -> None:
        """Chooses this environment, or opens it on the second click."""
        self.post_message(self.Chosen(self.environment, opened=event.chain > 1))
