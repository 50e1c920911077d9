"""What to do about what a reconciliation found: for each kind of difference one sentence on where it comes from, and the command that goes on.

Pure. The order is that of an operator at night: what can be looked at again first, then what is sent again, then what must be taken away by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lpmops.control.reconciled import CompanyResult, Reconciliation
from lpmops.control.remedies import command
from lpmops.plain_text import counted


@dataclass(frozen=True, slots=True)
class NextStep:
    """A kind of difference in a sentence, and the command that goes on from there."""

    why: str
    command: str


def next_steps(found: Reconciliation) -> tuple[NextStep, ...]:
    """What to do, in order; none where all is complete."""
    return tuple(_steps(found, ("-e", found.environment)))


def _steps(found: Reconciliation, here: tuple[str, str]) -> Iterator[NextStep]:
    companies = found.companies
    unread = sorted({each.database for each in companies if each.unread})
    if unread:
        why = f"{', '.join(unread)} could not be asked. See what keeps it from answering; the next run looks at its companies again."
        yield NextStep(why, command("lpmops", "doctor", *here))
    elif any(each.later for each in found.unreadable):
        yield NextStep("Some versions were not looked at. Go on with them.", command("lpmops", "reconcile", *here))
    if any(not each.later for each in found.unreadable):
        why = "The changes of some versions can't be read. See of which they can."
        yield NextStep(why, command("lpmops", "cdf", "versions", *here))
    repairable = sum(each.repairable for each in companies)
    if repairable:
        why = f"{counted(repairable, 'change', 'changes')} that did not land can be sent again."
        yield NextStep(why, command("lpmops", "replay", "plan", *here, "--missing"))
    twice = sum(each.kept_once for each in companies)
    if twice:
        why = (
            f"{counted(twice, 'change has', 'changes have')} the key of another in the source, and a landing table keeps one of a key. "
            "See which commits wrote them."
        )
        yield NextStep(why, command("lpmops", "cdf", "versions", *here))
    yield from _too_many(companies, here)


def _too_many(companies: tuple[CompanyResult, ...], here: tuple[str, str]) -> Iterator[NextStep]:
    doubled = [each for each in companies if each.doubled]
    if doubled:
        rows = counted(sum(each.doubled for each in doubled), "row stands", "rows stand")
        places = ", ".join(sorted({each.database for each in doubled}))
        why = f"{rows} more than once in {places}, where no index drops what is delivered twice. Delete all but one of each; then see what it lacks."
        yield NextStep(why, command("lpmops", "provision", "plan", *here))
    left = 0
    for each in companies:
        # The cause of a gap is that of its missing, but where there are none: then it says where the rows stand.
        strayed = [gap for gap in each.gaps if gap.extra and gap.why and not gap.missing]
        left += sum(gap.extra for gap in each.gaps if gap not in strayed)
        for why in dict.fromkeys(gap.why for gap in strayed):
            number = sum(gap.extra for gap in strayed if gap.why == why)
            who = f"company {each.company_id}" if each.company_id else "no company"
            told = f"{counted(number, 'row', 'rows')} of {who} landed elsewhere: {why}. See its route before you delete them."
            shown = ("show", each.company_id) if each.database else ("list",)
            yield NextStep(told, command("lpmops", "route", *shown, *here))
    if left:
        rows = counted(left, "landed row is", "landed rows are")
        why = f"{rows} not in the source: it was taken back to an earlier version, or somebody wrote them by hand. See its commits."
        yield NextStep(why, command("lpmops", "cdf", "versions", *here))
