"""Fields, types and functions, one event at a time."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.asa import Executor, QueryRuntimeError
from tests.sandbox.asa.kit import NOON, compiled, event, events, rows, run, value


def test_fields_are_reached_by_dots_functions_and_across_steps() -> None:
    query = """
        WITH one AS (SELECT hub.call AS call, hub.call.sip.via AS via FROM hub), two AS (SELECT call AS renamed, via FROM one)
        SELECT renamed.sip.method, GetRecordPropertyValue(GetRecordPropertyValue(renamed, 'sip'), 'a.b') AS dotted,
            GetArrayElement(via, 1) AS second, GetArrayElement(via, 9) AS ninth, GetArrayLength(renamed.sip.via) AS hops, renamed AS whole
        INTO out FROM two"""
    body = {"call": {"sip": {"method": "INVITE", "via": ["x", 2], "a.b": True}}}

    [row] = rows(run(query, body))

    assert row == {
        "method": "INVITE",
        "dotted": True,
        "second": 2,
        "ninth": None,
        "hops": 2,
        "whole": json.dumps(body["call"], separators=(",", ":")),
    }


def test_a_field_that_an_event_has_not_is_null() -> None:
    query = "SELECT a, b.c.d, GetArrayElement(e, 0) AS f, CAST(g AS bigint) AS g INTO out FROM hub"

    assert rows(run(query, {"b": 5, "e": "no array"})) == [{"a": None, "d": None, "f": None, "g": None}]


def test_one_field_may_have_another_type_in_every_event_and_order_stays() -> None:
    values: list[Any] = [1, "x", 1.5, None, True, {"k": [1]}, [1, 2], "1", 2]

    found = rows(run("SELECT a, GetType(a) AS t INTO out FROM hub", *({"a": one} for one in values)))

    assert [row["a"] for row in found] == [1, "x", 1.5, None, True, '{"k":[1]}', "[1,2]", "1", 2]
    assert [row["t"] for row in found] == [
        "bigint",
        "nvarchar(max)",
        "float",
        None,
        "bit",
        "record",
        "array",
        "nvarchar(max)",
        "bigint",
    ]


def test_comparisons_see_case_and_match_nothing_across_types() -> None:
    values = ["a", "A", 1, "1", 1.0, None, True]

    def matching(condition: str) -> list[Any]:
        return [
            row["v"]
            for row in rows(run(f"SELECT v INTO out FROM hub WHERE {condition}", *({"v": one} for one in values)))
        ]

    assert matching("v = 'a'") == ["a"]
    assert matching("v = 1") == [1, 1.0, True]
    assert matching("v IN ('A', '1')") == ["A", "1"]
    assert matching("v LIKE '[a-b]'") == ["a"]
    assert matching("v IS NULL") == [None]
    assert matching("v <> 'a'") == ["A", "1"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CAST('12' AS bigint)", 12),
        ("CAST(' -7 ' AS bigint)", -7),
        ("TRY_CAST('12.5' AS bigint)", None),
        ("TRY_CAST('1_000' AS bigint)", None),
        ("TRY_CAST('99999999999999999999' AS bigint)", None),
        ("CAST(2.9 AS bigint)", 2),
        ("CAST('1e3' AS float)", 1000.0),
        ("TRY_CAST('infinity' AS float)", None),
        ("CAST(7 AS nvarchar(max))", "7"),
        ("CAST(2.0 AS nvarchar(max))", "2"),
        ("CAST(2.5 AS nvarchar(max))", "2.5"),
        ("CAST('2026-01-02T03:04:05.1234567Z' AS datetime)", datetime(2026, 1, 2, 3, 4, 5, 123456)),
        ("CAST('2026-01-02T03:04:05+02:00' AS datetime)", datetime(2026, 1, 2, 1, 4, 5)),
        ("TRY_CAST('infinity' AS datetime)", None),
        ("TRY_CAST('2026-02-30' AS datetime)", None),
        ("TRY_CAST('0000-01-01' AS datetime)", None),
        ("CAST(0.5 AS bit)", True),
        ("CAST(CAST(0 AS bit) AS float)", 0.0),
        ("TRY_CAST('x' AS record)", None),
        ("CAST(CAST('2026-01-02' AS datetime) AS nvarchar(max))", "2026-01-02T00:00:00.0000000Z"),
        ("CONCAT('a', NULL, 1, 'b')", "a1b"),
        ("LEN('ab  ')", 2),
        ("LEN('a🚑é電')", 5),
        ("UPPER('aé') + LOWER('B')", "AÉb"),
        ("SUBSTRING('abcdefg', 2, 4)", "bcde"),
        ("SUBSTRING('abcdefg', 0, 3)", "ab"),
        ("CHARINDEX('c', 'abcabc', 4)", 6),
        ("REPLACE('abcde', '', 'x')", "abcde"),
        ("LEFT('abc', 2) + RIGHT('abc', 1)", "abc"),
        ("COALESCE(NULL, NULL, 2, NULL)", 2),
        ("NULLIF(4, 4)", None),
        ("NULLIF(5, 7)", 5),
        ("ROUND(123.4, -1)", 120.0),
        ("ROUND(501.0101, -3)", 1000.0),
        ("7 / 2", 3),
        ("7 / 2.0", 3.5),
        ("7 % 4 - -1 * 2", 5),
        ("CASE 'b' WHEN 'a' THEN 1 WHEN 'b' THEN 2 ELSE 3 END", 2),
        ("CASE WHEN 1 BETWEEN 1 AND 2 AND NOT 3 IN (1, 2) THEN 'yes' ELSE NULL END", "yes"),
        ("DATEADD(minute, -3, CAST('2026-01-01T00:01:00Z' AS datetime))", datetime(2025, 12, 31, 23, 58)),
        ("DATEDIFF(minute, '2026-01-01T00:00:59Z', '2026-01-01T00:01:00Z')", 1),
        ("DATEDIFF(week, '2026-01-03', '2026-01-04')", 1),
        ("DATEPART(weekday, '2026-01-04')", 1),
        ("DATEPART(millisecond, '2026-01-04T00:00:05.123456Z')", 123),
        ("N'O''Brien'", "O'Brien"),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_an_expression_gives_what_its_page_says(expression: str, expected: Any) -> None:
    found = value(expression)

    assert found == expected
    assert type(found) is type(expected)


def test_what_the_hub_says_of_an_event_can_be_read() -> None:
    query = """SELECT GetMetadataPropertyValue(h, '[EventHub].[SequenceNumber]') AS s, GetMetadataPropertyValue(h, 'EventHub.Offset') AS o,
        GetMetadataPropertyValue(h, '[EventHub].[PartitionKey]') AS k, PartitionId, EventEnqueuedUtcTime AS e, EventProcessedUtcTime AS p,
        System.Timestamp() AS t INTO out FROM hub h"""
    executor = Executor(compiled(query))

    [row] = rows(
        executor.process(
            [event({"PartitionId": "mine"}, second=3, sequence=41, partition=2, key="tdr-1")], processed_at=NOON
        )
    )

    plain = NOON.replace(tzinfo=None)
    assert row == {
        "s": 41,
        "o": "4100",
        "k": "tdr-1",
        "PartitionId": 2,
        "e": plain.replace(second=3),
        "p": plain,
        "t": plain.replace(second=3),
    }


def test_a_star_gives_every_field_and_the_system_columns() -> None:
    [first, second] = rows(
        run("WITH s AS (SELECT * FROM hub) SELECT a AS b, * INTO out FROM s", {"a": 1, "b": 2}, {"c": "x"})
    )

    assert {name: first[name] for name in ("a", "b", "c")} == {"a": 1, "b": 1, "c": None}
    assert second["c"] == "x"
    assert {"EventEnqueuedUtcTime", "EventProcessedUtcTime", "PartitionId"} <= set(first)


def test_union_keeps_duplicates() -> None:
    query = "WITH s AS (SELECT a AS x FROM hub WHERE a > 1 UNION SELECT a AS x FROM hub WHERE a > 2) SELECT x INTO out FROM s"

    assert [row["x"] for row in rows(run(query, {"a": 1}, {"a": 2}, {"a": 3}))] == [2, 3, 3]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{nope",
        b"[1]",
        b"5",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": 9223372036854775808}',
        b"[" * 5000,
        b'{"a": 1} trailing',
    ],
)
def test_an_event_that_is_no_row_is_reported_and_the_others_go_on(body: bytes) -> None:
    executor = Executor(compiled("SELECT a INTO out FROM hub"))

    made = executor.process(events({"a": 1}, body, {"a": 2}))

    assert [row["a"] for row in rows(made)] == [1, 2]
    [error] = executor.take_data_errors()
    assert error.kind == "InputDeserializerError.InvalidData"
    assert error.event.sequence == 2
    assert executor.take_data_errors() == []


def test_arrays_and_lines_of_objects_are_several_rows() -> None:
    made = run("SELECT a INTO out FROM hub", b'[{"a": 1}, {"a": 2}]', b'{"a": 3}\r\n{"a": 4}\n')

    assert [row["a"] for row in rows(made)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "expression", ["CAST(a AS bigint)", "9223372036854775807 + LEN(a)", "1 / (LEN(a) - 4)", "CAST(a AS datetime)"]
)
def test_a_value_that_cannot_be_converted_stops_the_query_and_is_not_shown(expression: str) -> None:
    with pytest.raises(QueryRuntimeError) as caught:
        run(f"SELECT {expression} AS x INTO out FROM hub", {"a": "1234"} if "LEN" in expression else {"a": "secret"})

    assert "secret" not in str(caught.value)


def test_a_cast_is_made_only_for_rows_that_the_statement_takes() -> None:
    query = """WITH s AS (SELECT a FROM hub)
        SELECT CAST(a AS bigint) AS n INTO out FROM s WHERE TRY_CAST(a AS bigint) IS NOT NULL
        SELECT a INTO other FROM s WHERE TRY_CAST(a AS bigint) IS NULL"""

    made = run(query, {"a": "12"}, {"a": "no number"})

    assert rows(made) == [{"n": 12}]
    assert rows(made, "other") == [{"a": "no number"}]


_values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.lists(st.dictionaries(st.sampled_from("ab"), _values), max_size=8))
def test_any_values_pass_through_as_they_are(bodies: list[dict[str, Any]]) -> None:
    found = rows(run("SELECT a, b INTO out FROM hub", *bodies))

    assert [[(type(one), one) for one in row.values()] for row in found] == [
        [(type(body.get(name)), body.get(name)) for name in "ab"] for body in bodies
    ]


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert rows(run("SELECT a INTO out FROM hub", b'{"a": "x\\ud800y\\u0000"}')) == [{"a": "x\ufffdy\x00"}]
