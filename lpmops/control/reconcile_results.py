"""How what was found span by span becomes the result of a run: a company in one value, ranges of one reason as one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lpmops.control import routes
from lpmops.control.reconcile_keys import Difference
from lpmops.control.reconcile_spans import Found, Places, combined
from lpmops.control.reconciled import UNROUTED, CompanyResult
from lpmops.store.proofs import OpenGap, Unreadable
from lpmops.versions import Versions


def result_of(company_id: str, total: Found, places: Places, dead: Mapping[str, str]) -> CompanyResult:
    """What was found of a company; `dead` are the databases that did not answer, with the reason."""
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
        note=_note(company_id, unlike, gaps, route, unread),
        unread=unread,
        kept_once=unlike.kept_once,
    )


def _note(
    company_id: str, unlike: Difference, gaps: Sequence[OpenGap], route: routes.RouteEntry | None, unread: str
) -> str:
    said = []
    if not company_id:
        said.append("these changes name no company and go to unrouted")
    elif route is None:
        said.append("no route takes it: its changes go to unrouted")
    elif route.state == routes.REMOVED:
        said.append("its route was removed: what comes goes to unrouted")
    elif route.state == routes.PAUSED and unlike.missing:
        said.append("its route is paused: resume it before what is missing is sent again")
    passed = [gap for gap in gaps if gap.missing and gap.why.startswith(UNROUTED)]
    if passed:
        more = " and at other times" if len({gap.why for gap in passed}) > 1 else ""
        said.append(f"{sum(gap.missing for gap in passed):,} of the missing: {passed[0].why}{more}")
    if unlike.kept_once:
        said.append(
            f"{unlike.kept_once} of the missing are in the source more than once, and a landing table keeps one"
        )
    if unread:
        said.append(f"its landing table can't be read: {unread}")
    return "; ".join(said)


def without_counts(gap: OpenGap, others: Sequence[OpenGap]) -> OpenGap:
    """A gap without the counts of others."""
    return replace(
        gap,
        source=max(0, gap.source - sum(each.source for each in others)),
        landed=max(0, gap.landed - sum(each.landed for each in others)),
        missing=max(0, gap.missing - sum(each.missing for each in others)),
        doubled=max(0, gap.doubled - sum(each.doubled for each in others)),
        extra=max(0, gap.extra - sum(each.extra for each in others)),
    )


def joined(found: Sequence[Unreadable]) -> tuple[Unreadable, ...]:
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


def sentence(text: str) -> str:
    """Words as a sentence."""
    return text[:1].upper() + text[1:] + "."
