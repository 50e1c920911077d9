"""The stream: nothing lost, what repeats repeats whole, and what cannot be followed ends the run by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.events import EventWriter, OutgoingEvent
from lpmops.sandbox.lake.recent import RecentFiles
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.streamjob import StreamJob, quarantine_of
from lpmops.sandbox.lake.table import ChangeTable
from tests.sandbox.lake.conftest import NAME, Rows


class Busy(Exception):
    retry_after = 5.0


class Hub:
    """A hub that keeps what it is sent, and can be throttled or broken."""

    def __init__(self) -> None:
        self.events: list[OutgoingEvent] = []
        self.raises: Exception | None = None
        self.sends_until_raise = 0

    def append(self, events: Sequence[OutgoingEvent]) -> None:
        if self.raises is not None and self.sends_until_raise <= 0:
            raise self.raises
        self.sends_until_raise -= 1
        self.events += events

    @property
    def changes(self) -> list[dict[str, Any]]:
        return [body for event in self.events if (body := json.loads(event.body))["_change_type"] != "heartbeat"]

    @property
    def keys(self) -> list[str]:
        return [event.key for event in self.events if event.key != "heartbeat"]


@pytest.fixture
def hub() -> Hub:
    return Hub()


def job(table: ChangeTable, hub: Hub, tmp_path: Path, clock: Clock, starting_version: int | None = 1) -> StreamJob:
    return StreamJob(
        table, hub.append, tmp_path / "checkpoints" / "tdr-stream", clock, starting_version=starting_version
    )


def drain(stream: StreamJob) -> None:
    while (progress := stream.step()) is not None and progress.end_version < progress.latest_version:
        pass


def test_an_event_is_the_whole_row_with_its_change(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows("a", caller_latitude=40.5))
    table.merge(rows("a", operation="update", disposition="answered"))
    table.delete("tdr_id = 'a'")
    drain(job(table, hub, tmp_path, clock))
    assert [change["_change_type"] for change in hub.changes] == ["insert", "update_postimage", "delete"]
    assert [change["_commit_version"] for change in hub.changes] == [1, 2, 3]
    first = hub.changes[0]
    assert list(first) == [
        *table.arrow_schema().names,
        "_change_type",
        "_commit_version",
        "_commit_timestamp",
        "_sent_at",
    ]
    assert first["caller_latitude"] == 40.5
    assert first["call_ended_at"] is None
    assert first["sipreq"]["method"] == "INVITE"
    assert first["sipreq"]["via"] == ["SIP/2.0/TLS 192.0.2.1:5061"]
    stamp = table.commit_time(1).strftime("%Y-%m-%dT%H:%M:%S.%f")
    assert first["_commit_timestamp"] == stamp + "Z"
    assert first["call_started_at"].endswith("Z")
    assert hub.keys == ["a", "a", "a"]


def test_a_replay_marks_its_events(table: ChangeTable, rows: Rows, clock: Clock) -> None:
    table.insert(rows("a"))
    events, _ = EventWriter().write(table.changes(1), clock.now(), replay_id="r-1")
    assert json.loads(events[0].body)["_replay_id"] == "r-1"


def test_hostile_text_travels_whole(table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock) -> None:
    odd = 'it\'s "odd" \\ \x01 \u2028 {} ; DROP TABLE ünï 🚑'
    table.insert(rows("a", queue=odd))
    drain(job(table, hub, tmp_path, clock))
    assert hub.changes[0]["queue"] == odd


def test_a_restart_goes_on_where_the_checkpoint_ends(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows("a"))
    drain(job(table, hub, tmp_path, clock))
    table.insert(rows("b"))
    drain(job(table, hub, tmp_path, clock, starting_version=None))
    assert hub.keys == ["a", "b"]


def test_a_crash_between_sending_and_committing_sends_the_batch_again(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows("a"))
    drain(job(table, hub, tmp_path, clock))
    table.insert(rows("b"))
    drain(job(table, hub, tmp_path, clock))
    (tmp_path / "checkpoints" / "tdr-stream" / "commits" / "1").unlink()
    table.insert(rows("c"))
    reborn = job(table, hub, tmp_path, clock, starting_version=None)
    drain(reborn)
    drain(reborn)
    assert hub.keys == ["a", "b", "b", "c"]


def test_a_failed_send_loses_nothing(table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock) -> None:
    table.insert(rows(*(f"{number:04d}" for number in range(1200))))
    stream = job(table, hub, tmp_path, clock)
    hub.raises, hub.sends_until_raise = ConnectionError("the hub is gone"), 2
    with pytest.raises(ConnectionError):
        stream.step()
    hub.raises = None
    drain(stream)
    assert set(hub.keys) == {f"{number:04d}" for number in range(1200)}
    assert len(hub.keys) > 1200


def test_a_throttled_hub_gets_the_rest_later_and_nothing_twice(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows(*(f"{number:04d}" for number in range(1200))))
    stream = job(table, hub, tmp_path, clock)
    hub.raises, hub.sends_until_raise = Busy(), 2
    progress = stream.step()
    assert progress is not None
    assert progress.throttled_seconds == 5.0
    assert stream.step() is None
    hub.raises = None
    clock.advance(6)
    drain(stream)
    assert hub.keys == [f"{number:04d}" for number in range(1200)]


def test_a_new_checkpoint_without_a_starting_version_is_refused(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows("a"))
    with pytest.raises(ValueError, match="STARTING_VERSION_NEEDED"):
        job(table, hub, tmp_path, clock, starting_version=None)
    assert hub.events == []


def test_a_record_too_large_to_send_is_put_aside_with_its_reason(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows("small"))
    table.insert(rows("large", queue="x" * 1_000_001))
    stream = job(table, hub, tmp_path, clock)
    progress = stream.step()
    assert progress is not None
    assert progress.quarantined == 1
    assert hub.keys == ["small"]
    aside = quarantine_of(table, clock).snapshot().to_pyarrow_table().to_pylist()
    assert [(one["tdr_id"], one["info_companyid"], one["change_type"], one["commit_version"]) for one in aside] == [
        ("large", "1001", "insert", 2)
    ]
    assert "1000000 bytes" in aside[0]["reason"]
    assert json.loads(aside[0]["record"])["tdr_id"] == "large"


def test_a_table_made_anew_ends_the_run_and_goes_on_doing_so(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    table.insert(rows("a"))
    stream = job(table, hub, tmp_path, clock)
    drain(stream)
    table.recreate()
    table.insert(rows("b"))
    for _ in range(2):
        with pytest.raises(DeltaFeedError) as error:
            stream.step()
        assert error.value.error_class == "DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE"
    assert hub.keys == ["a"]


def test_a_stream_that_lags_past_the_log_ends_the_run(tmp_path: Path, rows: Rows, hub: Hub, clock: Clock) -> None:
    table = ChangeTable.create(
        tmp_path / "t", NAME, clock, properties={"delta.logRetentionDuration": "interval 0 seconds"}
    )
    table.insert(rows("a"))
    stream = job(table, hub, tmp_path, clock)
    drain(stream)
    for one in "bcd":
        table.insert(rows(one))
    table.checkpoint()
    table.insert(rows("e"))
    with pytest.raises(DeltaFeedError) as error:
        stream.step()
    assert error.value.error_class == "DELTA_LOG_FILE_NOT_FOUND_FOR_STREAMING_SOURCE"


def test_vacuumed_changes_and_a_feed_that_was_off_end_the_run_by_name(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    stream = job(table, hub, tmp_path, clock)
    table.insert(rows("a"))
    table.merge(rows("a", operation="update"))
    table.vacuum(0)
    with pytest.raises(DeltaFeedError) as vacuumed:
        stream.step()
    assert vacuumed.value.error_class == "DELTA_CHANGE_DATA_FILE_NOT_FOUND"
    other = StreamJob(table, hub.append, tmp_path / "other", clock, starting_version=table.latest_version() + 1)
    table.set_properties({"delta.enableChangeDataFeed": "false"})
    with pytest.raises(DeltaFeedError) as off:
        other.step()
    assert off.value.error_class == "DELTA_MISSING_CHANGE_DATA"


def test_a_heartbeat_goes_out_every_ten_seconds_of_a_quiet_stream(
    table: ChangeTable, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    stream = job(table, hub, tmp_path, clock)
    for _ in range(35):
        stream.step()
        clock.advance(1)
    beats = [json.loads(event.body) for event in hub.events]
    assert len(beats) == 4
    assert len({beat["beat_id"] for beat in beats}) == 4
    assert {event.key for event in hub.events} == {"heartbeat"}
    assert beats[0]["_commit_version"] == table.latest_version()
    assert set(beats[0]) == {"_change_type", "beat_id", "_sent_at", "_commit_timestamp", "_commit_version"}


def test_checkpoint_and_progress_read_as_sparks_do(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    stream = job(table, hub, tmp_path, clock)
    table.insert(rows("a"))
    drain(stream)
    folder = tmp_path / "checkpoints" / "tdr-stream"
    assert json.loads((folder / "metadata").read_text()) == {"id": stream.query_id}
    version, head, offset = (folder / "offsets" / "0").read_text().splitlines()
    assert version == "v1"
    assert json.loads(head)["batchTimestampMs"] == pytest.approx(clock.time() * 1000, abs=5000)
    expected = {
        "sourceVersion": 1,
        "reservoirId": table.table_id,
        "reservoirVersion": 2,
        "index": -1,
        "isStartingVersion": False,
    }
    assert json.loads(offset) == expected
    assert (folder / "commits" / "0").read_text().splitlines() == ["v1", '{"nextBatchWatermarkMs":0}']
    progress = json.loads((tmp_path / "checkpoints" / "progress" / "tdr_stream.json").read_text())
    assert (progress["name"], progress["batchId"], progress["numInputRows"]) == ("tdr_stream", 0, 1)
    source = progress["sources"][0]
    assert source["endOffset"] == source["latestOffset"] == expected
    assert source["metrics"] == {"numBytesOutstanding": "0", "numFilesOutstanding": "0"}
    assert progress["durationMs"]["triggerExecution"] >= 0


def test_progress_says_how_much_is_waiting(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    for number in range(13):
        table.insert(rows(str(number)))
    job(table, hub, tmp_path, clock).step()
    source = json.loads((tmp_path / "checkpoints" / "progress" / "tdr_stream.json").read_text())["sources"][0]
    assert (source["endOffset"]["reservoirVersion"], source["latestOffset"]["reservoirVersion"]) == (11, 14)
    assert source["metrics"]["numFilesOutstanding"] == "3"
    assert int(source["metrics"]["numBytesOutstanding"]) > 3000


def test_a_checkpoint_keeps_its_last_hundred_batches(
    table: ChangeTable, rows: Rows, hub: Hub, tmp_path: Path, clock: Clock
) -> None:
    stream = job(table, hub, tmp_path, clock)
    writer, none = RecentFiles(table), RECORD_SCHEMA.empty_table()
    for number in range(105):
        writer.commit(rows(str(number)), none, none)
        stream.step()
    for kind in ("offsets", "commits"):
        assert len(list((tmp_path / "checkpoints" / "tdr-stream" / kind).iterdir())) == 100
    assert hub.keys == [str(number) for number in range(105)]
