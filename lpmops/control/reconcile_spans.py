"""One span of versions, read from the source and from every landing database at the same time, and judged company by company.

Counts and digests come first; only where a company's differ are its keys fetched from both sides. A database that does not answer is not asked again
in this run: its companies are unread, and the others go on. Memory holds the keys of one batch of companies of one span.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from lpmops.config import Config, Environment
from lpmops.control import routes
from lpmops.control.lock import ControlDatabase
from lpmops.control.reconcile_keys import Difference, difference
from lpmops.control.reconcile_range import ROWS_A_SPAN, Timeline
from lpmops.control.reconcile_unrouted import UnroutedKeys
from lpmops.control.reconciled import HAD_LANDED
from lpmops.control.routes import RouteEntry
from lpmops.control.side_by_side import ask_each
from lpmops.errors import UnreadableChangesError
from lpmops.store.proofs import OpenGap, Proofs
from lpmops.versions import Versions, without

if TYPE_CHECKING:
    from lpmops.services.changes import Key, Tally
    from lpmops.services.cloud import EnvironmentServices

T = TypeVar("T")

_SOURCE = ""
_COMPANIES_A_BATCH = 50
_KEYS_A_RENEWAL = 10_000


@dataclass(frozen=True, slots=True)
class Places:
    """Whose records belong where: the routes by company id, and all landing databases."""

    routes: Mapping[str, RouteEntry]
    databases: tuple[str, ...]

    def home(self, company_id: str) -> str | None:
        """The database that a company's records land in, spelled as in `databases`; None without a route."""
        route = self.routes.get(company_id)
        return None if route is None else self._spelled(route.database)

    def also(self, company_id: str) -> str | None:
        """The database that is written to as well while the company moves."""
        route = self.routes.get(company_id)
        return None if route is None or route.also is None else self._spelled(route.also)

    def _spelled(self, database: str) -> str:
        return next((name for name in self.databases if name.casefold() == database.casefold()), database)


def read_places(services: EnvironmentServices, environment: Environment) -> Places:
    """The routes and databases as they are now. Raises lpmops.errors types."""
    control = ControlDatabase(services.sql, environment.sql.control_database, environment.name)
    found = routes.entries(control)
    known = routes.read_databases(services.sql, environment.sql.control_database, environment.sql.databases)
    used = (name for route in found.values() for name in (route.database, route.also) if name)
    return Places(found, routes.known(known, used))


