"""What a Stream Analytics job's managed identity may do in a database, and the statements for what it lacks.

The user has the job's name (azure-docs/stream-analytics/sql-database-output-managed-identity); a job that was made again under the same name is
another identity, which only signing in can show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lpmops.routing import quoting
from lpmops.routing.schema import fill

_WRITES, _READS = ("INSERT", "SELECT"), ("SELECT",)
# What each of these roles of every database allows without a grant.
_ROLES = {"db_owner": {"INSERT", "SELECT"}, "db_datareader": {"SELECT"}, "db_datawriter": {"INSERT"}}


@dataclass(frozen=True, slots=True)
class Grants:
    """`exists` says whether the user is there; `held` what it may do by table; `denied` what it is denied, which no grant lifts."""

    exists: bool
    held: Mapping[str, frozenset[str]]
    denied: Mapping[str, frozenset[str]]
    everywhere: frozenset[str] = frozenset()

    def lacks(self, table: str, wanted: Iterable[str]) -> tuple[str, ...]:
        """Which of those rights on a table are missing."""
        return tuple(sorted(set(wanted) - self.held.get(table.casefold(), frozenset()) - self.everywhere))


def found(identity: str, rows: Iterable[Mapping[str, Any]]) -> Grants:
    """What the rows of `queries/tsql/grants.sql` say of a user."""
    mine = [row for row in rows if str(row["user_name"]).casefold() == identity.casefold()]
    held: dict[str, set[str]] = {}
    denied: dict[str, set[str]] = {}
    everywhere: set[str] = set()
    for row in mine:
        if row["role_name"]:
            everywhere |= _ROLES.get(str(row["role_name"]), set())
        elif row["object_name"]:
            table = f"{row['schema_name']}.{row['object_name']}".casefold()
            kept = denied if str(row["state"]).strip() == "D" else held
            kept.setdefault(table, set()).add(str(row["permission_name"]).strip())
    return Grants(
        bool(mine),
        {table: frozenset(names) for table, names in held.items()},
        {table: frozenset(names) for table, names in denied.items()},
        frozenset(everywhere),
    )


def missing(
    identity: str, grants: Grants, *, writes: Iterable[str] = (), reads: Iterable[str] = ()
) -> tuple[tuple[str, str], ...]:
    """The statements (name, text) that give a user what it lacks on those tables (`schema.table`). Raises ValueError for an impossible name."""
    user = quoting.identifier(identity)
    statements = []
    if not grants.exists:
        text = fill("user_create", identity=user, identity_text=quoting.national_literal(identity))
        statements.append(("user_create", text))
    for name, tables, wanted in (("grant_write", writes, _WRITES), ("grant_read", reads, _READS)):
        statements += [
            (name, fill(name, table=quoting.path(table), identity=user))
            for table in tables
            if grants.lacks(table, wanted)
        ]
    return tuple(statements)


def refusals(identity: str, grants: Grants, tables: Iterable[str]) -> tuple[str, ...]:
    """What no grant lifts: rights that are denied."""
    return tuple(
        f"{identity} is denied {', '.join(sorted(names))} on {table}: revoke that, as no grant goes over it."
        for table in tables
        if (names := grants.denied.get(table.casefold()))
    )
