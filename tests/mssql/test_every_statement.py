"""Every text of queries/tsql is understood by the server it is meant for: run on tables of ours, it fails at most for want of values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from string import Template
from typing import Any

import pyodbc
import pytest

from lpmops.config import Column, Routing
from lpmops.routing import schema
from lpmops.sandbox.sql import lexer
from tests.mssql.conftest import Server

ROOT = Path(__file__).parents[2]
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "queries" / "tsql").glob("*.sql"))}
PLACES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["sqlfluff"]["templater"][
    "placeholder"
]
# Parameters that are numbers; all others are given as NULL.
NUMBERS: dict[str, list[Any]] = {
    "lock_take": ["me", "me", "me", "op", 60, "environment", "me", "op"],
    "lock_renew": [60, "environment", "me", 1],
}
# What is told of a value that is not there, once the statement itself was understood.
_NO_VALUE = ("(515)",)
# Users of Microsoft Entra are made and dropped where there is such a directory; elsewhere a role stands in for one.
_OF_A_DIRECTORY = ("user_create", "revoke_user")
FORBIDDEN = {"MERGE", "PERCENTILE_CONT", "PERCENTILE_DISC", "CURSOR", "GOTO", "WAITFOR", "XP_CMDSHELL", "OPENROWSET"}


def words(text: str) -> list[str]:
    return [token.text.upper() for token in lexer.tokenize(Template(text).safe_substitute(PLACES))]


def test_every_text_is_plain_t_sql_and_says_in_its_first_line_which_rights_it_needs() -> None:
    for name, text in TEXTS.items():
        found = words(text)
        assert text.startswith("-- Rights: "), name
        assert not FORBIDDEN.intersection(found), name
        assert ["CREATE", "OR", "ALTER"] not in [found[at : at + 3] for at in range(len(found))], name


def test_every_text_is_understood(server: Server) -> None:
    for statement in (
        *schema.control_statements(),
        *schema.landing_statements([Column("call_id", "NVARCHAR(128)")], Routing()),
    ):
        server.execute(statement)
    for statement in ("landing_kpi", *schema.KPI_INDEXES):
        server.execute(TEXTS[statement])
    server.execute("ALTER TABLE lpm.tdr DROP CONSTRAINT df_tdr_landed_at")
    server.execute("DROP VIEW lpm.tdr_current")
    if not server.external:
        server.execute("CREATE ROLE [asa]")
    for name in sorted(TEXTS, key=lambda name: (name != "user_create", name)):
        if name in _OF_A_DIRECTORY and not server.external:
            continue
        text = Template(TEXTS[name]).safe_substitute(PLACES)
        parameters = NUMBERS.get(name, [None] * words(text).count("?"))
        try:
            server.execute(text, *parameters)
        except pyodbc.Error as error:
            if not any(number in str(error) for number in _NO_VALUE):
                pytest.fail(f"{name}: {error}")
    server.execute("DROP USER IF EXISTS [asa]" if server.external else "DROP ROLE [asa]")
