"""So many changes a second, whatever the clock does, and a table that stays whole over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake import feeder as feeding
from lpmops.sandbox.lake.feeder import Feeder
from lpmops.sandbox.lake.records import CallRecords, companies_of
from lpmops.sandbox.lake.table import ChangeTable


def flat(_: object) -> float:
    return 1.0


def fed(table: ChangeTable, clock: Clock, seconds: int, rate: float = 50.0) -> tuple[Feeder, int]:
    feeder = Feeder(table, CallRecords(1, companies_of(5), mean_call_seconds=5), clock, rate, curve=flat)
    changes = 0
    for _ in range(seconds):
        clock.advance(1)
        committed = feeder.step()
        changes += 0 if committed is None else committed.inserts + committed.updates + committed.deletes
    return feeder, changes


def test_changes_come_at_the_rate_one_commit_a_second(table: ChangeTable, clock: Clock) -> None:
    _, changes = fed(table, clock, 30)
    assert changes == pytest.approx(30 * 50, rel=0.15)
    assert table.latest_version() == 30
    assert table.changes(1).num_rows > changes


def test_nothing_is_committed_too_early_or_at_rate_zero(table: ChangeTable, clock: Clock) -> None:
    feeder, _ = fed(table, clock, 3)
    before = table.latest_version()
    assert feeder.step() is None
    assert 0 < feeder.seconds_until_due() <= 1
    feeder.rate = 0.0
    clock.advance(5)
    assert feeder.step() is None
    assert table.latest_version() == before


def test_a_long_pause_is_not_made_up_for(table: ChangeTable, clock: Clock) -> None:
    feeder, _ = fed(table, clock, 2)
    clock.advance(3600)
    committed = feeder.step()
    assert committed is not None
    assert committed.inserts + committed.updates + committed.deletes <= 50 * 6
    assert feeder.step() is None


def test_after_a_restart_no_call_hangs_and_every_record_is_there_once(table: ChangeTable, clock: Clock) -> None:
    fed(table, clock, 20)
    before = set(table.snapshot().to_pyarrow_table()["tdr_id"].to_pylist())
    reopened = ChangeTable(table.folder, table.full_name, clock)
    Feeder(reopened, CallRecords(2, companies_of(5)), clock, 50.0, curve=flat)
    rows = reopened.snapshot().to_pyarrow_table()
    assert set(rows["tdr_id"].to_pylist()) == before
    assert len(before) == rows.num_rows
    assert "in_progress" not in rows["disposition"].to_pylist()


@pytest.mark.parametrize("rate", [0.5, 4.0])
def test_a_restart_closes_the_calls_of_a_quiet_table_too(rate: float, table: ChangeTable, clock: Clock) -> None:
    fed(table, clock, 60, rate)
    table.checkpoint()
    Feeder(ChangeTable(table.folder, table.full_name, clock), CallRecords(8, companies_of(3)), clock, 0)
    assert "in_progress" not in table.snapshot().to_pyarrow_table(columns=["disposition"])["disposition"].to_pylist()


def test_upkeep_keeps_files_few_and_the_feed_whole(
    table: ChangeTable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "UPKEEP_EVERY_COMMITS", 60)
    feeder = Feeder(table, CallRecords(1, companies_of(5), mean_call_seconds=5), clock, 6.0, curve=flat)
    for _ in range(300):
        clock.advance(1)
        feeder.step()
        feeder.finish(30)
    assert len(table.data_files()) < 220
    assert "OPTIMIZE" in {commit["operation"] for commit in table.history()}
    feed, rows = table.changes(1), table.snapshot().to_pyarrow_table()
    kinds = feed["_change_type"].to_pylist()
    assert rows.num_rows == kinds.count("insert") - kinds.count("delete")


def test_upkeep_removes_what_is_past_its_retention(
    table: ChangeTable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "UPKEEP_EVERY_COMMITS", 40)
    monkeypatch.setattr(feeding, "VACUUM_EVERY_COMMITS", 40)
    table.set_properties({"delta.deletedFileRetentionDuration": "interval 0 seconds"})
    feeder = Feeder(table, CallRecords(1, companies_of(5), mean_call_seconds=5), clock, 6.0, curve=flat)
    for _ in range(81):
        clock.advance(1)
        feeder.step()
        feeder.finish(30)
    on_disk = {path.name for path in table.folder.rglob("*.parquet") if "_delta_log" not in path.parts}
    assert len(on_disk) < len(table.data_files()) + 20
    assert {Path(path).name for path, _ in table.data_files()} <= on_disk
    assert table.snapshot().to_pyarrow_table().num_rows > 100
