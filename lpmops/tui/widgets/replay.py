"""A replay as lines: each chunk as it is sent with its rate, how long the rest takes, the live latency beside it, and at the end the proof. Pure.

What was sent comes from the replay's own notes, as `lpmops replay show` gives them; what was not read yet is a dash, never a zero.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from lpmops.actions import replay_latency, replay_show
from lpmops.actions.replay import CHUNK
from lpmops.control.operations import FINISHED_STEPS
from lpmops.model import parse_time
from lpmops.plain_text import counted
from lpmops.tui import marks, paint, words
from lpmops.tui.marks import Mark
from lpmops.tui.paint import Line, Piece

if TYPE_CHECKING:
    from lpmops.control.operations import Operation, OperationStep
    from lpmops.tui.questions import Points
    from lpmops.tui.view import Scene

_BAR, _AROUND, _COMPANIES = 8, 3, 12
_BEFORE = timedelta(minutes=10)
# A company in the proof, as wide as a narrow terminal lets it be, and where there is room; a count.
_NAMED, _NAMED_WIDE, _COUNT = 16, 40, 8
_UNDER_WAY = Mark("▶", "under way", "accent", 1)
_LEFT = Mark("▲", "left under way", "warn", 3)
_AT_WORK = ("approved", "running", "verifying")


def is_replay(operation: Operation) -> bool:
    """Whether an operation sends versions again."""
    return any(step.kind == CHUNK for step in operation.steps)


# While it goes on ---------------------------------------------------------------------------------------------------------------------------------


def chunk_lines(
    operation: Operation, shown: Mapping[str, Any] | None, now: datetime, mark_of_step: Callable[[str], Mark]
) -> Iterator[Line]:
    """A line for each chunk around the one under way, whose run's page stands below it; those far from it as one line."""
    sent = {each["n"]: each for each in shown["chunks"]} if shown is not None else {}
    # The versions hold the rows of all companies: what was counted says how many of them are meant.
    part = _wanted(shown) / shown["rows_planned"] if shown is not None and shown["rows_planned"] else None
    chunks = [step for step in operation.steps if step.kind == CHUNK]
    here = next((number for number, step in enumerate(chunks) if step.state not in FINISHED_STEPS), len(chunks) - 1)
    first, last = max(0, here - _AROUND), min(len(chunks), here + _AROUND + 1)
    if first:
        yield _many(chunks[:first], sent, "done")
    for step in chunks[first:last]:
        is_open, works = step.state in ("begun", "accepted"), operation.state in _AT_WORK
        mark = (_UNDER_WAY if works else _LEFT) if is_open else mark_of_step(step.state)
        told = sent.get(step.arguments["n"], {})
        # Over the time in which nobody looked after it there is no rate.
        yield _chunk(step, told, part, now, mark, has_rate=works or not is_open)
        if step is chunks[here] and told.get("url"):
            # On a line of its own, so that a terminal takes it whole for an address.
            yield (Piece("    "), paint.piece(told["url"], "muted"))
    if last < len(chunks):
        yield _many(chunks[last:], sent, "to do")


def _many(steps: Sequence[OperationStep], sent: Mapping[int, Mapping[str, Any]], word: str) -> Line:
    rows = [sent.get(step.arguments["n"], {}).get("rows") for step in steps]
    known = f", {words.count(sum(each or 0 for each in rows))} rows" if any(rows) else ""
    span = f"versions {steps[0].arguments['first']}:{steps[-1].arguments['last']}"
    return (Piece(f"    … {counted(len(steps), 'chunk', 'chunks')} {word}, {span}{known}", "muted"),)


def _chunk(
    step: OperationStep, sent: Mapping[str, Any], part: float | None, now: datetime, mark: Mark, *, has_rate: bool
) -> Line:
    given = step.arguments
    rows, planned = sent.get("rows"), round(int(given["rows"]) * (1.0 if part is None else part))
    is_done = step.state in FINISHED_STEPS
    share = 1.0 if is_done else min(1.0, (rows or 0) / planned) if planned else 0.0
    full = round(share * _BAR)
    rate = f"  {words.rate(_rate(step, sent, now))}" if step.begun_at is not None and has_rate else ""
    run = f"  run {sent['run_id']}" if sent.get("run_id") else ""
    return (
        Piece(f"{given['n']:>2}  ", "muted"),
        Piece(f"{mark.glyph} ", mark.role),
        Piece(f"v {given['first']}:{given['last']}".ljust(13), "strong"),
        Piece("█" * full, "ok" if is_done else "accent"),
        Piece("░" * (_BAR - full), "faint"),
        Piece(f" {words.count(rows)}", "text" if rows is not None else "unknown"),
        Piece(
            " sent" if is_done else f" of {'at most' if part in (None, 1.0) else 'about'} {words.count(planned)}",
            "muted",
        ),
        Piece(rate, "text"),
        Piece(f"  {mark.word}", mark.role),
        paint.piece(run, "muted"),
    )


