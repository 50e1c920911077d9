"""The digest of changes: a warehouse and a landing database give one number for the same keys, whatever text the keys are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks.queries import Query
from lpmops.sandbox.databricks.sqlerrors import SqlError
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable
from lpmops.sandbox.sql import Database, SqlServer

TABLE = "lpm_dev.gold.tdr_streaming"
MOMENT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
CHANGED = """
SELECT CAST(`info_companyid` AS STRING) AS company_id, COUNT(*) AS changes,
  SUM(CAST(CONV(SUBSTRING(SHA2(CONCAT_WS('|', CAST(`tdr_id` AS STRING), CAST(_commit_version AS STRING), _change_type), 256), 1, 14), 16, 10)
    AS DECIMAL(20, 0))) AS digest
FROM table_changes('lpm_dev.gold.tdr_streaming', {first}, {last})
WHERE _change_type <> 'update_preimage'
GROUP BY CAST(`info_companyid` AS STRING)
ORDER BY 1
"""
LANDED = """
SELECT landed.company_id, COUNT_BIG(*) AS changes,
  SUM(CAST(CAST(SUBSTRING(HASHBYTES('SHA2_256', CAST(CONCAT(landed.record_id, '|', landed.commit_version, '|', landed.change_type)
    COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(400))), 1, 7) AS BIGINT) AS DECIMAL(38, 0))) AS digest
FROM lpm.tdr AS landed
WHERE landed.commit_version BETWEEN ? AND ?
GROUP BY landed.company_id
ORDER BY landed.company_id
"""
# Company, record, version, kind: what was inserted by commits 1 and 2, then changed by 3.
KEYS = [
    *(("1001", record, 1, "insert") for record in ("a", "A", "réc-1", "Ж|7", "電話😀", "b ", "o'hare")),
    *(("1002", f"r{number}", 2, "insert") for number in range(40)),
    ("1001", "réc-1", 3, "update_postimage"),
]


def expected(first: int, last: int) -> list[tuple[str, int, Decimal]]:
    """The digests as they are defined: the first 56 bits of each key's SHA-256, summed."""
    found: dict[str, tuple[int, int]] = {}
    for company, record, version, kind in KEYS:
        if first <= version <= last:
            number = int.from_bytes(hashlib.sha256(f"{record}|{version}|{kind}".encode()).digest()[:7], "big")
            count, total = found.get(company, (0, 0))
            found[company] = count + 1, total + number
    return [(company, count, Decimal(total)) for company, (count, total) in sorted(found.items())]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ChangeTable:
    """The table after its three commits."""
    made = ChangeTable.create(tmp_path_factory.mktemp("lake") / "table", TABLE, Clock(), RECORD_SCHEMA)
    for version in (1, 2):
        records = [
            {"tdr_id": record, "info_companyid": company, "call_started_at": MOMENT}
            for company, record, at, _ in KEYS
            if at == version
        ]
        made.insert(pa.Table.from_pylist(records, schema=RECORD_SCHEMA))
    made.update({"disposition": "'answered'"}, "tdr_id = 'réc-1'")
    return made


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database where all of it has landed."""
    server = SqlServer(tmp_path_factory.mktemp("sql"), Clock())
    database = server.create_database("lpm-01")
    database.execute("CREATE SCHEMA lpm")
    text = "NVARCHAR({}) COLLATE Latin1_General_100_BIN2 NOT NULL"
    database.execute(
        f"CREATE TABLE lpm.tdr (company_id {text.format(64)}, record_id {text.format(64)}, commit_version BIGINT NOT NULL, "
        f"change_type {text.format(20)})"
    )
    database.bulk_insert("lpm.tdr", ("company_id", "record_id", "commit_version", "change_type"), KEYS)
    yield database
    server.close()


def queried(table: ChangeTable, text: str) -> list[tuple[Any, ...]]:
    found = Query(lambda _: table, MOMENT, "operator@lpm.example", {}).run(text, lambda _: None)
    return [tuple(row.values()) for row in found.to_pylist()]


@pytest.mark.parametrize(("first", "last"), [(1, 1), (1, 2), (1, 3), (3, 3)])
def test_both_sides_give_the_digest_that_the_keys_have(
    table: ChangeTable, landing: Database, first: int, last: int
) -> None:
    assert queried(table, CHANGED.format(first=first, last=last)) == expected(first, last)
    assert landing.execute(LANDED, [first, last])[-1].rows == expected(first, last)


def test_a_sum_of_decimals_has_sparks_type(table: ChangeTable) -> None:
    found = Query(lambda _: table, MOMENT, "operator@lpm.example", {}).run(
        CHANGED.format(first=1, last=3), lambda _: None
    )
    assert found.schema.field("digest").type == pa.decimal128(30, 0)
    assert found.schema.field("changes").type == pa.int64()


def test_keys_come_in_order_and_in_pages_on_both_sides(table: ChangeTable, landing: Database) -> None:
    held = sorted(key[1:] for key in KEYS if key[0] == "1001")
    changes = (
        "SELECT tdr_id, _commit_version, _change_type FROM table_changes('lpm_dev.gold.tdr_streaming', 1, 3) "
        "WHERE CAST(`info_companyid` AS STRING) IN ('1001') AND _change_type <> 'update_preimage' "
        "ORDER BY tdr_id, _commit_version, _change_type LIMIT 5"
    )
    assert queried(table, changes) == held[:5]
    page = (
        "SELECT TOP (3) landed.record_id, landed.commit_version, landed.change_type FROM lpm.tdr AS landed "
        "WHERE landed.company_id = ? AND landed.commit_version BETWEEN ? AND ? AND (landed.record_id > ? OR (landed.record_id = ? AND "
        "(landed.commit_version > ? OR (landed.commit_version = ? AND landed.change_type > ?)))) "
        "ORDER BY landed.record_id, landed.commit_version, landed.change_type"
    )
    found: list[tuple[Any, ...]] = []
    last: tuple[Any, ...] = ("", 0, "")
    while rows := landing.execute(page, ["1001", 1, 3, last[0], last[0], last[1], last[1], last[2]])[-1].rows:
        found += rows
        last = rows[-1]
    assert found == held


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("conv('ff', 16, 10)", "255"),
        ("conv('FFFFFFFFFFFFFFFF', 16, 10)", "18446744073709551615"),
        ("conv(NULL, 16, 10)", None),
        ("sha2('é', 0)", hashlib.sha256("é".encode()).hexdigest()),
        ("concat_ws('|', 'a', NULL, 'b')", "a|b"),
    ],
)
def test_a_function_gives_what_databricks_gives(table: ChangeTable, expression: str, value: str | None) -> None:
    assert queried(table, f"SELECT {expression} AS found") == [(value,)]


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("conv('ff', 16, 2)", "conv"),
        ("conv('-1', 16, 10)", "hexadecimal digits only"),
        ("sha2('a', 512)", "sha2"),
        ("concat_ws('|', array('a'))", "concat_ws of arrays"),
    ],
)
def test_what_would_mean_something_else_is_refused(table: ChangeTable, expression: str, says: str) -> None:
    with pytest.raises(SqlError, match=says):
        queried(table, f"SELECT {expression} AS found")
