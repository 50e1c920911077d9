"""The rules for what a reconciliation found: changes that did not land, and rows that had landed and are gone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from lpmops.control import remedies, signs
from lpmops.control.case import CAUSE, NAMED, Case, Found, listed
from lpmops.control.reconciled import HAD_LANDED, UNROUTED
from lpmops.control.routes import PAUSED
from lpmops.model import Confidence, Suspect
from lpmops.plain_text import counted
from lpmops.store.proofs import OpenGap, Unreadable
from lpmops.versions import Versions, merged


def lost(case: Case) -> Found:
    """Open gaps of the source table, as the last reconciliation left them."""
    facts = case.facts
    gone = [gap for gap in facts.gaps if gap.missing and gap.why == HAD_LANDED]
    passed = [gap for gap in facts.gaps if gap.missing and _passed(gap)]
    never = [gap for gap in facts.gaps if gap.missing and gap.why != HAD_LANDED and not _passed(gap)]
    # Where the hub itself shows that events expired, its own suspicion says more.
    if never and not signs.lost(facts):
        what = f"{counted(_missing(never), 'change', 'changes')} of {_companies(never)} did not land."
        yield CAUSE, _suspect(case, "hub.loss", "eventhub", what, never, " did not land")
    if passed:
        what = f"{counted(_missing(passed), 'change', 'changes')} of {_companies(passed)} came when no route took them, and did not land."
        yield CAUSE, _suspect(case, "route.unrouted", "asa", what, passed, "")
    if gone:
        what = f"{counted(_missing(gone), 'row', 'rows')} of {_companies(gone)} had landed and are gone."
        yield CAUSE, _suspect(case, "sql.rows_lost", "sql", what, gone, " had landed and are gone")


def _suspect(case: Case, name: str, stage: str, what: str, gaps: Sequence[OpenGap], words: str) -> Suspect:
    environment = case.environment
    largest = sorted(gaps, key=lambda gap: (-gap.missing, gap.company_id, gap.versions))
    evidence = [
        f"{counted(gap.missing, 'change', 'changes')} of company {gap.company_id} in versions {gap.versions}{words or f': {gap.why}'}"
        for gap in largest[:NAMED]
    ]
    if len(largest) > NAMED:
        evidence.append(f"and {counted(len(largest) - NAMED, 'further gap', 'further gaps')}")
    repairable = _repairable(gaps)
    evidence += _beyond_repair(case.facts.unreadable, [gap for gap in gaps if gap.repairable < gap.missing])
    steps = _sending_again(case, gaps) if repairable else []
    if not repairable:
        outlook = "No replay brings them back."
    elif repairable < _missing(gaps):
        outlook = f"{repairable:,} of them can be sent again from the table."
    else:
        outlook = "They can be sent again from the table."
    summary = f"{what} {outlook}"
    return Suspect(name, stage, Confidence.SURE, summary, tuple(evidence), (*steps, remedies.reconcile(environment)))


def _sending_again(case: Case, gaps: Sequence[OpenGap]) -> list[str]:
    """What no route took is sent again for its companies, once their routes take it."""
    environment = case.environment
    companies = sorted({gap.company_id for gap in gaps if gap.repairable and _passed(gap)})
    if not companies:
        return [remedies.plan_replay(environment)]
    paused = [row.company_id for row in case.facts.routes or () if row.state == PAUSED and row.company_id in companies]
    named = companies if len(companies) <= NAMED else ()
    resume = [remedies.resume_routes(environment, paused[:NAMED])] if paused else []
    return [*resume, remedies.plan_replay(environment, named)]


def _passed(gap: OpenGap) -> bool:
    return gap.why.startswith(UNROUTED)


def _beyond_repair(unreadable: Sequence[Unreadable], stuck: Sequence[OpenGap]) -> Iterator[str]:
    """How many can't be sent again, why, and what remains possible for them."""
    taken = merged(each.versions for each in unreadable)
    gone = [gap for gap in stuck if _meet(taken, gap.versions)]
    if gone:
        yield f"{_missing(gone) - _repairable(gone):,} of them can't be sent again"
        lost = merged(gap.versions for gap in gone)
        yield from _told([each for each in unreadable if _meet(lost, each.versions)])
    if any(gap.why == HAD_LANDED for gap in gone):
        yield "rows that had landed are also in the backups of their database, up to the moment at which they went"
    once = _missing(stuck) - _repairable(stuck) - _missing(gone) + _repairable(gone)
    if once:
        have = "it has" if once == 1 else "they have"
        yield f"{once:,} of them can't be sent again: {have} the key of another change, of which a landing table keeps one"


def _told(unreadable: Sequence[Unreadable]) -> Iterator[str]:
    """The ranges of one reason together, the first few reasons and of each the first few ranges."""
    alike: dict[tuple[str, str], list[str]] = {}
    for each in unreadable:
        alike.setdefault((each.why, each.remains), []).append(str(each.versions))
    for (why, remains), ranges in list(alike.items())[:NAMED]:
        yield f"versions {listed(ranges)}: {why} {remains}"
    further = sum(len(ranges) for ranges in list(alike.values())[NAMED:])
    if further:
        yield f"and {counted(further, 'further range', 'further ranges')} of versions that can't be read"


def _meet(ranges: Sequence[Versions], one: Versions) -> bool:
    """Whether a range has a version in common with any of those, which are in order and apart."""
    place = bisect_left(ranges, one.first, key=lambda each: each.last)
    return place < len(ranges) and ranges[place].meets(one)


def _repairable(gaps: Sequence[OpenGap]) -> int:
    return sum(gap.repairable for gap in gaps)


def _missing(gaps: Sequence[OpenGap]) -> int:
    return sum(gap.missing for gap in gaps)


def _companies(gaps: Sequence[OpenGap]) -> str:
    return counted(len({gap.company_id for gap in gaps}), "company", "companies")
