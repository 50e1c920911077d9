"""The source table as the sandbox's own address alters it: in the environments that are named, and refused in a sentence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from starlette.requests import Request
from starlette.types import Message

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.control import control_routes
from lpmops.sandbox.faults import FaultBoard
from lpmops.sandbox.lake.records import Company
from lpmops.sandbox.lake.table import ChangeTable

ROWS = pa.table({"tdr_id": ["a"], "disposition": ["in_progress"], "trunk": ["east"]})


class Environment:
    """One that has a table and nothing else."""

    def __init__(self, table: ChangeTable) -> None:
        self.table = table

    def welcome(self, count: int) -> Sequence[Company]:
        raise AssertionError(count)

    def make_database(self, name: str, collation: str, max_size_bytes: int) -> None:
        raise AssertionError(name)


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, ChangeTable]:
    made = {}
    for name in ("dev", "prod"):
        made[name] = ChangeTable.create(tmp_path / name, f"lpm_{name}.gold.tdr", Clock(), ROWS.schema)
        made[name].insert(ROWS)
        made[name].update({"disposition": "'answered'"})
    return made


@pytest.fixture
def ask(tables: dict[str, ChangeTable]) -> Callable[..., tuple[int, Any]]:
    environments = {name: Environment(table) for name, table in tables.items()}
    routes = control_routes(FaultBoard([]), environments, dict, lambda: None, "t")

    def ask(what: str, token: str = "t", **wish: Any) -> tuple[int, Any]:
        [route] = [one for one in routes if one.path == f"/sandbox/table/{what}"]

        async def body() -> Message:
            return {"type": "http.request", "body": json.dumps(wish).encode()}

        scope = {"type": "http", "method": "POST", "headers": [(b"authorization", f"Bearer {token}".encode())]}
        answer = asyncio.run(route.endpoint(Request(scope, body)))
        return answer.status_code, json.loads(answer.body)

    return ask


def test_a_vacuum_concerns_the_versions_before_one_in_the_environment_that_is_named(
    ask: Callable[..., tuple[int, Any]], tables: dict[str, ChangeTable]
) -> None:
    found = ask("vacuum", environments=["prod"], before=2, log=True)
    assert found == (200, {"tables": [{"environment": "prod", "before": 2, "files": 0, "versions": 2}]})
    assert [table.earliest_version() for table in tables.values()] == [0, 2]
    found = ask("vacuum", environments=["prod"])
    assert found == (200, {"tables": [{"environment": "prod", "before": 4, "files": 2, "versions": 0}]})


def test_a_table_made_anew_is_empty_and_another(
    ask: Callable[..., tuple[int, Any]], tables: dict[str, ChangeTable]
) -> None:
    before = {name: table.table_id for name, table in tables.items()}
    status, found = ask("recreate")
    assert (status, [(each["environment"], each["before"]) for each in found["tables"]]) == (200, [*before.items()])
    assert [(table.table_id == before[name], table.latest_version()) for name, table in tables.items()] == [
        (False, 0),
        (False, 0),
    ]


def test_columns_come_and_go_everywhere_where_no_environment_is_named(
    ask: Callable[..., tuple[int, Any]], tables: dict[str, ChangeTable]
) -> None:
    assert [each["version"] for each in ask("columns", add="priority")[1]["tables"]] == [3, 3]
    ask("columns", drop="trunk")
    assert {tuple(table.arrow_schema().names) for table in tables.values()} == {("tdr_id", "disposition", "priority")}


def test_what_can_not_be_done_is_said_with_where_and_the_way_on(ask: Callable[..., tuple[int, Any]]) -> None:
    status, said = ask("vacuum", environments=["dev"], before=9)
    assert status == 400
    assert said == {
        "message": "dev: 9 is no version of the table: its newest is 2.",
        "hint": "Versions stand in: lpmops sandbox status",
    }
    assert ask("columns", environments=["qa"], add="x")[0] == 400
    assert ask("columns", drop="tdr_id")[0] == 400
    assert ask("recreate", token="wrong")[0] == 401
