"""The stream in the suite's own session, for stories that need no process to kill."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lpmops.streamjob import stream
from lpmops.streamjob.arguments import StreamSettings
from lpmops.streamjob.hub import Hub
from tests.spark.broker import Broker, wait_until


@dataclass
class Run:
    """A run on a thread; `error` is what ended it."""

    thread: threading.Thread | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def wait_for(self, seen: Callable[[], Any], seconds: float = 600.0) -> Any:
        """Wait until it is so while the run goes on; what ended the run is raised."""

        def check() -> Any:
            found = seen()
            if not found and self.error is not None:
                raise self.error
            return found

        return wait_until(check, seconds, "the run goes on")

    def ended(self, seconds: float = 600.0) -> Exception | None:
        """What ended the run."""
        assert self.thread is not None
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "the run goes on"
        return self.error


def hub_of(broker: Broker, topic: str) -> Hub:
    """The way into a topic; the secret is in the environment."""
    return Hub(broker.secure, topic, "sas", "env:HUB_SECRET")


def settings_of(table: Path, hub: Hub, starting_version: int | None = 1, accepted: int | None = None) -> StreamSettings:
    """A stream of a table, its checkpoint beside it."""
    return StreamSettings(
        table=str(table),
        record="tdr_id",
        company="info_companyid",
        quarantine=f"{table}_quarantine",
        hub=hub,
        tasks=2,
        checkpoint=str(table.parent / "volume" / "checkpoint"),
        starting_version=starting_version,
        accepted_schema_version=accepted,
        trigger_seconds=0,
    )


@contextmanager
def running(spark: SparkSession, settings: StreamSettings) -> Iterator[Run]:
    """A run that is stopped with the block."""
    run = Run()

    def work() -> None:
        try:
            stream.run(spark, settings, run.stop)
        except Exception as error:  # noqa: BLE001  # the story reads it
            run.error = error

    run.thread = threading.Thread(target=work, daemon=True)
    run.thread.start()
    try:
        yield run
    finally:
        run.stop.set()
        run.thread.join(600)
        assert not run.thread.is_alive()
