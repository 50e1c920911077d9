"""Principals and permissions, and what the catalog views tell of them."""

from __future__ import annotations

import pytest

from lpmops.sandbox.sql import Database, Login, SqlError, SqlPrincipal, SqlServer
from tests.sandbox.sql.conftest import number_of, rows

JOB = SqlPrincipal("asa-job")
INSERT = "INSERT INTO lpm.tdr (company_id, record_id, commit_version, change_type, commit_timestamp) VALUES ('1', 'a', 1, 'insert', '2026-01-01')"


@pytest.fixture
def guarded(landing: Database) -> Database:
    """A landing table with the identity of a Stream Analytics job."""
    landing.execute(
        "CREATE USER [asa-job] FROM EXTERNAL PROVIDER; GRANT SELECT, INSERT ON OBJECT::lpm.tdr TO [asa-job]"
    )
    return landing


def test_a_principal_without_a_user_is_not_let_in(landing: Database) -> None:
    assert number_of(landing, "SELECT 1", principal=JOB) == 18456


def test_a_job_may_do_what_it_was_granted_and_no_more(guarded: Database) -> None:
    guarded.execute(INSERT, principal=JOB)
    assert (
        guarded.bulk_insert(
            "lpm.tdr",
            ["company_id", "record_id", "commit_version", "change_type", "commit_timestamp"],
            [("1", "b", 1, "insert", "2026-01-01")],
            principal=JOB,
        )
        == 1
    )
    assert rows(guarded, "SELECT COUNT(*) FROM lpm.tdr", principal=JOB) == [(2,)]
    with pytest.raises(
        SqlError, match="The DELETE permission was denied on the object 'tdr', database 'lpm-01', schema 'lpm'"
    ) as failed:
        guarded.execute("DELETE FROM lpm.tdr", principal=JOB)
    assert failed.value.number == 229
    for text, number in (("UPDATE lpm.tdr SET change_type = 'x'", 229), ("CREATE TABLE t (a INT)", 262), ("DROP TABLE lpm.tdr", 3701),
        ("CREATE SCHEMA s", 262),
                         ("CREATE USER u FROM EXTERNAL PROVIDER", 15247), ("GRANT SELECT ON lpm.tdr TO public", 15151),
                         ("TRUNCATE TABLE lpm.tdr", 229),
                         ("SELECT * FROM sys.dm_db_partition_stats", 262), ("ALTER TABLE lpm.tdr ADD a INT", 4902)):  # fmt: skip
        assert number_of(guarded, text, principal=JOB) == number, text


def test_deny_wins_and_revoke_takes_back(guarded: Database) -> None:
    guarded.execute("DENY SELECT ON SCHEMA::lpm TO [asa-job]")
    assert number_of(guarded, "SELECT * FROM lpm.tdr", principal=JOB) == 229
    guarded.execute("REVOKE SELECT ON SCHEMA::lpm FROM [asa-job]; REVOKE INSERT ON lpm.tdr TO [asa-job]")
    assert rows(guarded, "SELECT COUNT(*) FROM lpm.tdr", principal=JOB) == [(0,)]
    assert number_of(guarded, INSERT, principal=JOB) == 229


def test_a_view_stands_for_what_it_reads(guarded: Database) -> None:
    guarded.execute("CREATE VIEW lpm.companies AS SELECT DISTINCT company_id FROM lpm.tdr")
    guarded.execute("REVOKE SELECT ON lpm.tdr FROM [asa-job]; GRANT SELECT ON lpm.companies TO [asa-job]")
    assert rows(guarded, "SELECT * FROM lpm.companies", principal=JOB) == []
    assert number_of(guarded, "SELECT * FROM lpm.tdr", principal=JOB) == 229


