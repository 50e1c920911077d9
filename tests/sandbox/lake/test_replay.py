"""The stand-in's bounded replay: the stream's own events once more, of the versions and companies asked for, resumable and never twice by itself."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.replay import Replay, ReplayError
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


def replay(table: ChangeTable, hub: Hub, folder: Path, given: list[str]) -> Replay:
    return Replay(given, table, hub.append, lambda _: None, lambda path: folder / path.lstrip("/"), FAST)


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

    class Throttled(Busy):
        @property
        def retry_after(self) -> float:  # type: ignore[override]  # cancelled while it waits
            cancelled.set()
            return 5.0

    hub.raises = Throttled()
    assert replay(table, hub, tmp_path, arguments(last=1)).run(cancelled) == "stopped"
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


def test_vacuumed_changes_fail_the_replay_by_deltas_own_name(
    table: ChangeTable, rows: Rows, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows("a"))
    table.update({"disposition": "'answered'"})
    clock.advance(8 * 86_400)
    table.vacuum(0)
    hub = Hub()
    with pytest.raises(DeltaFeedError, match="DELTA_CHANGE_DATA_FILE_NOT_FOUND"):
        replay(table, hub, tmp_path, arguments(last=2)).run(threading.Event())
    assert "DELTA_CHANGE_DATA_FILE_NOT_FOUND" in progress(tmp_path)["error"]
    assert hub.events == []
