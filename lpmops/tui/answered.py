"""How an answer looks while it is asked for, when it is old, and when it could not be had. Pure.

`state` is a few words for the edge of a frame, `fault_lines` the whole sentence and what to do, for the place where the
answer would stand.
"""

from __future__ import annotations

from typing import Any

from lpmops.plain_text import plain_line
from lpmops.tui import paint, words
from lpmops.tui.answers import Answer
from lpmops.tui.paint import Line, Piece
from lpmops.tui.view import Scene

_SLOW = 5.0


def is_old(answer: Answer[Any], scene: Scene, every: float) -> bool:
    """Whether the value has missed two looks; what was asked of the past does not age."""
    if answer.at is None or scene.past:
        return False
    seconds = words.age_seconds(scene.now, answer.at)
    return bool(answer.fault) or seconds is None or seconds > 2 * every


def state(answer: Answer[Any], scene: Scene, every: float) -> Line:
    """Reading, its age, or of when in the past."""
    if answer.pending:
        waited = words.age_seconds(scene.today or scene.now, answer.tried_at)
        slow = f", for {words.age(waited)} now" if waited is not None and waited >= _SLOW else ""
        return (Piece(f"reading …{slow}", "late" if slow else "muted"),)
    if answer.at is None:
        return (Piece("not read", "unknown"),)
    if scene.past:
        return (Piece("as it was then", "then"),)
    age = words.age(words.age_seconds(scene.now, answer.at))
    return (Piece(f"as of {age}", "late" if is_old(answer, scene, every) else "muted"),)


def fault_lines(answer: Answer[Any], width: int, most: int = 3) -> list[Line]:
    """Why it could not be read, and what to do about it; nothing where it could."""
    if not answer.fault:
        return []
    hint = plain_line(answer.hint).split()
    room = max(1, most - (1 if hint else 0))
    lines: list[Line] = [
        (Piece(" ✖ " if number == 0 else "   ", "bad"), Piece(text, "text"))
        for number, text in enumerate(paint.wrapped(plain_line(answer.fault).split(), max(1, width - 4), room))
    ]
    return lines + [
        (Piece(" → " if number == 0 else "   ", "accent"), Piece(text, "accent"))
        for number, text in enumerate(paint.wrapped(hint, max(1, width - 4), max(1, most - len(lines))))
    ]
