"""SELECT in all its parts, on rows."""

from __future__ import annotations

from typing import Any

import pytest

from lpmops.sandbox.sql import Database
from tests.sandbox.sql.conftest import number_of, rows

CALLS = (
    "(VALUES (1, N'a', 10.0e0), (1, N'B', NULL), (2, N'b', 4.0e0), (3, NULL, 1.0e0)) AS calls (company, name, seconds)"
)


@pytest.fixture
def calls(database: Database) -> Database:
    """A small table of companies and calls."""
    database.execute(
        """
        CREATE TABLE company (id INT NOT NULL CONSTRAINT pk_company PRIMARY KEY, name NVARCHAR(20) NOT NULL);
        CREATE TABLE call (id INT NOT NULL, company_id INT NULL, seconds DECIMAL(9, 2) NULL, started DATETIME2(3) NOT NULL);
        INSERT INTO company VALUES (1, N'Acme'), (2, N'Birch'), (3, N'cedar');
        INSERT INTO call VALUES (1, 1, 10.50, '2026-01-01'), (2, 1, 0.25, '2026-01-02'), (3, 2, NULL, '2026-01-03'), (4, NULL, 7, '2026-01-04');
        """
    )
    return database


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ((
            "SELECT c.name, COUNT(k.id) AS n FROM company c LEFT JOIN call k ON k.company_id = c.id GROUP BY "
            "c.name ORDER BY n DESC, c.name"
        ), [("Acme", 2), ("Birch", 1), ("cedar", 0)]),
        ("SELECT k.id, c.name FROM company AS c RIGHT JOIN call AS k ON c.id = k.company_id WHERE c.id IS NULL", [(4, None)]),
        ("SELECT COUNT(*) FROM company FULL OUTER JOIN call ON company.id = call.company_id", [(5,)]),
        ("SELECT COUNT_BIG(*) FROM company CROSS JOIN call", [(12,)]), ("SELECT COUNT(*) FROM company, call", [(12,)]),
        ("SELECT TOP (2) name FROM company ORDER BY name DESC", [("cedar",), ("Birch",)]),
        ("SELECT name FROM company ORDER BY name OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY", [("Birch",)]),
        ("SELECT name FROM company WHERE name LIKE 'A%' OR name LIKE '[b-c]%' ORDER BY 1", [("Acme",), ("Birch",), ("cedar",)]),
        ("SELECT name FROM company WHERE name IN ('ACME', 'x')", [("Acme",)]), ((
            "SELECT id FROM company WHERE id NOT IN (SELECT company_id FROM call WHERE company_id IS NOT NULL)"
        ), [(3,)]),
        ("SELECT id FROM company c WHERE EXISTS (SELECT * FROM call WHERE call.company_id = c.id AND seconds > 5)", [(1,)]),
        ((
            "SELECT id, (SELECT MAX(seconds) FROM call WHERE company_id = company.id) FROM company WHERE id "
            "BETWEEN 1 AND 2 ORDER BY id"
        ), [(1, 10.5), (2, None)]),
        ("SELECT company_id, SUM(seconds), AVG(seconds), MIN(seconds) FROM call WHERE company_id = 1 GROUP BY company_id", [(1, 10.75, 5.375, 0.25)]),
        ("SELECT YEAR(started) AS y, COUNT(*) FROM call GROUP BY YEAR(started) HAVING COUNT(*) > 1", [(2026, 4)]),
        ("SELECT id, ROW_NUMBER() OVER (PARTITION BY company_id ORDER BY id DESC) FROM call ORDER BY id", [(1, 2), (2, 1), (3, 1), (4, 1)]),
        ((
            "SELECT id, LAG(id, 1, 0) OVER (ORDER BY id), SUM(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND "
            "CURRENT ROW) FROM call WHERE id < 4 ORDER BY id"
        ), [(1, 0, 1), (2, 1, 3), (3, 2, 5)]),
        ("SELECT DISTINCT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY id) OVER () FROM call", [(2.5,)]),
        ("WITH a AS (SELECT id FROM company), b (n) AS (SELECT id + 1 FROM a) SELECT a.id FROM a JOIN b ON a.id = b.n ORDER BY a.id", [(2,), (3,)]),
        ("SELECT id FROM company UNION SELECT company_id FROM call WHERE company_id IS NOT NULL ORDER BY id", [(1,), (2,), (3,)]),
        ("SELECT COUNT(*) FROM (SELECT name FROM company UNION SELECT N'ACME') x", [(3,)]),
        ("SELECT 1 AS a UNION ALL SELECT 2.5", [(1.0,), (2.5,)]), ("SELECT id FROM company EXCEPT SELECT company_id FROM call", [(3,)]),
        ("SELECT COUNT(DISTINCT n) FROM (VALUES (N'a'), (N'A'), (N'b')) t (n)", [(2,)]), ("SELECT DISTINCT n FROM (VALUES (N'a'), (N'A')) t (n)",
        [("a",)]),
        ("SELECT STRING_AGG(name, ',') FROM company", [("Acme,Birch,cedar",)]), ("SELECT MAX(name) FROM company", [("cedar",)]),
        ("SELECT j.[key], j.value, j.type FROM OPENJSON(N'{\"a\":1,\"b\":[2]}') j", [("a", "1", 2), ("b", "[2]", 4)]),
        ("SELECT id, name FROM OPENJSON(N'[{\"id\":1,\"n\":{\"x\":\"y\"}}]') WITH (id INT, name NVARCHAR(9) '$.n.x')", [(1, "y")]),
        ("SELECT value FROM STRING_SPLIT('a,b', ',')", [("a",), ("b",)]), ((
            "SELECT c.id FROM company c CROSS APPLY STRING_SPLIT('1,2', ',') s WHERE c.id = s.value"
        ), [(1,), (2,)]),
        ("SELECT x = 1, [two words] = 2, 3 'three'", [(1, 2, 3)]), ("SELECT call.* FROM call WHERE id = 3", None),
        ("SELECT AVG(n) FROM (VALUES (1), (2)) t (n)", [(1,)]), ("SELECT 1 WHERE NULL = NULL", []),
    ],
)  # fmt: skip
def test_a_query_gives_the_rows_that_t_sql_gives(
    calls: Database, text: str, expected: list[tuple[Any, ...]] | None
) -> None:
    found = rows(calls, text)
    if expected is None:
        assert len(found) == 1
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SELECT nope FROM company", 207), ("SELECT c.nope FROM company c", 207), ("SELECT x.id FROM company", 4104),
            ("SELECT id FROM company, call", 209),
        ("SELECT * FROM nope", 208), ("SELECT * FROM dbo.nope", 208), ("SELECT * FROM other.dbo.company", 40515),
        ("SELECT name, COUNT(*) FROM company", 8120),
        ("SELECT COUNT(*) FROM company HAVING name = 'a'", 8121), ("SELECT COUNT(*) FROM company ORDER BY name", 8127),
            ("SELECT * FROM company WHERE COUNT(*) > 1", 147),
        ("SELECT id FROM company WHERE ROW_NUMBER() OVER (ORDER BY id) = 1", 4108), ("SELECT * FROM (SELECT id FROM company ORDER BY id) x", 1033),
        ("SELECT * FROM (SELECT 1) x", 8155), ("SELECT * FROM (SELECT 1 AS a, 2 AS a) x", 8156), ("SELECT id FROM company c, company c", 1013),
        ("SELECT 1 UNION SELECT 1, 2", 205), ("SELECT id FROM company UNION SELECT 1 ORDER BY name", 104), ("SELECT id FROM company ORDER BY 2", 108),
        ("SELECT DISTINCT id FROM company ORDER BY name", 145), ("SELECT (SELECT id, name FROM company)", 116),
            ("SELECT id FROM company LIMIT 5", 102),
        ("SELECT TOP (1) WITH TIES id FROM company ORDER BY id", 40517), ("SELECT id INTO x FROM company", 40510),
            ("SELECT id FROM company FOR JSON PATH", 40517),
        ("SELECT ROW_NUMBER() OVER (PARTITION BY id) FROM company", 4112), ("SELECT id FROM company GROUP BY ROLLUP (id)", 40517),
            ("SELECT * FROM company PIVOT (x)", 40517),
        ("SELECT 1 AS a; WITH x AS (SELECT 1 AS b) SELECT b FROM x; SELECT FROM", 156), ("WITH x AS (SELECT id FROM x) SELECT * FROM x", 40514),
        ("SELECT * FROM #temporary", 40514), ("SELECT * FROM @table", 40514), ("SELECT * FROM OPENROWSET(1)", 40514),
            ("SELECT id FROM company WHERE id", 4145),
        ("SELECT id = id FROM company WHERE id = = 1", 102), ("SELECT 'open", 105), ("SELECT 1 /* open", 113),
            ("SELECT * FROM company OUTER APPLY (SELECT 1 AS x) y", 40517),
        ("SELECT id FROM company WHERE id > ALL (SELECT 1)", 40517), ("SELECT * FROM company WHERE (id, name) IN ((1, 'a'))", 102),
            ("SELECT", 102), ("FROM company", 156),
        ("SELECT * FROM company AS c WITH (READPAST)", 40517), ("SELECT company.id, call.id FROM company JOIN call", 102), ("SELECT 1 GO", None),
    ],
)  # fmt: skip
def test_a_query_that_sql_server_would_refuse_is_refused_with_its_number(
    calls: Database, text: str, number: int | None
) -> None:
    if number is None:
        assert calls.execute(text)[0].columns[0].name == "GO"
    else:
        assert number_of(calls, text) == number


