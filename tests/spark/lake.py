"""A Delta table of call records that Spark itself writes, and what the suite does to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

COLUMNS = """
    tdr_id STRING, info_companyid STRING, call_id STRING, call_started_at TIMESTAMP, call_answered_at TIMESTAMP, call_ended_at TIMESTAMP,
    disposition STRING, duration_seconds DOUBLE, trunk STRING, queue STRING, caller_number STRING, caller_latitude DOUBLE, caller_longitude DOUBLE,
    sipreq STRUCT<method: STRING, request_uri: STRING, `from`: STRING, `to`: STRING, call_id: STRING, cseq: INT, via: ARRAY<STRING>,
        user_agent: STRING, geolocation: STRING, call_info: ARRAY<STRING>>
"""
_SIP = (
    "named_struct('method', 'INVITE', 'request_uri', 'urn:service:sos', 'from', 'sip:+12025550123@osp.example', 'to', 'urn:service:sos', "
    "'call_id', concat(id, '@osp.example'), 'cseq', 1, 'via', array('SIP/2.0/TLS 192.0.2.1:5061', concat('SIP/2.0/TLS 192.0.2.', number % 250)), "
    "'user_agent', 'BCF/5.4.1', 'geolocation', cast(null as string), 'call_info', array())"
)
_ROW = (
    "id AS tdr_id, company AS info_companyid, concat('call-', id) AS call_id, "
    "timestamp_micros(1772452800000000 + number * 1234567) AS call_started_at, cast(null AS timestamp) AS call_answered_at, "
    "cast(null AS timestamp) AS call_ended_at, 'in_progress' AS disposition, cast(null AS double) AS duration_seconds, "
    "concat('trunk-', number % 7) AS trunk, 'urn:queue:fire' AS queue, concat('+1-202-555-01', lpad(number % 100, 2, '0')) AS caller_number, "
    f"40.5 + number / 1000 AS caller_latitude, -74.25 AS caller_longitude, {_SIP} AS sipreq"
)


@dataclass(frozen=True)
class Lake:
    """One table in a folder."""

    spark: SparkSession
    path: Path

    @property
    def name(self) -> str:
        """As SQL names it."""
        return f"delta.`{self.path}`"

    def create(self, columns: str = COLUMNS, **properties: str) -> Lake:
        """Make it, its feed on; the commit times stand in the log unless told otherwise."""
        wanted = {"delta.enableChangeDataFeed": "true", "delta.enableInCommitTimestamps": "true"}
        wanted |= {name.replace("__", "."): value for name, value in properties.items()}
        listed = ", ".join(f"'{name}' = '{value}'" for name, value in wanted.items())
        self.spark.sql(f"CREATE TABLE {self.name} ({columns}) USING delta TBLPROPERTIES ({listed})")
        return self

    def sql(self, statement: str) -> None:
        """Run a statement; `{t}` is the table."""
        self.spark.sql(statement.replace("{t}", self.name))

    def rows(self, first: int, count: int, companies: int = 3) -> str:
        """A query of `count` new records, r<first> and on, of companies 1001 and on."""
        source = f"SELECT id AS number, concat('r', id) AS id, cast(1001 + id % {companies} AS string) AS company "
        source += f"FROM range({first}, {first + count})"
        return f"SELECT {_ROW} FROM ({source})"

    def insert(self, first: int, count: int, companies: int = 3) -> None:
        """Insert records in one commit."""
        self.sql(f"INSERT INTO {{t}} {self.rows(first, count, companies)}")

    def version(self) -> int:
        """The newest version."""
        return int(self.spark.sql(f"DESCRIBE HISTORY {self.name} LIMIT 1").collect()[0]["version"])

    def changes(self, first: int = 1, last: int | None = None) -> set[tuple[str, int, str]]:
        """The truth from the feed: (record, version, change type), preimages left out."""
        reader = self.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", first)
        feed = (reader if last is None else reader.option("endingVersion", last)).load(str(self.path))
        rows = feed.where("_change_type <> 'update_preimage'").select("tdr_id", "_commit_version", "_change_type")
        return {(row[0], row[1], row[2]) for row in rows.collect()}