def test_roles_carry_permissions(guarded: Database) -> None:
    guarded.execute(
        "CREATE ROLE readers; GRANT SELECT TO readers; CREATE USER people FROM EXTERNAL PROVIDER; ALTER ROLE readers ADD MEMBER people"
    )
    people = SqlPrincipal("people")
    assert rows(guarded, "SELECT COUNT(*), IS_MEMBER('readers'), USER_NAME() FROM lpm.tdr", principal=people) == [
        (0, 1, "people")
    ]
    guarded.execute("ALTER ROLE readers DROP MEMBER people; ALTER ROLE db_owner ADD MEMBER people")
    guarded.execute("CREATE TABLE made_by_people (a INT)", principal=people)
    members = """SELECT r.name, m.name FROM sys.database_role_members x
                 JOIN sys.database_principals r ON r.principal_id = x.role_principal_id
                 JOIN sys.database_principals m ON m.principal_id = x.member_principal_id WHERE m.name <> 'dbo'"""
    assert rows(guarded, members) == [("db_owner", "people")]


def test_permissions_can_be_asked(guarded: Database) -> None:
    asked = """SELECT HAS_PERMS_BY_NAME('lpm.tdr', 'OBJECT', 'INSERT'), HAS_PERMS_BY_NAME('[lpm].[tdr]', 'OBJECT', 'DELETE'),
                  HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE TABLE'),
                      HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'CONNECT'), HAS_PERMS_BY_NAME('lpm', 'SCHEMA', 'ALTER'),
                  HAS_PERMS_BY_NAME('nope', 'OBJECT', 'SELECT')"""
    assert rows(guarded, asked, principal=JOB) == [(1, 0, 0, 1, 0, None)]
    assert rows(guarded, asked) == [(1, 1, 1, 1, 1, None)]
    listed = """SELECT p.name, p.type_desc, d.permission_name, d.state_desc, OBJECT_NAME(d.major_id) FROM sys.database_permissions d
                JOIN sys.database_principals p ON p.principal_id = d.grantee_principal_id WHERE d.class = 1 ORDER BY d.permission_name"""
    assert rows(guarded, listed) == [
        ("asa-job", "EXTERNAL_USER", "INSERT", "GRANT", "tdr"),
        ("asa-job", "EXTERNAL_USER", "SELECT", "GRANT", "tdr"),
    ]


def test_what_one_may_not_touch_one_does_not_see(guarded: Database) -> None:
    guarded.execute("CREATE TABLE secret (a INT NOT NULL)")
    assert rows(guarded, "SELECT name, OBJECT_ID('dbo.secret') FROM sys.tables", principal=JOB) == [("tdr", None)]
    assert number_of(guarded, "SELECT * FROM secret", principal=JOB) == 229


def test_a_user_is_made_once_and_a_fresh_one_has_nothing(guarded: Database) -> None:
    assert number_of(guarded, "CREATE USER [ASA-JOB] FROM EXTERNAL PROVIDER") == 15023
    guarded.execute("DROP USER [asa-job]; CREATE USER [asa-job] FROM EXTERNAL PROVIDER")
    assert number_of(guarded, INSERT, principal=JOB) == 229
    for text, number in (("CREATE USER x FOR LOGIN y", 40517), ("GRANT NOSUCH TO [asa-job]", 102), ("GRANT SELECT ON nope TO [asa-job]",
        15151), ("GRANT SELECT TO nobody", 15151),
                         ("GRANT CREATE TABLE ON lpm.tdr TO [asa-job]", 4606), ("ALTER ROLE nope ADD MEMBER [asa-job]", 15151),
                         ("DROP USER dbo", 15150)):  # fmt: skip
        assert number_of(guarded, text) == number, text


def test_a_contained_user_signs_in_with_its_password(server: SqlServer, guarded: Database) -> None:
    guarded.execute("CREATE USER reader WITH PASSWORD = N'Sandb0x!'")
    assert server.contained_user(Login("reader", "Sandb0x!", database="lpm-01")) == SqlPrincipal("reader")
    assert server.contained_user(Login("reader", "sandb0x!", database="lpm-01")) is None
    assert server.contained_user(Login("asa-job", "", database="lpm-01")) is None
    assert "Sandb0x" not in (
        guarded.path.read_bytes() + guarded.path.with_name(guarded.path.name + "-wal").read_bytes()
    ).decode("latin-1")


