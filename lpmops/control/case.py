"""What every rule of the diagnosis works with: the case, the ranks of what it finds, and how it puts names into a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lpmops.config import Environment, Thresholds
from lpmops.control import signs
from lpmops.control.facts import Facts
from lpmops.model import Suspect

EVERYWHERE = "environment"
BLIND, CAUSE, BEHIND, SIGHT, NOTE = range(5)
UNREACHABLE = (
    "service.unreachable",
    "service.untrusted",
    "service.deadline",
    "service.bad_answer",
    "service.fault",
    "sql.unavailable",
)
NAMED = 5


@dataclass(frozen=True, slots=True)
class Case:
    """One look at one environment, with what counts as behind there."""

    facts: Facts
    environment: Environment
    thresholds: Thresholds


Found = Iterator[tuple[int, Suspect]]


def database_trouble(facts: Facts) -> list[str]:
    """The company databases that hold up the job which writes to them."""
    return signs.databases_with(facts, *UNREACHABLE, "service.throttled", "sql.paused", "sql.refused")


def behind(facts: Facts) -> tuple[str, ...]:
    """What waits in the table, as evidence."""
    versions = facts.versions_behind()
    return (f"{versions:,} versions of the table wait to be sent",) if versions else ()


def listed(names: list[str]) -> str:
    """Names in a sentence, the first few of them."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def unique(texts: Iterable[str]) -> tuple[str, ...]:
    """Each text once, in order."""
    return tuple(dict.fromkeys(texts))
