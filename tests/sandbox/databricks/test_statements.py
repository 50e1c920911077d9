"""SQL on the warehouse, through the official SDK: results, refusals, waiting, and what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, NotImplemented
from databricks.sdk.service import sql
from databricks.sdk.service.sql import ExecuteStatementRequestOnWaitTimeout as OnWaitTimeout
from databricks.sdk.service.sql import StatementParameterListItem as Parameter
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmops.sandbox.databricks import results
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable
from tests.sandbox.databricks.conftest import START, TABLE, WAREHOUSE, World, eventually, rows

Make = Callable[..., World]


def run(client: WorkspaceClient, statement: str, **more: Any) -> sql.StatementResponse:
    return client.statement_execution.execute_statement(statement, WAREHOUSE, **more)


def values(client: WorkspaceClient, statement: str, **more: Any) -> list[list[str]]:
    answer = run(client, statement, **more)
    assert answer.status is not None
    assert answer.status.state == sql.StatementState.SUCCEEDED, answer.status
    assert answer.result is not None
    return answer.result.data_array or []


def failure(client: WorkspaceClient, statement: str, **more: Any) -> str:
    answer = run(client, statement, **more)
    assert answer.status is not None
    assert answer.status.state == sql.StatementState.FAILED, answer
    assert answer.status.error is not None
    assert answer.status.error.error_code == sql.ServiceErrorCode.BAD_REQUEST
    return str(answer.status.error.message)


def test_history_is_newest_first_and_typed(sdk: WorkspaceClient, still: World) -> None:
    answer = run(sdk, f"DESCRIBE HISTORY {TABLE} LIMIT 2")
    assert answer.manifest is not None
    assert answer.manifest.schema is not None
    columns = {column.name: column.type_name for column in answer.manifest.schema.columns or []}
    assert columns["version"] == sql.ColumnInfoTypeName.LONG
    assert columns["timestamp"] == sql.ColumnInfoTypeName.TIMESTAMP
    assert columns["operationMetrics"] == sql.ColumnInfoTypeName.MAP
    assert answer.result is not None
    assert answer.result.data_array is not None
    named = [dict(zip(columns, row, strict=True)) for row in answer.result.data_array]
    assert [row["version"] for row in named] == ["2", "1"]
    assert json.loads(named[1]["operationMetrics"])["numOutputRows"] == "2"
    assert datetime.fromisoformat(named[0]["timestamp"]) == still.table.commit_time(2)


def test_the_latest_version_costs_milliseconds_after_thousands_of_commits(make_world: Make) -> None:
    world = make_world()
    for _ in range(3000):
        world.table.commit_files("WRITE", {}, {"numOutputRows": "0"}, [], world.table.latest_version())
    client = world.sdk()
    took = []
    for _ in range(20):
        before = time.perf_counter()
        assert values(client, f"DESCRIBE HISTORY {TABLE} LIMIT 1")[0][0] == "3000"
        took.append(time.perf_counter() - before)
    assert sorted(took)[10] < 0.05, took


def test_details_and_properties(make_world: Make) -> None:
    world = make_world()
    client = world.sdk()
    detail = run(client, f"DESCRIBE DETAIL {TABLE}")
    assert detail.manifest is not None
    assert detail.manifest.schema is not None
    assert detail.result is not None
    names = [column.name for column in detail.manifest.schema.columns or []]
    found = dict(zip(names, (detail.result.data_array or [[]])[0], strict=True))
    assert (found["format"], found["id"], found["numFiles"]) == ("delta", world.table.table_id, "0")
    assert (
        values(client, f"ALTER TABLE {TABLE} SET TBLPROPERTIES (delta.enableChangeDataFeed = false, 'my.own' = 'x');")
        == []
    )
    shown = dict(values(client, f"SHOW TBLPROPERTIES {TABLE}"))
    assert (shown["delta.enableChangeDataFeed"], shown["my.own"]) == ("false", "x")
    assert values(client, f"SHOW TBLPROPERTIES {TABLE} ('my.own')") == [["my.own", "x"]]
    assert "[DELTA_UNKNOWN_CONFIGURATION]" in failure(client, f"ALTER TABLE {TABLE} SET TBLPROPERTIES ('delta.no' = 1)")
    world.table.insert(rows("a"))
    assert "[DELTA_MISSING_CHANGE_DATA]" in failure(client, f"SELECT * FROM table_changes('{TABLE}', 2)")
    assert client.tables.get(TABLE).properties == world.table.properties()


def test_changes_of_a_range_come_with_their_images(sdk: WorkspaceClient) -> None:
    query = f"SELECT tdr_id, _change_type, _commit_version FROM table_changes('{TABLE}', 1, 2) ORDER BY 3, 2, 1"
    assert values(sdk, query) == [
        ["a", "insert", "1"],
        ["b", "insert", "1"],
        ["a", "update_postimage", "2"],
        ["a", "update_preimage", "2"],
    ]


def test_values_are_texts_also_inside_of_structs(sdk: WorkspaceClient) -> None:
    found = values(sdk, f"SELECT call_started_at, duration_seconds, sipreq, queue FROM {TABLE} WHERE tdr_id = 'a'")
    assert found[0][:2] == ["2026-11-23T04:05:06.789012Z", "1.5"]
    sipreq = json.loads(found[0][2])
    assert (sipreq["cseq"], sipreq["via"], sipreq["from"]) == ("7", ["a", "b"], 'sip:"o\'hare"@a.example')
    assert [each is None for each in found[0]] == [False, False, False, True]
    assert list(sipreq) == [field.name for field in RECORD_SCHEMA.field("sipreq").type]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT count(*) FROM {t}", [["2"]]),
        ("SELECT count(*), max(_commit_version) FROM table_changes('{t}', 0)", [["4", "2"]]),
        ("SELECT info_companyid, count(DISTINCT tdr_id) AS n FROM {t} GROUP BY 1", [["1001", "2"]]),
        ("WITH x AS (SELECT tdr_id AS i FROM {t}) SELECT i FROM x ORDER BY i DESC LIMIT 1", [["b"]]),
        ("SELECT t.sipreq.method FROM {t} t WHERE t.tdr_id = 'b'", [["INVITE"]]),
        ("SELECT tdr_id FROM {t} VERSION AS OF 0", []),
        ("SELECT 'a -- b' -- comment\n/* another */", [["a -- b"]]),
        ("SELECT sum(duration_seconds), sum(sipreq.cseq) FROM {t}", [["3.0", "14"]]),
        ("SELECT current_user()", [["operator@lpm.example"]]),
        (
            "SELECT a.tdr_id FROM {t} a JOIN table_changes('{t}', 2, 2) c ON a.tdr_id = c.tdr_id WHERE c._change_type LIKE 'u%post%'",
            [["a"]],
        ),
        ("SELECT CASE WHEN disposition IS NULL THEN 0 ELSE 1 END AS d FROM {t} ORDER BY d", [["0"], ["1"]]),
        ("SELECT tdr_id FROM {t} WHERE call_started_at < current_timestamp() - INTERVAL 10000 DAYS", []),
    ],
)
def test_queries(sdk: WorkspaceClient, query: str, expected: list[list[str]]) -> None:
    assert values(sdk, query.format(t=TABLE)) == expected


def test_the_present_is_the_sandboxs(make_world: Make) -> None:
    world = make_world()
    world.clock.advance(1_000_000)
    world.token = world.new_token()
    answer = run(world.sdk(), "SELECT current_timestamp()")
    assert answer.manifest is not None
    assert answer.manifest.schema is not None
    assert answer.result is not None
    assert [column.name for column in answer.manifest.schema.columns or []] == ["current_timestamp()"]
    at = datetime.fromisoformat((answer.result.data_array or [[""]])[0][0])
    assert abs(at - world.clock.now()) < timedelta(seconds=10)


def test_parameters_are_bound_by_name_and_type(sdk: WorkspaceClient) -> None:
    query = f"SELECT tdr_id FROM table_changes('{TABLE}', :first, :last) WHERE tdr_id = :id AND call_started_at >= :since LIMIT :most"
    given_values = [
        Parameter("first", value="1", type="BIGINT"),
        Parameter("last", value="1", type="BIGINT"),
        Parameter("id", value="a"),
        Parameter("since", value=START.isoformat(), type="TIMESTAMP"),
        Parameter("most", value="1", type="INT"),
    ]
    assert values(sdk, query, parameters=given_values) == [["a"]]
    assert "[UNBOUND_SQL_PARAMETER]" in failure(sdk, query)
    assert "[CAST_INVALID_INPUT]" in failure(
        sdk, query, parameters=[Parameter("first", value="1 OR 1=1", type="BIGINT")]
    )
    hostile = "x' OR '1'='1"
    assert values(
        sdk, f"SELECT :id, count(*) FROM {TABLE} WHERE tdr_id = :id", parameters=[Parameter("id", value=hostile)]
    ) == [[hostile, "0"]]


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(blacklist_categories=["Cs"]), max_size=30))
def test_any_text_comes_back_as_it_was_sent(sdk: WorkspaceClient, text: str) -> None:
    assert values(sdk, "SELECT :text", parameters=[Parameter("text", value=text)]) == [[text]]


@pytest.mark.parametrize(
    ("query", "error_class"),
    [
        ("SELECT * FROM table_changes('{t}', 9)", "DELTA_CDC_START_VERSION_AFTER_LATEST"),
        ("SELECT * FROM table_changes('{t}', 2, 1)", "DELTA_INVALID_CDC_RANGE"),
        ("SELECT * FROM table_changes('{t}', '2099-01-01')", "DELTA_TIMESTAMP_GREATER_THAN_COMMIT"),
        ("SELECT * FROM table_changes('{t}', 'soon')", "DELTA_INVALID_TIMESTAMP_FORMAT"),
        ("SELECT * FROM table_changes('{t}', NULL)", "DELTA_CDC_READ_NULL_RANGE_BOUNDARY"),
        ("SELECT * FROM table_changes('{t}')", "WRONG_NUM_ARGS"),
        ("SELECT * FROM table_changes('no.such.table', 1)", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT * FROM {t} VERSION AS OF 77", "DELTA_VERSION_NOT_FOUND"),
        ("SELECT nothing FROM {t}", "UNRESOLVED_COLUMN"),
        ("SELECT * FROM no.such.table", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT * FROM '/etc/passwd'", ""),
        ("SELECT * FROM read_csv('/etc/passwd')", "UNSUPPORTED_IN_SANDBOX"),
        ("SELECT read_text('/etc/passwd')", "UNSUPPORTED_IN_SANDBOX"),
        ("SELECT getenv('HOME')", "UNSUPPORTED_IN_SANDBOX"),
        ("SELECT * FROM range(3)", "UNSUPPORTED_IN_SANDBOX"),
        ("DESCRIBE HISTORY no.such.table", "TABLE_OR_VIEW_NOT_FOUND"),
        ("DESCRIBE HISTORY {t} LIMIT many", "PARSE_SYNTAX_ERROR"),
        ("DESCRIBE HISTORY {t} LIMIT 1 LIMIT 2", "PARSE_SYNTAX_ERROR"),
        ("DROP TABLE {t}", "UNSUPPORTED_IN_SANDBOX"),
        ("DELETE FROM {t}", "UNSUPPORTED_IN_SANDBOX"),
        ("ALTER TABLE {t} RENAME TO x", "UNSUPPORTED_IN_SANDBOX"),
        ("SELECT 1; DROP TABLE {t}", "PARSE_SYNTAX_ERROR"),
        ("SELECT FROM WHERE", "PARSE_SYNTAX_ERROR"),
        ("SELECT 'open", "PARSE_SYNTAX_ERROR"),
        ("", "PARSE_SYNTAX_ERROR"),
    ],
)
def test_what_cannot_be_done_fails_by_its_class(sdk: WorkspaceClient, query: str, error_class: str) -> None:
    assert f"[{error_class}" in failure(sdk, query.format(t=TABLE))


def test_vacuumed_changes_are_told_from_missing_ones(make_world: Make) -> None:
    world = make_world()
    world.table.insert(rows("a"))
    world.table.delete("tdr_id = 'a'")
    world.table.vacuum(0)
    message = failure(world.sdk(), f"SELECT tdr_id FROM table_changes('{TABLE}', 1)")
    assert message.startswith("[DELTA_CHANGE_DATA_FILE_NOT_FOUND]")


def test_timestamps_mean_versions(make_world: Make) -> None:
    world = make_world()
    world.table.insert(rows("a"))
    world.clock.advance(60)
    world.table.insert(rows("b"))
    between = (world.table.commit_time(2) - timedelta(seconds=30)).strftime("%Y-%m-%d %H:%M:%S")
    assert values(world.sdk(), f"SELECT tdr_id FROM table_changes('{TABLE}', '{between}')") == [["b"]]
    assert values(world.sdk(), f"SELECT tdr_id FROM table_changes('{TABLE}', 0, '{between}')") == [["a"]]


def test_row_limits_cut_and_say_so(sdk: WorkspaceClient) -> None:
    answer = run(sdk, f"SELECT tdr_id FROM {TABLE} ORDER BY 1", row_limit=1)
    assert answer.manifest is not None
    assert answer.result is not None
    assert (answer.manifest.truncated, answer.manifest.total_row_count) == (True, 1)
    assert answer.result.data_array == [["a"]]


def test_what_is_larger_than_inline_may_be_is_refused(sdk: WorkspaceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "INLINE_BYTES", 20)
    assert "Inline byte limit exceeded" in failure(sdk, f"SELECT * FROM {TABLE}")


def test_a_stopped_warehouse_takes_its_start_first(make_world: Make) -> None:
    world = make_world()
    client = world.sdk()
    client.warehouses.stop(WAREHOUSE)
    assert client.warehouses.get(WAREHOUSE).state == sql.State.STOPPED
    answer = run(client, "SELECT 1", wait_timeout="0s")
    assert answer.status is not None
    assert answer.statement_id is not None
    assert answer.status.state == sql.StatementState.PENDING
    assert client.warehouses.get(WAREHOUSE).state == sql.State.STARTING
    world.clock.advance(10)

    def is_over() -> bool:
        status = client.statement_execution.get_statement(str(answer.statement_id)).status
        return status is not None and status.state == sql.StatementState.SUCCEEDED

    assert eventually(is_over)
    chunk = client.statement_execution.get_statement_result_chunk_n(answer.statement_id, 0)
    assert chunk.data_array == [["1"]]
    assert client.warehouses.get(WAREHOUSE).state == sql.State.RUNNING
    assert [one.id for one in client.warehouses.list()] == [WAREHOUSE]


def test_a_statement_can_be_cancelled_or_given_up(make_world: Make) -> None:
    world = make_world()
    client = world.sdk()
    world.workspace.warehouse.stop()
    waiting = run(client, "SELECT 1", wait_timeout="0s")
    assert waiting.statement_id is not None
    client.statement_execution.cancel_execution(waiting.statement_id)
    found = client.statement_execution.get_statement(waiting.statement_id).status
    assert found is not None
    assert found.state == sql.StatementState.CANCELED
    with pytest.raises(NotFound):
        client.statement_execution.get_statement("01f0-no-such")


def test_a_long_query_is_interrupted_when_it_is_cancelled(make_world: Make) -> None:
    world = make_world()
    world.table.insert(rows(*(str(number) for number in range(3000))))
    client = world.sdk()
    query = f"SELECT count(*) FROM {TABLE} a, {TABLE} b, {TABLE} c, {TABLE} d WHERE a.tdr_id < b.tdr_id AND c.tdr_id < d.tdr_id"
    before = time.monotonic()
    answer = run(client, query, wait_timeout="5s", on_wait_timeout=OnWaitTimeout.CANCEL)
    assert answer.status is not None
    assert answer.status.state == sql.StatementState.CANCELED
    assert 4 < time.monotonic() - before < 9
    assert values(client, "SELECT 1") == [["1"]]


@pytest.mark.parametrize(
    "body",
    [
        {"wait_timeout": "3s"},
        {"wait_timeout": "51s"},
        {"wait_timeout": "soon"},
        {"wait_timeout": "0s", "on_wait_timeout": "CANCEL"},
        {"on_wait_timeout": "WAIT"},
        {"row_limit": 0},
        {"format": "CSV"},
        {"format": "XML"},
        {"parameters": "a"},
        {"statement": 5},
        {"statement": None},
    ],
)
def test_requests_that_are_wrong_are_refused(sdk: WorkspaceClient, body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        sdk.api_client.do(
            "POST", "/api/2.0/sql/statements/", body={"statement": "SELECT 1", "warehouse_id": WAREHOUSE, **body}
        )


def test_what_the_sandbox_lacks_is_named(sdk: WorkspaceClient) -> None:
    with pytest.raises(NotImplemented, match="EXTERNAL_LINKS"):
        run(sdk, "SELECT 1", disposition=sql.Disposition.EXTERNAL_LINKS)
    with pytest.raises(NotFound, match="warehouse other"):
        sdk.statement_execution.execute_statement("SELECT 1", "other")


def test_only_named_columns_are_read(still: World, sdk: WorkspaceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    reader = ChangeTable.change_reader

    def noting(self: ChangeTable, start: int, end: int | None = None, columns: Any = None) -> Any:
        asked.append(columns)
        return reader(self, start, end, columns)

    monkeypatch.setattr(ChangeTable, "change_reader", noting)
    values(sdk, f"SELECT info_companyid, count(*) FROM table_changes('{TABLE}', 0) GROUP BY info_companyid")
    values(sdk, f"SELECT sipreq.method FROM table_changes('{TABLE}', 0)")
    assert asked == [["info_companyid"], ["sipreq"]]


@given(number=st.floats())
def test_doubles_are_written_so_that_they_are_read_back(number: float) -> None:
    text = results.as_text(number)
    assert text is not None
    back = float(text)
    assert back == number or (back != back and number != number)


def test_doubles_are_written_as_java_does() -> None:
    texts = [results.as_text(number) for number in (1.5, 1e7, 12345678.0, 1e-4, 0.001, -0.0, 1e300, float("nan"))]
    assert texts == ["1.5", "1.0E7", "1.2345678E7", "1.0E-4", "0.001", "-0.0", "1.0E300", "NaN"]
    assert results.as_text(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000Z"
