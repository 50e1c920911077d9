"""The replay: the same events again, bounded, marked and paced; whatever it repeats lands once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lpmops.streamjob import replay
from lpmops.streamjob.arguments import ReplaySettings
from lpmops.streamjob.failures import JobError
from tests.spark.broker import Broker
from tests.spark.driver import Driver
from tests.spark.here import hub_of
from tests.spark.lake import Lake

Events = Callable[[], list[tuple[str, int, str]]]


@pytest.fixture
def settings(lake: Lake, broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch) -> ReplaySettings:
    """A replay of versions 2 to 4 of a table with 5, all of whose records change in each."""
    monkeypatch.setenv("HUB_SECRET", broker.connection_string)
    lake.create()
    lake.insert(0, 30)
    for _ in range(4):
        lake.sql("UPDATE {t} SET duration_seconds = coalesce(duration_seconds, 0) + 1")
    return ReplaySettings(
        table=str(lake.path),
        record="tdr_id",
        company="info_companyid",
        quarantine=f"{lake.path}_quarantine",
        hub=hub_of(broker, topic),
        tasks=2,
        replay_id="r-1",
        first=2,
        last=4,
        companies=(),
        rate=1000,
        chunk=2,
        folder=str(lake.path.parent / "replays"),
    )


def document(settings: ReplaySettings) -> dict[str, Any]:
    """What the replay wrote down."""
    found = json.loads((Path(settings.folder) / f"{settings.replay_id}.json").read_text())
    assert isinstance(found, dict)
    return found


def test_a_replay_sends_its_versions_once_in_order_and_marked(
    spark: SparkSession, settings: ReplaySettings, lake: Lake, events: Events, broker: Broker, topic: str
) -> None:
    replay.run(spark, settings, threading.Event())
    found = events()
    assert sorted(found) == sorted(lake.changes(2, 4))
    for record in {record for record, _, _ in found}:
        versions = [version for one, version, _ in found if one == record]
        assert all(earlier < later for earlier, later in pairwise(versions))
    bodies = [event.body for event in broker.read(topic)]
    assert {body["_replay_id"] for body in bodies} == {"r-1"}
    assert document(settings) == {
        "id": "r-1",
        "state": "done",
        "table": settings.table,
        "from_version": 2,
        "to_version": 4,
        "companies": [],
        "chunks": [
            {"n": 0, "from_version": 2, "to_version": 3, "rows": 60, "quarantined": 0, "state": "done"},
            {"n": 1, "from_version": 4, "to_version": 4, "rows": 30, "quarantined": 0, "state": "done"},
        ],
        "error": "",
    }

    # Again under its id sends nothing; overlapping under another sends equal events.
    replay.run(spark, settings, threading.Event())
    assert len(events()) == len(found)
    replay.run(spark, replace(settings, replay_id="r-2", first=3, last=5), threading.Event())
    assert Counter(events()) == Counter(found) + Counter(lake.changes(3, 5))


def test_a_replay_of_some_companies_sends_no_others(
    spark: SparkSession, settings: ReplaySettings, lake: Lake, broker: Broker, topic: str
) -> None:
    hostile = "x' OR 1=1 --"
    lake.spark.sql(f"UPDATE {lake.name} SET info_companyid = :odd WHERE tdr_id = 'r7'", args={"odd": hostile})
    replay.run(spark, replace(settings, companies=(hostile, "1002"), last=6), threading.Event())
    bodies = [event.body for event in broker.read(topic)]
    assert {body["info_companyid"] for body in bodies} == {hostile, "1002"}
    assert [body["tdr_id"] for body in bodies if body["info_companyid"] == hostile] == ["r7"]


def test_a_replay_is_no_faster_than_its_rate(
    spark: SparkSession, settings: ReplaySettings, broker: Broker, topic: str
) -> None:
    replay.run(spark, replace(settings, rate=15, last=2), threading.Event())
    received = sorted(broker.read(topic), key=lambda event: event.at_ms)
    assert len(received) == 30
    assert received[15].at_ms - received[14].at_ms >= 1000


def test_a_replay_that_is_killed_goes_on_where_it_was(
    settings: ReplaySettings, driver: Driver, lake: Lake, events: Events
) -> None:
    path = driver.folder / "volume" / "replays" / "r-9.json"
    arguments = ("r-9", 1, 5, "--rate=10", "--chunk-versions=1")
    driver.replay(*arguments)
    driver.wait_for(lambda: path.exists() and '"done"' in path.read_text())
    driver.kill()
    done = [chunk for chunk in json.loads(path.read_text())["chunks"] if chunk["state"] == "done"]
    driver.replay(*arguments)
    assert driver.ended() == 0, driver.log
    assert json.loads(path.read_text())["state"] == "done"
    found = Counter(events())
    assert set(found) == lake.changes()
    assert max(found.values()) <= 2
    assert {found[one] for one in lake.changes() if one[1] <= len(done)} == {1}


def test_what_cannot_be_replayed_is_refused_before_anything_is_sent(
    spark: SparkSession, settings: ReplaySettings, lake: Lake, events: Events
) -> None:
    with pytest.raises(JobError, match="REPLAY_RANGE_NOT_THERE"):
        replay.run(spark, replace(settings, last=99), threading.Event())
    lake.sql("VACUUM {t} RETAIN 0 HOURS")
    with pytest.raises(JobError, match="DELTA_CHANGE_DATA_FILE_NOT_FOUND"):
        replay.run(spark, settings, threading.Event())
    assert document(settings)["state"] == "failed"
    assert "vacuumed" in document(settings)["error"]
    with pytest.raises(JobError, match="REPLAY_ID_TAKEN"):
        replay.run(spark, replace(settings, companies=("1001",)), threading.Event())
    assert events() == []


def test_a_replay_that_is_stopped_says_so_and_goes_on_later(
    spark: SparkSession, settings: ReplaySettings, lake: Lake, events: Events
) -> None:
    stop = threading.Event()
    stop.set()
    replay.run(spark, settings, stop)
    assert (document(settings)["state"], events()) == ("stopped", [])
    replay.run(spark, settings, threading.Event())
    assert document(settings)["state"] == "done"
    assert set(events()) == lake.changes(2, 4)
