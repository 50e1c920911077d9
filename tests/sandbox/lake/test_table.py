"""What the feed of a table gives, and what it refuses, by Delta's own names."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable
from tests.sandbox.lake.conftest import NAME, Rows, seen


def refused(error: pytest.ExceptionInfo[DeltaFeedError]) -> tuple[str, str]:
    return error.value.error_class, error.value.sqlstate


def test_every_kind_of_change_is_in_the_feed_in_commit_order(table: ChangeTable, rows: Rows) -> None:
    table.insert(rows("a", "b", "c"))
    table.merge(
        pa.concat_tables(
            [
                rows("d", operation="insert"),
                rows("a", operation="update", disposition="answered"),
                rows("b", operation="delete"),
                rows("nobody", operation="update"),
            ]
        )
    )
    table.update({"queue": "'urn:queue:fire'"}, "tdr_id = 'c'")
    table.delete("tdr_id = 'd'")
    feed = table.changes(1)
    assert feed["_commit_version"].to_pylist() == sorted(feed["_commit_version"].to_pylist())
    assert seen(feed) == [
        ("a", "insert", 1),
        ("a", "update_postimage", 2),
        ("a", "update_preimage", 2),
        ("b", "delete", 2),
        ("b", "insert", 1),
        ("c", "insert", 1),
        ("c", "update_postimage", 3),
        ("c", "update_preimage", 3),
        ("d", "delete", 4),
        ("d", "insert", 2),
    ]


def test_delta_rs_reads_the_same_feed(table: ChangeTable, rows: Rows) -> None:
    table.insert(rows("a", "b"))
    table.merge(rows("a", operation="update", disposition="failed"))
    table.delete()
    theirs = pa.table(table.snapshot().load_cdf(starting_version=0))
    assert seen(theirs) == seen(table.changes(0))


def test_commit_time_is_the_sandbox_clock_to_the_millisecond_and_only_grows(
    table: ChangeTable, rows: Rows, clock: Clock
) -> None:
    clock.advance(100)
    before = clock.now()
    table.insert(rows("a"))
    table.insert(rows("b"))
    first, second = table.changes(1)["_commit_timestamp"].to_pylist()
    assert before - timedelta(milliseconds=1) <= first < second < before + timedelta(seconds=5)
    assert table.commit_time(1) == first
    assert [commit["timestamp"] for commit in table.history(2)] == [second, first]


def test_a_feed_that_was_off_is_refused_even_where_no_commit_in_range_says_so(
    tmp_path: Path, clock: Clock, rows: Rows
) -> None:
    table = ChangeTable.create(tmp_path / "t", NAME, clock, properties={"delta.enableChangeDataFeed": "false"})
    table.insert(rows("before"))
    on = table.set_properties({"delta.enableChangeDataFeed": "true"})
    table.insert(rows("during"))
    table.set_properties({"delta.enableChangeDataFeed": "false"})
    table.insert(rows("after"))
    assert seen(table.changes(on, on + 1)) == [("during", "insert", on + 1)]
    for start, end in ((0, None), (1, on), (on, on + 2), (on + 3, on + 3)):
        with pytest.raises(DeltaFeedError) as error:
            table.changes(start, end)
        assert refused(error) == ("DELTA_MISSING_CHANGE_DATA", "KD002")


@pytest.mark.parametrize(
    ("start", "end", "error_class"),
    [
        (9, None, "DELTA_CDC_START_VERSION_AFTER_LATEST"),
        (2, 1, "DELTA_INVALID_CDC_RANGE"),
        (0, 99, "DELTA_VERSION_NOT_FOUND"),
        (-1, 2, "DELTA_VERSION_NOT_FOUND"),
    ],
)
def test_ranges_that_are_not_there_are_refused_by_name(
    table: ChangeTable, rows: Rows, start: int, end: int | None, error_class: str
) -> None:
    table.insert(rows("a"))
    table.insert(rows("b"))
    with pytest.raises(DeltaFeedError) as error:
        table.changes(start, end)
    assert refused(error) == (error_class, "22003")


def test_vacuum_ends_the_feed_of_what_it_removed(table: ChangeTable, rows: Rows) -> None:
    table.insert(rows("a"))
    table.merge(rows("a", operation="update", disposition="answered"))
    assert table.vacuum(0) > 0
    with pytest.raises(DeltaFeedError) as error:
        table.changes(2, 2)
    assert error.value.error_class == "DELTA_CHANGE_DATA_FILE_NOT_FOUND"
    assert table.snapshot().to_pyarrow_table()["disposition"].to_pylist() == ["answered"]


def test_a_cleaned_log_is_a_version_that_is_not_found(tmp_path: Path, clock: Clock, rows: Rows) -> None:
    table = ChangeTable.create(
        tmp_path / "t", NAME, clock, properties={"delta.logRetentionDuration": "interval 0 seconds"}
    )
    for number in range(4):
        table.insert(rows(str(number)))
    table.checkpoint()
    assert table.earliest_version() > 1
    with pytest.raises(DeltaFeedError) as error:
        table.changes(1)
    assert refused(error) == ("DELTA_VERSION_NOT_FOUND", "22003")
    table.insert(rows("later"))
    assert seen(table.changes(5)) == [("later", "insert", 5)]


def test_timestamps_stand_for_versions_as_in_table_changes(table: ChangeTable, rows: Rows, clock: Clock) -> None:
    for number in range(3):
        clock.advance(60)
        table.insert(rows(str(number)))
    between = table.commit_time(2) - timedelta(seconds=30)
    assert table.version_of(between, starting=True) == 2
    assert table.version_of(between, starting=False) == 1
    assert table.version_of(table.commit_time(3), starting=False) == 3
    with pytest.raises(DeltaFeedError) as late:
        table.version_of(clock.now() + timedelta(hours=1), starting=True)
    assert refused(late) == ("DELTA_TIMESTAMP_GREATER_THAN_COMMIT", "42816")
    with pytest.raises(DeltaFeedError) as early:
        table.version_of(datetime(2000, 1, 1, tzinfo=UTC), starting=False)
    assert refused(early) == ("DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION", "42816")


def test_a_property_that_delta_does_not_know_is_refused_and_ones_own_is_kept(table: ChangeTable) -> None:
    with pytest.raises(DeltaFeedError) as error:
        table.set_properties({"delta.enableChangeDataFeeds": "true"})
    assert error.value.error_class == "DELTA_UNKNOWN_CONFIGURATION"
    table.set_properties({"lpm.owner": "data platform"})
    assert table.properties()["lpm.owner"] == "data platform"


def test_a_table_made_anew_has_another_id_and_no_rows(table: ChangeTable, rows: Rows) -> None:
    table.set_properties({"lpm.owner": "data platform"})
    table.insert(rows("a"))
    old = table.table_id
    table.recreate()
    assert table.table_id != old
    assert table.snapshot().to_pyarrow_table().num_rows == 0
    assert table.properties()["lpm.owner"] == "data platform"


def test_a_table_that_is_not_there_is_said_so(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(DeltaFeedError) as error:
        ChangeTable(tmp_path / "nothing", NAME, clock)
    assert refused(error) == ("DELTA_TABLE_NOT_FOUND", "42P01")


def test_history_and_detail_say_what_databricks_says(table: ChangeTable, rows: Rows) -> None:
    table.insert(rows("a", "b"))
    table.merge(rows("a", operation="update", disposition="answered"))
    newest, written, created = table.history()
    assert [one["operation"] for one in (newest, written, created)] == ["MERGE", "WRITE", "CREATE TABLE"]
    assert newest["operationMetrics"]["numTargetRowsUpdated"] == "1"
    assert written["operationMetrics"]["numOutputRows"] == "2"
    detail = table.detail()
    assert (detail["format"], detail["id"], detail["name"]) == ("delta", table.table_id, NAME)
    assert detail["numFiles"] >= 1
    assert detail["sizeInBytes"] > 0


def test_readers_and_writers_and_upkeep_run_beside_each_other(table: ChangeTable, rows: Rows) -> None:
    stop = threading.Event()
    trouble: list[Exception] = []

    def upkeep() -> None:
        try:
            while not stop.is_set():
                table.compact()
                table.vacuum()
                table.checkpoint()
        except Exception as error:  # noqa: BLE001 - the edge of a thread: the test reports it
            trouble.append(error)

    worker = threading.Thread(target=upkeep)
    worker.start()
    read = []
    for number in range(25):
        version = table.insert(rows(f"{number:03d}"))
        read += table.changes(version, version)["tdr_id"].to_pylist()
    stop.set()
    worker.join(20)
    assert not trouble
    assert read == [f"{number:03d}" for number in range(25)]
    assert table.snapshot().to_pyarrow_table().select(RECORD_SCHEMA.names).num_rows == 25
