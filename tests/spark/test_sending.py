"""A batch on its way to a real broker: what fits is sent once and in order, what is too large is put aside before anything leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from lpmops.streamjob import failures, hub, source
from lpmops.streamjob.sending import Sender
from tests.spark.broker import Broker
from tests.spark.here import hub_of
from tests.spark.lake import Lake

Events = Callable[[], list[tuple[str, int, str]]]


@pytest.fixture
def sender(lake: Lake, broker: Broker, topic: str) -> Sender:
    sink = hub.options(hub_of(broker, topic), broker.connection_string)
    return Sender(sink, "tdr_id", "info_companyid", f"{lake.path}_quarantine", "suite", 2)


def test_a_batch_with_an_event_that_is_too_large_leaves_once_and_without_it(
    spark: SparkSession, lake: Lake, sender: Sender, events: Events
) -> None:
    lake.create()
    lake.insert(0, 200)
    lake.sql("UPDATE {t} SET duration_seconds = 1 WHERE tdr_id < 'r15'")
    # The newest of its part, so that whoever notices it only while sending has sent the others by then.
    lake.sql("UPDATE {t} SET queue = repeat('x', 1000001) WHERE tdr_id IN ('r1', 'r2')")
    last = lake.version()

    for times in (1, 2):
        sender.send(source.between(spark, str(lake.path), 1, last), 7)
        assert sorted(events()) == sorted(list(lake.changes(1, last - 1)) * times)
    versions = [version for record, version, _ in events() if record == "r10"]
    assert versions == [1, 2, 1, 2]
    quarantined = spark.read.format("delta").load(sender.quarantine).collect()
    assert sorted((row["tdr_id"], row["commit_version"]) for row in quarantined) == [("r1", last), ("r2", last)]


def test_what_the_hub_refuses_is_not_taken_for_an_event_that_is_too_large(
    spark: SparkSession, lake: Lake, sender: Sender, events: Events
) -> None:
    lake.create()
    lake.insert(0, 2)
    nowhere = Sender(
        {**sender.sink, "topic": "not-there", "kafka.max.block.ms": "500"},
        sender.record,
        sender.company,
        sender.quarantine,
        sender.application,
        sender.tasks,
    )

    with pytest.raises(failures.SPARK_ERRORS) as refused:
        nowhere.send(source.between(spark, str(lake.path), 1, 1), 1)
    assert failures.explain(refused.value).error_class == "HUB_UNREACHABLE"
    assert events() == []
