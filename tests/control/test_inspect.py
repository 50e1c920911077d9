"""A closer look: the last records of a company, its calls and the logs, as of now or of then, and what is said where they can't be read."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lpmops.config import Column, Config, Kpi, Monitor
from lpmops.control.collect import Collector
from lpmops.control.inspect import Inspector
from lpmops.control.shared import SharedServices
from lpmops.errors import (
    BadAnswerError,
    DatabaseUnavailableError,
    ForbiddenError,
    LpmopsError,
    NotFoundError,
    UsageError,
)
from lpmops.model import ActivityEvent, LogLine, StreamEnding, StreamRun
from tests.control.pretend import JOB_ID, World

PROVIDERS = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/rg-lpm-tdr-test/providers"
NAMESPACE = f"{PROVIDERS}/Microsoft.EventHub/namespaces/evhns-lpm-tdr-test"
JOB = f"{PROVIDERS}/{JOB_ID.partition('providers/')[2]}"
CONVERSION = "OutputDataConversionError.TypeConversionError"
COLUMNS = (Column("caller_number", "NVARCHAR(32)"), Column("not_there_yet", "INT"))


def look(world: World, workspace: str = "", kpi: Kpi | None = None) -> Inspector:
    settings = replace(world.environment, monitor=Monitor(workspace))
    config = Config({"test": settings}, columns=COLUMNS, kpi=kpi or Kpi())
    return Inspector(config, lambda *_: world, lambda: world.now)


def texts(lines: tuple[LogLine, ...]) -> list[str]:
    return [line.text for line in lines]


# Records and calls -----------------------------------------------------------------------------------------------------------------------------


def test_the_newest_records_of_a_company_come_newest_first_and_without_the_caller() -> None:
    world = World()
    records = look(world).records("test", "1001")
    assert 1 < len(records) <= 40
    assert [record.landed_at for record in records] == sorted(
        (r.landed_at for r in records if r.landed_at), reverse=True
    )
    newest = records[0]
    assert newest.landed_at is not None
    assert newest.commit_at is not None
    assert newest.landed_at.tzinfo is UTC
    assert newest.landed_at > newest.commit_at
    assert (newest.company_id, newest.change_type, newest.partition, newest.replay_id) == ("1001", "insert", 0, None)
    assert newest.values == {
        "caller_number": "•••43",
        "sipreq": json.dumps(
            {"method": "INVITE", "from": "<sip:•••@esinet.example>"}, ensure_ascii=False, separators=(",", ":")
        ),
    }


def test_the_past_shows_nothing_that_landed_later() -> None:
    world = World()
    then = world.now - timedelta(seconds=30)
    records = look(world).records("test", "1001", then)
    assert records
    assert all(record.landed_at is not None and record.landed_at <= then for record in records)


def test_a_company_without_a_route_is_told_from_one_without_records() -> None:
    world = World()
    world.landed.clear()
    assert look(world).records("test", "1001") == ()
    with pytest.raises(NotFoundError, match="9999") as caught:
        look(world).records("test", "9999")
    assert "lpmops status -e test" in caught.value.hint


def test_records_are_still_read_while_the_control_database_is_away() -> None:
    world = World()
    inspector = look(world)
    before = inspector.records("test", "1001")
    world.broken["route_of_company"] = DatabaseUnavailableError("lpm-control is not available.", service="azuresql")
    assert inspector.records("test", "1001") == before
    with pytest.raises(DatabaseUnavailableError):
        inspector.records("test", "1002")


def test_a_table_that_is_not_ours_is_an_error_without_its_values() -> None:
    world = World()
    world.minutes = [{"company_id": "1001", "window_end": "soon, says 2025550143", "calls": 1}]
    with pytest.raises(BadAnswerError, match="kpi_minute") as caught:
        look(world).calls("test", "1001")
    assert "555" not in caught.value.message


def test_calls_by_the_minute_keep_what_is_unknown_unknown() -> None:
    world = World()
    end = world.now.replace(tzinfo=None)
    row = {"company_id": "1001", "window_end": end, "calls": 3, "answered": 2, "failed": 1}
    world.minutes = [{**row, "mean_duration_seconds": 61.5, "p95_duration_seconds": None}]
    (minute,) = look(world).calls("test", "1001")
    assert (minute.at, minute.calls, minute.answered, minute.failed) == (world.now, 3, 2, 1)
    assert (minute.mean_duration, minute.p95_duration) == (61.5, None)
    assert look(world).calls("test", "1002", world.now - timedelta(hours=1)) == ()
    assert world.untils[-2:] == [world.now - timedelta(hours=1)] * 2


def test_calls_that_are_counted_in_the_company_database_are_read_there() -> None:
    world = World()
    row = {"company_id": "1001", "window_end": world.now, "calls": 3, "answered": 2, "failed": 1}
    row |= {"mean_duration_seconds": None, "p95_duration_seconds": None}
    world.minutes = [{**row, "database": "lpm-01"}, {**row, "database": "lpm-02", "calls": 9}]
    assert [minute.calls for minute in look(world, kpi=Kpi(output="company")).calls("test", "1001")] == [3]


# Logs ------------------------------------------------------------------------------------------------------------------------------------------


def asa_row(at: str, message: str, level: str = "Error", **more: Any) -> dict[str, Any]:
    row = {"TimeGenerated": at, "Resource": "ASA-LPM-TDR-TEST-01", "OperationName": "Send Events", "Level": level}
    return {**row, "Message": message, "DataErrorType": "", "EventCount": None, **more}


def test_the_lines_of_the_jobs_are_of_one_form_newest_first_with_their_state() -> None:
    world = World()
    world.written["STREAMANALYTICS"] = [
        asa_row("2026-11-23T11:40:00.1234567Z", "Cannot write for +1-202-555-0143.", EventCount=7, DataErrorType=CONVERSION),
        asa_row("2026-11-23T11:50:00Z", "Late.", "Warning"),
        asa_row("no time", "Began.", "Informational"),
    ]  # fmt: skip
    world.activities = [
        ActivityEvent(world.now - timedelta(minutes=5), "Informational", "Stop Stream Analytics Job", "Succeeded", JOB),
        ActivityEvent(world.now - timedelta(minutes=10), "Error", "Send Events", "Failed", JOB, "Late."),
        ActivityEvent(world.now, "Informational", "Write", "Succeeded", NAMESPACE),
    ]
    lines = look(world, "workspace").logs("test", "asa")
    assert [(line.level, line.count) for line in lines] == [
        ("info", 1),
        ("info", 1),
        ("info", 1),
        ("warning", 1),
        ("error", 7),
    ]
    assert texts(lines) == [
        "Send Events: Began.",
        "The job is Running; its last output is of 2026-11-23T11:59:00Z.",
        "activity log: Stop Stream Analytics Job Succeeded",
        "Send Events: Late.",
        f"Send Events [{CONVERSION}]: Cannot write for •••43.",
    ]
    assert {line.subject for line in lines} == {"asa-lpm-tdr-test-01"}
    assert lines[-1].at == datetime(2026, 11, 23, 11, 40, 0, 123456, UTC)


def test_without_a_workspace_the_activity_log_and_the_state_speak_and_the_setting_is_named() -> None:
    world = World()
    world.faults.add("asa.stopped")
    world.activities = [ActivityEvent(world.now, "Error", "Process Events", "Failed", JOB, "Out of memory.")]
    lines = look(world).logs("test", "asa")
    assert "logs" not in world.asked
    assert "monitor.log_analytics_workspace" in lines[0].text
    assert [(line.level, line.text) for line in lines[1:]] == [
        ("error", "activity log: Process Events Failed — Out of memory."),
        ("warning", "The job is Stopped; its last output is of 2026-11-23T11:59:00Z."),
    ]


def test_the_past_of_the_jobs_says_nothing_of_their_state_now() -> None:
    world = World()
    then = world.now - timedelta(hours=1)
    assert look(world, "workspace").logs("test", "asa", then) == ()
    assert world.untils == [then, then]
    assert "jobs" not in world.asked


def test_what_one_place_can_not_say_is_a_line_and_only_all_of_them_an_error() -> None:
    world = World()
    world.broken["logs"] = ForbiddenError("No right to the workspace.", service="monitor", hint="Log Analytics Reader")
    lines = look(world, "workspace").logs("test", "asa")
    assert (lines[0].at, lines[0].level, lines[0].text) == (
        None,
        "warning",
        "No right to the workspace. Log Analytics Reader",
    )
    assert len(lines) == 2
    for name in ("jobs", "activity"):
        world.broken[name] = ForbiddenError("No right to the group.", service="monitor")
    with pytest.raises(ForbiddenError):
        look(world, "workspace").logs("test", "asa")


def test_throttling_is_told_by_the_minute_and_by_what_was_refused() -> None:
    world = World()
    world.throttled_requests = 12.0
    world.written["AZMSDiagnosticErrorLogs"] = [
        {
            "TimeGenerated": "2026-11-23T11:57:00Z",
            "Entity": "tdr",
            "Activity": "SendMessage",
            "Result": "ServerBusy",
            "Errors": 12,
            "Message": "50002.",
        },
        {"TimeGenerated": "2026-11-23T11:56:00Z", "Entity": None, "Result": "clienterror", "Errors": 0},
    ]
    lines = look(world, "workspace").logs("test", "eventhub")
    assert [(line.level, line.subject, line.count) for line in lines] == [
        ("warning", "evhns-lpm-tdr-test", 12),
        ("warning", "tdr", 12),
        ("error", "evhns-lpm-tdr-test", 1),
    ]
    assert lines[0].text.startswith("12 requests were throttled")
    assert lines[1].text == "SendMessage ServerBusy: 50002."


def test_the_runs_of_the_streaming_job_tell_how_they_ended_and_why() -> None:
    world = World()
    ended = world.now - timedelta(minutes=1)
    run = StreamRun("77", "lpm-tdr-stream", "failed", "Task failed.", "9", world.now - timedelta(hours=1), ended)
    now = StreamRun("77", "lpm-tdr-stream", "running", "", "10", world.now - timedelta(seconds=1))
    error, trace = "[STREAM_FAILED] of tel:+12025550143", "Traceback\nlast line"
    world.runs = [
        StreamEnding(now, "CONTINUOUS"),
        StreamEnding(run, "ONE_TIME", "RUN_EXECUTION_ERROR", error, trace),
    ]
    lines = look(world).logs("test", "databricks")
    assert [(line.subject, line.level) for line in lines] == [
        ("query", "info"),
        ("run 10", "info"),
        ("run 9", "error"),
        ("run 9", "info"),
    ]
    assert "version" in lines[0].text
    assert lines[2].text == (
        "lpm-tdr-stream ended: RUN_EXECUTION_ERROR — Task failed. — [STREAM_FAILED] of tel:•••\nTraceback\nlast line"
    )
    world.runs = world.runs[1:]
    then = look(world).logs("test", "databricks", world.now - timedelta(minutes=5))
    assert [(line.subject, line.level) for line in then] == [("run 9", "info")]


def test_a_flood_is_bounded_and_the_newest_lines_stay() -> None:
    world = World()
    world.written["STREAMANALYTICS"] = [
        asa_row(f"2026-11-23T10:{n // 60:02}:{n % 60:02}Z", f"line {n}") for n in range(1_000)
    ]
    lines = look(world, "workspace").logs("test", "asa")
    assert len(lines) == 300
    assert lines[1].text == "Send Events: line 999"


def test_a_source_and_an_environment_that_do_not_exist_are_named() -> None:
    inspector = look(World())
    assert inspector.log_sources("test") == ("asa", "databricks", "eventhub")
    with pytest.raises(UsageError, match="nothing"):
        inspector.logs("test", "nothing")
    with pytest.raises(NotFoundError):
        inspector.records("tset", "1001")


@pytest.mark.parametrize("text", ["\x1b[2J\x00[/]" * 50, "x" * 90_000, "\ud800 half", ""])
def test_no_text_of_a_service_breaks_a_line(text: str) -> None:
    world = World()
    world.written["STREAMANALYTICS"] = [asa_row(text, text, text, OperationName=text, Resource=text, EventCount=text)]
    (line, _) = look(world, "workspace").logs("test", "asa")
    assert len(line.text) < 3_000
    assert line.text.encode()


# Together with the poller ----------------------------------------------------------------------------------------------------------------------


class Closing:
    """An opener that counts what is open."""

    def __init__(self, world: World) -> None:
        self.world, self.opened, self.closed = world, 0, 0
        self.refuses: LpmopsError | None = None

    def __call__(self, environment: object, deadline: float) -> World:
        if self.refuses is not None:
            raise self.refuses
        self.opened += 1
        return self.world

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def close() -> None:
            self.closed += 1

        monkeypatch.setattr(self.world, "close", close)


def test_services_are_opened_once_for_all_and_closed_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    opener = Closing(World())
    opener.watch(monkeypatch)
    shared = SharedServices(opener)
    first = shared.open(opener.world.environment, 5.0)
    second = shared.open(opener.world.environment, 5.0)
    first.close()
    first.close()
    assert (opener.opened, opener.closed) == (1, 0)
    second.close()
    assert opener.closed == 1
    shared.open(opener.world.environment, 5.0).close()
    assert (opener.opened, opener.closed) == (2, 2)


def test_what_could_not_be_opened_is_tried_again() -> None:
    opener = Closing(World())
    opener.refuses = LpmopsError("not today")
    shared = SharedServices(opener)
    with pytest.raises(LpmopsError, match="not today"):
        shared.open(opener.world.environment, 5.0)
    opener.refuses = None
    assert shared.open(opener.world.environment, 5.0).calls.total >= 0


def test_questions_count_among_the_calls_of_the_next_look() -> None:
    world = World()
    collector = Collector(world.environment, world, now=lambda: world.now)
    collector.refresh(5.0)
    quiet = collector.refresh(5.0).calls
    look(world).records("test", "1001")
    assert collector.refresh(5.0).calls == quiet + 2
    collector.close()


def test_many_threads_may_ask_at_once_and_closing_ends_the_asking() -> None:
    world = World()
    inspector = look(world, "workspace")
    answers: list[int] = []

    def ask(question: Callable[[], Any]) -> None:
        answers.append(len(question()))

    questions: list[Callable[[], Any]] = [
        lambda: inspector.records("test", "1001"),
        lambda: inspector.logs("test", "asa"),
        lambda: inspector.logs("test", "eventhub"),
        lambda: inspector.records("test", "1002"),
    ]
    threads = [threading.Thread(target=ask, args=(question,)) for question in questions * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 20
    inspector.close()
    with pytest.raises(LpmopsError, match="closing"):
        inspector.records("test", "1001")
