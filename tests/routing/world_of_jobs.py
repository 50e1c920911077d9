"""The rendered texts run by the sandbox's engine: several jobs over the same events, and where each event ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from lpmops.routing.query import INPUT, REFERENCE
from lpmops.routing.routes import Route
from lpmops.routing.shards import ShardPlan
from lpmops.sandbox.asa import Executor, InputEvent, compile_query
from tests.sandbox.asa.kit import NOON, rows


def run(
    plan: ShardPlan, routes: Iterable[Route], events: Sequence[InputEvent], also: Mapping[str, str] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each output over all jobs of a plan, windows closed an hour later. `also` is where companies are on their way to."""
    assert plan.refusals == ()
    reference = [
        {
            "company_id": route.company_id,
            "database_name": route.database,
            "also_database": (also or {}).get(route.company_id),
        }
        for route in routes
        if route.active
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for shard in plan.shards:
        by_reference = shard.share.companies is None
        inputs: Mapping[str, Any] = {INPUT: "stream", **({REFERENCE: "reference"} if by_reference else {})}
        executor = Executor(compile_query(shard.query, inputs, shard.outputs))
        try:
            if by_reference:
                executor.set_reference(REFERENCE, reference)
            made = executor.process(list(events)) | executor.advance(NOON + timedelta(hours=1))
        finally:
            executor.close()
        for output in shard.outputs:
            found.setdefault(output, []).extend(rows(made, output))
    return found
