"""What each command loads when it starts: no SDK and no Textual before the one that needs them, and a clean end for whatever goes wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lpmops import __main__
from lpmops.cli import app
from lpmops.cli.context import World, using
from tests.benchmarks import samples

_HEAVY = (
    "azure",
    "databricks",
    "textual",
    "duckdb",
    "sqlglot",
    "deltalake",
    "pyarrow",
    "pyodbc",
    "pytds",
    "uvicorn",
    "starlette",
    "pydantic",
    "aiohttp",
    "textual_serve",
)
_LOOK = f"""
import json, sys
from lpmops.__main__ import run
sys.argv = ["lpmops", *sys.argv[1:]]
code = run()
print("LOADED", json.dumps([name for name in {_HEAVY!r} if name in sys.modules]), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An operator's machine: a configuration, and a store that has seen each environment."""
    config, state = tmp_path / "lpmops.toml", tmp_path / "state"
    samples.write_config(config)
    samples.write_store(state, config)
    return {**os.environ, "LPMOPS_CONFIG": str(config), "LPMOPS_STATE_DIR": str(state), "PYTHONWARNINGS": "error"}


def started(environ: dict[str, str], *arguments: str) -> tuple[int, str, list[str]]:
    """Exit code, stdout and what heavy packages were loaded, of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    loaded = [line for line in done.stderr.splitlines() if line.startswith("LOADED")]
    assert loaded, done.stderr
    return done.returncode, done.stdout, json.loads(loaded[0].removeprefix("LOADED "))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["status", "--cached", "-o", "json"],
        ["status", "--help"],
        ["history", "-e", "prod", "-o", "json"],
        ["history", "-e", "prod", "--at", "now"],
        ["history", "--help"],
        ["record", "--help"],
        ["config", "check"],
        ["config", "show", "--origin"],
        ["sandbox", "--help"],
        ["demo", "--help"],
        ["init", "--help"],
        ["wait", "--help"],
        ["serve", "--help"],
        ["op", "list", "--unfinished", "-o", "json"],
        ["audit", "verify"],
        ["asa", "pause", "--help"],
        ["asa", "deploy", "--help"],
        ["cdf", "enable", "--help"],
        ["cdf", "versions", "--help"],
        ["stream", "restart", "--help"],
        ["lock", "--help"],
        ["freeze", "--help"],
        ["apply", "--help"],
        ["stream", "--help"],
        ["stream", "deploy", "--help"],
        ["stream", "show", "--help"],
        ["hub", "tail", "--help"],
        ["kpi", "show", "--help"],
        ["asa", "test", "--help"],
    ],
    ids=" ".join,
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], machine: dict[str, str]) -> None:
    code, _, loaded = started(machine, *arguments)
    assert (code, loaded) == (0, [])


def test_status_from_the_store_is_one_document(machine: dict[str, str]) -> None:
    _, out, _ = started(machine, "status", "--cached", "-o", "json")
    document = json.loads(out)
    assert document["schema"] == "lpmops/status/v1"
    assert {entry["environment"] for entry in document["data"]} == {"dev", "test", "prod"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nonsense"], 2, "nonsense"),
        (["status", "-e", "qa"], 3, "no environment 'qa'"),
        (["--config", "/nowhere/lpmops.toml", "status"], 2, "No configuration found"),
        (["wait", "-e", "prod", "--timeout", "soon"], 2, "no span of time"),
        (["history"], 2, "--env"),
        (["history", "-e", "prod", "--at", "soon"], 2, "no moment"),
        (["history", "-e", "qa"], 3, "lpmops record -e qa"),
        (["record", "-e", "qa"], 3, "no environment 'qa'"),
        ([], 2, "needs a terminal"),
        (["demo"], 2, "needs a terminal"),
        (["init", "--path", "new.toml"], 7, "--from-sandbox"),
        (["sandbox", "fault", "asa.stopped"], 3, "lpmops sandbox start"),
        (["op", "resume", "nothing"], 3, "lpmops op list"),
        (["apply", "nothing.json"], 3, "--out FILE"),
        (["hub", "tail", "-e", "prod", "--since", "soon"], 2, "no moment"),
        (["hub", "tail", "-e", "prod", "--follow", "-o", "csv"], 2, "-o jsonl"),
        (["kpi", "show", "-e", "prod", "--since", "9d"], 2, "7 days"),
        (["asa", "test", "-e", "prod", "--query", "nowhere.asaql"], 2, "can't be read"),
        (["asa", "pause", "-e", "qa", "--reason", "x"], 3, "no environment 'qa'"),
    ],
)
def test_a_wrong_call_ends_with_a_sentence_and_its_code(
    arguments: list[str], code: int, says: str, machine: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lpmops", *arguments],
        env=machine, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_of_lpmops_itself_is_reported_in_a_file_without_values(
    monkeypatch: pytest.MonkeyPatch, own_folders: Path
) -> None:
    def fails() -> None:
        raise RuntimeError("token=hunter2")

    monkeypatch.setattr(app, "build", fails)
    with using(World(stderr=io.StringIO())) as world:
        assert __main__.run() == 70
    assert isinstance(world.stderr, io.StringIO)
    report = next((own_folders / "state").glob("crash-*.txt"))
    assert str(report) in world.stderr.getvalue()
    assert "hunter2" not in world.stderr.getvalue() + report.read_text()
