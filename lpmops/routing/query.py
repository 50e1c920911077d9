"""The text of a Stream Analytics job in the `reference` strategy.

The hub is read once, in one WITH step; the route table is joined as reference data, so a company that comes onto an existing database changes no
text. Each company database is one output, what no route takes goes to `unrouted`, heartbeats to `heartbeat`, counts to `kpi`. A CAST that fails stops
a job, and a NULL that does not fit blocks it, so an event that lacks a key or a stamp is cast softly and goes to `unrouted` too.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from lpmops.config import Column, Kpi, Routing
from lpmops.resources import query
from lpmops.routing import columns as landing
from lpmops.routing import quoting

INPUT = "tdr-hub"
REFERENCE = "route"
UNROUTED, HEARTBEAT, KPI = "unrouted", "heartbeat", "kpi"
QUERY_LIMIT = 512_000


def job_query(databases: Iterable[str], columns: Iterable[Column], routing: Routing, kpi: Kpi) -> str:
    """The whole text for a job that writes to `databases`; the same input gives the same text.

    Raises ValueError for a name that can't be quoted, or a text over Stream Analytics' 512,000 characters.
    """
    wanted = landing.landing_columns(columns, routing)
    parts = [_records(wanted, routing, kpi)]
    parts += [_company_database(name, wanted) for name in sorted(set(databases))]
    parts += [
        _fill("asa/unrouted.asaql", output=quoting.identifier(UNROUTED)),
        _fill("asa/heartbeat.asaql", output=quoting.identifier(HEARTBEAT)),
    ]
    parts.append(
        _fill(
            "asa/kpi.asaql",
            output=quoting.identifier(KPI),
            answered=quoting.literal(kpi.answered),
            failed=quoting.literal(kpi.failed),
        )
    )
    text = "\n".join(parts)
    if len(text) > QUERY_LIMIT:
        raise ValueError(f"the query has {len(text):,} characters; Stream Analytics takes {QUERY_LIMIT:,}")
    return text


def _records(columns: Iterable[Column], routing: Routing, kpi: Kpi) -> str:
    return _fill(
        "asa/records.asaql",
        key=quoting.path(routing.key),
        record=quoting.path(routing.record),
        disposition=quoting.path(kpi.disposition),
        duration_seconds=quoting.path(kpi.duration_seconds),
        columns=landing.projection(columns),
        input=quoting.identifier(INPUT),
        route=quoting.identifier(REFERENCE),
    )


def _company_database(database: str, columns: Iterable[Column]) -> str:
    return _fill(
        "asa/company_database.asaql",
        columns=landing.names(columns),
        output=quoting.identifier(database),
        database=quoting.literal(database),
    )


def _fill(name: str, **values: str) -> str:
    return Template(query(name)).substitute(values)
