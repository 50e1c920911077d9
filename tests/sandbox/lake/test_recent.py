"""Cheap updates are the same as dear ones: the table and its feed hold what a plain dictionary would."""

from __future__ import annotations

import random

import pyarrow as pa

from lpmops.sandbox.lake.recent import RecentFiles
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable
from tests.sandbox.lake.conftest import Rows, seen

NONE = RECORD_SCHEMA.empty_table()


def stored(table: ChangeTable) -> dict[str, str]:
    found = table.snapshot().to_pyarrow_table()
    return dict(zip(found["tdr_id"].to_pylist(), found["queue"].to_pylist(), strict=True))


def test_many_commits_leave_what_a_dictionary_would_and_delta_rs_agrees_on_the_feed(
    table: ChangeTable, rows: Rows
) -> None:
    choose = random.Random(7)
    recent = RecentFiles(table, keep_commits=6)
    model: dict[str, str] = {}
    expected: list[tuple[str, str, int]] = []
    for round_ in range(40):
        new = [f"{round_:03d}-{number}" for number in range(choose.randrange(4))]
        changed = choose.sample(sorted(model), min(len(model), choose.randrange(4)))
        gone = [changed.pop()] if changed and choose.random() < 0.2 else []
        queue = f"urn:queue:{round_}"
        version = recent.commit(
            rows(*new, queue=queue) if new else NONE,
            rows(*changed, queue=queue) if changed else NONE,
            rows(*gone) if gone else NONE,
        )
        model.update(dict.fromkeys([*new, *changed], queue))
        for one in gone:
            del model[one]
        assert version == table.latest_version()
        expected += [(one, "insert", 0) for one in new] + [(one, "delete", 0) for one in gone]
        expected += [(one, kind, 0) for one in changed for kind in ("update_preimage", "update_postimage")]
    assert stored(table) == model
    feed = table.changes(0)
    assert [(one, kind) for one, kind, _ in seen(feed)] == sorted((one, kind) for one, kind, _ in sorted(expected))
    assert seen(pa.table(table.snapshot().load_cdf(starting_version=0))) == seen(feed)


def test_an_update_gives_the_row_as_it_was_and_as_it_is(table: ChangeTable, rows: Rows) -> None:
    recent = RecentFiles(table)
    recent.commit(rows("a", "b", queue="urn:queue:police"), NONE, NONE)
    version = recent.commit(NONE, rows("a", queue="urn:queue:fire"), NONE)
    feed = table.changes(version, version)
    images = dict(zip(feed["_change_type"].to_pylist(), feed["queue"].to_pylist(), strict=True))
    assert images == {"update_preimage": "urn:queue:police", "update_postimage": "urn:queue:fire"}


def test_rows_of_an_earlier_life_are_changed_all_the_same(table: ChangeTable, rows: Rows) -> None:
    RecentFiles(table).commit(rows("old", "older"), NONE, NONE)
    reborn = RecentFiles(table)
    reborn.commit(rows("new"), rows("old", queue="urn:queue:fire"), rows("older"))
    reborn.commit(NONE, rows("new", queue="urn:queue:fire"), NONE)
    assert stored(table) == {"old": "urn:queue:fire", "new": "urn:queue:fire"}


def test_a_commit_by_someone_else_is_seen_and_not_undone(table: ChangeTable, rows: Rows) -> None:
    recent = RecentFiles(table)
    recent.commit(rows("a", "b"), NONE, NONE)
    table.update({"trunk": "'trunk-99'"}, "tdr_id = 'b'")
    recent.commit(NONE, rows("a", queue="urn:queue:fire"), NONE)
    found = {row["tdr_id"]: row for row in table.snapshot().to_pyarrow_table().to_pylist()}
    assert found["b"]["trunk"] == "trunk-99"
    assert found["a"]["queue"] == "urn:queue:fire"


def test_compaction_leaves_rows_and_feed_alone(table: ChangeTable, rows: Rows) -> None:
    recent = RecentFiles(table, keep_commits=2)
    for number in range(60):
        recent.commit(rows(f"{number:03d}"), NONE, NONE)
    before, feed = stored(table), seen(table.changes(0))
    assert recent.compact()
    assert not recent.compact()
    assert stored(table) == before
    assert len(table.data_files()) < 15
    assert table.history(1)[0]["operation"] == "OPTIMIZE"
    assert seen(table.changes(0)) == feed
    recent.commit(NONE, rows("000", "059", queue="urn:queue:fire"), NONE)
    assert stored(table)["000"] == stored(table)["059"] == "urn:queue:fire"


def test_a_feed_that_is_off_has_no_change_files(table: ChangeTable, rows: Rows) -> None:
    recent = RecentFiles(table)
    recent.commit(rows("a"), NONE, NONE)
    table.set_properties({"delta.enableChangeDataFeed": "false"})
    recent.commit(NONE, rows("a", queue="urn:queue:fire"), NONE)
    assert not (table.folder / "_change_data").exists()


def test_a_table_made_anew_is_written_from_the_start(table: ChangeTable, rows: Rows) -> None:
    recent = RecentFiles(table)
    recent.commit(rows("a"), NONE, NONE)
    table.recreate()
    recent.commit(rows("b"), rows("a", queue="lost"), NONE)
    assert set(stored(table)) == {"b"}