def _rate(step: OperationStep, sent: Mapping[str, Any], now: datetime) -> float | None:
    """Rows a second of a chunk: as its run says, else over the time that it has taken."""
    if sent.get("rate") is not None:
        return float(sent["rate"])
    if step.begun_at is None or sent.get("rows") is None:
        return None
    seconds = ((step.ended_at or now) - step.begun_at).total_seconds()
    return sent["rows"] / seconds if seconds > 0 else None


def total_line(operation: Operation, shown: Mapping[str, Any] | None, now: datetime) -> Line:
    """All chunks together: what was sent, how fast, and about how long the rest takes."""
    chunks = [step for step in operation.steps if step.kind == CHUNK]
    begun = [step.begun_at for step in chunks if step.begun_at is not None]
    ended = [step.ended_at for step in chunks if step.ended_at is not None]
    done = sum(step.state in FINISHED_STEPS for step in chunks)
    is_over = done == len(chunks)
    seconds = ((max(ended) if is_over and ended else now) - min(begun)).total_seconds() if begun else 0.0
    rows, wanted = (shown["rows"], _wanted(shown)) if shown is not None else (None, None)
    said = [
        (
            Piece("    total ", "muted"),
            Piece(words.count(rows), "strong"),
            Piece(f" of {words.count(wanted)} rows", "muted"),
        ),
        (Piece(f"{done} of {counted(len(chunks), 'chunk', 'chunks')}", "muted"),),
        (Piece(words.rate(rows / seconds), "text"),)
        if rows and seconds > 0 and (is_over or operation.state in _AT_WORK)
        else (),
    ]
    if is_over and seconds:
        said.append((Piece(f"took {words.duration(seconds)}", "muted"),))
    elif operation.state in _AT_WORK:
        said.append(_left(rows, wanted, seconds))
    return paint.joined(said, Piece("  ·  ", "faint"))


def _wanted(shown: Mapping[str, Any]) -> int:
    """How many rows there are to send: those that were counted, else at most as many as the versions wrote."""
    counts = shown["counted"]
    return sum(counts.values()) if counts else shown["rows_planned"]


def _left(rows: int | None, wanted: int | None, seconds: float) -> Line:
    """How long the rest takes, at the rate so far."""
    if not rows or not wanted or seconds <= 0:
        return (Piece(f"time left {words.UNKNOWN}", "muted"),)
    return (Piece(f"about {words.age(max(1.0, seconds * max(0, wanted - rows) / rows))} left", "strong"),)


def latency_line(operation: Operation, scene: Scene, points: Points) -> Line:
    """The live latency as it is now, and as it was before the replay began."""
    view = scene.view(operation.environment)
    now = view.snapshot.latency.p99 if view is not None and view.snapshot is not None else None
    begun = min((step.begun_at for step in operation.steps if step.begun_at is not None), default=operation.started_at)
    before = [value for at, value in points if begun - _BEFORE <= at < begun]
    during = tuple(value for at, value in points if at >= begun)
    was = words.duration(median(before)) if before else words.UNKNOWN
    return (
        Piece("    live latency p99 ", "muted"),
        Piece(words.duration(now), marks.of_latency(now, scene.limits)),
        Piece(f" of {words.duration(scene.limits.latency)} promised, {was} before it", "muted"),
        Piece(f"  {words.sparkline(during, min(len(during), 12))[0]}" if during else "", "spark"),
    )


# The proof ----------------------------------------------------------------------------------------------------------------------------------------


def written(shown: Mapping[str, Any]) -> str:
    """The proof as it is written down: what `lpmops replay show ID -o md` prints."""
    return "".join(f"{line}\n" for line in replay_show.markdown(shown))


