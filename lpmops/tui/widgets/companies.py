"""The companies of an environment as rows of the table: what each column says, how it sorts, and what the filter looks
in.

The order of a first look is by trouble, so that what needs a person stands at the top. Everything here is a function
of a `Route` and the time, whose zone is the one that times are shown in.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from lpmops.model import Route
from lpmops.tui import marks, paint, words
from lpmops.tui.paint import Line, Piece
from lpmops.tui.widgets.table import Column, natural


def _company(route: Route, _now: datetime) -> Line:
    mark = marks.of_route(route.state)
    return (
        Piece(f" {mark.glyph} ", mark.role),
        paint.piece(route.company_id, "strong"),
        Piece(" "),
        paint.piece(route.company),
    )


def _number(text: str) -> Line:
    return (Piece(text, "unknown" if text == words.UNKNOWN else "text"),)


def _landed(route: Route, now: datetime) -> Line:
    return _number(words.age(words.age_seconds(now, route.last_landed_at)))


def _landed_at(route: Route, now: datetime) -> Line:
    return _number(words.row_time(route.last_landed_at, now))


def _state(route: Route, _now: datetime) -> Line:
    mark = marks.of_route(route.state)
    return (Piece(" "), paint.piece(route.state or mark.word, mark.role))


def _trouble(route: Route) -> int:
    return -marks.of_route(route.state).weight


def _landed_order(route: Route) -> float | None:
    return -route.last_landed_at.timestamp() if route.last_landed_at else None


COLUMNS: tuple[Column[Route], ...] = (
    Column("company", " company", 24, _company, lambda route: natural(route.company_id), grows=True, most=64),
    Column(
        "database",
        "database",
        10,
        lambda route, _: (paint.piece(route.database),),
        lambda route: natural(route.database),
        wanted=2,
    ),
    Column(
        "rows",
        "rows",
        11,
        lambda route, _: _number(words.count(route.rows)),
        lambda route: route.rows,
        right=True,
        wanted=3,
    ),
    Column(
        "rate",
        "/min",
        6,
        lambda route, _: _number(words.short_count(route.rows_per_minute)),
        lambda route: route.rows_per_minute,
        right=True,
        wanted=1,
    ),
    Column("landed_at", "last row", 12, _landed_at, _landed_order, right=True, wanted=4),
    Column("landed", "landed", 7, _landed, _landed_order, right=True),
    Column(
        "p95",
        "p95",
        6,
        lambda route, _: _number(words.duration(route.latency_p95)),
        lambda route: route.latency_p95,
        right=True,
    ),
    Column("state", " state", 12, _state, _trouble),
)
BY_TROUBLE = next(index for index, column in enumerate(COLUMNS) if column.key == "state")


def key(route: Route) -> str:
    """What names a company for as long as it is on screen."""
    return route.company_id


@lru_cache(maxsize=32_768)
def haystack(route: Route) -> str:
    """What the filter looks in: id, name, database and state."""
    return f"{route.company_id} {route.company} {route.database} {route.state}".casefold()
