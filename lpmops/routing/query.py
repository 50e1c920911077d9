"""The text of a Stream Analytics job, in both strategies.

The hub is read once, in one WITH step. What says where a company's records go is one CASE: in the `reference` strategy it takes the database that the
route table names, so a company that comes onto an existing database changes no text; in the `query` strategy it holds one predicate on the company id
per database. Whatever the CASE does not know, a route to a database that no job writes included, is routed nowhere and so goes to `unrouted`, which
one job of all has (`Share.control`), with heartbeats and counts.

Several jobs read the route table at moments of their own. There a change of a company's state counts by the time at which an event reached the hub:
before `settled_at` the event lands where the company was or is from now on, and stands in `unrouted` too; after it every job knows. So no event is in
neither place, however far behind a job is. A job that is the only one decides both from one reading, and needs no such time.

A CAST that fails stops a job, and a value that does not fit blocks it, so an event that lacks a key or a stamp, or whose key is too long for its
column, goes to `unrouted` too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import Template

from lpmops.config import Column, Kpi, Routing
from lpmops.resources import query
from lpmops.routing import columns as landing
from lpmops.routing import quoting

INPUT = "tdr-hub"
REFERENCE = "route"
UNROUTED, HEARTBEAT, KPI = "unrouted", "heartbeat", "kpi"
CONTROL_OUTPUTS = (UNROUTED, HEARTBEAT, KPI)
QUERY_LIMIT = 512_000
_LINE = 132


@dataclass(frozen=True, slots=True)
class Share:
    """What one job does of the whole.

    `databases` are those it writes, `elsewhere` those that other jobs write: the job that has `control` must know them, as what it finds no route for
    is unrouted. `companies` are the company ids by database in the `query` strategy, None in the `reference` strategy.
    """

    databases: tuple[str, ...]
    control: bool = True
    elsewhere: tuple[str, ...] = ()
    companies: Mapping[str, Sequence[str]] | None = field(default=None)

    @property
    def agrees_by_time(self) -> bool:
        """Whether other jobs read the route table too, so that what they know of it may differ for a while."""
        return self.companies is None and (bool(self.elsewhere) or not self.control)


def kpi_output(database: str) -> str:
    """The name of the output that takes a company database's own counts."""
    return f"{KPI}-{database}"


def job_query(share: Share | Iterable[str], columns: Iterable[Column], routing: Routing, kpi: Kpi) -> str:
    """The whole text of a job; the same input gives the same text. Names alone are the share of an only job, routed by reference data.

    Raises ValueError for a name or an id that can't be quoted, or a text over Stream Analytics' 512,000 characters.
    """
    given = share if isinstance(share, Share) else Share(tuple(share))
    databases = sorted(set(given.databases))
    wanted = landing.landing_columns(columns, routing)
    parts = [_records(given, wanted, routing, kpi)]
    parts += [_company_database(name, wanted, by_reference=given.companies is None) for name in databases]
    if kpi.output == "company":
        parts += [_counts(kpi, kpi_output(name), f"route_database = {quoting.literal(name)}") for name in databases]
    if given.control:
        parts += [
            _fill("asa/unrouted.asaql", output=quoting.identifier(UNROUTED), unrouted=_unrouted(given)),
            _fill("asa/heartbeat.asaql", output=quoting.identifier(HEARTBEAT)),
        ]
        if kpi.output == "control":
            parts.append(_counts(kpi, KPI, "route_database IS NOT NULL"))
    text = "\n".join(parts)
    if len(text) > QUERY_LIMIT:
        raise ValueError(f"the query has {len(text):,} characters; Stream Analytics takes {QUERY_LIMIT:,}")
    return text


def _records(share: Share, columns: Iterable[Column], routing: Routing, kpi: Kpi) -> str:
    by_reference = share.companies is None
    incomplete = query("asa/incomplete.asaql").rstrip()
    join = f"\n    LEFT JOIN {quoting.identifier(REFERENCE)} AS {REFERENCE} ON tdr.company_id = {REFERENCE}.company_id"
    return _fill(
        "asa/records.asaql",
        company=_company(routing),
        record=quoting.path(routing.record),
        disposition=quoting.path(kpi.disposition),
        duration_seconds=quoting.path(kpi.duration_seconds),
        columns=landing.projection(columns),
        input=quoting.identifier(INPUT),
        choices=_choices(share),
        join=join if by_reference else "",
        also=_fill("asa/also.asaql", incomplete=incomplete).rstrip() if by_reference else "",
        unsettled=query("asa/unsettled.asaql").rstrip() if share.agrees_by_time and share.control else "",
        incomplete=incomplete,
    )


def _company(routing: Routing) -> str:
    """The company id as text. One that is a number in the source is read as a number first, so that 7, 7.0 and "007" are one company."""
    source = f"source.{quoting.path(routing.key)}"
    if routing.key_type == "number":
        source = f"TRY_CAST({source} AS bigint)"
    return f"TRY_CAST({source} AS nvarchar(max))"


def _choices(share: Share) -> str:
    databases = sorted({*share.databases, *(share.elsewhere if share.control else ())})
    if share.companies is None:
        if not databases:
            return ""
        lands = f"{_when('route.database_name', databases)} THEN route.database_name"
        if not share.agrees_by_time:
            return lands
        return lands + _fill("asa/former.asaql", former=_when("route.former_database", databases)).rstrip()
    companies = share.companies
    return "".join(
        f"{_when('tdr.company_id', sorted(set(companies[name])))} THEN {quoting.literal(name)}"
        for name in databases
        if companies.get(name)
    )


def _when(column: str, values: Sequence[str]) -> str:
    """A predicate for a few values or thousands, in lines that a person can compare."""
    lines, line = list[str](), ""
    for value in (quoting.literal(value) for value in values):
        if line and len(line) + len(value) > _LINE:
            lines.append(line)
            line = ""
        line += f"{', ' if line else ''}{value}"
    inner = ",\n                ".join([*lines, line])
    return f"\n            WHEN {column} IN ({inner})"


def _company_database(database: str, columns: Iterable[Column], *, by_reference: bool) -> str:
    """What one database gets: the companies that are routed to it, and by reference data also those that are on their way to it."""
    name = quoting.literal(database)
    return _fill(
        "asa/company_database.asaql",
        columns=landing.names(columns),
        output=quoting.identifier(database),
        routed=f"(route_database = {name} OR route_also = {name})" if by_reference else f"route_database = {name}",
    )


def _unrouted(share: Share) -> str:
    """What is unrouted: what lands nowhere, and what another job may not know yet how to land."""
    return "(route_database IS NULL OR route_unsettled = 1)" if share.agrees_by_time else "route_database IS NULL"


def _counts(kpi: Kpi, output: str, routed: str) -> str:
    return _fill(
        "asa/kpi.asaql",
        output=quoting.identifier(output),
        answered=quoting.literal(kpi.answered),
        failed=quoting.literal(kpi.failed),
        routed=routed,
    )


def _fill(name: str, **values: str) -> str:
    return Template(query(name)).substitute(values)
