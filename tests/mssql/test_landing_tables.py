"""The landing table end to end: made, checked, brought up to date, refused, and what it does with what is delivered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from lpmops.config import Column, Kpi, Routing
from lpmops.control import access, rights
from lpmops.routing import landing, privileges
from lpmops.routing.landing import LandingCheck, WantedTable
from lpmops.services import tables
from lpmops.services.azuresql import SqlService
from tests.mssql.conftest import Server

COLUMNS = (
    Column("call_id", "NVARCHAR(128)"),
    Column("disposition", "NVARCHAR(20)"),
    Column("duration_seconds", "FLOAT"),
    Column("price", "DECIMAL(9, 2)"),
    Column("answered", "BIT"),
    Column("started_at", "DATETIME2(6)"),
    Column("day", "DATE"),
    Column("tries", "INT"),
)
WANTED = landing.wanted(COLUMNS, Routing())
COUNTS = landing.wanted_counts()


def check(server: Server, want: WantedTable = WANTED) -> LandingCheck:
    return landing.compare(want, tables.read(cast(SqlService, server), "", want.name, want.view))


def bring_up_to_date(server: Server, want: WantedTable = WANTED) -> list[str]:
    found = check(server, want)
    assert found.refusals == ()
    for name, text in found.statements:
        server.run("", name, text)
    return [name for name, _ in found.statements]


def land(server: Server, record: str, version: int = 1, change: str = "insert", company: str = "1001") -> None:
    stamp = datetime(2026, 3, 2, 12, 0, 0, 123456)
    server.execute(
        "INSERT INTO lpm.tdr (company_id, record_id, commit_version, change_type, commit_timestamp, sent_at, enqueued_at, "
        "hub_partition, hub_sequence) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
        company, record, version, change, stamp, stamp, stamp, version,
    )  # fmt: skip


def landed(server: Server, table: str = "lpm.tdr") -> list[tuple[Any, ...]]:
    found = server.execute(
        f"SELECT record_id, commit_version, change_type FROM {table} ORDER BY record_id, commit_version"
    )
    return [tuple(row.values()) for row in found]


def test_an_empty_database_gets_table_indexes_and_view_and_lacks_nothing_then(server: Server) -> None:
    assert bring_up_to_date(server) == [
        "landing_schema",
        "landing_table",
        "landing_unique_index",
        "landing_recent_index",
        "landing_company_index",
        "landing_version_index",
        "landing_view",
    ]
    assert check(server).ready
    assert check(server).warnings == ()
    assert bring_up_to_date(server, COUNTS) == [
        "landing_schema",
        "landing_kpi",
        "landing_kpi_index",
        "landing_kpi_company_index",
    ]
    assert check(server, COUNTS).ready


def test_every_statement_but_the_views_can_run_again(server: Server) -> None:
    bring_up_to_date(server)
    for name, text in {**WANTED.statements, **COUNTS.statements}.items():
        server.run("", name, text)
    assert check(server).ready


def test_delivery_that_repeats_lands_once_and_ids_that_differ_in_case_alone_are_two(server: Server) -> None:
    bring_up_to_date(server)
    for record in ("a1", "a1", "A1"):
        land(server, record)
    land(server, "a1", company="acme")
    land(server, "a1", company="ACME")
    assert sorted(landed(server)) == [("A1", 1, "insert"), *[("a1", 1, "insert")] * 3]
    [stamp] = server.execute("SELECT MAX(landed_at) AS newest, SYSUTCDATETIME() AS now FROM lpm.tdr")
    assert timedelta(0) <= stamp["now"] - stamp["newest"] < timedelta(minutes=10)


def test_the_view_shows_the_newest_version_of_each_record_and_no_deleted_ones(server: Server) -> None:
    bring_up_to_date(server)
    land(server, "kept", 1)
    land(server, "kept", 2, "update_postimage")
    land(server, "gone", 1)
    land(server, "gone", 2, "delete")
    land(server, "made again", 3, "delete")
    land(server, "made again", 3, "insert")
    assert landed(server, "lpm.tdr_current") == [("kept", 2, "update_postimage"), ("made again", 3, "insert")]


def test_a_table_of_an_older_configuration_gets_what_it_lacks_and_keeps_its_rows(server: Server) -> None:
    bring_up_to_date(server, landing.wanted(COLUMNS[:2], Routing()))
    land(server, "before")
    server.execute("DROP INDEX ix_tdr_landed_at ON lpm.tdr")
    server.execute("DROP INDEX ux_tdr_change ON lpm.tdr")
    server.execute("ALTER TABLE lpm.tdr DROP CONSTRAINT df_tdr_landed_at")
    done = bring_up_to_date(server)
    assert done == [
        *["table_add_column"] * 6, "table_add_default", "landing_unique_index", "landing_recent_index", "landing_view",
    ]  # fmt: skip
    assert check(server).ready
    land(server, "after")
    seen = server.execute("SELECT record_id, price FROM lpm.tdr_current ORDER BY record_id")
    assert [row["record_id"] for row in seen] == ["after", "before"]


def test_a_view_that_somebody_changed_is_made_again_with_what_was_granted_on_it(server: Server) -> None:
    bring_up_to_date(server)
    server.execute("ALTER VIEW lpm.tdr_current AS SELECT record_id FROM lpm.tdr")
    assert bring_up_to_date(server) == ["landing_view"]
    assert check(server).ready


WRONG = {
    "ALTER TABLE lpm.tdr ALTER COLUMN disposition NVARCHAR(10) NULL": "NVARCHAR(20) is written to it: a text can be longer",
    "ALTER TABLE lpm.tdr ALTER COLUMN disposition VARCHAR(20) NULL": "letters of one alphabet",
    "ALTER TABLE lpm.tdr ALTER COLUMN tries SMALLINT NULL": "a value can be larger",
    "ALTER TABLE lpm.tdr ALTER COLUMN price DECIMAL(9, 4) NULL": "more digits",
    "ALTER TABLE lpm.tdr ALTER COLUMN started_at DATETIME2(3) NULL": "fewer digits of a second",
    "ALTER TABLE lpm.tdr ALTER COLUMN started_at NVARCHAR(40) NULL": "another type",
    "ALTER TABLE lpm.tdr ALTER COLUMN answered BIT NOT NULL": "let it be NULL",
    "ALTER TABLE lpm.tdr ADD owner NVARCHAR(20) NOT NULL": "a column owner that must have a value",
    "DROP INDEX ux_tdr_change ON lpm.tdr; CREATE UNIQUE INDEX ux_tdr_change ON lpm.tdr (company_id, record_id, commit_version, change_type)": (
        "IGNORE_DUP_KEY off"
    ),
    "CREATE UNIQUE INDEX ux_record ON lpm.tdr (company_id, record_id) WITH (IGNORE_DUP_KEY = ON)": "other changes would be dropped",
    "DROP INDEX ux_tdr_change ON lpm.tdr; CREATE INDEX ux_tdr_change ON lpm.tdr (company_id)": "is not unique over all rows",
    "DROP INDEX ix_tdr_landed_at ON lpm.tdr; ALTER TABLE lpm.tdr DROP COLUMN hub_partition": "has no column hub_partition",
}


@pytest.mark.parametrize(("change", "reason"), WRONG.items(), ids=list(WRONG.values()))
def test_what_can_not_be_added_is_refused_with_the_reason(server: Server, change: str, reason: str) -> None:
    bring_up_to_date(server)
    for part in change.split("; "):
        server.execute(part)
    found = check(server)
    assert found.statements == ()
    assert any(reason in refusal for refusal in found.refusals), found.refusals


REMADE = {
    "record_id NVARCHAR(64) COLLATE Latin1_General_100_BIN2": (
        "record_id NVARCHAR(64) COLLATE Latin1_General_100_CI_AS",
        "would be taken for one",
    ),
    "[call_id]": ("[Call_Id]", "rename it to that very case"),
    "[tries] INT NULL": ("[tries] INT IDENTITY(1, 1)", "computed or an identity"),
    "DEFAULT SYSUTCDATETIME()": ("DEFAULT SYSDATETIME()", "which is no moment in UTC"),
    "CREATE TABLE lpm.tdr": ("CREATE TABLE lpm.TDR", "with its very case"),
}


@pytest.mark.parametrize(("before", "after", "reason"), [(key, *value) for key, value in REMADE.items()])
def test_a_table_that_was_made_otherwise_is_refused_with_the_reason(
    server: Server, before: str, after: str, reason: str
) -> None:
    text = WANTED.statements["landing_table"]
    assert before in text
    server.execute(landing.compare(WANTED, landing.FoundTable()).statements[0][1])
    server.execute(text.replace(before, after))
    assert any(reason in refusal for refusal in check(server).refusals), check(server).refusals


def test_a_view_in_the_place_of_the_table_is_refused(server: Server) -> None:
    server.execute(landing.compare(WANTED, landing.FoundTable()).statements[0][1])
    server.execute("CREATE VIEW lpm.tdr AS SELECT 1 AS company_id")
    assert "is no table" in check(server).refusals[0]


def test_a_rule_that_may_keep_rows_out_is_told(server: Server) -> None:
    bring_up_to_date(server)
    server.execute("ALTER TABLE lpm.tdr ADD CONSTRAINT ck_tries CHECK (tries > 0)")
    assert "the rule ck_tries" in check(server).warnings[0]


def test_wider_columns_and_further_ones_that_may_be_empty_are_well(server: Server) -> None:
    bring_up_to_date(server)
    server.execute("ALTER TABLE lpm.tdr ALTER COLUMN disposition NVARCHAR(MAX) NULL")
    server.execute("ALTER TABLE lpm.tdr ALTER COLUMN tries BIGINT NULL")
    server.execute("ALTER TABLE lpm.tdr ADD note NVARCHAR(10) NULL")
    assert check(server).ready


EXTREMES: dict[str, list[object]] = {
    "NVARCHAR(20)": ["電" * 20, ""],
    "NVARCHAR(MAX)": ["x" * 100_000],
    "VARCHAR(20)": ["y" * 20],
    "BIGINT": [2**63 - 1, -(2**63)],
    "INT": [2**31 - 1, -(2**31)],
    "SMALLINT": [2**15 - 1, -(2**15)],
    "BIT": [True, False],
    "FLOAT": [1.7976931348623157e308, 5e-324],
    "DATE": [datetime(9999, 12, 31).date(), datetime(1, 1, 1).date()],
    "DATETIME2(6)": [datetime(2026, 3, 2, 1, 2, 3, 456789)],
    "DECIMAL(15, 2)": ["9999999999999.99"],
}


@pytest.mark.parametrize("kind", EXTREMES)
def test_every_type_that_can_land_holds_its_extremes(server: Server, kind: str) -> None:
    want = landing.wanted([Column("value", kind)], Routing())
    bring_up_to_date(server, want)
    assert check(server, want).ready
    for number, value in enumerate(EXTREMES[kind]):
        land(server, f"r{number}")
        server.execute("UPDATE lpm.tdr SET [value] = ? WHERE record_id = ?", value, f"r{number}")
    found = [row["value"] for row in server.execute("SELECT [value] FROM lpm.tdr ORDER BY record_id")]
    assert [str(value) for value in found] == [str(value) for value in EXTREMES[kind]]


def test_a_job_gets_what_it_lacks_and_no_more(server: Server) -> None:
    bring_up_to_date(server)
    name = "asa-lpm ]'--"
    if not server.external:
        server.execute("CREATE ROLE [asa-lpm ]]'--]")
    else:
        server.run("", "user_create", privileges.user(name))
    server.run("", "grant_object", privileges.on_object(name, WANTED.name, rights.OF_AN_OUTPUT))
    server.run("", "grant_object", privileges.on_object(name, WANTED.view, ("SELECT",)))
    after = access.held_of(server.rows("", "access_held"))
    kind = "USER" if server.external else "ROLE"
    server.execute(f"DROP {kind} [asa-lpm ]]'--]")
    held = sorted((item.securable, item.permission) for item in after.permissions[name] if item.scope == "object")
    assert held == [("lpm.tdr", "INSERT"), ("lpm.tdr", "SELECT"), ("lpm.tdr_current", "SELECT")]


def test_counts_of_a_window_that_come_again_count_once(server: Server) -> None:
    bring_up_to_date(server, landing.wanted_tables(COLUMNS, Routing(), Kpi(output="company"))[1])
    for _ in range(2):
        server.execute(
            "INSERT INTO lpm.kpi_minute (company_id, window_end, calls, answered, failed) VALUES ('1001', ?, 3, 2, 1)",
            datetime(2026, 3, 2, 12, tzinfo=UTC).replace(tzinfo=None),
        )
    assert server.execute("SELECT COUNT(*) AS rows_there FROM lpm.kpi_minute") == [{"rows_there": 1}]
