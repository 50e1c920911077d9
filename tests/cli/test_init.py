"""A configuration comes from answers that are checked as they are given, or from the sandbox; nothing that is there is lost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lpmops import config_reader, paths
from lpmops.cli import sandbox_setup
from lpmops.cli.app import build
from lpmops.cli.context import World, using

ANSWERS = [
    "not an id", "00000000-0000-4000-8000-0000000000aa", "00000000-0000-4000-8000-000000000001", "",
    "http://adb.example", "https://adb.example", "0123456789abcdef", "", "", "",
    "", "", "", "", "sql-lpm-dev.database.example", "lpm-01, lpm-02",
]  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def person() -> Iterator[World]:
    """Somebody at a terminal who types ANSWERS."""
    with using(World(stdin=Terminal("\n".join(ANSWERS) + "\n"), stdout=io.StringIO(), stderr=Terminal())) as world:
        yield world


def lpmops(*arguments: str) -> int:
    return CliRunner().invoke(build(), list(arguments)).exit_code


def said(world: World) -> str:
    assert isinstance(world.stderr, io.StringIO)
    return world.stderr.getvalue()


def test_answers_become_a_configuration_that_reads_back(person: World, tmp_path: Path) -> None:
    path = tmp_path / "lpmops.toml"
    assert lpmops("init", "--path", str(path), "-e", "dev") == 0
    environment = config_reader.read(path).environments["dev"]
    assert environment.resource_group == "rg-lpm-tdr-dev"
    assert environment.databricks.host == "https://adb.example"
    assert environment.sql.databases == ("lpm-01", "lpm-02")
    # What has a default is there to be seen, and counts when its mark is taken away.
    text = path.read_text(encoding="utf-8")
    assert "# throughput_units = 2 " in text
    path.write_text(text.replace("# partitions = 4", "partitions = 8"), encoding="utf-8")
    assert config_reader.read(path).environments["dev"].eventhub.partitions == 8


def test_a_wrong_answer_is_refused_in_words_and_asked_again(person: World, tmp_path: Path) -> None:
    lpmops("init", "--path", str(tmp_path / "lpmops.toml"), "-e", "dev")
    assert "tenant_id must be an id such as" in said(person)
    assert "must be an https address" in said(person)


def test_answers_that_end_early_write_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lpmops.toml"
    with using(
        World(stdin=Terminal("00000000-0000-4000-8000-0000000000aa\n"), stdout=io.StringIO(), stderr=Terminal())
    ):
        assert lpmops("init", "--path", str(path), "-e", "dev") == 7
    assert not path.exists()


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "lpmops.toml"
    path.write_text("mine")
    sandbox_setup.prepare(paths.sandbox_directory(), sandbox_setup.Wish(port=27400))
    with using(World(stdout=io.StringIO(), stderr=io.StringIO())) as world:
        assert lpmops("init", "--from-sandbox", "--path", str(path)) == 2
        assert path.read_text() == "mine"
        assert "--force" in said(world)
        assert lpmops("init", "--from-sandbox", "--path", str(path), "--force") == 0
    assert set(config_reader.read(path).environments) == {"dev", "test", "prod"}
