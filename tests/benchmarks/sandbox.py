"""The sandbox's own speed: commit to landed row at 1,000 changes a second, and where more no longer helps. Promise: p99 under 2 s."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from lpmops.cli.sandbox_setup import Wish
from lpmops.config import Config
from lpmops.control import latency
from lpmops.services.cloud import open_environment
from lpmops.store.marks import Histogram
from tests.sandboxes import running_sandbox

WARM_UP, MEASURED = 20.0, 30.0


def main() -> None:
    """Print latency percentiles at each rate of prod; the other two environments run beside it at their shares."""
    rates = [float(rate) for rate in sys.argv[2:]] or [1_000.0, 1_500.0, 2_000.0]
    for rate in rates:
        with running_sandbox(Wish(port=0, companies=100, rate=rate)) as (_, config):
            time.sleep(WARM_UP + MEASURED)
            landed = histogram_of(config, MEASURED)
        events = sum(landed.values())
        p50, p99 = (latency.percentile(landed, share) or float("nan") for share in (0.5, 0.99))
        wanted = f"{rate:7,.0f}/s in prod, {rate * 1.6:7,.0f}/s in all"
        print(f"{wanted}   landed in prod {events / MEASURED:7,.0f}/s   p50 {p50:5.2f} s   p99 {p99:5.2f} s")


def histogram_of(config: Config, seconds: float) -> Histogram:
    """How long each record that landed in prod within the last `seconds` took from commit to row, read from the databases themselves."""
    environment = config.environments["prod"]
    services = open_environment(environment, deadline=60.0)
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    found: Counter[int] = Counter()
    try:
        for database in environment.sql.databases:
            for row in services.sql.rows(database, "landed_since", (since.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],)):
                if row["measure"] == "total":
                    found[row["bucket"]] += row["events"]
    finally:
        services.close()
    return found
