"""`lpmops reconcile` on a command line whose whole world is replaced: its document, its table, its exits, and words that are no range."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from lpmops.cli import context, reconcile
from lpmops.cli.context import World
from lpmops.store.connection import open_store
from tests.control.lakes import CONFIG, Lake

GOLDEN = Path(__file__).parent / "golden" / "reconcile.json"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lake() -> Lake:
    """One company with a hole, one that is whole, one that no route takes."""
    made = Lake()
    made.route("1001")
    made.route("1002", "lpm-02")
    for version in range(1, 21):
        made.commit("1001", version, f"a{version}", landed=None if version in (5, 6) else "lpm-01")
        made.commit("1002", version, f"b{version}", landed="lpm-02")
    made.commit("1003", 4, "c4", landed=None)
    return made


@pytest.fixture
def run(lake: Lake, tmp_path: Path) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        reconcile.register(app)
        world = World(
            stdin=io.StringIO(),
            stdout=io.StringIO(),
            stderr=io.StringIO(),
            environ={},
            now=lambda: lake.now,
            load_config=lambda _: CONFIG,
            open_services=lambda *_: cast(Any, lake),
            open_store=lambda _: open_store(tmp_path / "lpmops.db"),
        )
        with context.using(world):
            done = CliRunner().invoke(app, list(words))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, cast(Any, world.stdout).getvalue(), cast(Any, world.stderr).getvalue()

    return call


def test_the_document_keeps_every_key_it_ever_had(run: Run, lake: Lake) -> None:
    lake.gone_before = 3
    lake.read_as_far_as = 18
    code, out, _ = run("-e", "test", "-o", "json")
    text = json.dumps(json.loads(out), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("LPMOPS_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
    assert code == 11


def test_people_read_who_misses_what_and_what_to_do(run: Run) -> None:
    code, out, err = run("-e", "test")
    assert code == 11
    assert "test: versions 0 to 20, 21 looked at now" in out
    lines = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line[:4].isdigit()}
    assert lines["1001"] == "1001 Company 1001 lpm-01 20 18 2 0 0 versions 5:6"
    assert lines["1002"].endswith("20 20 0 0 0 complete")
    assert "no route takes it" in lines["1003"]
    assert "not complete: 2 changes did not land" in out
    assert "2 changes that did not land can be sent again." in out
    assert "lpmops replay plan -e test --missing" in out
    assert "span 1 of 1: versions 0:20" in err


def doubled(lake: Lake) -> None:
    lake.land("1002", 3, "b3", database="lpm-02")


def invented(lake: Lake) -> None:
    lake.land("1002", 3, "never", database="lpm-02")


def strayed(lake: Lake) -> None:
    lake.land("1002", 3, "b3", database="lpm-01")


def strange(lake: Lake) -> None:
    lake.land("1009", 3, "x", database="lpm-01")


def vacuumed(lake: Lake) -> None:
    lake.gone_before = 3


def deaf(lake: Lake) -> None:
    lake.dead = {"lpm-02"}


def written_twice(lake: Lake) -> None:
    lake.commit("1002", 3, "b3", landed=None)


@pytest.mark.parametrize(
    ("break_it", "verdict", "command"),
    [
        (doubled, "1 row is there more than once", "lpmops provision plan -e test"),
        (invented, "1 row is not in the source", "lpmops cdf versions -e test"),
        (strayed, "1 row is not in the source", "lpmops route show 1002 -e test"),
        (strange, "1 row is not in the source", "lpmops route list -e test"),
        (vacuumed, "not everything could be looked at", "lpmops cdf versions -e test"),
        (deaf, "not everything could be looked at", "lpmops doctor -e test"),
        (written_twice, "1 change did not land", "lpmops cdf versions -e test"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_whatever_is_not_complete_names_the_next_command(
    run: Run, lake: Lake, break_it: Callable[[Lake], None], verdict: str, command: str
) -> None:
    for version in (5, 6):
        lake.land("1001", version, f"a{version}")
    break_it(lake)
    code, out, _ = run("-e", "test")
    assert (code, f"not complete: {verdict}\n" in out) == (11, True), out
    assert out.splitlines()[-1].strip() == command
    assert [each["command"] for each in json.loads(run("-e", "test", "-o", "json")[1])["data"]["next"]] == [command]


def test_a_complete_range_is_no_failure_and_is_not_looked_at_again(run: Run) -> None:
    code, out, _ = run("-e", "test", "--versions", "7:20")
    assert code == 0
    assert "complete: every change that was looked at landed once" in out
    assert "0 looked at now, 14 not looked at again" in run("-e", "test", "--versions", "7:20")[1]
    assert "14 looked at now" in run("-e", "test", "--versions", "7:20", "--again")[1]


def test_scripts_read_a_row_a_company(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("-e", "test", "-o", "csv")[1])))
    assert [(row["company_id"], row["missing"], row["gaps"]) for row in rows] == [
        ("1001", "2", "5:6"), ("1002", "0", ""), ("1003", "0", ""),
    ]  # fmt: skip
    (line,) = run("-e", "test", "-o", "jsonl")[1].splitlines()
    assert json.loads(line)["companies"][0]["missing"] == 2


def test_a_span_of_time_and_a_moment_say_where_to_begin(run: Run) -> None:
    for since in ("594s", "2026-11-23T12:00:06Z"):
        assert json.loads(run("-e", "test", "--since", since, "-o", "json")[1])["data"]["from_version"] == 6, since


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--versions", "9:3"), 2, "ends before it begins"),
        (("--versions", "x"), 2, "is no range of versions"),
        (("--versions", "3:99"), 2, "newest version is 20"),
        (("--versions", "3:9", "--since", "2h"), 2, "exclude each other"),
        (("--since", "soon"), 2, "is no moment"),
        (("--company", " "), 2, "has no id"),
        (("--company", "77"), 3, "There is no company 77"),
    ],
)
def test_what_can_not_be_meant_is_refused_in_words(run: Run, words: tuple[str, ...], code: int, said: str) -> None:
    found, _, err = run("-e", "test", *words)
    assert (found, said in err) == (code, True), err
