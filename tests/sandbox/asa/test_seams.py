"""The engine on the sandbox's own hub, and with the text that the product renders."""

from __future__ import annotations

import json
from pathlib import Path

from lpmops.config import Kpi, Routing
from lpmops.routing.query import job_query
from lpmops.sandbox.asa import JobDefinition, JobSettings, StreamingJob
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub.log import Hub
from lpmops.sandbox.hub.model import OutgoingEvent
from tests.sandbox.asa.kit import NOON, Table, record


def test_what_the_product_deploys_routes_what_the_hub_holds(tmp_path: Path) -> None:
    clock = Clock(start=NOON.timestamp(), speed=1e-9)
    hub = Hub(tmp_path / "hub", "tdr", 4, clock)
    tables = {name: Table() for name in ("lpm-01", "lpm-02", "unrouted", "heartbeat", "kpi")}
    routes = [{"company_id": "1001", "database_name": "lpm-01"}]
    query = job_query(["lpm-01", "lpm-02"], (), Routing(), Kpi())
    definition = JobDefinition(query, {"tdr-hub": hub}, dict(tables), {"route": lambda: routes})
    job = StreamingJob("asa", definition, clock, tmp_path / "job", settings=JobSettings(redelivery=0.0))

    job.start()
    clock.advance(10)
    for number in range(40):
        body = record(number, "1001" if number % 4 else "2002")
        hub.append([OutgoingEvent.of(json.dumps(body).encode(), key=f"tdr-{number}")])
        clock.advance(0.01)
    for _ in range(20):
        clock.advance(0.1)
        job.step()

    assert sorted(tables["lpm-01"].column("record_id")) == sorted(f"tdr-{number}" for number in range(40) if number % 4)
    assert len(tables["unrouted"].rows) == 10
    assert {row["hub_partition"] for row in tables["lpm-01"].rows} == {0, 1, 2, 3}
    job.close()
    hub.close()
