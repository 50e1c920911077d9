"""What happens inside a session: errors, counts, transactions, cancelling, prepared statements, the end."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.sql_wire.conftest import Wire, odbc, odbc_string, python_tds

TABLE = "CREATE TABLE dbo.call (record_id nvarchar(64) NOT NULL PRIMARY KEY, seconds int NULL, note nvarchar(max) NULL)"


@pytest.fixture
def calls(wire: Wire) -> Wire:
    wire.server.database("lpm-01").execute(TABLE)
    return wire


def mark(connect: Any) -> str:
    return "%s" if connect is python_tds else "?"


def number(connection: Any, query: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(query)
    return cursor.fetchone()[0]


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT * FROM dbo.nothing", 208),
        ("SELECT 1 / 0", 8134),
        ("SELECT (1", 102),
        ("RAISERROR(N'no', 16, 1)", 50000),
        ("THROW 50123, N'mine', 1", 50123),
    ],
)
def test_an_error_keeps_its_number_and_the_session_goes_on(
    shared_wire: Wire, connect: Callable[..., Any], text: str, code: int
) -> None:
    with connect(shared_wire) as connection:
        with pytest.raises(Exception) as failed:
            connection.cursor().execute(text)
        error: Any = failed.value
        told = error.msg_no if connect is python_tds else int(re.findall(r"\((\d+)\)", str(error))[0])
        assert told == code
        assert number(connection, "SELECT 5") == 5


def test_an_error_in_a_parameterized_statement_is_told_once(calls: Wire, connect: Callable[..., Any]) -> None:
    with connect(calls) as connection:
        cursor = connection.cursor()
        insert = f"INSERT INTO dbo.call (record_id, seconds) VALUES ({mark(connect)}, {mark(connect)})"
        cursor.execute(insert, ("a", 1))
        with pytest.raises(Exception, match="duplicate key"):
            cursor.execute(insert, ("a", 2))
        assert number(connection, "SELECT COUNT(*) FROM dbo.call") == 1


def test_counts_and_several_results_arrive_in_order(calls: Wire, connect: Callable[..., Any]) -> None:
    with connect(calls) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO dbo.call (record_id) VALUES (N'a'), (N'b'), (N'c')")
        assert cursor.rowcount == 3
        cursor.execute("SELECT record_id FROM dbo.call ORDER BY record_id; SELECT COUNT(*) FROM dbo.call")
        assert [row[0] for row in cursor.fetchall()] == ["a", "b", "c"]
        assert cursor.nextset()
        assert cursor.fetchone()[0] == 3


def test_a_transaction_is_seen_by_others_after_its_commit_only(calls: Wire, connect: Callable[..., Any]) -> None:
    with connect(calls, autocommit=False) as writer, connect(calls) as reader:
        writer.cursor().execute("INSERT INTO dbo.call (record_id) VALUES (N'a')")
        assert number(reader, "SELECT COUNT(*) FROM dbo.call") == 0
        writer.commit()
        assert number(reader, "SELECT COUNT(*) FROM dbo.call") == 1
        writer.cursor().execute("DELETE FROM dbo.call")
        writer.rollback()
        assert number(reader, "SELECT COUNT(*) FROM dbo.call") == 1


def test_a_lost_connection_loses_its_transaction_and_its_lock(calls: Wire, connect: Callable[..., Any]) -> None:
    writer = connect(calls, autocommit=False)
    writer.cursor().execute("INSERT INTO dbo.call (record_id) VALUES (N'lost')")
    assert calls.on_loop(calls.listener.drop_connections) == 1
    with connect(calls) as other:
        other.cursor().execute("INSERT INTO dbo.call (record_id) VALUES (N'kept')")
        assert number(other, "SELECT MAX(record_id) FROM dbo.call") == "kept"


def test_cancel_ends_a_statement_that_waits(shared_wire: Wire) -> None:
    with odbc(shared_wire) as connection:
        cursor = connection.cursor()
        threading.Timer(0.3, cursor.cancel).start()
        began = time.monotonic()
        with pytest.raises(Exception, match=r"[Cc]ancel"):
            cursor.execute("WAITFOR DELAY '00:00:30'")
        assert time.monotonic() - began < 5
        assert number(connection, "SELECT 5") == 5


def test_a_query_that_runs_out_of_time_is_cancelled_and_the_session_goes_on(shared_wire: Wire) -> None:
    with odbc(shared_wire) as connection:
        connection.timeout = 1
        with pytest.raises(Exception, match="timeout"):
            connection.cursor().execute("WAITFOR DELAY '00:00:30'")
        connection.timeout = 0
        assert number(connection, "SELECT 5") == 5
    with python_tds(shared_wire, timeout=1) as connection:
        with pytest.raises(Exception, match=r"timeout|timed out"):
            connection.cursor().execute("WAITFOR DELAY '00:00:30'")
        assert number(connection, "SELECT 5") == 5


def test_leaving_a_large_result_half_read_is_no_obstacle(shared_wire: Wire, connect: Callable[..., Any]) -> None:
    digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
    joins = " CROSS JOIN ".join(f"{digits} AS t{place}(n)" for place in range(5))
    with connect(shared_wire) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT REPLICATE(N'x', 100) AS filler FROM {joins}")
        cursor.fetchone()
        if connect is not python_tds:
            cursor.close()
        assert number(connection, "SELECT 5") == 5


def test_a_prepared_statement_runs_again_and_again(calls: Wire, connect: Callable[..., Any]) -> None:
    with connect(calls) as connection:
        cursor = connection.cursor()
        rows = [(f"r{place}", place, "é" * 5000) for place in range(50)]
        marks = ", ".join([mark(connect)] * 3)
        cursor.executemany(f"INSERT INTO dbo.call (record_id, seconds, note) VALUES ({marks})", rows)
        assert number(connection, "SELECT SUM(seconds) FROM dbo.call WHERE LEN(note) = 5000") == sum(range(50))


FAST = """
import sys, pyodbc
with pyodbc.connect(sys.argv[1], autocommit=True) as connection:
    cursor = connection.cursor()
    cursor.fast_executemany = True
    rows = [(f"r{place}", place if place % 2 else None, "n" * place) for place in range(300)]
    cursor.executemany("INSERT INTO dbo.call (record_id, seconds, note) VALUES (?, ?, ?)", rows)
