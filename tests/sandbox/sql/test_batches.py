"""Batches: variables, control of flow, what an error ends, and transactions of two sessions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lpmops.sandbox.sql import Database, Session, SqlError, SqlPrincipal
from lpmops.sandbox.sql.batch import run_batch
from lpmops.sandbox.sql.results import Collected
from tests.sandbox.sql.conftest import number_of, rows

OWNER = SqlPrincipal("operator", is_owner=True)


class Client:
    """A session that stays open."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def run(self, text: str) -> Collected:
        collected = Collected()
        run_batch(self.session, text, (), collected)
        return collected

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        collected = self.run(text)
        collected.raise_first()
        return collected.results[-1].rows


@pytest.fixture
def table(database: Database) -> Database:
    database.execute("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT NULL)")
    return database


@pytest.fixture
def connect(table: Database) -> Iterator[Callable[[], Client]]:
    """Sessions that are closed at the end."""
    opened: list[Session] = []

    def connect() -> Client:
        opened.append(table.enter(OWNER))
        return Client(opened[-1])

    yield connect
    for session in opened:
        session.close()


def test_control_of_flow_runs_as_written(database: Database) -> None:
    text = """
    DECLARE @n INT = 0, @log NVARCHAR(MAX) = N'';
    WHILE @n < 5
    BEGIN
        SET @n += 1;
        IF @n = 2 CONTINUE;
        IF @n = 4 BREAK;
        DECLARE @piece NVARCHAR(10) = CONCAT(N'<', @n, N'>');
        SET @log += @piece
    END
    IF @log = N'<1><3>' SELECT @log AS log ELSE PRINT 'wrong'
    """
    assert rows(database, text) == [("<1><3>",)]


def test_one_statement_that_fails_does_not_stop_the_next(table: Database) -> None:
    done = table.run(
        "INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (1, 2); INSERT INTO t VALUES (2, NULL); SELECT @@ERROR, @@ROWCOUNT"
    )
    assert [error.number for error in done.errors] == [2627]
    assert done.counts == [1, 1]
    assert done.results[0].rows == [(0, 1)]


@pytest.mark.parametrize(
    "breaking", ["SELECT CAST('x' AS INT)", "SELECT * FROM nope", "THROW 50001, 'stop', 1", "EXEC nosuch"]
)
def test_an_error_of_that_kind_ends_the_batch(table: Database, breaking: str) -> None:
    done = table.run(f"INSERT INTO t VALUES (1, 1); {breaking}; INSERT INTO t VALUES (2, 2)")
    assert len(done.errors) == 1
    assert table.row_count("t") == 1


def test_a_batch_that_names_a_column_wrongly_does_nothing_at_all(table: Database) -> None:
    assert number_of(table, "INSERT INTO t VALUES (1, 1); SELECT nope FROM t") == 207
    assert number_of(table, "INSERT INTO t VALUES (2, 1); SELEC FROM WHERE") == 102
    assert table.row_count("t") == 0


def test_an_error_knows_its_line(table: Database) -> None:
    assert [error.line for error in table.run("SELECT 1\n\nSELECT 1 / 0").errors] == [3]


def test_catch_sees_the_error_and_may_throw_it_again(table: Database) -> None:
    text = (
        "BEGIN TRY INSERT INTO t VALUES (1, 1), (1, 1) END TRY BEGIN CATCH SELECT ERROR_NUMBER(), "
        "ERROR_SEVERITY(), ERROR_LINE(), @@ERROR; THROW END CATCH; SELECT 'after'"
    )
    done = table.run(text)
    assert done.results[0].rows == [(2627, 14, 1, 2627)]
    assert [error.number for error in done.errors] == [2627]
    assert len(done.results) == 1
    assert rows(
        table,
        (
            "BEGIN TRY RAISERROR('%s is %d', 16, 3, N'x', 7) END TRY BEGIN CATCH SELECT ERROR_NUMBER(), "
            "ERROR_MESSAGE(), ERROR_STATE() END CATCH"
        ),
    ) == [(50000, "x is 7", 3)]


def test_messages_are_told(database: Database) -> None:
    done = database.run("PRINT N'hello'; RAISERROR('note %i', 5, 1, 3) WITH NOWAIT")
    assert [(message.text, message.severity) for message in done.messages] == [("hello", 0), ("note 3", 5)]


def test_xact_abort_takes_the_transaction_along(table: Database) -> None:
    done = table.run(
        "SET XACT_ABORT ON; BEGIN TRAN; INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (1, 1); SELECT 'never'"
    )
    assert [error.number for error in done.errors] == [2627]
    assert done.results == []
    assert table.row_count("t") == 0
    doomed = table.run(
        "SET XACT_ABORT ON; BEGIN TRY BEGIN TRAN; INSERT INTO t VALUES (1, 1), (1, 1) END TRY BEGIN CATCH "
        "SELECT XACT_STATE(); COMMIT END CATCH"
    )
    assert doomed.results[0].rows == [(-1,)]
    assert [error.number for error in doomed.errors] == [3930]
    forgotten = table.run(
        "SET XACT_ABORT ON; BEGIN TRY BEGIN TRAN; INSERT INTO t VALUES (1, 1), (1, 1) END TRY BEGIN CATCH "
        "PRINT 'so what' END CATCH"
    )
    assert [error.number for error in forgotten.errors] == [3998]


def test_parameters_reach_sp_executesql_and_come_back(table: Database) -> None:
    table.execute("INSERT INTO t VALUES (1, 10), (2, 20)")
    text = (
        "DECLARE @sum INT; EXEC sp_executesql N'SELECT @s = SUM(n) FROM t WHERE id <= @max', N'@max INT, @s "
        "INT OUTPUT', @max = 2, @s = @sum OUTPUT; SELECT @sum"
    )
    assert rows(table, text) == [(30,)]
    assert rows(table, "EXEC ('SELECT COUNT(*) FROM t')") == [(2,)]
    assert number_of(table, "EXEC sp_executesql N'SELECT @a', N'@a INT'") == 8178


