"""A configuration and a store as an operator's machine has them, for commands that answer without a network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lpmops import config_reader, paths
from lpmops.cli import sandbox_setup
from lpmops.model import STAGES, Health, Kind, Latency, Percentiles, Reading, Route, Snapshot, Stage
from lpmops.store import snapshots
from lpmops.store.connection import open_store


def write_config(path: Path) -> None:
    """A configuration of three environments at `path`."""
    text = sandbox_setup.render_config(path.parent, sandbox_setup.Wish(port=27400))
    path.write_text(
        "\n".join(line for line in text.splitlines() if not line.startswith("state_directory")), encoding="utf-8"
    )


def snapshot(name: str, companies: int = 12) -> Snapshot:
    """An environment on a good day."""
    now = datetime.now(UTC)
    readings = (Reading("events", 1_000, "events", now, "sample"),)
    stages = {stage: Stage(stage, Health.HEALTHY, "running", lag=2.0, rate=94.0, readings=readings) for stage in STAGES}
    hops = {"commit_to_sent": Percentiles(3.0, 4.0, 5.0)}
    routes = tuple(
        Route(str(1001 + number), f"Company {number}", "lpm-01", "flowing", 1_000, 12.0, now, 6.0)
        for number in range(companies)
    )
    base = Snapshot(name, Kind.DEV, now, Health.HEALTHY, stages, Latency(4.0, 6.0, 8.0, 900, hops), routes)
    return replace(base, kind=Kind(name))


def write_store(folder: Path, config: Path) -> None:
    """A store in `folder` with one snapshot of each environment of the configuration."""
    environments = config_reader.read(config).environments
    folder.mkdir(parents=True, exist_ok=True)
    store = open_store(folder / paths.STORE_NAME)
    for name in environments:
        snapshots.save(store, snapshot(name))
    store.close()
