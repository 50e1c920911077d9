"""The stream on a clean run: everything once, each record's versions in order, and what lpmops reads of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from tests.spark.broker import Broker
from tests.spark.driver import Driver
from tests.spark.lake import Lake

Events = Callable[[], list[tuple[str, int, str]]]


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
    assert driver.stop() == 0, driver.log

    found = events()
    assert sorted(found) == sorted(truth)
    for record in {record for record, _, _ in found}:
        versions = [version for one, version, _ in found if one == record]
        assert all(earlier < later for earlier, later in pairwise(versions)), record
    received = broker.read(topic)
    assert {event.key for event in received} == {record for record, _, _ in truth} | {"heartbeat"}
