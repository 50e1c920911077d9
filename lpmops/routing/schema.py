"""The T-SQL that makes the tables of a company database and of the control database, statement by statement.

Each statement can be run again without harm, except the view's, which is given only where the view is absent. Whether tables that are there already
will do, and what they lack, is `landing`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import Template

from lpmops.config import Column, Kpi, Routing
from lpmops.resources import query
from lpmops.routing import columns as landing

CONTROL_STATEMENTS = (
    "control_schema",
    "control_route",
    "control_route_columns",
    "control_company_database",
    "control_unrouted",
    "control_unrouted_index",
    "control_unrouted_recent_index",
    "control_heartbeat",
    "control_heartbeat_index",
    "control_heartbeat_recent_index",
    "control_kpi",
    "control_kpi_index",
    "control_kpi_company_index",
    "control_lock",
    "control_lock_columns",
    "control_freeze",
    "control_pause",
    "control_pause_columns",
    "control_audit_head",
)
LANDING_INDEXES = ("landing_unique_index", "landing_recent_index", "landing_company_index", "landing_version_index")
KPI_INDEXES = ("landing_kpi_index", "landing_kpi_company_index")


def landing_statements(columns: Iterable[Column], routing: Routing, kpi: Kpi | None = None) -> tuple[str, ...]:
    """The statements that make `lpm.tdr`, its indexes and the view `lpm.tdr_current` in a company database without them.

    With `kpi.output = "company"` they make `lpm.kpi_minute` too.
    """
    counts = ("landing_kpi", *KPI_INDEXES) if kpi is not None and kpi.output == "company" else ()
    return (
        query("tsql/landing_schema.sql"),
        landing_table(columns, routing),
        *(query(f"tsql/{name}.sql") for name in LANDING_INDEXES),
        landing_view("CREATE"),
        *(query(f"tsql/{name}.sql") for name in counts),
    )


def landing_table(columns: Iterable[Column], routing: Routing) -> str:
    """The statement that makes `lpm.tdr`."""
    declared = landing.declaration(landing.landing_columns(columns, routing))
    return fill("landing_table", columns=declared)


def landing_view(verb: str) -> str:
    """The statement that makes `lpm.tdr_current` (CREATE), or makes it again with what was granted on it (ALTER)."""
    return fill("landing_view", verb=verb)


def control_statements() -> tuple[str, ...]:
    """The statements that make the schema `lpmops` of a control database."""
    return tuple(query(f"tsql/{name}.sql") for name in CONTROL_STATEMENTS)


def fill(name: str, **values: str) -> str:
    """`queries/tsql/NAME.sql` with its places filled in; every value is quoted already."""
    return Template(query(f"tsql/{name}.sql")).substitute(values)


_MADE = (
    (re.compile(r"COL_LENGTH\('(\S+)', '(\S+)'\)"), "column {0}.{1}"),
    (re.compile(r"CREATE SCHEMA (\w+)"), "schema {0}"),
    (re.compile(r"CREATE TABLE (\S+)"), "table {0}"),
    (re.compile(r"CREATE VIEW (\S+)"), "view {0}"),
    (re.compile(r"CREATE (?:UNIQUE )?INDEX (\S+) ON (\S+)"), "index {0} on {1}"),
)
# How the index of a table is named that takes a row twice without an error, and keeps it once.
IGNORES_DUPLICATES = ", duplicates ignored"


def makes(statement: str) -> str:
    """What a statement makes, as `queries/tsql/schema_objects.sql` names what is there. Raises ValueError for one that makes nothing."""
    text = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
    for pattern, words in _MADE:
        if found := pattern.search(text):
            return words.format(*found.groups()) + (IGNORES_DUPLICATES if "IGNORE_DUP_KEY" in text else "")
    raise ValueError(statement.partition("\n")[0])


def lacking(statements: Iterable[str], present: frozenset[str]) -> dict[str, str]:
    """The statements that make what is not there, by what they make, in their order; a column that comes with its table is left out."""
    found: dict[str, str] = {}
    for statement in statements:
        made = makes(statement)
        table, _, column = made.removeprefix("column ").rpartition(".")
        with_table = made.startswith("column ") and re.search(rf"\b{column}\b", found.get(f"table {table}", ""))
        if made not in present and not with_table:
            found[made] = statement
    return found
