"""What Stream Analytics lands in bulk, and databases that are away, asleep, busy or slow."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql import Database, Login, SqlError, SqlPrincipal, SqlServer
from tests.sandbox.sql.conftest import LANDING_COLUMNS, number_of, rows

MOMENT = datetime(2026, 1, 1, 10, 20, 30, 123456, tzinfo=UTC)


def change(number: int, **other: Any) -> tuple[Any, ...]:
    made = dict(zip(LANDING_COLUMNS, ("1001", f"r{number}", number, "insert", MOMENT), strict=True)) | other
    return tuple(made[name] for name in LANDING_COLUMNS)


def test_a_batch_lands_once_however_often_it_is_delivered(landing: Database) -> None:
    batch = [change(number % 150) for number in range(200)]
    assert landing.bulk_insert("lpm.tdr", LANDING_COLUMNS, batch) == 150
    assert landing.bulk_insert("[LPM].[tdr]", LANDING_COLUMNS, batch) == 0
    assert landing.bulk_insert("lpm.tdr", LANDING_COLUMNS, []) == 0
    assert rows(landing, "SELECT COUNT(*), MIN(commit_timestamp), COUNT(DISTINCT landed_at) FROM lpm.tdr") == [
        (150, MOMENT.replace(tzinfo=None), 1)
    ]
    assert landing.row_count("lpm.tdr") == 150


@pytest.mark.parametrize(
    ("row", "number"),
    [
        (change(1, company_id=None), 515), (change(1, company_id="x" * 65), 2628), (change(1, company_id="\U0001f600" * 33), 2628),
            (change(1, commit_version="one"), 8114),
        (change(1, commit_version=2**63), 8115), (change(1, commit_version=None), 515), (change(1, commit_timestamp="yesterday"), 241),
            (change(1)[:4], 213),
    ],
)  # fmt: skip
def test_one_row_that_does_not_fit_refuses_the_batch(landing: Database, row: tuple[Any, ...], number: int) -> None:
    with pytest.raises(SqlError) as failed:
        landing.bulk_insert("lpm.tdr", LANDING_COLUMNS, [change(7), row])
    assert failed.value.number == number
    assert landing.row_count("lpm.tdr") == 0


def test_a_bulk_load_is_held_to_names_checks_and_keys(landing: Database) -> None:
    landing.execute(
        "CREATE TABLE strict_one (id INT NOT NULL, n TINYINT NULL); CREATE UNIQUE INDEX ux ON strict_one (id)"
    )
    for table, columns, row, number in (
        ("lpm.nope", ["a"], (1,), 208), ("lpm.tdr", ["nope"], (1,), 207), ("strict_one", ["id", "id"], (1, 1), 264), ("strict_one", ["n"], (1,), 515),
        ("strict_one", ["id", "n"], (1, 256), 8115), ("strict_one", ["id", "n"], (1, float("nan")), 8023), ("lpm.tdr", [*LANDING_COLUMNS,
            "sipreq"], (*change(1), "{"), 547),
    ):  # fmt: skip
        with pytest.raises(SqlError) as failed:
            landing.bulk_insert(table, columns, [row])
        assert failed.value.number == number, (table, columns, row)
    with pytest.raises(SqlError, match=r"unique index 'ux'. The duplicate key value is \(5\)") as failed:
        landing.bulk_insert("strict_one", ["id"], [(5,), (5,)])
    assert failed.value.number == 2601


def test_values_are_brought_to_the_columns_type(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (b BIT NULL, i INT NULL, f FLOAT NULL, d DECIMAL(9, 3) NULL, s NVARCHAR(20) NULL, v "
        "VARCHAR(9) NULL, m DATETIME2(3) NULL, y DATE NULL, o DATETIMEOFFSET(0) NULL, x VARBINARY(9) NULL)"
    )
    cairo = timezone(timedelta(hours=2))
    given_rows = [
        (True, 3.0, 7, "1.5", 12, "ж", datetime(2026, 1, 1, 12, tzinfo=cairo), "2026-01-01", datetime(2026, 1, 1, 12, tzinfo=cairo), b"\0\x01"),
        (1, "4", Decimal("0.1"), 2.25, True, None, "2026-01-01T10:00:00.0005Z", MOMENT, MOMENT, None), (None,) * 10,
    ]  # fmt: skip
    assert database.bulk_insert("t", ["b", "i", "f", "d", "s", "v", "m", "y", "o", "x"], given_rows) == 3
    assert rows(database, "SELECT * FROM t") == [
        (True, 3, 7.0, Decimal("1.500"), "12", "?", datetime(2026, 1, 1, 10), date(2026, 1, 1), datetime(2026, 1, 1, 12, tzinfo=cairo), b"\0\x01"),
        (True, 4, 0.1, Decimal("2.250"), "1", None, datetime(2026, 1, 1, 10, 0, 0, 1000), date(2026, 1, 1), MOMENT.replace(microsecond=0),
            None), (None,) * 10,
    ]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.text(max_size=70), st.none() | st.text(max_size=30), st.integers(-(2**70), 2**70)), max_size=5
    )
)
def test_any_batch_is_landed_whole_or_refused_with_a_number(batch: list[tuple[str, str | None, int]]) -> None:
    from tests.sandbox.sql.sessions import shared_database

    database = shared_database()
    database.execute(
        "DROP TABLE IF EXISTS any_batch; CREATE TABLE any_batch (a NVARCHAR(64) NOT NULL, b NVARCHAR(MAX) NULL, c BIGINT NOT NULL)"
    )
    clean = [
        (a.encode("utf-8", "replace").decode(), b and b.encode("utf-8", "replace").decode(), c) for a, b, c in batch
    ]
    fits = all(len(a.encode("utf-16-le")) <= 128 and abs(c) < 2**63 for a, _, c in clean)
    if fits:
        assert database.bulk_insert("any_batch", ["a", "b", "c"], clean) == len(clean)
    else:
        with pytest.raises(SqlError) as failed:
            database.bulk_insert("any_batch", ["a", "b", "c"], clean)
        assert failed.value.number in (2628, 8115)
    assert sorted(map(repr, rows(database, "SELECT a, b, c FROM any_batch"))) == sorted(
        map(repr, clean if fits else [])
    )


def test_an_unavailable_database_answers_40613_and_breaks_its_sessions(landing: Database) -> None:
    session = landing.enter(SqlPrincipal("operator", is_owner=True))
    landing.state = "unavailable"
    with pytest.raises(SqlError) as failed:
        session.check()
    assert failed.value.number in (3617, 40613)
    assert number_of(landing, "SELECT 1") == 40613
    with pytest.raises(SqlError, match="is not currently available") as failed:
        landing.bulk_insert("lpm.tdr", LANDING_COLUMNS, [change(1)])
    assert failed.value.number == 40613
    landing.state = "online"
    assert landing.bulk_insert("lpm.tdr", LANDING_COLUMNS, [change(1)]) == 1
    session.ready()
    with pytest.raises(SqlError) as failed:
        session.check()
    assert (failed.value.number, failed.value.fatal) == (40613, True)
    session.close()


def test_a_paused_database_wakes_at_the_first_login_and_takes_a_minute(landing: Database, clock: Clock) -> None:
    landing.state = "paused"
    states: list[str] = [landing.state]
    for seconds, number in ((0, 40613), (30, 40613), (31, None)):
        clock.advance(seconds)
        if number is None:
            assert rows(landing, "SELECT 1") == [(1,)]
        else:
            assert number_of(landing, "SELECT 1") == number
        states.append(landing.state)
    assert states == ["paused", "resuming", "resuming", "online"]


def test_a_throttled_database_asks_for_patience(landing: Database) -> None:
    session = landing.enter(SqlPrincipal("operator", is_owner=True))
    landing.state = "throttled"
    assert number_of(landing, "SELECT 1") == 10928
    with pytest.raises(SqlError, match="Retry the request after 10 seconds") as failed:
        session.check()
    assert (failed.value.number, failed.value.fatal) == (40501, True)
    session.close()


def test_a_slow_database_takes_its_time_and_a_blocked_one_until_it_is_healed(landing: Database) -> None:
    landing.delay_seconds = 0.2
    start = time.monotonic()
    landing.execute("SELECT 1")
    assert time.monotonic() - start >= 0.2
    landing.delay_seconds = float("inf")
    waiting = threading.Thread(target=landing.bulk_insert, args=("lpm.tdr", LANDING_COLUMNS, [change(1)]))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    landing.delay_seconds = 0
    waiting.join(5)
    assert landing.row_count("lpm.tdr") == 1


def test_the_door_tells_why_it_stays_shut(server: SqlServer, database: Database) -> None:
    operator = SqlPrincipal("operator", is_owner=True)
    for login, number in ((Login(database="nope"), 4060), (Login(database="LPM-01"), None)):
        if number is None:
            server.enter(login, operator).close()
        else:
            with pytest.raises(SqlError) as failed:
                server.enter(login, operator)
            assert failed.value.number == number
    server.firewall_open = False
    with pytest.raises(SqlError, match=r"IP address '198\.51\.100\.7' is not allowed") as failed:
        server.enter(Login(database="lpm-01", address="198.51.100.7"), operator)
    assert failed.value.number == 40615
    assert "hunter2" not in repr(Login("user", "hunter2", "hunter2"))


def test_databases_come_and_go(server: SqlServer, database: Database) -> None:
    with pytest.raises(SqlError) as failed:
        server.create_database("LPM-01")
    assert failed.value.number == 1801
    odd = server.create_database("a/../b \U0001f600")
    odd.execute("CREATE TABLE t (a INT NULL)")
    assert odd.path.parent == server.folder
    server.drop_database("lpm-01")
    assert [found.name for found in server.databases()] == ["master", "a/../b \U0001f600"]
    assert not database.path.exists()


def test_a_full_database_says_so_and_stays_whole(server: SqlServer) -> None:
    small = server.create_database("small", max_size_bytes=200_000)
    small.execute("CREATE TABLE t (a NVARCHAR(MAX) NULL)")
    with pytest.raises(SqlError) as failed:
        small.bulk_insert("t", ["a"], [("x" * 100_000,)] * 5)
    assert failed.value.number == 40544
    assert small.bulk_insert("t", ["a"], [("x",)]) == 1


def test_many_databases_share_few_files(server: SqlServer) -> None:
    names = [f"lpm-{number:02}" for number in range(40)]
    for name in names:
        server.create_database(name).execute("CREATE TABLE t (a INT NULL); INSERT INTO t VALUES (1)")
    seen: list[list[tuple[Any, ...]]] = []

    def visit(name: str) -> None:
        for _ in range(5):
            seen.append(rows(server.database(name), "SELECT COUNT(*) FROM t"))

    threads = [threading.Thread(target=visit, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [[(1,)]] * 200
    assert server.pool.open_connections <= 20
    if Path("/proc/self/fd").exists():
        held = [
            os.readlink(f"/proc/self/fd/{entry}")
            for entry in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{entry}")
        ]
        assert len([path for path in held if str(server.folder) in path]) <= 65


def test_a_hundred_thousand_rows_land_in_seconds(landing: Database) -> None:
    total = 0
    start = time.monotonic()
    for block in range(10):
        total += landing.bulk_insert(
            "lpm.tdr", LANDING_COLUMNS, [change(block * 10_000 + number) for number in range(10_000)]
        )
    assert total == 100_000
    # Ten times slower than measured on a quiet machine: this asks for the right way of doing it, not for a machine.
    assert time.monotonic() - start < 10
