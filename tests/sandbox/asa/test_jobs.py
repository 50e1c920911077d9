"""A job's life: how it starts, what blocks it, what it repeats, and what it says of itself."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmops.sandbox.asa import CompileError, InvalidJobState, InvalidStart, JobDefinition, JobState
from lpmops.sandbox.asa.checkpoint import DamagedCheckpoint
from tests.sandbox.asa.kit import NOON, Bench, SqlProblem, record


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def records(*numbers: int, company: str = "1001") -> list[dict[str, Any]]:
    return [record(number, company) for number in numbers]


def names(*numbers: int) -> list[str]:
    return [f"tdr-{number}" for number in numbers]


class TestStarting:
    def test_a_job_takes_time_to_start_and_to_stop(self, bench: Bench) -> None:
        seen = [bench.job.state]
        bench.job.start()
        bench.job.step()
        seen.append(bench.job.state)
        bench.steps(1, seconds=bench.settings.start_seconds)
        seen.append(bench.job.state)
        bench.job.stop()
        seen.append(bench.job.state)
        bench.steps(1, seconds=bench.settings.stop_seconds)

        assert [*seen, bench.job.state] == ["Created", "Starting", "Running", "Stopping", "Stopped"]

    def test_starting_now_skips_what_came_while_the_job_was_stopped(self, bench: Bench) -> None:
        bench.hub.send(*records(1))
        bench.start("JobStartTime")
        bench.hub.send(*records(2))
        bench.steps()

        assert bench.landed() == names(2)

    def test_a_custom_time_begins_with_the_events_enqueued_then(self, bench: Bench) -> None:
        bench.hub.send(*records(1))
        bench.clock.advance(60)
        time = bench.clock.now()
        bench.hub.send(*records(2))
        bench.start("CustomTime", time)
        bench.steps()

        assert bench.landed() == names(2)

    def test_a_custom_time_to_come_skips_until_then(self, bench: Bench) -> None:
        bench.start("CustomTime", bench.clock.now() + timedelta(seconds=60))
        bench.hub.send(*records(1))
        bench.steps()
        bench.clock.advance(60)
        bench.hub.send(*records(2))
        bench.steps()

        assert bench.landed() == names(2)

    def test_the_first_window_after_a_start_is_counted_whole(self, bench: Bench) -> None:
        bench.hub.send(*records(1))
        bench.start("JobStartTime")
        bench.hub.send(*records(2))
        bench.steps(70, seconds=1)

        assert bench.landed() == names(2)
        assert [row["calls"] for row in bench.tables["kpi"].rows] == [2]

    def test_when_last_stopped_loses_nothing_and_repeats_some(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1, 2))
        bench.steps()
        bench.stop()
        bench.hub.send(*records(3))
        bench.start("LastOutputEventTime")
        bench.steps()

        assert bench.landed() == names(1, 2, 3)
        assert [row["record_id"] for write in bench.tables["lpm-01"].writes for row in write] == names(1, 2, 2, 3)

    def test_when_last_stopped_needs_a_start_that_wrote_something(self, bench: Bench) -> None:
        with pytest.raises(InvalidStart):
            bench.job.start("LastOutputEventTime")
        with pytest.raises(InvalidStart):
            bench.job.start("CustomTime")

    def test_a_partition_that_was_behind_is_not_skipped_by_another_that_was_ahead(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1), partition=0)
        bench.steps()
        bench.tables["lpm-02"].down = SqlProblem(40613)
        bench.hub.send(*records(2, company="1002"), *records(3), partition=1)
        bench.hub.send(*records(4), partition=0)
        bench.steps()
        bench.stop()
        bench.tables["lpm-02"].down = None
        bench.start("LastOutputEventTime")
        bench.steps()

        assert sorted(bench.landed()) == names(1, 3, 4)
        assert bench.landed("lpm-02") == names(2)

    def test_a_running_job_can_be_neither_started_nor_redefined(self, bench: Bench) -> None:
        bench.start()

        with pytest.raises(InvalidJobState):
            bench.job.start()
        with pytest.raises(InvalidJobState):
            bench.job.define(bench.job.definition)

    def test_a_query_that_does_not_compile_does_not_start(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, query="SELECT nothing")

        with pytest.raises(CompileError):
            bench.job.start()
        assert bench.job.state is JobState.CREATED

    def test_a_stopped_job_runs_what_it_was_redefined_to(self, bench: Bench) -> None:
        bench.start()
        bench.stop()
        query = "SELECT tdr_id AS record_id INTO [lpm-02] FROM [tdr-hub]"
        bench.job.define(JobDefinition(query, {"tdr-hub": bench.hub}, {"lpm-02": bench.tables["lpm-02"]}))
        bench.start()
        bench.hub.send(*records(1))
        bench.steps()

        assert (bench.landed(), bench.landed("lpm-02")) == ([], names(1))


class TestOutputs:
    def test_one_unreachable_database_stalls_all_and_nothing_is_lost(self, bench: Bench) -> None:
        bench.start()
        bench.tables["lpm-02"].down = ConnectionError("unreachable")
        bench.hub.send(*records(1), *records(2, company="1002"))
        bench.steps()
        bench.hub.send(*records(3))
        bench.steps(20, seconds=2)
        stalled = (
            bench.landed(),
            bench.job.state,
            bench.total("OutputWatermarkDelaySeconds"),
            bench.total("InputEventsSourcesBacklogged"),
        )
        bench.tables["lpm-02"].down = None
        bench.steps(40, seconds=2)

        landed, state, delay, backlog = stalled
        assert (landed, state, backlog) == (names(1), JobState.DEGRADED, 1)
        assert delay > 40
        assert (bench.landed(), bench.landed("lpm-02")) == (names(1, 3), names(2))
        assert bench.job.state is JobState.RUNNING
        assert bench.total("OutputWatermarkDelaySeconds") < 5

    def test_retries_come_with_growing_pauses(self, bench: Bench) -> None:
        bench.start()
        bench.tables["lpm-01"].down = ConnectionError("unreachable")
        bench.hub.send(*records(1))
        bench.steps(600, seconds=0.1)

        assert 4 <= bench.total("Errors", "lpm-01") <= 6

    def test_a_write_of_which_nobody_knows_is_made_again(self, bench: Bench) -> None:
        bench.start()
        bench.tables["lpm-01"].after_adding = ConnectionError("the answer was lost")
        bench.tables["heartbeat"].after_adding = ConnectionError("the answer was lost")
        beat = {"_change_type": "heartbeat", "beat_id": "b-1", "_sent_at": "2026-03-02T12:00:00Z", "_commit_version": 1}
        bench.hub.send(*records(1, 2), beat)
        bench.steps(10, seconds=1)

        assert bench.landed() == names(1, 2)
        assert [len(write) for write in bench.tables["lpm-01"].writes] == [2, 2]
        assert bench.tables["heartbeat"].column("beat_id") == ["b-1", "b-1"]

    def test_delivery_repeats_itself_now_and_then_in_good_health(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, redelivery=0.5)
        bench.start()
        for number in range(20):
            bench.hub.send(*records(number))
            bench.steps(1)

        assert bench.landed() == names(*range(20))
        assert 20 < len(bench.tables["lpm-01"].writes) < 40

    def test_a_row_that_does_not_fit_blocks_under_stop(self, bench: Bench) -> None:
        bench.tables["lpm-01"].refuses = refuse_second
        bench.start()
        bench.hub.send(*records(1, 2, 3))
        bench.steps(20, seconds=2)
        bench.tables["lpm-01"].refuses = None
        blocked = bench.landed()
        bench.steps(20, seconds=2)

        assert blocked == []
        assert bench.landed() == names(1, 2, 3)
        assert bench.total("ConversionErrors", "lpm-01") > 1

    def test_a_row_that_does_not_fit_is_dropped_alone_under_drop(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path)
        bench.policy = "Drop"
        bench.job.define(bench.make().definition)
        bench.tables["lpm-01"].refuses = refuse_second
        bench.start()
        bench.hub.send(*records(1, 2, 3))
        bench.steps()

        assert bench.landed() == names(1, 3)
        assert bench.total("ConversionErrors", "lpm-01") == 1
        [logged] = [
            one
            for one in bench.log
            if one.properties.get("DataErrorType") == "OutputDataConversionError.TypeConversionError"
        ]
        assert logged.operation_name == "Send Events: SQL Output write failure to lpm-01"
        assert "tdr-2" in logged.properties["ExampleEvents"]

    def test_rows_that_violate_a_unique_key_are_skipped_and_the_others_land(self, bench: Bench) -> None:
        def refuse(row: dict[str, Any], present: list[dict[str, Any]]) -> None:
            if row["record_id"] in {one["record_id"] for one in present}:
                raise SqlProblem(2627)

        bench.tables["lpm-01"].refuses = refuse
        bench.start()
        bench.hub.send(*records(1, 2))
        bench.steps()
        bench.hub.send(*records(1, 3, 2, 4))
        bench.steps()

        assert bench.landed() == names(1, 2, 3, 4)


class TestRestart:
    def test_a_killed_job_goes_on_and_repeats_some(self, bench: Bench) -> None:
        bench.start()
        for number in range(30):
            bench.hub.send(*records(number), partition=number % 2)
            bench.steps(1, seconds=0.5)
            if number % 7 == 0:
                # The old process is gone without a word.
                bench.job = bench.make()
        bench.steps()

        written = Counter(row["record_id"] for write in bench.tables["lpm-01"].writes for row in write)
        assert sorted(bench.landed()) == sorted(names(*range(30)))
        assert max(written.values()) > 1

    def test_a_job_that_was_closed_goes_on_without_repeating(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1))
        bench.steps()
        bench.job.close()
        bench.job = bench.make()
        bench.hub.send(*records(2))
        bench.steps()

        assert bench.job.state is JobState.RUNNING
        assert [len(write) for write in bench.tables["lpm-01"].writes] == [1, 1]

    def test_a_window_that_was_open_at_the_kill_counts_every_event_once(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1, 2))
        bench.steps(10, seconds=1)
        bench.job = bench.make()
        bench.hub.send(*records(3))
        bench.steps(70, seconds=1)

        assert [(row["company_id"], row["calls"]) for row in bench.tables["kpi"].rows] == [("1001", 3)]

    def test_a_blocked_batch_survives_the_kill(self, bench: Bench) -> None:
        bench.start()
        bench.tables["lpm-02"].down = ConnectionError("unreachable")
        bench.hub.send(*records(1, company="1002"), *records(2))
        bench.steps()
        bench.job = bench.make()
        bench.tables["lpm-02"].down = None
        bench.steps()

        assert (bench.landed(), bench.landed("lpm-02")) == (names(2), names(1))

    def test_a_damaged_checkpoint_is_named(self, bench: Bench, tmp_path: Path) -> None:
        bench.start()
        (tmp_path / "checkpoint.json").write_text("{")

        with pytest.raises(DamagedCheckpoint, match=r"checkpoint\.json"):
            bench.make()


class TestInput:
    def test_reference_data_is_read_again_every_minute(self, bench: Bench) -> None:
        bench.start()
        bench.steps()
        bench.routes.append({"company_id": "1003", "database_name": "lpm-02"})
        bench.hub.send(*records(1, company="1003"))
        bench.steps()
        bench.clock.advance(60)
        bench.steps()
        bench.hub.send(*records(2, company="1003"))
        bench.steps()

        assert (bench.landed("unrouted"), bench.landed("lpm-02")) == (names(1), names(2))

    def test_a_job_waits_for_its_first_reference_data(self, bench: Bench) -> None:
        bench.routes_down = True
        bench.start()
        bench.hub.send(*records(1))
        bench.steps()
        waited = bench.landed("unrouted")
        bench.routes_down = False
        bench.steps(10, seconds=1)

        assert (waited, bench.landed()) == ([], names(1))
        assert any("Reference data" in one.operation_name for one in bench.log)

    def test_a_cast_that_cannot_be_done_stops_the_job_until_someone_comes(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1))
        bench.steps()
        bench.hub.send(record(2, _commit_version="not a number"), *records(3))
        bench.steps()

        assert bench.job.state is JobState.FAILED
        assert "cannot be converted to bigint" in str(bench.job.failure)
        assert bench.make().state is JobState.FAILED
        assert bench.landed() == names(1)

    def test_malformed_events_are_counted_logged_in_sum_and_degrade_the_job(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*[b"{nope"] * 10, *records(1))
        bench.steps()
        degraded = bench.job.state
        bench.steps(12, seconds=60)

        assert bench.landed() == names(1)
        assert (degraded, bench.job.state) == (JobState.DEGRADED, JobState.RUNNING)
        assert bench.total("DeserializationError") == 10
        logged = [
            one.properties
            for one in bench.log
            if one.properties.get("DataErrorType") == "InputDeserializerError.InvalidData"
        ]
        assert [one["EventCount"] for one in logged] == [1, 1, 1, 7]
        assert json.loads(logged[0]["ExampleEvents"]) == ["{nope"]

    def test_few_streaming_units_saturate_the_job(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, events_per_streaming_unit=10.0)
        bench.start()
        bench.hub.send(*records(*range(900)), partition=0)
        bench.steps(20, seconds=0.5)
        saturated = (len(bench.landed()), bench.total("ResourceUtilization"))
        bench.job.scale(1000)
        bench.steps(5)

        assert 200 <= saturated[0] <= 400
        assert saturated[1] > 80
        assert len(bench.landed()) == 900


class TestTelling:
    def test_counters_are_by_logical_name_and_partition(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1, 2), partition=0)
        bench.hub.send(*records(3, company="1002"), partition=1)
        bench.steps()

        found = {(one.name, one.logical_name, one.partition): one.value for one in bench.job.metrics()}
        assert found["InputEvents", "tdr-hub", 0] == 2
        assert found["InputEvents", "tdr-hub", 1] == 1
        assert found["OutputEvents", "lpm-01", 0] == 2
        assert found["OutputEvents", "lpm-02", 1] == 1
        assert found["InputEventsSourcesBacklogged", "tdr-hub", 0] == 0
        assert found["OutputWatermarkDelaySeconds", "lpm-01", 0] < 1
        assert found["InputEventBytes", "tdr-hub", 1] > 100

    def test_a_stopped_job_has_no_values_of_now(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1))
        bench.steps()
        bench.stop()

        assert {one.aggregation for one in bench.job.metrics()} == {"Total"}

    def test_the_last_output_time_is_that_of_the_events(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1))
        sent = bench.hub.log[0][0].enqueued_at
        bench.clock.advance(30)
        bench.steps()

        assert bench.job.last_output_times["lpm-01"] == bench.job.last_output_event_time == sent
        assert bench.job.watermark is not None
        assert bench.job.watermark > sent > NOON

    def test_counts_of_a_quiet_minute_come_out_by_the_clock(self, bench: Bench) -> None:
        bench.start()
        bench.hub.send(*records(1))
        bench.steps(65, seconds=1)

        assert [row["calls"] for row in bench.tables["kpi"].rows] == [1]


def refuse_second(row: dict[str, Any], _present: list[dict[str, Any]]) -> None:
    if row["record_id"] == "tdr-2":
        raise SqlProblem(8114, "Error converting data type nvarchar to bigint.")
