"""The pretend cloud with two live Stream Analytics jobs of one prefix, each with a database of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lpmops.config import Environment
from lpmops.model import to_data
from lpmops.routing import job as definitions
from tests.actions.cloud import JOB, START, Cloud, Trouble, config, environment, quiet

SECOND = "asa-lpm-tdr-prod-02"


def shared() -> Environment:
    """An environment whose databases are spread over two jobs."""
    place = environment()
    return replace(place, sql=replace(place.sql, databases=("lpm-01", "lpm-02")))


class TwoJobs(Cloud):
    """Both jobs run, and are as the configuration asks for."""

    def __init__(self, folder: Path, place: Environment | None = None, *, trouble: Trouble = quiet) -> None:
        super().__init__(folder, place or shared(), trouble=trouble)
        if not self.get(SECOND):
            self.put(JOB, **_as_asked_for(self.environment, "lpm-01", "asa-01"))
            self.put(
                SECOND,
                resource_id=self.get(JOB)["resource_id"].replace(JOB, SECOND),
                state="Running",
                mode="JobStartTime",
                started_at=to_data(START),
                last_output_at=to_data(START),
                **_as_asked_for(self.environment, "lpm-02", "asa-02"),
            )


def _as_asked_for(place: Environment, database: str, group: str) -> dict[str, Any]:
    made = definitions.wished(config(place), place, (database,), group)
    return {
        "query": made.query,
        "inputs": made.inputs,
        "outputs": made.outputs,
        "settings": made.settings,
        "streaming_units": float(made.streaming_units),
    }
