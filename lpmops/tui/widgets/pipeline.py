"""One environment's stream as a framed strip: four stages left to right, what lies between them on the arrows.

`pipeline_lines` is pure. The frame carries what belongs to the whole environment: name, health and companies above,
latency below with the age of it all. Production has a double frame that nothing else has. `rows` is how many lines
there are between the two edges; fewer rows leave out the detail first.
"""

from __future__ import annotations

from textual.events import Click
from textual.geometry import Size
from textual.message import Message

from lpmops.model import STAGES, Health, Snapshot
from lpmops.tui import frame, marks, paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.waiting import held_up
from lpmops.tui.widgets.drawn import Drawn
from lpmops.tui.widgets.header import guarded
from lpmops.tui.widgets.stages import SHORT_NAMES, strip_lines

NOT_KEPT = "nothing was kept of this moment"
_WORST_FIRST = (Health.DOWN, Health.UNKNOWN, Health.DEGRADED)


def pipeline_lines(
    view: EnvironmentView, scene: Scene, width: int, rows: int, *, chosen: bool = False, alone: bool = False
) -> list[Line]:
    """The strip of `view` in `width` cells and `rows` + 2 lines; `alone` on a screen that says the rest elsewhere."""
    content = _content(view, scene, frame.inner_width(width), rows, alone=alone)
    taken = _as_of(view, scene)
    return frame.framed(
        content,
        view,
        scene,
        width,
        head=_head(view, chosen=chosen),
        head_right=() if alone else _companies(view, scene),
        foot=() if alone else _latency_summary(view, scene, width - 10 - paint.width_of(taken)),
        foot_right=taken,
        chosen=chosen,
    )


def _head(view: EnvironmentView, *, chosen: bool) -> Line:
    mark = marks.of_health(view.snapshot.health if view.snapshot else Health.UNKNOWN)
    name = Piece(
        ("▸ " if chosen else "") + paint.piece(view.title).text,
        "prod" if view.is_prod else "accent" if chosen else "strong",
    )
    # An environment without a snapshot has no health to show, and its content says why.
    return (name, Piece("  "), Piece(f"{mark.glyph} {mark.word}", mark.role))


def _companies(view: EnvironmentView, scene: Scene) -> Line:
    if view.snapshot is None:
        return ()
    if not view.companies_known:
        return (Piece("companies unknown", "unknown"),)
    number = len(view.snapshot.routes)
    parts: list[Line] = [(Piece(f"{words.count(number)} compan{'y' if number == 1 else 'ies'}", "muted"),)]
    if view.is_prod:
        parts.append((guarded(scene, view),))
    return paint.joined(parts, Piece(" · ", "faint"))


def _as_of(view: EnvironmentView, scene: Scene) -> Line:
    if view.snapshot is None:
        return ()
    seconds = words.age_seconds(scene.now, view.snapshot.taken_at)
    old = scene.is_old(view.snapshot.taken_at)
    parts: list[Line] = [(Piece("reading…", "accent"),)] if view.reading else []
    parts.append((Piece(f"as of {words.age(seconds)}", "late" if old else "muted"),))
    return paint.joined(parts, Piece(" · ", "faint"))


def _latency_summary(view: EnvironmentView, scene: Scene, room: int) -> Line:
    snapshot = view.snapshot
    if snapshot is None:
        return ()
    latency, old = snapshot.latency, scene.is_old(snapshot.taken_at)
    held = held_up(snapshot, scene.limits)
    sentence: Line = (Piece(f"▲ {held.sentence}", "stale" if old else held.role),) if held else ()
    if latency.p99 is None and latency.p95 is None and latency.p50 is None:
        return sentence or (Piece("latency unknown", "unknown"),)
    over = snapshot.health is Health.HEALTHY
    parts: list[Line] = []
    if held:
        # The percentiles are of what landed, so they must not lull.
        parts = [(*sentence, Piece("   what landed:", "muted"))]
    for name, seconds in (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99)):
        role = "stale" if old or held else marks.of_latency(seconds, scene.limits, over=over)
        value = Piece(words.duration(seconds), role)
        limit = Piece(f" of {words.duration(scene.limits.latency)}", "muted") if name == "p99" else Piece("")
        parts.append((Piece(f"{name} ", "muted"), value, limit))
    line = paint.joined(parts, Piece("  "))
    if not held or paint.width_of(line) <= room:
        return line
    shorter = paint.joined((parts[0], parts[-1]), Piece("  "))
    return shorter if paint.width_of(shorter) <= room else sentence


def _content(view: EnvironmentView, scene: Scene, width: int, rows: int, *, alone: bool) -> list[Line]:
    snapshot = view.snapshot
    if snapshot is None:
        if view.fault:
            first: Line = (Piece("✖ ", "bad"), paint.piece(view.fault))
        else:
            waiting = "no snapshot recorded yet; waiting for the first look" if view.settled else "reading…"
            first = (Piece("○ ", "unknown"), Piece(NOT_KEPT if scene.past else waiting, "muted"))
        return [paint.crop(first, width), *[paint.BLANK] * (rows - 1)][:rows]
    why = _why(view, snapshot, width, rows, alone=alone) if rows >= 3 else None
    if why is None and view.fault and rows >= 3:
        why = (Piece("▲ ", "warn"), paint.piece(view.fault))
    strip_rows = rows - 1 if why else rows
    lines = strip_lines(view, snapshot, scene, width, strip_rows)
    return [*lines, why] if why else lines


def _why(view: EnvironmentView, snapshot: Snapshot, width: int, rows: int, *, alone: bool) -> Line | None:
    """What is wrong over the whole width, the first suspect before the worst stage; in three rows only what is worse than slow is worth a row."""
    credential = snapshot.credential
    if credential.state in ("expired", "missing"):
        remedy = f": {credential.remedy}" if credential.remedy else ""
        return paint.crop((Piece("✖ ", "bad"), paint.piece(f"sign-in {credential.state}{remedy}")), width)
    troubled = [
        stage for name in STAGES if (stage := view.stage(name)) and stage.reason and stage.health is not Health.HEALTHY
    ]
    troubled.sort(key=lambda stage: _WORST_FIRST.index(stage.health))
    if rows == 3 and (not troubled or troubled[0].health is Health.DEGRADED):
        return None
    if snapshot.suspects:
        # The cause may be another stage than the worst one. A screen of one environment has the suspects below.
        return None if alone else _named(snapshot, width)
    if not troubled:
        return None
    mark = marks.of_stage(troubled[0])
    others = len(troubled) - 1
    more = (Piece(f"  +{others} more", "muted"),) if others else ()
    text = (
        Piece(f"{mark.glyph} {SHORT_NAMES.get(troubled[0].name, troubled[0].name)} ", mark.role),
        paint.piece(troubled[0].reason),
    )
    return (*paint.crop(text, width - paint.width_of(more)), *more)


def _named(snapshot: Snapshot, width: int) -> Line:
    """The first suspect, whose own stage gives the mark."""
    suspect = snapshot.suspects[0]
    mark = marks.of_suspect(snapshot.stages.get(suspect.stage))
    others = len(snapshot.suspects) - 1
    more = (Piece(f"  +{others} more", "muted"),) if others else ()
    # The rest of the summary stands among the suspects.
    sentence = suspect.summary.partition(". ")[0].removesuffix(".")
    text = (Piece(f"{mark.glyph} ", mark.role), paint.piece(suspect.id, "strong"), Piece("  "), paint.piece(sentence))
    return (*paint.crop(text, width - paint.width_of(more)), *more)


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
