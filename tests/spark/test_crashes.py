"""What breaks meanwhile: the driver killed at any moment, the broker away. Nothing is lost, and what repeats is equal to what was there."""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from pyspark.sql import SparkSession

from tests.spark.broker import Broker
from tests.spark.driver import Driver
from tests.spark.lake import Lake

Events = Callable[[], list[tuple[str, int, str]]]
KILLS = 4


def planned_and_unfinished(driver: Driver) -> bool:
    """Whether a batch is under way: planned in the checkpoint, not finished there."""

    def newest(kind: str) -> int:
        folder = driver.checkpoint / kind
        return max((int(one.name) for one in folder.glob("[0-9]*")), default=-1) if folder.exists() else -1

    return newest("offsets") > newest("commits")


def test_a_driver_killed_at_any_moment_loses_nothing(lake: Lake, driver: Driver, events: Events) -> None:
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    lake.create()
    lake.insert(0, 40)
    for kill in range(KILLS):
        driver.stream()
        if kill % 2:
            # Anywhere, the start included.
            threading.Event().wait(chance.uniform(0.5, 12.0))
        else:
            lake.sql("UPDATE {t} SET duration_seconds = coalesce(duration_seconds, 0) + 1")
            driver.wait_for(lambda: planned_and_unfinished(driver))
            threading.Event().wait(chance.uniform(0.0, 0.8))
        driver.kill()
        lake.insert(100 * (kill + 1), 20)
    driver.stream()
    truth = lake.changes()
    driver.wait_for(lambda: set(events()) >= truth)
    driver.wait_for(lambda: not planned_and_unfinished(driver))
    assert driver.stop() == 0, driver.log

    found = events()
    assert set(found) == truth
    assert max(Counter(found).values()) <= KILLS + 1
    first_seen = list(dict.fromkeys(found))
    for record in {record for record, _, _ in found}:
        versions = [version for one, version, _ in first_seen if one == record]
        assert all(earlier < later for earlier, later in pairwise(versions)), record

    # A clean stop leaves nothing to be sent again.
    lake.insert(1000, 5)
    driver.stream(None)
    driver.wait_for(lambda: set(events()) >= lake.changes())
    assert driver.stop() == 0, driver.log
    assert len(events()) == len(found) + 5


def test_a_broker_that_goes_away_and_comes_back_is_waited_for(
    lake: Lake, driver: Driver, events: Events, broker: Broker
) -> None:
    lake.create()
    lake.insert(0, 10)
    driver.stream()
    driver.wait_for(lambda: set(events()) >= lake.changes())
    broker.stop(signal.SIGKILL)
    try:
        lake.sql("UPDATE {t} SET disposition = 'ended'")
        lake.insert(100, 10)
        driver.wait_for(lambda: planned_and_unfinished(driver))
    finally:
        broker.start()
    driver.wait_for(lambda: set(events()) >= lake.changes())
    assert driver.stop() == 0, driver.log
    assert set(events()) == lake.changes()


def test_an_oversized_record_is_put_aside_once_and_holds_up_nothing(
    spark: SparkSession, lake: Lake, driver: Driver, events: Events
) -> None:
    lake.create()
    lake.insert(0, 4)
    lake.sql("UPDATE {t} SET queue = repeat('x', 1000001) WHERE tdr_id = 'r1'")
    lake.sql(f"INSERT INTO {{t}} SELECT {', '.join(['null'] * 14)}")
    lake.insert(10, 4)
    quarantine = lake.path.with_name(lake.path.name + "_quarantine")
    driver.stream()
    driver.wait_for(lambda: (quarantine / "_delta_log").exists())
    driver.kill()
    driver.stream()
    driver.wait_for(lambda: {("r13", 4, "insert")} <= set(events()))
    driver.wait_for(lambda: not planned_and_unfinished(driver))
    assert driver.stop() == 0, driver.log

    assert set(events()) == lake.changes() - {("r1", 2, "update_postimage")}
    [row] = spark.read.format("delta").load(str(quarantine)).collect()
    assert (row["tdr_id"], row["commit_version"], row["change_type"]) == ("r1", 2, "update_postimage")
    assert row["size_bytes"] > 1_000_000
    assert row["record"].startswith('{"tdr_id":"r1"')
