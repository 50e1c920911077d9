"""A plan as lines: each step with before and after, whom it concerns, what speaks against it, how it is taken back. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lpmops.tui import paint, words
from lpmops.tui.paint import Line, Piece

if TYPE_CHECKING:
    from lpmops.actions.inputs import Choice
    from lpmops.control.plan import Danger, Plan, Step

_LABEL = 13
_WIDEST = 36
_DIFF = {"+": "ok", "-": "bad", "@": "accent"}
DANGERS = ("only looks", "can be undone", "can be undone, in production", "hard to undo")


def plan_lines(plan: Plan, command: str) -> list[Line]:
    """The plan, to be folded to the width by whoever shows it; `command` is the equal command line."""
    lines: list[Line] = [(paint.piece(plan.summary, "strong"),), paint.BLANK]
    for number, step in enumerate(plan.steps, 1):
        lines.append((Piece(f"{number:>2}  ", "muted"), paint.piece(step.name, "strong")))
        lines += [
            (
                Piece("    "), paint.piece(change.field, "muted"), Piece("  "), paint.piece(value(change.before)),
                Piece(" → ", "accent"), paint.piece(value(change.after)),
            )
            for change in step.changes
        ]  # fmt: skip
    if not plan.steps:
        lines.append((Piece("    nothing to do: it is so already", "ok"),))
    lines.append(paint.BLANK)
    lines += [(Piece("✖ ", "bad"), paint.piece(refusal, "bad")) for refusal in plan.refusals]
    waits = plan.impact.pause_seconds is not None or plan.impact.events is not None
    lines += [_labelled("who waits" if waits else "concerns", text) for text in _impact(plan)]
    lines += [(Piece("▲ ", "warn"), paint.piece(warning)) for warning in plan.warnings]
    if plan.undo and plan.steps:
        lines.append(_labelled("undo", plan.undo))
    lines.append(_labelled("same as", command))
    # Behind everything else, since it is long, and what it does to whom matters more.
    for number, step in enumerate(plan.steps, 1):
        for name in _texts(step):
            lines += [paint.BLANK, _labelled(f"{number:>2}  {name}", "line by line"), *_text_lines(step, name)]
    return lines


def _texts(step: Step) -> list[str]:
    """The names of the texts of several lines that a step replaces, such as a query; its changes name them by their hash."""
    before, after = (step.arguments.get(name) for name in ("former", "after"))
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return []
    return [
        name
        for name, text in after.items()
        if isinstance(text, str) and isinstance(before.get(name), str) and "\n" in text and text != before[name]
    ]


def _text_lines(step: Step, name: str) -> list[Line]:
    """How a text would change, line by line."""
    before, after = (str(step.arguments[each][name]).splitlines() for each in ("former", "after"))
    found = [line.rstrip() for line in difflib.unified_diff(before, after, n=2, lineterm="")][2:]
    return [(Piece("    "), paint.piece(line, _DIFF.get(line[:1], "muted"))) for line in found]


def _impact(plan: Plan) -> list[str]:
    impact, parts = plan.impact, list[str]()
    if impact.companies is not None:
        parts.append(f"{words.count(impact.companies)} compan{'y' if impact.companies == 1 else 'ies'}")
    if impact.pause_seconds is not None:
        parts.append(f"{words.duration(impact.pause_seconds)} without delivery")
    if impact.events is not None:
        parts.append(f"{words.count(impact.events)} events skipped")
    if impact.budget_share is not None:
        parts.append(f"{100 * impact.budget_share:.1f} % of the error budget")
    return [", ".join(parts)] if parts else []


def _labelled(label: str, text: str) -> Line:
    return (Piece(label.ljust(_LABEL), "muted"), paint.piece(text))


def value(found: Any) -> str:
    """A JSON value on a line."""
    return (
        words.UNKNOWN if found is None else found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    )


def choice_lines(choices: Sequence[Choice], chosen: Collection[str], most: int = 8) -> list[Line]:
    """What a field can be, each with what it would do now; those that are chosen are marked, and at most so many shown around them."""
    at = max((number for number, each in enumerate(choices) if each.value in chosen), default=0)
    first = max(0, min(at - most // 2, len(choices) - most))
    shown = choices[first : first + most]
    wide = min(_WIDEST, max((paint.width_of((paint.piece(each.value),)) for each in shown), default=0))
    lines = [_choice_line(each, wide, is_chosen=each.value in chosen) for each in shown]
    if more := len(choices) - len(shown):
        lines.append((Piece(f"  and {more} more; what is typed is found among them", "muted"),))
    return lines


def _choice_line(choice: Choice, wide: int, *, is_chosen: bool) -> Line:
    name = paint.fit((paint.piece(choice.value, "strong" if is_chosen else "text"),), wide + 2)
    said = f"not now: {choice.refusal}" if choice.refusal else choice.said
    return (
        Piece("▸ " if is_chosen else "  ", "accent"),
        *name,
        paint.piece(said, "faint" if choice.refusal else "muted"),
    )


def danger_piece(danger: Danger) -> Piece:
    """How dangerous something is, in words."""
    return Piece(DANGERS[int(danger)], ("muted", "muted", "warn", "bad")[int(danger)])
