"""The log by itself: order, positions, retention, throughput units, and what is left after a crash."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub._buffered_producer._partition_resolver import PartitionResolver
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub import (
    EventTooLarge,
    Hub,
    HubError,
    HubStorageError,
    HubStorageFull,
    OutgoingEvent,
    ServerBusy,
    StoredEvent,
    UnknownPartition,
)
from lpmops.sandbox.hub.partition import CACHE_BYTES
from lpmops.sandbox.hub.partitioning import partition_of

Opener = Callable[..., Hub]


@pytest.fixture
def open_hub(tmp_path: Path) -> Opener:
    """Open the same folder again and again, as restarts do."""

    def open_it(clock: Clock | None = None, **options: Any) -> Hub:
        settings: dict[str, Any] = {"throughput_units": 100_000, **options}
        return Hub(tmp_path / "tdr", "tdr", 4, clock or Clock(), **settings)

    return open_it


def events(count: int, size: int = 20, key: str | None = None) -> list[OutgoingEvent]:
    return [OutgoingEvent.of(str(number).encode().ljust(size, b"."), key) for number in range(count)]


def everything(hub: Hub, partition: int, step: int = 1000) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    while part := hub.read(partition, found[-1].sequence_number if found else -1, step):
        found += part
    return found


def test_an_event_comes_back_with_everything_it_was_given(hub: Hub) -> None:
    before = hub.clock.now()
    hub.append([OutgoingEvent.of(b'{"a": 1}', "record-1", {"source": "test", "n": 7})], partition=2)
    event = hub.read(2, -1, 10)[0]
    assert (event.body, event.key, event.application_properties) == (
        b'{"a": 1}',
        "record-1",
        {"source": "test", "n": 7},
    )
    assert (event.partition, event.sequence_number, event.offset) == (2, 0, "0")
    assert before - timedelta(milliseconds=1) <= event.enqueued_at <= hub.clock.now()


def test_sequence_numbers_have_no_gaps_and_offsets_grow(hub: Hub) -> None:
    for _ in range(5):
        hub.append(events(30), partition=1)
    found = everything(hub, 1, 7)
    assert [event.sequence_number for event in found] == list(range(150))
    assert sorted({int(event.offset) for event in found}) == [int(event.offset) for event in found]


def test_a_batch_without_keys_stays_together_and_batches_take_turns(hub: Hub) -> None:
    places = [hub.append(events(3)) for _ in range(8)]
    assert all(len(parts) == 1 for parts in places)
    assert sorted(parts[0].partition for parts in places) == [0, 0, 1, 1, 2, 2, 3, 3]


@given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=60), st.integers(1, 32))
def test_a_key_goes_to_the_partition_that_the_service_chooses(key: str, partitions: int) -> None:
    resolver: Any = PartitionResolver
    theirs = resolver([str(number) for number in range(partitions)]).get_partition_id_by_partition_key(key)
    assert str(partition_of(key, partitions)) == theirs


def test_a_partition_that_does_not_exist_is_named(hub: Hub) -> None:
    with pytest.raises(UnknownPartition, match="no partition 4"):
        hub.append(events(1), partition=4)
    with pytest.raises(UnknownPartition):
        hub.read(-1, -1, 1)


def test_an_empty_partition_says_so(hub: Hub) -> None:
    now = hub.partition(0)
    assert (now.beginning_sequence_number, now.last_enqueued_sequence_number, now.last_enqueued_offset) == (0, -1, "-1")
    assert now.is_empty
    assert now.last_enqueued_at is None


def test_a_restart_keeps_events_and_sequence_numbers(open_hub: Opener) -> None:
    hub = open_hub(segment_bytes=2000)
    for _ in range(20):
        hub.append(events(10, key="k"), partition=0)
    before, properties = everything(hub, 0), hub.partition(0)
    hub.close()
    again = open_hub(segment_bytes=2000)
    assert everything(again, 0) == before
    assert again.partition(0) == properties
    assert again.created_at == hub.created_at
    assert again.append(events(1), partition=0)[0].first_sequence_number == 200


def test_sequence_numbers_go_on_after_everything_expired_and_a_restart(open_hub: Opener) -> None:
    clock = Clock()
    hub = open_hub(clock, retention=timedelta(hours=1))
    hub.append(events(5), partition=0)
    last = hub.partition(0)
    clock.advance(3700)
    assert hub.expire() == 5
    assert hub.read(0, -1, 10) == []
    hub.close()
    again = open_hub(clock, retention=timedelta(hours=1))
    now = again.partition(0)
    assert (now.is_empty, now.beginning_sequence_number, now.last_enqueued_sequence_number) == (True, 5, 4)
    assert (now.last_enqueued_offset, now.last_enqueued_at) == (last.last_enqueued_offset, last.last_enqueued_at)
    again.append(events(1), partition=0)
    event = again.read(0, -1, 10)[0]
    assert event.sequence_number == 5
    assert int(event.offset) > int(last.last_enqueued_offset)


def test_only_what_is_older_than_the_retention_expires(open_hub: Opener) -> None:
    clock = Clock()
    hub = open_hub(clock, retention=timedelta(hours=1), segment_bytes=1500)
    for _ in range(6):
        hub.append(events(20), partition=3)
        clock.advance(890)
    size = hub.size()
    assert hub.partition(3).beginning_sequence_number == 40
    assert [event.sequence_number for event in everything(hub, 3)] == list(range(40, 120))
    hub.retention = timedelta(minutes=16)
    assert hub.partition(3).beginning_sequence_number == 100
    assert hub.size() < size


def test_a_retention_that_passes_at_once_takes_what_was_not_read_and_is_configured_as_before(open_hub: Opener) -> None:
    clock = Clock(start=1_800_000_000)
    hub = open_hub(clock, retention=timedelta(days=7))
    hub.append(events(3), partition=0)
    clock.advance(20)
    hub.append(events(2), partition=0)
    hub.passing = timedelta(seconds=15)
    assert (hub.retention, hub.partition(0).beginning_sequence_number) == (timedelta(days=7), 3)
    assert [event.sequence_number for event in hub.read(0, -1, 10)] == [3, 4]
    hub.passing = None
    clock.advance(86_400)
    assert [event.sequence_number for event in hub.read(0, -1, 10)] == [3, 4]


def test_a_reader_that_is_behind_the_beginning_starts_at_the_beginning(open_hub: Opener) -> None:
    clock = Clock()
    hub = open_hub(clock, retention=timedelta(hours=1))
    hub.append(events(5), partition=0)
    clock.advance(3700)
    hub.append(events(2), partition=0)
    assert [event.sequence_number for event in hub.read(0, 1, 10)] == [5, 6]


def test_time_never_goes_back_even_when_the_clock_of_the_next_start_does(open_hub: Opener) -> None:
    ahead = open_hub(Clock(start=2_000_000_000))
    ahead.append(events(1), partition=0)
    ahead.close()
    behind = open_hub(Clock(start=1_999_000_000))
    behind.append(events(1), partition=0)
    first, second = behind.read(0, -1, 2)
    assert second.enqueued_ms >= first.enqueued_ms


@pytest.mark.parametrize("segment_bytes", [1000, 1 << 20])
def test_a_position_in_time_gives_the_first_event_at_or_after_it(open_hub: Opener, segment_bytes: int) -> None:
    clock = Clock(start=1_800_000_000)
    hub = open_hub(clock, segment_bytes=segment_bytes)
    for _ in range(30):
        hub.append(events(9), partition=0)
        clock.advance(60)
    held = everything(hub, 0)
    for at in (held[0].enqueued_at, held[100].enqueued_at, held[-1].enqueued_at, datetime(2020, 1, 1, tzinfo=UTC)):
        expected = next(event.sequence_number for event in held if event.enqueued_at >= at)
        assert hub.position_at(0, at) + 1 == expected
    assert hub.position_at(0, clock.now()) == held[-1].sequence_number


@pytest.mark.parametrize("segment_bytes", [1000, 1 << 20])
def test_a_position_by_offset_gives_that_event(open_hub: Opener, segment_bytes: int) -> None:
    hub = open_hub(segment_bytes=segment_bytes)
    for _ in range(20):
        hub.append(events(11), partition=0)
    for event in everything(hub, 0)[::13]:
        assert hub.position_before_offset(0, int(event.offset)) + 1 == event.sequence_number
        assert hub.position_before_offset(0, int(event.offset) + 1) == event.sequence_number


def test_events_that_left_the_cache_are_read_from_disk(open_hub: Opener) -> None:
    hub = open_hub()
    count = 3 * CACHE_BYTES // 100_000
    for number in range(count):
        hub.append([OutgoingEvent.of(str(number).encode().ljust(100_000))], partition=0)
    assert [int(event.body) for event in everything(hub, 0, 7)] == list(range(count))


def test_the_tail_may_be_torn_at_every_byte_of_the_last_record(open_hub: Opener, tmp_path: Path) -> None:
    hub = open_hub()
    hub.append(events(3, key="k"), partition=0)
    path = tmp_path / "tdr" / "0" / f"{0:020d}.log"
    whole = path.stat().st_size
    hub.append([OutgoingEvent.of(b"the last one", "key", {"a": "b"})], partition=0)
    hub.close()
    content = path.read_bytes()
    for cut in range(whole, len(content)):
        path.write_bytes(content[:cut])
        again = open_hub()
        assert again.partition(0).last_enqueued_sequence_number == 2
        assert path.stat().st_size == whole
        again.append(events(1), partition=0)
        assert [event.sequence_number for event in everything(again, 0)] == [0, 1, 2, 3]
        again.close()


def test_a_tail_of_garbage_is_cut_off(open_hub: Opener, tmp_path: Path) -> None:
    hub = open_hub()
    hub.append(events(3), partition=0)
    hub.close()
    path = tmp_path / "tdr" / "0" / f"{0:020d}.log"
    good = path.read_bytes()
    for garbage in (b"\0" * 100, b"\xff" * 100, good[-60:]):
        path.write_bytes(good + garbage)
        again = open_hub()
        assert len(everything(again, 0)) == 3
        again.close()
        assert path.read_bytes() == good


def test_damage_inside_the_log_is_reported_and_not_read_over(open_hub: Opener, tmp_path: Path) -> None:
    hub = open_hub(segment_bytes=500)
    for _ in range(5):
        hub.append(events(10), partition=0)
    hub.close()
    path = tmp_path / "tdr" / "0" / f"{0:020d}.log"
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    again = open_hub(segment_bytes=500)
    with pytest.raises(HubStorageError, match="damaged"):
        again.read(0, -1, 10)
    assert again.read(0, 40, 10)[0].sequence_number == 41


def test_a_folder_of_another_hub_is_refused(open_hub: Opener, tmp_path: Path) -> None:
    open_hub().close()
    with pytest.raises(HubStorageError, match="4 partitions"):
        Hub(tmp_path / "tdr", "tdr", 8, Clock())


def test_kill_nine_loses_nothing_that_append_had_returned(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lpmops.sandbox.clock import Clock; from lpmops.sandbox.hub import Hub, OutgoingEvent\n"
        "hub = Hub(Path(sys.argv[1]), 'tdr', 1, Clock(), throughput_units=1e6)\n"
        "while True:\n"
        "    done = hub.append([OutgoingEvent.of(b'x' * 300)] * 20)\n"
        "    print(done[0].last_sequence_number, flush=True)\n"
    )
    root = Path(__file__).parents[3]
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "tdr")], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(50)]
    os.kill(writer.pid, signal.SIGKILL)
    said += [line for line in writer.stdout if line.endswith("\n")]
    promised = int(said[-1])
    writer.wait()
    hub = Hub(tmp_path / "tdr", "tdr", 1, Clock(), throughput_units=1e6)
    found = everything(hub, 0)
    assert len(found) > promised
    assert [event.sequence_number for event in found] == list(range(len(found)))


def test_a_full_disk_is_named_and_harms_nothing(open_hub: Opener) -> None:
    hub = open_hub()
    hub.append(events(3), partition=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(HubStorageFull, match="no room"):
            hub.append(events(2000, size=100), partition=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert hub.append(events(2), partition=0)[0].first_sequence_number == 3
    hub.close()
    assert [event.sequence_number for event in everything(open_hub(), 0)] == [0, 1, 2, 3, 4]


def test_more_than_the_throughput_units_is_refused_until_time_has_passed(open_hub: Opener) -> None:
    clock = Clock(speed=0.0001)
    hub = open_hub(clock, throughput_units=2)
    hub.append(events(2000))
    with pytest.raises(ServerBusy) as refused:
        hub.append(events(1))
    assert 0 < refused.value.retry_after <= 0.01
    clock.advance(0.5)
    hub.append(events(1000))
    with pytest.raises(ServerBusy):
        hub.append(events(1))
    counts = hub.counters.totals()
    assert (counts["ThrottledRequests"], counts["IncomingMessages"], counts["SuccessfulRequests"]) == (2, 3000, 2)


def test_bytes_count_against_the_throughput_units_too(open_hub: Opener) -> None:
    clock = Clock(speed=0.0001)
    hub = open_hub(clock, throughput_units=1)
    hub.append(events(11, size=100_000))
    with pytest.raises(ServerBusy) as refused:
        hub.append(events(1))
    assert 0.1 < refused.value.retry_after < 0.2


def test_a_batch_above_a_second_s_allowance_is_taken_and_paid_for_later(open_hub: Opener) -> None:
    clock = Clock(speed=0.0001)
    hub = open_hub(clock, throughput_units=0.01)
    hub.append(events(500))
    with pytest.raises(ServerBusy) as refused:
        hub.append(events(1))
    assert 45 < refused.value.retry_after < 55
    hub.throughput_units = 2
    clock.advance(1)
    hub.append(events(1))


def test_egress_is_slowed_but_never_refused(open_hub: Opener) -> None:
    clock = Clock(speed=0.0001)
    hub = open_hub(clock)
    hub.append(events(6000), partition=0)
    hub.throughput_units = 1
    first = hub.read(0, -1, 10_000)
    assert len(first) == 4096
    assert hub.read(0, 4095, 10_000) == []
    assert hub.egress_delay() > 0
    assert not hub.wait(0, 4095, 0.02)
    clock.advance(1)
    assert hub.wait(0, 4095, 0.02)
    assert len(hub.read(0, 4095, 10_000)) == 1904


def test_an_event_above_one_megabyte_is_refused_with_both_sizes(hub: Hub) -> None:
    with pytest.raises(EventTooLarge, match="1048581 bytes exceeds the limit of 1048576"):
        hub.append([OutgoingEvent(b"x" * 1_048_581)])
    assert hub.counters.totals()["UserErrors"] == 1


def test_a_key_without_end_is_refused(hub: Hub) -> None:
    with pytest.raises(HubError, match="key is too long"):
        hub.append([OutgoingEvent.of(b"x", "k" * 70_000)])
    assert all(hub.partition(number).is_empty for number in range(4))


def test_counters_are_kept_by_minute(open_hub: Opener) -> None:
    clock = Clock(start=1_800_000_000)
    hub = open_hub(clock)
    hub.append(events(3))
    clock.advance(120)
    hub.append(events(4))
    start = datetime.fromtimestamp(1_800_000_000, UTC)
    rows = hub.counters.by_minute(start, start + timedelta(minutes=10))
    assert [(at - start, row["IncomingMessages"]) for at, row in rows] == [(timedelta(0), 3), (timedelta(minutes=2), 4)]


def test_a_waiting_thread_is_woken_by_an_append(hub: Hub) -> None:
    woken: list[bool] = []
    reader = threading.Thread(target=lambda: woken.append(hub.wait(1, -1, 10)))
    reader.start()
    hub.append(events(1), partition=1)
    reader.join(5)
    assert woken == [True]


async def test_a_waiting_coroutine_is_woken_by_an_append_from_another_thread(hub: Hub) -> None:
    waiting = asyncio.create_task(hub.wait_async(1, -1, 10))
    await asyncio.sleep(0)
    await asyncio.to_thread(hub.append, events(1), 1)
    assert await waiting
    assert not await hub.wait_async(1, 0, 0.01)


def test_closing_wakes_readers_and_ends_appends(hub: Hub) -> None:
    woken: list[bool] = []
    reader = threading.Thread(target=lambda: woken.append(hub.wait(0, -1, 10)))
    reader.start()
    hub.close()
    reader.join(5)
    assert woken == [False]
    with pytest.raises(HubError, match="closed"):
        hub.append(events(1), partition=0)


def test_many_threads_append_without_a_gap(hub: Hub) -> None:
    def write() -> None:
        for _ in range(50):
            hub.append(events(5), partition=0)

    writers = [threading.Thread(target=write) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [event.sequence_number for event in everything(hub, 0)] == list(range(1500))


def test_consumer_groups_are_known_whatever_their_case(hub: Hub) -> None:
    assert hub.consumer_groups == ("$Default", "asa-01", "people")
    assert hub.has_consumer_group("$default")
    hub.remove_consumer_group("PEOPLE")
    assert not hub.has_consumer_group("people")
    with pytest.raises(ValueError, match="default"):
        hub.remove_consumer_group("$Default")


def test_fifty_thousand_events_a_second_go_in_by_batches_of_five_hundred(open_hub: Opener) -> None:
    hub = open_hub()
    # Counted in this thread's own time: what else the machine does is not the log's affair.
    best = 0.0
    for _ in range(5):
        batch = [OutgoingEvent.of(b"x" * 300, f"record-{number:08d}-0123456789") for number in range(500)]
        begun = time.thread_time()
        for _ in range(10):
            hub.append(batch)
        best = max(best, 5000 / (time.thread_time() - begun))
    assert best > 50_000


def test_an_event_that_was_lost_keeps_its_number_and_comes_to_no_reader(open_hub: Opener) -> None:
    hub = open_hub()
    first, last = events(2)
    hub.append([first, OutgoingEvent(b""), OutgoingEvent(b""), last, OutgoingEvent(b"")], 0)
    for opened in (hub, None):
        again = opened or open_hub()
        assert [event.sequence_number for event in everything(again, 0)] == [0, 3]
        assert [event.sequence_number for event in again.read(0, -1, 1)] == [0]
        assert again.partition(0).last_enqueued_sequence_number == 4
        again.close()
