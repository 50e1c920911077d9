"""`lpmops doctor` and `lpmops access show`: a document that scripts lean on, and something useful even when half of everything is broken."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from lpmops.cli import access, context, doctor
from lpmops.cli.context import World as Shell
from lpmops.config import Config
from lpmops.errors import ConfigError, LpmopsError, NotFoundError
from lpmops.store.connection import open_store
from tests.cli.conftest import Said
from tests.control.rights_world import NOW, PLACE, World, away

GOLDEN = Path(__file__).parent / "golden"


class Line:
    """Commands over services that answer; `trouble` is what reading the configuration raises."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.services = folder, World()
        self.trouble: LpmopsError | None = None

    def config(self, _: str | None) -> Config:
        if self.trouble is not None:
            raise self.trouble
        return Config({PLACE.name: PLACE}, path=Path("lpmops.toml"))

    def run(self, *words: str) -> Said:
        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        access.register(app)
        doctor.register(app)
        shell = Shell(
            stdin=io.StringIO(),
            stdout=io.StringIO(),
            stderr=io.StringIO(),
            environ={},
            now=lambda: NOW,
            load_config=self.config,
            open_services=lambda *_: cast(Any, self.services),
            open_store=lambda _: open_store(self.folder / "lpmops.db"),
        )
        with context.using(shell):
            result = CliRunner().invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        out, err = cast(io.StringIO, shell.stdout), cast(io.StringIO, shell.stderr)
        return Said(result.exit_code, out.getvalue(), err.getvalue())


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_the_document_of_an_environment_is_the_one_that_scripts_know(line: Line) -> None:
    said = line.run("doctor", "-e", "prod", "-o", "json")
    assert said.code == 0
    document = json.loads(said.out)
    # What is said of this machine is another on each.
    document["data"] = [item for item in document["data"] if item["environment"] is not None]
    assert document == json.loads((GOLDEN / "doctor.json").read_text(encoding="utf-8"))


def test_the_rights_of_an_environment_are_the_document_that_scripts_know(line: Line) -> None:
    line.services.roles["job"] = ()
    said = line.run("access", "show", "-e", "prod", "-o", "json")
    assert json.loads(said.out) == json.loads((GOLDEN / "access.json").read_text(encoding="utf-8"))


def test_what_lacks_is_said_with_the_words_that_give_it_and_what_is_there_is_counted(line: Line) -> None:
    line.services.roles["job"] = ()
    said = line.run("access", "show", "-e", "prod", "--check")
    assert said.code == 11
    assert "1 lack" in said.out
    assert "az role assignment create --assignee-object-id job" in said.out
    assert "through account users" not in said.out
    assert "through account users" in line.run("access", "show", "-e", "prod", "--all").out


@pytest.mark.parametrize(
    "trouble",
    [
        NotFoundError("No configuration found.", hint="Make one with: lpmops init"),
        ConfigError("lpmops.toml:3: unknown key.", hint="Did you mean host?"),
    ],
)
def test_without_a_configuration_the_machine_is_judged_and_what_to_do_is_said(line: Line, trouble: LpmopsError) -> None:
    line.trouble = trouble
    said = line.run("doctor", "--check", "-o", "json")
    assert said.code == 11
    found = {item["id"]: item for item in json.loads(said.out)["data"]}
    assert found["configuration.file"]["level"] == "bad"
    assert found["configuration.file"]["todo"] == [trouble.hint]
    assert {"machine.python", "machine.driver", "machine.terminal", "machine.store"} <= set(found)
    assert not (line.folder / "lpmops.db").exists()


def test_check_fails_only_where_something_is_bad(line: Line) -> None:
    assert line.run("doctor", "-e", "prod", "--check").code == 0
    line.services.broken["sql"] = away
    said = line.run("doctor", "-e", "prod", "--check")
    assert said.code == 11
    assert "nobody answers there" in said.out


def test_an_environment_that_is_not_there_is_named(line: Line) -> None:
    assert line.run("doctor", "-e", "prd").code == 3