def digest(shown: Mapping[str, Any]) -> str:
    """The SHA-256 of the written form, by which a copy of it is known again."""
    return hashlib.sha256(written(shown).encode()).hexdigest()


def proof_lines(shown: Mapping[str, Any], scene: Scene, digest: str, width: int = 0) -> Iterator[Line]:
    """The proof: its verdict, what it is about, each company's counts, and where its written form is, `digest` that one's; for `width` cells."""
    proof = shown.get("proof")
    if proof is None:
        return
    mark = _verdict_mark(proof)
    yield (Piece(f"{mark.glyph} ", mark.role), paint.piece(replay_show.verdict(proof), mark.role))
    yield (paint.piece(f"  {_about(shown, scene)}", "muted"),)
    if shown["latency"] is not None:
        yield (paint.piece(f"  live latency: {replay_latency.words(shown['latency'])}", "muted"),)
    yield paint.BLANK
    # Whatever differs comes first, and of those that are whole some stand for all.
    companies = sorted(proof["companies"], key=_is_whole)
    room = max(_NAMED, min(_NAMED_WIDE, width - 6 - _COUNT * len(replay_show.SHOWN)))
    longest = max((cell_len(_name(each)) for each in companies[:_COMPANIES]), default=0)
    named = max(_NAMED, min(room, longest))
    yield (
        Piece("  company".ljust(named + 4), "muted"),
        *(Piece(_titled(name), "muted") for name in replay_show.SHOWN),
    )
    for each in companies[:_COMPANIES]:
        yield _company(each, named)
        if each["note"]:
            yield (Piece("      "), paint.piece(each["note"], "warn"))
    if rest := companies[_COMPANIES:]:
        whole = sum(_is_whole(each) for each in rest)
        more = f"    and {counted(len(rest), 'company', 'companies')} more, {words.count(whole)} of them complete"
        yield (Piece(more, "muted"),)
    for each in proof["unreadable"]:
        yield (
            Piece("  ○ ", "unknown"),
            paint.piece(f"versions {each['versions']}: {each['why']} {each['remains']}"),
        )
    yield paint.BLANK
    yield (paint.piece(f"  sha256 of the written form {digest}", "muted"),)
    yield (
        Piece("  w", "key"), Piece(" writes it down for a ticket   ", "accent"),
        paint.piece(f"the same as lpmops replay show {shown['id']} -o md", "muted"),
    )  # fmt: skip


def _verdict_mark(proof: Mapping[str, Any]) -> Mark:
    if proof["complete"]:
        return marks.FINE
    return marks.DOWN if replay_show.verdict(proof) == "Not complete" else marks.UNKNOWN


def _about(shown: Mapping[str, Any], scene: Scene) -> str:
    """Range, companies, by whom and when."""
    whom = counted(len(shown["companies"]), "company", "companies") if shown["companies"] else "every company"
    when = words.moment(parse_time(shown["ended_at"] or shown["at"]), scene.zone)
    return f"versions {replay_show.span(shown)} · {whom} · by {shown['by']}, {when}"


def _is_whole(each: Mapping[str, Any]) -> bool:
    return not (each["missing"] or each["doubled"] or each["extra"] or each["note"])


def _name(each: Mapping[str, Any]) -> str:
    return paint.piece(f"{each['company_id'] or '(no company)'} {each['company']}").text


def _company(each: Mapping[str, Any], named: int) -> Line:
    mark = marks.FINE if _is_whole(each) else marks.UNKNOWN if each["note"] else marks.DOWN
    name = paint.fit_text(_name(each), named)
    return (
        Piece(f"  {mark.glyph} ", mark.role),
        Piece(name, "strong"),
        *(
            Piece(words.count(each[count]).rjust(len(_titled(count))), _role(count, each[count]))
            for count in replay_show.SHOWN
        ),
    )


def _titled(count: str) -> str:
    """The heading of a count; `lacked` is what was missing before."""
    return ("lacked" if count == "missing_before" else count).rjust(_COUNT)


def _role(count: str, number: int | None) -> str:
    if count in ("source", "landed", "missing_before"):
        return "unknown" if number is None else "text"
    if not number:
        return "muted"
    return "bad" if count == "missing" else "warn"
