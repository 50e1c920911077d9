"""What an assessment finds: one sentence each, how bad it is, what was seen, what to do, and which promise it threatens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding is; unknown is its own answer, never a good one."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


AREAS = ("machine", "configuration", "sign-in", "reach", "rights", "features", "limits", "latency")
# Worst first.
_ORDER = (Level.BAD, Level.WARN, Level.UNKNOWN, Level.OK)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `id` is stable, `todo` are commands.

    `threatens` is the promise that it puts at risk, 60 s or 15 s, empty for none.
    """

    id: str
    area: str
    level: Level
    summary: str
    evidence: tuple[str, ...] = ()
    todo: tuple[str, ...] = ()
    threatens: str = ""


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of all; ok where there is none."""
    return min((finding.level for finding in findings), key=_ORDER.index, default=Level.OK)


def by_area(findings: Sequence[Finding]) -> list[Finding]:
    """In the order of the areas, the worst of each first."""
    return sorted(findings, key=lambda finding: (AREAS.index(finding.area), _ORDER.index(finding.level)))
