"""Tables keep what they are told to keep: keys, checks, sizes, defaults, and duplicates let pass."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql import Database, SqlError, SqlServer
from tests.sandbox.sql.conftest import number_of, rows

INSERT = "INSERT INTO lpm.tdr (company_id, record_id, commit_version, change_type, commit_timestamp) VALUES "


def test_a_change_that_arrives_twice_lands_once(landing: Database) -> None:
    once = landing.run(
        INSERT + "(N'1001', N'a', 1, 'insert', '2026-01-01T00:00:00Z'), (N'1001', N'A', 1, 'INSERT', '2026-01-01')"
    )
    assert (once.counts, [message.number for message in once.messages]) == ([1], [3604])
    assert landing.run(INSERT + "(N'1001', N'a', 1, 'insert', '2026-01-01')").counts == [0]
    assert landing.row_count("lpm.tdr") == 1


def test_a_default_is_stamped_by_the_servers_clock(landing: Database, clock: Clock) -> None:
    clock.advance(10_000)
    landing.execute(INSERT + "(N'1', N'a', 1, 'insert', '2026-01-01')")
    (landed,) = rows(landing, "SELECT landed_at FROM lpm.tdr")[0]
    assert abs((landed - clock.now().replace(tzinfo=None)).total_seconds()) < 5
    assert landed.microsecond % 1000 == 0


@pytest.mark.parametrize(
    ("values", "number", "shown"),
    [
        ("NULL, N'a', 1, 'insert', '2026-01-01'", 515, "column 'company_id', table 'lpm-01.lpm.tdr'; column does not allow nulls. INSERT fails."),
        ("REPLICATE(N'x', 65), N'a', 1, 'insert', '2026-01-01'", 2628, "column 'company_id'"),
        ("REPLICATE(N'\U0001f600', 33), N'a', 1, 'insert', '2026-01-01'", 2628, "column 'company_id'"),
        ("N'1', N'a', 'one', 'insert', '2026-01-01'", 8114, "bigint"), ("N'1', N'a', 1e30, 'insert', '2026-01-01'", 8115, "bigint"),
        ("N'1', N'a', 1, 'insert', 'yesterday'", 241, "date"), ("N'1', N'a', 1, 'insert', 5", 206, "datetime2"), ("N'1', N'a', 1, 'insert'", 109,
        "VALUES"),
    ],
)  # fmt: skip
def test_a_row_that_does_not_fit_is_refused_whole(landing: Database, values: str, number: int, shown: str) -> None:
    with pytest.raises(SqlError) as failed:
        landing.execute(f"{INSERT} (N'9', N'fits', 1, 'insert', '2026-01-01'), ({values})")
    assert failed.value.number == number
    assert shown in failed.value.message
    assert landing.row_count("lpm.tdr") == 0


def test_a_check_is_held(landing: Database) -> None:
    with pytest.raises(SqlError, match=r'CHECK constraint "ck_tdr_sipreq".*table "lpm\.tdr"') as failed:
        landing.execute(
            "INSERT INTO lpm.tdr (company_id, record_id, commit_version, change_type, commit_timestamp, sipreq) "
            "VALUES ('1', 'a', 1, 'x', '2026-01-01', '{')"
        )
    assert failed.value.number == 547


def test_keys_are_unique_and_nulls_are_duplicates_of_each_other(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (a INT NOT NULL CONSTRAINT pk_t PRIMARY KEY, b NVARCHAR(9) NULL CONSTRAINT uq_t "
        "UNIQUE); CREATE TABLE u (c INT NULL)"
    )
    database.execute("CREATE UNIQUE INDEX ux_u ON u (c); INSERT INTO t VALUES (1, NULL); INSERT INTO u VALUES (NULL)")
    for text, number, shown in (("INSERT INTO t VALUES (1, 'x')", 2627, "PRIMARY KEY constraint 'pk_t'"), ("INSERT INTO t VALUES (2, NULL)",
    2627, "UNIQUE KEY constraint 'uq_t'"),
                                ("INSERT INTO u VALUES (NULL)", 2601, "unique index 'ux_u'"),
                                ("UPDATE t SET b = N'X'; INSERT INTO t VALUES (3, N'x')", 2627, "uq_t")):  # fmt: skip
        with pytest.raises(SqlError) as failed:
            database.execute(text)
        assert (failed.value.number, shown in failed.value.message) == (number, True)


def test_an_identity_counts_from_its_seed(database: Database) -> None:
    database.execute("CREATE TABLE t (id BIGINT IDENTITY(100, 1) PRIMARY KEY, a INT NULL)")
    assert rows(database, "INSERT INTO t (a) OUTPUT inserted.id VALUES (1), (2)") == [(100,), (101,)]
    assert rows(database, "INSERT INTO t DEFAULT VALUES; SELECT SCOPE_IDENTITY(), @@IDENTITY") == [
        (Decimal(102), Decimal(102))
    ]
    assert number_of(database, "INSERT INTO t (id, a) VALUES (5, 5)") == 544
    assert rows(database, "SET IDENTITY_INSERT t ON; INSERT INTO t (id, a) VALUES (5, 5); SELECT MIN(id) FROM t") == [
        (5,)
    ]
    assert number_of(database, "UPDATE t SET id = 1") == 8102


def test_a_column_that_is_added_fills_the_rows_that_are_there(landing: Database) -> None:
    landing.execute(INSERT + "(N'1', N'a', 1, 'insert', '2026-01-01')")
    landing.execute(
        "ALTER TABLE lpm.tdr ADD trunk NVARCHAR(20) NULL, attempts INT NOT NULL CONSTRAINT df_attempts DEFAULT 3"
    )
    landing.execute("ALTER TABLE lpm.tdr ADD CONSTRAINT ck_attempts CHECK (attempts < 10)")
    assert rows(landing, "SELECT trunk, attempts FROM lpm.tdr") == [(None, 3)]
    assert number_of(landing, "UPDATE lpm.tdr SET attempts = 10") == 547
    assert number_of(landing, "ALTER TABLE lpm.tdr ADD missing INT NOT NULL") == 4901
    assert number_of(landing, "ALTER TABLE lpm.tdr DROP COLUMN attempts") == 4922
    landing.execute(
        "ALTER TABLE lpm.tdr DROP CONSTRAINT ck_attempts, df_attempts; ALTER TABLE lpm.tdr DROP COLUMN "
        "attempts; ALTER TABLE lpm.tdr ALTER COLUMN trunk NVARCHAR(40) NULL"
    )
    assert landing.run(INSERT + "(N'1', N'a', 1, 'insert', '2026-01-01')").counts == [0]
    assert rows(
        landing,
        (
            "SELECT name, max_length FROM sys.columns WHERE object_id = OBJECT_ID('lpm.tdr') AND name IN "
            "('trunk', 'attempts')"
        ),
    ) == [("trunk", 80)]


def test_a_unique_index_is_not_made_over_duplicates(database: Database) -> None:
    database.execute("CREATE TABLE t (a INT NOT NULL); INSERT INTO t VALUES (1), (1)")
    assert number_of(database, "CREATE UNIQUE INDEX ux ON t (a)") == 1505
    assert rows(database, "SELECT COUNT(*) FROM sys.indexes WHERE name = 'ux'") == [(0,)]


def test_rows_are_changed_and_told_of(database: Database) -> None:
    database.execute(
        "CREATE TABLE lock (name NVARCHAR(64) NOT NULL PRIMARY KEY, owner NVARCHAR(64) NULL, fence BIGINT "
        "NOT NULL); INSERT INTO lock VALUES (N'dev', NULL, 1)"
    )
    take = "UPDATE lock SET owner = @who, fence += 1 OUTPUT inserted.fence, inserted.* WHERE name = N'dev' AND (owner IS NULL OR owner = @who)"
    assert database.execute(take, {"@who": "me"})[0].rows == [(2, "dev", "me", 2)]
    assert database.execute(take, {"@who": "you"})[0].rows == []
    assert rows(database, "DECLARE @f BIGINT; UPDATE lock SET @f = fence = fence + 1; SELECT @f, @@ROWCOUNT") == [
        (3, 1)
    ]
    assert rows(database, "DELETE FROM lock OUTPUT deleted.fence WHERE name = N'DEV'") == [(3,)]
    assert number_of(database, "UPDATE lock SET fence = 1 OUTPUT deleted.fence") == 40514


def test_rows_are_changed_by_what_other_tables_say(database: Database) -> None:
    database.execute(
        "CREATE TABLE a (id INT NOT NULL, n INT NULL); CREATE TABLE b (id INT NOT NULL, n INT NOT NULL); "
        "INSERT INTO a VALUES (1, 0), (2, 0), (3, 0); INSERT INTO b VALUES (1, 10), (3, 30)"
    )
    assert database.run("UPDATE x SET n = b.n FROM a AS x JOIN b ON b.id = x.id").counts == [2]
    assert rows(database, "SELECT id, n FROM a ORDER BY id") == [(1, 10), (2, 0), (3, 30)]
    assert database.run("UPDATE TOP (1) a SET n = 99 WHERE n > 5").counts == [1]
    assert database.run("DELETE x FROM a x LEFT JOIN b ON b.id = x.id WHERE b.id IS NULL").counts == [1]
    assert database.run("WHILE 1 = 1 BEGIN DELETE TOP (1) FROM a; IF @@ROWCOUNT = 0 BREAK END").counts == [1, 1, 0]
    database.execute("INSERT INTO a (id) SELECT id FROM b; INSERT INTO a SELECT id, n FROM b WHERE id = 1")
    assert database.row_count("dbo.a") == 3
    database.execute("TRUNCATE TABLE a")
    assert database.row_count("dbo.a") == 0


def test_all_is_there_again_after_a_restart(server: SqlServer, landing: Database) -> None:
    landing.execute(INSERT + "(N'1', N'a', 1, 'insert', '2026-01-01 10:00:00.123456')")
    landing.execute("CREATE USER [asa-job] FROM EXTERNAL PROVIDER; GRANT INSERT ON OBJECT::lpm.tdr TO [asa-job]")
    server.close()
    again = SqlServer(server.folder, server.clock)
    found = again.database("LPM-01")
    assert rows(found, "SELECT commit_timestamp FROM lpm.tdr") == [(datetime(2026, 1, 1, 10, 0, 0, 123456),)]
    assert found.run(INSERT + "(N'1', N'a', 1, 'insert', '2026-01-01')").counts == [0]
    assert rows(found, "SELECT permission_name FROM sys.database_permissions WHERE class = 1") == [("INSERT",)]
    again.close()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("CREATE TABLE t (a INT, a INT)", 2705), ("CREATE TABLE nope.t (a INT)", 2760), ("CREATE TABLE t (a xml)", 40514),
            ("CREATE TABLE t (a nosuch)", 2715),
        ("CREATE TABLE t (a NVARCHAR(5000))", 131), ("CREATE TABLE t (a DECIMAL(39))", 1001), ("CREATE TABLE t (a AS 1)", 40514),
            ("CREATE TABLE t ()", 102),
        ("CREATE TABLE t (a INT NULL PRIMARY KEY)", 8147), ("CREATE TABLE t (a INT REFERENCES x(y))", 40514),
            ("CREATE TABLE t (a rowversion)", 40514),
        ("CREATE TABLE t (a INT NOT NULL DEFAULT 'x')", 245), ("CREATE TABLE t (a INT CHECK (b > 1))", 207), ("CREATE TABLE lpm.tdr (a INT)", 2714),
        ("CREATE INDEX ix ON lpm.tdr (nope)", 1911), ("CREATE INDEX ix ON lpm.tdr (sipreq)", 1919),
            ("CREATE INDEX ix_tdr_landed_at ON lpm.tdr (company_id)", 1913),
        ("CREATE INDEX ix ON nope (a)", 1088), ("CREATE INDEX ix ON lpm.tdr (company_id) WHERE company_id = '1'", 40514), ("DROP TABLE nope", 3701),
        ("CREATE INDEX ix ON lpm.tdr (company_id) WITH (IGNORE_DUP_KEY = ON)", 1916), ("DROP INDEX nope ON lpm.tdr", 3701),
            ("DROP VIEW lpm.tdr", 3705),
        ("DROP SCHEMA lpm", 3729), ("CREATE SCHEMA lpm", 2714), ("ALTER TABLE nope ADD a INT", 4902), ("ALTER TABLE lpm.tdr DROP COLUMN nope", 4924),
        ("INSERT INTO lpm.tdr (nope) VALUES (1)", 207), ("INSERT INTO nope VALUES (1)", 208), ("INSERT INTO lpm.tdr VALUES (1)", 213),
            ("UPDATE lpm.tdr SET nope = 1", 207),
        ("CREATE PROCEDURE p AS SELECT 1", 40510), ("CREATE TRIGGER t ON x AFTER INSERT AS SELECT 1", 40510),
            ("MERGE INTO lpm.tdr USING x ON 1=1", 40510),
        ("CREATE DATABASE x", 40510), ("BACKUP DATABASE x", 40510), ("USE master", 40508), ("ALTER DATABASE x SET READ_ONLY", 40510),
        ("CREATE TABLE #t (a INT)", 40514), ("CREATE COLUMNSTORE INDEX i ON lpm.tdr (company_id)", 40510), ("SELEC 1", 2812),
    ],
)  # fmt: skip
def test_a_definition_that_cannot_be_is_refused_with_its_number(landing: Database, text: str, number: int) -> None:
    assert number_of(landing, text) == number
    assert rows(landing, "SELECT COUNT(*) FROM sys.tables") == [(1,)]


@pytest.mark.parametrize("word", ["IF EXISTS ", ""])
def test_dropping_twice_is_an_error_unless_said_otherwise(landing: Database, word: str) -> None:
    landing.execute("DROP TABLE lpm.tdr")
    if word:
        landing.execute(
            f"DROP TABLE {word}lpm.tdr; DROP VIEW {word}lpm.v; DROP USER {word}u; DROP SCHEMA {word}s; DROP INDEX {word}i ON lpm.tdr"
        )
    else:
        assert number_of(landing, f"DROP TABLE {word}lpm.tdr") == 3701
