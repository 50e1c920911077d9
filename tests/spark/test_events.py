"""One contract: for the same Delta table, the events of this job and of the sandbox's stand-in are equal, field by field and in their order."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lpmops.control import streamfailures
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake import errors, log
from lpmops.sandbox.lake import events as stand_in
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.job_words import explained
from lpmops.sandbox.lake.records import CallRecords, companies_of
from lpmops.sandbox.lake.replay import Replay
from lpmops.sandbox.lake.table import OPERATION, ChangeTable
from lpmops.streamjob import events, failures, replay, source
from tests.spark.lake import Lake

SENT = datetime(2026, 3, 2, 12, 0, 0, 123456, UTC)
ODD = 'it\'s "odd" \\ / \x01 \u2028 {} ; DROP TABLE ünï 🚑 <&>'
_DIVIDED = re.compile(r"incompatible (?:schema change|data schema) at version (\d+)")
Event = tuple[str | None, list[tuple[str, Any]]]


def of_the_job(spark: SparkSession, table: Path, first: int, last: int, replay_id: str | None = None) -> list[Event]:
    """Key and fields, in the fields' order, of what the job makes of these versions."""
    made = made_by_the_job(spark, table, first, last, replay_id)
    return sorted_(event(row["key"], row["value"]) for row in made.where(~events.is_too_large()).collect())


def made_by_the_job(spark: SparkSession, table: Path, first: int, last: int, replay_id: str | None = None) -> DataFrame:
    rows = events.changes(source.between(spark, str(table), first, last), "info_companyid")
    return events.in_order(events.outgoing(rows, "tdr_id", "info_companyid", SENT, replay_id), 2)


def of_the_stand_in(table: ChangeTable, first: int, last: int, replay_id: str | None = None) -> list[Event]:
    """The same of what the stand-in makes of them."""
    made, _ = stand_in.EventWriter().write(table.changes(first, last), SENT, replay_id)
    return sorted_(event(one.key, one.body.decode()) for one in made)


def event(key: str | None, body: str) -> Event:
    return key, list(json.loads(body).items())


def sorted_(made: Iterable[Event]) -> list[Event]:
    return sorted(made, key=lambda one: (one[0] or "", json.dumps(one[1])))


def opened(path: Path) -> ChangeTable:
    return ChangeTable(path, "lpm_dev.gold.tdr_streaming", Clock())


def test_a_table_that_spark_writes_gives_both_the_same_events(spark: SparkSession, lake: Lake) -> None:
    lake.create()
    lake.insert(0, 20)
    lake.sql(
        "UPDATE {t} SET disposition = 'answered', call_answered_at = timestamp_micros(1772452801000001) WHERE tdr_id < 'r15'"
    )
    lake.sql("UPDATE {t} SET sipreq = null, duration_seconds = 1e-7, caller_latitude = -0.0 WHERE tdr_id = 'r3'")
    lake.spark.sql(f"UPDATE {lake.name} SET queue = :odd WHERE tdr_id = 'r4'", args={"odd": ODD})
    lake.sql(
        "UPDATE {t} SET info_companyid = null, tdr_id = null, duration_seconds = 123456789012.5 WHERE tdr_id = 'r5'"
    )
    lake.sql(f"INSERT INTO {{t}} SELECT {', '.join(['null'] * 14)}")
    lake.sql(
        f"MERGE INTO {{t}} AS target USING ({lake.rows(15, 10)}) AS source ON target.tdr_id = source.tdr_id "
        "WHEN MATCHED AND source.tdr_id = 'r16' THEN DELETE WHEN MATCHED THEN UPDATE SET disposition = 'ended' WHEN NOT MATCHED THEN INSERT *"
    )
    lake.sql("DELETE FROM {t} WHERE tdr_id < 'r12'")
    last = lake.version()

    job = of_the_job(spark, lake.path, 1, last)
    assert job == of_the_stand_in(opened(lake.path), 1, last)
    assert {dict(fields)["_change_type"] for _, fields in job} == {"insert", "update_postimage", "delete"}
    assert ODD in {dict(fields)["queue"] for _, fields in job}
    assert None in {key for key, _ in job}
    assert of_the_job(spark, lake.path, 2, 3, "r-1") == of_the_stand_in(opened(lake.path), 2, 3, "r-1")