@dataclass(slots=True)
class Cost:
    """What a run asked of the warehouse: how often, and for how many seconds it waited. One question at a time."""

    statements: int = 0
    seconds: float = 0.0

    def of(self, ask: Callable[[], T], statements: int = 1) -> T:
        """The answer, its time counted, and the time of one that fails too."""
        began = time.monotonic()
        self.statements += statements
        try:
            return ask()
        finally:
            self.seconds += time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Found:
    """One company in one span, or in several; `unread` says why its landing table could not be asked."""

    source: int = 0
    landed: int = 0
    difference: Difference = field(default_factory=Difference)
    unread: str = ""

    def plus(self, other: Found) -> Found:
        """Both together."""
        return Found(
            self.source + other.source,
            self.landed + other.landed,
            self.difference.plus(other.difference),
            self.unread or other.unread,
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """A span as both sides count it: the source by company, and each database that answered by company."""

    versions: Versions
    source: Mapping[str, Tally]
    landed: Mapping[str, Mapping[str, Tally]]


class Spans:
    """Reads and judges spans in one run; `dead` are the databases that did not answer, with the reason.

    `renew` is called before each statement and page, as a span may take long, and what it raises ends the run.
    """

    def __init__(
        self,
        config: Config,
        services: EnvironmentServices,
        places: Places,
        timeline: Timeline,
        remembered: Proofs,
        cost: Cost,
        renew: Callable[[], None],
        unrouted: UnroutedKeys,
    ) -> None:
        self._routing, self._services, self._cost, self._renew = config.routing, services, cost, renew
        self.places, self._timeline, self._remembered, self._unrouted = places, timeline, remembered, unrouted
        self.dead: dict[str, str] = {}

    def read(self, versions: Versions) -> Iterator[Counted | tuple[Versions, UnreadableChangesError]]:
        """A span, in parts where it can't be read in one go; what of it can't be read at all comes with its error. Raises ServiceError types."""
        try:
            yield self._count(versions)
            return
        except UnreadableChangesError as error:
            trouble = error
        if len(versions) == 1:
            yield versions, trouble
        elif trouble.divisible:
            middle = (versions.first + versions.last) // 2
            yield from self.read(Versions(versions.first, middle))
            yield from self.read(Versions(middle + 1, versions.last))
        else:
            first = self._first_readable(versions)
            yield Versions(versions.first, (first or versions.last + 1) - 1), trouble
            if first is not None:
                yield from self.read(Versions(first, versions.last))

    def _first_readable(self, versions: Versions) -> int | None:
        """The version from which on the changes are still there; None where none of them is."""
        if self._is_gone(Versions(versions.last, versions.last)):
            return None
        low, high = versions.first, versions.last
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_gone(Versions(middle, versions.last)) else (low, middle)
        return high

    def _is_gone(self, versions: Versions) -> bool:
        self._renew()
        try:
            self._source_counts(versions)
        except UnreadableChangesError as error:
            return not error.divisible
        return False

    def _count(self, versions: Versions) -> Counted:
        self._renew()
        alive = [name for name in self.places.databases if name not in self.dead]
        answers, errors = ask_each([_SOURCE, *alive], lambda name: self._count_in(name, versions))
        if _SOURCE in errors:
            raise errors.pop(_SOURCE)
        self.dead |= {name: str(error) for name, error in errors.items()}
        return Counted(versions, answers.pop(_SOURCE), answers)

    def _count_in(self, name: str, versions: Versions) -> Mapping[str, Tally]:
        if name == _SOURCE:
            return self._source_counts(versions)
        from lpmops.services.changes import Tally

        rows = self._services.sql.search(name, "landed_by_company", (versions.first, versions.last))
        return {str(row["company_id"]): Tally(int(row["changes"]), int(row["digest"] or 0)) for row in rows}

    def _source_counts(self, versions: Versions) -> Mapping[str, Tally]:
        return self._cost.of(lambda: self._services.changes.counts(self._routing, versions))

    # Judging -------------------------------------------------------------------------------------------------------------------------------------

    def judge(self, counted: Counted, companies: Collection[str] = ()) -> dict[str, Found]:
        """Each company that has changes on either side, only those named where some are. Raises ServiceError types."""
        seen = counted.source.keys() | {each for database in counted.landed.values() for each in database}
        chosen = sorted(seen.intersection(companies) if companies else seen)
        found: dict[str, Found] = {}
        unlike: list[str] = []
        for company_id in chosen:
            home = self.places.home(company_id)
            source = counted.source[company_id].changes if company_id in counted.source else 0
            if home in self.dead:
                found[company_id] = Found(source, unread=self.dead[home])
                continue
            here = counted.landed.get(home or "", {}).get(company_id)
            landed = 0 if here is None else here.changes
            found[company_id] = Found(source, landed)
            same = here == counted.source.get(company_id) if self._is_taken(company_id) else not landed
            if not same or self._elsewhere(counted, company_id):
                unlike.append(company_id)
        for batch in self._batches(unlike, counted):
            for company_id, unlikeness in self._compare(counted, batch):
                found[company_id] = replace(found[company_id], difference=unlikeness)
        return found

    def _is_taken(self, company_id: str) -> bool:
        """Whether a route takes the company's changes, or took them and will again."""
        route = self.places.routes.get(company_id)
        return route is not None and route.state != routes.REMOVED

    def _elsewhere(self, counted: Counted, company_id: str) -> list[str]:
        """The databases that hold changes of a company and are not its own."""
        own = (self.places.home(company_id), self.places.also(company_id))
        return [name for name, companies in counted.landed.items() if name not in own and company_id in companies]

    def _batches(self, company_ids: Sequence[str], counted: Counted) -> Iterator[list[str]]:
        batch, rows = list[str](), 0
        for company_id in company_ids:
            more = counted.source[company_id].changes if company_id in counted.source else 0
            if batch and (rows + more > ROWS_A_SPAN or len(batch) >= _COMPANIES_A_BATCH):
                yield batch
                batch, rows = [], 0
            batch.append(company_id)
            rows += more
        if batch:
            yield batch

    def _compare(self, counted: Counted, company_ids: Sequence[str]) -> Iterator[tuple[str, Difference]]:
        versions = counted.versions
        # What no route takes need not be fetched: it is not missing anywhere.
        asked = [each for each in company_ids if each in counted.source and self.places.home(each) is not None]
        source: dict[str, Counter[Key]] = {each: Counter() for each in company_ids}
        put_aside: set[tuple[str, Key]] = set()
        self._renew()
        if asked:
            self._cost.of(lambda: self._count_keys(versions, asked, source))
            put_aside = self._cost.of(lambda: self._services.changes.quarantined(versions, asked))
        landed = {each: self._landed_at_home(each, versions) for each in company_ids}
        for company_id in company_ids:
            if not self._is_taken(company_id):
                # What landed while there was a route is right; nothing has to land now.
                source[company_id] &= landed[company_id]
        lacking = {each: keys for each in company_ids if (keys := source[each] - landed[each])}
        passed = self._unrouted.of(lacking, versions, self._committed(versions.first)) if lacking else {}
        for company_id in company_ids:
            home = self.places.home(company_id)
            aside = {key for each, key in put_aside if each == company_id}
            none_took = passed.get(company_id, {})
            found = difference(
                company_id,
                source[company_id],
                landed[company_id],
                aside,
                partial(self._is_before, company_id),
                partial(_lies_in, self._complete_before(company_id)),
                unrouted=none_took,
                why_unrouted=self._unrouted.why(
                    company_id, none_took, lacking.get(company_id, ()), self.places.routes.get(company_id)
                ),
            )
            for database in self._elsewhere(counted, company_id):
                strayed = self._landed_keys(database, company_id, versions)
                why = f"they stand in {database}" + (
                    f", and the route leads to {home}" if home else ", and no route leads there"
                )
                found = found.plus(difference(company_id, Counter(), strayed, why=why))
            yield company_id, found

    def _count_keys(self, versions: Versions, company_ids: Sequence[str], into: Mapping[str, Counter[Key]]) -> None:
        for number, (company_id, key) in enumerate(self._services.changes.keys(self._routing, versions, company_ids)):
            into[company_id][key] += 1
            if number % _KEYS_A_RENEWAL == 0:
                self._renew()

    def _complete_before(self, company_id: str) -> tuple[Versions, ...]:
        """The versions of which everything of a company had landed when they were looked at; rows that were found gone since do not change that."""
        never = (
            gap.versions
            for gap in self._remembered.gaps
            if gap.company_id == company_id and gap.missing and gap.why != HAD_LANDED
        )
        return without(self._remembered.of(company_id), never)

    def _landed_at_home(self, company_id: str, versions: Versions) -> Counter[Key]:
        home = self.places.home(company_id)
        return Counter() if home is None else self._landed_keys(home, company_id, versions)

    def _committed(self, version: int) -> datetime | None:
        """When a version was committed, where the history reaches back to it: what is older may be older by any time."""
        oldest = self._timeline.first
        return self._timeline.at(version) if oldest is not None and oldest <= version else None

    def _landed_keys(self, database: str, company_id: str, versions: Versions) -> Counter[Key]:
        from lpmops.services.changes import Key

        found: Counter[Key] = Counter()
        last = Key("", -1, "")
        while True:
            self._renew()
            after = (last.record_id, last.record_id, last.version, last.version, last.kind)
            rows = self._services.sql.search(
                database, "landed_keys_of_company", (company_id, versions.first, versions.last, *after)
            )
            for row in rows:
                last = Key(str(row["record_id"]), int(row["commit_version"]), str(row["change_type"]))
                found[last] += int(row["changes"])
            if not rows:
                return found

    def _is_before(self, company_id: str, version: int) -> bool:
        """Whether a version is older than the company's route: than the first row that landed, or than its request where none has.

        A job reads a new route some time after it was asked for, and what comes meanwhile goes to unrouted: that is nothing the hub has lost.
        """
        route = self.places.routes.get(company_id)
        begun: datetime | None = None if route is None else route.first_row_at or route.asked_at
        at = self._timeline.at(version)
        return begun is not None and at is not None and at < begun


def _lies_in(ranges: Sequence[Versions], version: int) -> bool:
    return any(version in each for each in ranges)


def combined(gaps: Sequence[OpenGap]) -> tuple[OpenGap, ...]:
    """Gaps in order, neighbours of one cause as one: a loss that goes over the border of two spans is one loss.

    What can be sent again and what can't stay apart.
    """

    def is_lost(gap: OpenGap) -> bool:
        return gap.missing > 0 and not gap.repairable

    kept: list[OpenGap] = []
    for gap in sorted(gaps, key=lambda each: (each.why, each.versions)):
        last = kept[-1] if kept else None
        if (
            last is not None
            and (last.why, is_lost(last)) == (gap.why, is_lost(gap))
            and last.versions.last + 1 == gap.versions.first
        ):
            kept[-1] = OpenGap(
                gap.company_id,
                Versions(last.versions.first, gap.versions.last),
                last.source + gap.source,
                last.landed + gap.landed,
                last.missing + gap.missing,
                last.doubled + gap.doubled,
                last.extra + gap.extra,
                last.repairable + gap.repairable,
                gap.why,
            )
        else:
            kept.append(gap)
    return tuple(sorted(kept, key=lambda each: (each.versions, each.why)))
