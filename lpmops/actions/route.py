"""What every action on routes asks and says: which companies are meant, what a plan rests on of them, and what no route took of them meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lpmops.actions import inputs
from lpmops.actions.action import Bench
from lpmops.actions.inputs import Choice, Input
from lpmops.control import routes
from lpmops.control.remedies import command
from lpmops.control.routes import RouteEntry, Unrouted
from lpmops.errors import NotFoundError, UsageError
from lpmops.model import to_data

_NAMED_AT_MOST = 200


def chosen(bench: Bench, company_ids: Sequence[str]) -> list[RouteEntry]:
    """The routes of these companies. Raises UsageError where none is named, NotFoundError with the nearest id."""
    if not company_ids:
        raise UsageError("Name a company.", hint="--company-id ID; see them: lpmops route list -e ENV")
    found = []
    for company_id in dict.fromkeys(company_ids):
        inputs.check_text(company_id)
        entry = routes.entry(bench.control, company_id)
        if entry is None or entry.company_id != company_id:
            raise _no_route(bench, company_id, entry)
        found.append(entry)
    return found


def _no_route(bench: Bench, company_id: str, near: RouteEntry | None) -> NotFoundError:
    import difflib

    close = [near.company_id] if near else difflib.get_close_matches(company_id, routes.entries(bench.control), n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return NotFoundError(
        f"There is no route for the company {company_id!r} in {bench.environment.name}.{meant}",
        hint=command("lpmops", "route", "list", "-e", bench.environment.name),
    )


def seen_of_place(entry: RouteEntry) -> dict[str, Any]:
    """What a plan rests on of a route, by dotted name."""
    name = f"route.{entry.company_id}"
    return {f"{name}.state": entry.state, f"{name}.database": entry.database, f"{name}.also": entry.also}


def unrouted_data(found: Unrouted | None) -> dict[str, Any]:
    """What no route took, as plain values: it can be brought back from the source table's versions as long as its change feed keeps them."""
    if found is None:
        return {"events": 0, "from_version": None, "to_version": None, "since": None}
    return {
        "events": found.events,
        "from_version": found.first_version,
        "to_version": found.last_version,
        "since": to_data(found.since),
    }


def unrouted_words(company_id: str, found: Unrouted | None) -> str:
    """The same as a sentence; empty where there is nothing."""
    if found is None or not found.events:
        return ""
    if found.first_version is None:
        return f"{found.events:,} records of {company_id} found no route and have no version: see lpmops.unrouted."
    return (
        f"{found.events:,} changes of {company_id} found no route (versions {found.first_version} to {found.last_version} of the source table): "
        f"they have not landed, and a replay from version {found.first_version} brings them."
    )


def backfill(bench: Bench, left: Mapping[str, Unrouted]) -> str:
    """The command that brings what no route took of these companies; empty where nothing of them can be brought."""
    found = {company_id: one for company_id, one in left.items() if one.events and one.first_version is not None}
    if not found:
        return ""
    # So many that no shell takes them all are asked for with all others: what has landed already lands no second time.
    named = sorted(found) if len(found) <= _NAMED_AT_MOST else []
    companies = [word for company_id in named for word in ("--company", company_id)]
    first = min(one.first_version for one in found.values() if one.first_version is not None)
    return command("lpmops", "replay", "plan", "-e", bench.environment.name, *companies, "--from-version", first)


# Fields -------------------------------------------------------------------------------------------------------------------------------------------


def company_choices(states: Sequence[str]) -> Any:
    """Offers the companies whose routes are in one of these states."""

    def offer(bench: Bench) -> list[Choice]:
        found = routes.entries(bench.control).values()
        return [
            Choice(entry.company_id, f"{entry.company}, in {entry.database}, {entry.state}")
            for entry in found
            if entry.state in states
        ]

    return offer


def one_company(text: str, now: datetime) -> list[str]:
    """Reads one company id as the list that a wish holds. Raises UsageError."""
    del now
    if not text.strip():
        raise UsageError("Name a company.", hint="Its id, as in the source.")
    return [text.strip()]


def company_input(states: Sequence[str]) -> Input:
    """The field that asks for one company."""
    return Input(
        "companies",
        "company",
        "the company's id; ↑ ↓ choose",
        one_company,
        company_choices(states),
        of_company=lambda company_id: [company_id],
    )
