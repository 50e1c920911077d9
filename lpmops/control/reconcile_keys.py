"""What differs between the changes of the source and those that landed, key by key, for one company. Pure.

Both sides are multisets: a key of the source that landed less often is missing, one that landed more often is doubled, and one that the source has
not is extra, as often as it is there. Gaps are the runs of the company's versions with a difference, so that a replay of them sends little else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from lpmops.store.proofs import OpenGap
from lpmops.versions import Versions

# More runs than this in one span are told as one that reaches over all of them.
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
    why: str = "",
) -> Difference:
    """What differs. `quarantined` keys and versions that `is_before` the route are in the source and did not have to land."""
    draft, put_aside, before, kept_once = _Draft(), 0, 0, 0
    for key in source.keys() | landed.keys():
        wanted, have = source[key], landed[key]
        at = draft.of(key.version)
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
    values = draft.versions.values()
    return Difference(
        missing=sum(each.missing for each in values),
        doubled=sum(each.doubled for each in values),
        extra=sum(each.extra for each in values),
        quarantined=put_aside,
        before=before,
        kept_once=kept_once,
        gaps=tuple(_gaps(company_id, draft.versions, why)),
    )


def _gaps(company_id: str, versions: dict[int, _Version], why: str) -> Iterable[OpenGap]:
    runs: list[tuple[int, int, _Version]] = []
    open_run = False
    for version in sorted(versions):
        at = versions[version]
        if not at.differs:
            open_run = False
        elif open_run:
            first, _, total = runs[-1]
            total.add(at)
            runs[-1] = (first, version, total)
        else:
            runs.append((version, version, at))
            open_run = True
    if len(runs) > _RUNS_AT_MOST:
        total = _Version()
        for version, at in versions.items():
            if runs[0][0] <= version <= runs[-1][1]:
                total.add(at)
        runs = [(runs[0][0], runs[-1][1], total)]
    for first, last, total in runs:
        yield OpenGap(
            company_id,
            Versions(first, last),
            total.source,
            total.landed,
            total.missing,
            total.doubled,
            total.extra,
            total.repairable,
            why,
        )
