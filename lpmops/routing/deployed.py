"""What a deployed job says about routes: its text read back into companies and databases, and how that differs from a plan.

Reads what this package writes, in both strategies, and the plain form that people write by hand (one SELECT ... INTO per database, with the company
id compared to constants in its WHERE). What is not understood is named, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lpmops.config import Routing
from lpmops.routing.job import LANDING_TABLE, Definition
from lpmops.routing.query import CONTROL_OUTPUTS, REFERENCE, UNROUTED
from lpmops.routing.routes import Route
from lpmops.routing.shards import ShardPlan

_TOKEN = re.compile(
    r"(?P<gap>\s+|--[^\n]*|/\*.*?\*/)|(?P<text>N?'(?:[^']|'')*')|(?P<quoted>\[(?:[^\]]|\]\])*\])|(?P<word>[^\W\d][\w@#$]*)"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<sign><>|<=|>=|!=|.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a query: `kind` is text, name, number or sign; a name in brackets and a constant come without their quotes."""

    kind: str
    value: str
    quoted: bool = False

    def word(self, *words: str) -> bool:
        """Whether it is one of these keywords."""
        return self.kind == "name" and not self.quoted and self.value.upper() in words


@dataclass(frozen=True, slots=True)
class Deployed:
    """What one job's definition routes.

    strategy: reference, query, or "" where the text says neither. `databases` are those it writes, `routes` says the database of each company id in
    the text (also of those that other jobs write), `known` the databases that it takes from reference data, None where it takes them all. `unread`
    names the outputs whose condition could not be read.
    """

    strategy: str
    databases: tuple[str, ...]
    control: bool
    routes: Mapping[str, str] = field(default_factory=dict)
    known: tuple[str, ...] | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is deployed otherwise than planned. `what` is database, company or control; before is what is there, after what should be."""

    what: str
    name: str
    before: str
    after: str

    @property
    def said(self) -> str:
        """It in words."""
        return f"{self.what} {self.name}: {self.before or 'nowhere'} now, {self.after or 'nowhere'} as planned"


def tokens(text: str) -> list[Token]:
    """The tokens of a query, without blanks and comments."""
    found = []
    for match in _TOKEN.finditer(text):
        given = match[0]
        match match.lastgroup:
            case "text":
                found.append(Token("text", given[given.index("'") + 1 : -1].replace("''", "'"), quoted=True))
            case "quoted":
                found.append(Token("name", given[1:-1].replace("]]", "]"), quoted=True))
            case "word":
                found.append(Token("name", given))
            case "number" | "sign":
                found.append(Token(match.lastgroup, given))
    return found


def read(definition: Definition, routing: Routing) -> Deployed:
    """What a job's definition routes."""
    landing = _landing_outputs(definition)
    found = tokens(definition.query)
    keys = {"company_id", routing.key.rpartition(".")[2].casefold()}
    routes: dict[str, str] = {}
    known: list[str] = []
    for column, values, target in _choices(found):
        if column == "database_name" and target is None:
            known += values
        elif column in keys and target is not None:
            routes |= dict.fromkeys(values, target)
    unread = []
    for output, condition in _statements(found):
        name = landing.get(output.casefold())
        if name is None or any(column == "route_database" for column, _ in _equalities(condition)):
            continue
        values = [value for column, given in _equalities(condition) if column in keys for value in given]
        if not values or any(token.word("OR", "NOT") for token in condition):
            unread.append(output)
        else:
            routes |= dict.fromkeys(values, name)
    joined = any(token.word("JOIN") and after.value.casefold() == REFERENCE for token, after in pairwise(found))
    return Deployed(
        strategy="reference" if joined else "query" if routes else "",
        databases=tuple(sorted(landing.values())),
        control=definition.part("outputs", UNROUTED) is not None,
        routes=dict(sorted(routes.items())),
        known=tuple(sorted(known)) if known else None,
        unread=tuple(unread),
    )


def adopted(jobs: Iterable[Deployed]) -> tuple[Route, ...]:
    """The routes that the texts of jobs hold, as rows for a route table; the companies' names are not in them."""
    found: dict[str, str] = {}
    for job in jobs:
        mine = {name.casefold() for name in job.databases}
        found |= {company: name for company, name in job.routes.items() if name.casefold() in mine}
    return tuple(Route(company, "", database) for company, database in sorted(found.items()))