def test_columns_tell_names_types_and_nullability(calls: Database) -> None:
    (result,) = calls.execute(
        "SELECT id, name AS n, id + 1, CAST(NULL AS DATETIME2(3)) t, COUNT(*) OVER () c FROM company"
    )
    assert [(column.name, column.type.declaration(), column.nullable) for column in result.columns] == [
        ("id", "int", False), ("n", "nvarchar(20)", False), ("", "int", False), ("t", "datetime2(3)", True), ("c", "int", False),
    ]  # fmt: skip


def test_text_is_compared_by_the_collation_of_its_column(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (a NVARCHAR(9) NOT NULL, b NVARCHAR(9) COLLATE Latin1_General_100_BIN2 NOT NULL); "
        "INSERT INTO t VALUES (N'x', N'x')"
    )
    assert rows(database, "SELECT COUNT(*) FROM t WHERE a = N'X'") == [(1,)]
    assert rows(database, "SELECT COUNT(*) FROM t WHERE b = N'X'") == [(0,)]
    assert rows(database, "SELECT COUNT(*) FROM t WHERE a = N'X' COLLATE Latin1_General_BIN2") == [(0,)]


def test_a_view_is_the_query_it_was_made_of(calls: Database) -> None:
    calls.execute(
        "CREATE VIEW newest AS SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY company_id ORDER BY "
        "started DESC) AS n FROM call) x WHERE n = 1"
    )
    assert rows(calls, "SELECT v.id FROM newest AS v WHERE v.company_id = 1") == [(2,)]
    assert number_of(calls, "CREATE VIEW newest AS SELECT 1 AS a") == 2714
    calls.execute("CREATE OR ALTER VIEW newest (number) AS SELECT COUNT(*) FROM call")
    assert calls.execute("SELECT * FROM newest")[0].as_dicts() == [{"number": 4}]
    calls.execute("DROP TABLE call")
    assert number_of(calls, "SELECT * FROM newest") == 208
    assert number_of(calls, "SELECT 1 AS a; CREATE VIEW v AS SELECT 1 AS a") == 111


def test_a_statement_of_ten_levels_is_run_and_one_without_end_refused(database: Database) -> None:
    nested = "SELECT 1 AS a"
    for level in range(10):
        nested = f"SELECT a FROM ({nested}) AS l{level}"
    assert rows(database, nested) == [(1,)]
    chain = " OR ".join(f"1 = {number}" for number in range(3000))
    assert rows(database, f"SELECT 1 WHERE {chain}") == [(1,)]
    assert number_of(database, "SELECT " + " + ".join(["@@SPID"] * 5000)) == 8631
    assert number_of(database, "SELECT " + "(" * 5000 + "1" + ")" * 5000) == 191
