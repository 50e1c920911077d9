"""`lpmops sandbox vacuum` and its like: what is asked of the sandbox, and what is said of its answer."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lpmops.cli import context, sandbox, sandbox_client
from lpmops.cli.context import World


@dataclass
class Sandbox:
    """One that answers as it is told to, and what it was asked; `run` gives exit code, stdout and stderr of a command."""

    answer: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def call(self, _: object, method: str, path: str, body: Any = None, deadline: float = 0) -> Any:
        assert (method, deadline > 5) == ("POST", True)
        self.asked.append((path, body))
        return self.answer

    def run(self, *words: str) -> tuple[int, str, str]:
        world = World(stdin=io.StringIO(), stdout=io.StringIO(), stderr=io.StringIO(), environ={})
        with context.using(world):
            code = CliRunner().invoke(sandbox.group, list(words)).exit_code
        out: Any = world.stdout
        err: Any = world.stderr
        return code, out.getvalue(), err.getvalue()


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    made = Sandbox()
    running = sandbox_client.Running(Path("box"), 1, 2, "t")
    monkeypatch.setattr(sandbox_client, "must_run", lambda: running)
    monkeypatch.setattr(sandbox_client, "call", made.call)
    return made


def test_a_vacuum_says_what_it_removed_and_before_which_version(there: Sandbox) -> None:
    there.answer = {"tables": [{"environment": "dev", "before": 1200, "files": 3400, "versions": 1100}]}
    code, out, _ = there.run("vacuum", "-e", "dev", "--before", "1200", "--log")
    assert (code, there.asked) == (
        0,
        [("/sandbox/table/vacuum", {"environments": ["dev"], "before": 1200, "log": True})],
    )
    assert out == "dev: removed 3,400 files and the log of 1,100 versions, of the versions before 1,200\n"


def test_a_schema_changes_by_one_column_at_a_time(there: Sandbox) -> None:
    there.answer = {"tables": [{"environment": "dev", "version": 7, "column": "trunk", "change": "drop"}]}
    assert there.run("change-schema", "--drop", "trunk")[1] == "dev: dropped the column trunk at version 7\n"
    assert there.asked == [("/sandbox/table/columns", {"environments": [], "add": None, "drop": "trunk"})]
    for words in ((), ("--add", "a", "--drop", "b")):
        code, _, err = there.run("change-schema", *words)
        assert (code, "--add COLUMN or --drop COLUMN" in err) == (2, True)
    assert len(there.asked) == 1