def test_a_transaction_is_seen_by_others_when_it_is_committed(table: Database, connect: Callable[[], Client]) -> None:
    writer, reader = connect(), connect()
    writer.run("BEGIN TRAN; INSERT INTO t VALUES (1, 1)")
    assert writer.rows("SELECT COUNT(*), @@TRANCOUNT FROM t") == [(1, 1)]
    assert reader.rows("SELECT COUNT(*) FROM t") == [(0,)]
    assert reader.rows(
        "SELECT SUM(row_count) FROM sys.dm_db_partition_stats WHERE object_id = OBJECT_ID('t') AND index_id < 2"
    ) == [(0,)]
    writer.run("COMMIT")
    assert reader.rows("SELECT COUNT(*) FROM t") == [(1,)]
    writer.run("BEGIN TRAN; DELETE FROM t; CREATE TABLE gone (a INT); ROLLBACK")
    assert reader.rows("SELECT COUNT(*), OBJECT_ID('gone') FROM t") == [(1, None)]
    assert [error.number for error in writer.run("COMMIT").errors + writer.run("ROLLBACK").errors] == [3902, 3903]


def test_a_second_writer_waits_for_the_first(table: Database, connect: Callable[[], Client]) -> None:
    first, second = connect(), connect()
    first.run("BEGIN TRAN; UPDATE t SET n = 1; INSERT INTO t VALUES (1, 1)")
    assert [error.number for error in second.run("SET LOCK_TIMEOUT 50; INSERT INTO t VALUES (2, 2)").errors] == [1222]
    second.run("SET LOCK_TIMEOUT -1")
    waiting = threading.Thread(target=second.run, args=("INSERT INTO t VALUES (3, 3)",))
    waiting.start()
    watcher = connect()
    deadline = time.monotonic() + 5
    while (
        watcher.rows("SELECT COUNT(*) FROM sys.dm_exec_sessions")
        and not table.lock.waits(second.session)
        and time.monotonic() < deadline
    ):
        time.sleep(0.005)
    first.run("COMMIT")
    waiting.join(5)
    assert rows(table, "SELECT id FROM t ORDER BY id") == [(1,), (3,)]


def test_a_read_then_write_never_works_on_what_it_has_not_seen(table: Database, connect: Callable[[], Client]) -> None:
    table.execute("INSERT INTO t VALUES (1, 0)")
    increment = "BEGIN TRAN; DECLARE @n INT; SELECT @n = n FROM t WITH (UPDLOCK, HOLDLOCK) WHERE id = 1; UPDATE t SET n = @n + 1 WHERE id = 1; COMMIT"
    clients = [connect() for _ in range(4)]
    threads = [
        threading.Thread(target=lambda client=client: [client.run(increment) for _ in range(25)]) for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert rows(table, "SELECT n FROM t") == [(100,)]


def test_a_session_that_is_cancelled_stops_at_once(table: Database, connect: Callable[[], Client]) -> None:
    client = connect()
    for text in (
        "WAITFOR DELAY '00:10:00'",
        (
            "WITH a AS (SELECT v FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) t (v)) SELECT COUNT(*) "
            "FROM a a, a b, a c, a d, a e, a f, a g, a h, a i"
        ),
    ):
        client.session.ready()
        timer = threading.Timer(0.1, client.session.cancel)
        timer.start()
        start = time.monotonic()
        assert [error.number for error in client.run(text).errors] == [3617]
        assert time.monotonic() - start < 5
    client.session.ready()
    assert client.rows("SELECT 1") == [(1,)]


def test_implicit_transactions_begin_with_the_first_statement(table: Database, connect: Callable[[], Client]) -> None:
    client = connect()
    client.run("SET IMPLICIT_TRANSACTIONS ON")
    assert client.rows("SELECT @@TRANCOUNT") == [(0,)]
    client.run("INSERT INTO t VALUES (1, 1)")
    assert client.rows("SELECT @@TRANCOUNT") == [(1,)]
    client.run("ROLLBACK")
    assert table.row_count("t") == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [("SET NOSUCH ON", 195), ("SET ANSI_NULLS OFF", 40517), ("SET ROWCOUNT 5", 40517), ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT", 40517),
     ("DECLARE @a INT, @a INT", 134), ("SET @a = 1", 137), ("RETURN 1 SELECT 2", None), ("BEGIN END", 156), ("RAISERROR('x', 20, 1)", 2754),
     ("THROW 1, 'x', 1", 35100), ("GOTO label", 40510), ("SAVE TRAN a", 40510), ("DECLARE c CURSOR FOR SELECT 1", 40510),
         ("WAITFOR TIME '10:00'", 40510),
     ("SELECT @a = 1", 137), ("DECLARE @a INT; SELECT @a = 1, 2", 141), ("DECLARE @a INT = 0; SELECT @a = @a + object_id FROM sys.tables", 40514)],
)  # fmt: skip
def test_what_this_server_does_not_do_it_refuses_by_name(database: Database, text: str, number: int | None) -> None:
    if number is None:
        assert database.execute(text) == []
    else:
        assert number_of(database, text) == number


def test_an_endless_recursion_ends(database: Database) -> None:
    text = "DECLARE @s NVARCHAR(MAX) = N'EXEC sp_executesql @t, N''@t NVARCHAR(MAX)'', @t = @t'; EXEC sp_executesql @s, N'@t NVARCHAR(MAX)', @t = @s"
    with pytest.raises(SqlError) as failed:
        database.execute(text)
    assert failed.value.number == 217
