"""One broker and one Spark session for the suite; each story has its own table, topic and driver."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.spark import engine
from tests.spark.broker import Broker
from tests.spark.driver import Driver
from tests.spark.lake import Lake


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    started = Broker(tmp_path_factory.mktemp("broker"), engine.jars() / "broker")
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def conf(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Path:
    folder = tmp_path_factory.mktemp("conf")
    engine.configure(folder, broker.truststore)
    return folder


@pytest.fixture(scope="session")
def spark(conf: Path) -> Iterator[SparkSession]:
    os.environ["SPARK_CONF_DIR"] = str(conf)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    yield session
    session.stop()


@pytest.fixture
def topic(broker: Broker) -> str:
    name = f"hub-{uuid.uuid4()}"
    broker.create(name)
    return name


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, tmp_path / "tdr_streaming")


@pytest.fixture
def driver(tmp_path: Path, conf: Path, broker: Broker, topic: str, lake: Lake) -> Iterator[Driver]:
    made = Driver(tmp_path, conf, broker, topic, lake.path)
    yield made
    made.kill()


@pytest.fixture
def events(broker: Broker, topic: str) -> Callable[[], list[tuple[str, int, str]]]:
    """The changes in the hub as (record, version, change type), each partition's in order."""

    def read() -> list[tuple[str, int, str]]:
        bodies = [event.body for event in broker.read(topic)]
        return [
            (body["tdr_id"], body["_commit_version"], body["_change_type"])
            for body in bodies
            if body["_change_type"] != "heartbeat"
        ]

    return read
