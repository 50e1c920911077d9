"""The T-SQL that makes the tables of a company database and of the control database, statement by statement.

Each statement can be run again without harm, except the view's, which is given only where the view is absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from lpmops.config import Column, Routing
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


def landing_statements(columns: Iterable[Column], routing: Routing) -> tuple[str, ...]:
    """The statements that make `lpm.tdr`, its indexes and the view `lpm.tdr_current` in a company database without them."""
    table = Template(query("tsql/landing_table.sql")).substitute(
        columns=landing.declaration(landing.landing_columns(columns, routing))
    )
    rest = ("landing_unique_index", "landing_recent_index", "landing_company_index", "landing_view")
    return (query("tsql/landing_schema.sql"), table, *(query(f"tsql/{name}.sql") for name in rest))


def control_statements() -> tuple[str, ...]:
    """The statements that make the schema `lpmops` of a control database."""
    return tuple(query(f"tsql/{name}.sql") for name in CONTROL_STATEMENTS)
