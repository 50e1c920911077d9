"""What bringing a company on asks for, field by field: what there is to choose, and what the source and the databases say as a field is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lpmops.actions import asa_definition, inputs, jobs, route, route_databases, route_sight
from lpmops.actions.action import Bench
from lpmops.actions.inputs import Choice, Input, Remark
from lpmops.control import routes
from lpmops.control.routes import ACTIVE, REMOVED
from lpmops.errors import UsageError
from lpmops.model import to_data
from lpmops.plain_text import counted
from lpmops.routing.routes import COMPANY_AT_MOST, DATABASE_AT_MOST, alike, refusal_of_id, refusal_of_name


def check_field(name: str, text: str, key_type: str = "string") -> str:
    """One answer for a new route, as it is kept: `name` is company_id, company or database. Raises UsageError saying what is wrong."""
    if name == "company_id":
        reason, what = refusal_of_id(text, key_type), "company id"
    else:
        at_most = COMPANY_AT_MOST if name == "company" else DATABASE_AT_MOST
        reason, what = refusal_of_name(text, at_most), "company's name" if name == "company" else "database's name"
    if reason:
        raise UsageError(
            f"That can't be a {what}: {reason}.", hint="A company id is written as it stands in the source."
        )
    return text


def candidates(bench: Bench, limit: int = 50) -> list[dict[str, Any]]:
    """Companies that the source has and no route takes, the busiest first: company_id, records_per_day, unrouted (counted so far).

    Raises lpmops.errors types.
    """
    there = routes.entries(bench.control)
    routed = {entry.company_id for entry in there.values() if entry.state != REMOVED}
    arrivals = bench.services.databricks.company_arrivals(bench.config.routing.key)
    new = [company_id for company_id in arrivals if company_id not in routed][:limit]
    left = routes.unrouted(bench.control, bench.services.sql, new)
    return [
        {
            "company_id": company_id,
            "records_per_day": arrivals[company_id],
            "unrouted": left[company_id].events if company_id in left else 0,
        }
        for company_id in new
    ]


# What there is to choose ---------------------------------------------------------------------------------------------------------------------------


def _companies(bench: Bench) -> list[Choice]:
    return [
        Choice(
            item["company_id"], f"{item['records_per_day']:,.0f} records a day, {item['unrouted']:,} without a route"
        )
        for item in candidates(bench)
    ]


def _databases(bench: Bench) -> list[Choice]:
    sql = bench.environment.sql
    known = routes.read_databases(bench.services.sql, sql.control_database, sql.databases)
    written = route_sight.writers(bench)
    count = _companies_by_database(bench)
    return [
        Choice(
            name,
            counted(count[name.casefold()], "company", "companies")
            + ("" if name.casefold() in written else "; no job writes it yet, so its job stops once"),
        )
        for name in known
    ]


def _companies_by_database(bench: Bench) -> Counter[str]:
    return Counter(
        entry.database.casefold() for entry in routes.entries(bench.control).values() if entry.state == ACTIVE
    )


def _columns(bench: Bench) -> list[Choice]:
    return [Choice(column.name, column.type) for column in bench.config.columns]


# What the services say -----------------------------------------------------------------------------------------------------------------------------


def _look_at_company(bench: Bench, text: str) -> list[Remark]:
    """Whether a company id is free and the source has it, with how many records a day. Raises lpmops.errors types."""
    company_id = text.strip()
    try:
        check_field("company_id", company_id, bench.config.routing.key_type)
    except UsageError as error:
        return [Remark(error.message, against=True)]
    entry = routes.entry(bench.control, company_id)
    if entry is not None and entry.company_id == company_id and entry.state != REMOVED:
        return [Remark(f"it has a route already: {entry.state} in {entry.database}", against=True)]
    key, databricks = bench.config.routing.key, bench.services.databricks
    arrivals = databricks.company_arrivals(key)
    said = f"{arrivals.get(company_id, 0.0):,.0f} records a day, and no route yet"
    if company_id not in arrivals:
        # All of the table is read for one of which nothing came lately.
        there = databricks.company_records(key, [company_id], bench.config.routing.key_type)
        if company_id not in there:
            close = alike(company_id, arrivals)
            meant = f"; it has {', '.join(map(ascii, close))}, which looks like it" if close else ""
            return [Remark(f"the source has no record of it{meant}", against=True)]
        said = f"{there[company_id]:,} records in the source, none of them lately, and no route yet"
    found = [
        Remark(said),
        *(
            [Remark(f"it was removed at {to_data(entry.since)}; what landed then is in {entry.database}")]
            if entry is not None and entry.company_id == company_id
            else []
        ),
    ]
    if close := alike(company_id, routes.entries(bench.control)):
        found.append(Remark(f"it looks like {', '.join(map(ascii, close))}: are they two companies?"))
    left = routes.unrouted(bench.control, bench.services.sql, [company_id]).get(company_id)
    if words := route.unrouted_words(company_id, left):
        found.append(Remark(words))
    return found


def _look_at_database(bench: Bench, text: str) -> list[Remark]:
    """Whether a database answers, has room and takes the landing tables; and whether a job stops for it. Raises lpmops.errors types."""
    name = text.strip()
    if name.casefold() == bench.environment.sql.control_database.casefold():
        return [Remark("it is the control database: no company lands there", against=True)]
    writer = route_sight.writers(bench).get(name.casefold(), "")
    output = None
    if writer:
        found = [Remark(f"{_companies_by_database(bench)[name.casefold()]} companies; nothing stops for one more")]
    else:
        every = jobs.chosen(bench, [])
        target, shards = asa_definition.targets(bench, every, [name])
        shard = shards.shard_of(name)
        writer = shard.job if shard is not None else ""
        output = target[writer].outputs.get(name) if writer in target else None
        found = [Remark(reason, against=True) for reason in shards.refusals]
        found.append(Remark(f"new: {writer or 'a job'} stops once, for 2 to 3 minutes"))
    sight = route_databases.look(bench, name, writer, output)
    first = "; ".join(step.name for step in sight.steps)
    return [
        *(Remark(reason, against=True) for reason in sight.refusals),
        *found,
        *([Remark(f"first: {first}")] if first else []),
        *(Remark(warning) for warning in sight.warnings),
    ]


# The fields ----------------------------------------------------------------------------------------------------------------------------------------


def _reader(name: str) -> Any:
    def read(text: str, now: datetime) -> str:
        del now
        return check_field(name, text.strip())

    return read


def database_field(hint: str, *, kept: bool = False) -> Input:
    """The field that asks for a company's database."""
    return Input("database", "database", hint, _reader("database"), _databases, look=_look_at_database, kept=kept)


FIELDS: Sequence[Input] = (
    Input(
        "company_id",
        "company",
        "its id as it stands in the source; ↑ ↓ choose among those without a route",
        _reader("company_id"),
        _companies,
        look=_look_at_company,
        kept=True,
    ),
    Input("company", "name", "how people call it", _reader("company"), kept=True),
    database_field("where it lands; ↑ ↓ choose, or name a new one", kept=True),
    Input(
        "columns",
        "columns",
        "those that must land for it, all that are configured where it is empty",
        inputs.listed,
        _columns,
        many=True,
        kept=True,
    ),
    *inputs.COMMON,
)