def test_a_table_that_the_sandbox_writes_gives_both_the_same_events(spark: SparkSession, tmp_path: Path) -> None:
    clock = Clock(start=1_800_000_000.0)
    table = ChangeTable.create(tmp_path / "tdr_streaming", "lpm_dev.gold.tdr_streaming", clock)
    records = CallRecords(7, companies_of(5), mean_call_seconds=3.0)
    for _ in range(6):
        clock.advance(2.0)
        made = records.next_changes(80, clock.now())
        parts = {"insert": made.inserts, "update": made.updates, "delete": made.deletes}
        for operation, rows in parts.items():
            if rows.num_rows and operation == "insert":
                table.insert(rows)
            elif rows.num_rows:
                import pyarrow as pa

                table.merge(rows.append_column(OPERATION, pa.repeat(pa.scalar(operation), rows.num_rows)))
    last = table.latest_version()
    # Without in-commit timestamps as a table feature, Delta takes a commit's time from its file.
    for version in range(last + 1):
        seconds = log.commit_ms(table.folder, version) / 1000
        os.utime(log.commit_path(table.folder, version), (seconds, seconds))

    job = of_the_job(spark, table.folder, 1, last)
    assert job == of_the_stand_in(table, 1, last)
    assert len(job) > 400


def test_a_replay_of_both_goes_in_the_same_slices(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    lake.create()
    lake.insert(0, 20)
    lake.sql(
        f"MERGE INTO {{t}} AS target USING ({lake.rows(15, 10)}) AS source ON target.tdr_id = source.tdr_id "
        "WHEN MATCHED AND source.tdr_id IN ('r16', 'r19') THEN DELETE WHEN MATCHED THEN UPDATE SET disposition = 'ended' "
        "WHEN NOT MATCHED THEN INSERT *"
    )
    lake.sql("UPDATE {t} SET tdr_id = null WHERE tdr_id IN ('r1', 'r11')")
    table, last = opened(lake.path), lake.version()

    rows = events.changes(source.between(spark, str(lake.path), 1, last), "info_companyid", ["1001", "1002"])
    job: dict[int, list[tuple[Any, ...]]] = {}
    for row in replay.in_slices(rows, "tdr_id", 7).collect():
        job.setdefault(row["_slice"], []).append((row["_commit_version"], row["_change_type"], row["tdr_id"] or ""))
    stand_ins: list[list[tuple[Any, ...]]] = []

    def send(sent: Sequence[stand_in.OutgoingEvent]) -> None:
        bodies = [json.loads(one.body) for one in sent]
        stand_ins.append([(body["_commit_version"], body["_change_type"], body["tdr_id"] or "") for body in bodies])

    asked = [
        *(
            "replay",
            f"--table={table.full_name}",
            "--namespace=lpm.example",
            "--hub=tdr",
            "--sign-in=service-credential",
        ),
        *("--credential=lpm", "--replay-id=r1", "--from-version=1", f"--to-version={last}", "--folder=/replays"),
        *("--company=1001", "--company=1002", "--rate=7"),
    ]
    fast = Clock(speed=2_000.0)
    Replay(asked, table, send, lambda _: None, lambda path: tmp_path / path.lstrip("/"), fast).run(threading.Event())
    assert len(stand_ins) > 3
    assert [sorted(one) for one in stand_ins] == [sorted(job[number]) for number in range(len(job))]


def test_both_read_and_refuse_the_same_ranges_around_columns_that_come_and_go(spark: SparkSession, lake: Lake) -> None:
    lake.create()
    lake.insert(0, 2)
    lake.sql("ALTER TABLE {t} ADD COLUMN priority STRING")
    mapped = "'delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5'"
    lake.sql(f"ALTER TABLE {{t}} SET TBLPROPERTIES ({mapped})")
    lake.sql("ALTER TABLE {t} DROP COLUMN trunk")
    lake.sql("UPDATE {t} SET priority = 'high'")
    lake.sql("ALTER TABLE {t} DROP COLUMN queue")
    table, last = opened(lake.path), lake.version()

    def of_the_job(first: int, end: int) -> str:
        try:
            source.between(spark, str(lake.path), first, end).collect()
        except failures.SPARK_ERRORS as error:
            return f"{failures.error_class(error)} {_DIVIDED.findall(str(error))}"
        return "read"

    def of_the_stand_in(first: int, end: int) -> str:
        try:
            table.ranges.checked(first, end)
        except DeltaFeedError as error:
            return f"{error.error_class} {_DIVIDED.findall(str(error))}"
        return "read"

    asked = [(first, end) for first in range(1, last + 1) for end in range(first, last + 1)]
    found = {each: of_the_job(*each) for each in asked}
    assert {each: of_the_stand_in(*each) for each in asked} == found
    assert len({answer.partition(" ")[0] for answer in found.values()}) == 3


def test_both_say_the_same_of_a_range_that_can_not_be_read() -> None:
    for error in (
        errors.missing_change_data(1, 9, 3),
        errors.change_file_not_found("_change_data/cdc-0.parquet"),
        errors.start_after_latest(9, 3),
        errors.invalid_range(9, 3),
        errors.version_not_found(1, 5, 9),
        errors.incompatible_schema_change(1, 9, "{}", 9, 4),
        errors.incompatible_data_schema(1, 9, "{}", 9, 1),
    ):
        assert explained(error) == str(failures.explain(RuntimeError(str(error))))


def test_each_class_that_the_job_explains_has_a_remedy_in_the_diagnosis() -> None:
    # A stream has no last version.
    known = {*failures._WORDS, failures.NEEDS_CONSENT, *failures.RESTARTS} - {"DELTA_INVALID_CDC_RANGE"}
    assert known <= set(streamfailures.BY_CLASS)


def test_what_is_too_large_is_put_aside_by_both_in_the_same_words(spark: SparkSession, lake: Lake) -> None:
    lake.create()
    lake.insert(0, 3)
    base = len(made_by_the_job(spark, lake.path, 1, 1).where("key = 'r1'").collect()[0]["value"].encode())
    fits = events.EVENT_BYTES_AT_MOST - base + len(b"urn:queue:fire")
    lake.sql(
        f"UPDATE {{t}} SET queue = repeat('x', {fits - len('update_postimage') + len('insert')}) WHERE tdr_id = 'r1'"
    )
    lake.sql(f"UPDATE {{t}} SET queue = repeat('é', {events.EVENT_BYTES_AT_MOST // 2}) WHERE tdr_id = 'r2'")
    last = lake.version()

    made = made_by_the_job(spark, lake.path, 2, last)
    [kept] = made.where(~events.is_too_large()).collect()
    assert (kept["key"], kept["size"]) == ("r1", events.EVENT_BYTES_AT_MOST)
    [row] = events.quarantined(made, SENT).collect()
    sent, [oversized] = stand_in.EventWriter().write(opened(lake.path).changes(2, last), SENT)
    assert [one.key for one in sent] == ["r1"]
    assert (row["tdr_id"], row["info_companyid"], row["change_type"], row["commit_version"], row["size_bytes"]) == (
        oversized.tdr_id,
        oversized.company_id,
        oversized.change_type,
        oversized.commit_version,
        oversized.size,
    )
    assert json.loads(row["record"]) == json.loads(oversized.record)
    assert row["reason"] == "the event is larger than 1000000 bytes"


def test_a_record_id_that_no_key_can_hold_is_put_aside(spark: SparkSession, lake: Lake) -> None:
    lake.create("tdr_id STRING, info_companyid STRING")
    lake.sql("INSERT INTO {t} VALUES (repeat('k', 30000), '1001'), (repeat('k', 30001), '1002'), (null, null)")

    made = made_by_the_job(spark, lake.path, 1, 1)
    assert [row["reason"] for row in events.quarantined(made, SENT).collect()] == [
        "the record id is larger than 30000 bytes"
    ]
    assert made.where(~events.is_too_large()).count() == 2


def test_a_heartbeat_is_the_stand_ins(spark: SparkSession) -> None:
    committed = SENT - timedelta(seconds=4)
    key, body = events.heartbeat(SENT, 12, committed)
    other = stand_in.heartbeat(SENT, 12, committed)
    ours, theirs = json.loads(body), json.loads(other.body)
    assert key == other.key
    assert list(ours) == list(theirs)
    assert ours | {"beat_id": ""} == theirs | {"beat_id": ""}


def test_every_version_of_a_record_is_behind_the_one_before(spark: SparkSession, lake: Lake) -> None:
    lake.create()
    lake.insert(0, 30)
    for _ in range(3):
        lake.sql("UPDATE {t} SET duration_seconds = coalesce(duration_seconds, 0) + 1")
    lake.sql(f"INSERT OVERWRITE {{t}} {lake.rows(0, 30)}")

    rows = events.changes(source.between(spark, str(lake.path), 1, lake.version()), "info_companyid")
    made = events.outgoing(rows, "tdr_id", "info_companyid", SENT)
    parts = events.in_order(made, 3).selectExpr("spark_partition_id() AS part", "key", "commit_version", "change_type")
    of_each: dict[str, list[tuple[int, int, str]]] = {}
    for row in parts.collect():
        of_each.setdefault(row["key"], []).append((row["part"], row["commit_version"], row["change_type"]))
    assert len(of_each) == 30
    for seen in of_each.values():
        assert len({part for part, _, _ in seen}) == 1
        assert [(version, change) for _, version, change in seen] == [
            (1, "insert"),
            (2, "update_postimage"),
            (3, "update_postimage"),
            (4, "update_postimage"),
            (5, "delete"),
            (5, "insert"),
        ]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["id", "info_companyid"], "no column 'tdr_id'"),
        (["tdr_id", "company"], "no column 'info_companyid'"),
        (["tdr_id", "info_companyid", "_Sent_At"], "'_Sent_At', which is the name of a stamp"),
    ],
)
def test_a_table_whose_rows_cannot_be_events_is_refused(columns: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        events.check_columns(columns, "tdr_id", "info_companyid")
