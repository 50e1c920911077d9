"""An operation as lines: each step as it goes, with its times and what was seen of it, and how it all ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lpmops.actions.replay import CHUNK
from lpmops.model import to_data
from lpmops.tui import paint, words
from lpmops.tui.marks import Mark
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene
from lpmops.tui.widgets import replay
from lpmops.tui.widgets.plan import value

if TYPE_CHECKING:
    from lpmops.control.operations import Operation, OperationStep
    from lpmops.tui.questions import Points
    from lpmops.tui.runs import Run

_STEPS = {
    "planned": Mark("○", "to do", "muted", 0),
    "begun": Mark("▶", "begun", "accent", 1),
    "accepted": Mark("▶", "accepted", "accent", 1),
    "done": Mark("●", "done", "ok", 0),
    "skipped": Mark("●", "was so already", "ok", 0),
    "failed": Mark("✖", "failed", "bad", 4),
    "in_doubt": Mark("▲", "in doubt", "warn", 3),
}
_STATES = {
    "approved": Mark("▶", "about to begin", "accent", 1),
    "running": Mark("▶", "running", "accent", 1),
    "verifying": Mark("▶", "looking at the whole", "accent", 1),
    "succeeded": Mark("●", "done", "ok", 0),
    "failed": Mark("✖", "failed", "bad", 4),
    "in_doubt": Mark("▲", "in doubt", "warn", 3),
    "interrupted": Mark("▲", "interrupted", "warn", 2),
    "cancelled": Mark("○", "given up", "muted", 0),
}


@dataclass(frozen=True, slots=True)
class Notes:
    """What is known of a replay beside its journal: what `lpmops replay show` gives (None: not read yet), and the live p99 of the last hour.

    `digest` is that of the written proof.
    """

    shown: Mapping[str, Any] | None = None
    latency: Points = ()
    digest: str = ""

    @property
    def proof(self) -> Mapping[str, Any] | None:
        """The proof, where there is one."""
        found: Mapping[str, Any] | None = self.shown.get("proof") if self.shown is not None else None
        return found


_UNKNOWN = Mark("○", "unknown", "unknown", 0)


def mark_of_step(state: str) -> Mark:
    """How a step's state looks."""
    return _STEPS.get(state, _UNKNOWN)


def mark_of(operation: Operation, run: Run | None = None) -> Mark:
    """How an operation's state looks; one that was refused before anything began is that."""
    if run is not None and not run.going and run.fault and not operation.id:
        return Mark("✖", "not begun", "bad", 4)
    return _STATES.get(operation.state, _UNKNOWN)


def operation_lines(
    operation: Operation, run: Run | None, scene: Scene, notes: Notes | None = None, *, width: int = 0
) -> list[Line]:
    """The operation, to be folded by whoever shows it in `width` cells; `notes` are what more is known of a replay."""
    lines: list[Line] = [(paint.piece(operation.summary, "strong"),), paint.BLANK]
    sends = replay.is_replay(operation)
    if notes is not None and notes.proof is not None and notes.shown is not None:
        lines += [*replay.proof_lines(notes.shown, scene, notes.digest, width), paint.BLANK]
    if sends:
        lines += replay.chunk_lines(operation, notes.shown if notes else None, _today(scene), mark_of_step)
    for number, step in enumerate(operation.steps, 1):
        if not sends or step.kind != CHUNK:
            lines += _step_lines(number, step, scene)
    if sends and operation.id:
        lines.append(replay.total_line(operation, notes.shown if notes else None, _today(scene)))
        if operation.unfinished:
            lines.append(replay.latency_line(operation, scene, notes.latency if notes else ()))
    lines.append(paint.BLANK)
    if run is not None and run.fault and operation.state not in ("succeeded", "cancelled"):
        lines.append((Piece("✖ ", "bad"), paint.piece(run.fault, "bad")))
        lines += [(Piece("  "), paint.piece(part, "muted")) for part in run.hint.splitlines()]
    elif operation.error and operation.state != "succeeded" and not (run is not None and run.going):
        lines.append((Piece("✖ ", "bad"), paint.piece(operation.error, "bad")))
    lines += _next_lines(operation, run)
    if operation.undo and operation.finished_steps:
        lines.append(_labelled("undo", operation.way_back))
    lines.append(_labelled("same as", operation.command))
    for label, text in (("reason", operation.reason), ("ticket", operation.ticket), ("operation", operation.id)):
        if text:
            lines.append(_labelled(label, text))
    return lines


