"""Log Analytics: what a diagnostic setting sends, read back with Kusto through the official SDK."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.monitor.query import LogsBatchQuery, LogsQueryError, LogsQueryResult
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.azure.kql_lexer import KqlError
from lpmops.sandbox.azure.kql_parser import parse
from lpmops.sandbox.azure.kql_run import Table, run

from .conftest import GROUP_ID, JOB, JOB_ID, WORKSPACE, Azure
from .test_stream_analytics import make_job

WORKSPACE_ID = f"{GROUP_ID}/providers/Microsoft.OperationalInsights/workspaces/log-lpm-tdr-dev"
NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
# The query of facts on stream analytics errors, as an operator's tool sends it.
ERRORS = """AzureDiagnostics
| where ResourceProvider == "MICROSOFT.STREAMANALYTICS" and Category == "Execution" and TimeGenerated > ago(1h)
| extend p = parse_json(properties_s)
| where Level in ("Error","Warning") or tostring(p.DataErrorType) != ""
| summarize n=count(), last=max(TimeGenerated), msg=take_any(tostring(p.Message)) by Resource, OperationName, tostring(p.DataErrorType)"""


def send_logs(azure: Azure) -> None:
    setting = {"properties": {"workspaceId": WORKSPACE_ID, "logs": [{"category": "Execution", "enabled": True}]}}
    path = f"{JOB_ID}/providers/Microsoft.Insights/diagnosticSettings/to-workspace?api-version=2021-05-01-preview"
    assert azure.call("PUT", path, setting).status_code == 200


def write_error(azure: Azure, message: str, level: str = "Error") -> bool:
    fields = {
        "OperationName": "Send Events: SQL Output write failure to lpm-01",
        "Level": level,
        "status_s": "Failed",
        "properties_s": {
            "Message": message,
            "DataErrorType": "OutputDataConversionError.TypeConversionError",
            "EventCount": 3,
        },
    }
    return azure.account.write_log(JOB_ID, "Execution", "AzureDiagnostics", fields)


def ask(azure: Azure, query: str, timespan: timedelta | None = None) -> Any:
    return azure.logs().query_workspace(WORKSPACE, query, timespan=timespan)


def test_logs_go_nowhere_without_a_diagnostic_setting(checked_azure: Azure) -> None:
    make_job(checked_azure)
    assert not write_error(checked_azure, "lost")
    send_logs(checked_azure)
    assert write_error(checked_azure, "kept")
    assert not checked_azure.account.write_log(JOB_ID, "Authoring", "AzureDiagnostics", {"Level": "Error"})


def test_an_error_is_found_by_the_query_of_the_tool_once_it_has_arrived(checked_azure: Azure) -> None:
    make_job(checked_azure)
    send_logs(checked_azure)
    for _ in range(3):
        write_error(checked_azure, "a row does not fit")
    assert ask(checked_azure, ERRORS).tables[0].rows == []
    checked_azure.clock.advance(61)
    table = ask(checked_azure, ERRORS, timedelta(hours=2)).tables[0]
    assert list(table.columns) == ["Resource", "OperationName", "p_DataErrorType", "n", "last", "msg"]
    (row,) = table.rows
    assert (row["Resource"], row["n"], row["msg"]) == (JOB.upper(), 3, "a row does not fit")
    assert isinstance(row["last"], datetime)


def test_a_batch_answers_each_query_by_itself(checked_azure: Azure) -> None:
    queries = [
        LogsBatchQuery(WORKSPACE, "AzureDiagnostics | count", timespan=None),
        LogsBatchQuery(WORKSPACE, "Nothing | count", timespan=None),
    ]
    good, bad = checked_azure.logs().query_batch(queries)
    assert isinstance(good, LogsQueryResult)
    assert good.tables[0].rows[0]["Count"] == 0
    assert isinstance(bad, LogsQueryError)
    assert bad.code == "BadArgumentError"


@pytest.mark.parametrize(
    ("query", "inner", "said"),
    [
        ("AzureDiagnostics | join kind=inner (X) on Y", "SyntaxError", "'join' on line [1,19]"),
        ("AzureDiagnostics\n| where ==", "SyntaxError", "at '==' on line [2,8]"),
        ("union kind=inner A, B", "SyntaxError", "'kind'"),
        ("union AzureDiagnostics, Nothing", "SemanticError", "named 'Nothing'"),
        ("union isfuzzy=true Nothing, Nowhere", "SemanticError", "named 'Nothing'"),
        ("AzureDiagnostics | extend x = column_ifexists(Level, '')", "SemanticError", "column_ifexists"),
        ("Nothing | take 1", "SemanticError", "named 'Nothing'"),
        ("AzureDiagnostics | where Colour == 'red'", "SemanticError", "named 'Colour'"),
        ("AzureDiagnostics | extend x = strcmp('a', 'b')", "SemanticError", "'strcmp'"),
        ("AzureDiagnostics | where TimeGenerated > 5", "SemanticError", "datetime and long"),
        ("AzureDiagnostics | where TimeGenerated > datetime(soon)", "SyntaxError", "datetime literal"),
        ("AzureDiagnostics | summarize Level", "SemanticError", "aggregates"),
    ],
)
def test_what_is_not_run_is_refused_by_name(azure: Azure, query: str, inner: str, said: str) -> None:
    with pytest.raises(HttpResponseError) as refused:
        ask(azure, query)
    assert refused.value.response is not None
    error = json.loads(refused.value.response.text())["error"]
    assert (refused.value.status_code, error["code"], error["innererror"]["code"]) == (400, "BadArgumentError", inner)
    assert said in error["innererror"]["innererror"]["message"]


def test_an_unknown_workspace_and_a_foreign_token_are_told_apart(azure: Azure) -> None:
    headers = {"Authorization": f"Bearer {azure.token('https://api.loganalytics.io')}"}
    nowhere = azure.call(
        "POST", "/v1/workspaces/00000000-0000-4000-8000-00000000ffff/query", {"query": "X"}, headers=headers
    )
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "PathNotFoundError")
    foreign = azure.call("POST", f"/v1/workspaces/{WORKSPACE}/query", {"query": "X"})
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (401, "InvalidTokenError")


ROWS = Table(
    {"When": "datetime", "Name": "string", "Count": "long", "Extra": "string"},
    [
        {"When": NOW - timedelta(minutes=5), "Name": "Acme County 911", "Count": 3, "Extra": '{"a": {"b": [1, 2]}}'},
        {"When": NOW - timedelta(minutes=15), "Name": "Beta", "Count": 1, "Extra": "no json"},
        {"When": NOW - timedelta(hours=3), "Name": "Gamma", "Count": None, "Extra": None},
    ],
)


def names(query: str) -> list[Any]:
    return [row["Name"] for row in run(parse(f"T | {query}"), {"T": ROWS}, NOW).rows]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("where When > ago(10m)", ["Acme County 911"]),
        ("where When between (ago(1h) .. now())", ["Acme County 911", "Beta"]),
        ("where When !between (datetime(2026-11-02 11:50) .. datetime(2026-11-02T12:00:00Z))", ["Beta", "Gamma"]),
        ("where Name has 'county'", ["Acme County 911"]),
        ("where Name has 'count'", []),
        ("where Name contains 'COUNT'", ["Acme County 911"]),
        ("where Name !contains 'a'", []),
        ("where Name in ('beta', 'Gamma')", ["Gamma"]),
        ("where Name in~ ('beta')", ["Beta"]),
        ("where Name !in ('Beta')", ["Acme County 911", "Gamma"]),
        ("where Name =~ 'beta' or Count >= 3", ["Acme County 911", "Beta"]),
        ("where not(Name startswith 'b') and isnotnull(Count)", ["Acme County 911"]),
        ("where isempty(Extra)", ["Gamma"]),
        ("extend e = parse_json(Extra) | where e.a.b[1] == 2", ["Acme County 911"]),
        ("sort by Count asc", ["Gamma", "Beta", "Acme County 911"]),
        ("order by Count", ["Acme County 911", "Beta", "Gamma"]),
        ("top 1 by When asc", ["Gamma"]),
        ("where Count > 0 | take 1", ["Acme County 911"]),
        ("project Name = strcat(Name, '!'), Count | where Count == 1", ["Beta!"]),
        ("where Count * 2 + 1 == 7 // a comment", ["Acme County 911"]),
        ("extend d = iff(Count > 2, 'many', \"few\") | where d == @'many'", ["Acme County 911"]),
    ],
)
def test_the_subset_means_what_kusto_means(query: str, expected: list[Any]) -> None:
    assert names(query) == expected


def test_a_fuzzy_union_leaves_out_what_is_not_there_and_has_every_column() -> None:
    other = Table({"When": "datetime", "Place": "string"}, [{"When": NOW, "Place": "here"}])
    shown = "Name = column_ifexists('Name', '-'), Gone = column_ifexists('Gone', 7), Place"
    query = f"union isfuzzy=true T, Missing, Other | project {shown} | where isnotempty(Place)"
    table = run(parse(query), {"T": ROWS, "Other": other}, NOW)
    assert table.rows == [{"Name": "", "Gone": 7, "Place": "here"}]


def test_summarize_groups_and_names_as_kusto_does() -> None:
    table = run(
        parse("T | summarize count(), max(Count), total=sum(Count), any=take_any(Name) by bin(When, 1h)"),
        {"T": ROWS},
        NOW,
    )
    assert list(table.schema) == ["When", "count_", "max_Count", "total", "any"]
    assert [(row["When"].hour, row["count_"], row["total"]) for row in table.rows] == [(11, 2, 4), (9, 1, 0)]
    empty = run(parse("T | where Count > 99 | summarize n = count()"), {"T": ROWS}, NOW)
    assert empty.rows == [{"n": 0}]


@given(st.text(max_size=60))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    for query in (text, f"T | where {text}", f"T | summarize {text} by Name"):
        with contextlib.suppress(KqlError):
            run(parse(query), {"T": ROWS}, NOW)


@given(st.text(max_size=30))
def test_any_string_can_be_written_and_found(text: str) -> None:
    table = Table({"Name": "string"}, [{"Name": text}, {"Name": text + "x"}])
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert len(run(parse(f'T | where Name == "{quoted}"'), {"T": table}, NOW).rows) == 1
