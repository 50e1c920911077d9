"""Reads what landed in one company database, so that every row is counted once and no refresh costs more for more companies.

`read_landed` asks for what came since the mark; `advance` turns the answer into the next mark and an increment of
latencies, counting only up to the moment that the server calls settled. Spans that no increment covered (the first
look, a night off) are gaps, counted by `read_gap` and closed by `fill`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lpmops.control.sources import SqlSource
from lpmops.model import parse_time
from lpmops.store import codec
from lpmops.store.marks import Increment, Mark

WINDOW_MILLISECONDS = 300_000
BEGINNING = 0


@dataclass(frozen=True, slots=True)
class Landed:
    """The answer of one database: the moment of the mark it was asked from, the span it counts, and the newest it saw."""

    database: str
    asked_from: int | None
    start: int
    settled_at: int
    server_time: datetime
    asked_at: datetime
    increment: Increment
    counts: Mapping[str, int]
    last_landed: Mapping[str, int]
    sequences: Mapping[str, int]
    enqueued: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows by company in a span that no increment covered."""

    database: str
    span: tuple[int, int]
    counts: Mapping[str, int]
    last_landed: Mapping[str, int]


def timestamp(value: Any) -> datetime | None:
    """A time of a database as an aware one: naive means UTC, and some drivers give text. Raises ValueError for other text."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return parse_time(str(value))


def parameter(at: int) -> str:
    """A store time as the text that T-SQL casts to DATETIME2(3)."""
    return codec.moment(at).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}"


def read_landed(sql: SqlSource, database: str, mark: Mark | None, now: datetime) -> Landed:
    """Ask one database what landed since its mark, at most in the last minutes. Raises lpmops.errors types, ValueError."""
    floor = codec.milliseconds(now) - WINDOW_MILLISECONDS
    start = floor if mark is None or mark.at < floor else mark.at
    rows = list(sql.rows(database, "landed_since", (parameter(start),)))
    if not rows:
        raise ValueError(f"{database} did not say what its clock is")
    server_time = timestamp(rows[0]["server_time"])
    settled_at = timestamp(rows[0]["settled_at"])
    if server_time is None or settled_at is None:
        raise ValueError(f"{database} did not say what its clock is")
    # A server whose clock lags behind ours has settled less than the span asked for: nothing is counted, and the mark stays within what it settled.
    settled_to = codec.milliseconds(settled_at)
    start = min(start, settled_to if mark is None else max(settled_to, mark.at))
    end = max(start, settled_to)
    found = [row for row in rows if int(row["events"] or 0) > 0]
    totals = [row for row in found if row["measure"] == "total"]
    settled = [row for row in found if int(row["settled"])]
    companies = _histograms((str(row["company_id"]), row) for row in settled if row["measure"] == "total")
    hops = _histograms((str(row["measure"]), row) for row in settled if row["measure"] != "partition")
    return Landed(
        database=database,
        asked_from=None if mark is None else mark.at,
        start=start,
        settled_at=end,
        server_time=server_time,
        asked_at=now,
        increment=Increment(start, end, sum(sum(found.values()) for found in companies.values()), hops, companies),
        counts={company: sum(histogram.values()) for company, histogram in companies.items()},
        last_landed=_newest((str(row["company_id"]), _milliseconds(row["landed_at"])) for row in totals),
        sequences=_newest(
            (str(row["hub_partition"]), int(row["hub_sequence"])) for row in found if row["measure"] == "partition"
        ),
        enqueued=_newest(
            (str(row["hub_partition"]), _milliseconds(row["enqueued_at"]))
            for row in found
            if row["measure"] == "partition"
        ),
    )


def advance(mark: Mark | None, landed: Landed) -> Mark:
    """The mark after that answer. The answer must have been asked from a mark of the same moment; its gaps may have been filled since."""
    if mark is None:
        return Mark(
            landed.settled_at,
            ((BEGINNING, landed.start),),
            landed.counts,
            landed.last_landed,
            landed.sequences,
            landed.enqueued,
        )
    return replace(
        mark,
        at=landed.settled_at,
        gaps=mark.gaps if landed.start == mark.at else (*mark.gaps, (mark.at, landed.start)),
        counts=_sum(mark.counts, landed.counts),
        last_landed=_later(mark.last_landed, landed.last_landed),
        sequences=_later(mark.sequences, landed.sequences),
        enqueued=_later(mark.enqueued, landed.enqueued),
    )


def read_gap(sql: SqlSource, database: str, span: tuple[int, int]) -> Gap:
    """Count the rows of one span by company. Raises lpmops.errors types."""
    rows = list(sql.rows(database, "landed_between", (parameter(span[0]), parameter(span[1]))))
    return Gap(
        database,
        span,
        {str(row["company_id"]): int(row["events"]) for row in rows},
        _newest((str(row["company_id"]), _milliseconds(row["landed_at"])) for row in rows),
    )


def fill(mark: Mark, gap: Gap) -> Mark:
    """The mark with that gap counted; unchanged where the gap is no longer open."""
    if gap.span not in mark.gaps:
        return mark
    gaps = tuple(span for span in mark.gaps if span != gap.span)
    return replace(
        mark, gaps=gaps, counts=_sum(mark.counts, gap.counts), last_landed=_later(gap.last_landed, mark.last_landed)
    )


def rows_of(mark: Mark | None, company: str) -> int | None:
    """How many rows a company has; None while a gap is not counted yet."""
    return None if mark is None or mark.gaps else mark.counts.get(company, 0)


def _histograms(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for key, row in rows:
        histogram, edge = found.setdefault(key, {}), int(row["bucket"])
        histogram[edge] = histogram.get(edge, 0) + int(row["events"])
    return found


def _milliseconds(value: Any) -> int:
    moment = timestamp(value)
    return 0 if moment is None else codec.milliseconds(moment)


def _newest(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, value in pairs:
        found[key] = max(value, found.get(key, value))
    return found


def _later(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return _newest((*left.items(), *right.items()))


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {**left, **{key: left.get(key, 0) + value for key, value in right.items()}}
