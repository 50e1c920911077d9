"""The job's way in: arguments, the session, and a stop on a signal. What ends it reaches the run's page as an exception whose message says why."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Sequence

from pyspark.sql import SparkSession

from . import replay, stream
from .arguments import StreamSettings, parse


def main(arguments: Sequence[str]) -> None:
    """Run what the arguments say until it is done or stopped. Raises ValueError for wrong arguments, JobError for what ended it."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = parse(arguments)
    stop = threading.Event()
    # A notebook's kernel keeps signals to itself; there a cancelled run is cut short, which the next run makes good.
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
    spark = SparkSession.builder.appName("lpmops stream job").getOrCreate()
    if isinstance(settings, StreamSettings):
        stream.run(spark, settings, stop)
    else:
        replay.run(spark, settings, stop)


if __name__ == "__main__":
    main(sys.argv[1:])
