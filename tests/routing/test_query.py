"""The routing query keeps its shape whatever names it is given, and says the same thing for the same input."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.config import OWN_COLUMNS, Column, Kpi, Routing
from lpmops.resources import query
from lpmops.routing import landing, quoting
from lpmops.routing.query import job_query
from lpmops.routing.schema import control_statements, landing_statements

COLUMNS = (
    Column("call_id", "NVARCHAR(128)"),
    Column("duration_seconds", "FLOAT"),
    Column("method", "NVARCHAR(20)", "sipreq.method"),
)
names = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=60)


def rendered(databases: list[str]) -> str:
    return job_query(databases, COLUMNS, Routing(), Kpi())


def test_the_same_routes_in_another_order_give_the_same_text() -> None:
    assert rendered(["lpm-02", "lpm-01", "lpm-02"]) == rendered(["lpm-01", "lpm-02"])


def test_the_hub_is_read_once_and_every_record_has_somewhere_to_go() -> None:
    text = rendered(["lpm-01", "lpm-02"])
    assert text.count("FROM [tdr-hub]") == 1
    assert [line for line in text.splitlines() if line.startswith("INTO")] == [
        "INTO [lpm-01]",
        "INTO [lpm-02]",
        "INTO [unrouted]",
        "INTO [heartbeat]",
        "INTO [kpi]",
    ]


def test_a_nested_column_is_read_by_its_path_and_typed_columns_are_converted() -> None:
    text = rendered(["lpm-01"])
    assert "TRY_CAST(source.[sipreq].[method] AS nvarchar(max)) ELSE NULL END AS [method]" in text
    assert "TRY_CAST(source.[duration_seconds] AS float) AS [duration_seconds]" in text
    assert "source.[sipreq] AS [sipreq]" in text


@given(st.lists(names, min_size=1, max_size=4, unique=True))
def test_no_database_name_changes_the_shape_of_the_query(databases: list[str]) -> None:
    plain = rendered([f"lpm-{number}" for number in range(len(databases))])
    assert _skeleton(rendered(databases)) == _skeleton(plain)


def _skeleton(text: str) -> list[str]:
    """The text without what stands inside brackets and constants, read the way T-SQL reads them."""
    kept: list[str] = []
    closing = ""
    position = 0
    while position < len(text):
        character = text[position]
        if closing:
            if character == closing and text[position + 1 : position + 2] == closing:
                position += 1
            elif character == closing:
                closing = ""
        elif character in "['":
            closing = "]" if character == "[" else "'"
            kept.append(character)
        else:
            kept.append(character)
        position += 1
    return "".join(kept).split()


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 129])
def test_a_name_that_no_server_can_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        quoting.identifier(name)


def test_a_query_that_stream_analytics_would_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="512,000"):
        rendered([f"lpm-{number:04}" for number in range(2_000)])


def test_the_landing_table_ignores_repeated_delivery_and_stamps_arrival_itself() -> None:
    statements = "\n".join(landing_statements(COLUMNS, Routing()))
    assert "WITH (IGNORE_DUP_KEY = ON)" in statements
    assert "DEFAULT SYSUTCDATETIME()" in statements
    assert "[sipreq] NVARCHAR(MAX) NULL" in statements


def test_every_control_statement_can_run_again() -> None:
    assert all("IF " in statement for statement in control_statements())


def test_no_configured_column_can_have_a_name_that_a_text_or_a_table_has_already() -> None:
    table = {column.name for column in landing.wanted((), Routing()).columns} - {"sipreq"}
    step = set(
        re.findall(
            r" AS (\w+)(?=[,\n$]|$)",
            query("asa/records.asaql") + query("asa/also.asaql") + query("asa/unsettled.asaql"),
        )
    ) - {
        "source",
        "tdr",
        "bigint",
        "float",
        "datetime",
    }
    view = set(re.findall(r"\) AS (\w+)", query("tsql/landing_view.sql"))) - {"newest"}
    assert table | step | view == OWN_COLUMNS