def test_the_catalog_describes_the_landing_table(landing: Database) -> None:
    indexes = """SELECT i.name, i.type_desc, i.is_unique, i.ignore_dup_key, COL_NAME(c.object_id, c.column_id), c.key_ordinal FROM sys.indexes i
                 JOIN sys.index_columns c ON c.object_id = i.object_id AND c.index_id = i.index_id
                  WHERE i.object_id = OBJECT_ID(N'lpm.tdr', N'U') AND c.key_ordinal <= 1"""
    assert rows(landing, indexes) == [
        ("ux_tdr_change", "NONCLUSTERED", True, True, "company_id", 1),
        ("ix_tdr_landed_at", "NONCLUSTERED", False, False, "landed_at", 1),
    ]
    columns = """SELECT c.name, TYPE_NAME(c.user_type_id), c.max_length, c.precision, c.scale, c.is_nullable, d.name FROM sys.columns c
                 LEFT JOIN sys.default_constraints d ON d.object_id = c.default_object_id
                  WHERE c.object_id = OBJECT_ID('lpm.tdr') ORDER BY c.column_id"""
    assert rows(landing, columns) == [
        ("company_id", "nvarchar", 128, 0, 0, False, None), ("record_id", "nvarchar", 128, 0, 0, False, None), ("commit_version", "bigint",
            8, 19, 0, False, None),
        ("change_type", "nvarchar", 40, 0, 0, False, None), ("commit_timestamp", "datetime2", 8, 26, 6, False, None), ("duration_seconds",
            "float", 8, 53, 0, True, None),
        ("sipreq", "nvarchar", -1, 0, 0, True, None), ("landed_at", "datetime2", 7, 23, 3, False, "df_tdr_landed_at"),
    ]  # fmt: skip
    assert rows(landing, "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM INFORMATION_SCHEMA.TABLES") == [
        ("lpm", "tdr", "BASE TABLE")
    ]
    assert rows(
        landing,
        (
            "SELECT DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, DATETIME_PRECISION FROM INFORMATION_SCHEMA.COLUMNS "
            "WHERE COLUMN_NAME IN ('company_id', 'landed_at')"
        ),
    ) == [("nvarchar", 64, None), ("datetime2", None, 3)]
    assert rows(landing, "SELECT name FROM sys.schemas WHERE schema_id = SCHEMA_ID('lpm')") == [("lpm",)]
    assert rows(
        landing,
        (
            "SELECT s.name, o.name, o.type FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id "
            "ORDER BY o.type"
        ),
    ) == [("lpm", "ck_tdr_sipreq", "C "), ("lpm", "df_tdr_landed_at", "D "), ("lpm", "tdr", "U ")]
    assert number_of(landing, "SELECT temporal_history FROM sys.tables") == 207
    assert number_of(landing, "SELECT * FROM sys.nosuch") == 208


def test_the_server_says_what_it_is(server: SqlServer, database: Database) -> None:
    found = rows(
        database,
        (
            "SELECT DB_NAME(), CAST(SERVERPROPERTY('EngineEdition') AS INT), CAST(DATABASEPROPERTYEX(DB_NAME(), "
            "'Collation') AS NVARCHAR(60)), LEFT(@@VERSION, 19)"
        ),
    )
    assert found == [("lpm-01", 5, "SQL_Latin1_General_CP1_CI_AS", "Microsoft SQL Azure")]
    assert rows(database, "SELECT name, state_desc FROM sys.databases") == [("master", "ONLINE"), ("lpm-01", "ONLINE")]
    server.create_database("lpm-02").state = "paused"
    assert rows(server.database("master"), "SELECT name, state_desc FROM sys.databases") == [
        ("master", "ONLINE"),
        ("lpm-01", "ONLINE"),
        ("lpm-02", "OFFLINE"),
    ]
