"""What reconciliations have shown: the versions that were held against the landing tables, and the gaps that were open then.

A version is proven for a company, or for every company, once it was looked at; what differed stands beside it as an open gap, so that a proven
version without one was complete. Kept by the table's id, as a table that is made anew counts its versions from the start. Losing it costs a look.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lpmops.store import codec
from lpmops.store.connection import Store
from lpmops.store.failures import believing
from lpmops.versions import Versions, merged

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
class Proofs:
    """What is remembered of one table. `proven` is by company, EVERY_COMPANY for what holds for all."""

    proven: Mapping[str, tuple[Versions, ...]]
    gaps: tuple[OpenGap, ...]

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
        )


def gaps(store: Store, environment: str, table_id: str) -> tuple[OpenGap, ...]:
    """The open gaps alone, as every look at the environment needs them. Raises StoreError."""
    with store.reading() as connection, believing(store.path):
        return _gaps(connection, environment, table_id)


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

    Their older gaps within the range are gone; one that reaches out of it stays until it is looked at whole.
    """
    moment = codec.milliseconds(at)
    with store.writing() as connection:
        for company_id in companies:
            _prove(connection, (environment, table_id, company_id), looked_at, moment)
            connection.execute(
                "DELETE FROM open_gap WHERE environment = ? AND table_id = ? AND first >= ? AND last <= ? AND (? = '' OR company_id = ?)",
                (environment, table_id, looked_at.first, looked_at.last, company_id, company_id),
            )
        for gap in differing:
            place = (environment, table_id, gap.company_id, gap.versions.first, gap.versions.last)
            if not _overlaps(connection, place, looked_at):
                connection.execute(
                    "INSERT OR REPLACE INTO open_gap VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*place, gap.source, gap.landed, gap.missing, gap.doubled, gap.extra, gap.repairable, gap.why, moment),
                )  # fmt: skip


def beyond_repair(store: Store, environment: str, table_id: str, versions: Versions, why: str) -> tuple[OpenGap, ...]:
    """Note of the gaps within a range that no replay fills them any more; those gaps. Raises StoreError."""
    with store.writing() as connection:
        connection.execute(
            "UPDATE OR REPLACE open_gap SET repairable = 0, why = ?"
            " WHERE environment = ? AND table_id = ? AND first >= ? AND last <= ? AND missing > 0",
            (why, environment, table_id, versions.first, versions.last),
        )
    found = gaps(store, environment, table_id)
    return tuple(
        gap
        for gap in found
        if gap.missing and gap.versions.first >= versions.first and gap.versions.last <= versions.last
    )


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
