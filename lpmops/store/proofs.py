"""What reconciliations have shown: the versions that were held against the landing tables, and the gaps that were open then.

A version is proven for a company, or for every company, once it was looked at; what differed stands beside it as an open gap, so that a proven
version without one was complete. Kept by the table's id, as a table that is made anew counts its versions from the start. Losing it costs a look.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from lpmops.store import codec
from lpmops.store.connection import Store
from lpmops.store.failures import believing
from lpmops.versions import Versions, merged, without

EVERY_COMPANY = ""


@dataclass(frozen=True, slots=True)
class OpenGap:
    """What differs for one company in a range of versions, as counts of changes. `repairable` of the missing a replay can still bring; `why` says
    the cause.
    """

    company_id: str
    versions: Versions
    source: int
    landed: int
    missing: int = 0
    doubled: int = 0
    extra: int = 0
    repairable: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Versions that could not be held against anything, why, and what is still possible; `later` where the next run looks at them by itself."""

    versions: Versions
    why: str
    remains: str
    later: bool = False


@dataclass(frozen=True, slots=True)
class Proofs:
    """What is remembered of one table. `proven` is by company, EVERY_COMPANY for what holds for all; `unreadable` stays so.

    `looked_at` says when each range with an open gap was looked at last.
    """

    proven: Mapping[str, tuple[Versions, ...]]
    gaps: tuple[OpenGap, ...]
    unreadable: tuple[Unreadable, ...] = ()
    looked_at: Mapping[Versions, datetime] = field(default_factory=dict)

    def of(self, company_id: str) -> tuple[Versions, ...]:
        """The versions that were looked at for a company, alone or with all others."""
        return merged((*self.proven.get(EVERY_COMPANY, ()), *self.proven.get(company_id, ())))


def read(store: Store, environment: str, table_id: str) -> Proofs:
    """What is remembered of a table. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        proven = connection.execute(
            "SELECT company_id, first, last FROM proven WHERE environment = ? AND table_id = ? ORDER BY company_id, first",
            (environment, table_id),
        ).fetchall()
        found: dict[str, list[Versions]] = {}
        for company_id, first, last in proven:
            found.setdefault(company_id, []).append(Versions(first, last))
        return Proofs(
            {company_id: merged(ranges) for company_id, ranges in found.items()},
            _gaps(connection, environment, table_id),
            _unreadable(connection, environment, table_id),
            _looked_at(connection, environment, table_id),
        )


def gaps(store: Store, environment: str, table_id: str) -> tuple[OpenGap, ...]:
    """The open gaps alone, as every look at the environment needs them. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        return _gaps(connection, environment, table_id)


def unreadable(store: Store, environment: str, table_id: str) -> tuple[Unreadable, ...]:
    """The versions alone whose changes can't be read any more. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        return _unreadable(connection, environment, table_id)


def former(store: Store, environment: str, table_id: str) -> dict[str, tuple[OpenGap, ...]]:
    """The other tables of which something was looked at under this name, by their ids, with their open gaps. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        rows = connection.execute(
            "SELECT DISTINCT table_id FROM proven WHERE environment = ? AND table_id <> ? ORDER BY table_id",
            (environment, table_id),
        ).fetchall()
        return {str(each): _gaps(connection, environment, each) for (each,) in rows}


def _unreadable(connection: sqlite3.Connection, environment: str, table_id: str) -> tuple[Unreadable, ...]:
    rows = connection.execute(
        "SELECT first, last, why, remains FROM unreadable WHERE environment = ? AND table_id = ? ORDER BY first",
        (environment, table_id),
    ).fetchall()
    return tuple(Unreadable(Versions(first, last), why, remains) for first, last, why, remains in rows)


def _looked_at(connection: sqlite3.Connection, environment: str, table_id: str) -> dict[Versions, datetime]:
    rows = connection.execute(
        "SELECT first, last, MIN(at) FROM open_gap WHERE environment = ? AND table_id = ? GROUP BY first, last",
        (environment, table_id),
    ).fetchall()
    return {Versions(first, last): codec.moment(at) for first, last, at in rows}


def _gaps(connection: sqlite3.Connection, environment: str, table_id: str) -> tuple[OpenGap, ...]:
    rows = connection.execute(
        "SELECT company_id, first, last, source, landed, missing, doubled, extra, repairable, why FROM open_gap"
        " WHERE environment = ? AND table_id = ? ORDER BY company_id, first, last, why",
        (environment, table_id),
    ).fetchall()
    return tuple(OpenGap(company_id, Versions(first, last), *rest) for company_id, first, last, *rest in rows)


def keep(
    store: Store,
    environment: str,
    table_id: str,
    looked_at: Versions,
    companies: Iterable[str],
    differing: Iterable[OpenGap],
    at: datetime,
) -> None:
    """Note that a range was looked at for these companies (EVERY_COMPANY for all), and what differed. Raises StoreError.

    Their older gaps within the range are gone; one that reaches out of it stays until it is looked at whole. What could be read is not unreadable.
    """
    moment = codec.milliseconds(at)
    with store.writing() as connection:
        _make_room(connection, (environment, table_id), looked_at)
        for company_id in companies:
            _prove(connection, (environment, table_id, company_id), looked_at, moment)
            connection.execute(
                "DELETE FROM open_gap WHERE environment = ? AND table_id = ? AND first >= ? AND last <= ? AND (? = '' OR company_id = ?)",
                (environment, table_id, looked_at.first, looked_at.last, company_id, company_id),
            )
        for gap in differing:
            place = (environment, table_id, gap.company_id, gap.versions.first, gap.versions.last)
            if not _overlaps(connection, place, looked_at):
                _insert(connection, (environment, table_id), gap, moment)
        # Also what stays as it was: what can't be asked now, or reaches out of the range, does not go before what waits for its turn.
        connection.execute(
            "UPDATE open_gap SET at = ? WHERE environment = ? AND table_id = ? AND first <= ? AND last >= ?",
            (moment, environment, table_id, looked_at.last, looked_at.first),
        )


