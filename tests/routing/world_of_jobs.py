"""The rendered texts run by the sandbox's engine: several jobs over the same events, and where each event ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lpmops.routing.query import INPUT, REFERENCE
from lpmops.routing.routes import SETTLING_SECONDS, Route
from lpmops.routing.shards import ShardPlan
from lpmops.sandbox.asa import Executor, InputEvent, compile_query
from tests.sandbox.asa.kit import NOON, rows


def reading(route: Route, changed_at: datetime, also: str | None = None) -> dict[str, Any]:
    """A route as a job reads it from the route table."""
    return {
        "company_id": route.company_id,
        "database_name": route.database if route.active else None,
        "also_database": also,
        "former_database": None if route.active else route.database,
        "settled_at": changed_at + timedelta(seconds=SETTLING_SECONDS),
    }


def run(
    plan: ShardPlan,
    routes: Iterable[Route],
    events: Sequence[InputEvent],
    also: Mapping[str, str] | None = None,
    readings: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each output over all jobs of a plan, windows closed an hour later. `also` is where companies are on their way to.

    The routes are as they are for long, unless `readings` says what each job has read of the route table.
    """
    assert plan.refusals == ()
    long_ago = NOON - timedelta(days=1)
    reference = [reading(route, long_ago, (also or {}).get(route.company_id)) for route in routes]
    found: dict[str, list[dict[str, Any]]] = {}
    for shard in plan.shards:
        by_reference = shard.share.companies is None
        inputs: Mapping[str, Any] = {INPUT: "stream", **({REFERENCE: "reference"} if by_reference else {})}
        executor = Executor(compile_query(shard.query, inputs, shard.outputs))
        try:
            if by_reference:
                executor.set_reference(REFERENCE, reference if readings is None else readings[shard.job])
            made = executor.process(list(events)) | executor.advance(NOON + timedelta(hours=1))
        finally:
            executor.close()
        for output in shard.outputs:
            found.setdefault(output, []).extend(rows(made, output))
    return found
