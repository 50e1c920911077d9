"""What ends the feed of old versions, each by the class that Delta names: vacuumed files, a cleaned log, columns that went; and what goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.alterations import Refused, add_column, clean_log_before, drop_column, vacuum_before
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.feeder import Feeder
from lpmops.sandbox.lake.recent import RecentFiles
from lpmops.sandbox.lake.records import CallRecords, companies_of
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable
from tests.sandbox.lake.conftest import Rows, seen
from tests.sandbox.lake.test_streamjob import Hub, drain, job


def refused(table: ChangeTable, start: int, end: int | None = None) -> tuple[str, str]:
    with pytest.raises(DeltaFeedError) as caught:
        table.changes(start, end)
    return caught.value.error_class, caught.value.sqlstate


def changed(table: ChangeTable, rows: Rows) -> None:
    """Versions 1 to 4: an insert, two updates of it, and another insert."""
    table.insert(rows("a"))
    for word in ("answered", "ended"):
        table.merge(rows("a", operation="update", disposition=word))
    table.insert(rows("b"))


def test_vacuum_takes_the_changes_before_a_version_and_leaves_the_rest(table: ChangeTable, rows: Rows) -> None:
    changed(table, rows)
    assert vacuum_before(table, 3) > 0
    assert refused(table, 2, 2) == ("DELTA_CHANGE_DATA_FILE_NOT_FOUND", "42K03")
    assert refused(table, 1, 4)[0] == "DELTA_CHANGE_DATA_FILE_NOT_FOUND"
    assert [kind for _, kind, _ in seen(table.changes(3, 4))] == ["update_postimage", "update_preimage", "insert"]
    assert [row["operation"] for row in table.history(2)] == ["VACUUM END", "VACUUM START"]
    assert sorted(table.snapshot().to_pyarrow_table()["disposition"].to_pylist()) == ["ended", "in_progress"]
    assert vacuum_before(table, 3) == 0


def test_a_cleaned_log_ends_at_a_version_and_what_is_left_reads_as_before(table: ChangeTable, rows: Rows) -> None:
    changed(table, rows)
    before = seen(table.changes(3, 4))
    assert clean_log_before(table, 3) == 3
    assert (table.earliest_version(), refused(table, 2)) == (3, ("DELTA_VERSION_NOT_FOUND", "22003"))
    assert seen(table.changes(3, 4)) == before
    assert [row["version"] for row in table.history()] == [4, 3]
    assert seen(ChangeTable(table.folder, table.full_name, Clock()).changes(3, 4)) == before
    with pytest.raises(DeltaFeedError, match="DELTA_VERSION_NOT_FOUND"):
        table.snapshot(1)
    assert clean_log_before(table, 3) == 0


def write(table: ChangeTable, rows: pa.Table) -> None:
    """As the source does, which knows its own columns only."""
    none = RECORD_SCHEMA.empty_table()
    RecentFiles(table).commit(rows, none, none)


def test_an_added_column_is_null_before_it_came_and_divides_nothing(table: ChangeTable, rows: Rows) -> None:
    write(table, rows("a"))
    version = add_column(table, "priority")
    write(table, rows("b"))
    assert table.changes(1, 3)["priority"].to_pylist() == [None, None]
    assert (version, table.history(2)[1]["operation"]) == (2, "ADD COLUMNS")


def test_a_dropped_column_divides_the_feed_and_each_side_is_read_with_its_own_columns(
    table: ChangeTable, rows: Rows
) -> None:
    write(table, rows("a", trunk="east"))
    dropped = drop_column(table, "trunk")
    write(table, rows("b", trunk="west"))
    assert (dropped, table.properties()["delta.columnMapping.mode"]) == (3, "name")
    with pytest.raises(DeltaFeedError) as caught:
        table.changes(1, 4)
    assert (caught.value.error_class, caught.value.sqlstate) == (
        "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE",
        "0AKDC",
    )
    # The commit that switched mapping on is the first that still says the old columns.
    assert "from version 1 to 2 - 1, and from version 2 to 4" in caught.value.message
    assert refused(table, 2, 4) == ("DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA", "0AKDC")
    assert table.changes(1, dropped - 1)["trunk"].to_pylist() == ["east"]
    assert "trunk" not in table.changes(dropped, 4).column_names
    assert "trunk" not in table.changes(4).column_names


def test_the_stream_and_the_writer_go_on_over_changed_columns(tmp_path: Path, table: ChangeTable, clock: Clock) -> None:
    hub = Hub()
    stream = job(table, hub, tmp_path, clock)
    records = CallRecords(7, companies_of(3), mean_call_seconds=2.0)

    def let(feeder: Feeder) -> None:
        for _ in range(4):
            clock.advance(1.0)
            feeder.step()

    feeder = Feeder(table, records, clock, 20, curve=lambda _: 1.0)
    let(feeder)
    added = add_column(table, "priority")
    let(feeder)
    dropped = drop_column(table, "trunk")
    let(feeder)
    drain(stream)
    for body in hub.changes:
        version = body["_commit_version"]
        assert ("priority" in body, "trunk" in body) == (version >= added, version < dropped)
    assert len(hub.changes) > 100
    feeder.finish()
    Feeder(table, records, clock, 0)
    assert "in_progress" not in table.snapshot().to_pyarrow_table()["disposition"].to_pylist()


def test_what_can_not_be_is_refused_and_commits_nothing(table: ChangeTable, rows: Rows) -> None:
    table.insert(rows("a"))
    refused: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: vacuum_before(table, 9), "its newest is 1"),
        (lambda: clean_log_before(table, -1), "no version"),
        (lambda: add_column(table, "tdr_id"), "source itself"),
        (lambda: add_column(table, "a b"), "can't name a column"),
        (lambda: drop_column(table, "tdr_id"), "can't write without"),
        (lambda: drop_column(table, "colour"), "no column colour; it has tdr_id"),
    )
    for act, says in refused:
        with pytest.raises(Refused, match=says):
            act()
    assert add_column(table, "priority") == 2
    with pytest.raises(Refused, match="already"):
        add_column(table, "PRIORITY")
