"""The servers on which the T-SQL of `queries/tsql` is proved: the sandbox's, and any that LPMOPS_TEST_MSSQL names (an ODBC connection string).

The suite makes the schemas `lpm` and `lpmops` in the database that the string names and drops them again, so it refuses one that has them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from lpmops import resources
from tests.sandbox.sql_wire.conftest import odbc, start_wire

_VARIABLE = "LPMOPS_TEST_MSSQL"


@dataclass
class Server:
    """A connection to an empty database. `external` says whether the server knows identities of Microsoft Entra."""

    connection: Any
    external: bool

    def run(self, database: str, name: str, text: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """As `SqlService.run`, on the one database there is."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(text, list(parameters))
            rows: list[dict[str, Any]] = []
            while True:
                if cursor.description is not None:
                    names = [column[0] for column in cursor.description]
                    rows += [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
                if not cursor.nextset():
                    return rows
        finally:
            cursor.close()

    def rows(self, database: str, query_name: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """As `SqlService.rows`."""
        return self.run(database, query_name, resources.query(f"tsql/{query_name}.sql"), parameters)

    def execute(self, text: str, *parameters: Any) -> list[dict[str, Any]]:
        """A statement of a test's own."""
        return self.run("", "test", text, parameters)

    def clean(self) -> None:
        """Drop what the suite has made."""
        for schema in ("lpm", "lpmops"):
            found = self.execute(
                "SELECT objects.name, objects.type_desc FROM sys.objects AS objects JOIN sys.schemas AS schemas "
                "ON schemas.schema_id = objects.schema_id WHERE schemas.name = ? AND objects.type_desc IN ('USER_TABLE', 'VIEW')",
                schema,
            )
            for row in sorted(found, key=lambda row: str(row["type_desc"]), reverse=True):
                kind = "VIEW" if row["type_desc"] == "VIEW" else "TABLE"
                self.execute(f"DROP {kind} {schema}.[{row['name']}]")
            self.execute(f"IF SCHEMA_ID('{schema}') IS NOT NULL DROP SCHEMA {schema}")


def _sandbox(folder: Any) -> tuple[Server, Callable[[], None]]:
    wire, stop = start_wire(folder)
    connection = odbc(wire)

    def close() -> None:
        connection.close()
        stop()

    return Server(connection, external=True), close


def _named() -> tuple[Server, Callable[[], None]]:
    text = os.environ.get(_VARIABLE, "")
    if not text:
        pytest.skip(f"{_VARIABLE} names no server: set it to an ODBC connection string of an empty database")
    import pyodbc

    pyodbc.pooling = False
    connection = pyodbc.connect(text, timeout=30, autocommit=True)
    server = Server(connection, external=False)
    taken = server.execute("SELECT name FROM sys.schemas WHERE name IN ('lpm', 'lpmops')")
    if taken:
        connection.close()
        pytest.fail(
            f"the database that {_VARIABLE} names has a schema {taken[0]['name']}: name an empty one, as the suite drops it"
        )
    return server, connection.close


@pytest.fixture(scope="module", params=["sandbox", pytest.param("named", marks=pytest.mark.mssql)])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module."""
    server, close = _sandbox(tmp_path_factory.mktemp("mssql")) if request.param == "sandbox" else _named()
    yield server
    close()


@pytest.fixture
def server(made: Server) -> Iterator[Server]:
    """That server with an empty database."""
    yield made
    made.clean()