"""


def test_fast_executemany_sends_many_calls_in_one_message(calls: Wire) -> None:
    # pyodbc keeps Python's lock while it asks for the parameters' types, so server and client cannot share a process here.
    subprocess.run([sys.executable, "-c", FAST, odbc_string(calls)], check=True, timeout=20)
    with odbc(calls) as connection:
        assert number(connection, "SELECT COUNT(*) FROM dbo.call WHERE seconds IS NULL") == 150
        assert number(connection, "SELECT LEN(note) FROM dbo.call WHERE record_id = N'r299'") == 299


def test_an_output_parameter_comes_back(shared_wire: Wire) -> None:
    import pytds

    with python_tds(shared_wire) as connection:
        cursor = connection.cursor()
        given = ("SET @out = @in + 1", "@in int, @out int OUTPUT", 41, pytds.output(value=None, param_type="int"))
        assert cursor.callproc("sp_executesql", given)[3] == 42


def test_server_cursors_and_unknown_procedures_are_refused_by_name(shared_wire: Wire) -> None:
    with python_tds(shared_wire) as connection:
        cursor = connection.cursor()
        with pytest.raises(Exception, match="'sp_cursoropen' is not supported"):
            cursor.callproc("sp_cursoropen", (0, "SELECT 1"))
        with pytest.raises(Exception, match=r"Could not find stored procedure 'dbo.nothing'"):
            cursor.callproc("dbo.nothing", ())
        assert number(connection, "SELECT 5") == 5


def test_bulk_load_is_refused_by_name(calls: Wire) -> None:
    with python_tds(calls) as connection:
        with pytest.raises(Exception, match="INSERT BULK"):
            connection.cursor().copy_to(
                data=[("a", 1, "n")], table_or_view="call", schema="dbo", columns=["record_id", "seconds", "note"]
            )
        assert number(connection, "SELECT COUNT(*) FROM dbo.call") == 0


def test_an_unknown_handle_is_8179(shared_wire: Wire) -> None:
    with python_tds(shared_wire) as connection, pytest.raises(Exception, match="prepared statement with handle 77"):
        connection.cursor().callproc("sp_execute", (77,))


def test_a_database_that_goes_away_ends_its_sessions_and_no_others(wire: Wire) -> None:
    first, second = odbc(wire), odbc(wire, DATABASE="lpm-02")
    wire.server.database("lpm-01").state = "unavailable"
    with pytest.raises(Exception, match=r"08S01|40613"):
        number(first, "SELECT 1")
    eventually(lambda: wire.listener.connection_count == 1)
    assert number(second, "SELECT 5") == 5
    second.close()


def test_a_delay_of_one_database_slows_its_requests_alone(wire: Wire) -> None:
    slow, quick = python_tds(wire), python_tds(wire, database="lpm-02")
    wire.server.database("lpm-01").delay_seconds = 30.0
    began = time.monotonic()
    assert number(quick, "SELECT 5") == 5
    assert time.monotonic() - began < 30
    wire.server.database("lpm-01").delay_seconds = 0.3
    began = time.monotonic()
    assert number(slow, "SELECT 5") == 5
    assert time.monotonic() - began >= 0.3
    slow.close()
    quick.close()


def test_closing_a_connection_ends_its_session(wire: Wire, connect: Callable[..., Any]) -> None:
    connection = connect(wire)
    assert len(wire.server.database("lpm-01").sessions()) == 1
    connection.close()
    eventually(lambda: not wire.server.database("lpm-01").sessions() and wire.listener.connection_count == 0)


def test_a_small_query_takes_less_than_five_milliseconds(shared_wire: Wire, connect: Callable[..., Any]) -> None:
    with connect(shared_wire) as connection:
        spent = []
        for _ in range(100):
            began = time.perf_counter()
            number(connection, "SELECT 1 AS answer")
            spent.append(time.perf_counter() - began)
        assert sorted(spent)[50] < 0.005
