"""The stream on a clean run: everything once, each record's versions in order, and what lpmops reads of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from lpmops.model import StreamProgress
from lpmops.services.databricks import DatabricksService
from lpmops.services.transport import Transport
from lpmops.streamjob import stream
from tests.services.faulty_server import FaultyServer, Reply, Request, answer
from tests.services.worlds import SignedIn, environment
from tests.spark.broker import Broker
from tests.spark.driver import Driver
from tests.spark.lake import Lake

Events = Callable[[], list[tuple[str, int, str]]]


def read_by_lpmops(written: Path) -> StreamProgress | None:
    """What lpmops makes of the file that the job wrote."""

    def route(request: Request) -> Reply:
        is_there = request.path.endswith("/progress/tdr_stream.json")
        return answer(200, json.loads(written.read_text())) if is_there else answer(404, {"error_code": "NOT_FOUND"})

    with closing(FaultyServer()) as server:
        server.route = route
        world, transport = environment(server.url), Transport()
        return DatabricksService(world, transport, SignedIn(world, transport), 5.0).progress()


def table_id(lake: Lake) -> str:
    return str(lake.spark.sql(f"DESCRIBE DETAIL {lake.name}").collect()[0]["id"])


def test_a_history_that_is_slow_to_read_is_asked_for_less_often() -> None:
    assert stream.pause_after(0.01) == stream.pause_after(0.1) == 5.0
    assert stream.pause_after(2.0) == 40.0


def test_inserts_updates_deletes_and_merges_arrive_once_each_and_in_order(
    lake: Lake, driver: Driver, events: Events, broker: Broker, topic: str
) -> None:
    lake.create()
    lake.insert(0, 60)
    lake.sql("UPDATE {t} SET disposition = 'answered', call_answered_at = call_started_at WHERE tdr_id < 'r4'")
    driver.stream()
    driver.wait_for(lambda: driver.progress())
    lake.sql("DELETE FROM {t} WHERE tdr_id = 'r5'")
    lake.sql(
        f"MERGE INTO {{t}} AS target USING ({lake.rows(50, 20)}) AS source ON target.tdr_id = source.tdr_id "
        "WHEN MATCHED AND source.tdr_id = 'r51' THEN DELETE WHEN MATCHED THEN UPDATE SET disposition = 'ended' WHEN NOT MATCHED THEN INSERT *"
    )
    lake.sql("UPDATE {t} SET duration_seconds = 12.25")
    truth = lake.changes()
    driver.wait_for(lambda: len(events()) >= len(truth))
    driver.wait_for(lambda: (seen := read_by_lpmops(driver.progress_file)) and seen.version == lake.version())
    assert driver.stop() == 0, driver.log

    found = events()
    assert sorted(found) == sorted(truth)
    for record in {record for record, _, _ in found}:
        versions = [version for one, version, _ in found if one == record]
        assert all(earlier < later for earlier, later in pairwise(versions)), record
    progress = read_by_lpmops(driver.progress_file)
    assert progress is not None
    assert (progress.version, progress.table_id, progress.backlog_bytes) == (lake.version(), table_id(lake), 0)
    assert progress.batch is not None
    assert progress.batch_seconds is not None
    assert progress.processed_rate is not None
    received = broker.read(topic)
    assert {event.key for event in received} == {record for record, _, _ in truth} | {"heartbeat"}
