"""What is known of routes, for a person or a script: which job writes each, since when, how long the first row took, and what no route took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmops.actions import route
from lpmops.actions.action import Bench
from lpmops.control import routes
from lpmops.control.landing import timestamp
from lpmops.control.routes import REMOVED, RouteEntry
from lpmops.errors import LpmopsError
from lpmops.model import to_data
from lpmops.routing import job as definitions


def writers(bench: Bench) -> dict[str, str]:
    """Which job writes to which company database, by the database's case-folded name. Raises lpmops.errors types."""
    return {
        database.casefold(): job.name
        for job in bench.services.streamanalytics.jobs()
        for database in definitions.landing_databases(definitions.deployed(job))
    }


def listed(bench: Bench, *, removed: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """Every route as plain values, and warnings: a job that can't be told is None. Raises lpmops.errors types."""
    found, warnings = routes.entries(bench.control), list[str]()
    by_database, warnings = _writers(bench)
    return [_data(entry, by_database) for entry in found.values() if removed or entry.state != REMOVED], warnings


def _writers(bench: Bench) -> tuple[Mapping[str, str], list[str]]:
    try:
        return writers(bench), []
    except LpmopsError as error:
        return {}, [f"Which job writes them can't be told: {error.message}"]


def _data(entry: RouteEntry, by_database: Mapping[str, str]) -> dict[str, Any]:
    return {
        "company_id": entry.company_id,
        "company": entry.company,
        "database": entry.database,
        "job": by_database.get(entry.database.casefold()),
        "state": entry.state if entry.also is None else "moving",
        "since": to_data(entry.since),
    }


def shown(bench: Bench, company_id: str) -> tuple[dict[str, Any], list[str]]:
    """All that is known of one route, and warnings. Raises NotFoundError and what the services raise."""
    (entry,) = route.chosen(bench, [company_id])
    by_database, warnings = _writers(bench)
    left = routes.unrouted(bench.control, bench.services.sql, [entry.company_id]).get(entry.company_id)
    data = {
        **_data(entry, by_database),
        "changed_by": entry.by,
        "moving_to": entry.also,
        "asked_at": to_data(entry.asked_at),
        "first_row_at": to_data(entry.first_row_at),
        "seconds_to_first_row": entry.seconds_to_first_row,
        "unrouted": route.unrouted_data(left),
        "last_landed_at": None,
    }
    try:
        data["last_landed_at"] = to_data(last_landed(bench, entry))
    except LpmopsError as error:
        warnings.append(f"Its last row can't be read: {error.message}")
    return data, warnings


def last_landed(bench: Bench, entry: RouteEntry) -> Any:
    """When a company's newest row landed; None where there is none. Raises lpmops.errors types."""
    rows = bench.services.sql.rows(entry.database, "last_row_of_company", (entry.company_id,))
    return timestamp(rows[0]["landed_at"]) if rows else None
