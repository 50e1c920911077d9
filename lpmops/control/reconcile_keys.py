"""What differs between the changes of the source and those that landed, key by key, for one company. Pure.

Both sides are multisets: a key of the source that landed less often is missing, one that landed more often is doubled, and one that the source has
not is extra, as often as it is there. Gaps are the runs of the company's versions with a difference, so that a replay of them sends little else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol, TypeVar

from lpmops.control.reconciled import HAD_LANDED
from lpmops.store.proofs import OpenGap
from lpmops.versions import Versions

# More runs than this in one span are told as one that reaches over all of them, or one a cause.
_RUNS_AT_MOST = 100


class Key(Protocol):
    """What a change is known by within a company."""

    @property
    def version(self) -> int:
        """The version of the table that made it."""
        ...


K = TypeVar("K", bound=Key)


@dataclass(frozen=True, slots=True)
class Difference:
    """Counts by kind, and the gaps. `kept_once` of the missing landed, but less often than the source has them: no replay brings those."""

    missing: int = 0
    doubled: int = 0
    extra: int = 0
    quarantined: int = 0
    before: int = 0
    kept_once: int = 0
    gaps: tuple[OpenGap, ...] = ()

    def plus(self, other: Difference) -> Difference:
        """Both together."""
        return Difference(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(slots=True)
class _Version:
    source: int = 0
    landed: int = 0
    missing: int = 0
    doubled: int = 0
    extra: int = 0
    repairable: int = 0

    @property
    def differs(self) -> bool:
        return bool(self.missing or self.doubled or self.extra)

    def add(self, other: _Version) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class _Run:
    why: str
    first: int
    last: int
    total: _Version

    def take(self, version: int, at: _Version) -> None:
        self.last = version
        self.total.add(at)


@dataclass(slots=True)
class _Draft:
    versions: dict[int, _Version] = field(default_factory=dict)

    def of(self, version: int) -> _Version:
        return self.versions.setdefault(version, _Version())


def difference(
    company_id: str,
    source: Counter[K],
    landed: Counter[K],
    quarantined: Collection[K] = (),
    is_before: Callable[[int], bool] = lambda _: False,
    had_landed: Callable[[int], bool] = lambda _: False,
    why: str = "",
    unrouted: Collection[K] = (),
    why_unrouted: str = "",
) -> Difference:
    """What differs. `quarantined` keys and versions that `is_before` the route are in the source and did not have to land.

    `had_landed` says of which versions that they were complete before; `why` is the cause of whatever differs, where it is known, and `why_unrouted`
    that of the missing that are among the `unrouted`.
    """
    draft, passed, put_aside, before, kept_once = _Draft(), _Draft(), 0, 0, 0
    for key in source.keys() | landed.keys():
        wanted, have = source[key], landed[key]
        whole, apart = draft.of(key.version), passed.of(key.version)
        at = apart if wanted > have and key in unrouted and not had_landed(key.version) else whole
        at.source += wanted
        at.landed += have
        lacking = max(0, wanted - have)
        if lacking and key in quarantined:
            put_aside += lacking
        elif lacking and is_before(key.version):
            before += lacking
        elif lacking:
            at.missing += lacking
            at.repairable += 0 if have else 1
            kept_once += lacking - (0 if have else 1)
        if have > wanted and wanted:
            at.doubled += have - wanted
        elif have > wanted:
            at.extra += have
    values = [*draft.versions.values(), *passed.versions.values()]
    gaps = [
        *_gaps(company_id, draft.versions, why, had_landed),
        *_gaps(company_id, passed.versions, why_unrouted, had_landed),
    ]
    return Difference(
        missing=sum(each.missing for each in values),
        doubled=sum(each.doubled for each in values),
        extra=sum(each.extra for each in values),
        quarantined=put_aside,
        before=before,
        kept_once=kept_once,
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.versions, gap.why))),
    )


def _gaps(
    company_id: str, versions: dict[int, _Version], why: str, had_landed: Callable[[int], bool]
) -> Iterable[OpenGap]:
    runs: list[_Run] = []
    open_run = False
    for version in sorted(versions):
        at = versions[version]
        if not at.differs:
            open_run = False
            continue
        # Versions of two causes are two gaps: what never came is told and looked for otherwise than what was taken away.
        cause = why or (HAD_LANDED if at.missing and had_landed(version) else "")
        if open_run and runs[-1].why == cause:
            runs[-1].take(version, at)
        else:
            runs.append(_Run(cause, version, version, replace(at)))
            open_run = True
    if len(runs) > _RUNS_AT_MOST:
        runs = list(_far_reaching(runs, versions))
    for run in runs:
        total = run.total
        yield OpenGap(
            company_id,
            Versions(run.first, run.last),
            total.source,
            total.landed,
            total.missing,
            total.doubled,
            total.extra,
            total.repairable,
            run.why,
        )


def _far_reaching(runs: list[_Run], versions: dict[int, _Version]) -> Iterable[_Run]:
    """Runs that follow each other and have one cause, as one that reaches over all of them."""
    for why, following in groupby(runs, key=lambda run: run.why):
        alike = list(following)
        whole = _Run(why, alike[0].first, alike[-1].last, _Version())
        for version, at in versions.items():
            if whole.first <= version <= whole.last:
                whole.total.add(at)
        yield whole
