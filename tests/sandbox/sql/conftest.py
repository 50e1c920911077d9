"""A logical server on files of the test's own, and words to speak with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql import Database, SqlError, SqlPrincipal, SqlServer

LANDING = """
CREATE TABLE lpm.tdr (
    company_id NVARCHAR(64) NOT NULL, record_id NVARCHAR(64) NOT NULL, commit_version BIGINT NOT NULL, change_type NVARCHAR(20) NOT NULL,
    commit_timestamp DATETIME2(6) NOT NULL, duration_seconds FLOAT NULL,
    sipreq NVARCHAR(MAX) NULL CONSTRAINT ck_tdr_sipreq CHECK (ISJSON(sipreq) = 1),
    landed_at DATETIME2(3) NOT NULL CONSTRAINT df_tdr_landed_at DEFAULT SYSUTCDATETIME()
);
CREATE UNIQUE INDEX ux_tdr_change ON lpm.tdr (company_id, record_id, commit_version, change_type) WITH (IGNORE_DUP_KEY = ON);
CREATE INDEX ix_tdr_landed_at ON lpm.tdr (landed_at, company_id);
"""
LANDING_COLUMNS = ("company_id", "record_id", "commit_version", "change_type", "commit_timestamp")


@pytest.fixture
def clock() -> Clock:
    """A clock that the test moves."""
    return Clock()


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[SqlServer]:
    """A server with nothing but master."""
    made = SqlServer(tmp_path / "sql", clock)
    yield made
    made.close()


@pytest.fixture
def database(server: SqlServer) -> Database:
    """An empty database."""
    return server.create_database("lpm-01")


@pytest.fixture
def landing(database: Database) -> Database:
    """A database with the landing table of the stream."""
    database.execute("CREATE SCHEMA lpm")
    database.execute(LANDING)
    return database


@pytest.fixture
def value(database: Database) -> Callable[..., Any]:
    """The one value that an expression gives."""

    def evaluate(expression: str, *parameters: Any) -> Any:
        return database.execute(f"SELECT {expression}", parameters)[0].rows[0][0]

    return evaluate


def number_of(database: Database, text: str, *parameters: Any, principal: SqlPrincipal | None = None) -> int:
    """The number of the error that a batch ends in."""
    with pytest.raises(SqlError) as failed:
        database.execute(text, parameters, principal=principal)
    return failed.value.number


def rows(
    database: Database, text: str, *parameters: Any, principal: SqlPrincipal | None = None
) -> list[tuple[Any, ...]]:
    """The rows of a batch's last result set."""
    return database.execute(text, parameters, principal=principal)[-1].rows
