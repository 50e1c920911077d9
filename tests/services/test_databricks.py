"""The table, the job and the stream's progress, read from the answers that Databricks documents."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from lpmops.errors import (
    BadAnswerError,
    DeadlineError,
    ForbiddenError,
    ServiceError,
    ServiceNotFoundError,
    StatementError,
)
from lpmops.services.calls import CallCounter
from lpmops.services.databricks import DatabricksService
from lpmops.services.transport import Transport
from tests.services.faulty_server import FaultyServer, Reply, Request, answer
from tests.services.worlds import SignedIn, environment

CHECKPOINT = "/Volumes/lpm_dev/ops/checkpoints/tdr-stream"
STATEMENTS = "/api/2.0/sql/statements"


def service_of(server: FaultyServer, seconds: float = 5.0, calls: CallCounter | None = None) -> DatabricksService:
    world = environment(server.url)
    transport = Transport(calls)
    return DatabricksService(world, transport, SignedIn(world, transport), seconds)


def routes(found: dict[str, Any]) -> Callable[[Request], Reply]:
    missing = answer(404, {"error_code": "NOT_FOUND", "message": "No file or resource exists on the path."})

    def route(request: Request) -> Reply:
        body = found.get(request.path)
        if body is None:
            return missing
        return body(request) if callable(body) else answer(200, body)

    return route


def result(columns: list[tuple[str, str]], rows: list[list[Any]], **more: Any) -> dict[str, Any]:
    return {
        "statement_id": "s-1",
        "status": {"state": "SUCCEEDED"},
        "manifest": {"schema": {"columns": [{"name": name, "type_name": kind} for name, kind in columns]}},
        "result": {"data_array": rows, **more},
    }


HISTORY = [("version", "LONG"), ("timestamp", "TIMESTAMP"), ("operation", "STRING"), ("operationMetrics", "MAP")]


def test_the_table_is_one_look_and_one_statement(server: FaultyServer) -> None:
    table = {
        "table_id": "t-1",
        "full_name": "lpm_dev.gold.tdr_streaming",
        "properties": {"delta.enableChangeDataFeed": "true", "odd": 5},
    }
    history = result(
        HISTORY,
        [["41", "2026-11-23T04:05:06.789Z", "MERGE", '{"numTargetRowsInserted":"3","numTargetRowsUpdated":"4"}']],
    )
    server.route = routes({"/api/2.1/unity-catalog/tables/lpm_dev.gold.tdr_streaming": table, STATEMENTS: history})
    calls = CallCounter()
    state = service_of(server, calls=calls).table()
    assert (state.table_id, state.latest_version, state.change_feed) == ("t-1", 41, "delta")
    assert state.latest_commit_at == datetime(2026, 11, 23, 4, 5, 6, 789000, UTC)
    assert state.properties == {"delta.enableChangeDataFeed": "true"}
    sent = json.loads(server.requests[1].body)
    assert sent["statement"] == "DESCRIBE HISTORY `lpm_dev`.`gold`.`tdr_streaming` LIMIT 1"
    assert (sent["warehouse_id"], sent["disposition"], sent["format"]) == ("0123456789abcdef", "INLINE", "JSON_ARRAY")
    assert calls.operations() == {("databricks", "table"): 1, ("databricks", "statement"): 1}


def test_history_counts_what_each_operation_wrote(server: FaultyServer) -> None:
    rows = [
        [
            "3",
            "2026-11-23T00:00:02Z",
            "MERGE",
            '{"numTargetRowsInserted":"3","numTargetRowsDeleted":"1","numOutputRows":"9"}',
        ],
        ["2", "2026-11-23T00:00:01Z", "DELETE", '{"numDeletedRows":"7"}'],
        ["1", "2026-11-23T00:00:00Z", "SET TBLPROPERTIES", "{}"],
    ]
    server.route = routes({STATEMENTS: result(HISTORY, rows)})
    assert [(commit.version, commit.rows) for commit in service_of(server).history(3)] == [(3, 4), (2, 7), (1, None)]


@pytest.mark.parametrize(
    ("properties", "feed"),
    [
        ({"delta.enableChangeDataFeed": "TRUE", "delta.enableRowTracking": "true"}, "delta"),
        ({"delta.enableRowTracking": "true"}, "automatic"),
        ({"delta.enableChangeDataFeed": "false"}, "off"),
        ({}, "off"),
    ],
)
def test_the_change_feed_is_named_by_how_it_is_recorded(properties: dict[str, str], feed: str) -> None:
    from lpmops.services.deltahistory import change_feed

    assert change_feed(properties) == feed


def test_values_come_back_as_their_types_chunk_by_chunk(server: FaultyServer) -> None:
    columns = [
        ("n", "LONG"),
        ("x", "DOUBLE"),
        ("ok", "BOOLEAN"),
        ("at", "TIMESTAMP"),
        ("list", "ARRAY"),
        ("none", "STRING"),
    ]
    first = result(
        columns,
        [["1", "1.5", "true", "2026-01-02T03:04:05.006Z", "[1]", None]],
        next_chunk_internal_link=f"{STATEMENTS}/s-1/result/chunks/1?row_offset=1",
    )
    second = {"data_array": [["2", "NaN", "false", None, None, "x"]]}
    server.route = routes({STATEMENTS: first, f"{STATEMENTS}/s-1/result/chunks/1": second})
    rows = service_of(server).query("SELECT :a, :b, :c", {"a": 5, "b": None, "c": datetime(2026, 1, 1, tzinfo=UTC)})
    assert rows[0] == {
        "n": 1,
        "x": 1.5,
        "ok": True,
        "at": datetime(2026, 1, 2, 3, 4, 5, 6000, UTC),
        "list": [1],
        "none": None,
    }
    assert (rows[1]["n"], rows[1]["ok"], rows[1]["none"]) == (2, False, "x")
    assert json.loads(server.requests[0].body)["parameters"] == [
        {"name": "a", "value": "5", "type": "BIGINT"},
        {"name": "b"},
        {"name": "c", "value": "2026-01-01T00:00:00Z", "type": "TIMESTAMP"},
    ]


def test_a_chunk_on_another_host_is_refused(server: FaultyServer) -> None:
    link = "https://elsewhere.example/chunk"
    server.route = routes({STATEMENTS: result([("n", "LONG")], [["1"]], next_chunk_internal_link=link)})
    with pytest.raises(BadAnswerError, match="another host"):
        service_of(server).query("SELECT 1")


def test_a_statement_is_waited_for_and_cancelled_at_the_deadline(server: FaultyServer) -> None:
    waiting = {"statement_id": "s-1", "status": {"state": "PENDING"}}
    server.route = routes({STATEMENTS: waiting, f"{STATEMENTS}/s-1": waiting, f"{STATEMENTS}/s-1/cancel": {}})
    with pytest.raises(DeadlineError) as caught:
        service_of(server, seconds=0.6).query("SELECT 1")
    assert "cancelled" in caught.value.message
    assert json.loads(server.requests[0].body)["wait_timeout"] == "0s"
    assert server.requests[-1].path == f"{STATEMENTS}/s-1/cancel"
    assert [request.path for request in server.requests].count(STATEMENTS) == 1


@pytest.mark.parametrize(
    ("error", "kind", "error_class"),
    [
        (
            "[DELTA_MISSING_CHANGE_DATA] Error getting change data. SQLSTATE: KD002",
            StatementError,
            "DELTA_MISSING_CHANGE_DATA",
        ),
        (
            "[DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE.X] no",
            StatementError,
            "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE.X",
        ),
        ("[PARSE_SYNTAX_ERROR] Syntax error at or near 'x'", StatementError, "PARSE_SYNTAX_ERROR"),
        ("[INSUFFICIENT_PERMISSIONS] User does not have SELECT", ForbiddenError, None),
        ("[TABLE_OR_VIEW_NOT_FOUND] The table cannot be found", ServiceNotFoundError, None),
        ("something without a class", StatementError, None),
    ],
)
def test_a_statement_that_fails_with_status_200_is_its_own_error(
    server: FaultyServer, error: str, kind: type[ServiceError], error_class: str | None
) -> None:
    body = {
        "statement_id": "s-9",
        "status": {"state": "FAILED", "error": {"error_code": "BAD_REQUEST", "message": error}},
    }
    server.route = routes({STATEMENTS: body})
    with pytest.raises(ServiceError) as caught:
        service_of(server).query("SELECT 1")
    assert type(caught.value) is kind
    assert caught.value.request_id == "s-9"
    if isinstance(caught.value, StatementError):
        assert caught.value.error_class == error_class


def test_a_reading_statement_is_sent_again_and_a_writing_one_never(server: FaultyServer) -> None:
    server.serve(answer(503), answer(200, result([("n", "LONG")], [["1"]])))
    assert service_of(server).query("SELECT n FROM t -- UPDATE") == [{"n": 1}]
    assert len(server.requests) == 2
    server.serve(answer(503))
    with pytest.raises(ServiceError):
        service_of(server).query("OPTIMIZE t")
    assert len(server.requests) == 3


def job(**settings: Any) -> dict[str, Any]:
    return {"job_id": 7, "settings": {"name": "lpm-tdr-stream-dev", **settings}}


@pytest.mark.parametrize(
    ("run", "state", "message"),
    [
        ({"status": {"state": "RUNNING"}, "state": {"life_cycle_state": "RUNNING"}}, "running", ""),
        ({"status": {"state": "QUEUED"}}, "starting", ""),
        ({"state": {"life_cycle_state": "PENDING"}}, "starting", ""),
        ({"status": {"state": "TERMINATING"}}, "stopping", ""),
        ({"status": {"state": "TERMINATED", "termination_details": {"code": "RUN_EXECUTION_ERROR", "message": "boom"}}}, "failed", "boom"),
        ({"state": {"life_cycle_state": "INTERNAL_ERROR", "state_message": "lost the driver"}}, "failed", "lost the driver"),
        ({"state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED"}}, "failed", ""),
        ({"status": {"state": "TERMINATED", "termination_details": {"code": "USER_CANCELED"}}}, "stopped", ""),
        ({"status": {"state": "TERMINATED", "termination_details": {"code": "SUCCESS"}}}, "stopped", ""),
    ],
)  # fmt: skip
def test_the_newest_run_is_read_in_either_form(
    server: FaultyServer, run: dict[str, Any], state: str, message: str
) -> None:
    runs = {"runs": [{"run_id": 99, "start_time": 1_700_000_000_000, "end_time": 0, **run}]}
    server.route = routes({"/api/2.2/jobs/list": {"jobs": [job()]}, "/api/2.2/jobs/runs/list": runs})
    found = service_of(server).stream_run()
    assert (found.state, found.message, found.job_id, found.run_id) == (state, message, "7", "99")
    assert found.started_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert found.ended_at is None
    assert server.requests[0].target == "/api/2.2/jobs/list?name=lpm-tdr-stream-dev&limit=2"


def test_a_run_comes_with_the_one_that_ended_last_before_it_and_costs_no_further_call(server: FaultyServer) -> None:
    failed = {"state": "TERMINATED", "termination_details": {"code": "RUN_EXECUTION_ERROR", "message": "boom"}}
    runs = [
        {"run_id": 9, "start_time": 3_000, "status": {"state": "PENDING"}},
        {"run_id": 8, "start_time": 2_000, "status": {"state": "TERMINATING"}},
        {"run_id": 7, "start_time": 1_000, "end_time": 1_500, "status": failed},
        {"run_id": 6, "start_time": 500, "end_time": 900, "state": {"life_cycle_state": "TERMINATED"}},
    ]
    server.route = routes({"/api/2.2/jobs/list": {"jobs": [job()]}, "/api/2.2/jobs/runs/list": {"runs": runs}})
    found = service_of(server).stream_run()
    assert found.before is not None
    assert (found.state, found.run_id) == ("starting", "9")
    assert (found.before.state, found.before.run_id, found.before.message) == ("failed", "7", "boom")
    assert found.before.ended_at == datetime.fromtimestamp(1.5, UTC)
    assert len(server.requests) == 2


def test_a_paused_job_an_unrun_one_and_none_are_told_apart(server: FaultyServer) -> None:
    over = {"runs": [{"run_id": 1, "status": {"state": "TERMINATED", "termination_details": {"code": "CANCELED"}}}]}
    paused = {"jobs": [job(continuous={"pause_status": "PAUSED"})]}
    server.route = routes({"/api/2.2/jobs/list": paused, "/api/2.2/jobs/runs/list": over})
    assert service_of(server).stream_run().state == "paused"
    server.route = routes({"/api/2.2/jobs/list": {"jobs": [job()]}, "/api/2.2/jobs/runs/list": {}})
    assert service_of(server).stream_run().state == "stopped"
    server.route = routes({"/api/2.2/jobs/list": {}})
    assert service_of(server).stream_run().state == "absent"


def test_two_jobs_of_the_name_are_refused(server: FaultyServer) -> None:
    server.route = routes({"/api/2.2/jobs/list": {"jobs": [job(), job()]}})
    with pytest.raises(BadAnswerError, match="two jobs"):
        service_of(server).stream_run()


PROGRESS: dict[str, Any] = {
    "id": "q",
    "name": "tdr_stream",
    "timestamp": "2026-11-23T04:05:06.789Z",
    "batchId": 12,
    "inputRowsPerSecond": 3.5,
    "processedRowsPerSecond": 70.0,
    "durationMs": {"triggerExecution": 850},
    "sources": [
        {
            "description": "DeltaSource",
            "endOffset": {"reservoirId": "t-1", "reservoirVersion": 42, "index": -1, "isStartingVersion": False},
            "metrics": {"numBytesOutstanding": "1024"},
        }
    ],
}


def test_progress_is_read_from_beside_the_checkpoint(server: FaultyServer) -> None:
    server.route = routes({"/api/2.0/fs/files/Volumes/lpm_dev/ops/checkpoints/progress/tdr_stream.json": PROGRESS})
    found = service_of(server).progress()
    assert found is not None
    # Delta writes the next version with index -1 once one is done, so 42 means that 41 is read.
    assert (found.version, found.table_id, found.batch) == (41, "t-1", 12)
    assert (found.input_rate, found.processed_rate, found.batch_seconds, found.backlog_bytes) == (3.5, 70.0, 0.85, 1024)
    assert len(server.requests) == 1


def test_progress_is_read_from_the_newest_offset_where_nothing_is_written(server: FaultyServer) -> None:
    entries = [
        {"path": f"{CHECKPOINT}/offsets/{name}", "name": name, "is_directory": False} for name in ("9", "10", ".10.crc")
    ]
    offsets = 'v1\n{"batchTimestampMs":1700000000000}\n{"sourceVersion":1,"reservoirId":"t-1","reservoirVersion":8,"index":3}\n'

    def page(request: Request) -> Reply:
        more = "page_token=x" in request.target
        return answer(200, {"contents": entries[1:]} if more else {"contents": entries[:1], "next_page_token": "x"})

    found = {
        f"/api/2.0/fs/directories{CHECKPOINT}/offsets": page,
        f"/api/2.0/fs/files{CHECKPOINT}/offsets/10": lambda _: answer(200, offsets),
    }
    server.route = routes(found)
    progress = service_of(server).progress()
    assert progress is not None
    assert (progress.version, progress.batch, progress.table_id) == (8, 10, "t-1")
    assert progress.at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_the_progress_of_another_checkpoint_of_the_folder_is_not_taken_for_this_ones(server: FaultyServer) -> None:
    beside = "/api/2.0/fs/files/Volumes/lpm_dev/ops/checkpoints/progress/tdr_stream.json"
    server.route = routes({beside: {**PROGRESS, "checkpoint": "tdr-stream-2"}})
    assert service_of(server).progress() is None
    server.route = routes({beside: {**PROGRESS, "checkpoint": CHECKPOINT.rpartition("/")[2]}})
    found = service_of(server).progress()
    assert found is not None
    assert found.version == 41


def test_a_part_of_the_progress_that_is_unreadable_costs_that_part_alone_and_is_told(server: FaultyServer) -> None:
    [source] = PROGRESS["sources"]
    garbled = {**PROGRESS, "inputRowsPerSecond": "fast", "timestamp": 12, "sources": [{**source, "metrics": "none"}]}
    server.route = routes({"/api/2.0/fs/files/Volumes/lpm_dev/ops/checkpoints/progress/tdr_stream.json": garbled})
    found = service_of(server).progress()
    assert found is not None
    assert (found.version, found.batch, found.processed_rate, found.batch_seconds) == (41, 12, 70.0, 0.85)
    assert (found.input_rate, found.at, found.backlog_bytes) == (None, None, None)
    assert re.findall("'(.*)'", "\n".join(found.unreadable)) == ["timestamp", "inputRowsPerSecond", "metrics"]


def test_a_line_of_the_checkpoint_that_is_no_json_is_told(server: FaultyServer) -> None:
    offsets = 'v1\n{"batchTimestampMs":"soon"}\n{half\n{"reservoirId":"t-1","reservoirVersion":8,"index":3}\n'
    found = {
        f"/api/2.0/fs/directories{CHECKPOINT}/offsets": {"contents": [{"path": f"{CHECKPOINT}/offsets/1"}]},
        f"/api/2.0/fs/files{CHECKPOINT}/offsets/1": lambda _: answer(200, offsets),
    }
    server.route = routes(found)
    progress = service_of(server).progress()
    assert progress is not None
    assert (progress.version, progress.at) == (8, None)
    assert [text.partition(" has no ")[2] for text in progress.unreadable] == [
        "whole number under 'batchTimestampMs'.",
        "JSON object in line 3.",
    ]


def test_a_stream_that_left_no_trace_has_no_progress(server: FaultyServer) -> None:
    server.route = routes({})
    assert service_of(server).progress() is None
