"""The rules for what a reconciliation found: changes that did not land, and rows that had landed and are gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lpmops.control import remedies, signs
from lpmops.control.case import CAUSE, NAMED, Case, Found
from lpmops.control.reconciled import HAD_LANDED
from lpmops.model import Confidence, Suspect
from lpmops.plain_text import counted
from lpmops.store.proofs import OpenGap
from lpmops.versions import within


def lost(case: Case) -> Found:
    """Open gaps of the source table, as the last reconciliation left them."""
    facts = case.facts
    gone = [gap for gap in facts.gaps if gap.missing and gap.why == HAD_LANDED]
    never = [gap for gap in facts.gaps if gap.missing and gap.why != HAD_LANDED]
    # Where the hub itself shows that events expired, its own suspicion says more.
    if never and not signs.lost(facts):
        what = f"{counted(_missing(never), 'change', 'changes')} of {_companies(never)} did not land."
        yield CAUSE, _suspect(case, "hub.loss", "eventhub", what, never, "did not land")
    if gone:
        what = f"{counted(_missing(gone), 'row', 'rows')} of {_companies(gone)} had landed and are gone."
        yield CAUSE, _suspect(case, "sql.rows_lost", "sql", what, gone, "had landed and are gone")


def _suspect(case: Case, name: str, stage: str, what: str, gaps: Sequence[OpenGap], words: str) -> Suspect:
    environment = case.environment
    largest = sorted(gaps, key=lambda gap: (-gap.missing, gap.company_id, gap.versions))
    evidence = [
        f"{counted(gap.missing, 'change', 'changes')} of company {gap.company_id} in versions {gap.versions} {words}"
        for gap in largest[:NAMED]
    ]
    if len(largest) > NAMED:
        evidence.append(f"and {counted(len(largest) - NAMED, 'further gap', 'further gaps')}")
    repairable = sum(gap.repairable for gap in gaps)
    evidence += _beyond_repair(case, gaps, _missing(gaps) - repairable)
    steps = [remedies.plan_replay(environment)] if repairable else []
    if not repairable:
        outlook = "No replay brings them back."
    elif repairable < _missing(gaps):
        outlook = f"{repairable:,} of them can be sent again from the table."
    else:
        outlook = "They can be sent again from the table."
    summary = f"{what} {outlook}"
    return Suspect(name, stage, Confidence.SURE, summary, tuple(evidence), (*steps, remedies.reconcile(environment)))


def _beyond_repair(case: Case, gaps: Sequence[OpenGap], number: int) -> Iterator[str]:
    """How many can't be sent again, why, and what remains possible for them."""
    if not number:
        return
    lost = [gap.versions for gap in gaps if gap.repairable < gap.missing]
    known = [each for each in case.facts.unreadable if within(lost, each.versions)]
    if not known:
        yield f"{number:,} of them can't be sent again: they have the key of another change, of which a landing table keeps one"
        return
    yield f"{number:,} of them can't be sent again"
    for why, remains in dict.fromkeys((each.why, each.remains) for each in known):
        yield f"versions {', '.join(str(each.versions) for each in known if each.why == why)}: {why} {remains}"
    if any(gap.why == HAD_LANDED and gap.repairable < gap.missing for gap in gaps):
        yield "rows that had landed are also in the backups of their database, up to the moment at which they went"


def _missing(gaps: Sequence[OpenGap]) -> int:
    return sum(gap.missing for gap in gaps)


def _companies(gaps: Sequence[OpenGap]) -> str:
    return counted(len({gap.company_id for gap in gaps}), "company", "companies")
