"""Holds what the source table's change feed has against what landed, by company and version, and remembers what was shown.

Versions are read in spans of bounded rows: a statement at the source and one in each landing database, then keys where a company differs. What was
looked at is proven and not read again, but where a gap was open; each span is remembered as soon as it is done, so that a run that was cut short
goes on where it was. Nothing is called complete that could not be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from lpmops.config import Config, Environment
from lpmops.control import reconcile_range as ranges
from lpmops.control import routes
from lpmops.control.collect import utc_now
from lpmops.control.hands import StopRequest
from lpmops.control.reconcile_keys import Difference
from lpmops.control.reconcile_range import COMMITS_AT_MOST, Timeline
from lpmops.control.reconcile_spans import Cost, Counted, Found, Places, Spans, combined, read_places
from lpmops.control.reconciled import Asked, CompanyResult, Reconciliation, Unreadable
from lpmops.errors import NotFoundError, UnreadableChangesError
from lpmops.model import FeedState
from lpmops.store import proofs
from lpmops.store.connection import Store
from lpmops.store.proofs import EVERY_COMPANY, Proofs
from lpmops.versions import Versions, merged, within, without

if TYPE_CHECKING:
    from lpmops.services.cloud import EnvironmentServices

_LOAD = "What remains is to load the table's current rows into the landing tables, without the changes between."


def reconcile(
    config: Config,
    environment: Environment,
    services: EnvironmentServices,
    store: Store,
    asked: Asked,
    *,
    now: Callable[[], datetime] = utc_now,
    tell: Callable[[str], None] = lambda _: None,
    stop: StopRequest | None = None,
) -> Reconciliation:
    """Look at what is asked for and not proven yet, span by span; `tell` hears of each, `stop` ends it after the span that is under way.

    Raises UsageError for versions that are yet to come, NotFoundError for a company that neither has a route nor a record, ServiceError types where
    the source or the control database can't be read, StoreError.
    """
    return _Run(config, environment, services, store, asked, now(), tell, stop or StopRequest()).result()


@dataclass(frozen=True, slots=True)
class _Work:
    """A range to look at, for some companies or, with none named, for all; `known` where it is looked at for a gap that is open."""

    versions: Versions
    companies: tuple[str, ...] = ()
    known: bool = False


class _Run:
    def __init__(
        self,
        config: Config,
        environment: Environment,
        services: EnvironmentServices,
        store: Store,
        asked: Asked,
        now: datetime,
        tell: Callable[[str], None],
        stop: StopRequest,
    ) -> None:
        self._config, self._environment, self._services = config, environment, services
        self._store, self._asked, self._now, self._tell, self._stop = store, asked, now, tell, stop
        self._totals: dict[str, Found] = defaultdict(Found)
        self._looked_at: list[Versions] = []
        self._unreadable: list[Unreadable] = []
        self._warnings: list[str] = []
        self._dead: dict[str, str] = {}
        self._cost = Cost()

    def result(self) -> Reconciliation:
        databricks = self._services.databricks
        feed = self._cost.of(databricks.feed, 2)
        self._table_id = feed.table_id or self._environment.databricks.table
        self._places = read_places(self._services, self._environment)
        self._check_companies()
        if feed.kind == "off":
            why = "The change feed is off: nothing of the table is recorded."
            self._unreadable.append(Unreadable(Versions(0, feed.latest_version), why, _LOAD))
            return self._reconciliation(None, None)
        remembered = proofs.read(self._store, self._environment.name, self._table_id)
        timeline = Timeline(self._cost.of(lambda: databricks.history(self._commits(feed, remembered))))
        wanted = ranges.asked_range(self._asked, feed, timeline)
        if wanted is None:
            return self._reconciliation(None, None)
        wanted = self._recorded(wanted, feed)
        if wanted is None:
            return self._reconciliation(None, None)
        wanted = self._in_reach(wanted, remembered)
        jobs = self._services.streamanalytics.jobs()
        settled = ranges.settled(wanted, timeline, feed.table_id, databricks.progress(), jobs, self._now)
        if settled.waiting_from is not None:
            self._warnings.append(f"Versions from {settled.waiting_from} on are not judged yet: {settled.why}.")
        if settled.last < wanted.first:
            return self._reconciliation(None, settled.waiting_from)
        wanted = Versions(wanted.first, min(wanted.last, settled.last))
        spans = Spans(self._config, self._services, self._places, timeline, remembered, self._cost)
        self._dead = spans.dead
        self._look(spans, timeline, list(self._work(wanted, remembered)))
        for name, why in spans.dead.items():
            remains = "Its companies are looked at again by the next run, once it answers."
            self._unreadable.append(Unreadable(wanted, f"{name} can't be read: {why}", remains, later=True))
        return self._reconciliation(wanted, settled.waiting_from)

    # What is looked at ---------------------------------------------------------------------------------------------------------------------------

    def _check_companies(self) -> None:
        strange = [each for each in self._asked.companies if each not in self._places.routes]
        if not strange:
            return
        routing = self._config.routing
        records = self._services.databricks.company_records(routing.key, strange, routing.key_type)
        unknown = [each for each in strange if not records.get(each)]
        if unknown:
            raise NotFoundError(
                f"There is no company {', '.join(unknown)} in {self._environment.name}: no route and no record has that id.",
                hint=f"See those that have a route: lpmops route list -e {self._environment.name}",
            )

    def _commits(self, feed: FeedState, remembered: Proofs) -> int:
        """How many commits of the history are needed to bound the spans and to know how old each version is."""
        if self._asked.since is not None:
            return COMMITS_AT_MOST
        if self._asked.versions is not None:
            oldest = self._asked.versions.first
        elif self._asked.again or self._asked.companies or not (proven := remembered.of(EVERY_COMPANY)):
            oldest = 0
        else:
            known = (feed.first_version, feed.oldest_version, feed.latest_version - COMMITS_AT_MOST + 1)
            lowest = max(each for each in known if each is not None)
            if self._asked.spans is not None:
                lowest = max(lowest, proven[0].first)
            holes = without([Versions(min(max(0, lowest), feed.latest_version), feed.latest_version)], proven)
            gaps = (gap.versions.first for gap in remembered.gaps)
            oldest = min([holes[0].first if holes else feed.latest_version, *gaps])
        return max(1, min(COMMITS_AT_MOST, feed.latest_version - oldest + 1))

    def _in_reach(self, wanted: Versions, remembered: Proofs) -> Versions:
        """Of what nobody bounded, a run of a few spans goes no further back than the first of them did: what is older waits for one that does."""
        proven = remembered.of(EVERY_COMPANY)
        if self._asked.spans is None or self._asked.versions is not None or not proven:
            return wanted
        return Versions(min(max(wanted.first, proven[0].first), wanted.last), wanted.last)

    def _recorded(self, wanted: Versions, feed: FeedState) -> Versions | None:
        """The part of a range of which the feed has the changes; the rest is unreadable."""
        first = feed.first_version
        if first is None or wanted.first >= first:
            return wanted
        why = f"The change feed is on since version {first}: these were never recorded."
        self._unreadable.append(Unreadable(Versions(wanted.first, min(wanted.last, first - 1)), why, _LOAD))
        return Versions(first, wanted.last) if wanted.last >= first else None

    def _work(self, wanted: Versions, remembered: Proofs) -> Iterator[_Work]:
        chosen = self._asked.companies
        if self._asked.again:
            yield _Work(wanted, chosen)
            return
        if chosen:
            holes = merged(piece for each in chosen for piece in without([wanted], remembered.of(each)))
        else:
            holes = without([wanted], remembered.of(EVERY_COMPANY))
        for hole in holes:
            yield _Work(hole, chosen)
        open_gaps = [gap for gap in remembered.gaps if not chosen or gap.company_id in chosen]
        for span in without(within((gap.versions for gap in open_gaps), wanted), holes):
            concerned = {
                gap.company_id
                for gap in open_gaps
                if gap.versions.first <= span.last and gap.versions.last >= span.first
            }
            yield _Work(span, tuple(sorted(concerned)), known=True)

    def _look(self, spans: Spans, timeline: Timeline, work: Sequence[_Work]) -> None:
        pieces = [(span, each) for each in work for span in timeline.spans(each.versions)]
        if self._asked.spans is not None:
            # What happened last is what somebody may still do something about; what is known to be open waits for what nobody has seen.
            pieces.sort(key=lambda piece: (piece[1].known, -piece[0].last))
        for number, (span, wish) in enumerate(pieces, 1):
            why = self._why_to_stop(number)
            if why:
                left = merged(piece for piece, _ in pieces[number - 1 :])
                remains = "What was looked at is remembered: the next run goes on from there."
                self._unreadable += [Unreadable(one, why, remains, later=True) for one in left]
                return
            self._tell(f"span {number} of {len(pieces)}: versions {span}")
            for piece in spans.read(span):
                if isinstance(piece, Counted):
                    self._judge(spans, piece, wish.companies)
                else:
                    self._give_up(*piece)

    def _why_to_stop(self, number: int) -> str:
        """Why the span of that number, from 1 on, is not read any more; empty where it is."""
        if self._stop.requested:
            return "It was stopped before these."
        most = self._asked.spans
        return "They are left for a later run." if most is not None and number > most else ""

    # What is found -------------------------------------------------------------------------------------------------------------------------------

    def _judge(self, spans: Spans, counted: Counted, companies: Sequence[str]) -> None:
        found = spans.judge(counted, companies)
        self._looked_at.append(counted.versions)
        gaps = [gap for each in found.values() for gap in each.difference.gaps]
        for company_id, each in found.items():
            self._totals[company_id] = self._totals[company_id].plus(each)
        everyone = {*found, *self._places.routes}
        shown = (
            [EVERY_COMPANY]
            if not companies and not spans.dead
            else [each for each in companies or sorted(everyone) if each and self._places.home(each) not in spans.dead]
        )
        self._remember(lambda: proofs.keep(
            self._store, self._environment.name, self._table_id, counted.versions, shown, gaps, self._now
        ))  # fmt: skip

    def _give_up(self, versions: Versions, error: UnreadableChangesError) -> None:
        self._unreadable.append(Unreadable(versions, _sentence(error.why), error.remains))
        if error.divisible or not self._store.writable:
            return
        lost = proofs.beyond_repair(
            self._store, self._environment.name, self._table_id, versions, "its changes can't be read any more"
        )
        for gap in lost:
            if not self._asked.companies or gap.company_id in self._asked.companies:
                known = Difference(gap.missing, gap.doubled, gap.extra, gaps=(gap,))
                found = Found(gap.source, gap.landed, known)
                self._totals[gap.company_id] = self._totals[gap.company_id].plus(found)

    def _remember(self, write: Callable[[], None]) -> None:
        # A store that can't be written has said so itself; the next run only looks again.
        if self._store.writable:
            write()

    def _reconciliation(self, versions: Versions | None, waiting_from: int | None) -> Reconciliation:
        chosen = self._asked.companies
        listed = chosen or sorted(
            {*self._totals, *(c for c, route in self._places.routes.items() if route.state != routes.REMOVED)}
        )
        return Reconciliation(
            environment=self._environment.name,
            table_id=self._table_id,
            at=self._now,
            versions=versions,
            looked_at=merged(self._looked_at),
            companies=tuple(_result(each, self._totals[each], self._places, self._dead) for each in listed),
            unreadable=_joined(self._unreadable),
            waiting_from=waiting_from,
            warnings=tuple(self._warnings),
            statements=self._cost.statements,
            warehouse_seconds=self._cost.seconds,
        )


def _result(company_id: str, total: Found, places: Places, dead: Mapping[str, str]) -> CompanyResult:
    route = places.routes.get(company_id)
    unlike, gaps = total.difference, combined(total.difference.gaps)
    unread = dead.get(places.home(company_id) or "", "")
    return CompanyResult(
        company_id=company_id,
        company="" if route is None else route.company,
        database=places.home(company_id) or "",
        source=total.source,
        landed=total.landed,
        missing=unlike.missing,
        doubled=unlike.doubled,
        extra=unlike.extra,
        repairable=sum(gap.repairable for gap in gaps),
        quarantined=unlike.quarantined,
        before=unlike.before,
        gaps=gaps,
        note=_note(company_id, unlike, route, unread),
        unread=unread,
        kept_once=unlike.kept_once,
    )


def _note(company_id: str, unlike: Difference, route: routes.RouteEntry | None, unread: str) -> str:
    said = []
    if not company_id:
        said.append("these changes name no company and go to unrouted")
    elif route is None:
        said.append("no route takes it: its changes go to unrouted")
    elif route.state == routes.REMOVED:
        said.append("its route was removed: what comes goes to unrouted")
    elif route.state == routes.PAUSED and unlike.missing:
        said.append("its route is paused: resume it before what is missing is sent again")
    if unlike.kept_once:
        said.append(
            f"{unlike.kept_once} of the missing are in the source more than once, and a landing table keeps one"
        )
    if unread:
        said.append(f"its landing table can't be read: {unread}")
    return "; ".join(said)


def _joined(found: Sequence[Unreadable]) -> tuple[Unreadable, ...]:
    """In order, neighbours of one reason as one."""
    kept: list[Unreadable] = []
    for each in sorted(found, key=lambda one: (one.why, one.versions)):
        last = kept[-1] if kept else None
        if (
            last is not None
            and (last.why, last.remains) == (each.why, each.remains)
            and last.versions.last + 1 >= each.versions.first
        ):
            kept[-1] = replace(
                last, versions=Versions(last.versions.first, max(last.versions.last, each.versions.last))
            )
        else:
            kept.append(each)
    return tuple(sorted(kept, key=lambda one: one.versions))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
