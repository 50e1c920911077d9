"""The route table of an environment and the company databases that every operator must know of: what the control database says, how it is changed.

lpmops.toml lies on one person's machine, so a database that was brought on since it was written stands in `lpmops.company_database`; `known` joins
the two, and whatever asks which databases there are asks it. A change names the state it was planned on and changes nothing where that is gone.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lpmops.control.landing import parameter
from lpmops.control.lock import MISSING, ControlDatabase
from lpmops.control.sources import SqlSource
from lpmops.errors import ForbiddenError, ServiceError, SignInError, StatementError
from lpmops.store import codec

ACTIVE, PAUSED, REMOVED = "active", "paused", "removed"
# How many routes one statement brings on: all of them or none.
LARGEST_BATCH = 5_000
# How far it is looked which changes of a time of change have landed too: 500 each.
_PAGES_AT_MOST = 40


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """A row of the route table. `also` is the database that is written to as well while the company moves; times are aware, None unknown."""

    company_id: str
    company: str
    database: str
    state: str
    by: str
    since: datetime
    also: str | None = None
    asked_at: datetime | None = None
    first_row_at: datetime | None = None

    @property
    def seconds_to_first_row(self) -> float | None:
        """From the request to the first row in the company's database; None where there is none yet, or nobody noted the request."""
        if self.asked_at is None or self.first_row_at is None:
            return None
        return max(0.0, (self.first_row_at - self.asked_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Unrouted:
    """What no route took of one company: how many changes, in which versions of the source table, since when."""

    events: int
    first_version: int | None
    last_version: int | None
    since: datetime | None


def entries(control: ControlDatabase) -> dict[str, RouteEntry]:
    """Every route by company id, in the order of the ids, the removed ones too. Raises lpmops.errors types."""
    found = (_entry(row) for row in control.rows("route_list"))
    return {one.company_id: one for one in sorted(found, key=lambda one: one.company_id)}


def entry(control: ControlDatabase, company_id: str) -> RouteEntry | None:
    """One company's route; None where there is none. Raises lpmops.errors types."""
    rows = control.rows("route_entry", company_id)
    return _entry(rows[0]) if rows else None


def of_companies(control: ControlDatabase, company_ids: Iterable[str]) -> dict[str, RouteEntry]:
    """The routes that these companies have, by id. Raises lpmops.errors types."""
    found = (_entry(row) for row in control.rows("routes_of_companies", _listed(company_ids)))
    return {one.company_id: one for one in found}


def _listed(company_ids: Iterable[str]) -> str:
    return json.dumps([{"company_id": company_id} for company_id in company_ids])


def _entry(row: Mapping[str, Any]) -> RouteEntry:
    return RouteEntry(
        company_id=str(row["company_id"]),
        company=str(row["company"]),
        database=str(row["database_name"]),
        state=str(row["state"]),
        by=str(row["changed_by"]),
        since=row["changed_at"],
        also=None if row["also_database"] is None else str(row["also_database"]),
        asked_at=row["asked_at"],
        first_row_at=row["first_row_at"],
    )


def add(control: ControlDatabase, routes: Sequence[Mapping[str, str]], asked_at: datetime | None, by: str) -> None:
    """Bring companies on, all or none: each has company_id, company and database. Raises lpmops.errors types."""
    document = json.dumps(list(routes))
    control.rows("routes_add", document, asked_at, by, document)


def put_state(control: ControlDatabase, company_id: str, before: str, after: str, by: str) -> None:
    """Another state for a route that still is in the state it was planned on; nothing happens to one that is not, or that moves."""
    control.rows("route_state_put", after, by, before, company_id)


def put_both(control: ControlDatabase, company_id: str, database: str, also: str, by: str) -> None:
    """Let an active company that is written to one database be written to another too."""
    control.rows("route_also_put", also, by, database, company_id)


def put_alone(control: ControlDatabase, company_id: str, database: str, by: str) -> None:
    """Let a company that is written to two databases be written to one of them alone, whichever of the two it is."""
    control.rows("route_switch", database, by, database, database, company_id)


def unrouted(
    control: ControlDatabase, sql: SqlSource, company_ids: Iterable[str], since: datetime | None = None
) -> dict[str, Unrouted]:
    """What no route took of these companies since a moment, by id, without what stands there and landed too as the route was changing.

    Where a company's database can't be asked, all counts as not landed: a replay lands nothing twice. Raises lpmops.errors types.
    """
    listed = _listed(company_ids)
    found = {str(row["company_id"]): row for row in control.rows("unrouted_of_companies", listed, since)}
    landed = _landed_too(control, sql, _listed(found), since) if found else Counter[str]()
    return {
        company_id: Unrouted(left, row["first_version"], row["last_version"], row["first_at"])
        for company_id, row in found.items()
        if (left := int(row["events"]) - landed[company_id]) > 0
    }


def _landed_too(control: ControlDatabase, sql: SqlSource, listed: str, since: datetime | None) -> Counter[str]:
    """How many of the changes that stand in `unrouted` from the time of a change of their route have landed, by company."""
    landed: Counter[str] = Counter()
    partition, sequence = -1, -1
    for _ in range(_PAGES_AT_MOST):
        rows = control.rows("unrouted_while_changing", listed, since, partition, partition, sequence)
        if not rows:
            break
        partition, sequence = int(rows[-1]["hub_partition"]), int(rows[-1]["hub_sequence"])
        by_database: defaultdict[str, list[tuple[str, str, int, str]]] = defaultdict(list)
        for row in rows:
            by_database[str(row["database_name"])].append(_key(row))
        for database, keys in by_database.items():
            there = _present(sql, database, keys)
            landed.update(key[0] for key in keys if key in there)
    return landed


def _present(
    sql: SqlSource, database: str, keys: Sequence[tuple[str, str, int, str]]
) -> set[tuple[str, str, int, str]]:
    try:
        return {_key(row) for row in sql.rows(database, "rows_present", (json.dumps(keys),))}
    except SignInError:
        raise
    except ServiceError:
        return set()


def _key(row: Mapping[str, Any]) -> tuple[str, str, int, str]:
    return (str(row["company_id"]), str(row["record_id"]), int(row["commit_version"]), str(row["change_type"]))


# First rows ----------------------------------------------------------------------------------------------------------------------------------------


def first_rows(sql: SqlSource, database: str, company_ids: Iterable[str], since: datetime) -> dict[str, datetime]:
    """When the first row of each of these companies landed in a database since a moment; those without one are left out."""
    rows = sql.rows(database, "first_rows_of_companies", (_listed(company_ids), since))
    return {str(row["company_id"]): row["landed_at"] for row in rows}


def put_first_rows(control: ControlDatabase, times: Mapping[str, datetime]) -> None:
    """Note when companies' first rows landed, where that is not noted yet."""
    listed = [
        {"company_id": company_id, "first_row_at": parameter(codec.milliseconds(at))}
        for company_id, at in times.items()
    ]
    control.rows("routes_first_row_put", json.dumps(listed))


# Databases -----------------------------------------------------------------------------------------------------------------------------------------


def known(configured: Sequence[str], added: Iterable[str]) -> tuple[str, ...]:
    """The company databases: those of lpmops.toml in its order, then the others by name, each once whatever its case."""
    found = {name.casefold(): name for name in configured}
    for name in sorted(added):
        found.setdefault(name.casefold(), name)
    return tuple(found.values())


def read_databases(sql: SqlSource, control_database: str, configured: Sequence[str]) -> tuple[str, ...]:
    """The same as they are now. A control database from before the table, or an identity that may not read it, knows of no other."""
    try:
        rows = sql.rows(control_database, "company_databases", ())
    except ForbiddenError:
        return tuple(configured)
    except StatementError as error:
        if error.status not in MISSING:
            raise
        return tuple(configured)
    return known(configured, (str(row["database_name"]) for row in rows))


def add_database(control: ControlDatabase, database: str, by: str) -> None:
    """Let every operator know of a company database. Raises lpmops.errors types."""
    control.rows("company_database_put", database, by, database)
