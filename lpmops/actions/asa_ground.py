"""What a text rests on before it is deployed: the columns of the source, the landing tables that it writes, and the companies that it moves.

A column that the source has not lands as nothing, for good; one that a table has not stops every company of the job. What a table lacks and can be
added to it is planned, before any job stops.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lpmops.actions import asa_definition, route_databases
from lpmops.actions.action import Bench
from lpmops.control.plan import Step
from lpmops.errors import ServiceError
from lpmops.model import StreamingJob
from lpmops.routing import source
from lpmops.routing.shards import ShardPlan

_MOVES_SHOWN = 20


@dataclass(slots=True)
class Ground:
    """What is to be done first, what it rests on, what speaks against it and what is to be known."""

    steps: list[Step] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def look(bench: Bench, databases: Iterable[str], written: Collection[str]) -> Ground:
    """How the source and the landing tables of some databases are for the configured columns; `written` are those where rows land already."""
    ground, config = Ground(), bench.config
    try:
        found = source.check(config.columns, config.routing, config.kpi, bench.services.databricks.columns())
        ground.refusals += found.refusals
        ground.warnings += found.warnings
    except ServiceError as error:
        ground.warnings.append(f"The columns were not held beside the source's: {error.message}")
    for database in sorted(set(databases)):
        _look_at(bench, database, database in written, ground)
    return ground


def _look_at(bench: Bench, database: str, is_written: bool, ground: Ground) -> None:
    try:
        check = route_databases.landing_check(bench, database)
    except ServiceError as error:
        ground.warnings.append(f"The landing table of {database} was not looked at: {error.message}")
        ground.seen[f"{database}.landing"] = "not seen"
        return
    known = check.risks if is_written else ()
    ground.refusals += [f"{database}: {reason}" for reason in check.refusals if reason not in known]
    ground.warnings += [f"{database}: {words}" for words in (*known, *check.warnings)]
    ground.seen[f"{database}.landing"] = [name for name, _ in check.statements] or "ready"
    if check.statements:
        ground.steps.append(route_databases.landing_step(database, check))


def moved(bench: Bench, plan: ShardPlan, every: Sequence[StreamingJob]) -> list[str]:
    """Which companies land elsewhere once texts that hold companies are deployed, in words; nothing where none held any before."""
    found = asa_definition.moves(bench, plan, every)
    more = [f"{len(found) - _MOVES_SHOWN} more companies land elsewhere."] if len(found) > _MOVES_SHOWN else []
    return [f"{item.said}." for item in found[:_MOVES_SHOWN]] + more
