"""`lpmops status` and `lpmops wait`, live and from the store, on good days and bad ones."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lpmops.cli import context, status_watch
from lpmops.cli.output import Output
from lpmops.control import reconcile_standing
from lpmops.control.reconcile_standing import Standing
from lpmops.errors import SignInError
from lpmops.versions import Versions
from tests.cli.conftest import CommandLine

GOLDEN = Path(__file__).parent / "golden" / "status.json"


def document(text: str) -> dict[str, Any]:
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_all_environments_are_read_live_and_found_healthy(line: CommandLine) -> None:
    said = line.run("status", "-o", "json", "--check")
    assert said.code == 0
    data = document(said.out)["data"]
    assert [(item["environment"], item["health"]) for item in data] == [("dev", "healthy"), ("test", "healthy")]


def test_the_document_keeps_every_key_it_ever_had(line: CommandLine) -> None:
    del line.worlds["dev"]
    line.worlds["test"].faults = {"sql.unreachable"}
    line.worlds["test"].step(20)
    found = document(line.run("status", "-e", "test", "-o", "json").out)
    for item in found["data"]:
        item["seconds"] = 0.0
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("LPMOPS_WRITE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_one_environment_that_hangs_or_fails_leaves_the_others_alone(line: CommandLine) -> None:
    line.deadline = 1.0
    line.worlds["dev"].hanging = {
        "table",
        "run",
        "progress",
        "partitions",
        "namespace",
        "hub",
        "jobs",
        "landed_since",
        "heartbeat",
        "routes",
    }
    said = line.run("status", "-o", "json", "--check")
    data = {item["environment"]: item for item in document(said.out)["data"]}
    assert data["test"]["health"] == "healthy"
    assert data["dev"]["health"] != "healthy"
    assert said.code == 11


def test_what_the_last_look_saw_stands_in_when_nothing_answers_and_claims_nothing(line: CommandLine) -> None:
    line.run("status", "-e", "test")
    line.worlds["test"].faults = {"auth.expired"}
    said = line.run("status", "-e", "test", "-o", "json")
    found = document(said.out)
    (data,) = found["data"]
    assert data["health"] == "unknown"
    assert {stage["health"] for stage in data["stages"].values()} == {"unknown"}
    assert data["routes"][0]["rows"] is not None
    assert data["suspects"][0]["id"] == "auth.expired"
    assert "nothing answered" in found["warnings"][0]
    assert (said.code, found["ok"], found["error"]["code"]) == (4, False, "auth.expired")
    assert found["error"]["hint"] == "az login --tenant T"


def test_services_that_can_not_even_be_opened_are_a_warning(line: CommandLine) -> None:
    def fail(*_: object) -> NoReturn:
        raise SignInError("no credential works", service="identity", hint="az login")

    world = line.world()
    world.open_services = fail
    said = line.run("status", "-e", "test", "-o", "json", "--check", world=world)
    assert said.code == 11
    assert "no credential works" in document(said.out)["warnings"][0]


def test_how_far_all_is_proven_stands_beside_the_latency(line: CommandLine) -> None:
    assert "proven" not in line.run("status", "-e", "test").out
    world, store = line.worlds["test"], line.store()
    standing = Standing(world.now, world.now, "t", Versions(3, 1_204), missing=24, companies=1)
    reconcile_standing.keep(store, "test", standing)
    store.close()
    moment = f"{world.now:%H:%M}Z"
    words = f"proven to version 1,204 at {moment}, next at {moment}; 24 missing for 1 company"
    assert f"  landed   {words}\n" in line.run("status", "-e", "test").out


def test_check_is_the_only_way_to_a_red_exit(line: CommandLine) -> None:
    line.worlds["test"].faults = {"asa.stopped"}
    assert line.run("status", "-e", "test").code == 0
    assert line.run("status", "-e", "test", "--check").code == 11


def test_an_unknown_environment_is_named_with_the_nearest(line: CommandLine) -> None:
    said = line.run("status", "-e", "tset")
    assert said.code == 3
    assert "Did you mean test?" in said.err


def test_all_and_a_name_exclude_each_other(line: CommandLine) -> None:
    assert line.run("status", "--all", "-e", "dev").code == 2


def test_a_broken_store_costs_a_warning_and_no_answer(line: CommandLine) -> None:
    line.path.parent.mkdir(parents=True)
    line.path.write_bytes(b"garbage " * 1000)
    said = line.run("status", "-e", "test", "-o", "json", "--check")
    assert said.code == 0
    assert "mv '" in document(said.out)["warnings"][0]
    cached = line.run("status", "--cached", "-o", "json")
    assert cached.code == 1
    assert document(cached.out)["error"]["code"] == "store"


def test_the_store_answers_without_a_configuration(line: CommandLine) -> None:
    line.run("status")
    line.configured = False
    said = line.run("status", "--cached", "-o", "json", "--check")
    assert said.code == 0
    assert [item["health"] for item in document(said.out)["data"]] == ["healthy", "healthy"]


def test_an_old_answer_of_the_store_is_unknown_and_says_its_age(line: CommandLine) -> None:
    line.run("status", "-e", "test")
    line.worlds["dev"].now += timedelta(hours=3)
    said = line.run("status", "--cached", "-e", "test", "-o", "json", "--check")
    found = document(said.out)
    assert found["data"][0]["health"] == "unknown"
    assert "was last seen at 2026-11-23T12:02:00.000Z" in found["warnings"][0]
    assert said.code == 11


def test_a_store_that_never_saw_the_environment_says_how_to_see_it(line: CommandLine) -> None:
    said = line.run("status", "--cached", "-e", "prod")
    assert said.code == 3
    assert "lpmops status -e prod" in said.err


def test_the_table_shows_stages_suspects_and_companies(line: CommandLine) -> None:
    line.worlds["test"].faults = {"sql.unreachable"}
    line.worlds["test"].step(30)
    said = line.run("status", "-e", "test")
    assert "▲ test  degraded, 4 companies" in said.out
    assert "sql.unreachable (sure)" in said.out
    assert "next: az sql db show --name lpm-01" in said.out
    # The companies in trouble stand first.
    rows = [text for text in said.out.splitlines() if "County" in text and "lpm-0" in text and "sql." not in text]
    assert "unreachable" in rows[0]
    assert "\x1b" not in said.out
    line.terminal = True
    assert "\x1b[33m▲" in line.run("status", "-e", "test").out


def test_csv_has_one_row_an_environment(line: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(line.run("status", "-o", "csv").out)))
    assert [(row["environment"], row["sql_state"], row["companies"]) for row in rows] == [
        ("dev", "2 of 2", "4"),
        ("test", "2 of 2", "4"),
    ]


def test_jsonl_has_one_line_an_environment(line: CommandLine) -> None:
    lines = line.run("status", "-o", "jsonl").out.splitlines()
    assert [json.loads(text)["environment"] for text in lines] == ["dev", "test"]


@pytest.mark.parametrize("live", [True, False])
def test_watching_gives_look_after_look_as_documents_on_a_line(line: CommandLine, live: bool) -> None:
    line.run("status")
    with context.using(line.world()) as world:
        world.sleep = lambda _: None
        status_watch.watch(["test"], live=live, check=False, form=Output.JSON, rounds=3)
        assert isinstance(world.stdout, io.StringIO)
        documents = [document(text) for text in world.stdout.getvalue().splitlines()]
    assert [found["data"][0]["environment"] for found in documents] == ["test"] * 3


def test_watching_a_terminal_paints_in_place(line: CommandLine) -> None:
    line.terminal = True
    with context.using(line.world()) as world:
        status_watch.watch(["test"], live=True, check=False, form=Output.TABLE, rounds=2)
        assert isinstance(world.stdout, io.StringIO)
        assert world.stdout.getvalue().count("\x1b[H\x1b[2J") == 2


def test_csv_can_not_be_watched(line: CommandLine) -> None:
    assert line.run("status", "--watch", "-o", "csv").code == 2


# wait ------------------------------------------------------------------------------------------------------------------


def test_waiting_ends_as_soon_as_the_wish_is_true(line: CommandLine) -> None:
    said = line.run("wait", "-e", "test", "--for", "healthy", "--timeout", "20s", "-o", "json")
    assert said.code == 0
    assert document(said.out)["data"]["health"] == "healthy"


def test_waiting_ends_with_exit_8_and_says_what_is_in_the_way(line: CommandLine) -> None:
    line.worlds["test"].faults = {"asa.stopped"}
    said = line.run("wait", "-e", "test", "--timeout", "700ms")
    assert said.code == 8
    assert "asa.stopped" in said.err
    assert "lpmops status -e test" in said.err


@pytest.mark.parametrize("timeout", ["soon", "-5", "", "2 moons"])
def test_a_wrong_span_is_a_usage_error(line: CommandLine, timeout: str) -> None:
    assert line.run("wait", "-e", "test", f"--timeout={timeout}").code == 2


def test_waiting_for_an_unknown_environment_fails_at_once(line: CommandLine) -> None:
    assert line.run("wait", "-e", "nowhere").code == 3


# loading ---------------------------------------------------------------------------------------------------------------


def test_the_store_answers_without_loading_any_sdk_or_the_app(line: CommandLine) -> None:
    line.run("status")
    program = """
        import sys, typer
        from lpmops.cli import status, wait
        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        status.register(app)
        wait.register(app)
        try:
            app(["status", "--cached", "-o", "json"])
        except SystemExit as left:
            heavy = ("azure", "textual", "sqlite_utils", "pydantic", "pyodbc", "databricks", "lpmops.services", "lpmops.sandbox")
            heavy += ("lpmops.config_reader",)
            print([name for name in sys.modules if name.startswith(heavy)], left.code, file=sys.stderr)
    """
    environ = {**os.environ, "LPMOPS_STATE_DIR": str(line.path.parent)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=environ,
        timeout=60,
        check=False,
    )
    assert done.stderr == "[] 0\n"
    assert document(done.stdout)["ok"] is True
