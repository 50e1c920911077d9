"""Holds what the source table's change feed has against what landed, by company and version, and remembers what was shown.

Versions are read in spans of bounded rows: a statement at the source and one in each landing database, then keys where a company differs. What was
looked at is proven and not read again, but where a gap was open; each span is remembered as soon as it is done, so that a run that was cut short
goes on where it was. Nothing is called complete that could not be read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lpmops.config import Config, Environment
from lpmops.control import reconcile_lease, remedies, routes
from lpmops.control import reconcile_range as ranges
from lpmops.control.collect import utc_now
from lpmops.control.hands import StopRequest
from lpmops.control.readers import CONTROL_REACH, read_control
from lpmops.control.reconcile_keys import Difference
from lpmops.control.reconcile_range import Timeline
from lpmops.control.reconcile_results import joined, result_of, sentence, without_counts
from lpmops.control.reconcile_spans import Cost, Counted, Found, Spans, read_places
from lpmops.control.reconcile_unrouted import UnroutedKeys
from lpmops.control.reconciled import Asked, Reconciliation
from lpmops.errors import ForbiddenError, NotFoundError, StatementError, UnreadableChangesError
from lpmops.model import FeedState
from lpmops.plain_text import counted
from lpmops.store import proofs
from lpmops.store.connection import Store
from lpmops.store.proofs import EVERY_COMPANY, OpenGap, Proofs, Unreadable
from lpmops.versions import PRESENT_ROWS, Versions, in_at_most, merged, within, without

if TYPE_CHECKING:
    from lpmops.services.cloud import EnvironmentServices

# In so many ranges at most what is open in versions that can't be read is told.
_PARTS_AT_MOST = 10


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
    """Look at what is asked for and not proven yet, ahead of whoever takes turns; `tell` hears of each span, `stop` ends it after the one under way.

    Raises UsageError for versions that are yet to come, NotFoundError for a company that neither has a route nor a record, ServiceError types where
    the source or the control database can't be read, TakenAwayError where another person begins to look from this machine meanwhile, StoreError.
    """
    with reconcile_lease.ahead(store, environment.name, now) as renew:
        return look(config, environment, services, store, asked, now=now, renew=renew, tell=tell, stop=stop)


def look(
    config: Config,
    environment: Environment,
    services: EnvironmentServices,
    store: Store,
    asked: Asked,
    *,
    now: Callable[[], datetime],
    renew: Callable[[], None],
    tell: Callable[[str], None] = lambda _: None,
    stop: StopRequest | None = None,
) -> Reconciliation:
    """The same for one who has the lease already, and holds it with `renew`, which is asked often and raises where another has it by now."""
    return _Run(config, environment, services, store, asked, now(), renew, tell, stop or StopRequest()).result()


@dataclass(frozen=True, slots=True)
class _Work:
    """A range to look at, for some companies or, with none named, for all; `gaps` are the open ones for whose sake, none where nobody has looked."""

    versions: Versions
    companies: tuple[str, ...] = ()
    gaps: tuple[OpenGap, ...] = ()


class _Run:
    def __init__(
        self,
        config: Config,
        environment: Environment,
        services: EnvironmentServices,
        store: Store,
        asked: Asked,
        now: datetime,
        renew: Callable[[], None],
        tell: Callable[[str], None],
        stop: StopRequest,
    ) -> None:
        self._config, self._environment, self._services = config, environment, services
        self._store, self._asked, self._now = store, asked, now
        self._renew, self._tell, self._stop = renew, tell, stop
        self._totals: dict[str, Found] = defaultdict(Found)
        self._looked_at: list[Versions] = []
        self._former: Mapping[str, Sequence[OpenGap]] = {}
        self._lost: list[tuple[OpenGap, OpenGap]] = []
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
        self._tell_of_former()
        if feed.kind == "off":
            why = "The change feed is off: nothing of the table is recorded."
            self._unreadable.append(Unreadable(Versions(0, feed.latest_version), why, PRESENT_ROWS))
            return self._reconciliation(None, None)
        self._remembered = remembered = proofs.read(self._store, self._environment.name, self._table_id)
        self._timeline = timeline = Timeline(
            self._cost.of(lambda: databricks.history(ranges.commits_needed(self._asked, feed, remembered)))
        )
        wanted = ranges.asked_range(self._asked, feed, timeline)
        if wanted is None:
            return self._reconciliation(None, None)
        wanted = self._recorded(wanted, feed)
        if wanted is None:
            return self._reconciliation(None, None)
        wanted = ranges.in_reach(self._asked, wanted, remembered)
        jobs = self._services.streamanalytics.jobs()
        settled = ranges.settled(wanted, timeline, feed.table_id, databricks.progress(), jobs, self._beat(), self._now)
        if settled.waiting_from is not None:
            self._warnings.append(f"Versions from {settled.waiting_from} on are not judged yet: {settled.why}.")
        if settled.last < wanted.first:
            return self._reconciliation(None, settled.waiting_from)
        wanted = Versions(wanted.first, min(wanted.last, settled.last))
        unrouted = UnroutedKeys(self._services.sql, self._environment, self._store, self._renew)
        spans = Spans(
            self._config, self._services, self._places, timeline, remembered, self._cost, self._renew, unrouted
        )
        self._dead = spans.dead
        self._add_unreadable(wanted, remembered)
        self._look(spans, timeline, list(self._work(wanted, remembered, timeline)))
        self._add_lost()
        if unrouted.trouble:
            self._warnings.append(unrouted.trouble)
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

    def _beat(self) -> datetime | None:
        """When the newest heartbeat was sent that came through to the control database, as far back as is looked; None where that can't be told."""
        earliest = self._now - CONTROL_REACH
        try:
            control = read_control(self._services.sql, self._environment.sql.control_database, self._now)
        except (StatementError, ForbiddenError):
            return None
        return max((beat.sent_at for beat in control.beats), default=earliest)

    def _recorded(self, wanted: Versions, feed: FeedState) -> Versions | None:
        """The part of a range of which the feed has the changes; the rest is unreadable."""
        first = feed.first_version
        if first is None or wanted.first >= first:
            return wanted
        why = f"The change feed is on since version {first}: these were never recorded."
        self._unreadable.append(Unreadable(Versions(wanted.first, min(wanted.last, first - 1)), why, PRESENT_ROWS))
        return Versions(first, wanted.last) if wanted.last >= first else None

    def _work(self, wanted: Versions, remembered: Proofs, timeline: Timeline) -> Iterator[_Work]:
        chosen = self._asked.companies
        if self._asked.again:
            yield _Work(wanted, chosen)
            return
        unreadable = [each.versions for each in remembered.unreadable]
        readable = without([wanted], unreadable)
        if chosen:
            holes = merged(piece for each in chosen for piece in without(readable, remembered.of(each)))
        else:
            holes = without(readable, remembered.of(EVERY_COMPANY))
        for hole in holes:
            yield _Work(hole, chosen)
        parts = [
            (part, gap)
            for gap in remembered.gaps
            if not chosen or gap.company_id in chosen
            for known in within([gap.versions], wanted)
            for part in without([known], unreadable)
        ]
        pieces = timeline.gathered(part for part, _ in parts)
        inside: dict[int, list[OpenGap]] = defaultdict(list)
        for part, gap in parts:
            inside[bisect_left(pieces, part.first, key=lambda piece: piece.last)].append(gap)
        for number, piece in enumerate(pieces):
            for span in without([piece], [*holes, *unreadable]):
                gaps = tuple(gap for gap in inside[number] if gap.versions.meets(span))
                if gaps:
                    yield _Work(span, tuple(sorted({gap.company_id for gap in gaps})), gaps)

    def _look(self, spans: Spans, timeline: Timeline, work: Sequence[_Work]) -> None:
        pieces = [(span, each) for each in work for span in timeline.spans(each.versions)]
        if self._asked.spans is not None:
            # What happened last is what somebody may still do something about; what is known to be open waits for what nobody has seen,
            # and takes turns: first what was not looked at for longest.
            pieces.sort(key=lambda piece: (bool(piece[1].gaps), self._waits_since(*piece), -piece[0].last))
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

    def _waits_since(self, span: Versions, work: _Work) -> datetime:
        """When the oldest of the gaps in it was looked at last; now where there is none."""
        known = self._remembered.looked_at
        here = (gap.versions for gap in work.gaps if gap.versions.meets(span))
        return min((known[versions] for versions in here if versions in known), default=self._now)

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
        self._remember(
            lambda: proofs.keep(
                self._store, self._environment.name, self._table_id, counted.versions, shown, gaps, self._now
            )
        )

    def _give_up(self, versions: Versions, error: UnreadableChangesError) -> None:
        remains = f"{error.remains} {self._of_the_hub(versions)}".strip()
        gone = Unreadable(versions, sentence(error.why), remains)
        self._unreadable.append(gone)
        # Of one version there is nothing shorter that could be read; what was complete when it was looked at stays proven.
        if (not error.divisible or len(versions) == 1) and self._in_question(versions, ()):
            self._remember(lambda: self._forget(gone))

    def _forget(self, gone: Unreadable) -> None:
        self._lost += proofs.give_up(self._store, self._environment.name, self._table_id, gone, self._now)

    def _in_question(self, versions: Versions, companies: Sequence[str]) -> tuple[Versions, ...]:
        """Of these versions those that were not proven before, for all of these companies (none: for every one), or in which something is open."""
        proven = [self._remembered.of(each) for each in companies or (EVERY_COMPANY,)]
        gaps = [gap.versions for gap in self._remembered.gaps if not companies or gap.company_id in companies]
        unproven = (piece for each in proven for piece in without([versions], each))
        return merged((*unproven, *within(gaps, versions)))

    def _of_the_hub(self, versions: Versions) -> str:
        """What the hub may still have of versions whose changes are gone from the table."""
        at, kept = self._timeline.at(versions.first), timedelta(days=self._environment.eventhub.retention_days)
        if at is None or self._now - at >= kept:
            return ""
        start = remedies.start_from(self._environment, at)
        return f"What reached the hub is kept there for {kept.days} days: pause the jobs, and begin again at that time with {start}"

    def _add_lost(self) -> None:
        """Count the gaps that nothing fills any more, of one that was cut what is not found beyond."""
        for before, after in self._lost:
            beyond = without([before.versions], [after.versions])
            rest = [
                gap
                for gap in self._totals[before.company_id].difference.gaps
                if within([gap.versions], before.versions)
            ]
            if beyond and not without(beyond, self._looked_at):
                lost = without_counts(after, rest)
                self._correct(after, lost)
                after = lost
            self._add_known(after)

    def _correct(self, before: OpenGap, after: OpenGap) -> None:
        self._remember(
            lambda: proofs.correct(self._store, self._environment.name, self._table_id, before, after, self._now)
        )

    def _add_known(self, gap: OpenGap) -> None:
        if gap.missing and (not self._asked.companies or gap.company_id in self._asked.companies):
            known = Difference(gap.missing, gap.doubled, gap.extra, gaps=(gap,))
            self._totals[gap.company_id] = self._totals[gap.company_id].plus(Found(gap.source, gap.landed, known))

    def _add_unreadable(self, wanted: Versions, remembered: Proofs) -> None:
        """What is known to be unreadable is told again where it matters, with the gaps in it, and not asked for."""
        if self._asked.again:
            return
        for each in remembered.unreadable:
            for part in within([each.versions], wanted):
                told = in_at_most(_PARTS_AT_MOST, self._in_question(part, self._asked.companies))
                self._unreadable += [replace(each, versions=piece) for piece in told]
                for gap in remembered.gaps:
                    if not gap.repairable and within([gap.versions], part):
                        self._add_known(gap)

    def _tell_of_former(self) -> None:
        """Proofs are of a table, and not of its name: what its former self lost is told apart, and can't be sent again."""
        self._former = proofs.former(self._store, self._environment.name, self._table_id)
        for table_id, gaps in self._former.items():
            missing = sum(gap.missing for gap in gaps)
            if not missing:
                continue
            companies = len({gap.company_id for gap in gaps if gap.missing})
            why = f"The table was made anew, and the changes of its former self ({table_id}) went with it."
            self._warnings.append(
                f"{why} {counted(missing, 'of them was', 'of them were')} missing for {counted(companies, 'company', 'companies')}. {PRESENT_ROWS}"
            )
            if self._store.writable and any(gap.repairable for gap in gaps):
                whole = Versions(min(gap.versions.first for gap in gaps), max(gap.versions.last for gap in gaps))
                gone = Unreadable(whole, why, PRESENT_ROWS)
                proofs.give_up(self._store, self._environment.name, table_id, gone, self._now)

    def _remember(self, write: Callable[[], None]) -> None:
        # A store that can't be written has said so itself; the next run only looks again.
        if self._store.writable:
            with self._store.writing():
                # Whoever looks since has seen more than what is noted here.
                self._renew()
                write()

    def _reconciliation(self, versions: Versions | None, waiting_from: int | None) -> Reconciliation:
        chosen = self._asked.companies
        listed = chosen or sorted(
            {*self._totals, *(c for c, route in self._places.routes.items() if route.state != routes.REMOVED)}
        )
        if self._former and any(self._totals[each].difference.extra for each in listed):
            self._warnings.append(
                "Rows that landed from the table's former self stand under the same numbers of versions, and count as extra."
            )
        return Reconciliation(
            environment=self._environment.name,
            table_id=self._table_id,
            at=self._now,
            versions=versions,
            looked_at=merged(self._looked_at),
            companies=tuple(result_of(each, self._totals[each], self._places, self._dead) for each in listed),
            unreadable=joined(self._unreadable),
            waiting_from=waiting_from,
            warnings=tuple(self._warnings),
            statements=self._cost.statements,
            warehouse_seconds=self._cost.seconds,
        )
