"""What is chosen of a table's versions as an order for a replay: whom it is for, the texts of its fields, the same as a command. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from lpmops.control.remedies import command
from lpmops.plain_text import plain_line
from lpmops.tui.version_rows import CompanyRow
from lpmops.versions import Versions


def meant(ticked: Collection[str], chosen: Versions | None, rows: Iterable[CompanyRow]) -> list[str]:
    """The companies that a replay is for: the ticked ones, else those that lack some of the chosen versions; none is every company."""
    if ticked:
        return sorted(ticked)
    return sorted(row.company_id for row in rows if row.missing) if chosen is not None else []


def why_not(companies: Iterable[str]) -> str:
    """Why these companies can't be typed into a field; empty where they can."""
    for each in companies:
        if not each:
            # An empty field would mean every company.
            return "changes that name no company can't be sent for it alone; space ticks the companies that are meant"
        if "," in each or each != each.strip():
            # A field takes several ids with commas between them.
            return f"the id {plain_line(each)!r} can't be typed into a field; y copies the command instead"
    return ""


def texts(chosen: Versions | None, companies: Sequence[str]) -> dict[str, str]:
    """The texts of a replay's fields; with no versions the replay takes what is missing."""
    given = {"companies": ", ".join(companies)} if companies else {}
    if chosen is not None:
        given |= {"from_version": str(chosen.first), "to_version": str(chosen.last)}
    return given


def as_command(environment: str, chosen: Versions | None, companies: Sequence[str]) -> str:
    """The command that plans the same."""
    where = ("--from-version", chosen.first, "--to-version", chosen.last) if chosen is not None else ("--missing",)
    named = [word for each in companies for word in ("--company", each)]
    return command("lpmops", "replay", "plan", "-e", environment, *where, *named)