def line_of(lines: Sequence[Line], number: int) -> int:
    """Which of the lines of an operation begins its step of that number; the first one where none does."""
    head = f"{number:>2}  "
    return next((at for at, line in enumerate(lines) if line and line[0].text == head), 0)


def _step_lines(number: int, step: OperationStep, scene: Scene) -> list[Line]:
    mark = mark_of_step(step.state)
    head = (
        Piece(f"{number:>2}  ", "muted"), Piece(f"{mark.glyph} ", mark.role), paint.piece(step.name, "strong"),
        Piece(f"  {mark.word}", mark.role), Piece(_times(step, scene), "muted"),
    )  # fmt: skip
    return [head, (Piece("      seen: ", "muted"), paint.piece(step.observed))] if step.observed else [head]


def _times(step: OperationStep, scene: Scene) -> str:
    if step.begun_at is None:
        return ""
    end = step.ended_at or (_today(scene) if step.state in ("begun", "accepted") else None)
    took = f", {words.age((end - step.begun_at).total_seconds())}" if end is not None else ""
    return f"  {words.clock(step.begun_at, scene.zone)}{took}"


def _today(scene: Scene) -> datetime:
    return scene.today or scene.now


def _next_lines(operation: Operation, run: Run | None) -> list[Line]:
    """What somebody can do about it."""
    if run is not None and run.stopping:
        return [(Piece("▲ ", "warn"), Piece("It stops after this step, and can be resumed.", "strong"))]
    if run is not None and run.going:
        return [(Piece("esc leaves this panel; it goes on, and the header shows it", "muted"),)]
    if operation.state == "in_doubt":
        return [
            (Piece("▲ ", "warn"), Piece("Nobody knows yet whether that step took effect. Look at what was seen, then:", "strong")),
            (Piece("  r", "key"), Piece(" look again and go on   ", "muted"), Piece("d", "key"), Piece(" it is done   ", "muted"),
             Piece("n", "key"), Piece(" it is not   ", "muted"), Piece("X", "key"), Piece(" give up", "muted")),
        ]  # fmt: skip
    if operation.waits:
        return [(Piece("▲ ", "warn"), Piece("It is not finished. ", "strong"), Piece("r", "key"), Piece(" looks and goes on   ", "muted"),
                 Piece("X", "key"), Piece(" gives up", "muted"))]  # fmt: skip
    result: Mapping[str, Any] = run.result if run is not None else {}
    lines = [line for each in result.get("routes") or () for line in _first_row_lines(each)]
    shown = {
        name: each
        for name, each in result.items()
        if name not in ("undo", "changed", *(["routes"] if lines else []), *(result if "proof" in result else ()))
    }
    return [
        *lines,
        *(
            _labelled(name, words)
            for name, each in shown.items()
            if each not in ([], "")
            for words in _told(to_data(each))
        ),
    ]


def _first_row_lines(route: Mapping[str, Any]) -> list[Line]:
    """How long a company that was brought on took to its first row, and what found no route before."""
    seconds = route.get("seconds_to_first_row")
    if seconds is None:
        return []
    who = f"{route.get('company')} ({route.get('company_id')})"
    lines: list[Line] = [
        (
            Piece("● ", "ok"), paint.piece(who, "strong"), paint.piece(f" lands in {route.get('database')}; ", "text"),
            Piece(f"{words.duration(float(seconds))} from the request to the first row", "strong"),
        )
    ]  # fmt: skip
    left = route.get("unrouted") or {}
    if left.get("events"):
        first, last = left.get("from_version"), left.get("to_version")
        told = f"{left['events']:,} changes came before its route (versions {first} to {last}); a replay brings them"
        lines.append((Piece("▲ ", "warn"), paint.piece(told)))
    return lines


def _told(found: Any) -> list[str]:
    """A value of a result in words, a line for each of several."""
    if isinstance(found, list):
        return [words for each in found for words in _told(each)]
    if isinstance(found, dict):
        # What is empty in it says nothing: no first version of none.
        inside = {name: each for name, each in found.items() if not isinstance(each, dict) or any(each.values())}
        return [" · ".join(f"{name.replace('_', ' ')} {', '.join(_told(each))}" for name, each in inside.items())]
    return [value(found)]


def _labelled(label: str, text: str) -> Line:
    return (Piece(f"{label.replace('_', ' '):12} ", "muted"), paint.piece(text))
