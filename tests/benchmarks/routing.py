"""10,000 companies in 500 databases: planned, rendered and read back, in both strategies. Promise: planned and rendered in under 1 s."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from lpmops.config import Column, Config, Routing
from lpmops.routing import deployed, job, shards
from lpmops.routing.job import Definition
from lpmops.routing.routes import Route
from lpmops.routing.shards import Settings, ShardPlan
from tests.services.worlds import environment

COMPANIES, DATABASES = 10_000, 500
COLUMNS = tuple(Column(f"column_{number:02}", "NVARCHAR(128)") for number in range(12))


def main() -> None:
    """Print the seconds of each, the best of five."""
    databases = [f"lpm-{number:03}" for number in range(DATABASES)]
    routes = [
        Route(f"company-{number:05}", f"Company {number}", databases[number % DATABASES]) for number in range(COMPANIES)
    ]
    place = environment("http://127.0.0.1:1")
    config = Config({place.name: place}, columns=COLUMNS)
    for strategy in ("reference", "query"):
        settings = Settings("asa-", strategy=strategy, columns=COLUMNS)
        plan = shards.plan(databases, settings, routes=routes)
        planned = _best(partial(shards.plan, databases, settings, routes=routes))
        definitions = {one.job: job.wished(config, place, one.share, one.consumer_group) for one in plan.shards}
        read = _best(partial(_read_back, plan, definitions))
        characters = sum(len(one.query) for one in plan.shards)
        print(
            f"{strategy:10} {len(plan.shards)} jobs, {characters:,} characters, the longest {max(len(one.query) for one in plan.shards):,}   "
            f"planned and rendered {planned:.3f} s   read back and compared {read:.3f} s   refusals {len(plan.refusals)}"
        )


def _read_back(plan: ShardPlan, definitions: Mapping[str, Definition]) -> None:
    deployed.drift(plan, {name: deployed.read(item, Routing()) for name, item in definitions.items()})


def _best(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)
