"""How many changes a replay sends of each company, counted by the warehouse; and the versions whose changes nobody can read any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lpmops.actions import replay_chunks
from lpmops.actions.action import Bench
from lpmops.actions.replay_wish import Exact, HeadRoom
from lpmops.errors import ServiceError, SignInError, UnreadableChangesError
from lpmops.model import Commit
from lpmops.plain_text import counted, size
from lpmops.versions import Versions, merged

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Counts:
    """Changes by company, None where they were not counted, in words for a plan too; what can't be read is a refusal."""

    rows: Mapping[str, int] | None = None
    words: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def count(bench: Bench, wished: Exact, commits: Sequence[Commit], room: HeadRoom) -> Counts:
    """Count what is to be sent. Where the warehouse fails otherwise it is said, and hinders nothing. Raises SignInError."""
    splits = {each.version for each in commits if replay_chunks.changes_shape(each)}
    found: Counter[str] = Counter()
    refusals: list[str] = []
    readable, unreadable = list[Versions](), list[tuple[Versions, UnreadableChangesError]]()
    try:
        # One read can't span a change of the columns.
        for piece in replay_chunks.cut(wished.ranges, {}, splits, wished.chunk):
            try:
                for company, tally in bench.services.changes.counts(bench.config.routing, piece.versions).items():
                    if not wished.companies or company in wished.companies:
                        found[company] += tally.changes
                readable.append(piece.versions)
            except UnreadableChangesError as error:
                # Known before anything else is asked, so that a warehouse that fails now takes none of it back.
                refusals.append(f"{error.message} {error.remains}")
                unreadable.append((piece.versions, error))
        if unreadable:
            refusals[-1] += _what_is_left(bench, readable, unreadable)
    except SignInError:
        raise
    except ServiceError as error:
        return Counts(words=(f"The changes were not counted by company: {error.message}",), refusals=tuple(refusals))
    if refusals:
        return Counts(refusals=tuple(refusals))
    return Counts(dict(found), tuple(_words(found, wished, room)))


def _what_is_left(
    bench: Bench, readable: Sequence[Versions], unreadable: Sequence[tuple[Versions, UnreadableChangesError]]
) -> str:
    """Which versions can still be sent, in words; empty for none, and where only more reads would tell. Raises ServiceError types."""
    if any(error.divisible for _, error in unreadable):
        return ""
    # What is cleaned up is cleaned up from the oldest on: of all that can't be read whole only the newest may have an end that can.
    left = merged([*readable, *_readable_end(bench, unreadable[-1][0])])
    return f" What can still be sent: {' '.join(f'--versions {one}' for one in left)}." if left else ""


def _readable_end(bench: Bench, versions: Versions) -> Iterator[Versions]:
    """The newest of these versions, which can't be read as a whole, as far back as they can be. Raises ServiceError types."""

    def is_readable(first: int, last: int) -> bool:
        try:
            bench.services.changes.counts(bench.config.routing, Versions(first, last))
        except UnreadableChangesError:
            return False
        return True

    if len(versions) == 1 or not is_readable(versions.last, versions.last):
        return
    lost, first = versions.first, versions.last
    while first - lost > 1:
        middle = (lost + first) // 2
        # What is known to be readable is not read again: all looks together read no more than these versions.
        lost, first = (lost, middle) if is_readable(middle, first - 1) else (middle, first)
    yield Versions(first, versions.last)


def _words(found: Counter[str], wished: Exact, room: HeadRoom) -> Iterator[str]:
    shown = [
        f"{company or 'no company'} {rows:,} ({size(rows * room.event_bytes)})"
        for company, rows in found.most_common(_SHOWN)
    ]
    more = f" and {counted(len(found) - _SHOWN, 'company', 'companies')} more" if len(found) > _SHOWN else ""
    how = "as those that flow now have" if room.is_measured else "which is a guess, as none flows now to measure"
    if shown:
        yield f"Changes by company: {', '.join(shown)}{more}, at {room.event_bytes:,.0f} bytes an event, {how}."
    if silent := [company for company in wished.companies if company not in found]:
        yield f"These versions hold no change of {', '.join(silent)}."