def give_up(
    store: Store, environment: str, table_id: str, gone: Unreadable, at: datetime
) -> tuple[tuple[OpenGap, OpenGap], ...]:
    """Note that versions can't be read any more, and so that no replay fills the gaps among them. Raises StoreError.

    Gives those gaps as they were and as they are: one that reached out of the range is two or three now, each with its counts, as nobody can tell
    which of them lie where before what is ahead and beyond is looked at anew.
    """
    first, last = gone.versions.first, gone.versions.last
    place = (environment, table_id)
    with store.writing() as connection:
        _make_room(connection, place, gone.versions)
        connection.execute(
            "INSERT INTO unreadable VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*place, first, last, gone.why, gone.remains, codec.milliseconds(at)),
        )
        found = [
            gap
            for gap in _gaps(connection, *place)
            if gap.missing and gap.versions.first <= last and gap.versions.last >= first
        ]
        lost = [(gap, replace(gap, versions=_cut(gap.versions, gone.versions), repairable=0)) for gap in found]
        for before, after in lost:
            _put(connection, place, before, after, codec.milliseconds(at))
            if before.versions.first < first:
                ahead = replace(before, versions=Versions(before.versions.first, first - 1))
                _insert(connection, place, ahead, codec.milliseconds(at))
            if before.versions.last > last:
                beyond = replace(before, versions=Versions(last + 1, before.versions.last))
                _insert(connection, place, beyond, codec.milliseconds(at))
    return tuple(lost)


def correct(store: Store, environment: str, table_id: str, before: OpenGap, after: OpenGap, at: datetime) -> None:
    """Put a gap in the place of another of its company; one in which nothing differs any more is gone. Raises StoreError."""
    with store.writing() as connection:
        _put(connection, (environment, table_id), before, after, codec.milliseconds(at))


def _make_room(connection: sqlite3.Connection, place: tuple[str, str], versions: Versions) -> None:
    """Take a range out of those that can't be read; what of them lies around it stays."""
    rows = connection.execute(
        "SELECT first, last, why, remains, at FROM unreadable WHERE environment = ? AND table_id = ? AND first <= ? AND last >= ?",
        (*place, versions.last, versions.first),
    ).fetchall()
    for first, last, *rest in rows:
        connection.execute(
            "DELETE FROM unreadable WHERE environment = ? AND table_id = ? AND first = ?", (*place, first)
        )
        for part in without([Versions(first, last)], [versions]):
            connection.execute(
                "INSERT INTO unreadable VALUES (?, ?, ?, ?, ?, ?, ?)", (*place, part.first, part.last, *rest)
            )


def _cut(versions: Versions, bounds: Versions) -> Versions:
    return Versions(max(versions.first, bounds.first), min(versions.last, bounds.last))


def _put(connection: sqlite3.Connection, place: tuple[str, str], before: OpenGap, after: OpenGap, moment: int) -> None:
    connection.execute(
        "DELETE FROM open_gap WHERE environment = ? AND table_id = ? AND company_id = ? AND first = ? AND last = ? AND why = ?",
        (*place, before.company_id, before.versions.first, before.versions.last, before.why),
    )
    if after.missing or after.doubled or after.extra:
        _insert(connection, place, after, moment)


def _insert(connection: sqlite3.Connection, place: tuple[str, str], gap: OpenGap, moment: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO open_gap VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *place, gap.company_id, gap.versions.first, gap.versions.last, gap.source, gap.landed, gap.missing, gap.doubled, gap.extra,
            gap.repairable, gap.why, moment,
        ),
    )  # fmt: skip


def _prove(connection: sqlite3.Connection, place: tuple[str, str, str], looked_at: Versions, moment: int) -> None:
    """Add a range to those of a company; neighbours become one row, with the older of their times."""
    neighbours = connection.execute(
        "SELECT first, last, at FROM proven WHERE environment = ? AND table_id = ? AND company_id = ? AND first <= ? AND last >= ?",
        (*place, looked_at.last + 1, looked_at.first - 1),
    ).fetchall()
    for first, _, _ in neighbours:
        connection.execute(
            "DELETE FROM proven WHERE environment = ? AND table_id = ? AND company_id = ? AND first = ?",
            (*place, first),
        )
    first = min((looked_at.first, *(row[0] for row in neighbours)))
    last = max((looked_at.last, *(row[1] for row in neighbours)))
    at = min((moment, *(row[2] for row in neighbours)))
    connection.execute("INSERT INTO proven VALUES (?, ?, ?, ?, ?, ?)", (*place, first, last, at))


def _overlaps(connection: sqlite3.Connection, place: tuple[str, str, str, int, int], looked_at: Versions) -> bool:
    """Whether a gap that reaches out of the range holds this one already."""
    environment, table_id, company_id, first, last = place
    found = connection.execute(
        "SELECT 1 FROM open_gap WHERE environment = ? AND table_id = ? AND company_id = ? AND first <= ? AND last >= ?"
        " AND (first < ? OR last > ?)",
        (environment, table_id, company_id, last, first, looked_at.first, looked_at.last),
    ).fetchone()
    return found is not None
