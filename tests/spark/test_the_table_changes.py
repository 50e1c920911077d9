"""The table changes under the stream: what can be followed is, and what cannot ends the run by Delta's class and in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from lpmops.streamjob.arguments import StreamSettings
from lpmops.streamjob.failures import JobError
from tests.spark.broker import Broker
from tests.spark.here import hub_of, running, settings_of
from tests.spark.lake import Lake

Events = Callable[[], list[tuple[str, int, str]]]
NARROW = "tdr_id STRING, info_companyid STRING, n INT"


@pytest.fixture
def settings(lake: Lake, broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch) -> StreamSettings:
    monkeypatch.setenv("HUB_SECRET", broker.connection_string)
    return settings_of(lake.path, hub_of(broker, topic))


def refusal(spark: SparkSession, settings: StreamSettings) -> JobError:
    """What ends a run of these settings."""
    with running(spark, settings) as run:
        error = run.ended()
    assert isinstance(error, JobError), error
    return error


def test_a_column_that_is_added_is_sent_by_the_run_that_is_under_way(
    spark: SparkSession, lake: Lake, settings: StreamSettings, events: Events, broker: Broker, topic: str
) -> None:
    lake.create(NARROW)
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    with running(spark, settings) as run:
        run.wait_for(lambda: len(events()) == 1)
        lake.sql("ALTER TABLE {t} ADD COLUMNS (extra STRING)")
        lake.sql("INSERT INTO {t} VALUES ('b', '1', 2, 'new')")
        run.wait_for(lambda: len(events()) == 2)
    bodies = {body["tdr_id"]: body for event in broker.read(topic) if "n" in (body := event.body)}
    assert "extra" not in bodies["a"]
    assert list(bodies["b"].items())[:4] == [("tdr_id", "b"), ("info_companyid", "1"), ("n", 2), ("extra", "new")]
    assert run.error is None


def test_a_renamed_column_is_refused_until_somebody_says_that_the_landing_tables_follow(
    spark: SparkSession, lake: Lake, settings: StreamSettings, events: Events, broker: Broker, topic: str
) -> None:
    lake.create(NARROW, delta__columnMapping__mode="name")
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    with running(spark, settings) as run:
        run.wait_for(lambda: len(events()) == 1)
        lake.sql("ALTER TABLE {t} RENAME COLUMN n TO m")
        lake.sql("INSERT INTO {t} VALUES ('b', '1', 2)")
        error = run.ended()
    assert isinstance(error, JobError)
    assert error.error_class == "DELTA_STREAMING_CANNOT_CONTINUE_PROCESSING_POST_SCHEMA_EVOLUTION"
    assert "'n' -> 'm'" in str(error)
    assert "--accept-schema-version 2" in str(error)
    assert len(events()) == 1

    with running(spark, settings_of(lake.path, settings.hub, accepted=2)) as run:
        run.wait_for(lambda: len(events()) == 2)
    assert {body["tdr_id"]: body.get("m") for event in broker.read(topic) if "tdr_id" in (body := event.body)} == {
        "a": None,
        "b": 2,
    }


def test_a_column_of_another_type_is_refused_and_nothing_after_it_is_sent(
    spark: SparkSession, lake: Lake, settings: StreamSettings, events: Events
) -> None:
    lake.create(NARROW)
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    with running(spark, settings) as run:
        run.wait_for(lambda: len(events()) == 1)
        rows = spark.sql("SELECT 'a' AS tdr_id, '1' AS info_companyid, 'one' AS n")
        rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(str(lake.path))
        error = run.ended()
    assert isinstance(error, JobError)
    assert error.error_class.startswith("DELTA_SCHEMA_CHANGED")
    assert "A column was renamed, dropped or changed its type" in str(error)
    assert len(events()) == 1


def test_a_range_that_was_vacuumed_is_refused(spark: SparkSession, lake: Lake, settings: StreamSettings) -> None:
    lake.create(NARROW)
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    lake.sql("UPDATE {t} SET n = 2")
    lake.sql("VACUUM {t} RETAIN 0 HOURS")
    error = refusal(spark, settings)
    assert error.error_class == "DELTA_CHANGE_DATA_FILE_NOT_FOUND"
    assert "vacuumed" in str(error)


def test_versions_without_a_feed_are_refused(spark: SparkSession, lake: Lake, settings: StreamSettings) -> None:
    lake.create(NARROW, delta__enableChangeDataFeed="false")
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    lake.sql("ALTER TABLE {t} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    lake.sql("INSERT INTO {t} VALUES ('b', '1', 1)")
    error = refusal(spark, settings)
    assert error.error_class == "DELTA_MISSING_CHANGE_DATA"
    assert "delta.enableChangeDataFeed = true" in str(error)


def test_a_table_that_was_made_anew_is_refused(
    spark: SparkSession, lake: Lake, settings: StreamSettings, events: Events
) -> None:
    lake.create(NARROW)
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    with running(spark, settings) as run:
        run.wait_for(lambda: len(events()) == 1)
    shutil.rmtree(lake.path)
    lake.create(NARROW)
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    assert refusal(spark, settings).error_class == "DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE"
    assert len(events()) == 1


def test_a_new_checkpoint_without_a_starting_version_is_refused(
    spark: SparkSession, lake: Lake, settings: StreamSettings, events: Events
) -> None:
    lake.create(NARROW)
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    error = refusal(spark, settings_of(lake.path, settings.hub, starting_version=None))
    assert error.error_class == "STARTING_VERSION_NEEDED"
    assert events() == []


def test_a_starting_version_that_is_not_there_yet_is_refused(
    spark: SparkSession, lake: Lake, settings: StreamSettings
) -> None:
    lake.create(NARROW)
    error = refusal(spark, settings_of(lake.path, settings.hub, starting_version=99))
    assert error.error_class == "DELTA_VERSION_NOT_FOUND"


def test_a_hub_that_refuses_the_sign_in_is_named(
    spark: SparkSession, lake: Lake, settings: StreamSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.create(NARROW)
    lake.sql("INSERT INTO {t} VALUES ('a', '1', 1)")
    monkeypatch.setenv("HUB_SECRET", "Endpoint=sb://127.0.0.1/;SharedAccessKeyName=send;SharedAccessKey=wrong")
    error = refusal(spark, settings)
    assert error.error_class == "HUB_REFUSED_SIGN_IN"
    assert "wrong" not in str(error)
