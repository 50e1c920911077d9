"""Spark for the suite: small, on loopback, with Delta and Kafka from jars; the settings reach drivers in other processes through a folder."""

from __future__ import annotations

import os
from pathlib import Path

from tests.spark.broker import PASSWORD

_LOG4J = """
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n%ex{3}
"""


def jars() -> Path:
    """Where `make test-spark` put the jars."""
    return Path(os.environ.get("LPMOPS_TEST_JARS", Path(__file__).parents[2] / ".venv" / "jars"))


def configure(folder: Path, truststore: Path, memory: str = "1g", more: str = "-XX:TieredStopAtLevel=1") -> None:
    """Write the settings of every session started with SPARK_CONF_DIR on this folder; short runs are quicker with the first compiler alone."""
    folder.mkdir(parents=True, exist_ok=True)
    trust = f"-Djavax.net.ssl.trustStore={truststore} -Djavax.net.ssl.trustStorePassword={PASSWORD}"
    settings = {
        "spark.master": "local[2]",
        "spark.jars": ",".join(str(path) for path in sorted((jars() / "engine").glob("*.jar"))),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"{trust} -XX:+UseSerialGC {more} -Dderby.system.home={folder}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
    }
    text = "".join(f"{name} {value}\n" for name, value in settings.items())
    (folder / "spark-defaults.conf").write_text(text)
    (folder / "log4j2.properties").write_text(_LOG4J)
