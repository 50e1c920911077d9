"""Values of every type, there and back, through each driver."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.sql_wire.conftest import Wire, odbc, python_tds

LONG = "é😀" * 45_000
MOMENT = datetime.datetime(2026, 11, 23, 12, 34, 56, 123456)

RESULTS = [
    ("bit", "1", True),
    ("tinyint", "255", 255),
    ("smallint", "-32768", -32768),
    ("int", "-70000", -70000),
    ("bigint", "9223372036854775807", 2**63 - 1),
    ("real", "1.5", 1.5),
    ("float", "-2.25e10", -2.25e10),
    ("decimal(20, 4)", "-12345.6789", Decimal("-12345.6789")),
    ("decimal(38, 10)", "1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
    ("char(4)", "'ab'", "ab  "),
    ("varchar(20)", "N'café €'", "café €"),
    ("nchar(4)", "N'ab'", "ab  "),
    ("nvarchar(20)", "N'日本😀'", "日本😀"),
    ("nvarchar(max)", "REPLICATE(CAST(N'é😀' AS nvarchar(max)), 45000)", LONG),
    ("varchar(max)", "REPLICATE(CAST('xyz' AS varchar(max)), 30000)", "xyz" * 30_000),
    ("varbinary(8)", "0x00FF10", b"\x00\xff\x10"),
    ("binary(4)", "0x0102", b"\x01\x02\0\0"),
    ("varbinary(max)", "0x00", b"\0"),
    ("date", "'9999-12-31'", datetime.date(9999, 12, 31)),
    ("date", "'0001-01-01'", datetime.date(1, 1, 1)),
    ("time(6)", "'12:34:56.123456'", datetime.time(12, 34, 56, 123456)),
    ("time(0)", "'23:59:59'", datetime.time(23, 59, 59)),
    ("datetime", "'1753-01-01T23:59:59.997'", datetime.datetime(1753, 1, 1, 23, 59, 59, 997000)),
    ("smalldatetime", "'2026-11-23T12:34:00'", datetime.datetime(2026, 11, 23, 12, 34)),
    ("datetime2(6)", "'2026-11-23T12:34:56.123456'", MOMENT),
    ("datetime2(2)", "'2026-11-23T12:34:56.12'", MOMENT.replace(microsecond=120000)),
]


@pytest.mark.parametrize(
    ("kind", "literal", "expected"), RESULTS, ids=[f"{kind} {str(value)[:12]}" for kind, _, value in RESULTS]
)
def test_a_result_arrives_whole_and_null_as_none(
    shared_wire: Wire, connect: Callable[..., Any], kind: str, literal: str, expected: Any
) -> None:
    with connect(shared_wire) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT CAST({literal} AS {kind}) AS given, CAST(NULL AS {kind}) AS missing, 7 AS after")
        assert [tuple(row) for row in cursor.fetchall()] == [(expected, None, 7)]
        assert [column[0] for column in cursor.description] == ["given", "missing", "after"]


def test_a_uniqueidentifier_and_an_offset_arrive(shared_wire: Wire) -> None:
    text = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
    query = f"SELECT CAST('{text}' AS uniqueidentifier), CAST('2026-11-23T12:34:56.123456+05:30' AS datetimeoffset(6))"
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    with python_tds(shared_wire) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        assert cursor.fetchall() == [(uuid.UUID(text), MOMENT.replace(tzinfo=zone))]
    with odbc(shared_wire) as connection:
        # SQL_SS_TIMESTAMPOFFSET_STRUCT: shorts for the date and time, nanoseconds, offset.
        connection.add_output_converter(-155, lambda data: (data[6], data[8], data[16], data[18]))
        assert tuple(connection.cursor().execute(query).fetchone()) == (text, (12, 34, 5, 30))


PARAMETERS = [
    ("bit", True),
    ("int", -5),
    ("bigint", 2**40),
    ("float", 0.1),
    ("decimal(38, 6)", Decimal("-98765432109876543210.123456")),
    ("nvarchar(50)", "Łódź; DROP TABLE x --'"),
    ("nvarchar(max)", LONG),
    ("nvarchar(10)", ""),
    ("varbinary(max)", bytes(range(256)) * 400),
    ("varbinary(10)", b""),
    ("date", datetime.date(2024, 2, 29)),
    ("datetime2(6)", MOMENT),
    ("time(0)", datetime.time(12, 34, 56)),
    ("nvarchar(10)", None),
]


@pytest.mark.parametrize(("kind", "value"), PARAMETERS, ids=[f"{kind} {str(value)[:12]}" for kind, value in PARAMETERS])
def test_a_parameter_comes_back_as_it_went(
    shared_wire: Wire, connect: Callable[..., Any], kind: str, value: Any
) -> None:
    mark = "%s" if connect is python_tds else "?"
    with connect(shared_wire) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT CAST({mark} AS {kind}) AS back", (as_driver_takes_it(connect, value),))
        (back,) = cursor.fetchone()
        assert back == value
        assert type(back) is type(value)


def as_driver_takes_it(connect: Callable[..., Any], value: Any) -> Any:
    """python-tds takes plain bytes for text."""
    if connect is python_tds and isinstance(value, bytes):
        import pytds

        return pytds.Binary(value)
    return value


def test_a_result_of_a_hundred_thousand_rows_streams(shared_wire: Wire, connect: Callable[..., Any]) -> None:
    digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
    joins = " CROSS JOIN ".join(f"{digits} AS t{place}(n)" for place in range(5))
    with connect(shared_wire) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT t0.n, N'row' AS word, NULLIF(t1.n, 3) AS gap FROM {joins}")
        rows = cursor.fetchall()
        assert len(rows) == 100_000
        assert sum(1 for row in rows if row[2] is None) == 10_000