def drift(plan: ShardPlan, jobs: Mapping[str, Deployed]) -> tuple[Drift, ...]:
    """How deployed jobs differ from a plan, database by database and company by company."""
    before = _homes((job, found.databases) for job, found in jobs.items())
    after = _homes((shard.job, shard.share.databases) for shard in plan.shards)
    made = [*_compared("database", before, after)]
    having = ", ".join(sorted(job for job, found in jobs.items() if found.control))
    made += _compared(
        "control", {UNROUTED: having}, {UNROUTED: ", ".join(one.job for one in plan.shards if one.share.control)}
    )
    companies = {company: route.database for route in adopted(jobs.values()) for company in [route.company_id]}
    planned = next((shard.share.companies for shard in plan.shards if shard.share.companies is not None), None)
    if planned is not None:
        written = {name.casefold() for shard in plan.shards for name in shard.share.databases}
        wanted = {company: name for name, ids in planned.items() if name.casefold() in written for company in ids}
        made += _compared("company", companies, wanted)
    return tuple(made)


def _compared(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Drift]:
    for name in sorted({*before, *after}):
        if before.get(name, "").casefold() != after.get(name, "").casefold():
            yield Drift(what, name, before.get(name, ""), after.get(name, ""))


def _homes(jobs: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """The job of each database; several where several write it."""
    found: dict[str, list[str]] = {}
    for job, databases in jobs:
        for name in databases:
            found.setdefault(name, []).append(job)
    return {name: ", ".join(sorted(writers)) for name, writers in found.items()}


# Reading the text ---------------------------------------------------------------------------------------------------------------------------------


def _landing_outputs(definition: Definition) -> dict[str, str]:
    """The database of each output that writes a landing table, by the output's name without case."""
    found = {}
    for name, properties in definition.outputs.items():
        source = properties.get("datasource", {}).get("properties", {})
        if str(source.get("table", "")).casefold() == LANDING_TABLE and name.casefold() not in CONTROL_OUTPUTS:
            found[name.casefold()] = str(source.get("database") or name)
    return found


def _choices(found: Sequence[Token]) -> Iterator[tuple[str, list[str], str | None]]:
    """Each `WHEN column IN (...) THEN x`: the column's last name, the constants, and x where it is a constant."""
    for place, token in enumerate(found):
        if not token.word("WHEN"):
            continue
        read_one = _equality(found, place + 1)
        if read_one is None:
            continue
        column, values, end = read_one
        if end + 1 < len(found) and found[end].word("THEN"):
            target = found[end + 1]
            yield column, values, target.value if target.kind == "text" else None


def _statements(found: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Each output with the tokens of its WHERE."""
    for place, token in enumerate(found):
        if not token.word("INTO") or place + 1 >= len(found):
            continue
        end = next((at for at in range(place + 1, len(found)) if found[at].word("SELECT")), len(found))
        where = next((at for at in range(place, end) if found[at].word("WHERE")), end)
        stop = next((at for at in range(where, end) if found[at].word("GROUP", "HAVING")), end)
        yield found[place + 1].value, list(found[where + 1 : stop])


def _equalities(condition: Sequence[Token]) -> list[tuple[str, list[str]]]:
    """Each comparison of a column with constants in a condition."""
    made, place = [], 0
    while place < len(condition):
        found = _equality(condition, place)
        if found is None:
            place += 1
            continue
        made.append(found[:2])
        place = found[2]
    return made


def _equality(found: Sequence[Token], place: int) -> tuple[str, list[str], int] | None:
    """`a.b = 'x'` or `a.b IN ('x', 'y')` at a place: the last name without case, the constants, and where it ends."""
    if place >= len(found) or found[place].kind != "name":
        return None
    while place + 2 < len(found) and found[place + 1].value == "." and found[place + 2].kind == "name":
        place += 2
    column, place = found[place].value.casefold(), place + 1
    constant = ("text", "number")
    if place + 1 < len(found) and found[place].value == "=" and found[place + 1].kind in constant:
        return column, [found[place + 1].value], place + 2
    if place + 1 >= len(found) or not found[place].word("IN") or found[place + 1].value != "(":
        return None
    values, place = list[str](), place + 2
    while place + 1 < len(found) and found[place].kind in constant:
        values.append(found[place].value)
        if found[place + 1].value == ")":
            return column, values, place + 2
        place += 2
    return None
