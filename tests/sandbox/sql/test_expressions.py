"""Expressions give what SQL Server gives: values and types as Microsoft's reference pages show them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql import Database
from tests.sandbox.sql.conftest import number_of

Value = Callable[..., Any]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7 / 2", 3), ("-7 / 2", -3), ("-7 % 3", -1), ("7 / 2.0", Decimal("3.500000")), ("2.0 / 3", Decimal("0.666666")),
        ("1.5 * 2", Decimal("3.0")), ("0.1 + 0.2", Decimal("0.3")), ("100.0 * 1 / 3", Decimal("33.333333")), ("1e0 / 4", 0.25),
        ("5 & 6", 4), ("5 | 2", 7), ("5 ^ 1", 4), ("~5", -6), ("-(-3)", 3), ("3000000000 + 1", Decimal(3000000001)),
        ("N'a' + N'b'", "ab"), ("N'a' + NULL", None), ("'5' + 1", 6), ("CONCAT(N'a', NULL, 1)", "a1"), ("CONCAT_WS('-', 'a', NULL, 'b')", "a-b"),
        ("ISNULL(CAST(NULL AS NVARCHAR(3)), N'abcdef')", "abc"), ("COALESCE(NULL, 1, 2.5)", Decimal("1.0")), ("NULLIF(1, 1)", None),
        ("IIF(1 = 1 AND NOT 2 = 3, 'yes', 'no')", "yes"), ("CASE WHEN 1 = 2 THEN 1 END", None), ("CASE 'A' WHEN 'a' THEN 1 ELSE 0 END", 1),
        ("LEN(N'abc  ')", 3), ("DATALENGTH(N'abc ')", 8), ("LEN(N'\U0001f600')", 2), ("SUBSTRING(N'abcdef', 2, 3)", "bcd"),
        ("SUBSTRING(N'abc', 0, 2)", "a"), ("LEFT('abc', 2)", "ab"), ("RIGHT('abc', 2)", "bc"), ("CHARINDEX('B', 'abc')", 2),
        ("REPLACE('aAb', 'a', 'x')", "xxb"), ("STUFF('abc', 2, 1, 'XY')", "aXYc"), ("QUOTENAME('a]b')", "[a]]b]"), ("REPLICATE('ab', 2)", "abab"),
        ("UPPER(N'é')", "É"), ("TRIM('  a ')", "a"), ("UNICODE(N'A')", 65), ("ABS(-2.5)", Decimal("2.5")), ("CEILING(1.1)", Decimal(2)),
        ("FLOOR(-1.5e0)", -2.0), ("ROUND(2.567, 2)", Decimal("2.570")), ("ROUND(1250, -2)", 1300), ("POWER(2, 10)", 1024), ("SIGN(-3)", -1),
        ("CAST(2.7 AS INT)", 2), ("CAST('12' AS BIGINT)", 12), ("CAST(1 AS BIT)", True), ("CAST('true' AS BIT)", True),
            ("CAST(1.005 AS DECIMAL(5, 2))", Decimal("1.01")),
        ("CAST(123456789.0 AS REAL)", 123456792.0), ("CAST(1234567.0e0 AS NVARCHAR(20))", "1.23457e+006"), ("CAST(N'abcdef' AS NVARCHAR(3))", "abc"),
        ("CAST(N'a' AS NCHAR(3))", "a  "), ("TRY_CAST('x' AS INT)", None), ("TRY_CONVERT(INT, '7')", 7), ("CONVERT(VARCHAR(64), 0xAB01, 2)", "AB01"),
        ("CONVERT(VARBINARY(8), '0xAB01', 1)", b"\xab\x01"), ("CAST(1 AS VARBINARY(4))", b"\0\0\0\x01"), ("CAST(N'ж' AS VARCHAR(5))", "?"),
        ("CAST(0xFF AS BIGINT)", 255), ("CAST(0xFFFFFFFFFFFFFFFF AS BIGINT)", -1), ("CAST(SUBSTRING(0xABCDEF0123, 1, 3) AS BIGINT)", 0xABCDEF),
        ("CAST(CAST(N'жé😀' COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(20)) AS VARBINARY(20))", "жé😀".encode()),
        ("CAST(CAST(N'жжж' COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(5)) AS VARBINARY(20))", "жж".encode()),
        ("DATALENGTH(CAST(N'ж😀' COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(20)))", 6),
        ("CONVERT(VARCHAR(64), HASHBYTES('SHA2_256', CAST(N'é' COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(9))), 2)",
            hashlib.sha256("é".encode()).hexdigest().upper()),
        ("CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS UNIQUEIDENTIFIER)", uuid.UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF")),
        ("JSON_VALUE(N'{\"a\":{\"b\":[1.50,true]}}', '$.a.b[0]')", "1.50"), ("JSON_VALUE(N'{\"a\":true}', '$.a')", "true"),
        ("JSON_VALUE(N'{\"a\":{}}', '$.a')", None), ("JSON_QUERY(N'{\"a\":{\"b\": 1}}', '$.a')", '{"b":1}'), ("ISJSON(N'[1]')", 1),
            ("ISJSON(N'1')", 0),
        ("ISJSON(NULL)", None), ("CONVERT(VARCHAR(64), HASHBYTES('SHA2_256', 'abc'), 2)",
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        ("(SELECT MAX(v) FROM (VALUES (1), (3), (2)) AS t (v))", 3), ("CHOOSE(2, 'a', 'b')", "b"), ("GREATEST(1, NULL, 3)", 3),
    ],
)  # fmt: skip
def test_an_expression_gives_the_value_of_the_reference(value: Value, expression: str, expected: Any) -> None:
    found = value(expression)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CAST('2026-03-01T10:20:30.1234567Z' AS DATETIME2(3))", datetime(2026, 3, 1, 10, 20, 30, 123000)),
        ("CAST('2026-03-01 23:59:59.9999' AS DATETIME2(3))", datetime(2026, 3, 2)),
        ("CAST('2026-03-01 10:20:30.005' AS DATETIME)", datetime(2026, 3, 1, 10, 20, 30, 7000)),
        ("CAST('20260301' AS DATE)", date(2026, 3, 1)), ("CAST('10:20' AS TIME(0))", time(10, 20)),
        ("DATEADD(month, 1, CAST('2026-01-31' AS DATE))", date(2026, 2, 28)),
        ("DATEADD(second, -60, CAST('2026-01-01' AS DATETIME2(3)))", datetime(2025, 12, 31, 23, 59)),
        ("DATEADD(microsecond, 7, CAST('2026-01-01' AS DATETIME2(0)))", datetime(2026, 1, 1, 0, 0, 0, 7)),
        ("DATEDIFF(day, '2026-01-01T23:59:59', '2026-01-02T00:00:00')", 1), ("DATEDIFF(year, '2025-12-31', '2026-01-01')", 1),
        ("DATEDIFF(week, '2026-01-03', '2026-01-04')", 1), ("DATEDIFF_BIG(microsecond, '2026-01-01', '2026-01-02')", 86_400_000_000),
        ("DATEPART(weekday, CAST('2026-01-04' AS DATE))", 1), ("DATEPART(iso_week, CAST('2026-01-01' AS DATE))", 1), ("YEAR('2026-05-06')", 2026),
        ("DATENAME(month, CAST('2026-05-06' AS DATE))", "May"), ("EOMONTH('2024-02-10')", date(2024, 2, 29)),
        ("DATETRUNC(minute, CAST('2026-01-01 10:20:30' AS DATETIME2(0)))", datetime(2026, 1, 1, 10, 20)),
        ("CONVERT(VARCHAR(30), CAST('2026-01-02 03:04:05.678' AS DATETIME2(3)), 126)", "2026-01-02T03:04:05.678"),
        ("CONVERT(CHAR(8), CAST('2026-01-02' AS DATE), 112)", "20260102"),
        ("CAST(CAST('2026-01-02 03:04:05' AS DATETIME) AS VARCHAR(30))", "Jan  2 2026  3:04AM"),
        ("CAST('2026-01-02 03:04:05 +02:00' AS DATETIMEOFFSET(0)) AT TIME ZONE 'UTC'", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_moments_are_counted_as_sql_server_counts_them(value: Value, expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize("part", ["second", "minute", "hour", "day", "millisecond", "microsecond"])
@given(
    first=st.datetimes(datetime(1, 1, 2), datetime(9998, 1, 1)),
    last=st.datetimes(datetime(1, 1, 2), datetime(9998, 1, 1)),
)
def test_the_fast_way_to_count_time_agrees_with_the_plain_one(part: str, first: datetime, last: datetime) -> None:
    from lpmops.sandbox.sql import moments
    from tests.sandbox.sql.sessions import shared_database

    stored = [moments.from_datetime(moment) for moment in (first, last)]
    query = f"DECLARE @a DATETIME2(6) = @P1, @b DATETIME2(6) = @P2; SELECT DATEDIFF_BIG({part}, @a, @b)"
    assert shared_database().execute(query, (first, last))[-1].rows == [(moments.difference(part, *stored),)]


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("1 / 0", 8134), ("1.5 / 0", 8134), ("1e0 / 0", 8134), ("1 % 0", 8134), ("CAST('x' AS INT)", 245), ("CAST('x' AS BIGINT)", 8114),
        ("CAST('x' AS FLOAT)", 8114), ("CAST('2026-13-01' AS DATE)", 241), ("CAST('nonsense' AS DATETIME2)", 241), ("CAST(300 AS TINYINT)", 220),
        ("CAST(3000000000 AS INT)", 8115), ("CAST(1 AS DATE)", 529), ("CAST(123.45 AS DECIMAL(3, 2))", 8115),
        ("DATEADD(year, 9000, '2026-01-01')", 517),
        ("DATEDIFF(second, '1900-01-01', '2026-01-01')", 535), ("CAST('x' AS UNIQUEIDENTIFIER)", 8169), ("JSON_VALUE(N'x', '$.a')", 13609),
        ("JSON_VALUE(N'{}', 'strict $.a')", 13608), ("JSON_VALUE(N'{}', 'a')", 13607), ("N'abc' = 1 + 'x'", 102), ("SUM(N'x')", 8117),
        ("LEN()", 174), ("NOSUCH(1)", 195), ("dbo.nosuch(1)", 4121), ("CHECKSUM_AGG(1)", 40514), ("FORMAT(1, 'N')", 40514), ("@nope", 137),
        ("@@NOSUCH", 40513), ("CAST(1 AS xml)", 40514), ("CAST(1 AS nosuch)", 2715), ("N'a' COLLATE Latin1_General_CI_AI", 40514),
        ("CONVERT(VARCHAR(20), SYSUTCDATETIME(), 999)", 281), ("SYSUTCDATETIME() + 1", 206), ("GETDATE() + 1", 40514),
            ("CAST(CAST(1 AS INT) AS NOSUCH.thing)", 2715),
        ("CASE WHEN 1 THEN 2 END", 4145), ("NULL + NULL", None),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_ends_in_sql_servers_number(
    database: Database, expression: str, number: int | None
) -> None:
    if number is None:
        assert database.execute(f"SELECT {expression}")[0].rows == [(None,)]
    else:
        assert number_of(database, f"SELECT {expression}") == number


def test_the_clock_is_the_sandboxs_and_stands_still_within_a_statement(database: Database, clock: Clock) -> None:
    before = clock.now().replace(tzinfo=None)
    clock.advance(3600)
    found = database.execute("SELECT SYSUTCDATETIME(), SYSUTCDATETIME(), SYSDATETIMEOFFSET()")[0].rows[0]
    assert (found[0] - before).total_seconds() >= 3600
    assert found[0] == found[1] == found[2].replace(tzinfo=None)


@given(text=st.text(max_size=60))
def test_no_text_breaks_out_of_a_literal_or_a_parameter(text: str) -> None:
    """A literal with doubled quotes, a parameter and a LIKE give the text back, whatever it holds."""
    from tests.sandbox.sql.sessions import shared_database

    clean = text.encode("utf-8", "replace").decode("utf-8")
    quoted = clean.replace("'", "''")
    expected = clean.replace("\\\r\n", "").replace("\\\n", "")
    found = shared_database().execute(
        f"SELECT N'{quoted}', @a, CASE WHEN @a = @b THEN 1 END", {"@a": clean, "@b": clean}
    )
    assert found[0].rows == [(expected, clean, 1)]


@given(st.text(max_size=200))
def test_no_text_at_all_does_more_than_raise_an_error_of_sql_server(text: str) -> None:
    from tests.sandbox.sql.sessions import shared_database

    clean = text.encode("utf-8", "replace").decode("utf-8")
    for batch in (clean, f"SELECT {clean}", f"SELECT 1 FROM sys.tables WHERE {clean}"):
        assert not {error.number for error in shared_database().run(batch).errors} & {8624, 40197}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE dbo.t (a VARCHAR(9) COLLATE Latin1_General_100_BIN2_UTF8)",
        "SELECT LEN(CAST(N'a' COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(9)))",
        "SELECT CONCAT(CAST(N'a' COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(9)), 'b')",
        "SELECT 'a' COLLATE Latin1_General_100_BIN2_UTF8",
        "SELECT N'a' COLLATE Latin1_General_100_CI_AS_SC_UTF8",
    ],
)
def test_utf8_beyond_its_bytes_is_refused_by_name(database: Database, statement: str) -> None:
    assert number_of(database, statement) == 40514
