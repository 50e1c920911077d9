"""The stand-in's bounded replay: the stream's own events once more, of the versions and companies asked for, resumable and never twice by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.alterations import drop_column
from lpmops.sandbox.lake.events import OutgoingEvent
from lpmops.sandbox.lake.replay import Replay
from lpmops.sandbox.lake.replay_arguments import ReplayError
from lpmops.sandbox.lake.table import ChangeTable
from tests.sandbox.lake.conftest import NAME, Rows
from tests.sandbox.lake.test_streamjob import Busy, Hub, drain, job

STAMPS = ("_sent_at", "_replay_id")
FAST = Clock(speed=2_000.0, start=1_800_000_000.0)


def arguments(*more: str, first: int = 1, last: int = 3) -> list[str]:
    return [
        "replay", "--table", NAME, "--record-column", "tdr_id", "--company-column", "info_companyid", "--namespace", "hub.example",
        "--hub", "tdr", "--sign-in", "service-credential", "--credential", "lpm", "--replay-id", "r1", "--folder", "/Volumes/a/b/c/replays",
        "--from-version", str(first), "--to-version", str(last), *more,
    ]  # fmt: skip


def replay(table: ChangeTable, hub: Hub, folder: Path, given: list[str], **others: Any) -> Replay:
    send = others.pop("send", hub.append)
    return Replay(given, table, send, lambda _: None, lambda path: folder / path.lstrip("/"), FAST, **others)


def progress(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "Volumes/a/b/c/replays/r1.json").read_text())
    return document


def content(hub: Hub) -> list[dict[str, Any]]:
    return [{name: value for name, value in body.items() if name not in STAMPS} for body in hub.changes]


def test_the_events_are_those_of_the_stream_marked_with_the_replay(
    table: ChangeTable, rows: Rows, clock: Clock, tmp_path: Path
) -> None:
    table.insert(rows("a", "b"))
    table.update({"disposition": "'answered'"}, "tdr_id = 'a'")
    table.delete("tdr_id = 'b'")
    live, again = Hub(), Hub()
    drain(job(table, live, tmp_path, clock))
    replay(table, again, tmp_path, arguments()).run(threading.Event())
    assert content(again) == content(live)
    assert {body["_replay_id"] for body in again.changes} == {"r1"}
    said = progress(tmp_path)
    assert (said["state"], said["from_version"], said["to_version"], said["companies"]) == ("done", 1, 3, [])
    assert [(chunk["rows"], chunk["state"]) for chunk in said["chunks"]] == [(4, "done")]


def test_only_the_companies_asked_for_are_sent(table: ChangeTable, rows: Rows, tmp_path: Path) -> None:
    table.insert(rows("a"))
    table.insert(rows("b", info_companyid="1002"))
    hub = Hub()
    replay(table, hub, tmp_path, arguments("--company", "1002", last=2)).run(threading.Event())
    assert hub.keys == ["b"]


def test_a_rerun_sends_only_what_is_not_done(table: ChangeTable, rows: Rows, tmp_path: Path) -> None:
    for record in ("a", "b", "c"):
        table.insert(rows(record))
    hub = Hub()
    hub.raises, hub.sends_until_raise = RuntimeError("the hub is gone"), 1
    with pytest.raises(RuntimeError):
        replay(table, hub, tmp_path, arguments("--chunk-versions", "1")).run(threading.Event())
    assert progress(tmp_path)["state"] == "failed"
    hub.raises = None
    replay(table, hub, tmp_path, arguments("--chunk-versions", "1")).run(threading.Event())
    assert hub.keys == ["a", "b", "c"]
    with pytest.raises(ReplayError, match="REPLAY_ID_TAKEN"):
        replay(table, hub, tmp_path, arguments("--chunk-versions", "1", last=2)).run(threading.Event())


def test_a_cancelled_replay_stops_even_where_the_hub_is_throttled(
    table: ChangeTable, rows: Rows, tmp_path: Path
) -> None:
    table.insert(rows("a"))
    hub, cancelled = Hub(), threading.Event()

    def throttled(_: Sequence[OutgoingEvent]) -> None:
        cancelled.set()
        raise Busy

    waiting = replay(table, hub, tmp_path, arguments(last=1), send=throttled)
    assert waiting.run(cancelled) == "stopped"
    assert hub.events == []
    assert progress(tmp_path)["state"] == "stopped"


def test_versions_that_are_not_there_and_wrong_arguments_are_refused_by_name(
    table: ChangeTable, rows: Rows, tmp_path: Path
) -> None:
    table.insert(rows("a"))
    hub = Hub()
    with pytest.raises(ReplayError, match="REPLAY_RANGE_NOT_THERE"):
        replay(table, hub, tmp_path, arguments(last=9)).run(threading.Event())
    with pytest.raises(ReplayError, match="is before --from-version"):
        replay(table, hub, tmp_path, arguments(first=3, last=1))
    with pytest.raises(ReplayError, match="--sideways"):
        replay(table, hub, tmp_path, arguments("--sideways", "1"))
    assert hub.events == []


def test_a_slice_goes_by_version_what_is_deleted_first_and_then_by_record(
    table: ChangeTable, rows: Rows, tmp_path: Path
) -> None:
    table.insert(rows("b", "a", "d"))
    changed = [
        rows("z", "c", operation="insert"),
        rows("b", "a", operation="update", disposition="answered"),
        rows("d", operation="delete"),
    ]
    table.merge(pa.concat_tables(changed))
    hub = Hub()
    replay(table, hub, tmp_path, arguments("--rate", "3", last=2)).run(threading.Event())
    found = [(body["_commit_version"], body["_change_type"], body["tdr_id"]) for body in hub.changes]
    assert found == [
        (1, "insert", "a"),
        (1, "insert", "b"),
        (1, "insert", "d"),
        (2, "delete", "d"),
        (2, "update_postimage", "a"),
        (2, "update_postimage", "b"),
        (2, "insert", "c"),
        (2, "insert", "z"),
    ]


def test_records_and_companies_are_read_from_the_columns_that_are_named(
    table: ChangeTable, rows: Rows, tmp_path: Path
) -> None:
    table.insert(rows("a", trunk="east"))
    table.insert(rows("b", trunk="west", call_id="call-7"))
    hub = Hub()
    given = arguments("--company-column=trunk", "--record-column=call_id", "--company=west", last=2)
    replay(table, hub, tmp_path, given).run(threading.Event())
    assert (hub.keys, [body["tdr_id"] for body in hub.changes]) == (["call-7"], ["b"])
    given = arguments("--replay-id=r2", "--company-column=info_customer", last=2)
    with pytest.raises(ReplayError, match="the table has no column 'info_customer'; it has tdr_id, info_companyid"):
        replay(table, hub, tmp_path, given).run(threading.Event())


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"table": "t"}', "\x00"])
def test_a_progress_file_that_is_none_is_refused_and_left(
    table: ChangeTable, rows: Rows, tmp_path: Path, content: str
) -> None:
    table.insert(rows("a"))
    file = tmp_path / "Volumes/a/b/c/replays/r1.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    hub = Hub()
    with pytest.raises(ReplayError, match=r"^\[REPLAY_FILE_DAMAGED\] .*Take another --replay-id"):
        replay(table, hub, tmp_path, arguments(last=1)).run(threading.Event())
    assert (hub.events, file.read_text()) == ([], content)


def test_a_run_that_breaks_leaves_what_it_sent_and_the_next_one_goes_on(
    table: ChangeTable, rows: Rows, tmp_path: Path
) -> None:
    for record in ("a", "b", "c"):
        table.insert(rows(record))
    hub, given, broken = Hub(), arguments("--chunk-versions", "1"), [True]
    for sent, done in (("ab", 1), ("abbc", 2), ("abbcc", 2)):
        with pytest.raises(ReplayError, match="HUB_UNREACHABLE"):
            replay(table, hub, tmp_path, given, breaks=lambda: broken[0]).run(threading.Event())
        said = progress(tmp_path)
        assert ("".join(hub.keys), said["state"]) == (sent, "failed")
        assert [chunk["state"] for chunk in said["chunks"]].count("done") == done
        assert "HUB_UNREACHABLE" in said["error"]
    broken[0] = False
    replay(table, hub, tmp_path, given, breaks=lambda: broken[0]).run(threading.Event())
    assert (progress(tmp_path)["state"], progress(tmp_path)["error"]) == ("done", "")


def test_vacuumed_changes_fail_the_replay_by_deltas_class_in_the_jobs_words(
    table: ChangeTable, rows: Rows, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows("a"))
    table.update({"disposition": "'answered'"})
    clock.advance(8 * 86_400)
    table.vacuum(0)
    hub = Hub()
    with pytest.raises(
        ReplayError, match=r"^\[DELTA_CHANGE_DATA_FILE_NOT_FOUND\] Files of these versions were vacuumed"
    ):
        replay(table, hub, tmp_path, arguments(last=2)).run(threading.Event())
    assert "DELTA_CHANGE_DATA_FILE_NOT_FOUND" in progress(tmp_path)["error"]
    assert hub.events == []


def test_a_dropped_column_in_the_range_fails_the_replay_before_anything_is_sent(
    table: ChangeTable, rows: Rows, tmp_path: Path
) -> None:
    table.insert(rows("a"))
    dropped = drop_column(table, "trunk")
    hub = Hub()
    with pytest.raises(ReplayError, match=r"^\[DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE\] A column was"):
        replay(table, hub, tmp_path, arguments(last=dropped)).run(threading.Event())
    assert (hub.events, progress(tmp_path)["state"]) == ([], "failed")
    replay(table, hub, tmp_path, arguments("--replay-id=r2", last=dropped - 1)).run(threading.Event())
    assert hub.keys == ["a"]
